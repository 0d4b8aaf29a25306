//! One stock's windows during one ownership of its partition.
//!
//! Folds batches, answers barriers, and shows its newest open bar to the live feed. It dies with the ownership: when the consumer
//! drops its address after a rebalance, nothing of it reaches the lake, because the writer ignores answers of an old epoch.

use std::time::Duration;

use actix::prelude::*;

use super::wall_clock::WallClock;
use crate::fail_points::Place;
use crate::market::barrier::WindowAnswer;
use crate::market::symbol::Symbol;
use crate::market::time::{Span, WindowSize};
use crate::market::watermark::Watermark;
use crate::market::window::StockWindows;
use crate::messages::barrier::{CloseWindows, WindowsAnswered};
use crate::messages::live::OpenBarChanged;
use crate::messages::tick_batch::TickBatch;

/// How often at most the live feed hears of an open bar.
const LIVE_INTERVAL: Duration = Duration::from_millis(200);

pub struct BarWindow {
    windows: StockWindows,
    wall: WallClock,
    writer: Recipient<WindowsAnswered>,
    live: Recipient<OpenBarChanged>,
    /// Ticks since the live feed was told.
    untold: u64,
    /// Of the first of these, when it was folded.
    age: Option<Span>,
    telling: bool,
}

impl BarWindow {
    pub fn new(
        symbol: Symbol,
        size: WindowSize,
        wall: WallClock,
        writer: Recipient<WindowsAnswered>,
        live: Recipient<OpenBarChanged>,
    ) -> Self {
        Self { windows: StockWindows::new(symbol, size), wall, writer, live, untold: 0, age: None, telling: false }
    }

    fn tell(&mut self) {
        self.telling = false;
        let (ticks, age) = (std::mem::take(&mut self.untold), self.age.take());
        if let Some(newest) = self.windows.newest() {
            self.live.do_send(OpenBarChanged { bar: newest.to_bar(self.windows.symbol()), ticks, age });
        }
    }
}

impl Actor for BarWindow {
    type Context = Context<Self>;
}

impl Handler<TickBatch> for BarWindow {
    type Result = ();

    fn handle(&mut self, batch: TickBatch, ctx: &mut Self::Context) {
        Place::WindowFold.reached();
        for tick in &batch.ticks {
            self.windows.fold(tick);
        }
        self.untold += batch.ticks.len() as u64;
        if !self.telling {
            self.telling = true;
            self.age = batch.published.map(|published| self.wall.now() - published);
            ctx.run_later(LIVE_INTERVAL, |window, _| window.tell());
        }
    }
}

impl Handler<CloseWindows> for BarWindow {
    type Result = ();

    fn handle(&mut self, CloseWindows(barrier): CloseWindows, _: &mut Self::Context) {
        Place::WindowClose.reached();
        let closed = self.windows.close(Watermark::restored(barrier.checkpoint.watermark));
        self.writer.do_send(WindowsAnswered {
            partition: barrier.partition.clone(),
            epoch: barrier.epoch,
            cut: barrier.checkpoint.cut,
            answer: WindowAnswer { closed, still_open: self.windows.still_open() },
        });
    }
}

#[cfg(test)]
mod tests;
