//! Files of the lake that were damaged or deleted between two runs: what the next start makes of it, what `verify` says, and what
//! `verify --repair` puts right.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use stockstream::market::checkpoint::{CommitNumber, TopicPartition};
use stockstream::settings::Compression;
use stockstream::storage::parquet::{self, CommitFile};
use stockstream::storage::{Dataset, Lake, PublishedFile};
use support::damage::{empty, flipped, torn};
use support::effort::Effort;
use support::flow::Flow;
use support::lake::bars;
use support::program::Program;
use support::ticks::{Recipe, Ticks};

/// A lake of a keyed topic, and the newest event time in it.
fn filled() -> (Flow, i64) {
    let flow = Flow::new(true, "");
    let ticks = Ticks::make(&Recipe { seed: 17, lines: 3_000, ..Recipe::default() });
    flow.publish(&ticks.lines);
    flow.until_end();
    (flow, ticks.newest)
}

/// More ticks are published and read.
fn go_on(flow: &Flow, newest: i64) -> i64 {
    let ticks = Ticks::make(&Recipe { seed: 18, lines: 2_000, start: newest + 1, ..Recipe::default() });
    flow.publish(&ticks.lines);
    flow.until_end();
    ticks.newest
}

/// A lake whose chains have let go of their first entries, and the first published file of a partition.
fn long() -> (Flow, PublishedFile) {
    let (flow, newest) = filled();
    (0..3).fold(newest, |newest, _| go_on(&flow, newest));
    let lake = Lake::open_read_only(&flow.lake()).unwrap();
    let first = lake.files(Dataset::Bars).unwrap().remove(0);
    let (partition, number) = first.commit().unwrap();
    assert!(!lake.entries(&partition).unwrap().contains(&number), "the chain still holds {number}");
    (flow, first)
}

/// Runs `verify`; returns its report after checking the exit code, and that every finding says what helps.
#[track_caller]
fn verify(flow: &Flow, options: &[&str], code: i32) -> Value {
    let arguments = [&["verify"], options].concat();
    let ended = flow.program(&arguments).run();
    assert_eq!(ended.code, Some(code), "{}\n{}", ended.stdout, ended.stderr);
    let report: Value = serde_json::from_str(ended.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(report["sound"], code == 0);
    for finding in report["findings"].as_array().unwrap() {
        assert!(
            finding["file"].is_string() && finding["problem"].is_string() && finding["advice"].is_string(),
            "{finding}"
        );
    }
    report
}

/// The newest entries of all partitions.
fn newest_entries(lake: &Path) -> Vec<(TopicPartition, CommitNumber, PathBuf)> {
    let open = Lake::open_read_only(lake).unwrap();
    let newest = |partition: TopicPartition| {
        let number = *open.entries(&partition).unwrap().last().unwrap();
        let path = lake.join(format!("state/{partition}/{number}.parquet"));
        (partition, number, path)
    };
    open.partitions().unwrap().into_iter().map(newest).collect()
}

/// The published bars files with the highest number of each partition.
fn newest_published(lake: &Path) -> Vec<PathBuf> {
    let open = Lake::open_read_only(lake).unwrap();
    let mut newest = std::collections::BTreeMap::new();
    for file in open.files(Dataset::Bars).unwrap() {
        let (partition, number) = file.commit().unwrap();
        let held = newest.entry(partition).or_insert((number, file.path.clone()));
        *held = held.clone().max((number, file.path));
    }
    newest.into_values().map(|(_, path)| path).collect()
}

/// Of all files, so that no name shares its bytes with another any more.
fn break_links(dir: &Path) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            break_links(&path);
        } else {
            let bytes = fs::read(&path).unwrap();
            fs::remove_file(&path).unwrap();
            fs::write(&path, bytes).unwrap();
        }
    }
}

