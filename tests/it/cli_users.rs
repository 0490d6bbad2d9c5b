//! The `user` commands and `token login` against the program itself.

use std::{
    io::Write as _,
    path::Path,
    process::{Output, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{dev, stderr, stdout, tokend};

const PASSWORD: &str = "correct horse battery";
/// The same, hashed by bcrypt for Python.
const BCRYPT: &str = "$2b$05$cyPPbYH.pJqzX2pEMssSPu7TjU6ca9P4PUtSG3pcze6iyozNLh01m";

/// Runs a command with this on stdin.
pub fn fed(folder: &Path, arguments: &[&str], stdin: &str) -> Output {
    let mut command = tokend(folder, arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // One that fails early does not read.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    child.wait_with_output().unwrap()
}

#[track_caller]
pub fn done(folder: &Path, arguments: &[&str], stdin: &str) -> String {
    let output = fed(folder, arguments, stdin);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
    stdout(&output).to_owned()
}

#[track_caller]
pub fn refused(folder: &Path, code: i32, arguments: &[&str], stdin: &str) -> String {
    let output = fed(folder, arguments, stdin);
    assert_eq!((output.status.code(), stdout(&output)), (Some(code), ""), "{arguments:?}");
    stderr(&output).to_owned()
}

fn json(folder: &Path, arguments: &[&str]) -> Value {
    serde_json::from_str(&done(folder, &[arguments, &["-o", "json"]].concat(), "")).unwrap()
}

#[test]
fn a_user_from_the_first_to_the_last_command() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let (running, _) = dev(folder, &[]);
    let create = ["user", "create", "Alice", "--scope", "read", "--claim", "name=Alice", "--password-stdin"];
    let id = done(folder, &create, &format!("{PASSWORD}\n"));
    assert!(id.starts_with("u-") && !id.contains('\n'), "the id alone: {id}");

    let shown = json(folder, &["user", "show", "--by-name", "ALICE"]);
    assert_eq!((&shown["user_id"], &shown["username"]), (&json!(id), &json!("alice")));
    assert_eq!((&shown["claims"], &shown["scopes"]), (&json!({"name": "Alice"}), &json!(["read"])));
    assert!(done(folder, &["user", "show", &id], "").contains("alice"));

    let login = [
        "token",
        "login",
        "--username",
        "alice",
        "--audience",
        "orders",
        "--scope",
        "read",
        "--password-stdin",
    ];
    let token = done(folder, &login, &format!("{PASSWORD}\r\n"));
    let claims = done(folder, &["token", "verify", "--audience", "orders", "-o", "json"], &token);
    let claims: Value = serde_json::from_str(&claims).unwrap();
    assert_eq!((&claims["claims"]["sub"], &claims["claims"]["name"]), (&json!(id), &json!("Alice")));
    let answer: Value =
        serde_json::from_str(&done(folder, &[&login[..], &["-o", "json"]].concat(), PASSWORD)).unwrap();
    assert_eq!(answer["token_type"], "Bearer");

    // An update changes only the given fields.
    done(folder, &["user", "update", &id, "--disable", "--scope", "a", "--scope", "b"], "");
    assert!(refused(folder, 1, &login, PASSWORD).contains("LOGIN_FAILED"));
    let changed = json(folder, &["user", "show", &id]);
    assert_eq!((&changed["disabled"], &changed["scopes"]), (&json!(true), &json!(["a", "b"])));
    assert_eq!(changed["claims"], json!({"name": "Alice"}));
    done(
        folder,
        &["user", "update", &id, "--enable", "--no-claims", "--no-scopes", "--rename", "alice.b"],
        "",
    );
    let stale = ["user", "update", &id, "--disable", "--etag", "\"1\""];
    assert!(refused(folder, 1, &stale, "").contains("ETAG_MISMATCH"));
    let changed = json(folder, &["user", "show", "--by-name", "alice.b"]);
    assert_eq!(
        (&changed["claims"], &changed["scopes"], &changed["disabled"]),
        (&json!({}), &json!([]), &json!(false))
    );

    // Another password ends what the old one began, unless that is not wished.
    let first =
        ["token", "login", "--username", "alice.b", "--audience", "orders", "--refresh", "--password-stdin"];
    done(folder, &first, PASSWORD);
    done(folder, &first, PASSWORD);
    let set = ["user", "set-password", &id, "--password-stdin"];
    let kept = fed(folder, &[&set[..], &["--keep-sessions"]].concat(), PASSWORD);
    assert!(stderr(&kept).contains("the sessions continue"), "{kept:?}");
    assert_eq!(json(folder, &["session", "list"]).as_array().unwrap().len(), 2);
    let ended = fed(folder, &set, PASSWORD);
    assert!(stderr(&ended).contains("a new password; 2 sessions ended"), "{ended:?}");
    assert_eq!(json(folder, &["session", "list"]), json!([]));

    // Another password, and one that comes as a hash.
    done(folder, &["user", "set-password", &id, "--password-stdin"], "another password");
    let login = ["token", "login", "--username", "alice.b", "--audience", "orders", "--password-stdin"];
    done(folder, &login, "another password");
    assert!(refused(folder, 1, &login, PASSWORD).contains("LOGIN_FAILED"));
    done(
        folder,
        &["user", "set-password", "--by-name", "alice.b", "--password-hash-stdin"],
        &format!("{BCRYPT}\n"),
    );
    done(folder, &login, PASSWORD);

    done(folder, &["user", "create", "bob", "--id", "u-bob", "--disabled", "--password-hash-stdin"], BCRYPT);
    let list = json(folder, &["user", "list"]);
    assert_eq!(list.as_array().unwrap().len(), 2);
    let table = done(folder, &["user", "list"], "");
    assert!(table.contains("u-bob") && table.contains("disabled") && table.lines().count() == 3, "{table}");
    assert!(refused(folder, 2, &["user", "delete", "u-bob"], "").contains("--yes"));
    done(folder, &["user", "delete", "u-bob", "--yes"], "");
    assert!(refused(folder, 1, &["user", "show", "u-bob"], "").contains("USER_NOT_FOUND"));
    drop(running);
}

#[test]
fn a_password_is_never_an_argument_and_never_repeated() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let (_running, _) = dev(folder, &[]);
    // There is no terminal to ask, and no flag names the source of the password.
    for arguments in [
        ["user", "create", "alice"].as_slice(),
        &["user", "set-password", "u-1"],
        &["token", "login", "--username", "alice"],
    ] {
        assert!(refused(folder, 2, arguments, "typed blindly").contains("--password-stdin"), "{arguments:?}");
        refused(folder, 2, &[arguments, &["--password", PASSWORD]].concat(), "");
    }
    let create = ["user", "create", "alice", "--password-stdin"];
    assert!(refused(folder, 2, &create, "\n").contains("the password is empty"));
    for password in ["short", "password123", "alice"] {
        let words = refused(folder, 1, &create, password);
        assert!(words.contains("FIELD_INVALID") && words.contains("password"), "{words}");
        assert!(!words.contains(&format!(" {password}")) || password == "alice", "{words}");
    }
    let hash = ["user", "create", "alice", "--password-hash-stdin"];
    let words = refused(folder, 1, &hash, "$5$rounds=5000$saltsalt$hashhashhash");
    assert!(words.contains("password_hash") && !words.contains("saltsalt"), "{words}");
    assert!(refused(folder, 2, &["user", "update", "u-1"], "").contains("nothing to change"));
    refused(folder, 2, &["user", "show"], "");
    refused(folder, 2, &["user", "show", "u-1", "--by-name", "alice"], "");
}
