//! What librdkafka says of a connection that came to nothing, and which setting to look at.
//!
//! It has no codes for these: a broker that wants a certificate, one whose certificate has expired and one with another protocol
//! all are "transport" or "SSL" errors with a text. The texts below are those of librdkafka 2.12 and OpenSSL 3.

/// Why no connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// What it means, and what to do.
    pub advice: &'static str,
    pub verdict: Verdict,
}

/// Whether waiting may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Both sides have spoken: it stays so until somebody changes settings, certificates or users.
    Final,
    /// The likely reason, but a broker that starts or stops looks the same.
    Likely,
}

/// In this order: a text of several parts is told by the first.
const SIGNS: &[(&[&str], Verdict, &str)] = &[
    (
        &["not valid in current SASL state"],
        Verdict::Final,
        "the listener at this port takes no SASL, check kafka.security.protocol",
    ),
    (
        &["mechanism handshake failed"],
        Verdict::Final,
        "the broker does not offer this mechanism, check kafka.security.sasl_mechanism",
    ),
    (
        &["SASL authentication error", "SASL authentication failure", "SaslAuthenticateRequest failed"],
        Verdict::Final,
        "check kafka.security.username, the password (or what is in password_file) and sasl_mechanism",
    ),
    (
        // What our side says of the broker.
        &["certificate verify failed", "Failed to verify broker certificate", "did not provide a certificate"],
        Verdict::Final,
        "the broker's certificate has expired, is not for this host name, or comes from an authority that is not in kafka.security.ca_file",
    ),
    (
        // What the broker says of our side. TLS 1.3 tells it only after the handshake.
        &[
            "alert bad certificate",
            "alert certificate",
            "alert unknown ca",
            "alert unsupported certificate",
            "unexpected message",
        ],
        Verdict::Final,
        "the broker wants another client certificate, check kafka.security.certificate_file and key_file",
    ),
    (
        &["alert protocol version", "alert handshake failure", "no protocols available"],
        Verdict::Final,
        "this program and the broker have no version of TLS or cipher in common",
    ),
    (
        &[
            "wrong version number",
            "connecting to a PLAINTEXT broker listener",
            "packet length too long",
            "record layer failure",
        ],
        Verdict::Likely,
        "kafka.security.protocol wants TLS, and the listener at this port seems to have none",
    ),
];

impl Refusal {
    /// What a text of librdkafka means; `None`: nothing about encryption or credentials.
    pub(super) fn of(text: &str) -> Option<Self> {
        let sign = SIGNS.iter().find(|(signs, ..)| signs.iter().any(|sign| text.contains(sign)));
        sign.map(|(_, verdict, advice)| Self { advice, verdict: *verdict })
    }

    /// The same of a client that has had no answer yet: who hangs up on its first words speaks another protocol. Later a broker
    /// that hangs up is no news.
    pub(super) fn of_first_words(text: &str) -> Option<Self> {
        let likely = |advice| Some(Self { advice, verdict: Verdict::Likely });
        Self::of(text).or_else(|| match text {
            _ if text.contains("in state APIVERSION_QUERY") => {
                likely("the listener at this port seems to want TLS: check kafka.security.protocol")
            }
            _ if text.contains("in state UP") => {
                likely("the listener at this port seems to want SASL: check kafka.security.protocol")
            }
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_librdkafka_says_is_told_by_the_setting_to_look_at() {
        for (text, verdict, wanted) in [
            (
                "sasl_ssl://127.0.0.1:9/bootstrap: SASL authentication error: Authentication failed during authentication due to invalid credentials with SASL mechanism SCRAM-SHA-512 (after 32ms in state AUTH_REQ)",
                Verdict::Final,
                "kafka.security.username",
            ),
            (
                "sasl_ssl://a:9/bootstrap: SASL PLAIN mechanism handshake failed: Broker: Request not valid in current SASL state: broker's supported mechanisms: ",
                Verdict::Final,
                "kafka.security.protocol",
            ),
            (
                "sasl_ssl://a:9/bootstrap: SASL SCRAM-SHA-256 mechanism handshake failed: Broker: Unsupported SASL mechanism: broker's supported mechanisms: PLAIN",
                Verdict::Final,
                "kafka.security.sasl_mechanism",
            ),
            (
                "ssl://127.0.0.1:9/bootstrap: SSL handshake failed: error:0A000086:SSL routines::certificate verify failed: broker certificate could not be verified",
                Verdict::Final,
                "kafka.security.ca_file",
            ),
            (
                "ssl://a:9/bootstrap: Receive failed: error:0A000412:SSL routines::ssl/tls alert bad certificate: SSL alert number 42",
                Verdict::Final,
                "kafka.security.certificate_file",
            ),
            (
                "ssl://a:9/bootstrap: SSL handshake failed: Disconnected: connecting to a PLAINTEXT broker listener?",
                Verdict::Likely,
                "kafka.security.protocol wants TLS",
            ),
        ] {
            let refusal = Refusal::of(text).unwrap_or_else(|| panic!("nothing is known of {text}"));
            assert_eq!(refusal.verdict, verdict, "{text}");
            assert!(refusal.advice.contains(wanted), "{text}: {}", refusal.advice);
        }
    }

    #[test]
    fn who_hangs_up_on_the_first_words_speaks_another_protocol() {
        for (text, wanted) in [
            (
                "a:9/bootstrap: Disconnected: connection closed by peer (after 5ms in state APIVERSION_QUERY)",
                "want TLS",
            ),
            ("ssl://a:9/bootstrap: Send failed: Broken pipe (after 1ms in state UP)", "want SASL"),
        ] {
            assert_eq!(Refusal::of(text), None, "{text}");
            let refusal = Refusal::of_first_words(text).unwrap();
            assert_eq!(refusal.verdict, Verdict::Likely, "{text}");
            assert!(refusal.advice.contains(wanted), "{text}: {}", refusal.advice);
        }
    }

    #[test]
    fn an_absent_broker_refuses_nothing() {
        for text in [
            "127.0.0.1:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused (after 0ms in state CONNECT)",
            "1/1 brokers are down",
            "a:9/1: Disconnected: verify that security.protocol is correctly configured (after 60000ms in state UP)",
        ] {
            assert_eq!(Refusal::of(text), None, "{text}");
        }
    }
}
