//! What can be made again is made again, what cannot is said, and a second repair finds nothing to do.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rstest::rstest;

use super::super::sample::{self, Sample, Then, apple, at_rest, flip, nth, others, rewrite_bars, rewrite_features};
use super::{VerifyRequest, repaired, report, report_on, request};
use crate::cli::verify::remedy::Remedy;
use crate::settings::Compression;
use crate::storage::Dataset::{Bars, Features};
use crate::storage::Lake;
use indicatif::ProgressBar;

fn entry(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("state/ticks-1/{number:09}.parquet"))
}

/// The content of every public file, by its path below the lake.
fn content(dir: &Path) -> BTreeMap<PathBuf, String> {
    let lake = Lake::open_read_only(dir).unwrap();
    let bars = lake.files(Bars).unwrap().into_iter().map(|file| {
        let text = format!("{:?}", lake.read_bars(&file).unwrap().unwrap());
        (file.path, text)
    });
    let features = lake.files(Features).unwrap().into_iter().map(|file| {
        let text = format!("{:?}", lake.read_features(&file).unwrap().unwrap());
        (file.path, text)
    });
    bars.chain(features).map(|(path, text)| (path.strip_prefix(dir).unwrap().to_owned(), text)).collect()
}

/// Damages a sound lake, repairs it, and holds it against the sound one.
#[track_caller]
fn assert_repaired(damage: impl FnOnce(&Path)) {
    let dir = at_rest();
    let before = content(dir.path());
    damage(dir.path());
    assert!(!report(dir.path()).sound, "the damage is found");
    let first = repaired(dir.path());
    assert_eq!(first.findings, [], "after {:#?}", first.repaired);
    assert!(first.sound && first.repaired.unwrap().count() > 0);
    assert_eq!(content(dir.path()), before);
    let again = repaired(dir.path());
    assert!(again.sound);
    assert_eq!(again.repaired.unwrap().count(), 0, "nothing is left to do");
}

/// Old and new: the chain no longer holds the first, and still holds the last.
#[rstest]
#[case(3)]
#[case(29)]
fn features_are_made_again(#[case] n: usize) {
    assert_repaired(|dir| fs::remove_file(nth(dir, Features, &apple(), n)).unwrap());
    assert_repaired(|dir| flip(&nth(dir, Features, &others(), n)));
    assert_repaired(|dir| rewrite_features(&nth(dir, Features, &others(), n), |rows| rows[2].ema = Some(1.0)));
    assert_repaired(|dir| rewrite_features(&nth(dir, Features, &others(), n), |rows| rows.truncate(2)));
}

#[test]
fn all_features_are_made_again() {
    assert_repaired(|dir| fs::remove_dir_all(dir.join("features")).unwrap());
}

#[test]
fn published_files_that_the_chain_holds_are_made_again() {
    for n in [27, 29] {
        assert_repaired(|dir| fs::remove_file(nth(dir, Bars, &apple(), n)).unwrap());
        assert_repaired(|dir| flip(&nth(dir, Bars, &others(), n)));
        assert_repaired(|dir| rewrite_bars(&nth(dir, Bars, &others(), n), |rows, _| rows[0].volume = Some(1.0)));
    }
    assert_repaired(|dir| {
        for dataset in [Bars, Features] {
            fs::remove_file(nth(dir, dataset, &others(), 28)).unwrap();
        }
    });
}

#[test]
fn entries_that_are_published_are_made_again() {
    assert_repaired(|dir| fs::remove_file(entry(dir, 29)).unwrap());
    assert_repaired(|dir| fs::remove_file(entry(dir, 31)).unwrap());
    assert_repaired(|dir| flip(&entry(dir, 31)));
    assert_repaired(|dir| flip(&entry(dir, 29)));
    assert_repaired(|dir| fs::remove_dir_all(dir.join("state/ticks-1")).unwrap());
}

#[test]
fn leftovers_are_removed() {
    assert_repaired(|dir| fs::write(dir.join("state/ticks-1/000000027.parquet.quarantined"), "torn").unwrap());
    assert_repaired(|dir| flip(&dir.join("state/ticks-1/indicators")));
}

