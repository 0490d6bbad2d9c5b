//! `tokend policy explain CLIENT login`, `refresh` and `revoke`.

use std::{fs, path::Path};

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{run, stderr, stdout};

const FILE: &str = r#"
[[client]]
client_id = "shop"
[client.permissions]
methods = ["TokenService/Login", "TokenService/RefreshToken", "TokenService/RevokeToken"]
audiences = ["orders", "mail"]
scopes = ["read", "write"]
subjects = ["user:*"]
claims = ["tenant"]
login_usernames = ["staff-*"]
revoke_subjects = ["user:*"]
revoke_clients = ["web"]
max_ttl = "10m"

[[client]]
client_id = "plain"
default_audiences = ["orders"]
permissions.methods = ["TokenService/Login"]
permissions.audiences = ["orders"]
permissions.login_usernames = ["*"]

[[client]]
client_id = "all"
permissions.methods = ["*"]
permissions.revoke_subjects = ["*"]
"#;

/// The exit status and the output.
fn by_file(folder: &Path, line: &str) -> (Option<i32>, String) {
    fs::write(folder.join("clients.toml"), FILE).unwrap();
    let words: Vec<&str> = line.split(' ').map(|word| if word == "NONE" { "" } else { word }).collect();
    let output = run(folder, &[&["policy", "explain", "-f", "clients.toml"], &words[..]].concat());
    (output.status.code(), format!("{}\n{}", stdout(&output), stderr(&output)))
}

fn told(table: &[(&str, i32, &str)]) {
    let folder = TempDir::new().unwrap();
    for (line, code, told) in table {
        let (status, text) = by_file(folder.path(), line);
        assert_eq!(status, Some(*code), "{line}: {text}");
        assert!(text.contains(told), "{line}: {text}");
    }
}

