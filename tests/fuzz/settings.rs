//! Settings files, variables and options.

use std::cell::OnceCell;
use std::path::PathBuf;

use stockstream::settings::{Override, Sources, keys, load};
use tempfile::TempDir;

use crate::effort::Effort;
use crate::{Inputs, fuzz};

const WORDS: &[&[u8]] = &[
    b"[kafka]\n",
    b"[market]\n",
    b"[[stocks]]\n",
    b"symbol = \"A\"\n",
    b"initial_price = 1.0\n",
    b"window = \"5m\"\n",
    b"\"\"\"",
    b"'''",
    b"[",
    b"]",
    b"{",
    b"}",
    b"=",
    b".",
    b"\n",
    b"\\u0000",
    b"\\U00110000",
    b"nan",
    b"-inf",
    b"0x7fffffffffffffff",
    b"9223372036854775808",
    b"1979-05-27T07:32:00Z",
    b"\"99999999999999999999 years\"",
    b"kafka.properties.a.a.a.a = 1\n",
    b"password = \"secret\"\n",
    b"{symbol}",
    b"stocks",
];
/// Whatever is wrong, its description fits a screen or two.
const MOST_TOLD: usize = 256 * 1024;

const SECRET: &str = "correct-horse-battery-staple";
/// A secret that TOML takes for a number, which does not fit.
const DIGITS: &str = "31415926535897932384";

thread_local! {
    static DIR: OnceCell<TempDir> = const { OnceCell::new() };
}

fn bound(length: usize) -> usize {
    96 * length + (4 << 20)
}

fn file() -> PathBuf {
    DIR.with(|dir| dir.get_or_init(|| TempDir::new().expect("a temporary directory")).path().join("s.toml"))
}

fn planted_secret() -> (String, String) {
    ("STOCKSTREAM__KAFKA__SECURITY__PASSWORD".into(), SECRET.into())
}

/// A file that also holds a password, as somebody might write one who does not know that it may not stand there.
fn with_a_secret(text: &[u8]) -> Vec<u8> {
    let value = match text.len() % 4 {
        0 => format!("\"{SECRET}\""),
        1 => DIGITS.to_owned(),
        2 => format!("[{DIGITS}, {DIGITS}e999]"),
        _ => format!("{{ is = {DIGITS} }}"),
    };
    let before = format!("kafka.security.password = {value}\n");
    let after = format!("\n[kafka.security]\nkey_password = {value}\n");
    match text.len() % 3 {
        0 => [before.as_bytes(), text].concat(),
        _ => [text, after.as_bytes()].concat(),
    }
}

fn loads_or_tells(sources: &Sources) {
    match load(sources) {
        Ok(loaded) => assert!(!loaded.settings.stocks.is_empty()),
        Err(errors) => {
            let told = errors.to_string();
            assert!(!errors.problems.is_empty() && told.len() < MOST_TOLD, "{} bytes", told.len());
            let repeated = [SECRET, DIGITS].into_iter().any(|secret| told.contains(secret));
            assert!(!repeated, "a secret is never repeated: {told}");
        }
    }
}

#[test]
fn any_settings_file_is_loaded_or_refused_in_few_words() {
    fuzz!("settings_file", Inputs { short: 400, long: 10_000 }, WORDS, bound, |text: &[u8]| {
        for text in [text.to_vec(), with_a_secret(text)] {
            std::fs::write(file(), text).expect("a small file can be written");
            loads_or_tells(&Sources { files: vec![file()], env: vec![planted_secret()], ..Sources::default() });
        }
    });
}

#[test]
fn any_variable_and_option_is_taken_or_refused_in_few_words() {
    fuzz!("settings_variable", Inputs { short: 400, long: 10_000 }, WORDS, bound, |bytes: &[u8]| {
        let (which, text) = bytes.split_first().map_or((0, String::new()), |(which, text)| {
            (usize::from(*which), String::from_utf8_lossy(text).into_owned())
        });
        let key = keys().nth(which % keys().count()).expect("there are keys");
        let variable = format!("STOCKSTREAM__{}", key.to_uppercase().replace('.', "__"));
        let (name, value) = text.split_once('=').unwrap_or(("", &text));
        loads_or_tells(&Sources {
            env: vec![planted_secret(), (variable, text.clone()), (format!("STOCKSTREAM__{name}"), value.to_owned())],
            overrides: vec![Override::new(key, &text, "--option")],
            dir: "/nonexistent".into(),
            ..Sources::default()
        });
    });
}

#[test]
fn the_largest_file_is_refused_in_few_words_whatever_it_holds() {
    // 4 MiB are the most that is read.
    let size: usize = Effort::of_this_run().pick(1 << 20, 4 << 20, 4 << 20);
    let of = |line: &str| line.repeat((size - 64) / line.len());
    let numbered = (0..size / 20).map(|number| format!("k{number}=1\n")).collect::<String>();
    let cases = [
        format!("[kafka.properties]\n{numbered}"),
        numbered,
        format!("{} = 1", of("a")),
        format!("kafka.properties.{}a = 1", of("a.")),
        format!("a = {}", of("[")),
        format!("a = {}", of("{a=")),
        of("[a"),
        of("[[stocks]]\n"),
        format!("a = \"{}\"", of("\\u0041")),
        format!("[market]\nwindow = \"{}\"", of("9")),
        of("\n"),
        of("\u{feff}"),
    ];
    for (number, text) in cases.iter().enumerate() {
        assert!(text.len() <= size, "case {number}");
        std::fs::write(file(), text).expect("a file of 4 MiB can be written");
        crate::memory::bounded(bound(text.len()), || {
            loads_or_tells(&Sources { files: vec![file()], ..Sources::default() });
        });
    }
}
