//! From sources to settings: merge the layers, check what binds several keys, resolve.

use config::{Config, ConfigError, Map, Source, Value, ValueKind};

use super::document::Layer;
use super::effective::Effective;
use super::errors::{Findings, SettingsErrors};
use super::place::DEFAULT;
use super::raw::Raw;
use super::rules;
use super::sources::Sources;
use super::types::Settings;

/// Settings, and where each of their values comes from. No `Debug`: holds secrets.
#[derive(Clone)]
pub struct Loaded {
    pub settings: Settings,
    pub origins: Effective,
}

/// Reads every source anew and makes settings of them. Beside the sources it depends on the files they name, nothing else.
///
/// # Errors
/// Everything that is wrong in any of the sources, at once; also values that another source overrides.
pub fn load(sources: &Sources) -> Result<Loaded, SettingsErrors> {
    let mut findings = Findings::default();
    let merged = Merged::of(sources.layers(&mut findings));
    let raw = match merged.deserialize() {
        Ok(raw) => raw,
        Err(error) => {
            // Only if the schema let through what the structs do not take.
            findings.add("", "the merged settings", error.to_string());
            return Err(findings.into_errors());
        }
    };
    let secrets = rules::check(&raw, &merged, &mut findings);
    if !findings.is_empty() {
        return Err(findings.into_errors());
    }
    Ok(Loaded { settings: raw.resolve(secrets), origins: Effective::of(&merged) })
}

/// All layers in one, each value with its origin.
pub(super) struct Merged(Config);

impl Merged {
    fn of(layers: Vec<Layer>) -> Self {
        let with_all = layers.into_iter().fold(Config::builder(), |builder, layer| builder.add_source(layer));
        Self(with_all.build().expect("layers in memory can always be collected"))
    }

    fn deserialize(&self) -> Result<Raw, ConfigError> {
        self.0.clone().try_deserialize()
    }

    /// The value at a key.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        key.split('.').try_fold(&self.0.cache, |value, name| match &value.kind {
            ValueKind::Table(table) => table.get(name),
            _ => None,
        })
    }

    /// Where the value of a key comes from.
    pub(super) fn origin(&self, key: &str) -> String {
        self.get(key).and_then(Value::origin).unwrap_or(DEFAULT).to_owned()
    }
}

impl std::fmt::Debug for Layer {
    /// Without the values: some are secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Layer")
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(self.0.clone())
    }
}
