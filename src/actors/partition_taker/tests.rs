use super::*;
use crate::market::checkpoint::{CommitNumber, TopicId};
use crate::market::time::{EventTime, Span, WindowSize};

mod losses;

fn rules(lateness: i64) -> BarRules {
    BarRules {
        window: WindowSize::new(Span::from_secs(300)).expect("five minutes divide the day"),
        lateness: Span::from_secs(lateness),
        max_ahead: Span::from_secs(60),
    }
}

fn newest() -> Checkpoint {
    let mut checkpoint = Checkpoint::genesis(rules(600), "one");
    (checkpoint.cut, checkpoint.resume) = (NextOffset(9), NextOffset(7));
    (checkpoint.counters.read, checkpoint.open_ticks) = (9, 2);
    checkpoint.watermark = EventTime::from_micros(77);
    checkpoint
}

/// Nine ticks were read, two are open from offset 7 on; the log holds 0 to 20.
fn start(lateness: i64, log: LogOfRun) -> Result<Checkpoint, TakeRefused> {
    let rules = TakeRules { bars: rules(lateness), log, on_gap: OnGap::Stop };
    start_from(&TopicPartition::new("t", 0), (Some(newest()), &[]), &rules, &bounds(0, 20))
}

fn bounds(start: i64, end: i64) -> FoundLog {
    FoundLog { bounds: LogBounds { start: NextOffset(start), end: NextOffset(end) }, topic: None }
}

fn start_on(log: FoundLog, newest: Option<Checkpoint>, on_gap: OnGap) -> Result<Checkpoint, TakeRefused> {
    let rules = TakeRules { bars: rules(600), log: LogOfRun::Cluster { cluster: "one".into() }, on_gap };
    start_from(&TopicPartition::new("t", 0), (newest, &[]), &rules, &log)
}

#[test]
fn the_same_log_goes_on_where_it_was() {
    assert_eq!(start(600, LogOfRun::Cluster { cluster: "one".into() }), Ok(newest()));
}

#[test]
fn a_new_embedded_log_begins_at_0_behind_the_old_watermark() {
    let checkpoint = start(600, LogOfRun::Embedded { cluster: "two".into() }).unwrap();
    assert_eq!((checkpoint.resume, checkpoint.cut), (NextOffset(0), NextOffset(0)));
    assert_eq!((checkpoint.counters.read, checkpoint.open_ticks), (7, 0));
    assert_eq!(checkpoint.watermark, EventTime::from_micros(77));
    assert_eq!(checkpoint.log.cluster, "two");
}

#[rstest::rstest]
#[case::short(0, 20)]
#[case::beyond_all_that_was_read(15, 40)]
fn a_topic_that_was_made_anew_is_refused_also_where_a_gap_would_be_recorded(#[case] from: i64, #[case] to: i64) {
    let on = |id: &str| FoundLog { topic: Some(TopicId::new(id)), ..bounds(from, to) };
    let first = start_on(FoundLog { topic: Some(TopicId::new("first")), ..bounds(0, 20) }, Some(newest()), OnGap::Stop);
    let known = first.unwrap();
    assert_eq!(known.log.topic, Some(TopicId::new("first")), "one of an older program is taken for what is found");
    let refused = start_on(on("second"), Some(known.clone()), OnGap::Record).unwrap_err().to_string();
    assert!(refused.contains("first") && refused.contains("second") && refused.contains("made anew"), "{refused}");
    let same = start_on(on("first"), Some(known.clone()), OnGap::Record).unwrap();
    assert_eq!(same.log.topic, known.log.topic);
    let untold = start_on(bounds(from, to), Some(known.clone()), OnGap::Record).unwrap();
    assert_eq!(untold.log.topic, known.log.topic, "where nobody tells, it stays");
}

#[test]
fn another_cluster_is_refused_by_name() {
    let refused = start(600, LogOfRun::Cluster { cluster: "two".into() }).unwrap_err().to_string();
    assert!(refused.contains("cluster one") && refused.contains("cluster two"), "{refused}");
}

#[test]
fn another_lateness_is_refused_with_both_values() {
    let refused = start(300, LogOfRun::Cluster { cluster: "one".into() }).unwrap_err().to_string();
    assert!(refused.contains("lateness = \"10m\"") && refused.contains("\"5m\""), "{refused}");
}

#[test]
fn a_log_that_begins_at_the_resume_offset_or_before_has_no_gap() {
    for log_start in [0, 7] {
        assert_eq!(start_on(bounds(log_start, 9), Some(newest()), OnGap::Record), Ok(newest()), "{log_start}");
    }
}

#[test]
fn a_gap_is_refused_with_what_is_lost_and_what_to_do() {
    let refused = start_on(bounds(12, 20), Some(newest()), OnGap::Stop).unwrap_err().to_string();
    for said in [
        "offset 7 of t-0",
        "begins at 12",
        "5 records",
        "3 of them never read",
        "on_gap = \"record\"",
        "retention",
        "restore",
    ] {
        assert!(refused.contains(said), "{said:?} is not in: {refused}");
    }
}

