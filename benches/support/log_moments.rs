//! When the program said something, by its own log in JSON.

use anyhow::{Context, Result};
use chrono::DateTime;
use serde_json::Value;

/// When the log first says this, in seconds since the epoch.
///
/// # Errors
/// When it never does.
pub fn moment_of(log: &str, message: &str) -> Result<f64> {
    moments_of(log, message)?.first().copied().context("at least one")
}

/// When the log last says this, in seconds since the epoch.
///
/// # Errors
/// When it never does.
pub fn last_moment_of(log: &str, message: &str) -> Result<f64> {
    moments_of(log, message)?.last().copied().context("at least one")
}

/// A number that the log tells with this message, the last time it does.
///
/// # Errors
/// When it never does.
pub fn field_of(log: &str, message: &str, field: &str) -> Result<f64> {
    let lines = log.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let told = lines.into_iter().find(|line| line["fields"]["message"] == message);
    let number = told.and_then(|line| line["fields"][field].as_f64());
    number.with_context(|| format!("the log does not say {message:?} with {field}:\n{log}"))
}

/// What the log says, in order.
pub fn messages_of(log: &str) -> impl Iterator<Item = String> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter_map(|line| line["fields"]["message"].as_str().map(String::from))
}

fn moments_of(log: &str, message: &str) -> Result<Vec<f64>> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let moment = |line: Value| {
        let time = line["timestamp"].as_str().context("a log line without a timestamp")?;
        Ok(DateTime::parse_from_rfc3339(time)?.timestamp_micros() as f64 / 1e6)
    };
    let said = lines.into_iter().filter(|line| line["fields"]["message"] == message);
    let moments = said.map(moment).collect::<Result<Vec<f64>>>()?;
    anyhow::ensure!(!moments.is_empty(), "the log does not say {message:?}:\n{log}");
    Ok(moments)
}
