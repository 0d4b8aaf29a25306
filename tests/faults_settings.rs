//! Settings that are saved in every way there is, change amid the load, or do not fit the lake.

mod support;

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use stockstream::market::bar::Bar;
use support::cluster::Cluster;
use support::effort::Effort;
use support::flow::Flow;
use support::lake::{bars, count_of, of};
use support::program::{Program, Running};
use support::simulated::Simulated;
use support::ticks::{Recipe, STOCKS, Ticks};
use support::watcher::Watcher;
use tempfile::TempDir;

/// A program whose settings name stocks; the file is a link to a link, as in a mounted map of Kubernetes.
struct Watching {
    dir: TempDir,
    running: Running,
    plans: usize,
}

/// A change must be followed within this time. The program promises 2 s; a busy test machine gets more.
const DEADLINE: Duration = Duration::from_secs(10);
const REFUSED: &str = "the changed settings are refused, the old ones stay";

impl Watching {
    fn start() -> Self {
        let dir = TempDir::new().unwrap();
        for version in ["..1", "..2"] {
            std::fs::create_dir_all(dir.path().join("settings").join(version)).unwrap();
        }
        let settings = dir.path().join("settings");
        std::fs::write(settings.join("..1/local.toml"), text(&["AAPL"])).unwrap();
        symlink("..1", settings.join("..data")).unwrap();
        symlink("..data/local.toml", settings.join("local.toml")).unwrap();
        let mut running = Program::new(dir.path(), &["--json"]).start();
        running.until_said("partition taken", 1);
        Self { dir, running, plans: 0 }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("settings").join(name)
    }

    /// The plan is announced and applied, and it is the only one.
    #[track_caller]
    fn expect(&mut self, way: &str, plan: &str, saved: Instant) {
        self.plans += 1;
        self.running.until_line(plan);
        println!("{way}: {plan:?} after {:?}", saved.elapsed());
        assert!(saved.elapsed() < DEADLINE, "{way}");
        self.running.until_said("settings applied", self.plans);
        assert_eq!(self.applied(), self.plans, "one reload: {way}\n{}", self.running.stderr());
    }

    fn applied(&self) -> usize {
        self.running.stderr().lines().filter(|line| line.contains("settings applied")).count()
    }
}

fn text(stocks: &[&str]) -> String {
    let stock = |symbol: &&str| format!("[[stocks]]\nsymbol = \"{symbol}\"\ninitial_price = 100.0\n");
    stocks.iter().map(stock).collect()
}

#[test]
fn f24_settings_saved_in_every_way_are_applied_once_and_bad_ones_never() {
    let mut watching = Watching::start();
    let file = watching.path("local.toml");

    // A swapped link.
    std::fs::write(watching.path("..2/local.toml"), text(&["AAPL", "LINK"])).unwrap();
    symlink("..2", watching.path("..data_tmp")).unwrap();
    let saved = Instant::now();
    std::fs::rename(watching.path("..data_tmp"), watching.path("..data")).unwrap();
    watching.expect("symlink swap", "+LINK", saved);

    // A new file under the old name; the link is gone with that.
    std::fs::write(watching.path(".local.toml.swp"), text(&["AAPL", "NAME"])).unwrap();
    let saved = Instant::now();
    std::fs::rename(watching.path(".local.toml.swp"), &file).unwrap();
    watching.expect("rename", "+NAME -LINK", saved);

    // The same file, emptied and written.
    let saved = Instant::now();
    std::fs::write(&file, "").unwrap();
    std::fs::write(&file, text(&["AAPL", "TRUNC"])).unwrap();
    watching.expect("truncate and write", "+TRUNC -NAME", saved);

    // Half of it, for longer than the program waits.
    let whole = text(&["AAPL", "HALF"]);
    std::fs::write(&file, &whole[..whole.len() - 10]).unwrap();
    watching.running.until_said(REFUSED, 1);
    assert_eq!(watching.applied(), watching.plans);
    let saved = Instant::now();
    std::fs::write(&file, &whole).unwrap();
    watching.expect("half-written, then whole", "+HALF -TRUNC", saved);

    // What means nothing.
    std::fs::write(&file, text(&["AAPL", "not a symbol"])).unwrap();
    watching.running.until_said(REFUSED, 2);
    assert_eq!(watching.applied(), watching.plans);

    // A hundred saves a second: the last one counts, once.
    let (burst, saves) = (Instant::now(), Effort::of_this_run().pick(100, 300, 1000));
    for save in 0..saves {
        std::fs::write(&file, text(&["AAPL", &format!("S{save}")])).unwrap();
        std::thread::sleep((burst + Duration::from_millis(10) * save).saturating_duration_since(Instant::now()));
    }
    let saved = Instant::now();
    std::fs::write(&file, text(&["AAPL", "LAST"])).unwrap();
    watching.running.until_said("partition taken partition=stock_topic.LAST-0", 1);
    let reloads = watching.applied() - watching.plans;
    println!("{saves} saves: {reloads} reloads, the last one stood {:?} after it", saved.elapsed());
    // A machine that stops this thread for long makes several bursts of one.
    assert!(reloads <= 3, "{reloads} reloads of one burst\n{}", watching.running.stderr());
    watching.plans += reloads;

    // Gone: the stocks that everybody has at first. Back again: those of the file.
    let saved = Instant::now();
    std::fs::remove_file(&file).unwrap();
    watching.expect("deleted", "+GOOG +MSFT +IBM -LAST ~AAPL.initial_price", saved);
    let saved = Instant::now();
    std::fs::write(&file, text(&["AAPL"])).unwrap();
    watching.expect("written again", "-GOOG -MSFT -IBM ~AAPL.initial_price", saved);

    watching.running.signal(Signal::TERM);
    assert_eq!(watching.running.end().summary().open, 0);
    bars(&watching.dir.path().join("lake"));
}

