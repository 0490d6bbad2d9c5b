//! Passwords in addresses, well and badly written: no part of one is in an error, in `config show`, in `config check` or in the log.

use std::{fs, path::Path, process::Output};

use tempfile::TempDir;
use tokend::store::{self, Location};

use crate::process;

const SEALING_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

/// The password is `zebra`, one of its halves, or both with a character between them that a URL needs escaped.
const STORES: [&str; 32] = [
    "zebra",
    "zeb ra",
    "user:zebra@host",
    "zebra@host:5432/db",
    "user:zebra@host:5432/db",
    "mysql://user:zebra@host/db",
    "postgres:user:zebra@host",
    "postgres:/user:zebra@host/db",
    "postgres//user:zebra@host/db",
    "POSTGRES://user:zebra@host/db",
    " postgres://user:zebra@host/db",
    "postgres://user:zeb#ra@127.0.0.1:1/db",
    "postgres://user:1#zebra@127.0.0.1:1/db",
    "postgres://user:zeb/ra@127.0.0.1:1/db",
    "postgres://user:1/zebra@127.0.0.1:1/db",
    "postgres://user:zeb?ra@127.0.0.1:1/db",
    "postgres://user:1?zebra@127.0.0.1:1/db",
    "postgres://user:1?zebra=ra@127.0.0.1:1/db",
    "postgres://user:zeb@ra/x@127.0.0.1:1/db",
    "postgres://user:zeb%ra@127.0.0.1:1/db",
    "postgres://user:zebra@127.0.0.1:port/db",
    "postgres://user:zebra",
    "postgres://user:zebra@127.0.0.1:1/db?sslmode=zebra",
    "postgres://user@127.0.0.1:1/db?password=zebra",
    "postgres://user@127.0.0.1:1/db?PASSWORD=zebra",
    "postgres://user@127.0.0.1:1/db?sslpassword=zebra",
    "postgres://user@127.0.0.1:1/db?zebra",
    "postgres://user:zebra@127.0.0.1:1,127.0.0.1:1/db",
    "host=127.0.0.1 port=1 user=u password=zebra dbname=db",
    "Server=127.0.0.1;Port=1;Database=db;User Id=u;Password=zebra;",
    "sqlite:postgres://user:zebra@127.0.0.1:1/db",
    "sqlite:tokend.db?password=zebra",
];

/// Addresses of other services.
const ADDRESSES: [&str; 10] = [
    "zebra",
    "user:zebra@host",
    "https://user:zebra@host",
    "https://user:zeb/ra@host",
    "https://user:1/zebra@host",
    "https://user:1?zebra@host",
    "https://user:1#zebra@host",
    "https://host?key=zebra",
    "https://host#zebra",
    "ftp://user:zebra@host/",
];

fn holds_a_half(text: &str) -> bool {
    ["zeb", "ra@", "ra/", "=ra", "?ra", "#ra"].iter().any(|half| text.contains(half))
}

fn check_silence(what: &str, output: &Output) {
    let (stdout, stderr) = (process::stdout(output), process::stderr(output));
    assert!(!holds_a_half(stdout) && !holds_a_half(stderr), "{what}\n{stdout}\n{stderr}");
    // It said something, and did not end without looking at the setting.
    assert!(!stdout.is_empty() || !stderr.is_empty(), "{what}");
}

/// Runs the program in every way that prints settings or fails because of one.
fn try_all(folder: &Path, setting: &str, value: &str, and_serve: bool) {
    let defaults = [
        ("TOKEND_ISSUER", "https://id.example.com"),
        ("TOKEND_STORE", "sqlite:tokend.db"),
        ("TOKEND_SEALING_KEY", SEALING_KEY),
        ("TOKEND_ALLOW_PLAINTEXT", "true"),
        ("TOKEND_LOG", "debug"),
        ("TOKEND_STORE_CONNECT_TIMEOUT", "1ms"),
        ("TOKEND_AUDIT_SINKS", if setting == "TOKEND_AUDIT_POSTGRES" { "postgres" } else { "stdout" }),
    ];
    let commands: [&[&str]; 5] = [
        &["config", "check"],
        &["config", "show"],
        &["config", "show", "-o", "json"],
        &["serve", "--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0"],
        &[
            "doctor",
            "--grpc-addr",
            "127.0.0.1:0",
            "--http-addr",
            "127.0.0.1:0",
            "--jwks-uri",
            "http://127.0.0.1:1",
        ],
    ];
    for arguments in commands.iter().take(if and_serve { 5 } else { 3 }) {
        let mut command = process::tokend(folder, arguments);
        command.envs(defaults);
        if setting == "TOKEND_STORE_FILE" || setting == "TOKEND_VAULT_ADDR" {
            command
                .env_remove("TOKEND_STORE")
                .env("TOKEND_VAULT_KEY", "k")
                .env("TOKEND_VAULT_TOKEN_FILE", "t");
        }
        let output = command.env(setting, value).output().unwrap();
        check_silence(&format!("{setting}={value} tokend {}", arguments.join(" ")), &output);
    }
}

#[test]
fn no_part_of_a_password_in_the_stores_address_is_printed() {
    let folder = TempDir::new().unwrap();
    for store in STORES {
        // Nothing listens at port 1; each of these ends by itself.
        try_all(folder.path(), "TOKEND_STORE", store, true);
        fs::write(folder.path().join("store"), store).unwrap();
        try_all(folder.path(), "TOKEND_STORE_FILE", "store", false);
        try_all(folder.path(), "TOKEND_AUDIT_POSTGRES", store, false);
        // The address where its file should be named. A word alone may be a file's name.
        if store.contains(['@', '=', '/']) {
            try_all(folder.path(), "TOKEND_STORE_FILE", store, false);
        }
    }
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().flatten().map(|file| file.file_name()).collect();
    assert_eq!(left, ["store"]);
}

#[test]
fn no_part_of_a_password_in_another_address_is_printed() {
    let folder = TempDir::new().unwrap();
    for address in ADDRESSES {
        for setting in ["TOKEND_ISSUER", "TOKEND_JWKS_URI", "TOKEND_VAULT_ADDR", "TOKEND_OTLP_ENDPOINT"] {
            try_all(folder.path(), setting, address, false);
        }
    }
}

#[test]
fn no_line_of_a_file_with_an_address_is_quoted() {
    let folder = TempDir::new().unwrap();
    for line in
        ["jwks_uri = \"https://user:zebra@host/\" x", "jwks_uri = \"https://user:zeb/ra@host/\"", "zebra"]
    {
        fs::write(
            folder.path().join("issuers.toml"),
            format!("[[issuer]]\nissuer = \"https://a.example\"\n{line}\n"),
        )
        .unwrap();
        try_all(folder.path(), "TOKEND_TRUSTED_ISSUERS_FILE", "issuers.toml", false);
    }
}

#[tokio::test]
async fn no_part_of_a_password_is_in_a_value_that_is_printed() {
    for store in STORES {
        let text = match store.parse::<Location>() {
            Ok(location @ Location::Postgres(_)) => {
                let error = store::open(&location).await.unwrap_err();
                format!("{location} {location:?} {error} {error:?}")
            }
            Ok(other) => panic!("{store}: {other}"),
            Err(error) => format!("{error} {error:?}"),
        };
        assert!(!holds_a_half(&text), "{store}: {text}");
    }
}
