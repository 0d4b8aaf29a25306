//! Whether the settings fit the lake: looked at before anything is started or written.

use crate::settings::{KafkaMode, KafkaSettings, Layout, Loaded, Problem, Settings, SettingsErrors};
use crate::storage::{Lake, LakeIdentity, StorageError};

/// Looks at the lake of the settings, if there is one already.
///
/// # Errors
/// What belongs to the lake and is set to something else, all of it; or why there can be no lake at this place. Which cluster it is
/// only a broker can tell, at the start.
pub fn refuse_other_lake(loaded: &Loaded) -> Result<(), SettingsErrors> {
    let problems = problems(&loaded.settings).into_iter().map(|(key, reason)| {
        let origin = loaded.origins.get(key).map(|value| value.origin.clone()).unwrap_or_default();
        Problem { key: key.into(), origin, reason }
    });
    let problems: Vec<Problem> = problems.collect();
    if problems.is_empty() { Ok(()) } else { Err(SettingsErrors { problems }) }
}

/// Keys with what is wrong with their values.
fn problems(settings: &Settings) -> Vec<(&'static str, String)> {
    let dir = &settings.lake.dir;
    let lake = match Lake::open_read_only(dir) {
        Ok(lake) => lake,
        // It is made at the first start.
        Err(StorageError::NoLake { .. }) => return Vec::new(),
        Err(error) => return vec![("lake.dir", error.to_string())],
    };
    let mut problems = Vec::new();
    // What cannot be read is no matter of the settings; the start says it, and `verify` what helps.
    if let Ok(Some(rules)) = lake.rules() {
        problems.extend(settings.market.rules.changed_from(&rules).map(|rule| {
            let reason = format!(
                "is \"{}\", and the lake at {} was made with \"{}\": bars of two kinds must not mix; set it back, or use another lake directory",
                rule.now,
                dir.display(),
                rule.before
            );
            (rule.key, reason)
        }));
    }
    if let Ok(Some(recorded)) = lake.identity() {
        let ours = LakeIdentity::of(&settings.kafka, cluster(&settings.kafka, &recorded));
        problems.extend(recorded.differences(&ours).map(|(what, recorded, given)| {
            let key = key_of(what, &settings.kafka, &recorded);
            (key, StorageError::OtherIdentity { path: dir.clone(), what, recorded, given }.to_string())
        }));
    }
    problems
}

/// Of a cluster only that it is one.
fn cluster<'a>(kafka: &'a KafkaSettings, recorded: &'a LakeIdentity) -> &'a str {
    match kafka.mode {
        KafkaMode::Embedded => LakeIdentity::EMBEDDED,
        KafkaMode::Cluster if recorded.cluster == LakeIdentity::EMBEDDED => &kafka.bootstrap_servers,
        KafkaMode::Cluster => &recorded.cluster,
    }
}

fn key_of(what: &str, kafka: &KafkaSettings, recorded: &str) -> &'static str {
    match what {
        "group" => "kafka.group_id",
        "cluster" => "kafka.mode",
        _ if kafka.layout == Layout::Keyed && recorded.starts_with("keyed") => "kafka.partitions",
        _ => "kafka.layout",
    }
}
