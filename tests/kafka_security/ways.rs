//! Each way to a broker, right and wrong.

use std::time::Instant;

use rstest::rstest;
use tempfile::TempDir;

use crate::broker::{GUEST, GUEST_PASSWORD, Listener, PASSWORD, SecureKafka, USER, kafka};
use crate::certificates::KEY_PASSWORD;
use crate::support::lake::bars;
use crate::support::program::{Ended, Program};
use crate::support::ticks::{Recipe, Ticks};

const SYMBOLS: &str = "AAPL,BRK.B,EURUSD=X,GSPC_5^";
const WRONG_PASSWORD: &str = "wr0ng-but-s3cret";
const SECRETS: [&str; 4] = [PASSWORD, KEY_PASSWORD, GUEST_PASSWORD, WRONG_PASSWORD];

/// Settings for one listener, with names that no other run uses.
struct Client {
    dir: TempDir,
    settings: String,
    variables: Vec<(&'static str, String)>,
    /// Must not be seen: passwords, and what the key files hold.
    secrets: Vec<String>,
}

impl Client {
    /// `security` is `key = value` in words: `ca.pem` and the like stand for the files, `user` for the user's name.
    fn new(kafka: &SecureKafka, listener: Listener, security: &[(&str, &str)]) -> Self {
        let (run, address) = (format!("{:08x}", rand::random::<u32>()), kafka.address(listener));
        let mut settings = format!(
            "[kafka]\nmode = \"cluster\"\nbootstrap_servers = \"{address}\"\ngroup_id = \"test_{run}\"\n\
             topic_template = \"test_{run}.{{symbol}}\"\ndead_letter_topic = \"test_{run}_dead\"\n\
             [producer]\nenabled = false\n[kafka.security]\n"
        );
        let secrets = SECRETS.map(String::from).into_iter().chain(kafka.certificates.key_lines()).collect();
        let mut client = Self { dir: TempDir::new().unwrap(), settings: String::new(), variables: Vec::new(), secrets };
        for (key, value) in security {
            match *key {
                "password" => client.variables.push(("STOCKSTREAM__KAFKA__SECURITY__PASSWORD", (*value).into())),
                "key_password" => {
                    client.variables.push(("STOCKSTREAM__KAFKA__SECURITY__KEY_PASSWORD", (*value).into()))
                }
                "password_file" | "key_password_file" => {
                    let file = client.dir.path().join(key);
                    std::fs::write(&file, format!("{value}\n")).unwrap();
                    settings += &format!("{key} = \"{}\"\n", file.display());
                }
                "ca_file" | "certificate_file" | "key_file" => {
                    settings += &format!("{key} = \"{}\"\n", kafka.certificates.path(value));
                }
                _ => settings += &format!("{key} = \"{value}\"\n"),
            }
        }
        client.settings = settings;
        client
    }