#[track_caller]
fn assert_one_bar_a_window(bars: &[&Bar]) {
    for pair in bars.windows(2) {
        assert!(pair[0].window_start < pair[1].window_start, "{pair:?}");
    }
}

/// Takes a stock out and puts it back, inside a window that is open meanwhile.
fn in_and_out_of_a_window(keyed: bool) {
    let times = Effort::of_this_run().pick(2, 5, 50);
    // Fifteen seconds of wall clock a window; the ticks of all other stocks keep coming.
    let head = "[producer]\nspeed = 60\ntick_interval = \"1s\"\nhistory = \"1h\"\n[market]\nwindow = \"15m\"\nlateness = \"2m\"\nidle_timeout = \"500ms\"\n";
    let flow = Flow::on(Cluster::start(), keyed, head);
    let file = flow.dir.path().join("cluster.toml");
    let all = std::fs::read_to_string(&file).unwrap();
    let stock = |symbol: &str| format!("[[stocks]]\nsymbol = \"{symbol}\"\ninitial_price = 1.0\n");
    let without = all.replace(&stock(STOCKS[1]), "");
    assert_ne!(all, without);
    let watcher = Watcher::start(&flow.lake());
    let mut running = flow.program(&["run"]).start();
    running.until("there are bars of all", || STOCKS.iter().all(|symbol| count_of(&flow.lake(), symbol) >= 2));
    for time in 1..=times {
        std::fs::write(&file, &without).unwrap();
        running.until_said("settings applied", 2 * time - 1);
        std::fs::write(&file, &all).unwrap();
        running.until_said("settings applied", 2 * time);
    }
    let wanted = count_of(&flow.lake(), STOCKS[1]) + 1;
    running.until("the window is over", || count_of(&flow.lake(), STOCKS[1]) >= wanted);
    running.signal(Signal::TERM);
    running.end().summary();
    flow.until_end();
    watcher.end();
    let counts = flow.assert_lake_is_right();
    assert_eq!((counts.late, counts.malformed, counts.future, counts.unknown), (0, 0, 0, 0));
    let bars = bars(&flow.lake());
    assert_one_bar_a_window(&of(&bars, STOCKS[1]));
    assert_eq!(of(&bars, STOCKS[1]).len(), of(&bars, STOCKS[0]).len(), "a bar of every window");
    Simulated::of(&flow).assert_goes_on();
}

#[test]
fn f25_a_stock_taken_out_and_put_back_inside_a_window_has_one_bar_with_a_topic_for_each_stock() {
    in_and_out_of_a_window(false);
}

#[test]
fn f25_a_stock_taken_out_and_put_back_inside_a_window_has_one_bar_with_a_keyed_topic() {
    in_and_out_of_a_window(true);
}

/// Every file below a directory, with what is in it.
fn content(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(content(&path)),
            false => drop(files.insert(path.clone(), std::fs::read(&path).unwrap())),
        }
    }
    files
}

#[test]
fn f27_settings_that_change_what_a_bar_is_are_refused_and_no_bar_is_touched() {
    let flow = Flow::new(true, "");
    flow.publish(&Ticks::make(&Recipe { lines: 2_000, ..Recipe::default() }).lines);
    flow.until_end();
    let datasets = || [content(&flow.lake().join("bars")), content(&flow.lake().join("features"))];
    let before = datasets();
    assert!(before.iter().all(|files| !files.is_empty()));
    // There is more to read: a wrong start would write.
    flow.publish(&Ticks::make(&Recipe { seed: 2, lines: 2_000, ..Recipe::default() }).lines);
    let cases: [(&str, &str, &[&str]); 4] = [
        ("STOCKSTREAM__MARKET__WINDOW", "1m", &["market.window: is \"1m\"", "\"5m\"", "another lake directory"]),
        ("STOCKSTREAM__MARKET__LATENESS", "5m", &["market.lateness: is \"5m\"", "\"10m\"", "another lake directory"]),
        ("STOCKSTREAM__MARKET__MAX_AHEAD", "2m", &["market.max_ahead: is \"2m\"", "\"1m\"", "another lake directory"]),
        ("STOCKSTREAM__KAFKA__PARTITIONS", "5", &["3", "5", "partitions"]),
    ];
    for (name, value, says) in cases {
        let ended = flow.program(&["run"]).env(name, value).run();
        println!("{name}: {}", ended.stderr.lines().last().unwrap_or_default());
        ended.refused(2, says);
        assert!(datasets() == before, "{name}: a file of the datasets has changed");
    }
    // With the settings of before it goes on.
    flow.until_end();
    flow.assert_lake_is_right();
}
