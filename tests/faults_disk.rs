//! The disk is full for a while. Needs the right to mount a small file system; without it the test says that it was skipped.

mod support;

use std::time::Duration;

use rustix::process::Signal;
use support::cluster::Cluster;
use support::effort::Effort;
use support::flow::Flow;
use support::lake::{commits, count_of, temporaries};
use support::small_disk::SmallDisk;
use support::ticks::STOCKS;
use support::watcher::Watcher;

#[test]
fn f15_a_full_disk_pauses_the_commits_and_they_go_on_when_there_is_room() {
    let (outage, times) = Effort::of_this_run().pick((2_u64, 1), (5, 2), (60, 3));
    // The past must last: what has caught up with the present has a tick in five seconds. And some ticks a batch: a mock broker looks
    // through its batches at each fetch.
    let past = "start_ago = \"100 days\"\nhistory = \"1h\"\n";
    let flow = Flow::on(Cluster::start(), false, &format!("\"linger.ms\" = 50\n[producer]\nspeed = 2000\n{past}"));
    std::fs::create_dir(flow.lake()).unwrap();
    let Some(disk) = SmallDisk::mount(&flow.lake(), 32) else { return };
    let watcher = Watcher::start(&flow.lake());
    let mut running = flow.program(&["run"]).start();
    for time in 1..=times {
        let wanted = count_of(&flow.lake(), STOCKS[3]) + 12;
        running.until("there are bars", || count_of(&flow.lake(), STOCKS[3]) >= wanted);
        disk.fill();
        running.until_said("commit not possible now, nothing is lost", 4 * time);
        for _ in 0..outage.div_ceil(10) {
            std::thread::sleep(Duration::from_secs(outage.min(10)));
            flow.keep_logs();
        }
        let (before, bars) = (commits(&flow.lake()), count_of(&flow.lake(), STOCKS[3]));
        disk.free();
        running.until("commits go on", || commits(&flow.lake()) > before + 4);
        running.until("bars go on", || count_of(&flow.lake(), STOCKS[3]) > bars + 10);
        flow.keep_logs();
    }
    let said = running.stderr();
    assert!(said.contains("free some space"), "what to do: {said}");
    running.signal(Signal::TERM);
    let summary = running.end().summary();
    assert_eq!((summary.restarts, summary.dropped()), (0, [0; 4]), "it waits in its place: {summary:?}");
    flow.until_end();
    assert_eq!(temporaries(&flow.lake()), Vec::<std::path::PathBuf>::new());
    println!("{:?}", watcher.end());
    flow.assert_lake_is_right();
}

#[test]
fn f15_a_partition_taken_while_the_disk_is_full_waits_for_room() {
    let flow = Flow::on(Cluster::start(), false, "[producer]\nspeed = 2000\nhistory = \"1h\"\n");
    std::fs::create_dir(flow.lake()).unwrap();
    let Some(disk) = SmallDisk::mount(&flow.lake(), 32) else { return };
    let watcher = Watcher::start(&flow.lake());
    let mut running = flow.program(&["run"]).start();
    running.until("there are bars", || count_of(&flow.lake(), STOCKS[3]) > 4);
    running.kill();
    disk.fill();
    let mut running = flow.program(&["run"]).start();
    running.until_said("free some space", 8);
    let before = commits(&flow.lake());
    disk.free();
    running.until("commits go on", || commits(&flow.lake()) > before + 8);
    running.signal(Signal::TERM);
    let summary = running.end().summary();
    assert_eq!(summary.restarts, 0, "it waits in its place: {summary:?}");
    flow.until_end();
    watcher.end();
    flow.assert_lake_is_right();
}
