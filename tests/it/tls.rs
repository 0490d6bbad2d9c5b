//! `serve` with TLS, and certificates that it cannot serve with.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::CertifiedKey;
use tempfile::TempDir;

use crate::process::{FREE_PORTS, Serve, Watched, init, run, stderr, stdout, tokend};

const TLS: [&str; 4] = ["--tls-cert-file", "tls.crt", "--tls-key-file", "tls.key"];

pub fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

/// A certificate for `localhost` and its private key, in PEM.
pub fn certificate() -> (String, String) {
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    (pem("CERTIFICATE", cert.der()), pem("PRIVATE KEY", &signing_key.serialize_der()))
}

fn write(folder: &Path, certificate: &str, key: &str) {
    fs::write(folder.join("tls.crt"), certificate).unwrap();
    let path = folder.join("tls.key");
    fs::write(&path, key).unwrap();
    // Else `serve` warns of it.
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn it_answers_over_tls_and_nothing_else() {
    let folder = TempDir::new().unwrap();
    let admin = init(folder.path());
    let (cert, key) = certificate();
    write(folder.path(), &cert, &key);
    fs::write(folder.path().join("other.crt"), certificate().0).unwrap();
    let server = Serve::start(folder.path(), &[&TLS[..], &["--drain-delay", "0s"]].concat());

    let port = server.grpc.port();
    let call = |arguments: &[&str], secret: &str| {
        let mut command = tokend(folder.path(), arguments);
        command.env("TOKEND_CLIENT_SECRET", secret).output().unwrap()
    };
    let secure = ["--addr", &format!("https://localhost:{port}"), "--ca-file", "tls.crt"];
    let create = [
        "client",
        "create",
        "orders",
        "--method",
        "TokenService/*",
        "--audience",
        "orders",
        "--subject",
        "*",
    ];
    let created = call(&[&create[..], &secure].concat(), &admin);
    assert!(created.status.success(), "{}", stderr(&created));
    let secret = stdout(&created);
    let issue = ["token", "issue", "--subject", "alice", "--audience", "orders"];
    let issued = call(&[&issue[..], &secure].concat(), secret);
    assert!(issued.status.success(), "{}", stderr(&issued));
    assert_eq!(stdout(&issued).split('.').count(), 3);

    // Another name, another authority, and no TLS at all.
    let addresses = [
        (format!("https://127.0.0.1:{port}"), "tls.crt"),
        (format!("https://localhost:{port}"), "other.crt"),
        (format!("http://localhost:{port}"), "tls.crt"),
    ];
    for (address, authority) in addresses {
        let refused = call(&[&issue[..], &["--addr", &address, "--ca-file", authority]].concat(), secret);
        assert_eq!((refused.status.code(), stdout(&refused)), (Some(1), ""), "{address}, {authority}");
        assert_eq!(stderr(&refused).lines().count(), 1, "{}", stderr(&refused));
    }
    // To HTTP/2 in plaintext it says no word of HTTP/2: at the most a TLS alert.
    let mut plain = TcpStream::connect(server.grpc).unwrap();
    plain.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    let mut answer = Vec::new();
    // A reset ends the reading as well.
    let _ = plain.read_to_end(&mut answer);
    assert!(answer.is_empty() || answer[0] == 21, "{answer:?}");

    let health = run(folder.path(), &["healthcheck", "--http-addr", &server.http.to_string()]);
    assert_eq!(health.status.code(), Some(0), "{}", stderr(&health));
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn files_that_cannot_be_used_are_named_and_no_store_is_left() {
    let folder = TempDir::new().unwrap();
    init(folder.path());
    let ((cert, key), (_, other_key)) = (certificate(), certificate());
    let broken = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
    let no_certificate = pem("CERTIFICATE", b"no certificate");
    let both = &["tls_cert_file", "tls_key_file"][..];
    let cases: [(&str, &str, &str, &[&str]); 9] = [
        ("another certificate's key", &cert, &other_key, both),
        ("no PEM as certificate", "garbage\n", &key, &["tls_cert_file", "tls.crt"]),
        ("an empty certificate", "", &key, &["tls_cert_file", "tls.crt"]),
        ("broken base64", broken, &key, &["tls_cert_file", "tls.crt"]),
        ("a certificate that is none", &no_certificate, &key, &["tls_cert_file"]),
        ("the key as certificate", &key, &key, &["tls_cert_file", "tls.crt"]),
        ("no PEM as key", &cert, "garbage\n", &["tls_key_file", "tls.key"]),
        ("an empty key", &cert, "", &["tls_key_file", "tls.key"]),
        ("the certificate as key", &cert, &cert, &["tls_key_file", "tls.key"]),
    ];
    for (what, cert, key, words) in cases {
        write(folder.path(), cert, key);
        refused(folder.path(), what, words);
    }
    write(folder.path(), &cert, &key);
    for name in ["tls.key", "tls.crt"] {
        fs::remove_file(folder.path().join(name)).unwrap();
        let setting = if name == "tls.key" { "tls_key_file" } else { "tls_cert_file" };
        refused(folder.path(), "a missing file", &[setting, name, "No such file"]);
    }
}

/// Starts a server on a store that is not there yet; the one line that it ends with must hold these words.
#[track_caller]
fn refused(folder: &Path, what: &str, words: &[&str]) {
    let arguments = [
        &["serve", "--config", "tokend.toml", "--store", "sqlite:fresh.db", "--create-store"],
        &FREE_PORTS[..],
        &TLS,
    ]
    .concat();
    let ended = Watched::start(folder, &arguments).ended();
    assert_eq!((ended.code, ended.stdout.len(), ended.stderr.len()), (Some(1), 0, 1), "{what}: {ended:#?}");
    let line = &ended.stderr[0];
    assert!(line.starts_with("error: setting"), "{what}: {line}");
    assert!(words.iter().all(|word| line.contains(word)), "{what}: {line}");
    assert!(!line.contains("PRIVATE"), "{what}: {line}");
    assert!(!folder.join("fresh.db").exists(), "{what}: a store was left behind");
}
