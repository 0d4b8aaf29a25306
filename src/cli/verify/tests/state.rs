//! What is wrong in `state/` is found, and each finding says what helps.

use std::fs;
use std::path::Path;

use rstest::rstest;

use super::super::sample::{self, Sample, Then, apple, at_rest, flip, nth};
use super::{assert_found, problems, repaired, report};
use crate::cli::verify::remedy::Remedy;
use crate::indicators::state::IndicatorState;
use crate::market::checkpoint::CommitNumber;
use crate::settings::Compression;
use crate::storage::Dataset::{Bars, Features};
use crate::storage::Lake;

fn entry(dir: &Path, number: u64) -> std::path::PathBuf {
    dir.join(format!("state/ticks-1/{number:09}.parquet"))
}

fn save_indicators(dir: &Path, state: &IndicatorState) {
    let lake = Lake::open_for_repair(dir, Compression::Zstd).unwrap();
    lake.save_indicators(&sample::others(), &state.to_bytes()).unwrap();
}

fn remedies(dir: &Path) -> Vec<Remedy> {
    report(dir).findings.iter().map(|finding| finding.remedy).collect()
}

#[test]
fn damaged_indicators_are_found() {
    let dir = at_rest();
    flip(&dir.path().join("state/ticks-1/indicators"));
    assert_found(dir.path(), &[&["state/ticks-1/indicators: is damaged", "--repair"]]);
}

#[test]
fn indicators_beyond_or_below_the_chain_are_found() {
    let dir = at_rest();
    save_indicators(dir.path(), &sample::of_history(CommitNumber(99), vec![sample::bar("IBM", 0)]));
    assert_found(dir.path(), &[&["indicators: includes commit 000000099, and there is none above 000000031"]]);
    assert_eq!(remedies(dir.path()), [Remedy::RestoreOrReplay]);
    repaired(dir.path());
    assert_found(dir.path(), &[&["newer commits are gone, or it is of another chain"]]);
    save_indicators(dir.path(), &sample::of_history(CommitNumber(3), vec![sample::bar("IBM", 0)]));
    let found = problems(dir.path()).join("\n");
    assert!(found.contains("ends at commit 000000003, and the chain begins at 000000028"), "{found}");
}

#[test]
fn indicators_that_the_bars_do_not_give_are_found_with_the_stock() {
    let dir = at_rest();
    let windows = (0..60).flat_map(|window| [sample::bar("IBM", window), sample::bar("MSFT", window + 1)]);
    save_indicators(dir.path(), &sample::of_history(CommitNumber(31), windows.collect()));
    assert_found(dir.path(), &[&["indicators: the saved indicators of MSFT are not those of the bars"]]);
    assert_eq!(remedies(dir.path()), [Remedy::Repair]);
}

#[test]
fn temporaries_of_dead_writers_are_told_and_those_of_living_ones_are_not() {
    let dir = at_rest();
    fs::write(dir.path().join("state/.tmp-1"), "half").unwrap();
    fs::write(dir.path().join("state/ticks-1/.tmp-2"), "half").unwrap();
    let living = fs::File::create(dir.path().join("state/ticks-1/.tmp-3")).unwrap();
    living.lock().unwrap();
    let report = report(dir.path());
    assert!(report.sound && report.findings.is_empty(), "a kill leaves them behind, and no harm is done: {report}");
    assert_eq!(report.leftovers, 2);
    assert!(report.to_string().contains("note: 2 files left half-written"), "{report}");
}

#[test]
fn unknown_names_are_found() {
    let dir = at_rest();
    fs::write(dir.path().join("state/notes"), "?").unwrap();
    fs::write(dir.path().join("state/ticks-1/28.parquet"), "?").unwrap();
    fs::write(dir.path().join("state/evil.lock"), "").unwrap();
    fs::write(dir.path().join("state/producers.lock"), "").unwrap();
    fs::create_dir_all(dir.path().join("bars/date=2025-13-45")).unwrap();
    assert_found(
        dir.path(),
        &[
            &["state/evil.lock: does not belong here", "move it out"],
            &["state/notes: does not belong here", "move it out"],
            &["state/ticks-1/28.parquet: does not belong here"],
            &["bars/date=2025-13-45: does not belong here"],
        ],
    );
}

#[test]
fn what_does_not_belong_into_the_lake_itself_is_found() {
    let dir = at_rest();
    fs::create_dir(dir.path().join("bars2")).unwrap();
    for stray in ["bars2/x.parquet", "junk.parquet", ".hidden.parquet"] {
        fs::write(dir.path().join(stray), "?").unwrap();
    }
    assert_found(
        dir.path(),
        &[
            &[".hidden.parquet: does not belong here", "move it out"],
            &["bars2: does not belong here: only the directories"],
            &["junk.parquet: does not belong here"],
        ],
    );
}

#[test]
fn what_systems_leave_in_a_directory_is_let_be() {
    let dir = at_rest();
    fs::write(dir.path().join(".DS_Store"), "?").unwrap();
    fs::create_dir(dir.path().join("lost+found")).unwrap();
    assert_found(dir.path(), &[]);
}

