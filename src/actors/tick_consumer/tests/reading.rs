//! From records to batches, and no more of them than the windows can bear.

use super::*;

/// Reads on until it does not, with windows that never fold. Returns what they hold.
pub async fn starved() -> (Setup, Vec<(Symbol, ToWindow)>) {
    let mut setup = Setup::unassigned(genesis(), 1_000_000).assigned().await;
    (0..200_000).for_each(|offset| setup.tick(offset, 1));
    let held = setup.sent_to_windows().await;
    (setup, held)
}

#[actix::test]
async fn ticks_go_to_their_stock_in_offset_order_a_batch_a_slice() {
    let mut setup = Setup::new().await;
    for offset in 0..6 {
        let name = if offset % 2 == 0 { "AAPL" } else { "MSFT" };
        setup.script().tick(offset, name, 10 - offset);
    }
    let mut batches = setup.sent_to_windows().await;
    batches.sort_by(|a, b| a.0.cmp(&b.0));
    let seen: Vec<_> = batches
        .iter()
        .map(|(name, sent)| match sent {
            ToWindow::Ticks(batch) => (name.as_str(), batch.ticks.iter().map(|tick| tick.offset).collect::<Vec<_>>()),
            ToWindow::Close(barrier) => panic!("{barrier:?}"),
        })
        .collect();
    assert_eq!(seen, [("AAPL", vec![0, 2, 4]), ("MSFT", vec![1, 3, 5])]);
}

#[actix::test]
async fn batches_of_many_slices_keep_the_order() {
    let mut setup = Setup::new().await;
    (0..20_000).for_each(|offset| setup.tick(offset, 1));
    assert_eq!(setup.ticks().await, (0..20_000).collect::<Vec<_>>());
}

#[actix::test]
async fn reading_stops_when_the_windows_are_behind_and_goes_on_when_they_have_folded() {
    let (mut setup, held) = starved().await;
    let under_way: usize =
        held.iter().map(|(_, sent)| if let ToWindow::Ticks(b) = sent { b.ticks.len() } else { 0 }).sum();
    assert!((TICKS_UNDER_WAY..TICKS_UNDER_WAY + SLICE).contains(&under_way), "{under_way}");
    assert_eq!(setup.script().pauses, 0, "what was fetched already would be thrown away");
    drop(held);
    assert!(!setup.ticks().await.is_empty());
}

#[actix::test]
async fn after_a_second_without_credit_fetching_is_paused_but_polling_goes_on() {
    let (mut setup, held) = starved().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let asked = setup.script().pauses;
    let paused = setup.script().paused;
    assert!(paused && asked == 1, "{asked}");
    let polls = setup.script().polls;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(setup.script().polls > polls, "the group takes a member that does not poll for dead");
    assert!(setup.ticks().await.is_empty());
    drop(held);
    let more = setup.ticks().await;
    assert!(!setup.script().paused);
    let first = i64::try_from(TICKS_UNDER_WAY).unwrap();
    assert!(more[0] >= first && more.is_sorted(), "goes on where it was");
}

#[actix::test]
async fn the_lag_is_told_twice_a_second() {
    let mut setup = Setup::new().await;
    setup.tick(0, 1);
    setup.lag.so_far().await;
    setup.script().log_end = Some(NextOffset(41));
    tokio::time::sleep(Duration::from_secs(10)).await;
    let told = setup.lag.so_far().await;
    assert!((19..=21).contains(&told.len()), "{}", told.len());
    assert_eq!(told.last().map(|lag| lag.records), Some(40));
}

#[actix::test]
async fn the_mailbox_is_heard_while_records_flow() {
    let mut setup = Setup::new().await;
    (0..50_000).for_each(|offset| setup.tick(offset, 1));
    setup.consumer.send(CloseSource).await.unwrap();
    assert!(setup.script().closed);
    let read = setup.ticks().await.len();
    assert!(read < 50_000, "{read} were read before it was heard");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(setup.ticks().await.is_empty() && setup.consumer.connected());
}
