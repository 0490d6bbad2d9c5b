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
exchange_subjects = ["user:*", "foreign:https://cluster#user:*"]
exchange_actors = ["job"]
exchange_audiences = ["shop"]
exchange_issuers = ["https://cluster"]
max_ttl = "10m"
"#;

/// The exit status, with the text of stdout and stderr.
fn explained(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    fs::write(folder.join("clients.toml"), FILE).unwrap();
    let command = ["policy", "explain", "orders", "exchange", "-f", "clients.toml"];
    let output = run(folder, &[&command[..], arguments].concat());
    (output.status.code(), format!("{}{}", stdout(&output), stderr(&output)))
}

#[test]
fn each_value_of_an_exchange_has_its_line() {
    let folder = TempDir::new().unwrap();
    let base = [
        "--subject",
        "user:7",
        "--audience",
        "billing",
        "--scope",
        "read",
        "--ttl",
        "5m",
        "--token-scope",
        "read",
        "--token-scope",
        "write",
    ];
    let allowed =
        [&base[..], &["--with-actor", "--token-audience", "shop", "--token-issuer", "https://cluster"]]
            .concat();
    let (code, text) = explained(folder.path(), &allowed);
    assert_eq!(code, Some(0), "{text}");
    for line in [
        "permissions.methods[0]",
        "permissions.audiences[0]",
        "permissions.scopes[0]",
        "permissions.exchange_subjects[1] \"foreign:https://cluster#user:*\"",
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
    assert_eq!(explained(folder.path(), &[&base[..], &["--with-actor"]].concat()).0, Some(0));
}

#[test]
fn an_exchange_is_what_its_tokens_make_it() {
    let folder = TempDir::new().unwrap();
    let base = ["--subject", "user:7", "--with-actor"];
    for (arguments, code, told) in [
        // The audiences are those of the subject token that the client may have.
        (&[][..], 1, "AUDIENCE_NOT_ALLOWED audiences: no line allows it"),
        (&["--token-audience", "shop"], 1, "AUDIENCE_NOT_ALLOWED audiences: no line allows it"),
        (&["--token-audience", "shop", "--token-audience", "billing"], 0, "audiences[1]"),
        // Scopes that are asked for are those of the subject token.
        (
            &["--audience", "billing", "--scope", "read", "--token-scope", "write"],
            1,
            "SCOPE_NOT_ALLOWED scopes[0]: the subject token does not have it",
        ),
        (
            &["--audience", "billing", "--scope", "read", "--token-scope", ""],
            1,
            "the subject token does not have it",
        ),
        (&["--audience", "billing", "--scope", "read"], 2, "exchange: needs --token-scope"),
        (
            &["--audience", "billing", "--scope", "read", "--token-issuer", "https://cluster"],
            0,
            "permissions.exchange_issuers[0]",
        ),
        // The actor.
        (
            &["--audience", "billing", "--actor-subject", "job", "--actor-audience", "bank"],
            1,
            "AUDIENCE_NOT_ALLOWED actor_token",
        ),
        (&["--audience", "billing", "--actor-subject", "job", "--actor-audience", "shop"], 0, "actor_token"),
        (&["--audience", "billing", "--actor-subject", "job"], 2, "exchange: needs --actor-audience"),
        (
            &["--audience", "billing", "--token-may-act", r#"{"sub":"orders"}"#],
            0,
            "the subject token's `may_act`",
        ),
        (
            &["--audience", "billing", "--token-may-act", r#"{"sub":"other"}"#],
            1,
            "SUBJECT_NOT_ALLOWED actor_token: the subject token's `may_act` does not name it",
        ),
        (
            &["--audience", "billing", "--token-may-act", r#"{"sub":"orders","iss":"https://id"}"#],
            2,
            "exchange: needs --server-issuer",
        ),
        (&["--audience", "billing", "--token-may-act", "{"], 2, "must be JSON"),
        (&["--claim", "a=1"], 2, "exchange: does not take --claim"),
        (&["--refresh"], 2, "exchange: does not take --refresh"),
    ] {
        let (code_of_it, text) = explained(folder.path(), &[&base[..], arguments].concat());
        assert_eq!(code_of_it, Some(code), "{arguments:?} {text}");
        assert!(text.contains(told), "{arguments:?} {text}");
    }
    let (code, text) = explained(folder.path(), &["--audience", "billing"]);
    assert_eq!((code, text.contains("exchange: needs --subject")), (Some(2), true), "{text}");
}
