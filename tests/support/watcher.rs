//! Somebody who reads the lake all the time while others write to it: lists the datasets as a glob does, and reads what is there
//! with a Parquet reader of its own, not the program's.
//!
//! At any moment must hold: only finished files stand in the datasets, each decodes; no (stock, window) stands in two rows; a row
//! once seen stays there with all its values; features stand beside bars.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{Cursor, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use arrow2::array::{Array, PrimitiveArray, Utf8Array};
use arrow2::datatypes::DataType;
use arrow2::io::parquet::read::{FileReader, infer_schema, read_metadata};

/// Between two passes over the lake.
const REST: Duration = Duration::from_millis(20);

/// Company, window start in microseconds.
type Key = (String, i64);
/// The other columns, to the bit.
type Values = Vec<Option<u64>>;
type Rows = HashMap<Key, Values>;

/// What was looked at, when all was well.
#[derive(Clone, Copy, Debug, Default)]
pub struct Watched {
    pub passes: usize,
    /// Bars seen by the last pass.
    pub bars: usize,
    /// Feature rows seen by the last pass.
    pub features: usize,
}

/// Reads the lake on a thread of its own until it is told to end.
pub struct Watcher {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<Watched, String>>>,
}

impl Watcher {
    /// The lake need not be there yet.
    pub fn start(lake: &Path) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, lake) = (stop.clone(), lake.to_owned());
        let watch = move || {
            let (mut bars, mut features) = (Dataset::new(&lake, "bars"), Dataset::new(&lake, "features"));
            let mut watched = Watched::default();
            loop {
                // Asked before the pass: the last one sees everything that was there at the end.
                let last = stopped.load(Ordering::Relaxed);
                features.pass()?;
                // Bars are published before their features.
                bars.pass()?;
                if let Some(alone) = features.files.keys().find(|name| !bars.files.contains_key(*name)) {
                    return Err(format!("features/{alone} has no bars file beside it"));
                }
                watched = Watched { passes: watched.passes + 1, bars: bars.seen.len(), features: features.seen.len() };
                if last {
                    return Ok(watched);
                }
                std::thread::sleep(REST);
            }
        };
        Self { stop, thread: Some(std::thread::spawn(watch)) }
    }

    /// Looks once more, and says what it saw; fails with the first thing that was not as it must be.
    #[track_caller]
    pub fn end(mut self) -> Watched {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("only ended once");
        let outcome = thread.join().unwrap_or_else(|_| Err(String::from("the Parquet reader panicked")));
        outcome.unwrap_or_else(|found| panic!("a reader of the lake met this: {found}"))
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// What is known of `bars/` or `features/`.
struct Dataset {
    dir: PathBuf,
    /// By `date=.../name`: the rows of files, which never change under their name.
    files: BTreeMap<String, Vec<Key>>,
    /// All rows of the last pass.
    seen: Rows,
}

impl Dataset {
    fn new(lake: &Path, name: &str) -> Self {
        Self { dir: lake.join(name), files: BTreeMap::new(), seen: Rows::new() }
    }

    /// Lists, reads what is new, compares with what was there before.
    fn pass(&mut self) -> Result<(), String> {
        let mut missing = Rows::new();
        loop {
            let names = self.names()?;
            let gone: Vec<String> = self.files.keys().filter(|name| !names.contains(*name)).cloned().collect();
            for name in gone {
                for key in self.files.remove(&name).unwrap_or_default() {
                    let values = self.seen.remove(&key).expect("a row of a file that was read");
                    missing.insert(key, values);
                }
            }
            let mut complete = true;
            let new: Vec<String> = names.into_iter().filter(|name| !self.files.contains_key(name)).collect();
            for name in new {
                let path = self.dir.join(&name);
                let bytes = match std::fs::read(&path) {
                    Ok(bytes) => bytes,
                    // Merged into another file since it was listed.
                    Err(error) if error.kind() == ErrorKind::NotFound => {
                        complete = false;
                        continue;
                    }
                    Err(error) => return Err(format!("{}: {error}", path.display())),
                };
                let rows = decode(&bytes).map_err(|error| format!("{}: {error}", path.display()))?;
                self.files.insert(name, rows.iter().map(|(key, _)| key.clone()).collect());
                for (key, values) in rows {
                    if missing.remove(&key).is_some_and(|before| before != values) {
                        return Err(format!("{key:?} is another row now, in {}", path.display()));
                    }
                    if self.seen.insert(key.clone(), values).is_some() {
                        return Err(format!("{key:?} stands twice, also in {}", path.display()));
                    }
                }
            }
            match (complete, missing.is_empty()) {
                (true, true) => return Ok(()),
                (true, false) => {
                    return Err(format!("rows are gone from {}: {:?}", self.dir.display(), missing.keys()));
                }
                (false, _) => {}
            }
        }
    }

    /// `date=.../name` of every file.
    fn names(&self) -> Result<BTreeSet<String>, String> {
        let mut names = BTreeSet::new();
        for date in list(&self.dir)? {
            if !date.starts_with("date=") {
                return Err(format!("{date:?} is no date, in {}", self.dir.display()));
            }
            for name in list(&self.dir.join(&date))? {
                if name.starts_with('.') || !name.ends_with(".parquet") {
                    return Err(format!("{name:?} is no finished file, in {}", self.dir.join(date).display()));
                }
                names.insert(format!("{date}/{name}"));
            }
        }
        Ok(names)
    }
}

fn list(dir: &Path) -> Result<Vec<String>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", dir.display());
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    entries.map(|entry| Ok(entry.map_err(failed)?.file_name().to_string_lossy().into_owned())).collect()
}

