//! Names that come from Kafka, from the lake's directories, or from data.

use std::path::{Component, Path};

use stockstream::kafka::topics::partition_of_key;
use stockstream::market::checkpoint::{CommitNumber, TopicPartition};
use stockstream::market::symbol::Symbol;
use stockstream::storage::layout::{
    self, EntryName, is_usable, parse_date_dir, parse_partition, parse_public_name, public_name,
};

use crate::{Inputs, fuzz};

const WORDS: &[&[u8]] = &[
    b"../",
    b"/",
    b"..",
    b".",
    b".tmp-",
    b"\0",
    b"-",
    b"-0",
    b"-000000001",
    b".parquet",
    b".quarantined",
    b"date=",
    b"2025-05-14",
    b"compact-",
    b"stock_topic.AAPL",
    b"owner.lock",
    b"99999999999999999999",
    b"-2147483648",
];

#[test]
fn no_name_leads_out_of_the_lake() {
    fuzz!("names", Inputs { short: 15_000, long: 1_000_000 }, WORDS, |length: usize| 16 * length + 4_096, a_name);
}

fn a_name(bytes: &[u8]) {
    let name = String::from_utf8_lossy(bytes);
    if let Some((partition, number)) = parse_public_name(&name) {
        assert_eq!(public_name(&partition, number), name, "read and written the same");
        assert!(is_usable(&partition));
    }
    if let Some(partition) = parse_partition(&name) {
        assert_eq!(partition.to_string(), name);
    }
    if let Some(entry) = EntryName::parse(&name) {
        assert!(entry.number() > CommitNumber(0));
    }
    if let Some(date) = parse_date_dir(&name) {
        assert!(date.len() == 10 && date.is_ascii());
    }
    let number = i32::from_le_bytes(std::array::from_fn(|at| bytes.get(at).copied().unwrap_or(0)));
    for partition in [TopicPartition::new(&name, 0), TopicPartition::new(&name, number)] {
        if is_usable(&partition) {
            stays_inside(&partition);
        }
    }
    if let Ok(symbol) = Symbol::new(&name) {
        assert!(!symbol.as_str().contains(['/', '\\', '\0']) && !symbol.as_str().starts_with('.'));
    }
    assert!((0..12).contains(&partition_of_key(bytes, 12)));
}

/// Every path of a partition whose name is usable is one below the directory it belongs in.
fn stays_inside(partition: &TopicPartition) {
    let number = CommitNumber(7);
    let public = format!("bars/date=2025-05-14/{}", public_name(partition, number));
    let paths = [
        (layout::chain_dir(partition), 2),
        (layout::entry(partition, number), 3),
        (layout::quarantined(partition, number), 3),
        (layout::indicators(partition), 3),
        (public, 3),
    ];
    for (path, depth) in paths {
        let names: Vec<_> = Path::new(&path).components().collect();
        assert!(names.iter().all(|name| matches!(name, Component::Normal(_))), "{path}");
        assert_eq!(names.len(), depth, "{path}");
        assert!(path.split('/').all(|name| name.len() <= 255 && !name.starts_with('.')), "{path}");
    }
}
