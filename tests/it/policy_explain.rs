//! `tokend policy explain`: what it says, the server does.

use std::{fs, path::Path, process::Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{dev, dev_address, run, stderr, stdout, tokend};

const FILE: &str = r#"
[[client]]
client_id = "web"
default_audiences = ["orders"]
[client.permissions]
methods = ["TokenService/IssueToken", "TokenService/Verify*"]
roles = ["viewer"]
audiences = ["orders", "billing-*"]
scopes = ["read"]
subjects = ["user:*"]
claims = ["tenant", "limits"]
claim_values = [{ claim = "tenant", values = ["acme"] }, { claim = "/limits/rate", values = ["10"] }]
verify_audiences = ["web", "*"]
max_ttl = "10m"

[[client]]
client_id = "off"
disabled = true
permissions.methods = ["*"]

[[client]]
client_id = "login"
permissions.methods = ["TokenService/*"]
permissions.verify_audiences = ["*"]
"#;

/// What the server's setting `audience_algorithms` may be.
const SPLIT: &str = "orders=ES256, billing-*=RS256";

/// What `tokend policy explain web …` says by the file, and how it ends.
fn by_file(folder: &Path, arguments: &[&str]) -> Output {
    fs::write(folder.join("clients.toml"), FILE).unwrap();
    run(folder, &[&["policy", "explain"], arguments, &["-f", "clients.toml"]].concat())
}

#[test]
fn each_value_has_its_line() {
    let folder = TempDir::new().unwrap();
    let allowed = by_file(
        folder.path(),
        &[
            "web",
            "issue",
            "--audience",
            "billing-eu",
            "--scope",
            "read",
            "--subject",
            "user:7",
            "--claim",
            "tenant=acme",
            "--ttl",
            "5m",
        ],
    );
    assert_eq!((allowed.status.code(), stderr(&allowed)), (Some(0), ""));
    let lines: Vec<String> =
        stdout(&allowed).lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let expected = [
        r#"allowed TokenService/IssueToken permissions.methods[0] "TokenService/IssueToken""#,
        r#"allowed audiences[0] "billing-eu" permissions.audiences[1] "billing-*""#,
        r#"allowed scopes[0] "read" permissions.scopes[0] "read""#,
        r#"allowed subject "user:7" permissions.subjects[0] "user:*""#,
        r#"allowed claims.tenant "tenant" permissions.claims[0] "tenant""#,
        r#"allowed claims.tenant ""acme"" permissions.claim_values[0]"#,
        "allowed ttl permissions.max_ttl 600 s",
        "allowed",
    ];
    assert_eq!(lines, expected);

    // All denials are listed, not only the first.
    let denied = by_file(
        folder.path(),
        &["web", "issue", "--audience", "billing", "--scope", "write", "--ttl", "11m", "-o", "json"],
    );
    assert_eq!(denied.status.code(), Some(1));
    assert_eq!(stderr(&denied), "error: denied: AUDIENCE_NOT_ALLOWED audiences[0]: no line allows it\n");
    let document: Value = serde_json::from_str(stdout(&denied)).unwrap();
    assert_eq!(document["allowed"], false);
    let checks: Vec<(&str, bool, Option<&str>, Option<&str>)> = document["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| {
            let text = |name: &str| check[name].as_str();
            (text("field").unwrap(), check["allowed"].as_bool().unwrap(), text("line"), text("reason"))
        })
        .collect();
    let method = Some(r#"permissions.methods[0] "TokenService/IssueToken""#);
    let expected = [
        ("TokenService/IssueToken", true, method, None),
        ("audiences[0]", false, None, Some("AUDIENCE_NOT_ALLOWED")),
        ("scopes[0]", false, None, Some("SCOPE_NOT_ALLOWED")),
        ("subject", true, Some("the client's own id"), None),
        ("ttl", false, Some("permissions.max_ttl 600 s"), Some("TTL_NOT_ALLOWED")),
    ];
    assert_eq!(checks, expected);
}

#[test]
fn verdicts_name_their_line() {
    let folder = TempDir::new().unwrap();
    for (arguments, code, told) in [
        (&["web", "issue"][..], 0, ""),
        (
            &["web", "issue", "--claim", "tenant=other"],
            1,
            "CLAIM_NOT_ALLOWED claims.tenant: permissions.claim_values[0]",
        ),
        (&["web", "issue", "--claim", "role=x"], 1, "CLAIM_NOT_ALLOWED claims.role: no line allows it"),
        (&["web", "issue", "--claim", "limits={\"rate\":11}"], 1, "permissions.claim_values[1] forbids it"),
        (&["web", "issue", "--claim", "limits={\"rate\":10}"], 0, ""),
        (&["web", "issue", "--ttl", "11m"], 1, "TTL_NOT_ALLOWED ttl: permissions.max_ttl 600 s forbids it"),
        (
            &["web", "issue", "--ttl", "6m", "--server-max-ttl", "5m"],
            1,
            "the server's setting `max_ttl` forbids it",
        ),
        (&["web", "verify"], 0, ""),
        (&["web", "verify", "--audience", "anything"], 0, ""),
        (&["web", "call", "KeyService/ListKeys"], 0, ""),
        (
            &["web", "call", "KeyService/RotateKeys"],
            1,
            "METHOD_NOT_ALLOWED KeyService/RotateKeys: no line allows it",
        ),
        (&["web", "call", "TokenService/BatchVerifyTokens"], 1, "no line allows it"),
        (&["web", "login", "--username", "alice"], 1, "METHOD_NOT_ALLOWED TokenService/Login"),
        (&["web", "introspect"], 1, "METHOD_NOT_ALLOWED TokenService/IntrospectToken"),
        (&["login", "introspect"], 0, ""),
        (&["login", "introspect", "--audience", "orders"], 0, ""),
        (
            &[
                "web",
                "issue",
                "--audience",
                "orders",
                "--audience",
                "billing-eu",
                "--server-audience-algorithms",
                SPLIT,
            ],
            1,
            "refused: audiences must not name audiences whose tokens are signed with different algorithms",
        ),
        (&["web", "issue", "--audience", "billing-eu", "--server-audience-algorithms", SPLIT], 0, ""),
        (&["web", "issue", "--server-audience-algorithms", "orders"], 2, "`orders`: must be AUDIENCE=NAME"),
        (&["web", "issue", "--server-audience-algorithms", "a=RS1"], 2, "`a=RS1`: `RS1` is no algorithm"),
        (&["off", "call", "KeyService/ListKeys"], 1, "the client is disabled"),
        (&["off", "issue"], 1, "the client is disabled"),
        (&["login", "issue"], 1, "refused: audiences must name at least one audience"),
        (&["login", "verify"], 1, "refused: audiences must name at least one audience"),
        (&["nobody", "issue"], 1, "has no client `nobody`"),
        (&["web", "issue", "--audience", ""], 2, "audiences[0]: must be 1 to 255 bytes"),
        (&["web", "verify", "--audience", ""], 2, "audiences[0]: must be 1 to 255 bytes"),
        (&["web", "verify", "--scope", "read"], 2, "verify: does not take --scope; it takes --audience"),
        (&["web", "introspect", "--ttl", "1m"], 2, "introspect: does not take --ttl"),
        (&["web", "call"], 2, "call: needs a METHOD"),
        (&["web", "call", "KeyService/ListKeys", "--ttl", "5m"], 2, "call: does not take --ttl"),
        (&["web", "login"], 2, "login: needs --username"),
        (&["web", "issue", "KeyService/ListKeys"], 2, "issue: does not take METHOD"),
        (&["web", "issue", "--username", "a"], 2, "issue: does not take --username"),
        (&["web", "verify", "--server-max-ttl", "5m"], 2, "verify: does not take --server-max-ttl"),
        (&["web", "call", "Nonsense"], 2, "TokenService/IssueToken"),
    ] {
        let output = by_file(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?} {}", stderr(&output));
        assert!(stderr(&output).contains(told), "{arguments:?} {}", stderr(&output));
    }
}

#[test]
fn the_server_does_what_is_explained() {
    let folder = TempDir::new().unwrap();
    let (_server, _) = dev(folder.path(), &[]);
    let folder = folder.path();
    fs::write(folder.join("clients.toml"), FILE).unwrap();
    let applied = run(folder, &["client", "apply", "-f", "clients.toml"]);
    let secret = stdout(&applied).lines().find_map(|line| line.strip_prefix("web ")).unwrap().to_owned();
    let addr = dev_address(folder);
    for asked in [
        &["--audience", "orders"][..],
        &["--audience", "billing"],
        &["--audience", "billing-"],
        &["--audience", "orders", "--audience", "xbilling-eu"],
        &["--scope", "read"],
        &["--scope", "Read"],
        &["--subject", "web"],
        &["--subject", "user:"],
        &["--subject", "alice"],
        &["--claim", "tenant=acme"],
        &["--claim", "tenant=acme2"],
        &["--claim", "tenant=[\"acme\"]"],
        &["--claim", "limits={\"rate\":10,\"x\":1}"],
        &["--claim", "limits={\"rate\":10.0}"],
        &["--claim", "limits={}"],
        &["--claim", "other=1"],
        &["--ttl", "10m"],
        &["--ttl", "601s"],
    ] {
        let explained = run(folder, &[&["policy", "explain", "web", "issue", "-o", "json"], asked].concat());
        let said: Value = serde_json::from_str(stdout(&explained)).unwrap();
        let issued = tokend(folder, &[&["token", "issue", "--addr", &addr], asked].concat())
            .env("TOKEND_CLIENT_SECRET", &secret)
            .output()
            .unwrap();
        assert_eq!(explained.status.code(), issued.status.code(), "{asked:?} {}", stderr(&issued));
        if let Some(because) = said["because"].as_str() {
            let reason = because.strip_prefix("denied: ").unwrap().split(' ').next().unwrap();
            assert!(stderr(&issued).contains(reason), "{because} {}", stderr(&issued));
        }
    }
    let denied = run(folder, &["policy", "explain", "nobody", "issue"]);
    assert!(stderr(&denied).contains("CLIENT_NOT_FOUND"), "{}", stderr(&denied));
}
