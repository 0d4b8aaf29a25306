//! Several processes, one group, one lake.

mod support;

use support::flow::Flow;
use support::ticks::{Recipe, Ticks};
use support::watcher::Watcher;

#[test]
fn a_watcher_reads_what_the_program_writes() {
    let flow = Flow::new(true, "");
    let watcher = Watcher::start(&flow.lake());
    flow.publish(&Ticks::make(&Recipe { lines: 5_000, ..Recipe::default() }).lines);
    let summary = flow.until_end();
    let watched = watcher.end();
    assert_eq!((watched.bars as u64, watched.features as u64), (summary.bars, summary.feature_rows));
}
