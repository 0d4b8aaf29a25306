//! `stockstream check`: are the settings right, do they fit the lake, and where does each value come from.

use super::args::Common;
use super::made_with::refuse_other_lake;
use super::outcome::{Outcome, print};
use super::refuse_bad_properties;
use crate::settings::load;

pub fn check(common: &Common) -> Outcome {
    match load(&common.sources()).and_then(|loaded| refuse_other_lake(&loaded).map(|()| loaded)) {
        Ok(loaded) => match refuse_bad_properties(&loaded) {
            Err(outcome) => outcome,
            Ok(()) if common.json => print(format_args!("{}\n", loaded.origins.to_json()), Outcome::Done),
            Ok(()) => print(format_args!("{}", loaded.origins), Outcome::Done),
        },
        Err(errors) if common.json => {
            let problems = serde_json::to_string(&errors).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"));
            print(format_args!("{problems}\n"), Outcome::Usage(errors.to_string()))
        }
        Err(errors) => Outcome::Usage(errors.to_string()),
    }
}
