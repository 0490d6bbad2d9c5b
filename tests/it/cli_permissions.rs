//! The permissions `verify_issuers`, `exchange_actors` and `admin_clients` on the command line: flags, files, and what
//! `tokend policy explain` says of them.

use std::{fs, path::Path, process::Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{dev, run, stderr, stdout};

const FILE: &str = r#"
[[client]]
client_id = "plain"
[client.permissions]
methods = ["TokenService/*", "ClientService/*"]
verify_audiences = ["orders"]
audiences = ["billing"]
exchange_subjects = ["foreign:https://partner#*", "partner:*"]
exchange_issuers = ["*"]
exchange_audiences = ["*"]

[[client]]
client_id = "lead"
[client.permissions]
methods = ["TokenService/*", "ClientService/*"]
verify_audiences = ["orders"]
verify_issuers = ["https://partner"]
admin_clients = ["team-a-*"]
exchange_actors = ["job-*"]
audiences = ["billing"]
exchange_subjects = ["*"]
exchange_audiences = ["*"]

[[client]]
client_id = "ops"
permissions.roles = ["client-admin"]
"#;

fn apply(folder: &Path, file: &str, arguments: &[&str]) -> Output {
    fs::write(folder.join("clients.toml"), file).unwrap();
    run(folder, &[&["client", "apply", "-f", "clients.toml"], arguments].concat())
}

#[test]
fn policy_explain_says_whose_tokens_and_which_clients() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("clients.toml"), FILE).unwrap();
    for (question, code, told) in [
        ("plain verify", 0, "allowed"),
        (
            "plain verify --token-issuer https://partner",
            1,
            "denied: TOKEN_ISSUER_MISMATCH token: no line allows it",
        ),
        ("plain introspect --token-issuer https://partner", 1, "denied: TOKEN_ISSUER_MISMATCH token"),
        (
            "lead verify --token-issuer https://partner",
            0,
            "permissions.verify_issuers[0] \"https://partner\"",
        ),
        ("lead introspect --token-issuer https://partner", 0, "permissions.verify_issuers[0]"),
        ("lead verify --token-issuer https://other", 1, "TOKEN_ISSUER_MISMATCH"),
        ("plain call ClientService/RotateClientSecret", 0, "allowed"),
        (
            "plain call ClientService/RotateClientSecret --client admin",
            1,
            "denied: SUBJECT_NOT_ALLOWED client_id: no line",
        ),
        ("plain call ClientService/RotateClientSecret --client plain", 0, "the client's own id"),
        ("plain call ClientService/UpdateClient --client plain", 1, "SUBJECT_NOT_ALLOWED client.client_id"),
        (
            "lead call ClientService/DeleteClient --client team-a-web",
            0,
            "permissions.admin_clients[0] \"team-a-*\"",
        ),
        ("lead call ClientService/DeleteClient --client team-b-web", 1, "SUBJECT_NOT_ALLOWED client_id"),
        (
            "ops call ClientService/DeleteClient --client team-b-web",
            0,
            "permissions.roles[0] \"client-admin\"",
        ),
        ("ops call KeyService/ListKeys --client web", 2, "KeyService/ListKeys takes no --client"),
        (
            "lead exchange --subject alice --audience billing --actor-subject job-1 --actor-audience x",
            0,
            "exchange_actors[0] \"job-*\"",
        ),
        (
            "lead exchange --subject alice --audience billing --actor-subject ann --actor-audience x",
            1,
            "SUBJECT_NOT_ALLOWED actor_token",
        ),
        (
            "plain exchange --subject ann --token-issuer https://partner --audience billing --with-actor",
            0,
            "\"foreign:https://partner#ann\"",
        ),
        (
            "plain exchange --subject ann --token-issuer https://other --audience billing --with-actor",
            1,
            "SUBJECT_NOT_ALLOWED subject_token",
        ),
        (
            "plain exchange --subject ann --token-issuer https://other --token-subject-prefix partner: --audience billing --with-actor",
            0,
            "\"partner:ann\"",
        ),
        (
            "plain exchange --subject ann --token-subject-prefix partner: --audience billing",
            2,
            "--token-issuer",
        ),
    ] {
        let words: Vec<&str> = question.split(' ').collect();
        let output =
            run(folder.path(), &[&["policy", "explain"], &words[..], &["-f", "clients.toml"]].concat());
        let text = format!("{}{}", stdout(&output), stderr(&output));
        assert_eq!(output.status.code(), Some(code), "{question}: {text}");
        assert!(text.contains(told), "{question}: {told} in {text}");
    }
}

#[test]
fn a_file_changes_these_permissions_when_it_names_them() {
    let folder = TempDir::new().unwrap();
    let (_server, _) = dev(folder.path(), &[]);
    let folder = folder.path();
    let flags = ["--verify-issuer", "*", "--exchange-actor", "*", "--admin-client", "*"];
    assert_eq!(run(folder, &[&["client", "create", "old"], &flags[..]].concat()).status.code(), Some(0));
    let shown = || -> Value {
        let output = run(folder, &["client", "show", "old", "-o", "json"]);
        serde_json::from_str::<Value>(stdout(&output)).unwrap()["permissions"].clone()
    };
    let rights = || {
        let permissions = shown();
        ["verify_issuers", "exchange_actors", "admin_clients"].map(|name| permissions[name].to_string())
    };
    let all = r#"["*"]"#.to_owned();
    let entry = "[[client]]\nclient_id = \"old\"\n";
    let output = apply(folder, &format!("{entry}display_name = \"Old\"\n"), &[]);
    assert_eq!(stderr(&output), "~ old display_name: - -> Old\n");
    assert_eq!(rights(), [all.clone(), all.clone(), all.clone()]);
    let output = apply(folder, &format!("{entry}permissions.admin_clients = []\n"), &["--dry-run"]);
    assert!(stdout(&output).contains("~ old permissions.admin_clients: - *"), "{}", stdout(&output));
    assert_eq!(
        apply(folder, &format!("{entry}permissions.admin_clients = []\n"), &[]).status.code(),
        Some(0)
    );
    assert_eq!(rights(), [all.clone(), all, "[]".to_owned()]);
    let output = run(folder, &["client", "show", "old"]);
    assert!(stdout(&output).contains("verify issuers"), "{}", stdout(&output));
}