/// Every row of a file.
fn decode(bytes: &[u8]) -> Result<Vec<(Key, Values)>, String> {
    let text = |error: arrow2::error::Error| error.to_string();
    let metadata = read_metadata(&mut Cursor::new(bytes)).map_err(text)?;
    let schema = infer_schema(&metadata).map_err(text)?;
    let names: Vec<String> = schema.fields.iter().map(|field| field.name.clone()).collect();
    let mut rows = Vec::new();
    for chunk in FileReader::new(Cursor::new(bytes), metadata.row_groups, schema, None, None, None) {
        let chunk = chunk.map_err(text)?;
        let columns: HashMap<&str, &dyn Array> =
            names.iter().map(String::as_str).zip(chunk.arrays().iter().map(AsRef::as_ref)).collect();
        for row in 0..chunk.len() {
            rows.push(row_of(&columns, &names, row)?);
        }
    }
    Ok(rows)
}

fn row_of(columns: &HashMap<&str, &dyn Array>, names: &[String], row: usize) -> Result<(Key, Values), String> {
    let (mut company, mut timestamp, mut values) = (None, None, Values::new());
    for name in names {
        let column = columns[name.as_str()];
        let whole = column.as_any().downcast_ref::<PrimitiveArray<i64>>();
        match (name.as_str(), column.data_type()) {
            ("company", DataType::Utf8) => {
                let text = column.as_any().downcast_ref::<Utf8Array<i32>>();
                company = text.and_then(|text| text.get(row)).map(str::to_owned);
            }
            ("timestamp", DataType::Timestamp(..)) => timestamp = whole.and_then(|micros| micros.get(row)),
            (_, DataType::Int64) => values.push(whole.and_then(|whole| whole.get(row)).map(|whole| whole as u64)),
            (_, DataType::Float64) => {
                let float = column.as_any().downcast_ref::<PrimitiveArray<f64>>();
                values.push(float.and_then(|float| float.get(row)).map(f64::to_bits));
            }
            (name, other) => return Err(format!("column {name} is of type {other:?}")),
        }
    }
    let key = company.zip(timestamp).ok_or("a row without company or timestamp")?;
    Ok((key, values))
}
