//! Ticks that are out of order, late, from the future, or no ticks: each is counted for what it is, and only good ones move the
//! watermark.

mod support;

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use stockstream::market::time::{EventTime, Span};
use support::effort::{Effort, seed};
use support::flow::Flow;
use support::lake::{bars, checkpoints};
use support::oracle::{Counts, parse};
use support::replays::sum;
use support::ticks::{Recipe, START, STOCKS, Ticks};

const LATENESS: Span = Span::from_secs(600);

/// Numbers at the edges of what a number may be, in the place of a price and of a volume; `true`: a good tick.
const PRICES: [(&str, bool); 14] = [
    ("-1", false),
    ("-0.0", false),
    ("0", false),
    ("NaN", false),
    ("nan", false),
    ("inf", false),
    ("-inf", false),
    ("1e400", false),
    ("", false),
    ("0x10", false),
    ("1e308", true),
    ("1.7976931348623157e308", true),
    ("5e-324", true),
    ("1e-400", false),
];
const VOLUMES: [(&str, bool); 9] = [
    ("-1", false),
    ("NaN", false),
    ("inf", false),
    ("1e400", false),
    ("-0.0", true),
    ("0", true),
    ("1e308", true),
    ("1.7976931348623157e308", true),
    ("5e-324", true),
];

/// Good and bad ticks with such numbers, of this event time, and how many are good.
fn extremes(random: &mut StdRng, time: i64) -> (Vec<Vec<u8>>, Counts) {
    let (mut lines, mut counts) = (Vec::new(), Counts::default());
    let mut push = |line: String, good: bool| {
        counts.read += 1;
        *(if good { &mut counts.in_bars } else { &mut counts.malformed }) += 1;
        lines.push(line.into_bytes());
    };
    for (price, good) in PRICES {
        push(format!("{time},{},{price}", STOCKS.choose(random).unwrap()), good);
        push(format!("{time},{},{price},1e308", STOCKS.choose(random).unwrap()), good);
    }
    for (volume, good) in VOLUMES {
        push(format!("{time},{},1.5,{volume}", STOCKS.choose(random).unwrap()), good);
    }
    lines.shuffle(random);
    (lines, counts)
}

/// The greatest event time of a good tick of every partition.
fn newest_good(flow: &Flow, lines: &[Vec<u8>]) -> BTreeMap<String, EventTime> {
    let now = EventTime::from_micros(START + 365 * 86_400 * 1_000_000);
    let mut newest = BTreeMap::new();
    for line in lines {
        let Some(tick) = parse(line).filter(|tick| tick.event_time < now && STOCKS.contains(&tick.symbol.as_str()))
        else {
            continue;
        };
        let (topic, partition) = flow.partition_of(line);
        let newest = newest.entry(format!("{topic}-{partition}")).or_insert(EventTime::MIN);
        *newest = tick.event_time.max(*newest);
    }
    newest
}

fn ticks_of_every_kind(keyed: bool) {
    let first = seed();
    for more in 0..Effort::of_this_run().pick(1, 3, 50) {
        ticks_of_every_kind_by(first.wrapping_add(more), keyed);
    }
}

fn ticks_of_every_kind_by(seed: u64, keyed: bool) {
    let mut random = StdRng::seed_from_u64(seed);
    let flow = Flow::new(keyed, "");
    let (mut start, mut all, mut counts) = (START, Vec::new(), Counts::default());
    for round in 0..2 {
        let spoiled = random.random_range(0.0..0.2);
        let recipe = Recipe { seed: seed.wrapping_add(round), lines: 4_000, start, spoiled, ..Recipe::default() };
        let ticks = Ticks::make(&recipe);
        let (more, of_more) = extremes(&mut random, ticks.newest);
        flow.publish(&ticks.lines);
        flow.publish(&more);
        counts = sum(&sum(&counts, &ticks.counts), &of_more);
        start = ticks.newest;
        all.extend(ticks.lines);
        all.extend(more);

        let summary = flow.until_end();
        let found = flow.assert_lake_is_right();
        let wanted = Counts { open: found.open, in_bars: counts.in_bars - found.open, ..counts };
        assert_eq!(found, wanted, "seed {seed}: as the maker of the ticks counted, {summary:?}");
        let newest = newest_good(&flow, &all);
        for (partition, checkpoint) in checkpoints(&flow.lake()) {
            let wanted = newest[&partition.to_string()] - LATENESS;
            assert_eq!(checkpoint.watermark, wanted, "seed {seed}: only good ticks move the watermark of {partition}");
        }
    }
    let bars = bars(&flow.lake());
    assert!(bars.iter().all(|bar| bar.low > 0.0 && bar.high.is_finite()));
    assert!(bars.iter().all(|bar| bar.volume.is_none_or(f64::is_finite) && bar.vwap.is_none_or(f64::is_finite)));
    assert!(bars.iter().any(|bar| bar.high > 1e307), "seed {seed}: the huge ones are in bars");
}

#[test]
fn f21_ticks_of_every_kind_are_counted_as_what_they_are_in_a_topic_for_each_stock() {
    ticks_of_every_kind(false);
}

#[test]
fn f21_ticks_of_every_kind_are_counted_as_what_they_are_in_a_keyed_topic() {
    ticks_of_every_kind(true);
}
