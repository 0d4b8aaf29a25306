use super::*;

const SESSION: Duration = Duration::from_secs(10);

fn partition(number: i32) -> TopicPartition {
    TopicPartition::new("t", number)
}

fn panic() -> RestartReason {
    RestartReason::Panic(String::from("boom"))
}

fn budget() -> (RestartBudget, Instant) {
    (RestartBudget::new(SESSION), Instant::now())
}

#[test]
fn five_restarts_in_a_minute_are_put_up_with_and_the_sixth_is_refused_by_name() {
    let (mut budget, now) = budget();
    for number in 0..5 {
        assert_eq!(budget.spend(&partition(number), &panic(), now + Duration::from_secs(11) * number as u32), Ok(()));
    }
    let refused = budget.spend(&partition(7), &panic(), now + Duration::from_secs(59)).unwrap_err();
    let text = refused.to_string();
    for said in ["t-7", "boom", "5 restarts within 60s", "what is committed is right"] {
        assert!(text.contains(said), "{said:?} is not in: {text}");
    }
}

#[test]
fn a_disk_that_fails_all_partitions_at_once_is_one_failure_and_one_that_fails_them_again_another() {
    let (mut budget, now) = budget();
    let disk = RestartReason::Storage(String::from("fsync failed"));
    for round in 0..5 {
        for number in 0..8 {
            let at = now + Duration::from_secs(5) * round + Duration::from_millis(100) * number as u32;
            assert_eq!(budget.spend(&partition(number), &disk, at), Ok(()), "round {round}, partition {number}");
        }
    }
    let refused = budget.spend(&partition(3), &disk, now + Duration::from_secs(30)).unwrap_err();
    assert_eq!((refused.partition, refused.reason), (partition(3), disk));
}

#[test]
fn a_disk_that_takes_its_time_to_fail_uses_the_budget_up_and_one_that_is_well_for_a_minute_is_forgiven() {
    let (mut budget, now) = budget();
    let disk = RestartReason::Storage(String::from("fsync failed"));
    let mut spend = |seconds| budget.spend(&partition(0), &disk, now + Duration::from_secs(seconds));
    for number in 0..5 {
        assert_eq!(spend(number * 40), Ok(()));
    }
    assert!(spend(200).is_err());
    for number in 0..5 {
        assert_eq!(spend(260 + number * 40), Ok(()), "well from 160 to 260");
    }
}

#[test]
fn only_the_disk_fails_several_partitions_by_one_cause_and_none_twice() {
    let (mut budget, now) = budget();
    let disk = RestartReason::Storage(String::from("fsync failed"));
    let late = now + ONE_CAUSE;
    for (number, reason, at) in [(0, &disk, now), (0, &disk, now), (1, &disk, late), (2, &panic(), late)] {
        assert_eq!(budget.spend(&partition(number), reason, at), Ok(()));
    }
    assert_eq!(budget.spend(&partition(3), &panic(), late), Ok(()), "the fifth");
    assert!(budget.spend(&partition(4), &panic(), late).is_err());
}

#[test]
fn a_restart_is_forgiven_after_a_minute() {
    let (mut budget, now) = budget();
    for minute in 0..20 {
        for _ in 0..5 {
            assert_eq!(budget.spend(&partition(0), &panic(), now + SPAN * minute), Ok(()));
        }
    }
}

#[test]
fn to_be_fenced_and_overtaken_and_to_wait_for_the_disk_or_a_broker_is_free() {
    let (mut budget, now) = budget();
    let overtaken = RestartReason::LogMoved("retention".into());
    for reason in [RestartReason::Fenced, overtaken, RestartReason::NotYet("nobody answers".into())] {
        assert!(!reason.counts());
        for _ in 0..100 {
            assert_eq!(budget.spend(&partition(0), &reason, now), Ok(()));
        }
    }
    assert_eq!(budget.spend(&partition(0), &panic(), now), Ok(()), "nothing was spent");
}

#[test]
fn every_restart_of_a_partition_waits_longer_and_not_for_ever() {
    let (mut budget, now) = budget();
    let waits: Vec<u128> = (0..9).map(|_| budget.wait_of(&partition(0), &panic(), now).as_millis()).collect();
    assert_eq!(waits, [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000]);
    assert_eq!(budget.wait_of(&partition(1), &panic(), now), FIRST_WAIT, "another partition has failed once");
    assert_eq!(budget.wait_of(&partition(0), &panic(), now + SPAN), FIRST_WAIT, "it has been well for a minute");
}

#[test]
fn who_is_fenced_gives_the_group_its_time_to_say_whose_the_partition_is() {
    let (mut budget, now) = budget();
    for _ in 0..3 {
        assert_eq!(budget.wait_of(&partition(0), &RestartReason::Fenced, now), SESSION);
    }
    assert_eq!(budget.wait_of(&partition(0), &panic(), now), FIRST_WAIT);
}

#[test]
fn vain_waits_have_at_most_a_fifth_of_the_time() {
    let not_yet = RestartReason::NotYet("no broker answers".into());
    let (mut rest, start) = (Rest::default(), Instant::now());
    let (mut now, mut blocked) = (start, Duration::ZERO);
    while now < start + Duration::from_secs(600) {
        if rest.is_over(now) {
            let began = now;
            now += Duration::from_secs(2);
            blocked += Duration::from_secs(2);
            rest.after(&not_yet, began, now);
        }
        now += Duration::from_millis(50);
    }
    assert!((Duration::from_secs(110)..=Duration::from_secs(122)).contains(&blocked), "{blocked:?}");
}

#[test]
fn a_disk_that_takes_its_time_to_fail_still_ends_the_process() {
    let ((mut budget, start), mut rest) = (budget(), Rest::default());
    let (mut now, mut due) = (start, start);
    while now < start + Duration::from_secs(600) {
        if due <= now && rest.is_over(now) {
            let began = now;
            now += Duration::from_secs(4);
            let failed = RestartReason::Storage("it is dying".into());
            rest.after(&failed, began, now);
            if budget.spend(&partition(0), &failed, now).is_err() {
                return;
            }
            due = now + budget.wait_of(&partition(0), &failed, now);
        }
        now += Duration::from_millis(50);
    }
    panic!("restarted for ever");
}

#[test]
fn a_panic_becomes_a_reason_and_what_goes_well_is_given_back() {
    assert_eq!(guarded(|| 7), Ok(7));
    assert_eq!(guarded(|| panic!("boom")), Err::<(), _>(panic()));
    let number = 3;
    assert_eq!(guarded(|| panic!("boom {number}")), Err::<(), _>(RestartReason::Panic("boom 3".into())));
}
