//! The file of the audit log on a disk that is full, in place of what is no file, and with two that write to it.

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::Value;
use tempfile::TempDir;
use tokend::{audit::AuditMode, model::ClientSecret, proto::v1};
use tonic::Code;

use crate::{
    audit::{events, to_file},
    harness::{TestClient, TestServer, accepted, assert_refused, for_alice},
    process::{Serve, Watched, init},
};

/// What is in the file before, so that it is the longest that the process writes.
const PADDING: usize = 8 * 1024 * 1024;

/// A process with an audit file, and a disk that is full for the file when that is wanted.
struct Scene {
    folder: TempDir,
    server: Serve,
    admin: TestClient,
    /// A client that is issued tokens.
    web: TestClient,
}

impl Scene {
    async fn start(mode: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let secret = ClientSecret::from_text(init(folder.path()));
        let line = format!("{}\n", serde_json::json!({ "event": "padding", "text": "x".repeat(1000) }));
        fs::write(audit_file(folder.path()), line.repeat(PADDING.div_ceil(line.len()))).unwrap();
        let arguments = ["--allow-plaintext", "--drain-delay", "0s", "--audit-sinks", "file"];
        let server = Serve::start(
            folder.path(),
            &[&arguments[..], &["--audit-file", "audit.jsonl", "--audit-mode", mode]].concat(),
        );
        let admin = TestClient::new(server.grpc, Some(secret)).await;
        let created = accepted(admin.clients().create_client(admin.request(create("web"))).await);
        let secret = ClientSecret::from_text(created.into_inner().client_secret);
        let web = TestClient::new(server.grpc, Some(secret)).await;
        Self { folder, server, admin, web }
    }

    fn length(&self) -> u64 {
        fs::metadata(audit_file(self.folder.path())).unwrap().len()
    }

    /// Leaves room for so many bytes: a write beyond them is done in part, as on a full disk.
    fn room(&self, bytes: Option<u64>) {
        let pid = Pid::from_raw(self.server.process.running.0.id().try_into().unwrap());
        let longest = bytes.map(|bytes| self.length() + bytes);
        let maximum = getrlimit(Resource::Fsize).maximum;
        prlimit(pid, Resource::Fsize, Rlimit { current: longest.or(maximum), maximum }).unwrap();
    }
}

/// The events after the padding, each of a whole line.
fn events_after(folder: &Path) -> Vec<Value> {
    let text = fs::read_to_string(audit_file(folder)).unwrap();
    let (_, text) = text[PADDING..].split_once('\n').unwrap();
    assert!(text.ends_with('\n'), "{text}");
    let event = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    text.lines().map(event).collect()
}

fn audit_file(folder: &Path) -> std::path::PathBuf {
    folder.join("audit.jsonl")
}

/// A client that may have tokens for `orders`.
fn create(client_id: &str) -> v1::CreateClientRequest {
    let all = || vec!["*".to_owned()];
    let permissions = v1::Permissions {
        methods: vec!["TokenService/*".to_owned()],
        audiences: all(),
        scopes: all(),
        subjects: all(),
        verify_audiences: all(),
        ..Default::default()
    };
    let client_id = client_id.to_owned();
    let client = v1::Client { client_id, permissions: Some(permissions), ..Default::default() };
    v1::CreateClientRequest { client: Some(client), ..Default::default() }
}

