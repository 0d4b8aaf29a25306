//! `stockstream check`: are the settings right, and where does each value come from.

use super::args::Common;
use super::outcome::Outcome;
use super::refuse_bad_properties;
use crate::settings::load;

pub fn check(common: &Common) -> Outcome {
    match load(&common.sources()) {
        Ok(loaded) => {
            if let Err(outcome) = refuse_bad_properties(&loaded) {
                return outcome;
            }
            if common.json {
                println!("{}", loaded.origins.to_json());
            } else {
                print!("{}", loaded.origins);
            }
        }
        Err(errors) if common.json => {
            let problems = serde_json::to_string(&errors).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"));
            println!("{problems}");
            return Outcome::Usage(errors.to_string());
        }
        Err(errors) => return Outcome::Usage(errors.to_string()),
    }
    Outcome::Done
}