#[test]
fn a_gap_is_recorded_and_reading_goes_on_where_the_log_begins() {
    let checkpoint = start_on(bounds(12, 20), Some(newest()), OnGap::Record).unwrap();
    assert_eq!((checkpoint.resume, checkpoint.cut), (NextOffset(12), NextOffset(12)));
    assert_eq!(checkpoint.gaps.len(), 1);
}

#[test]
fn what_a_damaged_commit_held_is_lost_where_the_log_has_a_gap_and_is_made_again_where_it_has_none() {
    use crate::market::lost_commits::LostBars;
    use crate::market::symbol::Symbol;
    let bars = LostBars::of([(Symbol::new("AAPL").unwrap(), EventTime::from_micros(0))]);
    let aside = [LostCommits::of(CommitNumber(7), EventTime::from_micros(77), bars)];
    let start = |log_start, on_gap| {
        let rules = TakeRules { bars: rules(600), log: LogOfRun::Cluster { cluster: "one".into() }, on_gap };
        start_from(&TopicPartition::new("t", 0), (Some(newest()), &aside), &rules, &bounds(log_start, 20))
    };
    let refused = start(12, OnGap::Stop).unwrap_err().to_string();
    for said in ["commit 000000007 is damaged", "1 bar of AAPL", "from a backup", "3 of them in no commit that is left"]
    {
        assert!(refused.contains(said), "{said:?} is not in: {refused}");
    }
    let recorded = start(12, OnGap::Record).unwrap();
    assert_eq!((recorded.lost, recorded.gaps.len()), (aside.to_vec(), 1));
    for on_gap in [OnGap::Stop, OnGap::Record] {
        assert_eq!(start(7, on_gap), Ok(newest()), "the log has all that is needed");
    }
}

#[test]
fn a_log_that_ends_below_the_cut_is_another_one_whatever_to_do_about_gaps() {
    for on_gap in [OnGap::Stop, OnGap::Record] {
        let refused = start_on(bounds(0, 8), Some(newest()), on_gap).unwrap_err().to_string();
        assert!(refused.contains("made anew") && refused.contains("up to offset 9"), "{refused}");
    }
}

#[test]
fn a_lake_that_is_begun_on_an_old_topic_begins_with_what_there_is_and_says_so() {
    let checkpoint = start_on(bounds(12, 20), None, OnGap::Stop).unwrap();
    assert_eq!((checkpoint.resume, checkpoint.cut), (NextOffset(12), NextOffset(12)));
    assert_eq!(checkpoint.gaps.iter().map(|gap| (gap.from.0, gap.to.0)).collect::<Vec<_>>(), [(0, 12)]);
}

#[test]
fn a_lake_of_which_no_commit_is_readable_any_more_was_not_begun_late() {
    let take = |on_gap| {
        let log = LogOfRun::Cluster { cluster: "one".into() };
        let rules = TakeRules { bars: rules(600), log, on_gap };
        start_from(&TopicPartition::new("t", 0), (None, &[aside()]), &rules, &bounds(12, 20))
    };
    let refused = take(OnGap::Stop).unwrap_err().to_string();
    for said in ["no commit of t-0 is readable", "begins at 12", "on_gap = \"record\"", "restore"] {
        assert!(refused.contains(said), "{said:?} is not in: {refused}");
    }
    assert_eq!(take(OnGap::Record).unwrap().gaps.len(), 1, "as somebody has asked for");
}

#[test]
fn the_embedded_broker_never_loses_ticks_in_silence_also_not_the_first() {
    let log = LogOfRun::Embedded { cluster: "two".into() };
    let rules = TakeRules { bars: rules(600), log, on_gap: OnGap::Stop };
    for newest in [None, Some(newest())] {
        let refused = start_from(&TopicPartition::new("t", 0), (newest, &[]), &rules, &bounds(3, 20)).unwrap_err();
        assert!(refused.to_string().contains("begins at 3"), "{refused}");
    }
}

fn aside() -> LostCommits {
    LostCommits::of(CommitNumber(4), EventTime::from_micros(77), None)
}

/// What the checkpoint says is lost, when a commit after the newest was unreadable.
fn lost_on(newest: Option<Checkpoint>, log: LogOfRun) -> Vec<LostCommits> {
    let rules = TakeRules { bars: rules(600), log, on_gap: OnGap::Stop };
    start_from(&TopicPartition::new("t", 0), (newest, &[aside()]), &rules, &bounds(0, 20)).unwrap().lost
}

#[test]
fn an_unreadable_commit_whose_log_has_ended_is_recorded_as_lost_also_where_it_was_the_first() {
    let log = LogOfRun::Embedded { cluster: "two".into() };
    for newest in [None, Some(newest())] {
        assert_eq!(lost_on(newest, log.clone()), [aside()]);
    }
}

#[test]
fn an_unreadable_commit_that_a_clusters_log_gives_again_is_not_listed() {
    for newest in [None, Some(newest())] {
        assert_eq!(lost_on(newest, LogOfRun::Cluster { cluster: "one".into() }), []);
    }
}
