//! What POSIX promises about names: every change is seen at once by all, and is sure to outlive a power cut only once its
//! directory has been synced. A file may have several names; a directory is known by its own identity.

use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    Dir(usize),
    File(usize),
}

type Directory = BTreeMap<String, Node>;

#[derive(Clone, Debug)]
struct Change {
    dir: usize,
    name: String,
    /// `None`: the name is removed.
    node: Option<Node>,
}

/// Why a name could not be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    Exists,
    NoDirectory,
}

#[derive(Clone, Debug)]
pub struct Names {
    live: Vec<Directory>,
    /// What is sure.
    disk: Vec<Directory>,
    /// What has changed since, each a set of changes that are made together.
    pending: Vec<Vec<Change>>,
}

const ROOT: usize = 0;

impl Names {
    /// With these directories, durable.
    pub fn with_directories(paths: &[&str]) -> Self {
        let mut names = Self { live: vec![Directory::new()], disk: vec![Directory::new()], pending: Vec::new() };
        for path in paths {
            names.make_dir(path).expect("parents come first");
        }
        names.power_cut(|_| true);
        names
    }

    pub fn find(&self, path: &str) -> Option<Node> {
        path.split('/').filter(|name| !name.is_empty()).try_fold(Node::Dir(ROOT), |at, name| match at {
            Node::Dir(dir) => self.live[dir].get(name).copied(),
            Node::File(_) => None,
        })
    }

    fn dir(&self, path: &str) -> Option<usize> {
        match self.find(path)? {
            Node::Dir(dir) => Some(dir),
            Node::File(_) => None,
        }
    }

    /// The names in a directory; none when there is no such directory.
    pub fn list(&self, path: &str) -> impl Iterator<Item = (&String, Node)> {
        let dir = self.dir(path).map(|dir| &self.live[dir]);
        dir.into_iter().flatten().map(|(name, node)| (name, *node))
    }

    fn place(&self, path: &str) -> Result<(usize, String), Refused> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        Ok((self.dir(parent).ok_or(Refused::NoDirectory)?, name.to_owned()))
    }

    fn edit(&mut self, changes: Vec<Change>) {
        apply(&mut self.live, &changes);
        self.pending.push(changes);
    }

    pub fn make_dir(&mut self, path: &str) -> Result<(), Refused> {
        let (dir, name) = self.place(path)?;
        if self.live[dir].contains_key(&name) {
            return Err(Refused::Exists);
        }
        let new = self.live.len();
        self.live.push(Directory::new());
        self.disk.push(Directory::new());
        self.edit(vec![Change { dir, name, node: Some(Node::Dir(new)) }]);
        Ok(())
    }

    /// The name must be free.
    pub fn link(&mut self, node: Node, path: &str) -> Result<(), Refused> {
        let (dir, name) = self.place(path)?;
        if self.live[dir].contains_key(&name) {
            return Err(Refused::Exists);
        }
        self.edit(vec![Change { dir, name, node: Some(node) }]);
        Ok(())
    }

    /// Renames over whatever has the new name; whether the old one was there.
    pub fn rename(&mut self, from: &str, to: &str) -> Result<bool, Refused> {
        let Some(node) = self.find(from) else { return Ok(false) };
        let ((old_dir, old), (dir, name)) = (self.place(from)?, self.place(to)?);
        let gone = Change { dir: old_dir, name: old, node: None };
        self.edit(vec![gone, Change { dir, name, node: Some(node) }]);
        Ok(true)
    }

    /// One that is gone already is fine.
    pub fn unlink(&mut self, path: &str) {
        if self.find(path).is_some()
            && let Ok((dir, name)) = self.place(path)
        {
            self.edit(vec![Change { dir, name, node: None }]);
        }
    }

    /// fsync of a directory: what has changed in it is sure, and with it the other half of a rename.
    pub fn sync(&mut self, path: &str) {
        let Some(dir) = self.dir(path) else { return };
        let touches = |changes: &Vec<Change>| changes.iter().any(|change| change.dir == dir);
        let chosen: Vec<bool> = self.pending.iter().map(touches).collect();
        let sure = self.with_earlier(|at| chosen[at]);
        for at in &sure {
            apply(&mut self.disk, &self.pending[*at]);
        }
        let mut at = 0;
        self.pending.retain(|_| {
            at += 1;
            !sure.contains(&(at - 1))
        });
    }

    /// How many changes a power cut could undo.
    pub fn unsure(&self) -> usize {
        self.pending.len()
    }

    /// Of the changes that are not sure, these survive, and what they build on.
    pub fn power_cut(&mut self, survives: impl Fn(usize) -> bool) {
        for at in self.with_earlier(survives) {
            apply(&mut self.disk, &self.pending[at]);
        }
        self.live.clone_from(&self.disk);
        self.pending.clear();
    }

    /// With a change go the earlier ones of the same names.
    fn with_earlier(&self, chosen: impl Fn(usize) -> bool) -> BTreeSet<usize> {
        let (mut sure, mut names) = (BTreeSet::new(), BTreeSet::new());
        for (at, changes) in self.pending.iter().enumerate().rev() {
            if chosen(at) || changes.iter().any(|change| names.contains(&(change.dir, &change.name))) {
                sure.insert(at);
                names.extend(changes.iter().map(|change| (change.dir, &change.name)));
            }
        }
        sure
    }
}

fn apply(directories: &mut [Directory], changes: &[Change]) {
    for Change { dir, name, node } in changes {
        match node {
            Some(node) => drop(directories[*dir].insert(name.clone(), *node)),
            None => drop(directories[*dir].remove(name)),
        }
    }
}

#[test]
fn what_was_not_synced_may_be_gone_and_what_was_synced_is_not() {
    let mut names = Names::with_directories(&["a", "b"]);
    names.link(Node::File(1), "a/x").unwrap();
    names.link(Node::File(1), "b/y").unwrap();
    names.sync("a");
    assert_eq!(names.unsure(), 1);
    let mut survived = names.clone();
    survived.power_cut(|_| true);
    assert_eq!((survived.find("a/x"), survived.find("b/y")), (Some(Node::File(1)), Some(Node::File(1))));
    names.power_cut(|_| false);
    assert_eq!((names.find("a/x"), names.find("b/y")), (Some(Node::File(1)), None));
}

#[test]
fn a_removed_name_may_come_back_and_a_directory_takes_along_what_is_in_it() {
    let mut names = Names::with_directories(&["a"]);
    names.link(Node::File(1), "a/x").unwrap();
    names.sync("a");
    names.unlink("a/x");
    names.make_dir("a/new").unwrap();
    names.link(Node::File(2), "a/new/z").unwrap();
    names.sync("a/new");
    names.power_cut(|_| false);
    assert_eq!((names.find("a/x"), names.find("a/new/z")), (Some(Node::File(1)), None));
}
