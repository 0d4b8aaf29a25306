//! Laws of the settings loader: whatever a file holds it is loaded or refused, what is sound comes out as it went in, and of what is
//! not sound every part is named.

use std::time::Duration;

use proptest::prelude::*;
use stockstream::settings::{Loaded, Settings, SettingsErrors, Sources, load};

fn load_text(text: &[u8]) -> Result<Settings, SettingsErrors> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("s.toml");
    std::fs::write(&file, text).unwrap();
    load(&Sources { files: vec![file], ..Sources::default() }).map(|Loaded { settings, .. }| settings)
}

/// Pieces of which some documents are sound.
fn any_document() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "\\[(kafka|market|producer|lake|log|stocks|x)\\]\n",
        "\\[\\[stocks\\]\\]\nsymbol = \"[A-Za-z./]{0,18}\"\ninitial_price = -?[0-9]{1,3}\\.[0-9]\n",
        "(partitions|window|speed|level|dir|seed) = (-?[0-9]{1,20}|\"[0-9a-z ]{0,8}\"|true|nan|\\[\\])\n",
        "[ -~]{0,12}\n",
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_bytes_are_loaded_or_refused_with_a_reason(bytes: Vec<u8>) {
        if let Err(errors) = load_text(&bytes) {
            prop_assert!(!errors.problems.is_empty());
            prop_assert!(errors.problems.iter().all(|problem| !problem.reason.is_empty() && !problem.origin.is_empty()));
        }
    }

    #[test]
    fn any_document_is_loaded_or_refused_and_twice_the_same(text in any_document()) {
        match (load_text(text.as_bytes()), load_text(text.as_bytes())) {
            (Ok(one), Ok(other)) => {
                prop_assert_eq!(one.stocks.len(), other.stocks.len());
                prop_assert!(one.stocks.iter().all(|stock| stock.initial_price > 0.0));
            }
            (Err(one), Err(other)) => prop_assert_eq!(one.problems.len(), other.problems.len()),
            _ => prop_assert!(false, "once loaded and once refused:\n{}", text),
        }
    }

    #[test]
    fn sound_values_come_out_as_they_went_in(
        seed in 0..=i64::MAX,
        partitions in 1i32..100,
        lateness in 1u64..3_600,
        stocks in prop::collection::btree_map("[A-Z0-9][A-Z0-9.^=_-]{0,15}", 0.01f64..1e6, 1..20),
    ) {
        let mut text = format!(
            "[kafka]\nlayout = \"keyed\"\npartitions = {partitions}\n[producer]\nseed = {seed}\n[market]\nlateness = \"{lateness}s\"\n"
        );
        for (symbol, price) in &stocks {
            text += &format!("[[stocks]]\nsymbol = \"{symbol}\"\ninitial_price = {price:?}\n");
        }
        let settings = load_text(text.as_bytes()).unwrap();
        prop_assert_eq!(settings.kafka.partitions, partitions);
        prop_assert_eq!(settings.producer.seed, seed as u64);
        prop_assert_eq!(settings.market.rules.lateness, Duration::from_secs(lateness).into());
        let loaded = settings.stocks.iter().map(|stock| (stock.symbol.to_string(), stock.initial_price));
        prop_assert_eq!(loaded.collect::<Vec<_>>(), stocks.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn every_unknown_key_is_named_up_to_a_hundred(count in 1usize..150) {
        let text: String = (0..count).map(|number| format!("unknown_{number} = {number}\n")).collect();
        let problems = load_text(text.as_bytes()).err().unwrap().problems;
        prop_assert_eq!(problems.len(), count.min(101));
        if count > 100 {
            let rest = if count == 101 { String::from("1 more problem") } else { format!("{} more problems", count - 100) };
            prop_assert_eq!(&problems[100].reason, &rest);
        }
    }
}
