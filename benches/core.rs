//! What the pure core costs: a tick from its payload to its bar, a commit to its bytes.
//! Bars to features are in `benches/indicators.rs`.
//!
//! `cargo bench --bench core`; the throughput column counts ticks, bars or rows: 20 Mitem/s are 50 ns an item.

use std::time::Duration;

use divan::Bencher;
use divan::counter::ItemsCount;

use stockstream::kafka::dead_letters::{Kinds, Sampled, Sampler, cost};
use stockstream::market::bar::Bar;
use stockstream::market::checkpoint::{Checkpoint, Commit, CommitNumber, TopicPartition};
use stockstream::market::codec::decode;
use stockstream::market::partition::Verdict;
use stockstream::market::tick::Tick;
use stockstream::market::watermark::Watermark;
use stockstream::market::window::StockWindows;
use stockstream::settings::{Compression, Layout};
use stockstream::storage::parquet::{decode_commit, encode_commit};

#[path = "support/bad_records.rs"]
mod bad_records;
#[path = "support/core_pass.rs"]
mod core_pass;
#[path = "support/work.rs"]
mod work;

use bad_records::BadKind;
use core_pass::{core_pass, cursor, records, rules, window};
use work::{Universe, Work};

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TICKS: usize = 100_000;
const LAYOUTS: [Layout; 2] = [Layout::PerStock, Layout::Keyed];

fn main() {
    divan::main();
}

/// A payload to a tick.
#[divan::bench]
fn decode_payload(bencher: Bencher<'_, '_>) {
    let payloads = Work::of_one_partition(Universe::of(Layout::PerStock), 0).payloads(TICKS);
    bencher
        .counter(ItemsCount::new(TICKS))
        .bench(|| payloads.iter().filter_map(|payload| decode(payload).ok()).map(|tick| tick.price).sum::<f64>());
}

/// A record to its verdict: decoded, its stock found, judged against the watermark.
#[divan::bench(args = LAYOUTS)]
fn judge(bencher: Bencher<'_, '_>, layout: Layout) {
    let mut work = Work::of_one_partition(Universe::of(layout), 0);
    let payloads = work.payloads(TICKS);
    bencher.counter(ItemsCount::new(TICKS)).with_inputs(|| cursor(&work.symbols)).bench_refs(|cursor| {
        records(&payloads).filter(|record| matches!(cursor.read(*record), Verdict::Tick(..))).count()
    });
}

/// A record that comes to no bar, of a flood: judged, and its dead letter left out.
#[divan::bench(args = BadKind::ALL)]
fn leave_out(bencher: Bencher<'_, '_>, kind: BadKind) {
    let mut work = Work::of_one_partition(Universe::of(Layout::PerStock), 0);
    let mut payloads = work.payloads(1);
    let (mut payload, symbol) = (Vec::new(), work.symbols[0].clone());
    kind.write(&symbol, &mut payload);
    (0..TICKS).for_each(|_| payloads.push(&payload));
    let (mut sampler, mut source) = (Sampler::default(), Kinds::default());
    while sampler.offer(&mut source, kind.name(), 1, Duration::ZERO) != Sampled::Suppress {}
    bencher.counter(ItemsCount::new(TICKS)).with_inputs(|| cursor(&work.symbols)).bench_local_refs(|cursor| {
        let mut left_out = 0;
        for record in records(&payloads) {
            if let Verdict::Dropped(reason) = cursor.read(record) {
                let sampled = sampler.offer(&mut source, reason.name(), cost(payload.len()), Duration::ZERO);
                left_out += usize::from(sampled == Sampled::Suppress);
            }
        }
        assert_eq!(left_out, TICKS);
    });
}

/// Ticks of one stock into its windows, 60 a bar, and the windows closed two bars behind.
#[divan::bench]
fn fold(bencher: Bencher<'_, '_>) {
    let mut work = Work::of_one_partition(Universe::of(Layout::PerStock), 0);
    let payloads = work.payloads(TICKS);
    let mut cursor = cursor(&work.symbols);
    let ticks: Vec<Tick> = records(&payloads)
        .filter_map(|record| match cursor.read(record) {
            Verdict::Tick(_, tick) => Some(tick),
            _ => None,
        })
        .collect();
    bencher.counter(ItemsCount::new(TICKS)).bench(|| {
        let mut windows = StockWindows::new(work.symbols[0].clone(), window());
        let mut watermark = Watermark::START;
        let mut bars = 0;
        for bar in ticks.chunks(60) {
            bar.iter().for_each(|tick| windows.fold(tick));
            watermark.observe(bar[0].event_time, rules().lateness);
            bars += windows.close(watermark).len();
        }
        bars
    });
}

/// Everything between the client and the disk: judge, collect by stock, fold, close.
#[divan::bench(args = LAYOUTS)]
fn whole_core(bencher: Bencher<'_, '_>, layout: Layout) {
    let mut work = Work::of_one_partition(Universe::of(layout), 0);
    let payloads = work.payloads(TICKS);
    bencher.counter(ItemsCount::new(TICKS)).bench(|| core_pass(&work.symbols, &payloads));
}

/// The first `rows` bars of a partition of the layout `keyed`, sorted as a file has them.
fn commit_of(rows: usize) -> Commit {
    let mut work = Work::of_one_partition(Universe::of(Layout::Keyed), 0);
    // Sixty ticks a bar, and three bars a stock that are not closed yet.
    let payloads = work.payloads(60 * (rows + 4 * work.symbols.len()));
    let closed = core_pass(&work.symbols, &payloads);
    let mut bars: Vec<Bar> = closed.into_iter().take(rows).map(|closed| closed.bar).collect();
    assert_eq!(bars.len(), rows);
    bars.sort_by(|a, b| (&a.symbol, a.window_start).cmp(&(&b.symbol, b.window_start)));
    let mut checkpoint = Checkpoint::genesis(rules(), "bench");
    checkpoint.known = work.symbols.into_iter().map(|symbol| (symbol, checkpoint.cut)).collect();
    Commit { rows: bars.into(), checkpoint }
}

fn partition() -> TopicPartition {
    TopicPartition::new("stock_ticks", 0)
}

fn encode(commit: &Commit) -> Vec<u8> {
    encode_commit(&partition(), CommitNumber(1), commit, Compression::Zstd).expect("all prices are numbers")
}

/// A commit to the bytes of its Parquet file.
#[divan::bench(args = [4, 125, 10_000])]
fn commit_to_bytes(bencher: Bencher<'_, '_>, rows: usize) {
    let commit = commit_of(rows);
    bencher.counter(ItemsCount::new(rows)).bench(|| encode(&commit));
}

/// And back, checksums and all.
#[divan::bench(args = [4, 125, 10_000])]
fn commit_from_bytes(bencher: Bencher<'_, '_>, rows: usize) {
    let bytes = encode(&commit_of(rows));
    bencher.counter(ItemsCount::new(rows)).bench(|| decode_commit(&bytes));
}
