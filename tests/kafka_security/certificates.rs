//! Certificates and keys, made anew for every run: two authorities, servers and a client, as PEM files.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

/// The client's name as the broker sees it.
pub const CLIENT: &str = "stockstream-client";
/// Opens `client_locked.key`.
pub const KEY_PASSWORD: &str = "open-s3same-k3y";

/// A directory of PEM files. Those of servers hold key and certificate, as Kafka reads them.
pub struct Certificates {
    dir: PathBuf,
}

impl Certificates {
    /// Makes them all.
    pub fn make(dir: &Path) -> Self {
        let made = Self { dir: dir.to_owned() };
        let (ours, other) = (authority("stockstream test authority"), authority("somebody else's authority"));
        made.write("ca.pem", &ours.pem());
        made.write("other_ca.pem", &other.pem());
        for (name, host, years) in [
            ("server.pem", "127.0.0.1", (2020, 2090)),
            ("expired.pem", "127.0.0.1", (2020, 2021)),
            ("other_host.pem", "kafka.example.com", (2020, 2090)),
        ] {
            let (certificate, key) = issue(&ours, host, Some(host), years);
            made.write(name, &(key.serialize_pem() + &certificate));
        }
        let (certificate, key) = issue(&ours, CLIENT, None, (2020, 2090));
        made.write("client.pem", &certificate);
        made.write("client.key", &key.serialize_pem());
        let (certificate, key) = issue(&other, CLIENT, None, (2020, 2090));
        made.write("stranger.pem", &certificate);
        made.write("stranger.key", &key.serialize_pem());
        made.write("garbage.pem", "-----BEGIN CERTIFICATE-----\nnot a certificate\n-----END CERTIFICATE-----\n");
        made.lock_key();
        made
    }

    pub fn path(&self, name: &str) -> String {
        self.dir.join(name).to_str().unwrap().to_owned()
    }

    /// Lines of the client's keys that nobody else knows.
    pub fn key_lines(&self) -> Vec<String> {
        let read = |name: &str| std::fs::read_to_string(self.dir.join(name)).unwrap();
        let keys = ["client.key", "client_locked.key"].map(read).concat();
        keys.lines().filter(|line| !line.starts_with("-----") && line.len() > 20).map(str::to_owned).collect()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.join(name), text).unwrap();
    }

    /// `client_locked.key`, the client's key under a password.
    fn lock_key(&self) {
        let mut openssl = Command::new("openssl");
        openssl.args(["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-passout", &format!("pass:{KEY_PASSWORD}")]);
        openssl.args(["-in", &self.path("client.key"), "-out", &self.path("client_locked.key")]);
        let done = openssl.stdin(Stdio::null()).status().expect("the command openssl must be installed");
        assert!(done.success());
    }
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate in PEM, and its key. With a host it is one of a server, else one of a client.
fn issue(
    authority: &CertifiedIssuer<'_, KeyPair>,
    name: &str,
    host: Option<&str>,
    (from, until): (i32, i32),
) -> (String, KeyPair) {
    let mut params = CertificateParams::new(host.map(str::to_owned).into_iter().collect::<Vec<_>>()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![match host {
        Some(_) => ExtendedKeyUsagePurpose::ServerAuth,
        None => ExtendedKeyUsagePurpose::ClientAuth,
    }];
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, authority).unwrap().pem(), key)
}
