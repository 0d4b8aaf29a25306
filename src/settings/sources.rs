//! Where settings come from, in the order in which they override each other.

use std::path::{Path, PathBuf};

use super::DEFAULT_TOML;
use super::document::{self, Layer};
use super::errors::Findings;
use super::place::Place;
use crate::bounded_file::{self, Links};

/// What a variable begins with that overrides a key: `STOCKSTREAM__MARKET__WINDOW` is `market.window`.
const PREFIX: &str = "STOCKSTREAM__";
/// Chooses `settings/<name>.toml` when no file is given.
const ENVIRONMENT_NAME: &str = "STOCKSTREAM_ENV";
/// More is no settings file.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// A key that the command line sets; overrides everything else.
#[derive(Clone, Debug)]
pub struct Override {
    /// Full key such as `lake.dir`, or `stocks`.
    pub key: String,
    /// As in an environment variable: texts and durations as they are, everything else as TOML.
    pub value: String,
    /// What to show as its origin, such as `--lake`.
    pub origin: String,
}

impl Override {
    pub fn new(key: &str, value: &str, origin: &str) -> Self {
        Self { key: key.into(), value: value.into(), origin: origin.into() }
    }
}

/// Everything that settings are made from. The environment is a value, so that loading depends on nothing else but the files.
/// No `Debug`: variables may hold secrets.
#[derive(Clone)]
pub struct Sources {
    /// The `--settings` files; a later one overrides an earlier one.
    pub files: Vec<PathBuf>,
    /// Variables as (name, value); those that do not begin with `STOCKSTREAM` are ignored.
    pub env: Vec<(String, String)>,
    pub overrides: Vec<Override>,
    /// Where `local.toml` and the file of `STOCKSTREAM_ENV` are looked for when `files` is empty.
    pub dir: PathBuf,
}

impl Default for Sources {
    /// No files, no variables, the directory `settings`.
    fn default() -> Self {
        Self { files: Vec::new(), env: Vec::new(), overrides: Vec::new(), dir: "settings".into() }
    }
}

impl Sources {
    /// The given files and overrides, and the variables of this process.
    pub fn from_process(files: Vec<PathBuf>, overrides: Vec<Override>) -> Self {
        let env = std::env::vars_os()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
            .filter(|(name, _)| name.to_ascii_uppercase().starts_with("STOCKSTREAM"))
            .collect();
        Self { files, env, overrides, ..Self::default() }
    }

    /// The files whose change may change the settings, also those that do not exist yet.
    pub fn watched_files(&self) -> Vec<PathBuf> {
        match (self.files.as_slice(), self.environment_name()) {
            ([], Some(name)) if is_environment_name(name) => vec![self.dir.join(format!("{name}.toml"))],
            ([], Some(_)) => Vec::new(),
            ([], None) => vec![self.local_file()],
            (files, _) => files.to_vec(),
        }
    }

    /// Every source with something in it, the weakest first; what is wrong with them goes into `findings`.
    pub(super) fn layers(&self, findings: &mut Findings) -> Vec<Layer> {
        let mut layers = vec![document::read(DEFAULT_TOML, &Place::Default, findings)];
        if let Some(name) = self.environment_name().filter(|name| self.files.is_empty() && !is_environment_name(name)) {
            let reason =
                format!("must be the name of a file in `{}` without `.toml`, not {name:?}", self.dir.display());
            findings.add("", ENVIRONMENT_NAME, reason);
        }
        let only_if_there = self.files.is_empty() && self.environment_name().is_none();
        for path in self.watched_files() {
            if !(only_if_there && matches!(path.try_exists(), Ok(false))) {
                layers.extend(read_file(&path, findings));
            }
        }
        let mut variables: Vec<_> = self.env.iter().collect();
        variables.sort();
        for (name, value) in variables {
            layers.extend(variable(name, value, findings));
        }
        for Override { key, value, origin } in &self.overrides {
            layers.push(document::read_value(key, value, &Place::CommandLine(origin), findings));
        }
        layers
    }

    fn local_file(&self) -> PathBuf {
        self.dir.join("local.toml")
    }

    fn environment_name(&self) -> Option<&str> {
        let named = self.env.iter().find(|(name, value)| name == ENVIRONMENT_NAME && !value.is_empty());
        named.map(|(_, value)| value.as_str())
    }
}

/// A name, not a path: it becomes part of one.
fn is_environment_name(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn read_file(path: &Path, findings: &mut Findings) -> Option<Layer> {
    let name = path.display().to_string();
    let bytes = match read_bounded(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            findings.add("", &name, format!("cannot be read: {error}"));
            return None;
        }
    };
    match std::str::from_utf8(&bytes) {
        Ok(text) => Some(document::read(text, &Place::file(&name, text), findings)),
        Err(error) => {
            let line = 1 + bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
            findings.add("", &format!("{name}:{line}"), "is not UTF-8");
            None
        }
    }
}

/// The bytes of a regular file of reasonable size.
pub(super) fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    // Kubernetes gives its files as links.
    bounded_file::read(path, MAX_FILE_BYTES, Links::Followed)
}

fn variable(name: &str, value: &str, findings: &mut Findings) -> Option<Layer> {
    let upper = name.to_ascii_uppercase();
    let Some(path) = upper.strip_prefix(PREFIX) else {
        // One underscore too few would otherwise be ignored in silence.
        if upper.starts_with("STOCKSTREAM_") && upper["STOCKSTREAM_".len()..].contains("__") {
            findings.add(
                "",
                name,
                format!("begins with one underscore too few: variables of settings begin with {PREFIX}"),
            );
        }
        return None;
    };
    let key = path.to_ascii_lowercase().replace("__", ".");
    if value.contains(char::REPLACEMENT_CHARACTER) {
        findings.add(&key, name, "is not UTF-8");
        return None;
    }
    Some(document::read_value(&key, value, &Place::Variable(name), findings))
}
