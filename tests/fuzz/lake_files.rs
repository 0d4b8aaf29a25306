//! Files of the lake: bars, features, checkpoints, indicator state. A flipped bit is caught by the checksum; here the checksum of
//! changed files is made right again, as somebody would who means harm.

use std::path::Path;

use stockstream::indicators::state::IndicatorState;
use stockstream::market::bar::Bar;
use stockstream::market::checkpoint::{
    BarRules, Checkpoint, Commit, CommitNumber, Counters, Fingerprint, ForcedAdvance, NextOffset, TopicPartition,
};
use stockstream::market::log_gap::LogGap;
use stockstream::market::lost_commits::{LostBars, LostCommits};
use stockstream::market::partition::{PartitionCursor, Record};
use stockstream::market::symbol::Symbol;
use stockstream::market::time::{EventTime, Span, WindowSize};
use stockstream::settings::Compression;
use stockstream::storage::parquet::{decode_commit, decode_features, encode_commit, encode_features, parse_checkpoint};

use crate::{Inputs, fuzz};

const CHECKSUM: &[u8] = b"stockstream.file_crc32\x18\x08";
const START: i64 = 1_747_173_600_000_000;

const PARQUET_WORDS: &[&[u8]] = &[
    b"PAR1",
    b"stockstream.rows",
    b"stockstream.checkpoint",
    b"stockstream.file_crc32\x18\x0800000000",
    b"\x15\x00",
    b"\x15\xfe\xff\xff\xff\x0f",
    b"\x19\x4c",
    b"\x19\xfc\xff\xff\xff\xff\x07",
    b"\x1c",
    b"\x00",
    b"\x18\xff\xff\xff\xff\x0f",
    b"\x28\xb5\x2f\xfd\x00\x88",
];
const JSON_WORDS: &[&[u8]] = &[
    b"-9223372036854775808",
    b"9223372036854775807",
    b"18446744073709551615",
    b"1e400",
    b"null",
    b"[",
    b"{",
    b"\"",
    b"-1",
    b"0",
    b"\"cut\":0,",
    b"\"known\":{\"\":0},",
    b"\\ud800",
];

/// Rows are at most one a byte of the file and a few thousand; a row takes some hundred bytes as columns and as a bar.
fn bound(length: usize) -> usize {
    512 * length + (4 << 20)
}

#[test]
fn any_file_is_read_or_refused_also_with_a_valid_checksum() {
    fuzz!("lake_file", Inputs { short: 1_500, long: 60_000 }, PARQUET_WORDS, bound, a_file);
}

fn a_file(bytes: &[u8]) {
    read(bytes);
    if let Some(sealed) = sealed(bytes) {
        read(&sealed);
    }
}

fn read(bytes: &[u8]) {
    if let Ok(file) = decode_commit(bytes) {
        assert!(file.commit.rows.len() <= 4_096 + bytes.len());
        go_on_from(file.commit.checkpoint);
    }
    if let Ok(file) = decode_features(bytes) {
        assert!(file.rows.len() <= 4_096 + bytes.len());
    }
}

/// The file with the checksum that it should have, if it has a place for one.
fn sealed(bytes: &[u8]) -> Option<Vec<u8>> {
    let at = bytes.windows(CHECKSUM.len()).rposition(|window| window == CHECKSUM)? + CHECKSUM.len();
    let mut file = bytes.to_vec();
    file.get_mut(at..at + 8)?.copy_from_slice(b"00000000");
    let crc = format!("{:08x}", crc32fast::hash(&file));
    file[at..at + 8].copy_from_slice(crc.as_bytes());
    Some(file)
}

#[test]
fn a_reader_goes_on_from_any_checkpoint_that_it_takes() {
    fuzz!(
        "checkpoint",
        Inputs { short: 10_000, long: 700_000 },
        JSON_WORDS,
        |length: usize| 64 * length + (1 << 20),
        |bytes| {
            if let Ok(checkpoint) = parse_checkpoint(&String::from_utf8_lossy(bytes)) {
                go_on_from(checkpoint);
            }
        }
    );
}

fn go_on_from(checkpoint: Checkpoint) {
    let stock = Symbol::new("AAPL").expect("a good symbol");
    let from = checkpoint.resume.0;
    assert!(checkpoint.lost.iter().all(|lost| !lost.to_string().is_empty()), "any can be told");
    for checkpoint in [checkpoint.clone().on_new_log("another"), checkpoint] {
        let mut cursor = PartitionCursor::new(checkpoint, [stock.clone()]);
        for offset in 0..3 {
            cursor.read(Record { offset: from + offset, timestamp: None, payload: b"2025-05-14 15:30:00,AAPL,1" });
        }
        cursor.since_barrier();
        cursor.cut();
    }
}