#[test]
fn a_login_is_looked_at_as_a_whole() {
    told(&[
        ("shop login --username staff-1 --audience orders", 0, r#"permissions.login_usernames[0] "staff-*""#),
        ("shop login --username STAFF-1 --audience orders", 0, "staff-1"),
        (
            "shop login --username alice --audience orders",
            1,
            "SUBJECT_NOT_ALLOWED username: no line allows it",
        ),
        ("shop login --username staff-1", 1, "refused: audiences must name at least one audience"),
        ("shop login --username staff-1 --audience bank", 1, "AUDIENCE_NOT_ALLOWED audiences[0]"),
        ("shop login --username staff-1 --audience orders --ttl 11m", 1, "TTL_NOT_ALLOWED ttl"),
        (
            "shop login --username staff-1 --audience orders --ttl 6m --server-max-ttl 5m",
            1,
            "the server's setting `max_ttl` forbids it",
        ),
        (
            "shop login --username staff-1 --audience orders --audience mail --server-audience-algorithms mail=RS256,o*=ES256",
            1,
            "signed with different algorithms",
        ),
        ("shop login --username staff-1 --audience orders --refresh", 0, "include_refresh_token"),
        ("plain login --username alice", 0, ""),
        ("plain login --username alice --refresh", 1, "METHOD_NOT_ALLOWED include_refresh_token"),
        // The user's scopes are the user's.
        (
            "shop login --username staff-1 --audience orders --scope read --user-scope read",
            0,
            "the user's scopes",
        ),
        (
            "shop login --username staff-1 --audience orders --scope read --user-scope write",
            1,
            "SCOPE_NOT_ALLOWED scopes[0]: the user does not have it",
        ),
        (
            "shop login --username staff-1 --audience orders --scope read --user-scope NONE",
            1,
            "the user does not have it",
        ),
        ("shop login --username staff-1 --audience orders --scope read", 2, "login: needs --user-scope"),
        ("shop login --username staff-1 --subject x", 2, "login: does not take --subject"),
        ("shop login --username staff-1 --claim a=1", 2, "login: does not take --claim"),
        ("shop login --username NONE", 2, "username: must be 1 to 255 bytes"),
    ]);
}

#[test]
fn a_refresh_is_of_a_session() {
    told(&[
        ("shop refresh --session-audience orders --subject user:7", 0, r#"permissions.subjects[0] "user:*""#),
        ("shop refresh --session-audience orders --subject alice", 1, "SUBJECT_NOT_ALLOWED subject"),
        ("shop refresh --session-audience orders --by-login", 0, "permissions.audiences[0]"),
        // What is left of the session's audiences.
        (
            "shop refresh --session-audience bank --subject user:7",
            1,
            "AUDIENCE_NOT_ALLOWED audiences: no line",
        ),
        ("shop refresh --session-audience bank --session-audience orders --by-login", 0, "audiences[1]"),
        (
            "shop refresh --session-audience orders --subject user:7 --audience mail",
            1,
            "AUDIENCE_NOT_ALLOWED audiences[0]: the session does not have it",
        ),
        (
            "shop refresh --session-audience orders --subject user:7 --scope read --session-scope write",
            1,
            "SCOPE_NOT_ALLOWED scopes[0]: the session does not have it",
        ),
        (
            "shop refresh --session-audience orders --subject user:7 --scope read",
            2,
            "refresh: needs --session-scope",
        ),
        (
            "shop refresh --session-audience orders --by-login --scope read --session-scope read --user-scope write",
            1,
            "SCOPE_NOT_ALLOWED scopes[0]: the user does not have it",
        ),
        (
            "shop refresh --session-audience orders --by-login --scope read --session-scope read",
            2,
            "refresh: needs --user-scope",
        ),
        ("shop refresh --session-audience orders --subject user:7 --claim tenant=a", 0, "claims.tenant"),
        (
            "shop refresh --session-audience orders --subject user:7 --claim name=a",
            1,
            "CLAIM_NOT_ALLOWED claims.name",
        ),
        (
            "plain refresh --session-audience orders --by-login",
            1,
            "METHOD_NOT_ALLOWED TokenService/RefreshToken",
        ),
        ("shop refresh --subject user:7", 2, "refresh: needs --session-audience"),
        ("shop refresh --session-audience orders", 2, "refresh: needs --subject, or --by-login"),
        (
            "shop refresh --session-audience orders --by-login --subject x",
            2,
            "--by-login: the session has the user's",
        ),
        (
            "shop refresh --session-audience orders --subject x --user-scope a",
            2,
            "--user-scope without --by-login",
        ),
        ("shop refresh --session-audience orders --by-login --ttl 1m", 2, "refresh: does not take --ttl"),
    ]);
}

#[test]
fn who_may_revoke_what() {
    told(&[
        ("shop revoke --subject user:7", 0, r#"permissions.revoke_subjects[0] "user:*""#),
        ("shop revoke --subject shop", 0, "the client's own id"),
        ("shop revoke --subject alice", 1, "SUBJECT_NOT_ALLOWED subject: no line allows it"),
        ("shop revoke --client web", 0, r#"permissions.revoke_clients[0] "web""#),
        ("shop revoke --client bank", 1, "SUBJECT_NOT_ALLOWED client_id"),
        ("shop revoke --token --subject alice --client web", 0, "permissions.revoke_clients[0]"),
        ("shop revoke --token --subject alice --client bank", 1, "SUBJECT_NOT_ALLOWED token"),
        ("shop revoke --session --subject alice --client shop", 0, "the client's own id"),
        ("shop revoke --session --subject alice --client bank", 1, "SUBJECT_NOT_ALLOWED session_id"),
        // The owner is unknown.
        ("shop revoke --jwt-id x", 1, "SUBJECT_NOT_ALLOWED jwt_id"),
        ("all revoke --jwt-id x", 0, r#"permissions.revoke_subjects[0] "*""#),
        ("shop revoke --token --token-issuer https://old", 1, "SUBJECT_NOT_ALLOWED token"),
        ("all revoke --token --token-issuer https://old", 0, ""),
        ("plain revoke --subject plain", 1, "METHOD_NOT_ALLOWED TokenService/RevokeToken"),
        ("shop revoke", 2, "revoke: needs one of --subject, --client and --jwt-id"),
        ("shop revoke --subject a --client b", 2, "revoke: needs one of"),
        ("shop revoke --token --subject a", 2, "revoke: needs with --token both --subject and --client"),
        ("shop revoke --session --client a", 2, "revoke: needs with --session both"),
        ("shop revoke --token --session --client a --subject b", 2, "not both"),
        ("shop revoke --subject a --token-issuer https://old", 2, "--token-issuer with --token alone"),
        ("shop revoke --client NOBODY!", 2, "client_id: must be 1 to 63 characters"),
        ("shop revoke --audience a", 2, "revoke: does not take --audience"),
    ]);
}

#[test]
fn json_has_reason_and_field() {
    let folder = TempDir::new().unwrap();
    let told = |line: &str| -> Value {
        let (_, text) = by_file(folder.path(), &format!("{line} -o json"));
        serde_json::from_str(text.split("\nerror").next().unwrap()).unwrap()
    };
    let denied = told("shop login --username staff-1 --audience orders --scope read --user-scope write");
    assert_eq!((&denied["reason"], &denied["field"]), (&"SCOPE_NOT_ALLOWED".into(), &"scopes[0]".into()));
    let incomplete = told("shop login --username staff-1");
    assert_eq!((&incomplete["reason"], &incomplete["field"]), (&"FIELD_INVALID".into(), &"audiences".into()));
    let allowed = told("plain login --username alice");
    assert_eq!((&allowed["reason"], &allowed["because"]), (&Value::Null, &Value::Null));
}
