//! The program's settings commands, version, completions and exit codes.

use std::{
    fs,
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

const SEALING_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

/// The program in an empty folder, without anything from the environment.
fn tokend(folder: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tokend"));
    command
        .args(arguments)
        .env_clear()
        .env("HOME", folder.path())
        .current_dir(folder.path())
        .stdin(Stdio::null());
    command
}

fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let folder = TempDir::new().unwrap();
    let output = tokend(&folder, arguments).envs(variables.iter().copied()).output().unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{arguments:?} left something behind");
    output
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

const SOUND: [(&str, &str); 4] = [
    ("TOKEND_ISSUER", "https://id.example.com"),
    ("TOKEND_STORE", "sqlite:tokend.db"),
    ("TOKEND_SEALING_KEY", SEALING_KEY),
    ("TOKEND_ALLOW_PLAINTEXT", "true"),
];

#[test]
fn what_is_missing_is_listed_with_all_that_sets_it() {
    let output = run(&["config", "check"], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(stdout(&output), "");
    let said = stderr(&output);
    for name in ["issuer", "store", "tls-cert-file", "tls-key-file", "allow-plaintext"] {
        let (variable, key) = (name.to_uppercase().replace('-', "_"), name.replace('-', "_"));
        assert!(
            said.contains(&format!("flag --{name}, variable TOKEND_{variable} or key {key}")),
            "{name}: {said}"
        );
    }
    assert!(
        said.contains("variable TOKEND_SEALING_KEY, or a file named by flag --sealing-key-file"),
        "{said}"
    );
}

#[test]
fn sound_settings_are_ok_and_nothing_is_opened() {
    let output = run(&["config", "check"], &SOUND);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(0), "ok\n"), "{}", stderr(&output));
    let output = run(&["config", "check", "-o", "json", "--leeway", "forever"], &SOUND);
    assert_eq!(output.status.code(), Some(2));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["ok"], false);
    assert!(document["problems"][0].as_str().unwrap().starts_with("leeway: `forever`"), "{document}");
    let flags = ["config", "check", "--allow-plaintext", "--issuer", "http://tokend.internal"];
    assert_eq!(run(&flags, &SOUND[1..3]).status.code(), Some(0));
    let flags = ["config", "check", "--allow-plaintext", "false", "--max-connections", "-5"];
    let said = stderr(&run(&flags, &SOUND));
    assert!(said.contains("TLS is missing") && said.contains("max_connections: `-5`"), "{said}");
}

#[test]
fn secrets_are_shown_as_set() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("tokend.toml"), "leeway = \"2s\"\nstore = \"postgres://u:hunter2@db/t\"\n")
        .unwrap();
    let show = |format: &str| {
        let arguments = ["config", "show", "--config", "tokend.toml", "--max-leeway", "10s", "-o", format];
        let output = tokend(&folder, &arguments).env("TOKEND_SEALING_KEY", SEALING_KEY).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let shown = stdout(&output);
        assert!(!shown.contains(SEALING_KEY) && !shown.contains("hunter2"), "{shown}");
        shown
    };
    let text = show("text");
    let line = |name: &str| {
        text.lines().find(|line| line.starts_with(name)).unwrap().split_whitespace().collect::<Vec<_>>()
    };
    assert_eq!(line("sealing_key "), ["sealing_key", "set", "variable", "TOKEND_SEALING_KEY"]);
    assert_eq!(line("shared_secret "), ["shared_secret", "not", "set"]);
    assert_eq!(line("leeway "), ["leeway", "2s", "key", "leeway", "in", "tokend.toml,", "line", "1"]);
    assert_eq!(line("max_leeway "), ["max_leeway", "10s", "flag", "--max-leeway"]);
    assert_eq!(line("cache_ttl "), ["cache_ttl", "30s", "default"]);
    let document: serde_json::Value = serde_json::from_str(&show("json")).unwrap();
    assert_eq!(
        document["sealing_key"],
        serde_json::json!({ "set": true, "source": "variable TOKEND_SEALING_KEY" })
    );
    assert_eq!(document["shared_secret"], serde_json::json!({ "set": false }));
    assert_eq!(document["max_leeway"]["value"], "10s");
    assert_eq!(document["issuer"], serde_json::json!({ "value": null }));
}

#[test]
fn unknown_keys_and_flags_are_usage_errors() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("tokend.toml"), "\nissuerr = \"https://a\"\n").unwrap();
    let output = tokend(&folder, &["config", "show"]).env("TOKEND_CONFIG", "tokend.toml").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("tokend.toml, line 2: unknown key `issuerr`; did you mean `issuer`?"));
    for arguments in [
        &["config", "check", "--sealing-key", "x"][..],
        &["frobnicate"],
        &["token", "issue", "--ttl", "soon"],
        &[],
    ] {
        assert_eq!(run(arguments, &[]).status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn help_version_and_completions_answer_on_stdout() {
    let help = run(&["config", "check", "--help"], &[]);
    assert_eq!(help.status.code(), Some(0));
    for words in ["--sealing-key-file", "TOKEND_SEALING_KEY_FILE", "--drain-timeout", "[default: 20s]"] {
        assert!(stdout(&help).contains(words), "{words}");
    }
    let version = run(&["version"], &[]);
    assert_eq!(stdout(&version), format!("tokend {}\n", env!("CARGO_PKG_VERSION")));
    let version: serde_json::Value =
        serde_json::from_slice(&run(&["version", "-o", "json"], &[]).stdout).unwrap();
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&["completions", shell], &[]);
        assert_eq!(script.status.code(), Some(0), "{shell}");
        assert!(stdout(&script).contains("rotate-secret"), "{shell}");
    }
}

#[test]
fn a_reader_who_is_gone_is_no_panic() {
    let folder = TempDir::new().unwrap();
    for arguments in [&["completions", "bash"][..], &["config", "show"], &["--help"]] {
        let mut child =
            tokend(&folder, arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(!stderr(&output).contains("panic"), "{arguments:?}: {}", stderr(&output));
    }
}