/// In place: a published file that is the same one is damaged with it.
#[test]
fn f17_a_damaged_newest_entry_is_put_aside_and_made_again() {
    for (name, damage) in [("torn", torn as fn(&Path)), ("empty", empty), ("flipped", flipped)] {
        let (flow, newest) = filled();
        let entries = newest_entries(&flow.lake());
        entries.iter().for_each(|(.., path)| damage(path));
        let report = verify(&flow, &[], 3);
        let told = report["findings"].as_array().unwrap();
        for (.., path) in &entries {
            let tail = path.strip_prefix(flow.dir.path()).unwrap().display().to_string();
            assert!(
                told.iter().any(|finding| finding["file"].as_str().unwrap().ends_with(&tail)),
                "{name}: {tail}: {told:#?}"
            );
        }
        go_on(&flow, newest);
        flow.assert_lake_is_right();
        let report = verify(&flow, &[], 3);
        for finding in report["findings"].as_array().unwrap() {
            assert!(finding["problem"].as_str().unwrap().contains("put aside"), "{name}: {finding}");
        }
        verify(&flow, &["--repair"], 0);
        verify(&flow, &["--against-log"], 0);
        flow.until_end();
        flow.assert_lake_is_right();
    }
}

#[test]
fn f17_in_a_copied_lake_an_entry_and_its_published_file_mend_each_other() {
    let kinds = Effort::of_this_run().pick(1, 3, 3);
    for damage in [torn as fn(&Path), empty, flipped].into_iter().take(kinds) {
        let (flow, newest) = filled();
        break_links(&flow.lake());
        newest_entries(&flow.lake()).iter().for_each(|(.., path)| damage(path));
        go_on(&flow, newest);
        flow.assert_lake_is_right();

        break_links(&flow.lake());
        newest_published(&flow.lake()).iter().for_each(|path| damage(path));
        verify(&flow, &[], 3);
        let report = verify(&flow, &["--repair", "--against-log"], 0);
        assert!(!report["repaired"]["listed"].as_array().unwrap().is_empty(), "{report}");
        flow.assert_lake_is_right();
        verify(&flow, &[], 0);
    }
}

#[test]
fn f18_a_deleted_newest_file_is_made_again() {
    // each name of it
    type Deletion = fn(&Flow);
    let entries: Deletion =
        |flow| newest_entries(&flow.lake()).iter().for_each(|(.., path)| fs::remove_file(path).unwrap());
    let published: Deletion =
        |flow| newest_published(&flow.lake()).iter().for_each(|path| fs::remove_file(path).unwrap());
    let all: Deletion = |flow| {
        for (partition, number, path) in newest_entries(&flow.lake()) {
            fs::remove_file(path).unwrap();
            for dataset in ["bars", "features"] {
                for date in fs::read_dir(flow.lake().join(dataset)).unwrap() {
                    let _not_of_this_date =
                        fs::remove_file(date.unwrap().path().join(format!("{partition}-{number}.parquet")));
                }
            }
        }
    };
    for (name, delete) in [("entry", entries), ("published", published), ("all", all)] {
        let (flow, newest) = filled();
        delete(&flow);
        if name != "published" {
            go_on(&flow, newest);
            flow.assert_lake_is_right();
        }
        let repaired = verify(&flow, &["--repair"], 0);
        assert!(name != "published" || repaired["repaired"]["listed"][0]["file"].is_string(), "{repaired}");
        flow.assert_lake_is_right();
        verify(&flow, &["--against-log"], 0);
    }
}

#[test]
fn f18_a_deleted_middle_file_is_named_with_what_is_missing() {
    let (flow, middle) = long();
    let lake = Lake::open_read_only(&flow.lake()).unwrap();
    let lost = lake.read_bars(&middle).unwrap().unwrap().bars;
    fs::remove_file(&middle.path).unwrap();

    // Its features are all that is left: they say which.
    let report = verify(&flow, &["--repair"], 3);
    assert_eq!(report["findings"].as_array().unwrap().len(), 1, "{report}");
    let finding = &report["findings"][0];
    assert!(
        finding["file"].as_str().unwrap().ends_with(&middle.name) && finding["remedy"] == "restore_or_replay",
        "{finding}"
    );

    // The log says what the bars were.
    fs::remove_file(middle.path.to_str().unwrap().replace("/bars/", "/features/")).unwrap();
    let report = verify(&flow, &["--against-log"], 3);
    let told = report["findings"].as_array().unwrap();
    let names_it = told.iter().any(|finding| {
        finding["problem"].as_str().unwrap().contains("is not in the lake")
            && finding["stock"] == lost[0].symbol.as_str()
            && finding["window"] == lost[0].window_start.to_string()
    });
    assert!(names_it, "{told:#?}");
    assert!(told.iter().any(|finding| finding["problem"].as_str().unwrap().contains("bars are missing")), "{told:#?}");
}

