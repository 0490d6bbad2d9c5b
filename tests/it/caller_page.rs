//! What docs/callers.md tells clients to run, run: an assertion that openssl made.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use tokend::{
    clock::{Clock as _, SystemClock},
    model::{Algorithm, AssertionKeys},
};
use tonic::Code;

use crate::{
    caller_tokens::{by_assertion, issue_by, register},
    harness::{TestServer, accepted, assert_refused, clock_at, settings},
    made_keys::made,
    openssl::OpenSsl,
};

/// The page's `sh` blocks.
fn blocks() -> Vec<String> {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/callers.md")).unwrap();
    let blocks = page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
    blocks.collect()
}

fn run(block: &str, folder: &Path) -> String {
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let script = ["set -euo pipefail", block].join("\n");
    let output =
        Command::new("bash").args(["-c", &script]).current_dir(folder).env("PATH", path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn an_assertion_made_as_the_page_says_is_taken_once() {
    if OpenSsl::find().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // In place of the command it says what credential it was given; jq is not on every machine.
    for (name, text) in [("tokend", "#!/bin/sh\necho \"$TOKEND_CLIENT_SECRET\"\n"), ("jq", "#!/bin/sh\n")] {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let blocks = blocks();
    run(&blocks[0], folder.path());
    let assertion = run(&blocks[1], folder.path());

    let mut settings = settings();
    settings.callers.audiences = vec!["https://id.example.com".to_owned()];
    settings.caller_sources.jwks_dir = Some(folder.path().to_owned());
    let store = tokend::store::open(&settings.store).await.unwrap();
    let server = TestServer::on(store, settings, clock_at(SystemClock.now().seconds())).await;
    let mut orders = by_assertion(std::slice::from_ref(&made(Algorithm::Es256).public_jwk));
    orders.authentication.assertion_keys = Some(AssertionKeys::JwksFile("orders.json".to_owned()));
    register(&server, "orders", orders).await;
    accepted(issue_by(&server, assertion.trim()).await);
    assert_refused(issue_by(&server, assertion.trim()).await, Code::Unauthenticated, "CREDENTIALS_INVALID");
}
