//! What the live view is told.

use std::collections::BTreeSet;

use actix::Message;

use crate::kafka::retention::NearestLoss;
use crate::market::bar::Bar;
use crate::market::symbol::Symbol;
use crate::market::time::Span;

/// A window to the live feed, a few times a second at most: its newest open bar as it stands.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct OpenBarChanged {
    pub bar: Bar,
    /// Ticks folded since the message before.
    pub ticks: u64,
    /// How long before it was folded the first of them had been published; by two clocks, when that was elsewhere.
    pub age: Option<Span>,
}

/// Coordinator to the live feed: the stocks of the settings; others are not shown.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct ShowStocks(pub BTreeSet<Symbol>);

/// Consumer to the live feed, about once a second: records between the position and the end of the log, all partitions.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct LagMeasured {
    pub records: u64,
}

/// The watch over the broker's retention to the live feed, seldom: the partition that has the least of its log left.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct RetentionMeasured(pub NearestLoss);
