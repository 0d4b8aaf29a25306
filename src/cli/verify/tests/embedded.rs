//! A lake of the embedded broker, whose log is gone: nothing is said to come from it again, and what is lost is told for good.

use std::fs;
use std::path::Path;

use super::super::sample::{apple, at_rest, flip, nth, others, rewrite_identity, set_aside};
use super::{Report, repaired, report};
use crate::cli::verify::remedy::Remedy;
use crate::market::checkpoint::NextOffset;
use crate::market::lost_commits::LostCommits;
use crate::storage::Dataset::Bars;

fn make_embedded(dir: &Path) {
    rewrite_identity(dir, "\"log\"", "\"embedded\"");
}

#[test]
fn no_finding_points_to_a_log_that_has_ended() {
    let dir = at_rest();
    flip(&dir.path().join("state/ticks-1/000000031.parquet"));
    flip(&nth(dir.path(), Bars, &others(), 29));
    flip(&nth(dir.path(), Bars, &apple(), 3));
    let remedies = |report: Report| -> Vec<Remedy> { report.findings.iter().map(|finding| finding.remedy).collect() };
    let of_cluster = remedies(report(dir.path()));
    assert!(of_cluster.contains(&Remedy::NextStart) && of_cluster.contains(&Remedy::RestoreOrReplay), "{of_cluster:?}");

    make_embedded(dir.path());
    let report = report(dir.path());
    for finding in &report.findings {
        let advice = finding.advice;
        assert!(advice.contains("backup") && advice.contains("has ended with its process"), "{finding}");
    }
    let embedded = remedies(report);
    assert_eq!(embedded.len(), of_cluster.len());
    assert!(embedded.contains(&Remedy::RestoreBeforeStart) && embedded.contains(&Remedy::Restore), "{embedded:?}");
}

#[test]
fn a_recorded_loss_is_a_finding_that_no_repair_and_no_deletion_ends() {
    let dir = set_aside(12, |newest, aside| newest.on_new_log("another").without(aside));
    make_embedded(dir.path());
    let aside = dir.path().join("state/stock_topic.AAPL-0/000000007.parquet.quarantined");
    let is_told = |report: Report| {
        assert!(!report.sound, "{report}");
        let lost: Vec<_> = report.findings.iter().filter(|finding| finding.remedy == Remedy::Restore).collect();
        let [finding] = lost[..] else { panic!("{report}") };
        assert_eq!(finding.file, aside.to_str().unwrap());
        assert_eq!(finding.stock.as_ref().map(|stock| stock.as_str()), Some("AAPL"));
        assert!(
            finding.problem.contains("commit 000000007 of partition stock_topic.AAPL-0 was unreadable"),
            "{finding}"
        );
        assert!(finding.problem.contains("2 bars of AAPL, of windows from 2025-05-13T22:50:00"), "{finding}");
    };
    is_told(report(dir.path()));
    is_told(repaired(dir.path()));
    assert!(aside.exists(), "it may be all that is left of them");
    fs::remove_file(&aside).unwrap();
    is_told(report(dir.path()));
    is_told(repaired(dir.path()));
}

#[test]
fn a_pending_commit_is_a_finding_whose_file_no_repair_removes() {
    let pending = |until| {
        set_aside(10, move |newest, aside| {
            let until = Some(NextOffset(until));
            let pending: Vec<_> = aside.iter().map(|lost| LostCommits { until, bars: None, ..lost.clone() }).collect();
            newest.without(&pending)
        })
    };
    let dir = pending(1_000_000);
    make_embedded(dir.path());
    let aside = dir.path().join("state/stock_topic.AAPL-0/000000007.parquet.quarantined");
    for report in [report(dir.path()), repaired(dir.path())] {
        let [finding] = &report.findings[..] else { panic!("{report}") };
        assert_eq!((finding.remedy, finding.file.as_str()), (Remedy::WaitOrRestore, aside.to_str().unwrap()));
        assert!(!report.sound && finding.problem.contains("not all is made again yet"), "{finding}");
        assert!(finding.advice.contains("wait") && finding.advice.contains("backup"), "{finding}");
    }
    assert!(aside.exists(), "the next start may have to tell of it");

    // no open window needs what is below `resume`
    let dir = pending(0);
    make_embedded(dir.path());
    let told = report(dir.path());
    assert!(told.findings.iter().all(|finding| finding.remedy == Remedy::Repair), "{told}");
    assert!(repaired(dir.path()).sound && report(dir.path()).sound);
}
