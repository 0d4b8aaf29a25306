//! One source, read and checked against the schema: a tree of `config` values that each know where they stand.

use std::borrow::Cow;
use std::collections::BTreeMap;

use config::{Map, Value, ValueKind};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::client_properties::why_refused;
use super::errors::{Findings, MOST_PROBLEMS};
use super::kind::Kind;
use super::place::Place;
use super::schema::{self, Entry, Field, MAX_STOCKS, REQUIRED_OF_A_STOCK, STOCK_FIELDS};

/// The sound values of one source. No `Debug`: may hold secrets.
#[derive(Clone, Default)]
pub(super) struct Layer(pub(super) Map<String, Value>);

/// Reads a TOML document. Of one that is broken only what breaks it is reported.
pub(super) fn read(text: &str, place: &Place, findings: &mut Findings) -> Layer {
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let at = error.span().map_or(0, |span| span.start.min(text.len()));
        // Only the message: the error's Display repeats the line, which may hold a secret.
        findings.add("", &place.origin_with_column(at), format!("is not TOML: {}", error.message()));
    }
    if !errors.is_empty() {
        return Layer::default();
    }
    let mut reader = Reader { place, found: Vec::new(), more: 0 };
    let layer = Layer(reader.table(table.get_ref(), ""));
    reader.report(findings);
    layer
}

/// Reads one value given as text, by a variable or an option.
pub(super) fn read_value(key: &str, text: &str, place: &Place, findings: &mut Findings) -> Layer {
    let mut reader = Reader { place, found: Vec::new(), more: 0 };
    let mut layer = Layer::default();
    match schema::entry(key) {
        Entry::Field(field) => {
            let value = match field.kind.is_text() {
                true => Some(Spanned::new(0..0, DeValue::String(Cow::Borrowed(text)))),
                false => DeValue::parse(text).ok(),
            };
            match value.map(|value| reader.value(field.kind, key, &value, 0)) {
                Some(Some(value)) => nest(&mut layer.0, key, value),
                Some(None) => {}
                None => {
                    let given = ValueKind::String(text.into());
                    let reason = field.kind.check(&given).err().unwrap_or_else(|| "is not a TOML value".into());
                    reader.problem(0, key, reason);
                }
            }
        }
        Entry::Section => reader.problem(0, key, "is a section: name one of its keys"),
        Entry::Unknown => reader.unknown(0, key, key, schema::keys()),
    }
    reader.report(findings);
    layer
}

fn nest(root: &mut Map<String, Value>, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            root.insert(key.into(), value);
        }
        Some((section, rest)) => {
            let mut inner = Map::new();
            nest(&mut inner, rest, value);
            root.insert(section.into(), Value::new(None, inner));
        }
    }
}

struct Reader<'a> {
    place: &'a Place<'a>,
    /// Byte, key and reason.
    found: Vec<(usize, String, String)>,
    /// Problems beyond those that are told.
    more: usize,
}

