//! Files of a lake of the embedded broker that were damaged. Between two runs its log has ended: what only a damaged file held is lost,
//! and the lake says so for good. Within a run the log gives it again.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use stockstream::market::checkpoint::{CommitNumber, TopicPartition};
use stockstream::storage::{Dataset, Lake};
use support::damage::{empty, flipped, torn};
use support::lake::{bars, checkpoints};
use support::program::{Ended, Program};
use support::ticks::{Recipe, START, STOCKS, Ticks};
use tempfile::TempDir;

const SYMBOLS: &str = "AAPL,BRK.B,EURUSD=X,GSPC_5^";

fn replay(dir: &Path, ticks: &Ticks) -> Ended {
    fs::write(dir.join("ticks.csv"), ticks.file()).unwrap();
    Program::new(dir, &["replay", "ticks.csv", "--symbols", SYMBOLS, "--json"]).run()
}

/// The newest bars file of a partition, under both its names.
fn newest(lake: &Path, partition: &TopicPartition) -> (CommitNumber, PathBuf, PathBuf) {
    let open = Lake::open_read_only(lake).unwrap();
    let number = *open.entries(partition).unwrap().last().unwrap();
    let file =
        open.files(Dataset::Bars).unwrap().into_iter().find(|file| file.commit() == Some((partition.clone(), number)));
    (number, lake.join(format!("state/{partition}/{number}.parquet")), file.expect("the newest commit has bars").path)
}

