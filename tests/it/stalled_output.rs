//! The program while the readers of its stdout and stderr are stalled: calls are answered and signals obeyed as ever, and what
//! was lost is counted and reported.

use std::{
    fs,
    io::{BufRead as _, BufReader, PipeReader, Write as _, pipe},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStderr, ChildStdout, Stdio},
    time::{Duration, Instant},
};

use rustix::fs::{OFlags, fcntl_setfl};
use serde_json::Value;
use tempfile::TempDir;
use tokend::{model::ClientSecret, proto::v1};
use tonic::Code;

use crate::{
    harness::{TestClient, accepted, assert_refused, for_alice, refused},
    process::{FREE_PORTS, Lines, Running, entry, init, tokend},
};

/// Far more than a good call takes, and less than a call that hangs may.
const LATE: Duration = Duration::from_secs(3);

/// Refused calls, each of which leaves a log line at `debug` and an audit event.
const REFUSED: usize = 10_000;

/// A server whose stdout and stderr are not read any more once it serves.
struct Stalled {
    running: Running,
    grpc: SocketAddr,
    http: SocketAddr,
    metrics: SocketAddr,
    stdout: ChildStdout,
    stderr: BufReader<ChildStderr>,
}

impl Stalled {
    fn start(folder: &Path, more: &[&str]) -> Self {
        let arguments = ["serve", "--config", "tokend.toml", "--allow-plaintext", "--log", "debug"];
        let metrics = ["--metrics-addr", "127.0.0.1:0"];
        let all = [&arguments[..], &FREE_PORTS, &metrics, more].concat();
        let mut child = tokend(folder, &all).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let running = Running(child);
        loop {
            let mut line = String::new();
            assert!(stderr.read_line(&mut line).unwrap() > 0, "it ended early");
            let serving = entry(line.trim());
            if serving["message"] == "serving" {
                let address = |name: &str| serving[name].as_str().unwrap().parse().unwrap();
                let (grpc, http, metrics) = (address("grpc"), address("http"), address("metrics"));
                return Self { running, grpc, http, metrics, stdout, stderr };
            }
        }
    }

    /// A client that may be issued tokens and verify them.
    async fn client(&self, admin_secret: &str) -> TestClient {
        let all = || vec!["*".to_owned()];
        let permissions = v1::Permissions {
            methods: vec!["TokenService/*".to_owned()],
            audiences: all(),
            scopes: all(),
            subjects: all(),
            verify_audiences: all(),
            ..Default::default()
        };
        let client =
            v1::Client { client_id: "web".to_owned(), permissions: Some(permissions), ..Default::default() };
        let admin = TestClient::new(self.grpc, Some(ClientSecret::from_text(admin_secret))).await;
        let request = v1::CreateClientRequest { client: Some(client), request_id: String::new() };
        let created = accepted(admin.clients().create_client(admin.request(request)).await).into_inner();
        TestClient::new(self.grpc, Some(ClientSecret::from_text(created.client_secret))).await
    }

