//! What all rows before a file say about it: each window of a stock once and ascending, the indicators, the count of ticks.
//! Pure.
//!
//! Holds the indicators of every stock, and the windows of one date.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::bars::check_conservation;
use super::chains::ticks_of;
use super::findings::{RowFaults, Rule};
use super::held::Held;
use crate::indicators::feature_row::FeatureRow;
use crate::indicators::state::IndicatorState;
use crate::indicators::stock::StockIndicators;
use crate::market::bar::Bar;
use crate::market::checkpoint::{BarRules, Checkpoint, TopicPartition};
use crate::market::symbol::Symbol;
use crate::market::time::EventTime;
use crate::storage::BarsFile;
use crate::words;

/// The lake up to a file.
#[derive(Clone, Debug, Default)]
pub struct History {
    stocks: HashMap<Symbol, StockHistory>,
    partitions: HashMap<TopicPartition, Tally>,
    /// Names of the files of this date, as [`StockHistory::today`] refers to them.
    files: Vec<String>,
}

#[derive(Clone, Debug)]
struct StockHistory {
    home: TopicPartition,
    indicators: StockIndicators,
    newest: EventTime,
    /// Windows of this date, with the file they stand in.
    today: Vec<(EventTime, usize)>,
}

/// What the files of a partition add up to.
#[derive(Clone, Debug, Default)]
struct Tally {
    /// Ticks in the bars of all files so far.
    ticks: u64,
    rules: Option<BarRules>,
    knowledge: Knowledge,
    /// Files since the last tally that have features and no bars.
    without_bars: Vec<BarsLost>,
    doubt: Doubt,
}

/// Whether the files of a partition have ever not added up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Doubt {
    #[default]
    None,
    Some,
}

/// Whether the indicators have seen all bars of a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Knowledge {
    #[default]
    Complete,
    /// The bars of a file since the last tally are unreadable or gone, its prices were taken from its features; its ticks are not
    /// known.
    TicksUnknown,
    /// Bars are missing, or some were taken in that should not have been: from here on nothing can be said about indicators.
    Lost,
}

/// What a tally says.
#[derive(Debug, Default)]
pub struct Sums {
    pub problems: Vec<String>,
    /// Files with features whose bars are gone: they are counted in checkpoints.
    pub bars_lost: Vec<BarsLost>,
    /// Files with features that no checkpoint knows of.
    pub strays: Vec<BarsLost>,
}

/// A file that has features and no bars.
#[derive(Clone, Debug)]
pub struct BarsLost {
    pub file: BarsFile,
    /// The bars, as the features tell them.
    pub held: Option<Held>,
}

/// What became of the bars of a file that has features.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Standing {
    Gone,
    Unreadable,
}

impl History {
    /// Dates ascend, and so do windows over them.
    pub fn begin_date(&mut self) {
        self.files.clear();
        self.stocks.values_mut().for_each(|stock| stock.today.clear());
    }

    /// How many stocks there are.
    pub fn stocks(&self) -> usize {
        self.stocks.len()
    }

    /// The partitions that have files.
    pub fn partitions(&self) -> impl Iterator<Item = &TopicPartition> {
        self.partitions.keys()
    }

    /// Takes in the next file of a partition, after its [`tally`](Self::tally). Returns for each bar the features that belong to
    /// it, `None` where that cannot be told.
    pub fn push_file(
        &mut self,
        partition: &TopicPartition,
        name: &str,
        bars: &[Bar],
        faults: &mut RowFaults,
    ) -> Vec<Option<FeatureRow>> {
        self.files.push(name.to_owned());
        let is_known = self.tally_of(partition).knowledge != Knowledge::Lost;
        let expected = bars.iter().map(|bar| self.push(partition, bar, faults));
        expected.map(|features| features.filter(|_| is_known)).collect()
    }

    fn push(&mut self, partition: &TopicPartition, bar: &Bar, faults: &mut RowFaults) -> Option<FeatureRow> {
        let (row, file) = ((&bar.symbol, bar.window_start), self.files.len() - 1);
        let stock = self.stocks.entry(bar.symbol.clone()).or_insert_with(|| StockHistory {
            home: partition.clone(),
            indicators: StockIndicators::new(),
            newest: EventTime::MIN,
            today: Vec::new(),
        });
        if stock.home != *partition {
            faults.add(Rule::Home, row, || format!("the stock has bars in partition {} too", stock.home));
            return None;
        }
        if bar.window_start <= stock.newest {
            let twin = stock.today.iter().find(|(window, _)| *window == bar.window_start);
            faults.add(Rule::Once, row, || match twin {
                Some((_, other)) if *other == file => String::from("stands twice in the file"),
                Some((_, other)) => format!("stands in {} too", self.files[*other]),
                None => format!("comes after the stock's window {}", stock.newest),
            });
            return None;
        }
        stock.newest = bar.window_start;
        stock.today.push((bar.window_start, file));
        Some(stock.indicators.push(bar))
    }