#[test]
fn every_bar_is_compared_with_the_log_and_a_falsified_one_is_found() {
    let (flow, file) = long();
    let all = bars(&flow.lake());
    let report = verify(&flow, &["--against-log"], 0);
    assert_eq!(report["against_log"]["compared"], all.len());
    assert_eq!((&report["against_log"]["not_covered"], &report["against_log"]["records"]), (&0.into(), &9_000.into()));

    // A volume has no indicator that would tell.
    let CommitFile { partition, number, mut commit } = parquet::decode_commit(&fs::read(&file.path).unwrap()).unwrap();
    let mut rows = commit.rows.to_vec();
    let (stock, window) = (rows[0].symbol.clone(), rows[0].window_start.to_string());
    let volume = rows[0].volume.map_or(1.0, |volume| volume + 1.0);
    (rows[0].volume, rows[0].vwap) = (Some(volume), rows[0].vwap.or(Some(rows[0].close)));
    commit.rows = rows.into();
    fs::remove_file(&file.path).unwrap();
    fs::write(&file.path, parquet::encode_commit(&partition, number, &commit, Compression::Zstd).unwrap()).unwrap();
    verify(&flow, &[], 0);
    let report = verify(&flow, &["--against-log"], 3);
    assert_eq!(report["findings"].as_array().unwrap().len(), 1, "{report}");
    let finding = &report["findings"][0];
    assert!(finding["file"].as_str().unwrap().ends_with(&file.name), "{finding}");
    assert_eq!((&finding["stock"], &finding["window"]), (&stock.as_str().into(), &window.into()));
    let problem = finding["problem"].as_str().unwrap();
    assert!(problem.contains(&format!("volume is {volume:?}, the log gives")), "{problem}");
}

#[test]
fn the_log_of_another_cluster_and_that_of_no_cluster_are_refused() {
    let (flow, _) = filled();
    let other = Flow::new(true, "");
    fs::copy(other.dir.path().join("cluster.toml"), flow.dir.path().join("other.toml")).unwrap();
    let with = |arguments: &[&str]| Program::new(flow.dir.path(), arguments).run();
    with(&["verify", "--against-log", "--settings", "other.toml"])
        .refused(2, &["leads to cluster", "the lake was made"]);
    with(&["verify", "--against-log"]).refused(2, &["--against-log needs the cluster", "embedded"]);
}

#[test]
fn a_lake_in_use_is_checked_but_not_repaired() {
    let (flow, newest) = filled();
    let mut running = flow.program(&["run"]).start();
    running.until_said("partition taken", 3);
    flow.publish(&Ticks::make(&Recipe { seed: 19, lines: 2_000, start: newest + 1, ..Recipe::default() }).lines);
    let refused = flow.program(&["verify", "--repair"]).run();
    refused.refused(1, &["in use", &format!("process {}", running.pid())]);
    verify(&flow, &["--against-log"], 0);
    running.signal(rustix::process::Signal::TERM);
    assert_eq!(running.end().code, Some(0));
    verify(&flow, &["--against-log"], 0);
}

#[test]
fn a_repair_may_be_killed_at_any_moment() {
    let (flow, newest) = filled();
    go_on(&flow, newest);
    fs::remove_dir_all(flow.lake().join("features")).unwrap();
    newest_published(&flow.lake()).iter().for_each(|path| fs::remove_file(path).unwrap());
    for delay in (0..200).step_by(20) {
        let repairing = flow.program(&["verify", "--repair"]).start();
        std::thread::sleep(Duration::from_millis(delay));
        repairing.kill();
    }
    verify(&flow, &["--repair"], 0);
    verify(&flow, &["--against-log"], 0);
    flow.assert_lake_is_right();
}
