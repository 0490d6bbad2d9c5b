//! The program's client commands: what they need, what they send where, and what needs no server.

use std::{
    fs,
    io::Write as _,
    net::TcpListener,
    process::{Command, Output, Stdio},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use tempfile::TempDir;

const SECRET: &str = "tkd_orders_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

fn run_in(folder: &TempDir, arguments: &[&str], variables: &[(&str, &str)], stdin: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tokend"))
        .args(arguments)
        .env_clear()
        .env("XDG_CONFIG_HOME", folder.path())
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that fails early does not read.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    child.wait_with_output().unwrap()
}

fn run(arguments: &[&str], variables: &[(&str, &str)], stdin: &str) -> (Option<i32>, String, String) {
    let output = run_in(&TempDir::new().unwrap(), arguments, variables, stdin);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn token(header: &str, claims: &str) -> String {
    format!("{}.{}.c2lnbmF0dXJl", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
}

#[test]
fn inspect_shows_without_believing() {
    let token =
        token(r#"{"alg":"ES256","kid":"k"}"#, r#"{"sub":"alice","big":9007199254740993,"exp":1900000000}"#);
    for (arguments, stdin) in [
        (vec!["token", "inspect", token.as_str()], String::new()),
        (vec!["token", "inspect", "-"], format!("{token}\n")),
        (vec!["token", "inspect"], format!("Bearer {token}\n")),
    ] {
        let (code, stdout, stderr) = run(&arguments, &[], &stdin);
        assert_eq!(code, Some(0), "{stderr}");
        assert_eq!(
            stdout,
            "{\n  \"alg\": \"ES256\",\n  \"kid\": \"k\"\n}\n{\n  \"sub\": \"alice\",\n  \"big\": 9007199254740993,\n  \
             \"exp\": 1900000000\n}\n"
        );
        assert!(stderr.contains("NOT VERIFIED") && stderr.contains("2030-03-17T17:46:40Z"), "{stderr}");
    }
    let (code, stdout, _) = run(&["token", "inspect", "-o", "json"], &[], &token);
    let document: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(
        (code, &document["verified"], &document["claims"]["sub"]),
        (Some(0), &false.into(), &"alice".into())
    );
}

#[test]
fn inspect_survives_whatever_it_is_given() {
    let times = token("{}", r#"{"exp":1e300,"iat":-1,"nbf":"soon"}"#);
    assert_eq!(run(&["token", "inspect"], &[], &times).0, Some(0));
    let deep = token("{}", &"[".repeat(100_000));
    for bad in [
        "a.b",
        "a.b.c.d.e",
        "..",
        "!.!.!",
        deep.as_str(),
        &token("{}", "no json"),
        &token("{}", "{\"a\":1}x"),
    ] {
        let (code, stdout, stderr) = run(&["token", "inspect"], &[], bad);
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{stderr}");
        assert!(!stderr.contains("panic"), "{stderr}");
    }
    assert_eq!(run(&["token", "inspect"], &[], "").0, Some(2));
}

#[test]
fn a_server_and_a_secret_are_wanted() {
    let (code, _, stderr) = run(&["token", "issue"], &[], "");
    assert_eq!(code, Some(2));
    assert!(stderr.contains("--addr or TOKEND_ADDR") && stderr.contains("tokend dev"), "{stderr}");
    let (code, _, stderr) =
        run(&["client", "list", "--addr", "127.0.0.1:1"], &[("TOKEND_CLIENT_SECRET", "")], "");
    assert_eq!(code, Some(2));
    assert!(stderr.contains("TOKEND_CLIENT_SECRET_FILE or --client-secret-file"), "{stderr}");
    let both = [("TOKEND_CLIENT_SECRET", SECRET), ("TOKEND_CLIENT_SECRET_FILE", "secret")];
    let (code, _, stderr) = run(&["client", "list", "--addr", "127.0.0.1:1"], &both, "");
    assert_eq!(code, Some(2));
    assert!(stderr.contains("given twice") && !stderr.contains(SECRET), "{stderr}");
    let (code, _, stderr) = run(&["client", "list", "--addr", "ftp://a"], &both[..1], "");
    assert_eq!(
        (code, stderr.contains("--addr: `") && stderr.contains("` must be HOST:PORT")),
        (Some(2), true),
        "{stderr}"
    );
    assert_eq!(run(&["client", "delete", "orders", "--addr", "127.0.0.1:1"], &both[..1], "").0, Some(2));
}

#[test]
fn an_unreachable_server_is_a_failure_in_one_line() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let given = [("TOKEND_ADDR", free.as_str()), ("TOKEND_CLIENT_SECRET", SECRET)];
    for arguments in [
        &["token", "issue"][..],
        &["client", "list"],
        &["client", "delete", "a", "--yes"],
        &["token", "verify", "a.b.c"],
    ] {
        let (code, stdout, stderr) = run(arguments, &given, "");
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{stderr}");
        assert!(stderr.to_lowercase().contains("refused") && stderr.trim().lines().count() == 1, "{stderr}");
        assert!(!stderr.contains(SECRET), "{stderr}");
    }
    let (code, _, stderr) = run(&["healthcheck"], &[("TOKEND_HTTP_ADDR", &free)], "");
    assert_eq!(code, Some(1), "{stderr}");
    assert_eq!(run(&["healthcheck", "--http-addr", "localhost"], &[], "").0, Some(2));
}

#[test]
fn the_profile_of_dev_is_found_and_never_quoted() {
    let folder = TempDir::new().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    fs::create_dir_all(folder.path().join("tokend/dev")).unwrap();
    let profile = folder.path().join("tokend/dev/any.toml");
    let text = format!(
        "addr = \"http://{free}\"\nclient_id = \"dev\"\nclient_secret = \"{SECRET}\"\nhttp_addr = \"127.0.0.1:1\"\n"
    );
    fs::write(&profile, &text).unwrap();
    assert_eq!(run_in(&folder, &["token", "issue"], &[], "").status.code(), Some(1), "it tries to connect");
    let elsewhere = run_in(&folder, &["token", "issue", "--addr", "127.0.0.1:1"], &[], "");
    assert_eq!(elsewhere.status.code(), Some(2), "a profile's secret is for its own server alone");
    fs::write(&profile, format!("{text}nonsense\n")).unwrap();
    let output = run_in(&folder, &["token", "issue"], &[], "");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code() == Some(1) && stderr.contains("is not a profile") && !stderr.contains(SECRET),
        "{stderr}"
    );
}
