//! `stockstream check`: are the settings right, do they fit the lake, and where does each value come from.

use super::args::Common;
use super::made_with::refuse_other_lake;
use super::outcome::{Outcome, print};
use super::refuse_bad_properties;
use crate::settings::load;

pub fn check(common: &Common) -> Outcome {
    match load(&common.sources()).and_then(|loaded| refuse_other_lake(&loaded).map(|()| loaded)) {
        Ok(loaded) => {
            if let Err(outcome) = refuse_bad_properties(&loaded) {
                return outcome;
            }
            if common.json {
                print(format_args!("{}\n", loaded.origins.to_json()));
            } else {
                print(format_args!("{}", loaded.origins));
            }
        }
        Err(errors) if common.json => {
            let problems = serde_json::to_string(&errors).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"));
            print(format_args!("{problems}\n"));
            return Outcome::Usage(errors.to_string());
        }
        Err(errors) => return Outcome::Usage(errors.to_string()),
    }
    Outcome::Done
}
