//! `stockstream check`: are the settings right, and where does each value come from.

use super::args::Common;
use super::outcome::Outcome;
use super::settings_of;
use crate::settings::load;

pub fn check(common: &Common) -> Outcome {
    let loaded = load(&common.sources());
    if loaded.is_ok()
        && let Err(outcome) = settings_of(common)
    {
        return outcome;
    }
    match loaded {
        Ok(loaded) if common.json => println!("{}", loaded.origins.to_json()),
        Ok(loaded) => print!("{}", loaded.origins),
        Err(errors) if common.json => {
            let problems = serde_json::to_string(&errors).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"));
            println!("{problems}");
            return Outcome::Usage(errors.to_string());
        }
        Err(errors) => return Outcome::Usage(errors.to_string()),
    }
    Outcome::Done
}
