//! `token exchange` and `token introspect` against the program itself.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Output, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{dev, stderr, stdout, tokend};

/// Runs a command with this on stdin.
fn fed(folder: &Path, arguments: &[&str], stdin: &str) -> Output {
    let mut command = tokend(folder, arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // One that fails early does not read.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    child.wait_with_output().unwrap()
}

#[track_caller]
fn done(folder: &Path, arguments: &[&str], stdin: &str) -> String {
    let output = fed(folder, arguments, stdin);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
    stdout(&output).to_owned()
}

#[track_caller]
fn refused(folder: &Path, code: i32, arguments: &[&str], stdin: &str) -> String {
    let output = fed(folder, arguments, stdin);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr(&output));
    stderr(&output).to_owned()
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn tokens_are_exchanged_from_stdin_and_files() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let (_running, _) = dev(folder, &[]);
    let issue = ["token", "issue", "--audience", "orders", "--scope", "read", "--scope", "write"];
    let subject = done(folder, &[&issue[..], &["--subject", "alice", "--claim", "tenant=acme"]].concat(), "");
    let actor = done(folder, &issue, "");
    let (subject_file, actor_file) = (folder.join("subject.jwt"), folder.join("actor.jwt"));
    fs::write(&subject_file, format!("Bearer {subject}\n")).unwrap();
    fs::write(&actor_file, &actor).unwrap();
    let (subject_file, actor_file) = (subject_file.to_str().unwrap(), actor_file.to_str().unwrap());

    let exchange = ["token", "exchange", "--audience", "billing", "--scope", "read"];
    let said = |token: &str| {
        let verified = done(folder, &["token", "verify", "--audience", "billing", "-o", "json"], token);
        json_of(&verified)["claims"].clone()
    };
    let alone = said(&done(folder, &exchange, &subject));
    assert_eq!(
        (&alone["sub"], &alone["scope"], &alone["tenant"]),
        (&json!("alice"), &json!("read"), &json!("acme"))
    );
    assert_eq!(alone.get("act"), None);
    let with_actor = [&exchange[..], &["--actor-token-file", actor_file, "--ttl", "1m"]].concat();
    let acting = said(&done(folder, &with_actor, &subject));
    assert_eq!(acting["act"], json!({"sub": "dev"}));
    assert_eq!(acting["exp"].as_i64().unwrap() - acting["iat"].as_i64().unwrap(), 60);
    let from_files = [&exchange[..], &["--subject-token-file", subject_file, "-o", "json"]].concat();
    let document = json_of(&done(folder, &[&from_files[..], &["--actor-token-file", "-"]].concat(), &actor));
    assert_eq!(document["issued_token_type"], "urn:ietf:params:oauth:token-type:access_token");
    assert_eq!(said(document["access_token"].as_str().unwrap())["act"], json!({"sub": "dev"}));

    assert!(refused(folder, 1, &exchange, "garbage").contains("TOKEN_MALFORMED: subject_token: "));
    let both = [&exchange[..], &["--actor-token-file", "-"]].concat();
    assert!(refused(folder, 2, &both, &subject).contains("stdin holds one token"));
    assert!(refused(folder, 2, &exchange, " \n").contains("there is no token in -"));
    let absent = [&exchange[..], &["--actor-token-file", "absent.jwt"]].concat();
    assert!(refused(folder, 2, &absent, &subject).contains("--actor-token-file: absent.jwt cannot be read"));
    // As an argument everybody could see it.
    assert!(refused(folder, 2, &[&exchange[..], &[&subject]].concat(), "").contains("unexpected argument"));
}

#[test]
fn introspection_answers_by_its_exit_status_too() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let (_running, _) = dev(folder, &[]);
    let issue = ["token", "issue", "--audience", "orders", "--scope", "read", "--claim", "level=3"];
    let token = done(folder, &issue, "");
    let introspect = ["token", "introspect", "--audience", "orders"];
    let claims = json_of(&done(folder, &introspect, &token));
    assert_eq!(
        (&claims["sub"], &claims["level"], &claims["scope"]),
        (&json!("dev"), &json!(3), &json!("read"))
    );
    let document = json_of(&done(folder, &["token", "introspect", "-o", "json"], &token));
    assert_eq!((&document["active"], &document["token_type"]), (&json!(true), &json!("Bearer")));
    assert_eq!(document["claims"], claims);

    assert!(refused(folder, 1, &introspect, "garbage").contains("the token is not active"));
    let other = ["token", "introspect", "--audience", "billing", "-o", "json"];
    let output = fed(folder, &other, &token);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(json_of(stdout(&output)), json!({"active": false}));
}
