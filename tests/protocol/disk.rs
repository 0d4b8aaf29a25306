//! The files behind the names, and what anybody who looks at the datasets must see at every instant: no bar twice, no bar that
//! vanishes, none that is ahead of its chain, no torn file. But for files that were damaged: these are passed over, and their rows may
//! vanish once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stockstream::indicators::feature_row::FeatureRow;
use stockstream::market::bar::Bar;
use stockstream::market::checkpoint::TopicPartition;
use stockstream::market::symbol::Symbol;
use stockstream::market::time::EventTime;
use stockstream::storage::layout::{self, EntryName};
use stockstream::storage::{Dataset, parquet};

use crate::names::{Names, Node};

/// A row of a dataset: of this stock, in the window that begins then.
type Row = (&'static str, Symbol, EventTime);

#[derive(Clone)]
struct File {
    bytes: Arc<[u8]>,
    /// Its content outlives a power cut.
    synced: bool,
    damaged: bool,
}

/// The rows of a public file.
pub enum Content {
    Bars(Arc<[Bar]>),
    Features(Vec<FeatureRow>),
}

impl Content {
    fn keys(&self) -> Vec<Row> {
        match self {
            Content::Bars(bars) => bars.iter().map(|bar| ("bars", bar.symbol.clone(), bar.window_start)).collect(),
            Content::Features(rows) => {
                rows.iter().map(|row| ("features", row.symbol.clone(), row.window_start)).collect()
            }
        }
    }
}

#[derive(Clone)]
pub struct Disk {
    pub names: Names,
    files: Vec<File>,
    /// Of each public file; decoded once.
    contents: BTreeMap<usize, Arc<Content>>,
    visible: BTreeSet<Row>,
    /// Rows of damaged files, and whether they have vanished.
    doomed: BTreeMap<Row, bool>,
    /// The first thing that a reader should not have seen.
    pub violation: Option<String>,
    /// Processes that have died: their temporary files may be swept.
    pub dead: BTreeSet<usize>,
    temporaries: usize,
}

/// Whether a power cut has just happened.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Look {
    AtEveryChange,
    AfterAPowerCut,
}

impl Disk {
    pub fn new() -> Self {
        Self {
            names: Names::with_directories(&["bars", "features", "state"]),
            files: Vec::new(),
            contents: BTreeMap::new(),
            visible: BTreeSet::new(),
            doomed: BTreeMap::new(),
            violation: None,
            dead: BTreeSet::new(),
            temporaries: 0,
        }
    }

    pub fn create(&mut self, bytes: &[u8], synced: bool) -> Node {
        self.files.push(File { bytes: bytes.into(), synced, damaged: false });
        Node::File(self.files.len() - 1)
    }

    pub fn content(&self, node: Node) -> Option<Arc<[u8]>> {
        match node {
            Node::File(file) => Some(self.files[file].bytes.clone()),
            Node::Dir(_) => None,
        }
    }

    /// A name for a file that is being written by a process.
    pub fn temporary(&mut self, dir: &str, process: usize) -> String {
        self.temporaries += 1;
        format!("{dir}/{}{process}-{}", layout::TEMPORARY, self.temporaries)
    }

    /// Whether the writer of a temporary file is dead; `None` for another name.
    pub fn is_abandoned(&self, name: &str) -> Option<bool> {
        let (process, _) = name.strip_prefix(layout::TEMPORARY)?.split_once('-')?;
        Some(process.parse().is_ok_and(|process| self.dead.contains(&process)))
    }

    /// Everything stops; of the changes that are not sure these survive.
    pub fn power_cut(&mut self, survives: impl Fn(usize) -> bool) {
        self.names.power_cut(survives);
        for file in self.files.iter_mut().filter(|file| !file.synced) {
            file.bytes = [].into();
        }
        self.contents.retain(|file, _| self.files[*file].synced);
        self.look(Look::AfterAPowerCut);
    }

    /// The file behind this name is torn, and so under its other names.
    pub fn damage(&mut self, path: &str) {
        let Some(Node::File(file)) = self.names.find(path) else { panic!("{path} is no file") };
        let Ok(commit) = parquet::decode_commit(&self.files[file].bytes) else { panic!("{path} is no commit") };
        for bar in commit.commit.rows.iter() {
            let row = |dataset| (dataset, bar.symbol.clone(), bar.window_start);
            self.doomed.extend(["bars", "features"].map(|dataset| (row(dataset), false)));
        }
        self.files[file] = File { bytes: b"torn".as_slice().into(), synced: true, damaged: true };
        self.contents.remove(&file);
    }