#[test]
fn any_indicator_state_is_loaded_or_refused() {
    let most = |length: usize| 16 * length + (1 << 20);
    fuzz!("indicators", Inputs { short: 10_000, long: 1_000_000 }, &[], most, |bytes| {
        if let Ok(mut state) = IndicatorState::from_bytes(bytes) {
            assert_eq!(state.to_bytes(), bytes, "what is taken is what would have been written");
            if state.last() < CommitNumber(u64::MAX) {
                state.push_file(CommitNumber(state.last().0 + 1), &bars("AAPL", 2));
            }
        }
    });
}

fn bars(symbol: &str, count: i64) -> Vec<Bar> {
    let bar = |number: i64| Bar {
        symbol: Symbol::new(symbol).expect("a good symbol"),
        window_start: EventTime::from_micros(START + number * 300_000_000),
        open: 211.45 + number as f64,
        high: 213.0 + number as f64,
        low: 210.5,
        close: 212.25,
        volume: (number % 3 != 0).then_some(number as f64),
        vwap: (number % 3 != 0).then_some(211.9),
        ticks: 1 + number,
    };
    (0..count).map(bar).collect()
}

fn checkpoint() -> Checkpoint {
    let rules = BarRules {
        window: WindowSize::new(Span::from_secs(300)).expect("five minutes divide a day"),
        lateness: Span::from_secs(600),
        max_ahead: Span::from_secs(60),
    };
    let mut checkpoint = Checkpoint::genesis(rules, "a cluster");
    (checkpoint.resume, checkpoint.cut) = (NextOffset(90), NextOffset(100));
    checkpoint.watermark = EventTime::from_micros(START);
    checkpoint.open_ticks = 10;
    checkpoint.counters = Counters { read: 100, in_bars: 60, late: 12, malformed: 8, future: 7, unknown: 3 };
    checkpoint.known.insert(Symbol::new("AAPL").expect("a good symbol"), NextOffset(0));
    checkpoint.log.last_record = Some(Fingerprint { offset: 99, crc: 0x1234_5678 });
    checkpoint.forced.push(ForcedAdvance { offset: NextOffset(40), watermark: EventTime::from_micros(START) });
    checkpoint.gaps.push(LogGap {
        from: NextOffset(40),
        cut: NextOffset(50),
        to: NextOffset(60),
        watermark: EventTime::from_micros(START),
        next_tick: Some(EventTime::from_micros(START + 1)),
        open_ticks_lost: Some(7),
    });
    let stock = Symbol::new("AAPL").expect("a good symbol");
    let bars = LostBars::of([(stock, EventTime::from_micros(START))]);
    let lost = LostCommits::of(CommitNumber(15), EventTime::from_micros(START), bars);
    let pending = LostCommits { until: Some(NextOffset(95)), ..lost.clone() };
    checkpoint.without(&[lost, pending])
}

/// Not a test of anything: makes the files of the corpus that no editor can. `cargo test --test fuzz -- --ignored`
#[test]
#[ignore = "writes into the source tree"]
fn make_the_corpus() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/__fuzz__");
    let write = |target: &str, name: &str, bytes: &[u8]| {
        let dir = dir.join(target).join("corpus");
        std::fs::create_dir_all(&dir).expect("a directory in the source tree");
        std::fs::write(dir.join(name), bytes).expect("a file in the source tree");
    };
    let partition = TopicPartition::new("stock_topic.AAPL", 0);
    let commit = |rows: Vec<Bar>| Commit { rows: rows.into(), checkpoint: checkpoint() };
    let two_stocks = [bars("AAPL", 20), bars("MSFT", 13)].concat();
    let file = |rows, how| encode_commit(&partition, CommitNumber(17), &commit(rows), how).expect("good rows");
    write("lake_file", "bars_plain.parquet", &file(two_stocks.clone(), Compression::Uncompressed));
    write("lake_file", "bars_zstd.parquet", &file(two_stocks.clone(), Compression::Zstd));
    write("lake_file", "bars_snappy.parquet", &file(two_stocks.clone(), Compression::Snappy));
    write("lake_file", "bars_none.parquet", &file(Vec::new(), Compression::Zstd));
    let mut state = IndicatorState::new();
    write("indicators", "no_stock", &state.to_bytes());
    let features = state.push_file(CommitNumber(17), &two_stocks);
    let file = encode_features(&partition, CommitNumber(17), &features, Compression::Zstd).expect("good rows");
    write("lake_file", "features_zstd.parquet", &file);
    write("indicators", "two_stocks", &state.to_bytes());
    let json = |checkpoint: &Checkpoint| serde_json::to_vec(checkpoint).expect("a checkpoint is JSON");
    write("checkpoint", "in_the_middle.json", &json(&checkpoint()));
    write("checkpoint", "genesis.json", &json(&Checkpoint::genesis(checkpoint().rules, "a cluster")));
}