#[test]
fn what_dead_writers_left_half_written_is_removed() {
    let dir = at_rest();
    let left = [dir.path().join("state/.tmp-1"), dir.path().join("state/ticks-1/.tmp-1")];
    left.iter().for_each(|path| fs::write(path, "half").unwrap());
    let after = repaired(dir.path());
    assert!(after.sound && after.repaired.is_some_and(|repairs| repairs.count() == 2));
    assert!(left.iter().all(|path| !path.exists()));
}

/// It goes although its number was taken by a fenced owner since.
#[test]
fn an_entry_put_aside_goes_with_the_one_that_took_its_name() {
    assert_repaired(|dir| {
        fs::copy(entry(dir, 29), entry(dir, 27)).unwrap();
        fs::write(dir.join("state/ticks-1/000000027.parquet.quarantined"), "torn").unwrap();
    });
}

#[test]
fn features_without_bars_are_removed_only_when_no_checkpoint_counts_the_bars() {
    assert_repaired(|dir| {
        let file = nth(dir, Features, &others(), 4);
        let rows = |rows: &mut Vec<crate::indicators::feature_row::FeatureRow>| rows.truncate(2);
        let copy = file.with_file_name("ticks-1-000000001.parquet");
        sample::features_under(&file, &copy, 1, rows);
    });
    let dir = at_rest();
    let lost = nth(dir.path(), Bars, &others(), 4);
    fs::remove_file(&lost).unwrap();
    let after = repaired(dir.path());
    assert_eq!((after.findings.len(), after.repaired.unwrap().count()), (1, 0));
    assert_eq!(after.findings[0].remedy, Remedy::RestoreOrReplay);
    assert_eq!(after.findings[0].file, lost.display().to_string());
}

#[test]
fn what_cannot_be_made_again_is_said_and_left_as_it_is() {
    let dir = at_rest();
    flip(&nth(dir.path(), Bars, &others(), 3));
    for dataset in [Bars, Features] {
        fs::remove_file(nth(dir.path(), dataset, &apple(), 3)).unwrap();
    }
    // made of bars that are not known
    fs::remove_file(nth(dir.path(), Features, &apple(), 10)).unwrap();
    let before: Vec<_> = report(dir.path()).findings;
    let after = repaired(dir.path());
    assert_eq!(after.findings, before);
    assert!(before.iter().all(|finding| finding.remedy == Remedy::RestoreOrReplay), "{before:#?}");
    assert_eq!(after.repaired.unwrap().count(), 0);
}

#[test]
fn an_entry_of_an_owner_that_had_lost_is_not_published() {
    let dir = at_rest();
    // The rows of 30 under the number 1, which had none and was let go of long ago.
    let bytes = fs::read(entry(dir.path(), 30)).unwrap();
    sample::commit_under(&bytes, &entry(dir.path(), 1), 1, 4);
    let before = content(dir.path());
    let found = report(dir.path()).findings;
    assert!(found.iter().any(|finding| finding.problem.contains("stand under another number")), "{found:#?}");
    assert!(repaired(dir.path()).sound);
    assert_eq!(content(dir.path()), before);
}

#[test]
fn a_commit_in_the_making_is_completed() {
    let mut sample = Sample::new();
    sample.fill(40);
    let last = sample.commit(&apple(), &["AAPL"], 40, Then::Nothing);
    let dir = sample.stop();
    fs::remove_file(dir.path().join(last.path(Bars))).unwrap();
    let after = repaired(dir.path());
    assert_eq!((after.findings, after.pending, after.bars), (vec![], 0, 122));
}

#[test]
fn a_lake_that_a_process_has_open_is_not_repaired() {
    let sample = Sample::new();
    let asked = VerifyRequest { repair: Some(Compression::Zstd), ..request(sample.dir.path()) };
    let error = report_on(&asked, &ProgressBar::hidden()).unwrap_err().to_string();
    assert!(error.contains(&format!("in use by process {}", std::process::id())), "{error}");
}