    /// Holds the checkpoint of a file against the files of the partition so far; returns what is wrong with it.
    pub fn tally(&mut self, partition: &TopicPartition, bars: &[Bar], checkpoint: &Checkpoint) -> Sums {
        let tally = self.tally_of(partition);
        let mut problems = Vec::from_iter(check_conservation(checkpoint).err());
        if tally.rules.replace(checkpoint.rules).is_some_and(|before| before != checkpoint.rules) {
            problems.push(String::from(
                "its window, lateness or max_ahead are others than those of the partition's files before it",
            ));
        }
        tally.ticks = tally.ticks.saturating_add(ticks_of(bars));
        let mut sums = tally.hold_against(checkpoint.counters.in_bars);
        problems.append(&mut sums.problems);
        Sums { problems, ..sums }
    }

    /// Holds the newest checkpoint of a partition against all its files, in which `ticks` should be.
    pub fn close(&mut self, partition: &TopicPartition, ticks: u64) -> Sums {
        self.tally_of(partition).hold_against(ticks)
    }

    /// Files that have features and no bars, of partitions that no checkpoint says more about.
    pub fn unaccounted(&mut self) -> Vec<BarsLost> {
        self.partitions.values_mut().flat_map(|tally| std::mem::take(&mut tally.without_bars)).collect()
    }

    /// Whether the files of a partition hold what its checkpoints count.
    pub fn adds_up(&self, partition: &TopicPartition) -> bool {
        self.partitions.get(partition).is_none_or(|tally| tally.doubt == Doubt::None)
    }

    /// Takes in the prices of a file whose bars nobody can read from its features, so that the indicators go on.
    pub fn stand_in(&mut self, file: &BarsFile, rows: &[FeatureRow], bars: Standing) {
        let partition = &file.partition;
        let prices: Vec<Bar> = rows.iter().map(as_bar).collect();
        self.push_file(partition, &file.name(), &prices, &mut RowFaults::default());
        let tally = self.tally_of(partition);
        if tally.knowledge == Knowledge::Complete {
            tally.knowledge = Knowledge::TicksUnknown;
        }
        match bars {
            Standing::Gone => {
                tally.without_bars.push(BarsLost { file: file.clone(), held: Held::in_features(rows) });
            }
            Standing::Unreadable => tally.doubt = Doubt::Some,
        }
    }

    /// The first stock of a partition whose indicators are not those of the state; `None` also when they cannot be known.
    pub fn disagrees(&self, partition: &TopicPartition, state: &IndicatorState) -> Option<Symbol> {
        if self.partitions.get(partition).is_none_or(|tally| tally.knowledge != Knowledge::Complete) {
            return None;
        }
        let own = |(symbol, stock): (&Symbol, &StockHistory)| {
            let differs = stock.home == *partition && state.stock(symbol) != Some(&stock.indicators);
            differs.then(|| symbol.clone())
        };
        let foreign = |symbol: &&Symbol| self.stocks.get(*symbol).is_none_or(|stock| stock.home != *partition);
        self.stocks.iter().filter_map(own).min().or_else(|| state.symbols().filter(foreign).min().cloned())
    }

    fn tally_of(&mut self, partition: &TopicPartition) -> &mut Tally {
        self.partitions.entry(partition.clone()).or_default()
    }
}

impl Tally {
    /// A difference is told once, and taken over.
    fn hold_against(&mut self, counted: u64) -> Sums {
        let held = std::mem::replace(&mut self.ticks, counted);
        let without_bars = std::mem::take(&mut self.without_bars);
        let sums = format!(
            "its checkpoint counts {} in bars, the partition's files up to it hold {held}",
            words::counted(counted, "tick")
        );
        match (held.cmp(&counted), self.knowledge) {
            (Ordering::Equal, Knowledge::TicksUnknown) if self.doubt == Doubt::None => {
                // what stood in for bars should not have
                self.knowledge = Knowledge::Lost;
                Sums { strays: without_bars, ..Sums::default() }
            }
            (Ordering::Less | Ordering::Equal, Knowledge::TicksUnknown) => {
                self.knowledge = Knowledge::Complete;
                self.doubt = Doubt::Some;
                Sums { bars_lost: without_bars, ..Sums::default() }
            }
            (Ordering::Equal, _) => Sums { bars_lost: without_bars, ..Sums::default() },
            (Ordering::Less, _) => {
                (self.knowledge, self.doubt) = (Knowledge::Lost, Doubt::Some);
                let problem = format!("{sums}: bars are missing, and features from here on cannot be checked");
                Sums { problems: vec![problem], bars_lost: without_bars, ..Sums::default() }
            }
            (Ordering::Greater, _) => {
                self.doubt = Doubt::Some;
                let problem = format!("{sums}: bars stand there that do not belong there");
                Sums { problems: vec![problem], bars_lost: without_bars, ..Sums::default() }
            }
        }
    }
}

fn as_bar(row: &FeatureRow) -> Bar {
    Bar {
        symbol: row.symbol.clone(),
        window_start: row.window_start,
        open: row.open,
        high: row.high,
        low: row.low,
        close: row.close,
        volume: None,
        vwap: None,
        ticks: 0,
    }
}
