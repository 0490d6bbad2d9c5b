//! `tokend policy explain CLIENT exchange`.

use std::{fs, path::Path};

use tempfile::TempDir;

use crate::process::{run, stderr, stdout};

const FILE: &str = r#"
[[client]]
client_id = "orders"
[client.permissions]
methods = ["TokenService/ExchangeToken"]
audiences = ["billing"]
scopes = ["read"]
exchange_subjects = ["user:*"]
exchange_audiences = ["shop"]
exchange_issuers = ["https://cluster"]
max_ttl = "10m"
"#;

/// The exit status, and what is said on stdout and stderr.
fn explained(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    fs::write(folder.join("clients.toml"), FILE).unwrap();
    let command = ["policy", "explain", "orders", "exchange", "-f", "clients.toml"];
    let output = run(folder, &[&command[..], arguments].concat());
    (output.status.code(), format!("{}{}", stdout(&output), stderr(&output)))
}

#[test]
fn each_value_of_an_exchange_has_its_line() {
    let folder = TempDir::new().unwrap();
    let base = ["--subject", "user:7", "--audience", "billing", "--scope", "read", "--ttl", "5m"];
    let allowed =
        [&base[..], &["--with-actor", "--token-audience", "shop", "--token-issuer", "https://cluster"]]
            .concat();
    let (code, text) = explained(folder.path(), &allowed);
    assert_eq!(code, Some(0), "{text}");
    for line in [
        "permissions.methods[0]",
        "permissions.audiences[0]",
        "permissions.scopes[0]",
        "permissions.exchange_subjects[0] \"user:*\"",
        "permissions.exchange_audiences[0]",
        "permissions.exchange_issuers[0]",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    for (arguments, reason, field) in [
        (&[][..], "SUBJECT_NOT_ALLOWED", "actor_token"),
        (&["--with-actor", "--token-audience", "bank"], "AUDIENCE_NOT_ALLOWED", "subject_token"),
        (&["--with-actor", "--token-issuer", "https://other"], "SUBJECT_NOT_ALLOWED", "subject_token"),
        (&["--with-actor", "--scope", "write"], "SCOPE_NOT_ALLOWED", "scopes[1]"),
    ] {
        let (code, text) = explained(folder.path(), &[&base[..], arguments].concat());
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains(reason) && text.contains(field), "{text}");
    }
    assert_eq!(explained(folder.path(), &["--with-actor", "--token-audience", "orders"]).0, Some(0));
    assert_eq!(explained(folder.path(), &["--claim", "a=1"]).0, Some(2));
}
