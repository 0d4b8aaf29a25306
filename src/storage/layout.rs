//! Every path and name of the lake, and how they are read back. Paths are relative to the lake, with `/`.
//!
//! ```text
//! bars/date=2025-05-14/stock_topic.AAPL-0-000000017.parquet
//! features/date=2025-05-14/<same name>
//! state/stock_topic.AAPL-0/000000017.parquet
//! ```

use crate::market::bar::Bar;
use crate::market::checkpoint::{CommitNumber, TopicPartition};

/// The private directory: chains, locks, staging.
pub const STATE: &str = "state";
/// Who the lake belongs to.
pub const IDENTITY: &str = "state/lake.json";
/// Held by every process that writes; see [`super::Sharing`].
pub const OWNER_LOCK: &str = "state/owner.lock";
/// Held by the one process that simulates the stocks, of those that share the lake; see [`super::Simulating`].
pub const PRODUCERS_LOCK: &str = "state/producers.lock";
/// Held shared while a name is put into a dataset, exclusively while compaction exchanges a directory.
pub const PUBLISH_LOCK: &str = "state/publish.lock";
/// Files being written begin so; they never stand in a dataset.
pub const TEMPORARY: &str = ".tmp-";

/// All that a lake's own directory holds.
pub const DIRS: [&str; 3] = [STATE, Dataset::Bars.dir(), Dataset::Features.dir()];

/// Names in the lake's own directory that are nobody's business: hidden ones, and what file systems put there, unless they say that they hold
/// rows. A lake may be a mount point, and a desktop leaves its notes in it.
pub fn is_let_be(name: &str) -> bool {
    (name.starts_with('.') || name == "lost+found") && !name.ends_with(PARQUET)
}

const PARQUET: &str = ".parquet";
const QUARANTINED: &str = ".parquet.quarantined";
const DATE: &str = "date=";

/// A public directory of the lake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dataset {
    Bars,
    Features,
}

impl Dataset {
    /// The name of its directory.
    pub const fn dir(self) -> &'static str {
        match self {
            Dataset::Bars => "bars",
            Dataset::Features => "features",
        }
    }

    /// `bars/date=2025-05-14`
    pub fn date_dir(self, date: &str) -> String {
        format!("{}/{DATE}{date}", self.dir())
    }
}

/// The published rows of one commit. Its features file has the same name and date in the other dataset.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BarsFile {
    pub partition: TopicPartition,
    pub number: CommitNumber,
    /// `YYYY-MM-DD`, UTC.
    pub date: String,
}

impl BarsFile {
    /// Where the rows of a commit are published; nowhere if it has none.
    pub fn of(partition: &TopicPartition, number: CommitNumber, rows: &[Bar]) -> Option<Self> {
        let date = rows.first()?.window_start.date();
        Some(Self { partition: partition.clone(), number, date })
    }

    /// `stock_topic.AAPL-0-000000017.parquet`
    pub fn name(&self) -> String {
        public_name(&self.partition, self.number)
    }

    /// Where it stands in a dataset.
    pub fn path(&self, dataset: Dataset) -> String {
        format!("{}/{}", dataset.date_dir(&self.date), self.name())
    }
}

/// `stock_topic.AAPL-0-000000017.parquet`
pub fn public_name(partition: &TopicPartition, number: CommitNumber) -> String {
    format!("{partition}-{number}{PARQUET}")
}

/// `state/stock_topic.AAPL-0`
pub fn chain_dir(partition: &TopicPartition) -> String {
    format!("{STATE}/{partition}")
}

/// `state/stock_topic.AAPL-0/000000017.parquet`
pub fn entry(partition: &TopicPartition, number: CommitNumber) -> String {
    format!("{STATE}/{partition}/{number}{PARQUET}")
}

/// Where an unreadable entry is put aside; its number stays taken.
pub fn quarantined(partition: &TopicPartition, number: CommitNumber) -> String {
    format!("{STATE}/{partition}/{number}{QUARANTINED}")
}

/// The saved indicator state of a partition.
pub fn indicators(partition: &TopicPartition) -> String {
    format!("{STATE}/{partition}/indicators")
}

/// A name in a chain's directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryName {
    Entry(CommitNumber),
    Quarantined(CommitNumber),
}

impl EntryName {
    /// The number, which is taken either way.
    pub fn number(self) -> CommitNumber {
        match self {
            EntryName::Entry(number) | EntryName::Quarantined(number) => number,
        }
    }

