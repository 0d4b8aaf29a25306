//! Long silence, sleep, and clocks that jump.

use super::*;

/// Asked of a silent partition before its windows close.
const SILENCE: Duration = Duration::from_secs(3);
const HOUR: Duration = Duration::from_secs(3_600);
/// Half a day of event time at the speed of these tests.
const LONG: Duration = Duration::from_secs(72);

/// A partition whose log has ended behind these ticks.
async fn silent_after(minutes: &[i64]) -> Setup {
    let setup = Setup::new().await;
    for (offset, minute) in (0..).zip(minutes) {
        setup.tick(offset, *minute);
    }
    setup.script().end();
    all_done().await;
    setup
}

#[actix::test]
async fn f22_when_the_market_closes_the_last_windows_close_once_each_in_their_order() {
    let mut setup = silent_after(&[1, 6, 7, 12]).await;
    let mut closed = Vec::new();
    for _ in 0..3 {
        let barrier = setup.barrier().await;
        closed.push(cut_and_minute(&barrier));
        setup.commit(&barrier);
    }
    assert_eq!(closed, [(4, 5), (4, 10), (4, 15)]);
    setup.barriers.stays_silent_for(LONG).await;
}

#[actix::test]
async fn f22_what_comes_after_a_long_silence_opens_windows_as_ever() {
    let mut setup = silent_after(&[1]).await;
    let barrier = setup.barrier().await;
    setup.commit(&barrier);
    setup.barriers.stays_silent_for(LONG).await;
    setup.tick(1, 1_000);
    setup.tick(2, 1_016);
    let barrier = setup.barrier().await;
    assert_eq!(cut_and_minute(&barrier), (3, 1_006), "by the watermark");
    assert_eq!(barrier.checkpoint.forced.len(), 1, "nothing was forced but for the silence");
}

#[actix::test]
async fn f29_a_wall_clock_that_jumps_an_hour_changes_no_barrier() {
    let mut seen = Vec::new();
    for jump in [0, 60, -60] {
        let mut setup = Setup::new().await;
        let mut barriers = Vec::new();
        for offset in 0..12 {
            setup.script().wall = Some(minute(if offset < 6 { 100 } else { 100 + jump }));
            setup.tick(offset, 3 * offset);
            all_done().await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            for BarrierOpened { barrier, .. } in setup.barriers.so_far().await {
                barriers.push(cut_and_minute(&barrier));
                setup.commit(&barrier);
            }
        }
        assert!(barriers.len() >= 4, "{barriers:?}");
        seen.push(barriers);
        tokio::time::resume();
    }
    assert!(seen.iter().all(|barriers| *barriers == seen[0]), "{seen:?}");
}

#[actix::test]
async fn f29_a_wall_clock_set_forward_makes_no_silence() {
    let mut setup = silent_after(&[1]).await;
    setup.script().wall = Some(minute(2));
    setup.barriers.stays_silent_for(Duration::from_secs(1)).await;
    setup.script().wall = Some(minute(62));
    setup.barriers.stays_silent_for(SILENCE - Duration::from_secs(2)).await;
    let barrier = setup.barrier().await;
    assert_eq!(cut_and_minute(&barrier), (1, 5));
}

#[actix::test]
async fn f29_a_wall_clock_set_back_closes_nothing_of_a_time_that_is_not_yet() {
    let mut setup = silent_after(&[70]).await;
    setup.script().wall = Some(minute(70 - 60));
    setup.barriers.stays_silent_for(LONG).await;
    setup.script().wall = Some(minute(85));
    let barrier = setup.barrier().await;
    assert_eq!(cut_and_minute(&barrier), (1, 75));
}

#[actix::test]
async fn who_slept_an_hour_has_heard_no_silence() {
    let mut setup = silent_after(&[1]).await;
    tokio::time::advance(HOUR).await;
    setup.barriers.stays_silent_for(SILENCE - Duration::from_secs(1)).await;
    // The producer has woken up too.
    setup.tick(1, 2);
    setup.script().end();
    assert_eq!(setup.ticks().await, [0, 1]);
    assert!(setup.letters().sent.is_empty(), "its tick is not late");
    let barrier = setup.barrier().await;
    assert_eq!(cut_and_minute(&barrier), (2, 5), "a silence that was heard counts");
}
