//! Faults of the log: it loses its oldest records before they were read, or is another one under the same name.

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use stockstream::market::checkpoint::{Checkpoint, Commit, Fingerprint, LogIdentity, NextOffset, TopicPartition};
use stockstream::settings::Compression;
use stockstream::storage::{Dataset, Lake, LakeIdentity, Sharing, StorageError, layout};
use support::damage::flipped;
use support::flow::{Flow, PER_STOCK};
use support::lake::{bars, checkpoints, of};
use support::program::{Ended, Summary};
use support::ticks::{Recipe, START, Ticks};

/// Bytes of a tick: the broker keeps 5 MiB of a partition, some 1,300 of these.
const TICK_BYTES: usize = 4_000;
/// Event time between two ticks.
const STEP_SECS: i64 = 2;
/// Read before anything is lost: 13 minutes, so that no window is closed and all are open.
const READ_FIRST: i64 = 400;

/// Ticks of one stock with very exact prices, so that its log overflows soon.
struct Overflowing {
    flow: Flow,
    published: i64,
}

impl Overflowing {
    /// The first ticks are read, all stay open; other stocks have some too.
    fn read_first() -> Self {
        let flow = Flow::new(false, "");
        let others = ["BRK.B", "EURUSD=X"].map(|symbol| format!("2025-05-13 22:00:00,{symbol},1").into_bytes());
        flow.publish(&others);
        let mut this = Self { flow, published: 0 };
        this.publish(READ_FIRST);
        let first = this.flow.until_end();
        assert_eq!((first.read, first.open, first.bars), (READ_FIRST as u64 + 2, READ_FIRST + 2, 0));
        this
    }

    /// A few ticks a batch: the broker drops whole batches.
    fn publish(&mut self, ticks: i64) {
        let lines: Vec<Vec<u8>> = (self.published..self.published + ticks).map(line).collect();
        for few in lines.chunks(50) {
            self.flow.cluster.publish(PER_STOCK[0], 0, few.iter().map(Vec::as_slice));
            self.flow.cluster.flush();
            self.flow.keep_log(&aapl());
        }
        self.published += ticks;
    }

    fn log_start(&self) -> i64 {
        self.flow.cluster.log(PER_STOCK[0], 0).first().expect("the newest is never dropped").offset
    }

    fn until_end(&self, on_gap: &str) -> Ended {
        self.flow.program(&["run", "--until-end"]).env("STOCKSTREAM__KAFKA__ON_GAP", on_gap).run()
    }

    fn checkpoint(&self) -> Checkpoint {
        checkpoints(&self.flow.lake()).remove(&aapl()).unwrap()
    }
}

fn aapl() -> TopicPartition {
    TopicPartition::new(PER_STOCK[0], 0)
}

fn line(number: i64) -> Vec<u8> {
    let mut line = format!("{},AAPL,{}.25", START + number * STEP_SECS * 1_000_000, 100 + number % 7);
    line.extend(std::iter::repeat_n('0', TICK_BYTES - line.len()));
    line.into_bytes()
}

/// All files of a lake.
fn files(dir: &Path) -> BTreeSet<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { BTreeSet::from([path]) }).collect()
}

#[test]
fn f13_a_log_that_lost_what_the_lake_needs_is_refused_and_nothing_is_committed() {
    let mut overflowing = Overflowing::read_first();
    overflowing.publish(1_500);
    let start = overflowing.log_start();
    assert!(start > READ_FIRST, "{start}");
    let before = overflowing.checkpoint();
    overflowing.until_end("stop").refused(
        1,
        &[
            "offset 0 of stock_topic.AAPL-0",
            &format!("its log begins at {start}"),
            &format!("{start} records that the lake still needed"),
            &format!("{} of them never read", start - READ_FIRST),
            "kafka.on_gap = \"record\"",
            "kafka.retention",
        ],
    );
    assert_eq!(overflowing.checkpoint(), before, "the lake is as it was");
    assert_eq!(of(&bars(&overflowing.flow.lake()), "AAPL").len(), 0);
}

