use proptest::prelude::*;

use super::*;

const DAY: i64 = 86_400;
const HOUR: i64 = 3_600;

/// 2025-05-14T15:30:00Z and some seconds.
fn wall(seconds: i64) -> EventTime {
    EventTime::from_micros((1_747_236_600 + seconds) * 1_000_000)
}

fn secs(seconds: i64) -> Duration {
    Duration::from_secs(seconds.unsigned_abs())
}

fn first_start() -> SimClock {
    SimClock::first_start(wall(0), Span::from_secs(10 * DAY), Span::from_secs(6 * HOUR), 10.0)
}

#[test]
fn a_first_start_has_its_history_at_once_and_then_runs_at_speed() {
    let mut clock = first_start();
    assert_eq!(clock.begin(), wall(-10 * DAY));
    assert_eq!(clock.now(Duration::ZERO, wall(0)), wall(-10 * DAY + 6 * HOUR));
    assert_eq!(clock.now(secs(60), wall(60)), wall(-10 * DAY + 6 * HOUR + 600));
}

#[test]
fn it_falls_back_to_real_time_when_it_catches_up() {
    let mut clock = SimClock::first_start(wall(0), Span::from_secs(900), Span::ZERO, 10.0);
    assert_eq!(clock.now(secs(99), wall(99)), wall(90));
    for seconds in 100..200 {
        assert_eq!(clock.now(secs(seconds), wall(seconds)), wall(seconds));
    }
}

#[test]
fn a_history_longer_than_the_past_ends_at_the_present() {
    let mut clock = SimClock::first_start(wall(0), Span::from_secs(60), Span::from_secs(HOUR), 10.0);
    assert_eq!(clock.now(Duration::ZERO, wall(0)), wall(0));
    assert_eq!(clock.now(secs(5), wall(5)), wall(5));
}

#[test]
fn a_restart_goes_on_where_it_stopped_without_a_burst() {
    let mut clock = SimClock::continued(wall(-HOUR), 10.0);
    assert_eq!(clock.begin(), wall(-HOUR));
    assert_eq!(clock.now(Duration::ZERO, wall(0)), wall(-HOUR));
    assert_eq!(clock.now(secs(1), wall(1)), wall(-HOUR + 10));
}

#[test]
fn a_restart_in_the_future_waits_for_the_wall_clock() {
    let mut clock = SimClock::continued(wall(120), 10.0);
    assert_eq!(clock.now(secs(119), wall(119)), wall(120));
    assert_eq!(clock.now(secs(130), wall(130)), wall(130), "the wait is not made up for");
}

#[test]
fn a_wall_clock_set_back_holds_event_time_only_where_it_would_run_ahead() {
    let mut far_behind = first_start();
    let before = far_behind.now(secs(10), wall(10));
    assert_eq!(far_behind.now(secs(11), wall(11 - HOUR)), before + Span::from_secs(10));
    let mut present = SimClock::continued(wall(0), 10.0);
    assert_eq!(present.now(secs(10), wall(10)), wall(10));
    assert_eq!(present.now(secs(11), wall(11 - HOUR)), wall(10));
    assert_eq!(present.now(secs(20 + HOUR), wall(20)), wall(20));
}

#[test]
fn a_wall_clock_set_forward_is_followed_at_speed() {
    let mut clock = SimClock::continued(wall(0), 10.0);
    clock.now(secs(10), wall(10));
    assert_eq!(clock.now(secs(11), wall(11 + HOUR)), wall(20));
    assert_eq!(clock.now(secs(1000), wall(1000 + HOUR)), wall(1000 + HOUR));
}

#[test]
fn another_speed_goes_on_from_what_was_reached_by_whoever_was_faster() {
    let mut common = SimClock::continued(wall(-DAY), 10.0);
    let at = common.now(secs(60), wall(60));
    let mut fast = common.with_speed(secs(60), at, 100.0);
    let reached = fast.now(secs(70), wall(70));
    assert_eq!(reached, at + Span::from_secs(1_000));
    assert_eq!(common.now(secs(70), wall(70)), at + Span::from_secs(100));
    let mut slow_again = common.with_speed(secs(70), reached, 10.0);
    assert_eq!(slow_again.now(secs(71), wall(71)), reached + Span::from_secs(10));
}

#[test]
fn the_wait_for_an_instant_counts_in_wall_time() {
    let mut clock = SimClock::continued(wall(-HOUR), 10.0);
    clock.now(secs(1), wall(1));
    assert_eq!(clock.wait_for(wall(-HOUR + 20)), secs(1));
    assert_eq!(clock.wait_for(wall(-HOUR)), Duration::ZERO);
}

#[test]
fn silence_counts_at_speed_up_to_the_wall_clock() {
    let idle = |last, speed, now| idle_event_time(wall(last), secs(30), speed, wall(now));
    assert_eq!(idle(-DAY, 10.0, 0), wall(-DAY + 300));
    assert_eq!(idle(-30, 10.0, 0), wall(0), "a live stream runs at 1 whatever the speed");
    assert_eq!(idle(40, 1.0, 0), wall(40), "a wall clock set back takes nothing away");
}

#[test]
fn ticks_are_due_at_equal_steps_one_a_call() {
    let mut schedule = TickSchedule::new(wall(0), Span::from_secs(5));
    assert_eq!(schedule.due(wall(-1)), None);
    let due: Vec<_> = std::iter::from_fn(|| schedule.due(wall(12))).collect();
    assert_eq!(due, [wall(0), wall(5), wall(10)]);
    assert_eq!(schedule.next(), wall(15));
}

#[test]
fn a_stock_goes_on_after_its_last_tick_and_every_closed_window() {
    let first = |last, closed_until, clock_now| {
        TickSchedule::continued(wall(last), wall(closed_until), wall(clock_now), Span::from_secs(5)).next()
    };
    assert_eq!(first(0, -600, 0), wall(5));
    assert_eq!(first(0, 300, 0), wall(300));
    assert_eq!(first(0, -600, DAY), wall(DAY));
    let nothing_closed = TickSchedule::continued(wall(0), EventTime::MIN, wall(0), Span::from_secs(5));
    assert_eq!(nothing_closed.next(), wall(5));
}

proptest! {
    #[test]
    fn event_time_never_steps_back_nor_ahead_of_the_wall_clock_nor_faster_than_speed(
        start in -100_000_i64..100,
        speed in 0.1_f64..1000.0,
        steps in prop::collection::vec((0_u64..5_000_000, -7_200_000_000_i64..7_200_000_000, 0..5), 1..60),
    ) {
        let mut clock = SimClock::continued(wall(start), speed);
        let (mut elapsed, mut set_by, mut last) = (0_u64, 0_i64, wall(start));
        for (micros, jump, chance) in steps {
            elapsed += micros;
            set_by += if chance == 0 { jump } else { 0 };
            let present = wall(0) + Span::from_micros(elapsed as i64 + set_by);
            let now = clock.now(Duration::from_micros(elapsed), present);
            prop_assert!(now >= last, "{} after {}", now, last);
            prop_assert!(now == last || now <= present, "{} ahead of {}", now, present);
            let most = micros as f64 * speed + 2.0;
            prop_assert!((now - last).micros() as f64 <= most, "{} to {} in {} us", last, now, micros);
            last = now;
        }
    }
}
