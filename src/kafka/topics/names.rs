//! Topic names of stocks, and back.
//!
//! Kafka forbids `^` and `=` in a topic and takes `.` and `_` for the same in places, so these four become `_` and two lower-case
//! hex digits. A symbol has no lower case, so there is exactly one way back.

use crate::market::symbol::Symbol;
use crate::settings::{KafkaSettings, Layout};

const ESCAPES: [(char, &str); 4] = [('.', "_2e"), ('_', "_5f"), ('^', "_5e"), ('=', "_3d")];

const PLACEHOLDER: &str = "{symbol}";

/// The topic that holds the ticks of a stock.
pub fn topic_of(settings: &KafkaSettings, symbol: &Symbol) -> String {
    match settings.layout {
        Layout::PerStock => settings.topic_template.replace(PLACEHOLDER, &escape(symbol.as_str())),
        Layout::Keyed => settings.topic.clone(),
    }
}

/// The stock whose ticks a topic holds; `None` in the layout `keyed`, and for topics that are not ours.
pub fn symbol_of(settings: &KafkaSettings, topic: &str) -> Option<Symbol> {
    if settings.layout == Layout::Keyed {
        return None;
    }
    let (before, after) = settings.topic_template.split_once(PLACEHOLDER)?;
    let symbol = unescape(topic.strip_prefix(before)?.strip_suffix(after)?)?;
    Symbol::new(&symbol).ok()
}

fn escape(symbol: &str) -> String {
    let mut escaped = String::with_capacity(symbol.len() + 4);
    for letter in symbol.chars() {
        match ESCAPES.iter().find(|(plain, _)| *plain == letter) {
            Some((_, code)) => escaped.push_str(code),
            None => escaped.push(letter),
        }
    }
    escaped
}

/// `None` for a text that [`escape`] does not make.
fn unescape(mut text: &str) -> Option<String> {
    let mut symbol = String::with_capacity(text.len());
    while let Some(letter) = text.chars().next() {
        let escape = ESCAPES.iter().find(|(_, code)| text.starts_with(code));
        let (plain, length) = match escape {
            Some((plain, code)) => (*plain, code.len()),
            None if ESCAPES.iter().any(|(plain, _)| *plain == letter) => return None,
            None => (letter, letter.len_utf8()),
        };
        symbol.push(plain);
        text = &text[length..];
    }
    Some(symbol)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kafka::testing;

    #[test]
    fn a_symbol_stands_in_its_topic_as_the_documentation_says() {
        let settings = testing::settings();
        for (symbol, topic) in [
            ("AAPL", "stock_topic.AAPL"),
            ("BRK.B", "stock_topic.BRK_2eB"),
            ("EURUSD=X", "stock_topic.EURUSD_3dX"),
            ("A_^", "stock_topic.A_5f_5e"),
        ] {
            assert_eq!(topic_of(&settings, &Symbol::new(symbol).unwrap()), topic);
        }
    }

    #[test]
    fn topics_that_are_not_ours_belong_to_no_stock() {
        let settings = testing::settings();
        for topic in
            ["stock_topic.", "stock_topic.A_", "stock_topic.A.B", "stock_topic.a", "other.AAPL", "stock_topic.A_2f"]
        {
            assert_eq!(symbol_of(&settings, topic), None, "{topic}");
        }
    }

    #[test]
    fn in_the_keyed_layout_every_stock_is_in_one_topic() {
        let settings = KafkaSettings { layout: Layout::Keyed, ..testing::settings() };
        assert_eq!(topic_of(&settings, &Symbol::new("AAPL").unwrap()), "stock_ticks");
        assert_eq!(symbol_of(&settings, "stock_ticks"), None);
    }

    proptest! {
        #[test]
        fn a_topic_leads_back_to_its_symbol(symbol in "[A-Z0-9][A-Z0-9.^=_-]{0,15}", suffix in "[a-z.]{0,3}") {
            let mut settings = testing::settings();
            settings.topic_template.push_str(&suffix);
            let symbol = Symbol::new(&symbol).unwrap();
            let topic = topic_of(&settings, &symbol);
            prop_assert!(topic.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)), "{topic}");
            prop_assert_eq!(symbol_of(&settings, &topic), Some(symbol));
        }
    }
}
