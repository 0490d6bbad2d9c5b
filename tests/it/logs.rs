//! What is left behind, and what never is: no token and no secret, in log, audit log and metrics, whatever the settings say.

use std::{collections::HashSet, fs};

use serde_json::Value;
use sqlx::{Connection as _, Row as _};
use tempfile::TempDir;
use tokend::{model::ClientSecret, proto::v1};

use crate::{
    harness::{TestClient, accepted, seconds},
    postgres::Database,
    process::{FREE_PORTS, Serve, Watched, entry, init, words},
    story::Story,
};

/// Holds the log against what was said and heard.
fn check_log(story: &Story, log: &[String]) {
    story.search("the log", log.iter().map(String::as_str));
    let entries: Vec<Value> = log.iter().map(|line| entry(line)).collect();
    assert!(entries.iter().all(Value::is_object), "every line is JSON");
    // What the crates below would say in detail, they do not: headers, frames and statements are none of the log's.
    for entry in &entries {
        let (target, level) = (entry["target"].as_str().unwrap(), entry["level"].as_str().unwrap());
        assert!(target.starts_with("tokend") || !["TRACE", "DEBUG"].contains(&level), "{entry}");
    }
    let mut ids = HashSet::new();
    for (request_id, reason) in &story.refusals {
        assert!(ids.insert(request_id), "each call has an id of its own");
        let lines: Vec<&Value> =
            entries.iter().filter(|entry| entry["span"]["request_id"] == request_id.as_str()).collect();
        assert_eq!(lines.len(), 1, "one line for {request_id} {reason}: {lines:#?}");
        assert_eq!(lines[0]["reason"], reason.as_str(), "{lines:#?}");
    }
}

/// Holds the audit log against what was said and heard.
fn check_audit(story: &Story, place: &str, lines: &[String]) {
    story.search(place, lines.iter().map(String::as_str));
    let events: Vec<Value> = lines.iter().map(|line| entry(line)).collect();
    let by_id = |request_id: &str| -> Vec<&Value> {
        events.iter().filter(|event| event["request_id"] == request_id).collect()
    };
    for (request_id, reason) in &story.refusals {
        let left = by_id(request_id);
        // A method that there is not decides nothing.
        let expected = usize::from(reason != "METHOD_UNKNOWN");
        assert_eq!(left.len(), expected, "{place}: {request_id} {reason}: {left:#?}");
        assert!(left.iter().all(|event| event["reason"] == reason.as_str()), "{place}: {left:#?}");
    }
    for (request_id, issued) in &story.issued {
        let left = by_id(request_id);
        assert_eq!(left.len(), 1, "{place}: {left:#?}");
        let told = ["subject", "jti", "kid", "outcome"].map(|name| left[0][name].as_str().unwrap());
        assert_eq!(told, ["alice", &issued.jwt_id, &issued.key_id, "ok"], "{place}");
    }
    let mut numbers: Vec<u64> = events.iter().map(|event| event["sequence"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "{place}: one is missing");
}

#[tokio::test]
async fn dev_leaves_no_token_and_no_secret() {
    let folder = TempDir::new().unwrap();
    let secret = "the-secret-of-the-client-dev";
    let arguments = ["dev", "--data", "t.db", "--secret", secret, "--log", "trace"];
    let mut process = Watched::start(folder.path(), &[&arguments[..], &FREE_PORTS].concat());
    // The banner is for the one who started it, and does show a call with the secret.
    let call = process.stdout.until(|line| line.starts_with("grpcurl "));
    process.stdout.until(|line| line.starts_with("ready in "));
    let mut story = Story::new(words(&call)[6].parse().unwrap(), secret).await;
    let sealing_key = fs::read_to_string(folder.path().join("t.db.sealing-key")).unwrap();
    story.hide("the sealing key", sealing_key.trim());
    story.play("dev").await;
    process.running.signal("-TERM");
    let ended = process.ended();
    assert_eq!(ended.code, Some(0));
    assert!(ended.stdout.iter().all(|line| entry(line).is_null()), "nothing is audited: {:#?}", ended.stdout);
    check_log(&story, &ended.stderr);
}

#[tokio::test]
async fn serve_leaves_no_token_and_no_secret() {
    let folder = TempDir::new().unwrap();
    let admin_secret = init(folder.path());
    let settings =
        ["--allow-plaintext", "--log", "trace,h2=trace,hyper=trace,sqlx=trace", "--log-format", "json"];
    let mut settings = [&settings[..], &["--drain-delay", "0s", "--audit-mode", "required"]].concat();
    settings.extend(["--metrics-addr", "127.0.0.1:0"]);
    settings.extend(["--audit-file", "audit.jsonl", "--audit-sinks"]);
    // Every sink that there is.
    let database = Database::create().await;
    let url_file = folder.path().join("audit-database");
    if let Some(database) = &database {
        fs::write(&url_file, database.url.as_str()).unwrap();
        settings.extend(["stdout,file,postgres", "--audit-postgres-file", url_file.to_str().unwrap()]);
    } else {
        settings.push("stdout,file");
    }
    let server = Serve::start(folder.path(), &settings);
    let any = || vec!["*".to_owned()];
    let root = v1::Client {
        client_id: "root".to_owned(),
        permissions: Some(v1::Permissions {
            methods: any(),
            admin_clients: any(),
            audiences: any(),
            scopes: any(),
            subjects: any(),
            claims: any(),
            verify_audiences: any(),
            login_usernames: any(),
            max_ttl: seconds(3600),
            ..Default::default()
        }),
        ..Default::default()
    };
    let admin = TestClient::new(server.grpc, Some(ClientSecret::from_text(admin_secret.as_str()))).await;
    let request = v1::CreateClientRequest { client: Some(root), request_id: String::new() };
    let created = accepted(admin.clients().create_client(admin.request(request)).await);
    let mut story = Story::new(server.grpc, &created.into_inner().client_secret).await;
    story.hide_secret("admin", &admin_secret);
    let sealing_key = fs::read_to_string(folder.path().join("sealing.key")).unwrap();
    story.hide("the sealing key", sealing_key.trim());
    story.play("root").await;
    let metrics = metrics(server.metrics.unwrap()).await;
    assert!(metrics.contains("tokend_client_calls_total"), "{metrics}");
    story.search("the metrics", metrics.lines());
    let ended = server.stop();
    assert_eq!(ended.code, Some(0));
    check_log(&story, &ended.stderr);
    check_audit(&story, "standard output", &ended.stdout);
    let file = fs::read_to_string(folder.path().join("audit.jsonl")).unwrap();
    check_audit(&story, "the audit file", &file.lines().map(str::to_owned).collect::<Vec<_>>());
    if let Some(database) = database {
        check_audit(&story, "the audit table", &rows(&database).await);
    }
}

/// Every row of the audit table, as text.
async fn rows(database: &Database) -> Vec<String> {
    let mut connection = database.connect().await;
    let rows = sqlx::query("SELECT event::text FROM audit_events").fetch_all(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// `GET /metrics`.
async fn metrics(http: std::net::SocketAddr) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(http).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}