#[test]
fn partitions_without_a_chain_are_noted_where_the_lake_says_how_many_there_are() {
    let mut sample = Sample::new();
    sample.commit(&sample::others(), &["IBM"], 0, Then::PublishFeatures);
    let dir = sample.stop();
    assert_eq!(report(dir.path()).without_chain, Vec::<String>::new());
    sample::rewrite_identity(dir.path(), "\"keyed\"", "\"keyed, 4 partitions\"");
    let found = report(dir.path());
    assert_eq!(found.without_chain, ["ticks-0", "ticks-2", "ticks-3"]);
    assert!(found.sound, "they may not have been taken yet: {found}");
    assert!(found.to_string().contains("note: partitions without a chain: ticks-0, ticks-2, ticks-3; "), "{found}");
}

#[test]
fn a_hole_in_a_chain_is_found_and_told_apart_by_whether_the_entry_is_published() {
    let dir = at_rest();
    fs::remove_file(entry(dir.path(), 29)).unwrap();
    assert_found(dir.path(), &[&["ticks-1/000000029.parquet: is missing", "--repair"]]);
}

#[test]
fn the_lowest_entries_may_be_gone() {
    let dir = at_rest();
    fs::remove_file(entry(dir.path(), 28)).unwrap();
    assert_found(dir.path(), &[]);
}

#[test]
fn an_entry_put_aside_is_found_and_can_go_when_the_chain_has_gone_on() {
    let dir = at_rest();
    let aside =
        |number| fs::rename(entry(dir.path(), number), entry(dir.path(), number).with_extension("parquet.quarantined"));
    aside(29).unwrap();
    assert_found(
        dir.path(),
        &[&["000000029.parquet.quarantined: was put aside", "the chain has gone on beyond it", "--repair"]],
    );
    let dir = at_rest();
    fs::rename(entry(dir.path(), 31), entry(dir.path(), 31).with_extension("parquet.quarantined")).unwrap();
    for dataset in [Bars, Features] {
        fs::remove_file(nth(dir.path(), dataset, &sample::others(), 29)).unwrap();
    }
    fs::remove_file(dir.path().join("state/ticks-1/indicators")).unwrap();
    assert_eq!(remedies(dir.path()), [Remedy::NextStart], "what it held is still to be read again");
}

#[test]
fn a_newest_entry_that_is_gone_is_told_by_its_file() {
    let dir = at_rest();
    fs::remove_file(entry(dir.path(), 31)).unwrap();
    let found = problems(dir.path()).join("\n");
    assert!(found.contains("000000031.parquet: the partition's chain in state/ ends at 000000030"), "{found}");
}

#[test]
fn a_damaged_entry_says_where_help_comes_from() {
    let dir = at_rest();
    flip(&entry(dir.path(), 31));
    assert_eq!(remedies(dir.path()), [Remedy::Repair], "its published copy is good");
    flip(&nth(dir.path(), Bars, &sample::others(), 29));
    assert_eq!(remedies(dir.path())[0], Remedy::NextStart, "the log has what is needed");
    let dir = at_rest();
    flip(&nth(dir.path(), Bars, &apple(), 3));
    assert_eq!(remedies(dir.path()), [Remedy::RestoreOrReplay], "the chain no longer holds it");
    let dir = at_rest();
    flip(&nth(dir.path(), Bars, &apple(), 29));
    assert_eq!(remedies(dir.path()), [Remedy::Repair], "the chain holds it");
}

#[rstest]
#[case("{")]
#[case(r#"{"format": 1, "group": "g"}"#)]
fn an_unreadable_identity_is_found(#[case] content: &str) {
    let dir = at_rest();
    fs::write(dir.path().join("state/lake.json"), content).unwrap();
    assert_found(
        dir.path(),
        &[&["state/lake.json: is not readable as the lake's identity: ", "restore it from a copy"]],
    );
    assert_eq!(remedies(dir.path()), [Remedy::RestoreIdentity]);
}

#[test]
fn an_identity_of_which_a_bit_flipped_is_found() {
    let dir = at_rest();
    let identity = dir.path().join("state/lake.json");
    let text = fs::read_to_string(&identity).unwrap();
    fs::write(&identity, text.replacen("keyed", "keyee", 1)).unwrap();
    assert_found(dir.path(), &[&["state/lake.json: is not readable as the lake's identity: its checksum"]]);
}

#[test]
fn a_missing_identity_is_found_where_there_are_chains_and_no_repair_makes_it() {
    let dir = at_rest();
    let identity = dir.path().join("state/lake.json");
    fs::remove_file(&identity).unwrap();
    assert_found(dir.path(), &[&["state/lake.json: is missing", "the next start records its own", "not be refused"]]);
    let after = repaired(dir.path());
    assert_eq!((after.findings.len(), after.findings[0].remedy), (1, Remedy::RestoreIdentity));
    assert!(!identity.exists(), "only a person knows whom the lake belongs to");

    let empty = Sample::new().stop();
    fs::remove_file(empty.path().join("state/lake.json")).unwrap();
    assert_found(empty.path(), &[]);
}

#[test]
fn gaps_of_the_log_are_told_and_are_no_findings() {
    let mut sample = Sample::new();
    sample.fill(10);
    sample.lose_offsets(&apple(), 40);
    sample.commit(&apple(), &["AAPL"], 10, Then::PublishFeatures);
    let dir = sample.stop();
    let found = report(dir.path());
    assert!(found.sound, "{found}");
    assert_eq!((found.gaps.len(), found.gaps[0].unread, found.unlisted_gaps), (1, 40, 0));
    let text = found.to_string();
    assert!(text.contains("note: partition stock_topic.AAPL-0: of the offsets from"), "{text}");
    assert!(text.contains("never read: 40") && text.contains("may lack ticks"), "{text}");
}
