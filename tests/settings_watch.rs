//! Every way in which programs save a file ends in one callback that finds the last content.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use stockstream::settings::SettingsWatcher;
use tempfile::TempDir;

/// A change must be reported within this time. The program promises 2 s; a busy test machine gets more.
const DEADLINE: Duration = Duration::from_secs(10);
/// Longer than the watcher waits for quiet and than it looks by itself: a second callback would come in this time.
const SILENCE: Duration = Duration::from_millis(2500);

struct Watched {
    file: PathBuf,
    /// The content of the file at each callback, `None` when it was not there.
    reports: Receiver<Option<String>>,
    _watcher: SettingsWatcher,
    dir: TempDir,
}

impl Watched {
    /// A file in a directory of its own, prepared before the watcher starts.
    fn after(prepare: impl FnOnce(&Path)) -> Self {
        let dir = TempDir::new().unwrap();
        prepare(dir.path());
        let file = dir.path().join("settings/local.toml");
        let (report, reports) = channel();
        let read = file.clone();
        let on_change = move || report.send(std::fs::read_to_string(&read).ok()).unwrap();
        let watcher = SettingsWatcher::start(vec![file.clone()], on_change).unwrap();
        Self { file, reports, _watcher: watcher, dir }
    }

    fn with_content(content: &str) -> Self {
        Self::after(|dir| {
            std::fs::create_dir(dir.join("settings")).unwrap();
            std::fs::write(dir.join("settings/local.toml"), content).unwrap();
        })
    }

    /// Waits for the callback that finds this content. An earlier one, of a save that the system held up half-way, is passed
    /// over; returns how many were.
    #[track_caller]
    fn expect(&self, content: Option<&str>) -> usize {
        let deadline = Instant::now() + DEADLINE;
        for passed_over in 0.. {
            let left = deadline.saturating_duration_since(Instant::now());
            let report = self.reports.recv_timeout(left).unwrap_or_else(|_| panic!("no callback with {content:?}"));
            if report.as_deref() == content {
                return passed_over;
            }
        }
        unreachable!("the loop ends by one of its exits")
    }

    #[track_caller]
    fn expect_silence(&self) {
        assert_eq!(self.reports.recv_timeout(SILENCE), Err(RecvTimeoutError::Timeout));
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.file.with_file_name(name)
    }
}

#[test]
fn a_file_that_is_replaced_by_rename_is_one_change() {
    let watched = Watched::with_content("old");
    for content in ["new", "newer"] {
        std::fs::write(watched.beside(".local.toml.swp"), content).unwrap();
        std::fs::rename(watched.beside(".local.toml.swp"), &watched.file).unwrap();
        watched.expect(Some(content));
    }
    watched.expect_silence();
}

#[test]
fn a_file_that_is_truncated_and_written_is_one_change() {
    let watched = Watched::with_content("old");
    for content in ["new", "newer"] {
        std::fs::write(&watched.file, "").unwrap();
        std::fs::write(&watched.file, content).unwrap();
        watched.expect(Some(content));
    }
    watched.expect_silence();
}

#[test]
fn a_half_written_file_is_reported_as_it_stands_and_again_when_it_is_whole() {
    let watched = Watched::with_content("old");
    std::fs::write(&watched.file, "[mark").unwrap();
    watched.expect(Some("[mark"));
    std::fs::write(&watched.file, "[market]").unwrap();
    watched.expect(Some("[market]"));
}

#[test]
fn a_deleted_file_is_a_change_and_so_is_its_return() {
    let watched = Watched::with_content("old");
    std::fs::remove_file(&watched.file).unwrap();
    watched.expect(None);
    std::fs::write(&watched.file, "new").unwrap();
    watched.expect(Some("new"));
}

#[test]
fn a_burst_of_saves_is_one_change() {
    let watched = Watched::with_content("old");
    let (start, mut last, mut longest_pause) = (Instant::now(), Instant::now(), Duration::ZERO);
    for save in 1..=100 {
        std::fs::write(&watched.file, format!("{save}")).unwrap();
        longest_pause = longest_pause.max(last.elapsed());
        last = Instant::now();
        std::thread::sleep((start + Duration::from_millis(10) * save).saturating_duration_since(Instant::now()));
    }
    std::fs::write(&watched.file, "last").unwrap();
    longest_pause = longest_pause.max(last.elapsed());
    let passed_over = watched.expect(Some("last"));
    // A machine that stops this thread for long makes several bursts of one.
    assert!(
        passed_over == 0 || longest_pause > Duration::from_millis(200),
        "{passed_over} too many, pause {longest_pause:?}"
    );
    watched.expect_silence();
}

#[cfg(unix)]
#[test]
fn a_swapped_symbolic_link_is_a_change() {
    use std::os::unix::fs::symlink;
    // As Kubernetes lays out a mounted map: local.toml -> ..data/local.toml, ..data -> ..1, and then ..data -> ..2.
    let watched = Watched::after(|dir| {
        let dir = dir.join("settings");
        for (version, content) in [("..1", "old"), ("..2", "new")] {
            std::fs::create_dir_all(dir.join(version)).unwrap();
            std::fs::write(dir.join(version).join("local.toml"), content).unwrap();
        }
        symlink("..1", dir.join("..data")).unwrap();
        symlink("..data/local.toml", dir.join("local.toml")).unwrap();
    });
    symlink("..2", watched.beside("..data_tmp")).unwrap();
    std::fs::rename(watched.beside("..data_tmp"), watched.beside("..data")).unwrap();
    watched.expect(Some("new"));
    watched.expect_silence();
}

#[test]
fn a_file_is_noticed_also_when_its_directory_was_not_there() {
    let watched = Watched::after(|_| {});
    std::fs::create_dir(watched.dir.path().join("settings")).unwrap();
    std::fs::write(&watched.file, "new").unwrap();
    watched.expect(Some("new"));
    std::fs::remove_dir_all(watched.dir.path().join("settings")).unwrap();
    watched.expect(None);
    std::fs::create_dir(watched.dir.path().join("settings")).unwrap();
    std::fs::write(&watched.file, "newer").unwrap();
    watched.expect(Some("newer"));
}

#[test]
fn a_save_without_a_change_and_a_change_of_another_file_are_none() {
    let watched = Watched::with_content("old");
    std::fs::write(&watched.file, "old").unwrap();
    std::fs::write(watched.beside("other.toml"), "new").unwrap();
    watched.expect_silence();
}

#[test]
fn nothing_is_called_once_the_watcher_is_gone() {
    let Watched { file, reports, _watcher, dir } = Watched::with_content("old");
    let start = Instant::now();
    drop(_watcher);
    assert!(start.elapsed() < DEADLINE);
    std::fs::write(file, "new").unwrap();
    // The callback, and with it the sending half, went with the watcher's thread.
    assert_eq!(reports.recv_timeout(SILENCE), Err(RecvTimeoutError::Disconnected));
    drop(dir);
}
