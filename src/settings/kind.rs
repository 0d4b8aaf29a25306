//! What a single key accepts. Stricter than serde: `4.7` is no integer, `300` no duration, `nan` no number.

use std::time::Duration;

use config::ValueKind;

use crate::market::time::{Span, WindowSize};

/// Type and range of a key. Both ends of a range are allowed.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Bool,
    Integer {
        min: i64,
        max: i64,
    },
    Number {
        min: f64,
        max: f64,
    },
    /// `[low, high]`, each inside the range.
    NumberRange {
        min: f64,
        max: f64,
    },
    Duration {
        min: Duration,
        max: Duration,
    },
    /// A duration that divides 24 hours.
    Window,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A text that passes the check, which else says why not.
    Text(fn(&str) -> Result<(), String>),
    /// A text that only the environment may give and that is never shown.
    Secret,
    /// `kafka.properties`: a table of strings.
    Properties,
    /// `[[stocks]]`: an array of tables.
    Stocks,
}

impl Kind {
    /// Whether a variable's value is taken as it stands; of the other kinds it is read as a TOML value.
    pub(super) fn is_text(self) -> bool {
        matches!(self, Kind::Duration { .. } | Kind::Window | Kind::Word(_) | Kind::Text(_) | Kind::Secret)
    }

    /// # Errors
    /// Says what would be accepted, and what was given instead unless that is a secret.
    pub(super) fn check(self, value: &ValueKind) -> Result<(), String> {
        let refuse = |wanted: String| Err(format!("must be {wanted}, not {}", shown(value)));
        match (self, value) {
            (Kind::Bool, ValueKind::Boolean(_)) => Ok(()),
            (Kind::Bool, _) => refuse("true or false".into()),
            (Kind::Integer { min, max }, ValueKind::I64(given)) if (min..=max).contains(given) => Ok(()),
            (Kind::Integer { min, max }, _) => refuse(format!("a whole number from {min} to {max}")),
            (Kind::Number { min, max }, given) if number(given).is_some_and(|n| (min..=max).contains(&n)) => Ok(()),
            (Kind::Number { min, max }, _) => refuse(format!("a number from {min} to {max}")),
            (Kind::NumberRange { min, max }, ValueKind::Array(ends)) if is_range(ends, min, max) => Ok(()),
            (Kind::NumberRange { min, max }, _) => refuse(format!("[low, high] with {min} <= low <= high <= {max}")),
            (Kind::Duration { min, max }, ValueKind::String(text)) => {
                match humantime_serde::re::humantime::parse_duration(text) {
                    Ok(given) if (min..=max).contains(&given) => Ok(()),
                    _ => refuse(duration_wanted(min, max)),
                }
            }
            (Kind::Duration { min, max }, _) => refuse(format!("{}, in quotes", duration_wanted(min, max))),
            (Kind::Window, ValueKind::String(text)) => match humantime_serde::re::humantime::parse_duration(text) {
                Ok(given) if is_window(given) => Ok(()),
                _ => refuse("a duration of 1s to 24h that divides 24 hours, such as \"1m\", \"5m\" or \"1h\"".into()),
            },
            (Kind::Window, _) => {
                refuse("a duration with its unit in quotes that divides 24 hours, such as \"5m\"".into())
            }
            (Kind::Word(words), ValueKind::String(text)) if words.contains(&text.as_str()) => Ok(()),
            (Kind::Word(words), _) => {
                refuse(words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(" or "))
            }
            (Kind::Text(check), ValueKind::String(text)) => {
                check(text).map_err(|reason| format!("{reason}, not {}", shown(value)))
            }
            (Kind::Text(_), _) => refuse("a text in quotes".into()),
            (Kind::Secret, ValueKind::String(_)) => Ok(()),
            (Kind::Secret, _) => Err("must be a text".into()),
            (Kind::Properties, ValueKind::Table(_)) => Ok(()),
            // What was given is not shown: somebody may have tried to hand over a password so.
            (Kind::Properties, _) => Err("must be a table of client properties".into()),
            (Kind::Stocks, ValueKind::Array(_)) => Ok(()),
            (Kind::Stocks, _) => refuse("a list of tables: write [[stocks]] above each".into()),
        }
    }
}

fn duration_wanted(min: Duration, max: Duration) -> String {
    let (min, max) =
        (humantime_serde::re::humantime::format_duration(min), humantime_serde::re::humantime::format_duration(max));
    format!("a duration with its unit from {min} to {max}, such as \"30s\" or \"5m\"")
}

fn is_window(given: Duration) -> bool {
    let whole_micros = given.subsec_nanos().is_multiple_of(1000);
    given >= Duration::from_secs(1) && whole_micros && WindowSize::new(Span::from(given)).is_some()
}

fn number(value: &ValueKind) -> Option<f64> {
    match value {
        ValueKind::I64(whole) => Some(*whole as f64),
        ValueKind::Float(number) => Some(*number),
        _ => None,
    }
}

fn is_range(ends: &[config::Value], min: f64, max: f64) -> bool {
    match ends.iter().map(|end| number(&end.kind)).collect::<Option<Vec<f64>>>().as_deref() {
        Some(&[low, high]) => min <= low && low <= high && high <= max,
        _ => false,
    }
}

/// The value as it stood in the file, for messages; cut when long.
fn shown(value: &ValueKind) -> String {
    match value {
        ValueKind::String(text) if text.chars().count() > 60 => {
            format!("{:?} (cut)", text.chars().take(60).collect::<String>())
        }
        ValueKind::String(text) => format!("{text:?}"),
        ValueKind::Float(number) => format!("{number:?}"),
        ValueKind::Array(values) if values.len() <= 4 => {
            format!("[{}]", values.iter().map(|value| shown(&value.kind)).collect::<Vec<_>>().join(", "))
        }
        ValueKind::Array(_) => "a list".into(),
        ValueKind::Table(_) => "a table".into(),
        other => other.to_string(),
    }
}
