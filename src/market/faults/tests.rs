use proptest::prelude::*;

use super::*;
use crate::market::codec::decode;
use crate::market::time::WindowSize;
use crate::market::watermark::Watermark;

const NONE: FaultDials = FaultDials { late: 0.0, out_of_order: 0.0, duplicate: 0.0, corrupt: 0.0 };
const SOME: FaultDials = FaultDials { late: 0.05, out_of_order: 0.10, duplicate: 0.03, corrupt: 0.02 };

fn rules(window: i64, lateness: i64) -> BarRules {
    let window = WindowSize::new(Span::from_secs(window)).unwrap();
    BarRules { window, lateness: Span::from_secs(lateness), max_ahead: Span::from_secs(60) }
}

fn injector(dials: FaultDials, rules: BarRules, seed: u64) -> FaultInjector {
    FaultInjector::new(dials, rules, seed, &Symbol::new("AAPL").unwrap(), None)
}

/// Ticks every `step` seconds from 2025-05-14T15:30:00Z on.
fn honest(step: i64) -> impl Iterator<Item = WireTick<'static>> {
    (0..).map(move |k| WireTick {
        event_time: EventTime::from_micros((1_747_236_600 + k * step) * 1_000_000),
        symbol: "AAPL",
        price: 211.45 + k as f64,
        volume: None,
    })
}

fn spoiled(injector: &mut FaultInjector, step: i64, count: usize) -> Vec<SimulatedLine> {
    let mut lines: Vec<_> = honest(step).take(count).flat_map(|tick| injector.spoil(&tick)).collect();
    lines.extend(injector.finish());
    lines
}

/// What a consumer of these lines makes of them: late, malformed, on time.
fn consumed(lines: &[SimulatedLine], rules: BarRules) -> (u64, u64, u64) {
    let (mut watermark, mut late, mut malformed, mut on_time) = (Watermark::START, 0, 0, 0);
    for line in lines {
        match decode(&line.payload) {
            Err(_) => malformed += 1,
            Ok(tick) if watermark.has_passed(rules.window.end_of(tick.event_time)) => late += 1,
            Ok(tick) => {
                watermark.observe(tick.event_time, rules.lateness);
                on_time += 1;
            }
        }
    }
    (late, malformed, on_time)
}

#[test]
fn with_all_dials_at_0_the_stream_is_as_it_was() {
    let lines = spoiled(&mut injector(NONE, rules(300, 600), 1), 5, 1000);
    let expected: Vec<_> = honest(5).take(1000).map(|tick| line_of(&tick)).collect();
    assert!(lines.iter().all(|line| line.kind == TickKind::Honest));
    assert_eq!(lines.into_iter().map(|line| line.payload).collect::<Vec<_>>(), expected);
}

#[test]
fn each_fault_has_about_its_share() {
    let mut injector = injector(SOME, rules(300, 600), 1);
    spoiled(&mut injector, 5, 40_000);
    let tally = injector.tally();
    let share = |count: u64| count as f64 / 40_000.0;
    assert!((share(tally.late) - 0.05).abs() < 0.005, "{tally:?}");
    // A tick cannot be swapped while another is held back.
    assert!((share(tally.out_of_order) - 0.10 / 1.10).abs() < 0.007, "{tally:?}");
    assert!((share(tally.duplicate) - 0.03).abs() < 0.004, "{tally:?}");
    assert!((share(tally.corrupt) - 0.02).abs() < 0.003, "{tally:?}");
}

#[test]
fn the_same_seed_spoils_the_same_ticks() {
    let lines = |seed| spoiled(&mut injector(SOME, rules(300, 600), seed), 5, 2000);
    assert_eq!(lines(7), lines(7));
    assert_ne!(lines(7), lines(8));
}

#[test]
fn an_out_of_order_tick_changes_places_with_the_next_one() {
    let lines = spoiled(&mut injector(FaultDials { out_of_order: 1.0, ..NONE }, rules(300, 600), 1), 5, 4);
    let order: Vec<f64> =
        lines.iter().map(|line| decode(&line.payload).unwrap().price - 211.45).map(f64::round).collect();
    assert_eq!(order, [1.0, 0.0, 3.0, 2.0]);
    assert_eq!(lines[1].kind, TickKind::OutOfOrder);
}

#[test]
fn nothing_is_swapped_over_more_than_the_lateness() {
    let mut injector = injector(FaultDials { out_of_order: 0.5, ..NONE }, rules(300, 4), 1);
    let lines = spoiled(&mut injector, 5, 1000);
    assert!(lines.iter().all(|line| line.kind == TickKind::Honest));
    assert_eq!(injector.tally().honest, 1000);
}

#[test]
fn every_way_to_break_a_line_breaks_it() {
    let lines = spoiled(&mut injector(FaultDials { corrupt: 1.0, ..NONE }, rules(300, 600), 1), 5, 500);
    let reasons: std::collections::HashSet<_> = lines.iter().map(|line| decode(&line.payload).unwrap_err()).collect();
    assert_eq!(lines.len(), 500);
    assert!(reasons.len() >= 5, "{reasons:?}");
}

proptest! {
    #[test]
    fn a_consumer_counts_exactly_what_was_sent(
        seed: u64,
        shares in [0.0_f64..0.4, 0.0_f64..0.4, 0.0_f64..0.4, 0.0_f64..0.4],
        window in prop::sample::select(vec![1_i64, 60, 300, 3600, 86_400]),
        lateness in 0_i64..1000,
        step in 1_i64..1000,
        count in 0_usize..400,
    ) {
        let [late, out_of_order, duplicate, corrupt] = shares;
        let rules = rules(window, lateness);
        let mut injector = injector(FaultDials { late, out_of_order, duplicate, corrupt }, rules, seed);
        let lines = spoiled(&mut injector, step, count);
        let FaultTally { honest, late, out_of_order, duplicate, corrupt } = injector.tally();
        prop_assert_eq!(consumed(&lines, rules), (late, corrupt, honest + out_of_order + duplicate));
        prop_assert_eq!(honest + late + out_of_order + corrupt, count as u64, "each tick is sent once, in some form");
    }

    #[test]
    fn a_line_is_out_of_order_exactly_when_it_says_so(seed: u64, out_of_order in 0.0_f64..1.0, step in 1_i64..600) {
        let mut injector = injector(FaultDials { out_of_order, ..SOME }, rules(300, 600), seed);
        let mut newest = EventTime::MIN;
        for line in spoiled(&mut injector, step, 300) {
            let Ok(tick) = decode(&line.payload) else { continue };
            prop_assert_eq!(tick.event_time < newest, matches!(line.kind, TickKind::OutOfOrder | TickKind::Late));
            newest = newest.max(tick.event_time);
        }
    }
}
