//! The `key` commands against the program itself: the keys of `tokend dev`, from list to revocation.

use std::{fs, path::Path, process::Command};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use tempfile::TempDir;

use crate::process::{dev, run, stderr, stdout};

/// The key commands in a folder where a server was started.
struct Keys<'a>(&'a Path);

impl Keys<'_> {
    /// What a command that must succeed prints.
    fn done(&self, arguments: &[&str]) -> (String, String) {
        let output = run(self.0, arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
        (stdout(&output).to_owned(), stderr(&output).to_owned())
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.done(&[arguments, &["-o", "json"]].concat()).0).unwrap()
    }

    /// What a command that must be refused says.
    fn refused(&self, arguments: &[&str]) -> String {
        let output = run(self.0, arguments);
        assert_eq!((output.status.code(), stdout(&output)), (Some(1), ""), "{arguments:?}");
        stderr(&output).to_owned()
    }

    /// The keys of an algorithm with their states, oldest first.
    fn of(&self, algorithm: &str) -> Vec<(String, String)> {
        let keys = self.json(&["key", "list"]);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let keys = keys.as_array().unwrap().iter().filter(|key| key["algorithm"] == algorithm);
        keys.map(|key| (text(&key["key_id"]), text(&key["state"]))).collect()
    }

    /// The only key of an algorithm in this state.
    fn the(&self, algorithm: &str, state: &str) -> String {
        let keys: Vec<_> = self.of(algorithm).into_iter().filter(|(_, is)| is == state).collect();
        let [(id, _)] = keys.as_slice() else { panic!("not one {state} key of {algorithm}: {keys:?}") };
        id.clone()
    }

    fn token(&self) -> (String, String) {
        let token = self.json(&["token", "issue", "--audience", "orders"]);
        (token["access_token"].as_str().unwrap().to_owned(), token["key_id"].as_str().unwrap().to_owned())
    }
}

/// A P-256 key of openssl's making, or of rcgen's where there is no openssl.
fn foreign_pem() -> String {
    let made = Command::new("openssl")
        .args(["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"])
        .output();
    match made {
        Ok(made) if made.status.success() => String::from_utf8(made.stdout).unwrap(),
        _ => {
            let pkcs8 = rcgen::KeyPair::generate().unwrap().serialize_der();
            format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(pkcs8))
        }
    }
}

#[test]
fn a_key_is_listed_rotated_and_revoked() {
    let folder = TempDir::new().unwrap();
    let (_server, _) = dev(folder.path(), &[]);
    let keys = Keys(folder.path());
    let (first, second) = (keys.the("ES256", "ACTIVE"), keys.the("ES256", "PENDING"));
    let (table, _) = keys.done(&["key", "list"]);
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("KEY ") && lines[0].ends_with("VERIFIERS"), "{table}");
    assert!(lines.iter().any(|line| line.starts_with(&second) && line.ends_with("0 of 0")), "{table}");
    assert!(table.contains(&format!(": {second} signs ES256 in place of {first}")), "{table}");
    assert!(lines.iter().all(|line| line.chars().count() <= 160), "{table}");

    let (old, signer) = keys.token();
    assert_eq!(signer, first);
    // The key was published only just now, so that the rotation must wait.
    let (next, said) = keys.done(&["key", "rotate"]);
    assert_eq!(next, second);
    assert!(said.contains("at the earliest") && said.contains(&first), "{said}");
    assert_eq!(keys.the("ES256", "ACTIVE"), first);

    let rotated = keys.json(&["key", "rotate", "--algorithm", "ES256", "--now"]);
    assert_eq!((&rotated[0]["key_id"], &rotated[0]["state"]), (&second.as_str().into(), &"ACTIVE".into()));
    assert_eq!((&rotated[1]["key_id"], &rotated[1]["state"]), (&first.as_str().into(), &"RETIRED".into()));
    let (new, signer) = keys.token();
    assert_eq!(signer, second);
    for token in [&old, &new] {
        keys.done(&["token", "verify", token, "--audience", "orders"]);
    }

    let unsure = run(folder.path(), &["key", "revoke", "--reason", "leaked", "--", &second]);
    assert_eq!(unsure.status.code(), Some(2), "there is no terminal to ask");
    let third = keys.the("ES256", "PENDING");
    let (printed, said) =
        keys.done(&["key", "revoke", "--reason", "a backup leaked", "--yes", "--", &second]);
    assert!(printed.is_empty() && said.contains("is revoked"), "{said}");
    assert_eq!(keys.the("ES256", "ACTIVE"), third);
    assert_eq!(keys.the("ES256", "REVOKED"), second);
    let refusal = keys.refused(&["token", "verify", &new, "--audience", "orders"]);
    assert!(refusal.starts_with("error: TOKEN_REVOKED: "), "{refusal}");
    keys.done(&["token", "verify", &old, "--audience", "orders"]);
    assert_eq!(keys.token().1, third);
    let (table, _) = keys.done(&["key", "list"]);
    assert!(table.contains(" by dev: a backup leaked"), "{table}");
    let unknown = keys.refused(&["key", "revoke", "nobody", "--reason", "leaked", "--yes"]);
    assert!(unknown.starts_with("error: ") && unknown.lines().count() == 1, "{unknown}");
}

#[test]
fn a_key_is_made_and_others_are_taken_in() {
    let folder = TempDir::new().unwrap();
    let (_server, _) = dev(folder.path(), &[]);
    let keys = Keys(folder.path());
    let (made, said) = keys.done(&["key", "create", "EdDSA"]);
    assert_eq!(keys.of("EdDSA"), [(made, "PENDING".to_owned())]);
    assert!(said.contains("EdDSA"), "{said}");
    let refusal = keys.refused(&["key", "create", "ES257"]);
    assert!(refusal.contains("FIELD_INVALID: algorithm: "), "{refusal}");

    let pem = foreign_pem();
    fs::write(folder.path().join("key.pem"), &pem).unwrap();
    let (imported, _) = keys.done(&["key", "import", "--pem", "key.pem"]);
    assert_eq!(keys.the("ES256", "PENDING"), imported);
    keys.done(&["key", "rotate", "--now"]);
    let (token, signer) = keys.token();
    assert_eq!(signer, imported);
    keys.done(&["token", "verify", &token, "--audience", "orders"]);
    let twice = keys.refused(&["key", "import", "--pem", "key.pem"]);
    assert!(!twice.contains("PRIVATE"), "{twice}");

    // The example key of RFC 7515 appendix A.3.
    let public = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
    fs::write(folder.path().join("key.jwk"), public).unwrap();
    let foreign =
        ["key", "import", "--jwk", "key.jwk", "--issuer", "https://other.example", "--key-id", "theirs"];
    let foreign = keys.json(&[&foreign[..], &["--verify-only"]].concat());
    assert_eq!(
        (&foreign[0]["key_id"], &foreign[0]["usage"], &foreign[0]["issuer"], &foreign[0]["publish_time"]),
        (&"theirs".into(), &"VERIFY_ONLY".into(), &"https://other.example".into(), &Value::Null)
    );
    fs::write(folder.path().join("secret"), "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY\n").unwrap();
    let secret = ["key", "import", "--secret-file", "secret", "--key-id", "legacy"];
    let refusal = keys.refused(&secret);
    assert!(refusal.contains("FIELD_INVALID: algorithm: "), "{refusal}");
    assert_eq!(keys.done(&[&secret[..], &["--algorithm", "HS256"]].concat()).0, "legacy");
    let (table, _) = keys.done(&["key", "list"]);
    assert!(table.contains("  theirs: verifies tokens of https://other.example only"), "{table}");
}
