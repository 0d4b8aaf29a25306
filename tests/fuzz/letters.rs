//! Dead letters of any record.

use std::time::Duration;

use stockstream::kafka::dead_letters::{DeadLetter, KEPT_BYTES, Kinds, OF_A_KIND, OF_ALL, Sampled, Sampler, cost};
use stockstream::market::checkpoint::TopicPartition;
use stockstream::market::time::Span;

use crate::{Inputs, fuzz};

const WORDS: &[&[u8]] = &[b"2025-05-14 15:30:00,AAPL,211.45", b"\0", b"\xff\xfe", b"../../x"];
const REASONS: [&str; 3] = ["late", "malformed", "future"];

#[test]
fn a_letter_of_any_record_is_bounded_and_says_where_it_comes_from() {
    fuzz!("letters", Inputs { short: 8_000, long: 300_000 }, WORDS, |_| 4_096, a_record);
}

/// The first bytes choose offset, lateness and where the key ends; the rest is repeated until it is as long as records come.
fn a_record(bytes: &[u8]) {
    let number = |at: usize| i64::from_le_bytes(std::array::from_fn(|i| bytes.get(at + i).copied().unwrap_or(0)));
    let (offset, late_by, times) = (number(0), number(8), number(16).unsigned_abs() as usize % 3);
    let rest = bytes.get(24..).unwrap_or_default();
    // Not counted: it is the record, which the client holds.
    let record = HUGE.get(..[rest.len(), KEPT_BYTES + rest.len(), HUGE.len()][times]).unwrap_or(rest);
    let record = if times == 0 { rest } else { record };
    let (key, payload) = record.split_at(rest.len().min(record.len()) / 2);
    let source = TopicPartition::new("stock_topic.AAPL", number(4) as i32);
    let letter = DeadLetter {
        key: (number(20) % 2 == 0).then_some(key),
        late_by: Some(Span::from_micros(late_by)),
        suppressed: offset.unsigned_abs(),
        ..DeadLetter::new(REASONS[times], &source, offset, payload)
    };
    let cut = letter.cut();
    assert_eq!(cut.cut(), cut, "to cut twice changes nothing");
    let size = cut.key.map_or(0, <[u8]>::len) + cut.payload.len();
    assert_eq!(size, DeadLetter::size_when_cut(letter.key, letter.payload));
    assert!(size <= 2 * KEPT_BYTES && letter.payload.starts_with(cut.payload));
    assert_eq!(cut.cut_from, (payload.len() > KEPT_BYTES).then_some(payload.len()));
    let headers = cut.headers();
    let find = |wanted| headers.iter().find(|(key, _)| *key == wanted).map(|(_, value)| value.as_str());
    assert_eq!(find("source_offset"), Some(offset.to_string().as_str()));
    assert_eq!(find("late_by_us"), Some(late_by.to_string().as_str()));
    assert_eq!(find("cut_from_bytes").is_some(), payload.len() > KEPT_BYTES);
    assert!(headers.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() < 512);
}

/// As large as a record can be before anybody says otherwise.
static HUGE: [u8; 1 << 20] = [b'x'; 1 << 20];

#[test]
fn whatever_is_offered_is_sent_or_counted_within_the_limits() {
    fuzz!("sampler", Inputs { short: 500, long: 20_000 }, WORDS, |length: usize| 32 * length + 16 * 1024, offers);
}

/// Each four bytes are one offer: partition, reason, size, pause.
fn offers(bytes: &[u8]) {
    let mut sampler = Sampler::default();
    let mut partitions: [Kinds; 4] = Default::default();
    let (mut now, mut spent, mut suppressed, mut told) = (Duration::ZERO, 0, 0, 0);
    for offer in bytes.chunks_exact(4) {
        let [partition, reason, size, pause] = [0, 1, 2, 3].map(|at| usize::from(offer[at]));
        now += Duration::from_millis(pause as u64);
        let cost = cost(size << 12);
        match sampler.offer(&mut partitions[partition % 4], REASONS[reason % 3], cost, now) {
            Sampled::Send { suppressed } => (spent, told) = (spent + cost, told + suppressed),
            Sampled::Suppress => suppressed += 1,
        }
        let most = |burst: u64, per_second: u64| burst as f64 + per_second as f64 * now.as_secs_f64();
        assert!(spent as f64 <= most(OF_ALL.burst, OF_ALL.per_second) + 1.0, "{spent} after {now:?}");
        assert!(told <= suppressed);
    }
    assert!(suppressed == 0 || spent + cost(255 << 12) > OF_A_KIND.burst, "nothing is left out while there is room");
    assert_eq!(sampler.take_unsaid(), suppressed);
}