#[rstest::rstest]
#[case::unread_ticks_are_lost(1_500)]
#[case::only_ticks_that_were_read_are_lost(1_050)]
fn f13_a_gap_is_recorded_and_the_lake_is_right_behind_it(#[case] more: i64) {
    let mut overflowing = Overflowing::read_first();
    overflowing.publish(more);
    let start = overflowing.log_start();
    assert!(if more > 1_100 { start > READ_FIRST } else { (1..READ_FIRST).contains(&start) }, "{start}");
    let summary = overflowing.until_end("record").summary();
    let again = (READ_FIRST - start).max(0);
    assert_eq!(summary.skipped_replayed as i64, again, "what is left below the cut");
    assert_eq!(summary.read as i64, READ_FIRST + more - start);

    let gaps = overflowing.checkpoint().gaps;
    let [gap] = gaps[..] else { panic!("one gap: {gaps:?}") };
    assert_eq!([gap.from.0, gap.cut.0, gap.to.0], [0, READ_FIRST, start]);
    assert_eq!(gap.open_ticks_lost.map(|lost| lost as i64), Some(start.min(READ_FIRST)));
    assert_eq!(gap.next_tick.map(|time| time.micros()), Some(START + start * STEP_SECS * 1_000_000));
    assert!(of(&bars(&overflowing.flow.lake()), "AAPL").len() > 3);
    overflowing.flow.assert_lake_is_right();

    // From then on as ever, in either mode.
    overflowing.publish(300);
    let summary: Summary = overflowing.until_end("stop").summary();
    assert!(summary.bars >= 1, "{summary:?}");
    assert_eq!(overflowing.checkpoint().gaps, [gap]);
    overflowing.flow.assert_lake_is_right();
}

/// The newest commit is damaged, and the log has lost the ticks that would give its bars again.
#[test]
fn f13_a_damaged_commit_behind_a_gap_is_left_as_it_is_or_recorded_as_lost() {
    let mut overflowing = Overflowing::read_first();
    overflowing.publish(500);
    let summary = overflowing.flow.until_end();
    assert!(summary.bars > 0, "{summary:?}");
    let lake_dir = overflowing.flow.lake();
    let newest = {
        let lake = Lake::open_read_only(&lake_dir).unwrap();
        let number = *lake.entries(&aapl()).unwrap().last().unwrap();
        let commit = lake.read_entry(&aapl(), number).unwrap();
        assert!(commit.rows.iter().any(|bar| bar.symbol.as_str() == "AAPL"), "{commit:?}");
        (number, commit)
    };
    flipped(&lake_dir.join(layout::entry(&aapl(), newest.0)));
    overflowing.publish(1_500);
    let content =
        |dir: &Path| files(dir).into_iter().map(|path| (std::fs::read(&path).unwrap(), path)).collect::<Vec<_>>();
    let before = content(&lake_dir.join("features"));
    let bars_before = content(&lake_dir.join("bars"));
    overflowing
        .until_end("stop")
        .refused(1, &["is damaged", "of AAPL", "restore its files from a backup", "begins at"]);
    assert!(content(&lake_dir.join("features")) == before && content(&lake_dir.join("bars")) == bars_before);

    overflowing.until_end("record").summary();
    let checkpoint = overflowing.checkpoint();
    let [lost] = &checkpoint.lost[..] else { panic!("one loss: {:?}", checkpoint.lost) };
    assert_eq!((lost.last, lost.bars.as_ref().map(|bars| bars.count)), (newest.0, Some(newest.1.rows.len() as u64)));
    assert_eq!(checkpoint.gaps.len(), 1);
    // It stays told, also when the chain has gone on beyond it and after a repair.
    overflowing.publish(300);
    overflowing.until_end("stop").summary();
    for arguments in [["verify"].as_slice(), &["verify", "--repair"]] {
        let found = overflowing.flow.program(arguments).run();
        assert_eq!(found.code, Some(3), "{found:?}");
        assert!(found.stdout.contains("lost with that, ") && found.stdout.contains("AAPL"), "{found:?}");
    }
}

#[test]
fn f13_a_lake_that_is_begun_on_a_log_without_its_beginning_says_where_it_begins() {
    let mut overflowing = Overflowing { flow: Flow::new(false, ""), published: 0 };
    overflowing.publish(1_500);
    let start = overflowing.log_start();
    assert!(start > 0);
    let summary = overflowing.until_end("stop").summary();
    assert_eq!(summary.read as i64, 1_500 - start);
    let gaps = overflowing.checkpoint().gaps;
    assert_eq!(gaps.iter().map(|gap| (gap.from.0, gap.to.0)).collect::<Vec<_>>(), [(0, start)]);
    overflowing.flow.assert_lake_is_right();
}

