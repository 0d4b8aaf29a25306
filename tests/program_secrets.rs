//! A secret goes in by the environment or a file, and never comes out: not in results, logs, errors, `check` or panics.

mod support;

use std::fmt::Debug;
use std::marker::PhantomData;

use rstest::rstest;
use stockstream::settings::{KafkaSettings, Loaded, SecuritySettings, Settings, Sources};
use support::cluster::Cluster;
use support::program::{Ended, Program};
use tempfile::TempDir;

const SECRET: &str = "pl4nted-s3cret";
/// A password that TOML takes for a number, and one that does not fit.
const DIGITS: &str = "98765432109876543210";
const VARIABLE: &str = "STOCKSTREAM__KAFKA__SECURITY__PASSWORD";
const SASL: &str =
    "[kafka.security]\nprotocol = \"sasl_plaintext\"\nsasl_mechanism = \"PLAIN\"\nusername = \"alice\"\n";
const TICK: &[u8] = b"2025-05-14 15:30:00,AAPL,211.45\n";

/// A directory with a file of ticks, one with the secret, and these settings.
fn planted(settings: &str) -> TempDir {
    let dir = TempDir::new().unwrap();
    for (name, bytes) in [("ticks.csv", TICK), ("secret", SECRET.as_bytes()), ("s.toml", settings.as_bytes())] {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    dir
}

/// Runs it with everything logged; the secret must not be in anything it says.
#[track_caller]
fn run(dir: &TempDir, arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    let arguments = [arguments, &["--settings", "s.toml"]].concat();
    let mut program = Program::new(dir.path(), &arguments);
    for (name, value) in [("STOCKSTREAM__LOG__LEVEL", "trace"), ("RUST_BACKTRACE", "full")].iter().chain(variables) {
        program = program.env(name, value);
    }
    let ended = program.run();
    for (stream, text) in [("stdout", &ended.stdout), ("stderr", &ended.stderr)] {
        for secret in [SECRET, DIGITS] {
            assert!(!text.contains(secret), "the secret is on {stream} of {arguments:?}:\n{text}");
        }
    }
    ended
}

#[rstest]
#[case::text(&["check"])]
#[case::json(&["check", "--json"])]
fn check_masks_the_secret_and_says_where_it_is_from(#[case] arguments: &[&str]) {
    let by_variable = run(&planted(SASL), arguments, &[(VARIABLE, SECRET)]);
    assert_eq!(by_variable.code, Some(0), "{}", by_variable.stderr);
    assert!(by_variable.stdout.contains("***") && by_variable.stdout.contains(VARIABLE), "{}", by_variable.stdout);
    let by_file = run(&planted(&format!("{SASL}password_file = \"secret\"\n")), arguments, &[]);
    assert_eq!(by_file.code, Some(0), "{}", by_file.stderr);
    assert!(by_file.stdout.contains("password_file"), "{}", by_file.stdout);
}

#[rstest]
#[case::as_a_password(&format!("{SASL}password = \"{SECRET}\"\n"), "STOCKSTREAM__KAFKA__SECURITY__PASSWORD")]
#[case::as_a_key_password(&format!("[kafka.security]\nkey_password = \"{SECRET}\"\n"), "key_password_file")]
#[case::as_a_client_property(&format!("[kafka.properties]\n\"sasl.password\" = \"{SECRET}\"\n"), "[kafka.security]")]
#[case::as_a_jaas_line(&format!("[kafka.properties]\n\"sasl.jaas.config\" = \"password={SECRET};\"\n"), "[kafka.security]")]
#[case::as_all_properties(&format!("[kafka]\nproperties = \"sasl.password={SECRET}\"\n"), "must be a table")]
#[case::as_a_number_of_words(&format!("{SASL}password = [\"{SECRET}\"]\n"), "must be a text")]
#[case::as_bare_digits(&format!("{SASL}password = {DIGITS}\n"), "must be a text")]
#[case::as_a_list_of_digits(&format!("{SASL}password = [{DIGITS}]\n"), "must be a text")]
#[case::as_digits_in_a_table(&format!("{SASL}password.is = {DIGITS}\n"), "must be a text")]
#[case::as_an_endless_number(&format!("{SASL}password = {DIGITS}e999\n"), "must be a text")]
#[case::as_a_hexadecimal_number(&format!("{SASL}password = 0xb{DIGITS}\n"), "must be a text")]
#[case::as_a_key_password_of_digits(&format!("[kafka.security]\nkey_password = {DIGITS}\n"), "must be a text")]
#[case::as_properties_of_digits(&format!("[kafka]\nproperties = {DIGITS}\n"), "must be a table")]
#[case::in_a_broken_line(&format!("{SASL}password = \"{SECRET}\n"), "is not TOML")]
#[case::under_another_name(&format!("{SASL}passwort = \"{SECRET}\"\n"), "did you mean")]
#[case::as_the_name_of_its_file(&format!("{SASL}password_file = \"{SECRET}\"\n"), "password_file")]
fn a_secret_in_a_settings_file_is_refused_and_not_repeated(#[case] settings: &str, #[case] says: &str) {
    for arguments in [["check"].as_slice(), &["check", "--json"], &["replay", "ticks.csv"]] {
        run(&planted(settings), arguments, &[]).refused(2, &[says]);
    }
}

#[rstest]
#[case("STOCKSTREAM__KAFKA__SECURITY__PASSWORT", SECRET)]
#[case("STOCKSTREAM__KAFKA__PASSWORD", SECRET)]
#[case("STOCKSTREAM_KAFKA__SECURITY__PASSWORD", SECRET)]
#[case("STOCKSTREAM__KAFKA__PROPERTIES", "sasl.password=pl4nted-s3cret")]
#[case("STOCKSTREAM__KAFKA__PROPERTIES", "{ \"sasl.password\" = \"pl4nted-s3cret\" }")]
fn a_variable_that_is_not_the_right_one_is_refused_by_name(#[case] name: &str, #[case] value: &str) {
    run(&planted(""), &["check"], &[(name, value)]).refused(2, &[name]);
}

#[test]
fn a_run_and_a_panic_keep_the_secret() {
    let dir = planted(&(SASL.to_owned() + "[kafka]\nmode = \"embedded\"\n"));
    let good = run(&dir, &["replay", "ticks.csv", "--json"], &[(VARIABLE, SECRET)]);
    good.summary();
    assert!(good.stderr.contains("TRACE"), "everything is logged: {}", good.stderr);
    let dir = planted(&(SASL.to_owned() + "[kafka]\nmode = \"embedded\"\n"));
    let panicked =
        run(&dir, &["replay", "ticks.csv", "--json"], &[(VARIABLE, SECRET), ("FAILPOINTS", "consumer.read=1*panic")]);
    assert!(panicked.stderr.contains("panicked at"), "{}", panicked.stderr);
}

#[test]
fn a_broker_that_refuses_a_password_is_told_without_it() {
    // It knows no SASL, and hangs up.
    let cluster = Cluster::start();
    let dir = planted(&(cluster.settings() + SASL));
    let ended = run(&dir, &["run", "--until-end"], &[(VARIABLE, SECRET)]);
    ended.refused(1, &["kafka.security"]);
}

struct Probe<T>(PhantomData<T>);

trait WithoutDebug {
    const HAS_DEBUG: bool = false;
}

impl<T> WithoutDebug for Probe<T> {}

impl<T: Debug> Probe<T> {
    /// Found before the trait's, where it exists.
    const HAS_DEBUG: bool = true;
}

#[test]
fn what_holds_secrets_cannot_be_printed_for_debugging() {
    let printable = [
        // One that can be, to show that the question is answered.
        Probe::<String>::HAS_DEBUG,
        Probe::<Settings>::HAS_DEBUG,
        Probe::<KafkaSettings>::HAS_DEBUG,
        Probe::<SecuritySettings>::HAS_DEBUG,
        Probe::<Loaded>::HAS_DEBUG,
        Probe::<Sources>::HAS_DEBUG,
    ];
    assert_eq!(printable, [true, false, false, false, false, false]);
}