impl Reader<'_> {
    fn problem(&mut self, at: usize, key: &str, reason: impl Into<String>) {
        if self.found.len() < MOST_PROBLEMS {
            self.found.push((at, key.to_owned(), reason.into()));
        } else {
            self.more += 1;
        }
    }

    /// A key that does not exist. What was meant is looked for only where it will be told: that takes time.
    fn unknown<'k>(&mut self, at: usize, path: &str, given: &str, known: impl Iterator<Item = &'k str>) {
        let reason = if self.found.len() < MOST_PROBLEMS { schema::unknown(given, known) } else { String::new() };
        self.problem(at, path, reason);
    }

    fn report(mut self, findings: &mut Findings) {
        self.found.sort_by_key(|(at, ..)| *at);
        for (at, key, reason) in self.found {
            findings.add(&key, &self.place.origin(at), reason);
        }
        findings.add_more(self.more);
    }

    fn table(&mut self, table: &DeTable, section: &str) -> Map<String, Value> {
        let mut sound = Map::new();
        for (name, value) in table {
            let at = name.span().start;
            let path = join(section, name.get_ref());
            // A quoted name with a dot in it must not pass for a path.
            let entry = if name.get_ref().contains('.') { Entry::Unknown } else { schema::entry(&path) };
            let read = match (entry, value.get_ref()) {
                (Entry::Field(field), _) => self.value(field.kind, &path, value, at),
                (Entry::Section, DeValue::Table(inner)) => Some(Value::new(None, self.table(inner, &path))),
                (Entry::Section, _) => {
                    self.problem(at, &path, format!("is a section: write [{path}] and its keys below"));
                    None
                }
                (Entry::Unknown, _) => {
                    self.unknown(at, &path, &path, schema::keys());
                    None
                }
            };
            sound.extend(read.map(|value| (name.get_ref().to_string(), value)));
        }
        sound
    }

    /// The value of a key if it is sound; `at` is where the key stands.
    fn value(&mut self, kind: Kind, path: &str, value: &Spanned<DeValue>, at: usize) -> Option<Value> {
        match (kind, value.get_ref()) {
            (Kind::Properties, DeValue::Table(table)) => {
                let mut properties = Map::new();
                self.properties(table, "", &mut properties);
                return Some(Value::new(None, properties));
            }
            (Kind::Stocks, DeValue::Array(stocks)) => return Some(self.stocks(stocks.iter(), at)),
            (Kind::Secret, DeValue::String(text)) if !text.is_empty() && !matches!(self.place, Place::Variable(_)) => {
                let variable = path.to_ascii_uppercase().replace('.', "__");
                let reason = format!(
                    "a secret is taken only from the variable STOCKSTREAM__{variable} or from a file named by {path}_file"
                );
                self.problem(at, path, reason);
                return None;
            }
            // Not even read: what is wrong with a number is said with the number, and this one may be a password.
            (Kind::Secret | Kind::Properties, given) if !given.is_str() => {
                self.problem(at, path, kind.check(&ValueKind::Nil).err().unwrap_or_default());
                return None;
            }
            _ => {}
        }
        let checked = plain(value.get_ref()).and_then(|plain| kind.check(&plain).map(|()| plain));
        match checked {
            Ok(plain) => Some(Value::new(Some(&self.place.origin(at)), plain)),
            Err(reason) => {
                self.problem(at, path, reason);
                None
            }
        }
    }

    /// Both `"linger.ms" = 5` and `linger.ms = 5`, which TOML reads as nested tables.
    fn properties(&mut self, table: &DeTable, above: &str, sound: &mut Map<String, Value>) {
        for (name, value) in table {
            let at = name.span().start;
            let property = join(above, name.get_ref());
            let key = format!("kafka.properties.{property}");
            let text = match value.get_ref() {
                DeValue::Table(inner) => {
                    self.properties(inner, &property, sound);
                    continue;
                }
                DeValue::String(text) => text.to_string(),
                DeValue::Integer(number) => number.to_string(),
                DeValue::Boolean(word) => word.to_string(),
                _ => {
                    self.problem(at, &key, "must be a text, a whole number, true or false");
                    continue;
                }
            };
            if let Some(reason) = why_refused(&property) {
                self.problem(at, &key, reason);
            } else if text.is_empty() || text.len() > 256 || text.chars().any(char::is_control) {
                self.problem(at, &key, "must be 1 to 256 characters, none of them a control character");
            } else {
                sound.insert(property, Value::new(Some(&self.place.origin(at)), text));
            }
        }
    }

    fn stocks<'v>(&mut self, stocks: impl ExactSizeIterator<Item = &'v Spanned<DeValue<'v>>>, at: usize) -> Value {
        if !(1..=MAX_STOCKS).contains(&stocks.len()) {
            self.problem(at, "stocks", format!("must be 1 to {MAX_STOCKS} stocks, not {}", stocks.len()));
        }
        let mut first_at = BTreeMap::new();
        let mut sound = Vec::new();
        for (index, stock) in stocks.enumerate() {
            let at = stock.span().start;
            let label = label(index, stock.get_ref());
            let DeValue::Table(table) = stock.get_ref() else {
                self.problem(at, &label, "must be a table with symbol and initial_price");
                continue;
            };
            if let Some(symbol) = table.get("symbol").and_then(|symbol| symbol.get_ref().as_str()) {
                match first_at.get(&symbol.to_ascii_uppercase()) {
                    Some(first) => {
                        self.problem(at, &label, format!("this symbol was given before, at {first}"));
                        continue;
                    }
                    None => first_at.insert(symbol.to_ascii_uppercase(), self.place.origin(at)),
                };
            }
            sound.extend(self.stock(table, &label, at).map(|stock| Value::new(Some(&self.place.origin(at)), stock)));
        }
        Value::new(Some(&self.place.origin(at)), sound)
    }

    /// `None` when anything in it is not sound.
    fn stock(&mut self, table: &DeTable, label: &str, at: usize) -> Option<Map<String, Value>> {
        let before = self.found.len();
        let mut sound = Map::new();
        for missing in REQUIRED_OF_A_STOCK.iter().filter(|name| !table.contains_key(**name)) {
            self.problem(at, &join(label, missing), "is missing: every stock needs a symbol and an initial_price");
        }
        for (name, value) in table {
            let path = join(label, name.get_ref());
            match STOCK_FIELDS.iter().find(|Field { key, .. }| key == name.get_ref()) {
                Some(field) => {
                    let read = self.value(field.kind, &path, value, name.span().start);
                    sound.extend(read.map(|value| (name.get_ref().to_string(), value)));
                }
                None => {
                    let known = STOCK_FIELDS.iter().map(|field| field.key);
                    self.unknown(name.span().start, &path, name.get_ref(), known);
                }
            }
        }
        (self.found.len() == before).then_some(sound)
    }
}

/// `stocks.AAPL`, or `stocks[0]` when it has no symbol that could stand in a message.
fn label(index: usize, stock: &DeValue) -> String {
    match stock.get("symbol").and_then(|symbol| symbol.get_ref().as_str()) {
        Some(symbol) if crate::market::symbol::Symbol::is_valid(symbol) => format!("stocks.{symbol}"),
        _ => format!("stocks[{index}]"),
    }
}

fn join(section: &str, name: &str) -> String {
    if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") }
}

/// # Errors
/// When the value has no counterpart: a date, a number that does not fit.
fn plain(value: &DeValue) -> Result<ValueKind, String> {
    Ok(match value {
        DeValue::String(text) => ValueKind::String(text.to_string()),
        DeValue::Integer(number) => {
            let fits = i64::from_str_radix(number.as_str(), number.radix());
            ValueKind::I64(fits.map_err(|_| format!("must be a whole number of at most 63 bits, not {number}"))?)
        }
        DeValue::Float(number) => {
            let read = number.as_str().parse::<f64>().ok().filter(|number| number.is_finite());
            ValueKind::Float(read.ok_or_else(|| format!("must be a finite number, not {number}"))?)
        }
        DeValue::Boolean(word) => ValueKind::Boolean(*word),
        DeValue::Datetime(_) => return Err("must not be a date or time".into()),
        DeValue::Array(values) => {
            let plain: Result<Vec<Value>, String> =
                values.iter().map(|value| Ok(Value::new(None, plain(value.get_ref())?))).collect();
            ValueKind::Array(plain?)
        }
        DeValue::Table(_) => ValueKind::Table(Map::new()),
    })
}