/// The numbers of the events, none of which is there twice.
fn numbers(events: &[Value]) -> Vec<u64> {
    let mut numbers: Vec<u64> = events.iter().map(|event| event["sequence"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
    numbers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_calls_until_there_is_room_and_tears_no_line() {
    let mut scene = Scene::start("required").await;
    let (admin, web) = (scene.admin.clone(), scene.web.clone());
    let before = accepted(web.issue(for_alice()).await);
    let token = before.access_token;
    let length = scene.length();
    // Not enough for an event.
    scene.room(Some(100));
    assert_refused(web.issue(for_alice()).await, Code::Unavailable, "AUDIT_UNAVAILABLE");
    let logged = scene.server.process.logged("the audit log cannot be written");
    assert!(logged["error"].as_str().unwrap().contains("audit.jsonl: "), "{logged}");
    for _ in 0..20 {
        assert_refused(web.issue(for_alice()).await, Code::Unavailable, "AUDIT_UNAVAILABLE");
    }
    let answer = admin.clients().create_client(admin.request(create("late"))).await;
    assert_refused(answer, Code::Unavailable, "AUDIT_UNAVAILABLE");
    // What leaves no event is answered.
    accepted(web.check(&token).await);
    // Now and then it tries again.
    assert!((0..100).any(|_| scene.length() == length), "what was written of a line is not cut off");

    scene.room(None);
    let after = loop {
        if let Ok(issued) = web.issue(for_alice()).await {
            break issued;
        }
    };
    scene.server.process.logged("the audit log can be written again");
    // The client was not made while nobody could be told.
    accepted(admin.clients().create_client(admin.request(create("late"))).await);
    let events = events_after(scene.folder.path());
    for jwt_id in [before.jwt_id, after.jwt_id] {
        assert_eq!(events.iter().filter(|event| event["jti"] == *jwt_id).count(), 1);
    }
    numbers(&events);
    let lost = events.iter().filter(|event| event["event"] == "events_lost");
    assert_eq!(lost.map(|event| event["lost"].as_u64().unwrap()).sum::<u64>(), 1);
    assert_eq!(scene.server.stop().code, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_full_disk_is_written_once() {
    let mut scene = Scene::start("buffered").await;
    let web = scene.web.clone();
    // Enough for some events, and then for a part of one.
    scene.room(Some(1800));
    let mut issued = Vec::new();
    for _ in 0..40 {
        issued.push(accepted(web.issue(for_alice()).await).jwt_id);
    }
    scene.server.process.logged("the audit log cannot be written");
    scene.room(None);
    scene.server.process.logged("the audit log can be written again");
    let folder = scene.folder;
    assert_eq!(scene.server.stop().code, Some(0));
    let events = events_after(folder.path());
    let written: Vec<_> = events.iter().filter_map(|event| event["jti"].as_str()).collect();
    assert_eq!(written, issued, "in order, and each once");
    let numbers = numbers(&events);
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
}

#[test]
fn what_is_no_plain_file_is_refused_at_start() {
    let folder = TempDir::new().unwrap();
    init(folder.path());
    assert!(std::process::Command::new("mkfifo").arg(folder.path().join("pipe")).status().unwrap().success());
    for (path, problem) in [
        ("pipe", "pipe cannot be written: it is a pipe, and must be a plain file"),
        (
            "/dev/full",
            "it is a device, and must be a plain file; the sink `stdout` writes to standard output",
        ),
        ("/dev/stdout", "; the sink `stdout` writes to standard output"),
    ] {
        let arguments = [
            "serve",
            "--config",
            "tokend.toml",
            "--allow-plaintext",
            "--audit-sinks",
            "file",
            "--audit-file",
        ];
        let ports = crate::process::FREE_PORTS;
        let ended = Watched::start(folder.path(), &[&arguments[..], &[path], &ports].concat()).ended();
        let said = ended.stderr.join("\n");
        assert_ne!(ended.code, Some(0));
        assert!(said.contains("setting `audit_file`: ") && said.contains(problem), "{path}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_on_one_file_lose_and_tear_nothing() {
    let folder = TempDir::new().unwrap();
    let issued: Arc<Mutex<Vec<String>>> = Arc::default();
    let mut running = Vec::new();
    for _ in 0..2 {
        let settings = to_file(folder.path(), AuditMode::Required, 1000);
        let server = Arc::new(TestServer::with(|own| *own = settings).await);
        for _ in 0..4 {
            let (server, issued) = (Arc::clone(&server), Arc::clone(&issued));
            running.push(tokio::spawn(async move {
                for _ in 0..25 {
                    let jwt_id = accepted(server.root.issue(for_alice()).await).jwt_id;
                    issued.lock().unwrap().push(jwt_id);
                }
            }));
        }
    }
    for calls in running {
        calls.await.unwrap();
    }
    let mut issued = issued.lock().unwrap().clone();
    let events = events(folder.path());
    let mut written: Vec<_> =
        events.iter().filter_map(|event| event["jti"].as_str()).map(str::to_owned).collect();
    issued.sort();
    written.sort();
    assert_eq!(issued.len(), 200);
    assert_eq!(written, issued);
    let instances: std::collections::BTreeSet<_> =
        events.iter().map(|event| event["instance"].as_str().unwrap()).collect();
    assert_eq!(instances.len(), 2);
}