/// Runs `verify`, which finds something wrong; all that it found.
#[track_caller]
fn found(dir: &Path, options: &[&str]) -> Vec<Value> {
    let ended = Program::new(dir, &[&["verify", "--json"], options].concat()).run();
    assert_eq!(ended.code, Some(3), "{}\n{}", ended.stdout, ended.stderr);
    let report: Value = serde_json::from_str(ended.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(report["sound"], false);
    report["findings"].as_array().unwrap().clone()
}

/// In place: the published file is the same one, so nothing else holds its bars.
#[test]
fn f17_what_a_damaged_newest_file_held_is_recorded_as_lost_where_the_log_has_ended_with_its_process() {
    let damaged = TopicPartition::new("stock_topic.AAPL", 0);
    for damage in [torn as fn(&Path), empty, flipped] {
        let dir = TempDir::new().unwrap();
        let lake = dir.path().join("lake");
        let first = Ticks::make(&Recipe { seed: 21, lines: 3_000, ..Recipe::default() });
        replay(dir.path(), &first).summary();
        let (number, entry, public) = newest(&lake, &damaged);
        let name = entry.file_name().unwrap().to_str().unwrap().to_owned();
        let held = Lake::open_read_only(&lake).unwrap().read_entry(&damaged, number).unwrap().rows;
        damage(&entry);

        let told = found(dir.path(), &[]);
        let advice = told.iter().map(|finding| finding["advice"].as_str().unwrap());
        assert!(
            advice.clone().all(|advice| !advice.contains("from the log") && advice.contains("backup")),
            "{told:#?}"
        );
        assert!(told.iter().any(|finding| finding["file"].as_str().unwrap().ends_with(&name)), "{told:#?}");

        // Later ticks: the bars that are lost have no others in their place.
        let start = (first.newest / 300_000_000 + 1) * 300_000_000;
        let second = Ticks::make(&Recipe { seed: 22, lines: 3_000, start, ..Recipe::default() });
        let ended = replay(dir.path(), &second);
        assert!(ended.summary().bars > 0);
        assert!(ended.stderr.contains("its bars are lost, and the lake records that"), "{}", ended.stderr);
        assert!(!public.exists());
        let there = bars(&lake);
        assert!(
            held.iter().all(|lost| !there
                .iter()
                .any(|bar| (&bar.symbol, bar.window_start) == (&lost.symbol, lost.window_start)))
        );

        let is_told = |told: Vec<Value>| {
            let [finding] = &told[..] else { panic!("{told:#?}") };
            let problem = finding["problem"].as_str().unwrap();
            assert!(
                finding["file"].as_str().unwrap().ends_with(&format!("stock_topic.AAPL-0/{name}.quarantined")),
                "{finding}"
            );
            assert_eq!(
                (&finding["stock"], &finding["window"]),
                (&"AAPL".into(), &held[0].window_start.to_string().into())
            );
            for said in ["partition stock_topic.AAPL-0", &format!("{} bars of AAPL", held.len()), "lost"] {
                assert!(problem.contains(said), "{said:?} is not in: {problem}");
            }
            assert_eq!(finding["remedy"], "restore");
        };
        is_told(found(dir.path(), &[]));
        is_told(found(dir.path(), &["--repair"]));
        is_told(found(dir.path(), &[]));
        // The record is in every checkpoint from then on, whatever becomes of the file that was put aside.
        fs::remove_file(entry.with_file_name(format!("{name}.quarantined"))).unwrap();
        replay(dir.path(), &first).summary();
        is_told(found(dir.path(), &["--repair"]));
        let unhurt = checkpoints(&lake).into_iter().filter(|(_, checkpoint)| checkpoint.lost.is_empty()).count();
        assert_eq!(unhurt, STOCKS.len() - 1);
    }
}

#[test]
fn f17_a_damaged_newest_file_keeps_no_simulation_from_starting() {
    let dir = TempDir::new().unwrap();
    let lake = dir.path().join("lake");
    let run = || Program::new(dir.path(), &["run", "--json", "--for", "3s"]).run().summary();
    assert!(run().bars > 4);
    let newest = Lake::open_read_only(&lake).unwrap().files(Dataset::Bars).unwrap().pop().unwrap();
    fs::write(&newest.path, "torn").unwrap();
    let summary = run();
    assert!(summary.bars > 0 && summary.late == 0, "it goes on behind what is closed: {summary:?}");
    let told = found(dir.path(), &["--repair"]);
    assert!(told.iter().all(|finding| finding["remedy"] == "restore"), "only what is lost is left: {told:#?}");
}

#[test]
fn f17_what_a_file_held_that_is_damaged_under_the_program_is_made_again_when_its_partition_restarts() {
    let noon = START + 14 * 3_600_000_000;
    let ticks = Ticks::make(&Recipe { seed: 23, lines: 3_000, start: noon, spoiled: 0.0, ..Recipe::default() });
    let replay = |dir: &Path| {
        fs::write(dir.join("ticks.csv"), ticks.file()).unwrap();
        Program::new(dir, &["replay", "ticks.csv", "--symbols", "AAPL", "--rate", "1000", "--json"])
    };
    let (unhurt, hurt) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    replay(unhurt.path()).run().summary();

    // While the window is asleep nothing is committed, and the next commit is one at which the writer panics.
    let trouble = "window.close=3*off->1*sleep(2000);writer.commit=3*off->1*panic";
    let mut running = replay(hurt.path()).env("FAILPOINTS", trouble).start();
    let entry = hurt.path().join("lake/state/stock_topic.AAPL-0/000000004.parquet");
    let features = hurt.path().join("lake/features/date=2025-05-14/stock_topic.AAPL-0-000000004.parquet");
    running.until("the fence and three commits are there, with their features", || features.exists());
    torn(&entry);
    let ended = running.end();
    assert!(ended.stderr.contains("its bars are made again from the log"), "{}", ended.stderr);
    assert_eq!(ended.summary().restarts, 1, "{}", ended.stderr);
    let (lake, wanted) = (hurt.path().join("lake"), unhurt.path().join("lake"));
    assert_eq!(bars(&lake), bars(&wanted));
    let counters = |lake| checkpoints(lake).into_values().map(|checkpoint| checkpoint.counters).collect::<Vec<_>>();
    assert_eq!(counters(&lake), counters(&wanted));
    assert!(checkpoints(&lake).values().all(|checkpoint| checkpoint.lost.is_empty()));
    let ended = Program::new(hurt.path(), &["verify", "--repair", "--json"]).run();
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.stdout, ended.stderr);
}