    /// Runs a command with everything logged, and holds it to silence about secrets.
    #[track_caller]
    fn run(&self, arguments: &[&str]) -> Ended {
        std::fs::write(self.dir.path().join("kafka.toml"), &self.settings).unwrap();
        let arguments = [arguments, &["--settings", "kafka.toml", "--json"]].concat();
        let program = Program::new(self.dir.path(), &arguments).env("STOCKSTREAM__LOG__LEVEL", "trace");
        let program = self.variables.iter().fold(program, |program, (name, value)| program.env(name, value));
        let ended = program.env("RUST_BACKTRACE", "full").run();
        for secret in &self.secrets {
            assert!(!ended.stdout.contains(secret), "a secret on stdout of {arguments:?}");
            assert!(!ended.stderr.contains(secret), "a secret on stderr of {arguments:?}");
        }
        ended
    }
}

const NOTHING: &[(&str, &str)] = &[];
const TLS_ALONE: &[(&str, &str)] = &[("protocol", "ssl")];
const TLS: &[(&str, &str)] = &[("protocol", "ssl"), ("ca_file", "ca.pem")];
const CERTIFICATE: &[(&str, &str)] = &[("certificate_file", "client.pem"), ("key_file", "client.key")];
const LOCKED: &[(&str, &str)] = &[("certificate_file", "client.pem"), ("key_file", "client_locked.key")];
const SASL: &[(&str, &str)] = &[("protocol", "sasl_ssl"), ("ca_file", "ca.pem")];
const SCRAM: &[(&str, &str)] = &[("sasl_mechanism", "SCRAM-SHA-512"), ("username", USER)];
const PLAIN: &[(&str, &str)] = &[("sasl_mechanism", "PLAIN"), ("username", USER)];

#[rstest]
#[case::tls(Listener::Tls, &[TLS])]
#[case::mutual_tls(Listener::Mutual, &[TLS, CERTIFICATE])]
#[case::mutual_tls_with_a_locked_key(Listener::Mutual, &[TLS, LOCKED, &[("key_password", KEY_PASSWORD)]])]
#[case::mutual_tls_with_a_key_password_file(Listener::Mutual, &[TLS, LOCKED, &[("key_password_file", KEY_PASSWORD)]])]
#[case::scram(Listener::Sasl, &[SASL, SCRAM, &[("password", PASSWORD)]])]
#[case::scram_with_a_password_file(Listener::Sasl, &[SASL, SCRAM, &[("password_file", PASSWORD)]])]
#[case::plain_over_tls(Listener::Sasl, &[SASL, PLAIN, &[("password", PASSWORD)]])]
fn right_credentials_make_bars(#[case] listener: Listener, #[case] security: &[&[(&str, &str)]]) {
    let Some(kafka) = kafka() else { return };
    let client = Client::new(kafka, listener, &security.concat());
    let ticks = Ticks::make(&Recipe { seed: 51, lines: 2_000, ..Recipe::default() });
    std::fs::write(client.dir.path().join("ticks.csv"), ticks.file()).unwrap();
    let summary = client.run(&["replay", "ticks.csv", "--symbols", SYMBOLS]).summary();
    assert_eq!((summary.in_bars, summary.open), (ticks.counts.in_bars, 0), "{summary:?}");
    assert_eq!(bars(&client.dir.path().join("lake")).len() as u64, summary.bars);
    assert!(summary.bars > 0);
    let check = client.run(&["check"]);
    assert_eq!(check.code, Some(0), "{}", check.stderr);
}

#[rstest]
#[case::a_wrong_password(Listener::Sasl, &[SASL, SCRAM, &[("password", WRONG_PASSWORD)]], "kafka.security.username, the password")]
#[case::a_wrong_password_file(Listener::Sasl, &[SASL, SCRAM, &[("password_file", WRONG_PASSWORD)]], "password_file")]
#[case::a_wrong_plain_password(Listener::Sasl, &[SASL, PLAIN, &[("password", WRONG_PASSWORD)]], "kafka.security.username")]
#[case::an_unknown_user(
    Listener::Sasl,
    &[SASL, &[("sasl_mechanism", "SCRAM-SHA-512"), ("username", "nobody"), ("password", PASSWORD)]],
    "kafka.security.username"
)]
#[case::a_mechanism_that_is_not_offered(
    Listener::Sasl,
    &[SASL, &[("sasl_mechanism", "SCRAM-SHA-256"), ("username", USER), ("password", PASSWORD)]],
    "kafka.security.sasl_mechanism"
)]
#[case::an_unknown_authority(Listener::Tls, &[TLS_ALONE, &[("ca_file", "other_ca.pem")]], "kafka.security.ca_file")]
#[case::the_systems_authorities(Listener::Tls, &[TLS_ALONE], "kafka.security.ca_file")]
#[case::an_expired_certificate(Listener::Expired, &[TLS], "has expired")]
#[case::another_hosts_certificate(Listener::OtherHost, &[TLS], "is not for this host name")]
#[case::no_client_certificate(Listener::Mutual, &[TLS], "kafka.security.certificate_file")]
#[case::a_strangers_client_certificate(
    Listener::Mutual,
    &[TLS, &[("certificate_file", "stranger.pem"), ("key_file", "stranger.key")]],
    "kafka.security.certificate_file"
)]
#[case::plaintext_to_a_tls_port(Listener::Tls, &[NOTHING], "seems to want TLS: check kafka.security.protocol")]
#[case::tls_to_a_plain_port(Listener::Plain, &[TLS], "kafka.security.protocol wants TLS")]
#[case::tls_without_sasl_to_a_sasl_port(Listener::Sasl, &[TLS], "seems to want SASL: check kafka.security.protocol")]
#[case::sasl_to_a_port_without(Listener::Tls, &[SASL, SCRAM, &[("password", PASSWORD)]], "takes no SASL, check kafka.security.protocol")]
fn a_broker_that_refuses_ends_the_start_with_the_setting_to_look_at(
    #[case] listener: Listener,
    #[case] security: &[&[(&str, &str)]],
    #[case] says: &str,
) {
    let Some(kafka) = kafka() else { return };
    let client = Client::new(kafka, listener, &security.concat());
    let started = Instant::now();
    let ended = client.run(&["run", "--until-end"]);
    let error = ended.stderr.lines().rev().find(|line| line.starts_with("error: ")).unwrap_or("nothing").to_owned();
    println!("refused after {:.1} s: {error}", started.elapsed().as_secs_f32());
    ended.refused(1, &[&kafka.address(listener)]);
    assert!(error.contains(says), "{error}\n{}", ended.stderr);
    assert!(ended.stdout.is_empty(), "no result of what did not begin: {}", ended.stdout);
    // The settings are sound in themselves: only the broker can tell.
    assert_eq!(client.run(&["check"]).code, Some(0));
}