    /// `None` for everything else that may stand in the directory.
    pub fn parse(name: &str) -> Option<Self> {
        if let Some(digits) = name.strip_suffix(QUARANTINED) {
            return parse_number(digits).map(EntryName::Quarantined);
        }
        parse_number(name.strip_suffix(PARQUET)?).map(EntryName::Entry)
    }
}

/// `None` for names that are not of one commit.
pub fn parse_public_name(name: &str) -> Option<(TopicPartition, CommitNumber)> {
    let (partition, digits) = name.strip_suffix(PARQUET)?.rsplit_once('-')?;
    Some((parse_partition(partition)?, parse_number(digits)?))
}

/// The date of a directory `date=2025-05-14`.
pub fn parse_date_dir(name: &str) -> Option<&str> {
    let date = name.strip_prefix(DATE)?;
    let digits = date.bytes().enumerate().all(|(i, b)| if i == 4 || i == 7 { b == b'-' } else { b.is_ascii_digit() });
    (date.len() == 10 && digits).then_some(date)
}

/// `stock_topic.AAPL-0` as it stands in `state/`.
pub fn parse_partition(name: &str) -> Option<TopicPartition> {
    let (topic, partition) = name.rsplit_once('-')?;
    let plain = !partition.is_empty() && partition.bytes().all(|b| b.is_ascii_digit());
    let parsed = TopicPartition::new(topic, plain.then(|| partition.parse().ok())??);
    (is_usable(&parsed) && parsed.to_string() == name).then_some(parsed)
}

/// Whether the partition's name can be a directory: what Kafka allows in a topic, and nothing that hides or is reserved.
pub fn is_usable(partition: &TopicPartition) -> bool {
    let topic = &partition.topic;
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    partition.partition >= 0
        && (1..=200).contains(&topic.len())
        && topic.bytes().all(plain)
        && !topic.starts_with('.')
        && !topic.starts_with("compact-")
}

fn parse_number(digits: &str) -> Option<CommitNumber> {
    let number = CommitNumber(digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())??);
    (number.to_string() == digits && number.0 > 0).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_as_what_they_were_made_of() {
        let partition = TopicPartition::new("stock_topic.BRK_2eB-x", 12);
        let file = BarsFile { partition: partition.clone(), number: CommitNumber(17), date: "2025-05-14".into() };
        assert_eq!(file.path(Dataset::Bars), "bars/date=2025-05-14/stock_topic.BRK_2eB-x-12-000000017.parquet");
        assert_eq!(parse_public_name(&file.name()), Some((partition.clone(), CommitNumber(17))));
        assert_eq!(parse_partition(&partition.to_string()), Some(partition.clone()));
        let large = CommitNumber(12_345_678_901);
        assert_eq!(EntryName::parse("12345678901.parquet"), Some(EntryName::Entry(large)));
        assert_eq!(EntryName::parse("000000003.parquet.quarantined"), Some(EntryName::Quarantined(CommitNumber(3))));
    }

    #[test]
    fn foreign_names_are_not_read_as_ours() {
        for name in
            ["17.parquet", "0000000017.parquet", "000000000.parquet", "indicators", ".tmp-1", "+00000017.parquet"]
        {
            assert_eq!(EntryName::parse(name), None, "{name}");
        }
        for name in ["m1.parquet", "a-0-17.parquet", "a-000000017.parquet", "x.parquet"] {
            assert_eq!(parse_public_name(name), None, "{name}");
        }
        for name in ["lake.json", "owner.lock", "compact-2025-05-14", "..-0", "a-01", "-0"] {
            assert_eq!(parse_partition(name), None, "{name}");
        }
        assert_eq!(parse_date_dir("date=2025-05-14"), Some("2025-05-14"));
        assert_eq!(parse_date_dir("date=2025-5-14"), None);
    }

    proptest::proptest! {
        #[test]
        fn a_partition_is_one_plain_directory_or_none(topic in "[a-zA-Z0-9._/\\\\-]{1,12}", number in -2..100i32) {
            let partition = TopicPartition::new(&topic, number);
            if is_usable(&partition) {
                let path = chain_dir(&partition);
                let plain = |part| matches!(part, std::path::Component::Normal(_));
                let parts: Vec<_> = std::path::Path::new(&path).components().collect();
                proptest::prop_assert!(parts.len() == 2 && parts.into_iter().all(plain), "{path}");
                proptest::prop_assert_eq!(parse_partition(&partition.to_string()), Some(partition));
            }
        }
    }
}
