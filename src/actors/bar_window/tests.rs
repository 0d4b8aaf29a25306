use super::*;
use crate::actors::testing::{Probe, all_done, barrier, genesis, minute, probe, shared, symbol, tick};
use crate::market::checkpoint::NextOffset;
use crate::market::tick::Tick;
use crate::market::time::EventTime;
use crate::market::window::StillOpen;
use crate::messages::credit::Credits;

struct Setup {
    window: Addr<BarWindow>,
    answers: Probe<WindowsAnswered>,
    live: Probe<OpenBarChanged>,
    credits: Credits,
}

impl Setup {
    fn new() -> Self {
        Self::at(minute(0))
    }

    /// By this wall clock.
    fn at(now: EventTime) -> Self {
        tokio::time::pause();
        let wall = WallClock::reading(move || now);
        let ((writer, answers), (feed, live)) = (probe(), probe());
        let window = BarWindow::new(symbol("AAPL"), genesis().rules.window, wall, writer, feed).start();
        Self { window, answers, live, credits: Credits::new(1_000) }
    }

    fn send(&self, ticks: &[Tick]) {
        self.send_published(None, ticks);
    }

    fn send_published(&self, published: Option<EventTime>, ticks: &[Tick]) {
        let credit = self.credits.take(ticks.len());
        self.window.do_send(TickBatch { ticks: ticks.to_vec(), published, credit });
    }

    fn close(&self, cut: i64, watermark: i64) {
        self.window.do_send(CloseWindows(shared(&barrier(1, cut, watermark))));
    }
}

#[actix::test]
async fn a_barrier_is_answered_once_with_the_closed_bars_and_what_is_still_needed() {
    let mut setup = Setup::new();
    setup.send(&[tick(0, 1, 10.0), tick(1, 6, 20.0)]);
    setup.send(&[tick(2, 2, 12.0), tick(3, 12, 30.0), tick(4, 7, 21.0)]);
    setup.close(5, 5);
    let WindowsAnswered { partition, epoch, cut, answer } = setup.answers.next().await;
    let expected = barrier(1, 5, 5);
    assert_eq!((partition, epoch, cut), (expected.partition, expected.epoch, NextOffset(5)));
    assert_eq!(answer.closed.len(), 1);
    let (bar, first_offset) = (&answer.closed[0].bar, answer.closed[0].first_offset);
    assert_eq!((bar.window_start, bar.open, bar.close, bar.ticks, first_offset), (minute(0), 10.0, 12.0, 2, 0));
    assert_eq!(answer.still_open, StillOpen { oldest_offset: Some(1), ticks: 3 });
    setup.answers.stays_silent_for(Duration::from_secs(60)).await;
}

#[actix::test]
async fn windows_close_by_the_barrier_and_never_by_a_clock() {
    let mut setup = Setup::new();
    setup.send(&[tick(0, 1, 10.0)]);
    tokio::time::advance(Duration::from_secs(1_000_000)).await;
    setup.close(1, 4);
    let answer = setup.answers.next().await.answer;
    assert_eq!((answer.closed.len(), answer.still_open.ticks), (0, 1));
}

#[actix::test]
async fn a_window_without_ticks_answers_too() {
    let mut setup = Setup::new();
    setup.close(0, 100);
    let answer = setup.answers.next().await.answer;
    assert_eq!((answer.closed.len(), answer.still_open), (0, StillOpen::default()));
}

#[actix::test]
async fn a_batch_behind_a_barrier_is_not_in_its_answer() {
    let mut setup = Setup::new();
    setup.send(&[tick(0, 1, 10.0)]);
    setup.close(1, 1);
    setup.send(&[tick(1, 2, 11.0)]);
    setup.close(2, 5);
    setup.send(&[tick(2, 6, 12.0)]);
    setup.close(3, 10);
    let answers = [setup.answers.next().await, setup.answers.next().await, setup.answers.next().await];
    let seen = answers.map(|it| (it.cut.0, it.answer.closed.len(), it.answer.still_open.ticks));
    assert_eq!(seen, [(1, 0, 1), (2, 1, 0), (3, 1, 0)]);
}

#[actix::test]
async fn credit_comes_back_when_a_batch_is_folded_and_not_before() {
    let setup = Setup::new();
    let ticks: Vec<Tick> = (0..600).map(|offset| tick(offset, 1, 10.0)).collect();
    setup.send(&ticks);
    setup.send(&ticks);
    assert!(setup.credits.are_exhausted());
    all_done().await;
    assert!(!setup.credits.are_exhausted());
}

#[actix::test]
async fn credit_comes_back_from_a_window_that_is_gone() {
    let setup = Setup::new();
    let ticks = vec![tick(0, 1, 10.0); 1_000];
    setup.send(&ticks);
    drop(setup.window);
    all_done().await;
    assert!(!setup.credits.are_exhausted());
}

#[actix::test]
async fn the_live_feed_hears_of_the_newest_state_at_most_five_times_a_second() {
    let mut setup = Setup::new();
    let begin = tokio::time::Instant::now();
    for offset in 0..100 {
        setup.send(&[tick(offset, 1, 10.0 + offset as f64), tick(offset, 1, 1.0)]);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let first = setup.live.next().await;
    assert_eq!((first.bar.window_start, first.bar.ticks as u64), (minute(0), first.ticks));
    tokio::time::sleep(Duration::from_millis(200)).await;
    let rest = setup.live.so_far().await;
    assert!(begin.elapsed() >= Duration::from_millis(1_200));
    assert!((3..=5).contains(&rest.len()), "{} in {:?}", rest.len() + 1, begin.elapsed());
    assert_eq!(first.ticks + rest.iter().map(|changed| changed.ticks).sum::<u64>(), 200, "each tick is told once");
    let last = &rest.last().unwrap().bar;
    assert_eq!((last.ticks, last.high, last.low), (200, 109.0, 1.0));
    setup.live.stays_silent_for(Duration::from_secs(60)).await;
}

#[actix::test]
async fn the_live_feed_hears_of_the_newest_window_also_after_an_older_tick() {
    let mut setup = Setup::new();
    setup.send(&[tick(0, 6, 20.0), tick(1, 1, 10.0)]);
    let changed = setup.live.next().await;
    assert_eq!((changed.bar.window_start, changed.bar.close, changed.ticks), (minute(5), 20.0, 2));
}

#[actix::test]
async fn the_live_feed_hears_how_old_the_first_tick_since_the_last_message_was() {
    let mut setup = Setup::at(minute(3));
    setup.send_published(Some(minute(1)), &[tick(0, 1, 10.0)]);
    setup.send_published(Some(minute(2)), &[tick(1, 1, 10.0)]);
    assert_eq!(setup.live.next().await.age, Some(Span::from_secs(120)));
    setup.send_published(Some(minute(2)), &[tick(2, 1, 10.0)]);
    assert_eq!(setup.live.next().await.age, Some(Span::from_secs(60)));
    setup.send(&[tick(3, 1, 10.0)]);
    assert_eq!(setup.live.next().await.age, None);
}
