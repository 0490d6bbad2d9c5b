//! Refresh tokens and sessions on the command line.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    cli_users::{done, refused},
    process::dev,
};

const ISSUE: [&str; 8] = ["token", "issue", "--subject", "alice", "--audience", "orders", "--scope", "read"];

#[test]
fn a_session_from_the_first_to_the_last_command() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let (running, _) = dev(folder, &[]);
    let run = |arguments: &[&str], stdin: &str| done(folder, arguments, stdin);
    let json = |arguments: &[&str], stdin: &str| -> Value {
        serde_json::from_str(&run(&[arguments, &["-o", "json"]].concat(), stdin)).unwrap()
    };

    // Without the flag there is one line, and no refresh token in the document.
    assert_eq!(run(&ISSUE, "").lines().count(), 1);
    assert!(json(&ISSUE, "").get("refresh_token").is_none());
    let issue = [&ISSUE[..], &["--refresh"]].concat();
    let two_lines = run(&issue, "");
    let (token, first) = two_lines.split_once('\n').unwrap();
    assert!(first.starts_with("tkr_") && first.len() == 90, "{first}");
    run(&["token", "verify", "--audience", "orders"], token);

    // What one command prints the next one reads; a file follows from token to token.
    let second = json(&["token", "refresh"], &two_lines);
    assert_ne!(second["refresh_token"], first);
    assert!(second["refresh_token_expire_time"].is_string());
    let file = folder.join("refresh.txt");
    fs::write(&file, second.to_string()).unwrap();
    let mut before = second["refresh_token"].as_str().unwrap().to_owned();
    for _ in 0..2 {
        let token = run(&["token", "refresh", "--file", "refresh.txt"], "");
        assert_eq!(token.lines().count(), 1, "the token alone");
        run(&["token", "verify", "--audience", "orders", "--scope", "read"], &token);
        let kept = fs::read_to_string(&file).unwrap();
        assert!(kept.starts_with("tkr_") && kept.trim_end() != before, "{kept}");
        before = kept.trim_end().to_owned();
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    let sessions = json(&["session", "list", "--subject", "alice"], "");
    assert_eq!(sessions.as_array().unwrap().len(), 1);
    assert_eq!((&sessions[0]["client_id"], &sessions[0]["scopes"]), (&json!("dev"), &json!(["read"])));
    assert_eq!(json(&["session", "list", "--subject", "bob"], ""), json!([]));
    assert_eq!(json(&["session", "list", "--client", "other"], ""), json!([]));
    let overview = run(&["session", "list", "--client", "dev"], "");
    assert!(overview.starts_with("SESSION") && overview.lines().count() == 2, "{overview}");
    assert!(overview.contains(sessions[0]["session_id"].as_str().unwrap()));

    // The first one was used long before its successor was: the session ends, and the file keeps what it had.
    let said = refused(folder, 1, &["token", "refresh"], first);
    assert!(said.contains("REFRESH_TOKEN_REUSED"), "{said}");
    let said = refused(folder, 1, &["token", "refresh", "--file", "refresh.txt"], "");
    assert!(said.contains("REFRESH_TOKEN_INVALID"), "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap().trim_end(), before);
    assert_eq!(json(&["session", "list"], ""), json!([]));

    let explain = ["policy", "explain", "dev", "issue", "--audience", "orders", "--refresh"];
    let explained = run(&explain, "");
    assert!(explained.contains("include_refresh_token"), "{explained}");
    assert_eq!(running.stop(), Some(0));
}

#[test]
fn a_refresh_token_is_never_an_argument() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    for arguments in [
        &["token", "refresh", "tkr_x"][..],
        &["token", "refresh", "--refresh-token", "tkr_x"],
        &["token", "refresh"],
        &["token", "refresh", "--file", "missing.txt"],
    ] {
        refused(folder, 2, arguments, "");
    }
}
