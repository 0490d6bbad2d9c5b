//! Files with secrets that others than their owner can read.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use tempfile::TempDir;

use crate::{
    process::{Serve, entry, init, run, stderr, stdout},
    tls_harness::TestAuthority,
};

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn config_check_warns_of_every_exposed_file_and_strict_refuses_them() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    let pair = TestAuthority::new().server();
    for (name, text) in [
        ("sealing.key", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"),
        ("store.url", "postgres://tokend:hunter2@127.0.0.1/tokend"),
        ("audit.url", "postgres://tokend:hunter2@127.0.0.1/audit"),
        ("vault.token", "hvs.abc"),
        ("tls.key", &pair.key),
        ("tls.crt", &pair.certificate),
    ] {
        fs::write(at(name), text).unwrap();
        set_mode(&at(name), 0o644);
    }
    let settings = [
        "--issuer https://id.example.com --sealing-key-file sealing.key --store-file store.url",
        "--audit-postgres-file audit.url --audit-sinks postgres --audit-mode required",
        "--vault-token-file vault.token --vault-addr https://vault.example.com --vault-key tokend",
        "--tls-cert-file tls.crt --tls-key-file tls.key",
    ];
    let settings: Vec<&str> = settings.iter().flat_map(|line| line.split(' ')).collect();
    let check = |more: &[&str]| run(folder.path(), &[&["config", "check"], more, &settings].concat());
    let secrets = [
        ("sealing_key_file", "sealing.key"),
        ("store_file", "store.url"),
        ("audit_postgres_file", "audit.url"),
        ("vault_token_file", "vault.token"),
        ("tls_key_file", "tls.key"),
    ];
    // A warning each, and in strict mode the same as problems. The certificate is public.
    let warned = check(&[]);
    assert_eq!((warned.status.code(), stdout(&warned)), (Some(0), "ok"), "{}", stderr(&warned));
    let refused = check(&["--strict"]);
    assert_eq!((refused.status.code(), stdout(&refused)), (Some(2), ""));
    for output in [&warned, &refused] {
        let said = stderr(output);
        for (key, file) in secrets {
            assert!(said.contains(&format!("{key}: {file} holds a secret and has the mode 0644")), "{said}");
        }
        assert!(!said.contains("tls.crt") && !said.contains("hunter2"), "{said}");
    }
    let document: serde_json::Value =
        serde_json::from_slice(&check(&["--strict", "-o", "json"]).stdout).unwrap();
    assert_eq!((&document["ok"], document["problems"].as_array().unwrap().len()), (&false.into(), 5));
    // One is enough.
    for (_, file) in secrets {
        set_mode(&at(file), 0o600);
    }
    let sound = check(&["--strict"]);
    assert_eq!((sound.status.code(), stderr(&sound)), (Some(0), ""));
    for (key, file) in secrets {
        for mode in [0o604, 0o660, 0o602] {
            set_mode(&at(file), mode);
            assert!(
                stderr(&check(&["--strict"])).contains(&format!("{key}: {file} holds")),
                "{file} {mode:o}"
            );
        }
        set_mode(&at(file), 0o400);
    }
    assert_eq!(check(&["--strict"]).status.code(), Some(0));
}

#[test]
fn commands_warn_of_an_exposed_client_secret() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("secret"), "tkd_admin_secret-of-the-tests").unwrap();
    for (mode, warned) in [(0o644, true), (0o660, true), (0o600, false)] {
        set_mode(&folder.path().join("secret"), mode);
        // Nothing listens there.
        let arguments = ["client", "list", "--addr", "127.0.0.1:1", "--client-secret-file", "secret"];
        let output = run(folder.path(), &arguments);
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        let warning =
            format!("warning: --client-secret-file: secret holds a secret and has the mode {mode:04o}\n");
        assert_eq!(stderr(&output).contains(&warning), warned, "{}", stderr(&output));
    }
}

#[test]
fn serve_warns_of_an_exposed_sealing_key_and_serves() {
    let folder = TempDir::new().unwrap();
    init(folder.path());
    for (mode, warned) in [(0o644, true), (0o600, false)] {
        set_mode(&folder.path().join("sealing.key"), mode);
        let ended = Serve::start(folder.path(), &["--allow-plaintext", "--drain-delay", "0s"]).stop();
        let warnings = ended.stderr.iter().map(|line| entry(line)).filter(|entry| {
            entry["level"] == "WARN"
                && entry["problem"].as_str().is_some_and(|text| text.starts_with("sealing_key_file: "))
        });
        assert_eq!(warnings.count(), usize::from(warned), "{mode:o}: {:#?}", ended.stderr);
    }
}
