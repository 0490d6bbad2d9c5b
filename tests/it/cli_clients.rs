//! The flags of `tokend client`: what they say arrives, and only that.

use std::{fs, path::Path};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{dev, run, stderr, stdout};

const JWKS: &str =
    r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

fn show(folder: &Path, client_id: &str) -> Value {
    serde_json::from_str(stdout(&run(folder, &["client", "show", client_id, "-o", "json"]))).unwrap()
}

#[test]
fn every_setting_has_its_flag() {
    let folder = TempDir::new().unwrap();
    let (_server, _) = dev(folder.path(), &[]);
    let folder = folder.path();
    fs::write(folder.join("web.jwks"), JWKS).unwrap();
    let created = run(
        folder,
        &[
            "client",
            "create",
            "web",
            "--display-name",
            "Web",
            "--role",
            "viewer",
            "--claim",
            "tenant",
            "--claim-value",
            "tenant=acme",
            "--claim-value",
            "tenant=acme-*",
            "--login-username",
            "staff-*",
            "--auth-method",
            "mutual_tls",
            "--auth-method",
            "private_key_jwt",
            "--auth-method",
            "workload_identity",
            "--certificate-uri",
            "spiffe://example.org/web",
            "--certificate-dns",
            "web.example",
            "--jwks-file",
            "web.jwks",
            "--workload-identity",
            "https://kubernetes.example,tokend,sub=system:serviceaccount:shop:web",
            "--calls-per-second",
            "50",
            "--concurrent-calls",
            "5",
        ],
    );
    assert_eq!((created.status.code(), stdout(&created)), (Some(0), ""), "{}", stderr(&created));
    assert!(stderr(&created).contains("it has no secret"), "{}", stderr(&created));
    let web = show(folder, "web");
    assert_eq!(
        web["authentication"],
        json!({
            "client_secrets": [],
            "methods": ["mutual_tls", "private_key_jwt", "workload_identity"],
            "certificate": { "uris": ["spiffe://example.org/web"], "dns_names": ["web.example"] },
            "assertion_keys": { "jwks_json": JWKS, "jwks_file": "" },
            "workload_identities": [{
                "issuer": "https://kubernetes.example",
                "audience": "tokend",
                "conditions": [{ "claim": "sub", "values": ["system:serviceaccount:shop:web"] }],
            }],
            "unix_peer": { "uids": [], "gids": [] },
        })
    );
    assert_eq!(web["limits"], json!({ "calls_per_second": 50, "concurrent_calls": 5 }));
    let permissions = &web["permissions"];
    assert_eq!(permissions["claim_values"], json!([{ "claim": "tenant", "values": ["acme", "acme-*"] }]));
    assert_eq!(
        (&permissions["roles"], &permissions["login_usernames"]),
        (&json!(["viewer"]), &json!(["staff-*"]))
    );
    let shown = run(folder, &["client", "show", "web"]);
    for line in [
        "authentication     mutual_tls private_key_jwt workload_identity",
        "certificate uris   spiffe://example.org/web",
        "claim values       tenant=acme|acme-*",
        "calls per second   50",
    ] {
        // However wide the names' column is.
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            stdout(&shown).lines().any(|shown| words(shown) == words(line)),
            "{line}\n{}",
            stdout(&shown)
        );
    }
    assert!(stdout(&run(folder, &["client", "list"])).contains("role:viewer"));
    let rotated = run(folder, &["client", "rotate-secret", "web"]);
    assert!(stderr(&rotated).contains("CLIENT_SECRET_NOT_USED"), "{}", stderr(&rotated));
}

#[test]
fn an_update_changes_what_is_given() {
    let folder = TempDir::new().unwrap();
    let (_server, _) = dev(folder.path(), &[]);
    let folder = folder.path();
    let create = [
        "client",
        "create",
        "web",
        "--audience",
        "orders",
        "--scope",
        "read",
        "--default-audience",
        "orders",
        "--max-ttl",
        "5m",
    ];
    assert_eq!(run(folder, &create).status.code(), Some(0));
    let update = |arguments: &[&str]| run(folder, &[&["client", "update", "web"], arguments].concat());
    let before = show(folder, "web");

    let updated = update(&["--audience", "orders", "--audience", "billing-*", "--disable", "-o", "json"]);
    assert_eq!(updated.status.code(), Some(0), "{}", stderr(&updated));
    let after: Value = serde_json::from_str(stdout(&updated)).unwrap();
    let mut expected = before.clone();
    expected["permissions"]["audiences"] = json!(["orders", "billing-*"]);
    expected["disabled"] = true.into();
    for made in ["etag", "update_time"] {
        expected[made] = after[made].clone();
    }
    assert_eq!(after, expected);
    assert_eq!(show(folder, "web"), after);

    assert_eq!(update(&["--enable", "--clear", "permissions.scopes"]).status.code(), Some(0));
    let after = show(folder, "web");
    assert_eq!((&after["disabled"], &after["permissions"]["scopes"]), (&false.into(), &json!([])));

    let stale = update(&["--display-name", "x", "--etag", before["etag"].as_str().unwrap()]);
    assert!(stale.status.code() == Some(1) && stderr(&stale).contains("ETAG_MISMATCH"), "{}", stderr(&stale));
    let stale = ["client", "delete", "web", "--yes", "--etag", before["etag"].as_str().unwrap()];
    let stale = run(folder, &stale);
    assert!(stale.status.code() == Some(1) && stderr(&stale).contains("ETAG_MISMATCH"), "{}", stderr(&stale));
    for (wrong, code, told) in [
        (&[][..], 2, "nothing to change"),
        (&["--clear", "permissions", "--scope", "read"], 2, "--clear permissions"),
        (&["--clear", "nonsense"], 1, "update_mask"),
        (&["--default-ttl", "6m"], 1, "client.default_ttl"),
        (&["--auth-method", "password"], 2, "private_key_jwt"),
        (&["--jwks-file", "none.jwks"], 2, "none.jwks cannot be read"),
    ] {
        let refused = update(wrong);
        assert_eq!(refused.status.code(), Some(code), "{wrong:?} {}", stderr(&refused));
        assert!(stderr(&refused).contains(told), "{wrong:?} {}", stderr(&refused));
    }
    assert_eq!(show(folder, "web"), after);
}
