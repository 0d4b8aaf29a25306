//! Secrets, and what belongs to encryption, in the wrong place.

use rstest::rstest;
use stockstream::settings::Override;

use super::{Case, refusal};

#[test]
fn a_secret_in_a_settings_file_or_on_the_command_line_is_refused() {
    let line = refusal("[kafka.security]\npassword = \"hunter2\"");
    assert!(line.starts_with("s.toml:2: kafka.security.password: a secret is taken only from the variable STOCKSTREAM__KAFKA__SECURITY__PASSWORD"));
    assert!(!line.contains("hunter2"), "{line}");
    let mut case = Case::new();
    case.sources.overrides.push(Override::new("kafka.security.key_password", "hunter2", "--set"));
    assert!(!case.errors().to_string().contains("hunter2"));
}

#[rstest]
#[case("protocol = \"sasl_plaintext\"", &["sasl_mechanism: needs a value", "username: needs a value", "password: needs a value"])]
#[case("username = \"me\"", &["username: is set, but kafka.security.protocol makes no use of it"])]
#[case("ca_file = \"Cargo.toml\"", &["ca_file: is set, but kafka.security.protocol makes no use of it"])]
#[case("password_file = \"/nowhere\"", &["password_file: is set, but kafka.security.protocol makes no use of it"])]
fn credentials_that_do_not_fit_the_protocol_are_refused(#[case] text: &str, #[case] wanted: &[&str]) {
    let lines = Case::new().file("s.toml", format!("[kafka.security]\n{text}")).lines();
    assert_eq!(lines.len(), wanted.len(), "{lines:#?}");
    for (line, wanted) in lines.iter().zip(wanted) {
        assert!(line.starts_with(&format!("s.toml:2: kafka.security.{wanted}")), "{line}");
    }
}

#[rstest]
#[case("CA_FILE")]
#[case("CERTIFICATE_FILE")]
#[case("KEY_FILE")]
#[case("KEY_PASSWORD")]
#[case("KEY_PASSWORD_FILE")]
fn what_belongs_to_encryption_is_refused_without_it_also_as_a_variable(#[case] name: &str) {
    let variable = format!("STOCKSTREAM__KAFKA__SECURITY__{name}");
    let key = format!("kafka.security.{}", name.to_lowercase());
    let problems = Case::new().variable(&variable, "/nowhere/secret").errors().problems;
    assert!(problems.iter().any(|problem| problem.key == key && problem.origin == variable), "{problems:#?}");
}

#[cfg(feature = "tls")]
#[rstest]
#[case("/nowhere/ca.pem", "names a file that is not there")]
#[case("/", "names what is not a file")]
#[case("/proc/self/mem/ca.pem", "names a file that cannot be read")]
fn a_certificate_file_that_cannot_be_read_is_refused(#[case] path: &str, #[case] wanted: &str) {
    let line = refusal(&format!("[kafka.security]\nprotocol = \"ssl\"\nca_file = \"{path}\""));
    assert!(line.starts_with(&format!("s.toml:3: kafka.security.ca_file: {wanted}")), "{line}");
}

#[cfg(not(feature = "tls"))]
#[test]
fn encryption_is_refused_by_a_binary_without_it() {
    let line = refusal("[kafka.security]\nprotocol = \"ssl\"");
    assert!(line.starts_with("s.toml:2: kafka.security.protocol: needs TLS"), "{line}");
    assert!(line.contains("--features tls"));
}
