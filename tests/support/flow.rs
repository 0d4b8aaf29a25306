//! A cluster hosted by the test, and a lake that the program makes of its topics.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

use stockstream::kafka::topics::partition_of_key;
use stockstream::market::bar::Bar;
use stockstream::market::checkpoint::TopicPartition;
use tempfile::TempDir;

use super::cluster::Cluster;
use super::kept_logs::KeptLogs;
use super::lake::{assert_same, bars, checkpoints, count_of};
use super::oracle::{Counts, Facts, LogRecord, one_pass};
use super::program::{Program, Running, Summary};
use super::replays::sum;
use super::ticks::STOCKS;

/// Topics of the layout with one a stock, in the order of [`STOCKS`].
pub const PER_STOCK: [&str; 4] =
    ["stock_topic.AAPL", "stock_topic.BRK_2eB", "stock_topic.EURUSD_3dX", "stock_topic.GSPC_5f5_5e"];
/// Of the keyed topic.
pub const PARTITIONS: i32 = 3;

/// A cluster, and a lake that a consuming program makes of its topics.
pub struct Flow {
    pub cluster: Cluster,
    pub dir: TempDir,
    pub keyed: bool,
    kept: Mutex<KeptLogs>,
}

impl Flow {
    /// One broker; `more` is settings before the stocks. No simulation runs.
    pub fn new(keyed: bool, more: &str) -> Self {
        Self::on(Cluster::start(), keyed, &format!("[producer]\nenabled = false\n{more}"))
    }

    /// `more` is settings before the stocks; it may begin with properties of the Kafka clients.
    pub fn on(cluster: Cluster, keyed: bool, more: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let layout = if keyed {
            cluster.create_topic("stock_ticks", PARTITIONS);
            "layout = \"keyed\"\npartitions = 3\n"
        } else {
            PER_STOCK.iter().for_each(|topic| cluster.create_topic(topic, 1));
            ""
        };
        let stocks = STOCKS.map(|symbol| format!("[[stocks]]\nsymbol = \"{symbol}\"\ninitial_price = 1.0\n")).concat();
        let settings = cluster.settings();
        let (kafka, properties) = settings.split_at(settings.find("[kafka.properties]").unwrap());
        let settings = format!("{kafka}{layout}{properties}{more}{stocks}");
        std::fs::write(dir.path().join("cluster.toml"), settings).unwrap();
        Self { cluster, dir, keyed, kept: Mutex::default() }
    }

    pub fn lake(&self) -> PathBuf {
        self.dir.path().join("lake")
    }

    pub fn program(&self, arguments: &[&str]) -> Program {
        let arguments = [arguments, &["--settings", "cluster.toml", "--json"]].concat();
        Program::new(self.dir.path(), &arguments)
    }

    /// Reads everything that is published and stops.
    #[track_caller]
    pub fn until_end(&self) -> Summary {
        let summary = self.program(&["run", "--until-end"]).run().summary();
        let cuts: BTreeMap<TopicPartition, i64> = checkpoints(&self.lake())
            .into_iter()
            .map(|(partition, checkpoint)| (partition, checkpoint.cut.0))
            .collect();
        for (topic, number) in self.partitions() {
            let partition = TopicPartition::new(topic, number);
            let end = self.log(&partition).last().map(|record| record.offset + 1);
            assert_eq!(end, cuts.get(&partition).copied().filter(|cut| *cut > 0), "{partition} was read to its end");
        }
        summary
    }

    /// Looks at a log before the brokers forget more of it.
    pub fn keep_log(&self, partition: &TopicPartition) {
        self.kept.lock().unwrap().keep(&self.cluster, partition);
    }

    /// The same with every log.
    pub fn keep_logs(&self) {
        self.partitions().into_iter().for_each(|(topic, number)| self.keep_log(&TopicPartition::new(topic, number)));
    }

    /// The whole log of a partition, also what the brokers have forgotten since it was looked at.
    pub fn log(&self, partition: &TopicPartition) -> Vec<LogRecord> {
        self.keep_log(partition);
        self.kept.lock().unwrap().log(partition)
    }

    /// The whole log of every partition, one after the other.
    pub fn logs(&self) -> Vec<Vec<LogRecord>> {
        let partitions = self.partitions().into_iter();
        partitions.map(|(topic, number)| self.log(&TopicPartition::new(topic, number))).collect()
    }

    pub fn partition_of(&self, line: &[u8]) -> (&str, i32) {
        let symbol = line.split(|byte| *byte == b',').nth(1).unwrap_or_default();
        match self.keyed {
            true => ("stock_ticks", partition_of_key(symbol, PARTITIONS)),
            false => {
                let stock = STOCKS.iter().position(|stock| stock.as_bytes() == symbol);
                (PER_STOCK[stock.unwrap_or(0)], 0)
            }
        }
    }

    pub fn partitions(&self) -> Vec<(&str, i32)> {
        match self.keyed {
            true => (0..PARTITIONS).map(|number| ("stock_ticks", number)).collect(),
            false => PER_STOCK.map(|topic| (topic, 0)).to_vec(),
        }
    }

    /// Returns when everything has arrived.
    pub fn publish(&self, lines: &[Vec<u8>]) {
        for partition in self.partitions() {
            let own = lines.iter().filter(|line| self.partition_of(line) == partition);
            self.cluster.publish(partition.0, partition.1, own.map(Vec::as_slice));
        }
        self.cluster.flush();
    }

    /// Waits until there are this many bars more of the last stock.
    pub fn until_more_bars(&self, running: &mut Running, more: usize) {
        let wanted = count_of(&self.lake(), STOCKS[3]) + more;
        running.until(&format!("there are {wanted} bars"), || count_of(&self.lake(), STOCKS[3]) >= wanted);
    }

    /// One pass over the logs below the cuts of the lake, by the facts that its checkpoints state. That the cuts are the ends of the logs is for
    /// [`until_end`](Self::until_end).
    pub fn oracle(&self) -> (Vec<Bar>, Counts) {
        let (mut bars, mut counts) = (Vec::new(), Counts::default());
        for (partition, checkpoint) in checkpoints(&self.lake()) {
            let mut log = self.log(&partition);
            log.retain(|record| record.offset < checkpoint.cut.0);
            let outcome = one_pass(&log, &Facts::of(&checkpoint));
            let committed = checkpoint.counters;
            let stated = Counts {
                read: committed.read,
                in_bars: committed.in_bars,
                open: checkpoint.open_ticks,
                late: committed.late,
                malformed: committed.malformed,
                future: committed.future,
                unknown: committed.unknown,
            };
            assert_eq!(stated, outcome.counts, "the checkpoint of {partition}");
            assert_eq!(checkpoint.watermark, outcome.watermark, "of {partition}");
            bars.extend(outcome.bars);
            counts = sum(&counts, &outcome.counts);
        }
        bars.sort_by(|a: &Bar, b| (&a.symbol, a.window_start).cmp(&(&b.symbol, b.window_start)));
        (bars, counts)
    }

    /// The lake is exactly what one pass over the logs gives.
    #[track_caller]
    pub fn assert_lake_is_right(&self) -> Counts {
        let (wanted, counts) = self.oracle();
        assert_same("bars", &bars(&self.lake()), &wanted);
        counts
    }
}