    /// The name gets a file of its own with the same content, as in a copied lake.
    pub fn part_from_its_other_names(&mut self, path: &str) {
        let file = self.names.find(path).and_then(|node| self.content(node)).expect("it is a file");
        let copy = self.create(&file, true);
        self.names.unlink(path);
        self.names.link(copy, path).expect("its name is free");
    }

    /// Looks at the datasets as a reader.
    pub fn look(&mut self, look: Look) {
        if let Err(problem) = self.see(look) {
            self.violation.get_or_insert(problem);
        }
    }

    fn see(&mut self, look: Look) -> Result<(), String> {
        let mut now = BTreeSet::new();
        for dataset in [Dataset::Bars, Dataset::Features] {
            for (path, name, file) in self.public(dataset) {
                if self.files[file].damaged {
                    continue;
                }
                let content = self.content_of(dataset, file).map_err(|why| format!("{path} is torn: {why}"))?;
                for row in content.keys() {
                    if now.contains(&row) {
                        return Err(format!("a reader of {} sees {} at {} twice", row.0, row.1, row.2));
                    }
                    now.insert(row);
                }
                if dataset == Dataset::Bars && !self.is_in_its_chain(&name) {
                    return Err(format!("{path} is ahead of its chain"));
                }
            }
        }
        let gone = self.visible.difference(&now).filter(|row| self.doomed.get(*row) != Some(&false));
        if look == Look::AtEveryChange
            && let Some(gone) = gone.min()
        {
            return Err(format!("{} at {} vanishes before a reader's eyes from {}", gone.1, gone.2, gone.0));
        }
        for (row, has_vanished) in &mut self.doomed {
            match (self.visible.contains(row), now.contains(row)) {
                (true, false) => *has_vanished = true,
                // what was withdrawn has come back
                (false, true) if look == Look::AfterAPowerCut => *has_vanished = false,
                _ => {}
            }
        }
        self.visible = now;
        Ok(())
    }

    fn public(&self, dataset: Dataset) -> Vec<(String, String, usize)> {
        let mut files = Vec::new();
        for (date, _) in self.names.list(dataset.dir()) {
            let dir = format!("{}/{date}", dataset.dir());
            for (name, node) in self.names.list(&dir) {
                if let Node::File(file) = node {
                    files.push((format!("{dir}/{name}"), name.clone(), file));
                }
            }
        }
        files
    }

    fn content_of(&mut self, dataset: Dataset, file: usize) -> Result<Arc<Content>, String> {
        if let Some(content) = self.contents.get(&file) {
            return Ok(content.clone());
        }
        let bytes = &self.files[file].bytes;
        let content = Arc::new(match dataset {
            Dataset::Bars => Content::Bars(parquet::decode_commit(bytes).map_err(|why| why.to_string())?.commit.rows),
            Dataset::Features => {
                Content::Features(parquet::decode_features(bytes).map_err(|why| why.to_string())?.rows)
            }
        });
        self.contents.insert(file, content.clone());
        Ok(content)
    }

    /// The public files of a partition by date and name, `None` where one is torn.
    pub fn public_of(
        &mut self,
        partition: &TopicPartition,
        dataset: Dataset,
    ) -> BTreeMap<String, Option<Arc<Content>>> {
        let mut files = BTreeMap::new();
        for (path, name, file) in self.public(dataset) {
            if layout::parse_public_name(&name).is_some_and(|(of, _)| of == *partition) {
                let place = path.trim_start_matches(dataset.dir()).to_owned();
                files.insert(place, self.content_of(dataset, file).ok());
            }
        }
        files
    }

    fn is_in_its_chain(&self, name: &str) -> bool {
        let Some((partition, number)) = layout::parse_public_name(name) else { return false };
        let chain = layout::chain_dir(&partition);
        self.names.list(&chain).filter_map(|(name, _)| EntryName::parse(name)).any(|entry| entry.number() >= number)
    }

    /// Every name of a temporary file that is left.
    pub fn leftovers(&self) -> Vec<String> {
        let mut dirs = vec![String::from("state")];
        dirs.extend(self.names.list("state").map(|(name, _)| format!("state/{name}")));
        let temporary = |dir: &String| {
            let names = self.names.list(dir).filter(|(name, _)| name.starts_with('.'));
            names.map(|(name, _)| format!("{dir}/{name}")).collect::<Vec<_>>()
        };
        dirs.iter().flat_map(temporary).collect()
    }
}
