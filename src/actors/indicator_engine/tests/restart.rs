//! Engines that go on where another stopped.

use super::*;

/// More than any indicator looks back.
const FILES: i64 = 60;

fn saved_state(setup: &Setup) -> std::path::PathBuf {
    setup.dir.path().join("state").join(partition().to_string()).join("indicators")
}

/// Lets go of all entries but the last few.
fn prune(setup: &mut Setup) {
    let last = setup.chain.last();
    setup.chain.prune(last).unwrap();
    assert!(setup.lake.entries(&partition()).unwrap().len() < 6);
}

/// A lake of so many files with features, saved and pruned.
async fn with_a_past(files: i64) -> Setup {
    let mut setup = Setup::new();
    let (running, _) = setup.restored().await;
    (0..files).for_each(|n| running.tell(setup.commit(&rows(n))));
    running.engine.send(SaveIndicators).await.unwrap().unwrap();
    prune(&mut setup);
    setup
}

/// Another engine computes the rest of the files; all features are as if there had been one.
async fn goes_on_exactly(mut setup: Setup, from: i64) {
    let (mut running, _) = setup.restored().await;
    for n in from..FILES {
        running.tell(setup.commit(&rows(n)));
        running.published.next().await;
    }
    assert_eq!(setup.features(), expected(FILES));
}

#[actix::test]
async fn after_a_restart_the_values_are_those_of_an_engine_that_never_stopped() {
    goes_on_exactly(with_a_past(40).await, 40).await;
}

#[actix::test]
async fn after_many_crashes_too() {
    let mut setup = Setup::new();
    for n in 0..FILES {
        if n % 7 == 0 {
            let (mut running, _) = setup.restored().await;
            running.tell(setup.commit(&rows(n)));
            running.published.next().await;
        } else {
            setup.commit(&rows(n));
        }
    }
    setup.restored().await;
    assert_eq!(setup.features(), expected(FILES));
}

#[actix::test]
async fn missing_features_of_files_that_the_chain_holds_are_completed() {
    let mut setup = with_a_past(10).await;
    (10..13).for_each(|n| drop(setup.commit(&rows(n))));
    let (_, published) = setup.restored().await;
    assert_eq!((published.published, published.saved), (CommitNumber(14), CommitNumber(14)));
    assert_eq!(published.rows, 9, "those of before are not published again");
    assert_eq!(setup.features(), expected(13));
}

#[actix::test]
async fn a_damaged_state_is_made_anew_by_a_pass_over_the_bars() {
    let setup = with_a_past(40).await;
    let mut bytes = std::fs::read(saved_state(&setup)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(saved_state(&setup), bytes).unwrap();
    goes_on_exactly(setup, 40).await;
}

#[actix::test]
async fn a_state_of_another_format_is_made_anew_too() {
    let setup = with_a_past(40).await;
    setup.lake.save_indicators(&partition(), b"\xffnot a state").unwrap();
    goes_on_exactly(setup, 40).await;
}

#[actix::test]
async fn a_missing_state_is_made_anew_too() {
    let setup = with_a_past(40).await;
    std::fs::remove_file(saved_state(&setup)).unwrap();
    goes_on_exactly(setup, 40).await;
}

#[actix::test]
async fn a_state_that_is_older_than_the_chain_is_made_anew_too() {
    let mut setup = with_a_past(10).await;
    let old = std::fs::read(saved_state(&setup)).unwrap();
    let (running, _) = setup.restored().await;
    (10..40).for_each(|n| running.tell(setup.commit(&rows(n))));
    all_done().await;
    prune(&mut setup);
    std::fs::write(saved_state(&setup), old).unwrap();
    goes_on_exactly(setup, 40).await;
}

#[actix::test]
async fn a_restore_that_the_disk_delays_does_not_overtake_a_newer_one() {
    let mut setup = Setup::new();
    let mut running = setup.engine(2);
    setup.commit(&rows(0));
    setup.trouble.lists(Some(Errno::INTR));
    running.restore(1);
    all_done().await;
    setup.trouble.lists(None);
    running.lose(1);
    running.restore(2);
    assert_eq!(running.published.next().await.epoch, Epoch(2));
    tokio::time::sleep(Duration::from_secs(10)).await;
    running.tell(setup.commit(&rows(1)));
    assert_eq!(running.published.next().await.published, CommitNumber(3));
    assert_eq!(setup.features(), expected(2));
}

#[actix::test]
async fn a_restore_that_the_disk_delays_is_done_when_it_can_be() {
    let mut setup = Setup::new();
    setup.commit(&rows(0));
    setup.trouble.lists(Some(Errno::INTR));
    let mut running = setup.engine(1);
    running.restore(1);
    running.published.stays_silent_for(Duration::from_secs(10)).await;
    setup.trouble.lists(None);
    assert_eq!(running.published.next().await.rows, 3);
    assert!(running.restart.so_far().await.is_empty());
}

#[actix::test]
async fn a_restore_of_a_partition_that_was_lost_meanwhile_is_given_up() {
    let mut setup = Setup::new();
    setup.commit(&rows(0));
    setup.trouble.lists(Some(Errno::INTR));
    let mut running = setup.engine(1);
    running.restore(1);
    all_done().await;
    running.lose(1);
    setup.trouble.lists(None);
    running.published.stays_silent_for(Duration::from_secs(10)).await;
    assert!(setup.features().is_empty());
}

#[actix::test]
async fn features_that_somebody_has_removed_are_made_again_for_files_that_the_chain_holds() {
    let setup = with_a_past(40).await;
    let all = setup.features();
    let held = setup.lake.entries(&partition()).unwrap();
    for file in setup.lake.files(Dataset::Features).unwrap() {
        if file.commit().is_some_and(|(_, number)| held.contains(&number)) {
            std::fs::remove_file(file.path).unwrap();
        }
    }
    assert!(setup.features().len() < all.len());
    setup.restored().await;
    assert_eq!(setup.features(), all, "bit for bit, from the whole history");
}

#[actix::test]
async fn an_owner_that_was_stopped_does_not_put_its_state_over_a_newer_one() {
    let mut setup = with_a_past(10).await;
    let restored = |setup: &Setup| FeatureFlow::restore(&setup.lake, &partition()).unwrap();
    let saved = |setup: &Setup| {
        let bytes = setup.lake.load_indicators(&partition()).unwrap().unwrap();
        IndicatorState::from_bytes(&bytes).unwrap().last()
    };
    let mut stopped = restored(&setup);
    let before = saved(&setup);
    (10..20).for_each(|n| drop(setup.commit(&rows(n))));
    restored(&setup).publish_all(|_| {}).unwrap();
    let newer = saved(&setup);
    assert_eq!(newer.0, before.0 + 10);
    stopped.save().unwrap();
    assert_eq!(saved(&setup), newer);
}
