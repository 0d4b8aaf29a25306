//! Every fault that the program is to survive has a test by its number, here or beside the code.

use std::collections::BTreeSet;
use std::path::Path;

/// F1 to F30 of the table in `tests/README.md`.
const FAULTS: std::ops::RangeInclusive<u32> = 1..=30;

/// Every line of every Rust file below a directory.
fn lines(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(lines(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.extend(std::fs::read_to_string(&path).unwrap().lines().map(str::to_owned));
        }
    }
    found
}

/// `f07_a_handler_...` of `fn f07_a_handler_...() {`
fn test_of_a_fault(line: &str) -> Option<(u32, String)> {
    let line = line.trim_start();
    let name = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ")?.split('(').next()?;
    let (number, _) = name.strip_prefix('f')?.split_once('_')?;
    (number.len() == 2).then(|| Some((number.parse().ok()?, name.to_owned()))).flatten()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn tests_of_faults() -> Vec<(u32, String)> {
    let lines = [lines(&root().join("tests")), lines(&root().join("src"))].concat();
    lines.iter().filter_map(|line| test_of_a_fault(line)).collect()
}

#[test]
fn every_fault_has_a_test() {
    let tested: BTreeSet<u32> = tests_of_faults().into_iter().map(|(number, _)| number).collect();
    let missing: Vec<u32> = FAULTS.filter(|fault| !tested.contains(fault)).collect();
    assert!(missing.is_empty(), "no test fNN_... of the faults {missing:?}");
}

#[test]
fn the_table_names_a_test_of_every_fault_and_none_that_is_not_there() {
    let table = std::fs::read_to_string(root().join("tests/README.md")).unwrap();
    let named: BTreeSet<(u32, String)> =
        table.split(['`', '\n']).filter_map(|word| test_of_a_fault(&format!("fn {word}("))).collect();
    let there: BTreeSet<(u32, String)> = tests_of_faults().into_iter().collect();
    assert_eq!(named.difference(&there).collect::<Vec<_>>(), Vec::<&(u32, String)>::new(), "named, and not there");
    for fault in FAULTS {
        let own: Vec<&String> = there.iter().filter(|(of, _)| *of == fault).map(|(_, name)| name).collect();
        assert!(named.iter().any(|(of, _)| *of == fault), "the table names no test of F{fault}; there are {own:?}");
    }
}

#[test]
fn a_test_of_a_fault_is_known_by_its_name() {
    assert_eq!(test_of_a_fault("fn f07_a_handler() {"), Some((7, String::from("f07_a_handler"))));
    assert_eq!(test_of_a_fault("fn f7_a() {"), None);
    assert_eq!(test_of_a_fault("fn finish_it() {"), None);
}