    /// Sends so many tokens that are refused, on a connection of their own; some without a credential.
    async fn refuse(&self, client: &TestClient, count: usize) {
        let strangers = TestClient::new(self.grpc, None).await;
        let callers = (0..16).map(|caller| {
            let client = if caller == 0 { strangers.clone() } else { client.clone() };
            tokio::spawn(async move {
                for _ in 0..count / 16 {
                    let code = refused(client.check("a.b.c").await).code();
                    assert!([Code::InvalidArgument, Code::Unauthenticated].contains(&code), "{code}");
                }
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            caller.await.unwrap();
        }
    }

    /// Waits for the end, which must come soon, and answers the exit code.
    fn ended(&mut self) -> Option<i32> {
        ended(&mut self.running.0)
    }
}

/// The exit code, when the process ends within ten seconds.
fn ended(child: &mut Child) -> Option<i32> {
    let told = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        assert!(told.elapsed() < Duration::from_secs(10), "the signal was not obeyed");
        std::thread::yield_now();
    }
}

/// The value of a metric.
async fn metric(metrics: SocketAddr, name: &str) -> u64 {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(metrics).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(LATE, stream.read_to_string(&mut answer)).await.expect("late").unwrap();
    let line = answer.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("{name} is not in {answer}")).trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_answered_and_what_was_lost_is_reported_when_the_readers_come_back() {
    let folder = TempDir::new().unwrap();
    let secret = init(folder.path());
    let server = Stalled::start(folder.path(), &["--drain-delay", "0s", "--audit-buffer", "1000"]);
    let client = server.client(&secret).await;
    let token = client.token().await;

    let good = TestClient::new(server.grpc, client.secret.clone()).await;
    let flood = server.refuse(&client, REFUSED);
    let verifying = async {
        loop {
            let answer = tokio::time::timeout(LATE, good.check(&token)).await;
            accepted(answer.expect("a good call is late"));
        }
    };
    tokio::select! {
        () = flood => {}
        () = verifying => {}
    }
    tokio::time::timeout(LATE, good.issue(for_alice())).await.expect("late").unwrap();
    let dropped = metric(server.metrics, "tokend_log_lines_dropped_total").await;
    let lost = metric(server.metrics, "tokend_audit_events_lost_total{sink=\"stdout\"}").await;
    assert!(dropped > 0 && lost > 0, "{dropped} lines and {lost} events");

    // The readers come back.
    let Stalled { mut running, metrics, stdout, stderr, .. } = server;
    let (mut stdout, mut stderr) = (Lines::of(stdout), Lines::of(stderr));
    let report =
        stderr.until(|line| entry(line)["message"].as_str().is_some_and(|text| text.contains("dropped")));
    assert_eq!(entry(&report)["dropped"], dropped);
    assert_eq!(entry(&report)["level"], "ERROR");
    assert!(stderr.seen.iter().all(|line| entry(line).is_object()), "each line is whole");
    let report: Value = entry(&stdout.until(|line| entry(line)["event"] == "events_lost"));
    assert_eq!(report["lost"], lost);
    assert_eq!(
        metric(metrics, "tokend_log_lines_dropped_total").await,
        dropped,
        "the report itself is not lost"
    );
    running.signal("-TERM");
    let stopped = stderr.until(|line| entry(line)["message"] == "stopped");
    assert!(!stopped.is_empty());
    assert!(stderr.all().iter().filter(|line| entry(line)["dropped"].is_number()).count() == 1);
    assert_eq!(ended(&mut running.0), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signals_are_obeyed() {
    for (delay, signals, code) in [("0s", &["-TERM"][..], 0), ("5m", &["-TERM", "-INT"], 1)] {
        let folder = TempDir::new().unwrap();
        let secret = init(folder.path());
        let mut server = Stalled::start(folder.path(), &["--drain-delay", delay]);
        let client = server.client(&secret).await;
        // Far more than a pipe holds.
        server.refuse(&client, 1600).await;
        for signal in signals {
            server.running.signal(signal);
            // Two signals at the same time could be one.
            while *signal != *signals.last().unwrap()
                && readiness(server.http).await.starts_with("HTTP/1.1 200")
            {}
        }
        assert_eq!(server.ended(), Some(code), "{signals:?}");
    }
}

/// What the server says of its readiness.
async fn readiness(http: SocketAddr) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(http).await.unwrap();
    stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// A pipe that has no room left, and its reader.
fn full_pipe() -> (PipeReader, Stdio) {
    let (reader, mut writer) = pipe().unwrap();
    fcntl_setfl(&writer, OFlags::NONBLOCK).unwrap();
    while writer.write(&[b'\n'; 1024]).is_ok() {}
    fcntl_setfl(&writer, OFlags::empty()).unwrap();
    (reader, writer.into())
}

#[test]
fn dev_stops_though_its_banner_cannot_be_printed() {
    let folder = TempDir::new().unwrap();
    let (reader, stdout) = full_pipe();
    let arguments = [&["dev", "--log", "info"], &FREE_PORTS[..]].concat();
    let mut child = tokend(folder.path(), &arguments).stdout(stdout).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut running = Running(child);
    assert!(stderr.any(|line| entry(&line)["message"] == "serving"));
    running.signal("-TERM");
    assert_eq!(ended(&mut running.0), Some(0));
    drop(reader);
}

#[test]
fn a_failed_start_ends_although_stderr_is_not_read() {
    let folder = TempDir::new().unwrap();
    init(folder.path());
    fs::write(folder.path().join("sealing.key"), format!("{}\n", "A".repeat(43))).unwrap();
    let (reader, stderr) = full_pipe();
    let arguments = [&["serve", "--config", "tokend.toml", "--allow-plaintext"], &FREE_PORTS[..]].concat();
    let child = tokend(folder.path(), &arguments).stdout(Stdio::null()).stderr(stderr).spawn().unwrap();
    assert_eq!(ended(&mut Running(child).0), Some(1));
    drop(reader);
}

/// A reader that goes away for good costs lines and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_went_away_hold_nothing_up() {
    let folder = TempDir::new().unwrap();
    let secret = init(folder.path());
    let server = Stalled::start(folder.path(), &["--drain-delay", "0s"]);
    let client = server.client(&secret).await;
    let Stalled { mut running, metrics, stdout, stderr, .. } = server;
    drop((stdout, stderr));
    let token = client.token().await;
    for _ in 0..100 {
        refused(client.check("a.b.c").await);
    }
    accepted(client.check(&token).await);
    while metric(metrics, "tokend_log_lines_dropped_total").await < 100 {
        tokio::task::yield_now().await;
    }
    running.signal("-TERM");
    assert_eq!(ended(&mut running.0), Some(0));
}

/// Where no event may be lost, calls that leave one are refused, at once and not after each has waited.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_required_audit_log_that_hangs_refuses_calls_at_once_and_says_so() {
    let folder = TempDir::new().unwrap();
    let secret = init(folder.path());
    let required = ["--drain-delay", "0s", "--audit-mode", "required"];
    let server = Stalled::start(folder.path(), &required);
    let client = server.client(&secret).await;
    let token = client.token().await;
    // Until the pipe is full; the call that finds it so waits for five seconds.
    while refused(client.check("a.b.c").await).code() != Code::Unavailable {}
    let issued = tokio::time::timeout(LATE, client.issue(for_alice())).await.expect("late");
    assert_refused(issued, Code::Unavailable, "AUDIT_UNAVAILABLE");
    accepted(client.check(&token).await);
    while !readiness(server.http).await.contains("\r\n\r\nAUDIT_UNAVAILABLE: ") {}

    let Stalled { mut running, http, stdout, .. } = server;
    let _stdout = Lines::of(stdout);
    while !readiness(http).await.starts_with("HTTP/1.1 200") {}
    accepted(client.issue(for_alice()).await);
    running.signal("-TERM");
    assert_eq!(ended(&mut running.0), Some(0));
}
