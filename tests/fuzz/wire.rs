//! Records and lines of files.

use stockstream::market::checkpoint::{BarRules, Checkpoint};
use stockstream::market::codec::{LineContent, MAX_PAYLOAD, decode, encode, file_line};
use stockstream::market::partition::{PartitionCursor, Record, Verdict};
use stockstream::market::symbol::Symbol;
use stockstream::market::time::{EventTime, Span, WindowSize};

use crate::{Inputs, fuzz};

const WORDS: &[&[u8]] = &[
    b",",
    b"\r\n",
    b"AAPL",
    b"2025-05-14T15:30:00Z",
    b"9999-12-31 23:59:59.999999",
    b"0001-01-01 00:00:00",
    b"-0.0",
    b"NaN",
    b"inf",
    b"1e308",
    b"1e-324",
    b"17976931348623157",
    b"99999999999999999999",
    b"+23:59",
    b"-00:01",
    b"\xef\xbb\xbf",
    b"\xff",
    b"\0",
    b"../../x",
    b"timestamp,symbol,price,volume",
];

#[test]
fn any_payload_is_a_tick_or_has_a_reason() {
    // Decoding itself allocates nothing; the rest is the line written again.
    fuzz!("wire", Inputs { short: 30_000, long: 2_000_000 }, WORDS, |length: usize| 2 * length + 4_096, a_payload);
}

fn a_payload(payload: &[u8]) {
    for number in [1, 2] {
        if let LineContent::Payload(line) = file_line(payload, number).content {
            assert!(!line.is_empty() && line.len() <= MAX_PAYLOAD + 1);
        }
    }
    let Ok(tick) = decode(payload) else { return };
    assert!(payload.len() <= MAX_PAYLOAD && tick.price.is_finite() && tick.price > 0.0, "{tick:?}");
    assert!(tick.volume.is_none_or(|volume| volume.is_finite() && volume.is_sign_positive()), "{tick:?}");
    let mut line = Vec::new();
    encode(&tick, &mut line);
    // The shortest form of a tiny number has hundreds of digits: then only it is too long.
    assert!(decode(&line) == Ok(tick) || line.len() > MAX_PAYLOAD, "{tick:?}");
}

#[test]
fn any_log_is_judged_without_a_panic_and_every_record_is_counted() {
    fuzz!("log", Inputs { short: 5_000, long: 200_000 }, WORDS, |length: usize| 64 * length + 64 * 1024, a_log);
}

/// Lines as the records of one log; what an event time says is taken as the record's timestamp at some of them.
fn a_log(lines: &[u8]) {
    let rules = BarRules {
        window: WindowSize::new(Span::from_secs(300)).expect("five minutes divide a day"),
        lateness: Span::from_secs(600),
        max_ahead: Span::from_secs(60),
    };
    let stock = Symbol::new("AAPL").expect("a good symbol");
    let mut cursor = PartitionCursor::new(Checkpoint::genesis(rules, "fuzz"), [stock]);
    let (mut read, mut ticks) = (0, 0);
    for (offset, payload) in lines.split(|byte| *byte == b'\n').enumerate() {
        let timestamp = match payload.len() % 3 {
            0 => None,
            1 => Some(EventTime::from_micros(i64::MAX)),
            _ => Some(EventTime::from_micros(1_747_236_600_000_000)),
        };
        let before = cursor.watermark();
        let verdict = cursor.read(Record { offset: offset as i64, timestamp, payload });
        read += 1;
        match verdict {
            Verdict::Tick(..) => ticks += 1,
            _ => assert_eq!(cursor.watermark().get(), before.get(), "only a tick moves the watermark"),
        }
        if offset % 7 == 6 {
            let (checkpoint, _) = cursor.cut();
            let counters = checkpoint.counters;
            let dropped = counters.late + counters.malformed + counters.future + counters.unknown;
            assert_eq!((counters.read, counters.read), (read, ticks + dropped));
        }
    }
}