#[rstest]
#[case::a_missing_authority(&[TLS_ALONE, &[("ca_file", "nowhere.pem")]], "kafka.security.ca_file")]
#[case::an_authority_that_is_none(&[TLS_ALONE, &[("ca_file", "garbage.pem")]], "kafka.security.ca_file")]
#[case::a_certificate_that_is_none(
    &[TLS, &[("certificate_file", "garbage.pem"), ("key_file", "client.key")]],
    "kafka.security.certificate_file"
)]
#[case::a_key_that_is_none(&[TLS, &[("certificate_file", "client.pem"), ("key_file", "garbage.pem")]], "kafka.security.key_file")]
#[case::another_certificates_key(
    &[TLS, &[("certificate_file", "client.pem"), ("key_file", "stranger.key")]],
    "kafka.security.key_file"
)]
#[case::a_wrong_key_password(&[TLS, LOCKED, &[("key_password", WRONG_PASSWORD)]], "key_password")]
#[case::no_key_password(&[TLS, LOCKED], "key_password")]
fn files_that_cannot_be_used_are_wrong_settings(#[case] security: &[&[(&str, &str)]], #[case] says: &str) {
    let Some(kafka) = kafka() else { return };
    let client = Client::new(kafka, Listener::Mutual, &security.concat());
    for arguments in [["check"].as_slice(), &["run", "--until-end"]] {
        client.run(arguments).refused(2, &[says]);
    }
    assert!(!client.dir.path().join("lake").exists());
}

#[test]
fn a_user_without_rights_is_told_so() {
    let Some(kafka) = kafka() else { return };
    let security = [("sasl_mechanism", "PLAIN"), ("username", GUEST), ("password", GUEST_PASSWORD)];
    let client = Client::new(kafka, Listener::Sasl, &[SASL, &security].concat());
    client.run(&["run", "--until-end"]).refused(1, &["cannot create the topic", "authorization failed"]);
}