/// Nothing in the lake tells that it is gone with all its files: of several processes one may not have taken its share yet.
#[test]
fn a_partition_that_is_gone_from_the_lake_is_noted_and_told_against_the_log() {
    let flow = Flow::new(true, "");
    flow.publish(&Ticks::make(&Recipe { seed: 23, lines: 3_000, ..Recipe::default() }).lines);
    flow.until_end();
    let gone = bars_of_partitions(&flow.lake()).pop().expect("some partition has bars");
    std::fs::remove_dir_all(flow.lake().join("state").join(&gone)).unwrap();
    for file in files(&flow.lake()) {
        if file.file_name().unwrap().to_str().unwrap().starts_with(&format!("{gone}-")) {
            std::fs::remove_file(file).unwrap();
        }
    }
    let verify = |options: &[&str], code| {
        let ended = flow.program(&[&["verify"], options].concat()).run();
        assert_eq!(ended.code, Some(code), "{}\n{}", ended.stdout, ended.stderr);
        serde_json::from_str::<serde_json::Value>(ended.stdout.lines().last().unwrap()).unwrap()
    };
    assert_eq!(verify(&[], 0)["without_chain"], serde_json::json!([gone]));
    let report = verify(&["--against-log"], 3);
    let [finding] = &report["findings"].as_array().unwrap()[..] else { panic!("one finding: {report}") };
    assert!(finding["file"].as_str().unwrap().ends_with(&format!("state/{gone}")), "{finding}");
    assert_eq!(finding["remedy"], "next_start");

    flow.until_end();
    flow.assert_lake_is_right();
    assert_eq!(verify(&["--against-log"], 0)["without_chain"], serde_json::json!([]));
}

/// The partitions that have published bars.
fn bars_of_partitions(lake: &Path) -> Vec<String> {
    let files = Lake::open_read_only(lake).unwrap().files(Dataset::Bars).unwrap();
    files.iter().map(|file| file.commit().unwrap().0.to_string()).collect()
}

/// What the lake says of a topic that was deleted since: read up to `cut`, and the record before it was another one.
fn made_from_another_log(flow: &Flow, cut: i64) {
    let identity = LakeIdentity { group: "stockstream".into(), cluster: cluster_of(flow), layout: "per_stock".into() };
    let lake = Lake::open(&flow.lake(), Compression::Zstd, Sharing::Shared, &identity).unwrap();
    let another = |newest: Option<Checkpoint>, _: &[_]| {
        let newest = newest.expect("the program has made one");
        let last_record = Some(Fingerprint { offset: cut - 1, crc: 0xDEAD_BEEF });
        let cut = NextOffset(cut);
        let log = LogIdentity { last_record, ..newest.log.clone() };
        Ok::<_, StorageError>(Checkpoint { resume: cut, cut, log, ..newest })
    };
    let (mut chain, checkpoint) = lake.take(&aapl(), another).unwrap();
    chain.commit(&Commit { rows: [].into(), checkpoint }).unwrap();
}

fn cluster_of(flow: &Flow) -> String {
    checkpoints(&flow.lake()).remove(&aapl()).unwrap().log.cluster
}

#[rstest::rstest]
#[case::with_more_records(5, &["offset 4", "deleted and made anew", "another lake directory"])]
#[case::with_fewer_records(15, &["up to offset 15", "ends at 10", "deleted and made anew", "another lake directory"])]
fn f14_a_topic_made_anew_is_refused_and_nothing_is_committed(#[case] cut: i64, #[case] says: &[&str]) {
    let flow = Flow::new(false, "");
    flow.until_end();
    made_from_another_log(&flow, cut);
    let lines = (0..10).map(|n| format!("2025-05-14 15:{:02}:00,AAPL,{}", 4 * n, 100 + n).into_bytes());
    flow.publish(&lines.collect::<Vec<_>>());
    for on_gap in ["stop", "record"] {
        let ended = flow.program(&["run", "--until-end"]).env("STOCKSTREAM__KAFKA__ON_GAP", on_gap).run();
        ended.refused(1, says);
        let checkpoint = checkpoints(&flow.lake()).remove(&aapl()).unwrap();
        assert_eq!((checkpoint.cut, checkpoint.counters.read), (NextOffset(cut), 0), "{on_gap}");
        assert!(
            checkpoint.gaps.is_empty()
                && files(&flow.lake()).iter().all(|file| !file.starts_with(flow.lake().join("bars")))
        );
    }
}
