//! `tokend doctor`: each thing that may be wrong has a finding with its cause and a cure, and nothing is changed or given away.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt as _, path::Path};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    postgres::Database,
    process::{Serve, init, run, stderr, stdout},
};

const SETTINGS: [&str; 4] = ["--config", "tokend.toml", "--allow-plaintext", "--http-addr"];

/// The exit code and the findings; `None` for a level that is not there.
fn doctor(folder: &Path, http: &str, more: &[&str]) -> (Option<i32>, Vec<Value>) {
    let output = run(folder, &[&["doctor", "-o", "json"], &SETTINGS[..], &[http], more].concat());
    let document: Value =
        serde_json::from_str(stdout(&output)).unwrap_or_else(|_| panic!("{}", stderr(&output)));
    assert_eq!(document["ok"], output.status.code() == Some(0));
    (output.status.code(), document["findings"].as_array().unwrap().clone())
}

/// The findings of this level, each with its cause and its cure.
fn of(findings: &[Value], level: &str) -> Vec<String> {
    let wanted = findings.iter().filter(|finding| finding["level"] == level);
    let text = |finding: &Value, name: &str| finding[name].as_str().unwrap().to_owned();
    wanted
        .map(|finding| {
            let (cause, cure) = (text(finding, "cause"), text(finding, "cure"));
            assert_eq!(level == "ok", cause.is_empty() && cure.is_empty(), "{finding}");
            format!("{} | {cause} | {cure}", text(finding, "what"))
        })
        .collect()
}

#[track_caller]
fn has(found: &[String], parts: &[&str]) {
    assert!(found.iter().any(|text| parts.iter().all(|part| text.contains(part))), "{parts:?}: {found:#?}");
}

fn free() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[test]
fn a_sound_server_has_no_problem_before_and_while_it_runs() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    init(folder);
    let (grpc, http) = (free(), free());
    // The JWK set where the discovery document says that it is.
    let uri = format!("http://{http}/.well-known/jwks.json");
    let more = ["--grpc-addr", &grpc, "--jwks-uri", &uri];
    let before = fs::read(folder.join("tokend.db")).unwrap();
    let (code, findings) = doctor(folder, &http, &more);
    assert_eq!(code, Some(0), "{findings:#?}");
    has(&of(&findings, "warning"), &["JWK set", "no server runs here", "curl"]);
    has(&of(&findings, "ok"), &["the sealing key opens all 2"]);
    assert!(before == fs::read(folder.join("tokend.db")).unwrap(), "the store was changed");

    let settings = ["--allow-plaintext", "--drain-delay", "0s", "--log-format", "json", "--jwks-uri", &uri];
    let server = Serve::start_at(folder, &["--grpc-addr", &grpc, "--http-addr", &http], &settings);
    let (code, findings) = doctor(folder, &http, &more);
    assert_eq!(code, Some(0), "{findings:#?}");
    let sound = of(&findings, "ok");
    for part in [
        "a server is running and ready",
        "held by the running server",
        "reachable, 2 keys",
        "replicas: 1 reported",
    ] {
        has(&sound, &[part]);
    }
    let text = run(folder, &[&["doctor"], &SETTINGS[..], &[&http], &more].concat());
    assert!(stdout(&text).contains("ok       store: takes writes\n"), "{}", stdout(&text));
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn each_problem_has_its_cause_and_its_cure() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    init(folder);
    let http = free();
    // Another program holds the port, and the key can be read by others.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let grpc = taken.local_addr().unwrap().to_string();
    fs::set_permissions(folder.join("sealing.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let (code, findings) = doctor(folder, &http, &["--grpc-addr", &grpc]);
    assert_eq!(code, Some(1));
    has(&of(&findings, "problem"), &["grpc_addr", "another program listens there", "ss --listening"]);
    has(&of(&findings, "warning"), &["sealing_key_file", "chmod 0600"]);
    let more = ["--grpc-addr", "127.0.0.1:0"];
    let (_, findings) = doctor(folder, &http, &[&more[..], &["--store", "sqlite:none.db"]].concat());
    has(&of(&findings, "problem"), &["none.db does not exist", "tokend init"]);
    fs::write(folder.join("gone.db-wal"), "changes").unwrap();
    let (_, findings) = doctor(folder, &http, &[&more[..], &["--store", "sqlite:gone.db"]].concat());
    has(&of(&findings, "problem"), &["gone.db-wal is there without its database", "mv "]);
    assert!(!folder.join("none.db").exists() && !folder.join("gone.db").exists());
    fs::write(folder.join("sealing.key"), format!("{}\n", "A".repeat(43))).unwrap();
    let (_, findings) = doctor(folder, &http, &more);
    has(&of(&findings, "problem"), &["cannot be used", "sealing key", "docs/sealing.md"]);
    let (_, findings) =
        doctor(folder, &http, &[&more[..], &["--leeway", "1s ", "--issuer", "no url"]].concat());
    let problems = of(&findings, "problem");
    has(&problems, &["leeway: the value ends with a blank"]);
    has(&problems, &["issuer: `…` is not a URL"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_without_rights_and_a_password_are_not_overlooked() {
    let Some(database) = Database::create().await else { return };
    let folder = TempDir::new().unwrap();
    let http = free();
    let mut url = database.url.clone();
    let look = |url: &str| doctor(folder.path(), &http, &["--grpc-addr", "127.0.0.1:0", "--store", url]);
    fs::write(folder.path().join("tokend.toml"), "issuer = \"http://127.0.0.1:1\"\n").unwrap();
    fs::write(folder.path().join("sealing.key"), format!("{}\n", "A".repeat(43))).unwrap();
    let add = "sealing_key_file = \"sealing.key\"\n";
    fs::write(folder.path().join("tokend.toml"), format!("issuer = \"http://127.0.0.1:1\"\n{add}")).unwrap();
    let (code, findings) = look(url.as_str());
    assert_eq!(code, Some(1));
    has(&of(&findings, "problem"), &["has no tables of tokend"]);
    tokend::store::open(&url.as_str().parse().unwrap()).await.unwrap().close().await;
    let role = format!("reader_{}", std::process::id());
    database
        .execute(format!("CREATE ROLE {role} LOGIN PASSWORD 'hunter2'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"))
        .await;
    let (_, findings) = look(url.as_str());
    // Whole seconds of two clocks may differ by one.
    has(&of(&findings, "ok"), &["clock: ", " s from the database's"]);
    url.set_username(&role).unwrap();
    url.set_password(Some("hunter2")).unwrap();
    let (code, findings) = look(url.as_str());
    assert_eq!(code, Some(1));
    has(&of(&findings, "problem"), &["the role lacks rights", "signing_keys", "GRANT SELECT"]);
    assert!(!format!("{findings:?}").contains("hunter2"));
    database.execute(format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}
