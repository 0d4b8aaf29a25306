//! Rules that bind several keys, and what must be there on disk: checked once the sources are merged.

use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use super::errors::Findings;
use super::load::Merged;
use super::place::DEFAULT;
use super::raw::{Raw, RawKafka, RawSecurity};
use super::sources::read_bounded;
use super::text;
use super::types::Layout;

/// Passwords, from the environment or the files that hold them.
pub(super) struct Secrets {
    pub(super) password: Option<SecretString>,
    pub(super) key_password: Option<SecretString>,
}

/// Checks every rule; a rule over a key that was refused already is left out.
pub(super) fn check(raw: &Raw, merged: &Merged, findings: &mut Findings) -> Secrets {
    let mut check = Check { merged, findings };
    check.history(raw);
    check.topics(&raw.kafka);
    check.security(&raw.kafka.security);
    Secrets {
        password: check.secret(
            "kafka.security.password",
            &raw.kafka.security.password,
            &raw.kafka.security.password_file,
        ),
        key_password: check.secret(
            "kafka.security.key_password",
            &raw.kafka.security.key_password,
            &raw.kafka.security.key_password_file,
        ),
    }
}

struct Check<'a> {
    merged: &'a Merged,
    findings: &'a mut Findings,
}

impl Check<'_> {
    /// Reports a broken rule under the first of its keys, at the first of them that somebody gave; not when one of them is known
    /// to be wrong already.
    fn require(&mut self, holds: bool, keys: &[&str], reason: &str) {
        if !holds && self.findings.are_sound(keys) {
            let origins = keys.iter().map(|key| self.merged.origin(key));
            let origin = origins.into_iter().find(|origin| origin != DEFAULT).unwrap_or_else(|| DEFAULT.into());
            self.findings.add(keys[0], &origin, reason);
        }
    }

    fn history(&mut self, raw: &Raw) {
        let keys = ["producer.history", "producer.start_ago"];
        let fits = raw.producer.history <= raw.producer.start_ago;
        self.require(
            fits,
            &keys,
            "must not be longer than producer.start_ago: the simulation would run into the future",
        );
    }

    fn topics(&mut self, kafka: &RawKafka) {
        match kafka.layout {
            Layout::PerStock => {
                let free = !text::could_be_topic_of_a_stock(&kafka.dead_letter_topic, &kafka.topic_template);
                let keys = ["kafka.dead_letter_topic", "kafka.topic_template", "kafka.layout"];
                self.require(free, &keys, "must not be what kafka.topic_template can make for a stock");
            }
            Layout::Keyed => {
                let free = text::one_separator(&kafka.dead_letter_topic) != text::one_separator(&kafka.topic);
                let keys = ["kafka.dead_letter_topic", "kafka.topic", "kafka.layout"];
                self.require(free, &keys, "must differ from kafka.topic (Kafka takes `.` and `_` for the same)");
            }
        }
    }

    fn security(&mut self, security: &RawSecurity) {
        let key = |name: &str| format!("kafka.security.{name}");
        let [protocol, mechanism, username] = ["protocol", "sasl_mechanism", "username"].map(key);
        let (sasl, tls) = (security.protocol.starts_with("sasl_"), security.protocol.ends_with("ssl"));
        let scram = security.sasl_mechanism.starts_with("SCRAM");
        let can = cfg!(feature = "tls");
        let needs_tls = "needs TLS, which this binary was built without: build it with `cargo build --features tls`";
        self.require(can || !tls, &[&protocol], needs_tls);
        self.require(can || !scram, &[&mechanism], needs_tls);
        let needs = |what: &str| format!("needs {what} when protocol is {}", security.protocol);
        self.require(!sasl || !security.sasl_mechanism.is_empty(), &[&mechanism, &protocol], &needs("a value"));
        self.require(!sasl || !security.username.is_empty(), &[&username, &protocol], &needs("a value"));
        let password = !security.password.expose_secret().is_empty() || !security.password_file.is_empty();
        let [password_key, password_file] = ["password", "password_file"].map(key);
        self.require(
            !sasl || password,
            &[&password_key, &password_file, &protocol],
            &needs("a value (or password_file)"),
        );
        let unused =
            "is set, but kafka.security.protocol makes no use of it: the connection would be less safe than meant";
        for (name, value) in [("sasl_mechanism", &security.sasl_mechanism), ("username", &security.username)] {
            self.require(sasl || value.is_empty(), &[&key(name), &protocol], unused);
        }
        let set = if security.password_file.is_empty() { &password_key } else { &password_file };
        self.require(sasl || !password, &[set, &protocol], unused);
        for (name, path) in [
            ("ca_file", &security.ca_file),
            ("certificate_file", &security.certificate_file),
            ("key_file", &security.key_file),
        ] {
            self.require(tls || path.is_empty(), &[&key(name), &protocol], unused);
            if let Err(reason) = readable(path) {
                self.require(path.is_empty(), &[&key(name)], &reason);
            }
        }
        let pair = security.certificate_file.is_empty() == security.key_file.is_empty();
        let (given, other) = match security.key_file.is_empty() {
            true => ("certificate_file", "key_file"),
            false => ("key_file", "certificate_file"),
        };
        self.require(pair, &[&key(given), &key(other)], &format!("needs {other} too"));
        let key_password = !security.key_password.expose_secret().is_empty() || !security.key_password_file.is_empty();
        let set = key(if security.key_password_file.is_empty() { "key_password" } else { "key_password_file" });
        self.require(!key_password || !security.key_file.is_empty(), &[&set, &key("key_file")], "needs key_file too");
    }

    /// The secret from the environment, else the content of the file.
    fn secret(&mut self, key: &str, inline: &SecretString, file: &str) -> Option<SecretString> {
        let file_key = format!("{key}_file");
        let has_inline = !inline.expose_secret().is_empty();
        self.require(
            !has_inline || file.is_empty(),
            &[&file_key, key],
            &format!("must not be set when {key} is set too"),
        );
        if has_inline {
            return Some(inline.clone());
        }
        if file.is_empty() {
            return None;
        }
        let content = match read_bounded(Path::new(file)) {
            Ok(bytes) => String::from_utf8(bytes).map_err(|_| "names a file that is not UTF-8".to_owned()),
            Err(error) => Err(format!("names a file that cannot be read: {error}")),
        };
        match content.map(|content| content.trim_end_matches(['\r', '\n']).to_owned()) {
            Ok(secret) if !secret.is_empty() => return Some(secret.into()),
            Ok(_) => self.require(false, &[&file_key], "names a file that is empty"),
            Err(reason) => self.require(false, &[&file_key], &reason),
        }
        None
    }
}

/// # Errors
/// Says why the file cannot be read.
fn readable(path: &str) -> Result<(), String> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => String::from("names a file that is not there"),
        _ => format!("names a file that cannot be read: {error}"),
    };
    // Looked at before it is opened: a pipe would block.
    match std::fs::metadata(path).map_err(failed)?.is_file() {
        true => std::fs::File::open(path).map(drop).map_err(failed),
        false => Err(String::from("names what is not a file")),
    }
}
