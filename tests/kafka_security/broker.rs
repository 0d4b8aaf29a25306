//! A real Kafka with listeners of every kind, started by this test and ended with it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use crate::certificates::{CLIENT, Certificates};
use crate::support::skip::real_kafka;

/// The name under which the test's user logs in, by either mechanism.
pub const USER: &str = "alice";
/// Its password: it must never be seen in anything that the program says.
pub const PASSWORD: &str = "pl4nted-s3cret";
/// Logs in as well, and may do nothing.
pub const GUEST: &str = "mallory";
pub const GUEST_PASSWORD: &str = "l3t-me-in-please";

/// A listener; its port is so far behind that of the plain one.
#[derive(Clone, Copy, Debug)]
pub enum Listener {
    Plain = 0,
    /// TLS, anybody may come in.
    Tls = 2,
    /// TLS, clients need a certificate.
    Mutual = 3,
    /// SASL over TLS.
    Sasl = 4,
    /// TLS with a certificate that has expired.
    Expired = 5,
    /// TLS with a certificate for another host.
    OtherHost = 6,
}

/// The broker, its certificates, and what ends both.
pub struct SecureKafka {
    port: u16,
    pub certificates: Certificates,
    /// Its standard input closes when this process ends, however it ends.
    _guard: Child,
}

/// The one of this process; `None`: skip.
pub fn kafka() -> Option<&'static SecureKafka> {
    static KAFKA: OnceLock<SecureKafka> = OnceLock::new();
    let port = real_kafka("STOCKSTREAM_TEST_KAFKA_TLS_PORT")?;
    Some(KAFKA.get_or_init(|| SecureKafka::start(port.parse().unwrap())))
}

impl SecureKafka {
    pub fn address(&self, listener: Listener) -> String {
        address(self.port, listener)
    }

    fn start(port: u16) -> Self {
        let dir = tempfile::TempDir::new().unwrap().keep();
        let script = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kafka/kafka.sh"));
        let guard = guard(&script, &dir);
        let certificates = Certificates::make(&dir);
        let properties = dir.join("listeners.properties");
        std::fs::write(&properties, listeners(port, &certificates)).unwrap();
        let started = Command::new(&script)
            .arg("start")
            .args([&dir, Path::new(&port.to_string()), &properties])
            .args(["--add-scram", &format!("SCRAM-SHA-512=[name={USER},password={PASSWORD}]")])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
        Self { port, certificates, _guard: guard }
    }
}

/// Waits for the end of this process, then ends the broker and removes what it left.
fn guard(script: &Path, dir: &Path) -> Child {
    let wait = r#"trap "" INT TERM; read -r _; "$0" kill "$1"; rm -rf "$1""#;
    let mut guard = Command::new("bash");
    guard.arg("-c").arg(wait).args([script, dir]);
    // Not this process' output: whoever reads that to its end must not wait for the broker.
    guard.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn address(port: u16, listener: Listener) -> String {
    format!("127.0.0.1:{}", port + listener as u16)
}

fn listeners(port: u16, certificates: &Certificates) -> String {
    use Listener::{Expired, Mutual, OtherHost, Plain, Sasl, Tls};
    let all = [
        ("PLAINTEXT", Plain, "PLAINTEXT"),
        ("TLS", Tls, "SSL"),
        ("MUTUAL", Mutual, "SSL"),
        ("SASL", Sasl, "SASL_SSL"),
        ("EXPIRED", Expired, "SSL"),
        ("OTHERHOST", OtherHost, "SSL"),
    ];
    let at = all.map(|(name, listener, _)| format!("{name}://{}", address(port, listener))).join(",");
    let protocols = all.map(|(name, _, protocol)| format!("{name}:{protocol}")).join(",");
    let [ca, server, expired, other_host] =
        ["ca.pem", "server.pem", "expired.pem", "other_host.pem"].map(|name| certificates.path(name));
    let login = "org.apache.kafka.common.security";
    format!(
        "listeners={at},CONTROLLER://127.0.0.1:{}\n\
         advertised.listeners={at}\n\
         listener.security.protocol.map={protocols},CONTROLLER:PLAINTEXT\n\
         ssl.keystore.type=PEM\n\
         ssl.keystore.location={server}\n\
         ssl.truststore.type=PEM\n\
         ssl.truststore.location={ca}\n\
         listener.name.mutual.ssl.client.auth=required\n\
         listener.name.expired.ssl.keystore.type=PEM\n\
         listener.name.expired.ssl.keystore.location={expired}\n\
         listener.name.otherhost.ssl.keystore.type=PEM\n\
         listener.name.otherhost.ssl.keystore.location={other_host}\n\
         sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN\n\
         listener.name.sasl.scram-sha-512.sasl.jaas.config={login}.scram.ScramLoginModule required;\n\
         listener.name.sasl.plain.sasl.jaas.config={login}.plain.PlainLoginModule required \
         user_{USER}=\"{PASSWORD}\" user_{GUEST}=\"{GUEST_PASSWORD}\";\n\
         authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
         super.users=User:ANONYMOUS;User:{USER};User:CN={CLIENT}\n",
        port + 1
    )
}
