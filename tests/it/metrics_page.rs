//! The metrics: their formats, and where they are served.

use tempfile::TempDir;

use crate::{
    harness::{TestServer, accepted, for_alice},
    process::{Serve, dev, init, run, stderr},
};

const OPEN_METRICS: &str =
    "accept: application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3\r\n";

/// The samples of a page: name, labels, value.
fn samples(page: &str) -> Vec<(&str, &str, f64)> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            (name, labels, value.parse().unwrap())
        })
        .collect()
}

#[tokio::test]
async fn the_last_bucket_of_each_histogram_is_infinite_and_counts_all() {
    let server = TestServer::start().await;
    accepted(server.root.issue(for_alice()).await);
    for accept in ["", OPEN_METRICS] {
        let page = server.get_with("/metrics", accept).await.2;
        let samples = samples(&page);
        let of = |suffix: &'static str| samples.iter().filter(move |(name, ..)| name.ends_with(suffix));
        let mut histograms = std::collections::BTreeSet::new();
        for (name, labels, count) in of("_seconds_count") {
            let (bucket, rest) = (name.replace("_count", "_bucket"), labels.trim_end_matches('}'));
            let series = of("_bucket").filter(|(name, labels, _)| *name == bucket && labels.contains(rest));
            let series: Vec<_> = series.collect();
            let (_, last, all) = series.last().unwrap();
            assert!(last.contains("le=\"+Inf\""), "{last}");
            assert_eq!(all, count, "{name} {labels}");
            assert_eq!(series.iter().filter(|(_, labels, _)| labels.contains("+Inf")).count(), 1);
            assert!(series.iter().all(|(_, labels, _)| !labels.contains("e308")), "{series:?}");
            histograms.insert(*name);
        }
        assert_eq!(
            histograms.into_iter().collect::<Vec<_>>(),
            ["rpc_server_call_duration_seconds_count", "tokend_store_action_duration_seconds_count"]
        );
    }
}

#[tokio::test]
async fn the_page_is_in_the_format_that_accept_asks_for() {
    let server = TestServer::start().await;
    accepted(server.root.issue(for_alice()).await);
    let counter = "tokend_tokens_issued_total{algorithm=\"ES256\"} 1";
    let (status, headers, page) = server.get_with("/metrics", OPEN_METRICS).await;
    assert_eq!(status, 200);
    assert!(headers.contains("content-type: application/openmetrics-text; version=1.0.0"), "{headers}");
    assert!(headers.contains("vary: accept"), "{headers}");
    assert!(page.ends_with("# EOF\n") && page.contains("# TYPE tokend_tokens_issued counter\n"), "{page}");
    assert!(page.lines().any(|line| line == counter), "{page}");

    for accept in
        ["", "accept: */*\r\n", "accept: text/plain\r\n", "accept: application/openmetrics-text;q=0\r\n"]
    {
        let (status, headers, page) = server.get_with("/metrics", accept).await;
        assert_eq!(status, 200);
        assert!(headers.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{headers}");
        assert!(
            page.contains("# TYPE tokend_tokens_issued_total counter\n") && !page.contains("# EOF"),
            "{page}"
        );
        assert!(page.lines().any(|line| line == counter), "{page}");
    }
}

/// `GET path` at a port of this machine.
fn get(address: std::net::SocketAddr, path: &str) -> (u16, String) {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

#[test]
fn metrics_are_served_at_their_own_address_alone() {
    let folder = TempDir::new().unwrap();
    init(folder.path());
    let arguments = ["--allow-plaintext", "--drain-delay", "5m", "--metrics-addr", "127.0.0.1:0"];
    let mut server = Serve::start(folder.path(), &arguments);
    let metrics = server.metrics.unwrap();
    assert_ne!(metrics, server.http);
    let (status, page) = get(metrics, "/metrics");
    assert!(status == 200 && page.contains("tokend_connections{port=\"metrics\"} 1"), "{page}");
    assert_eq!(get(server.http, "/metrics").0, 404);
    for path in ["/livez", "/readyz", "/.well-known/jwks.json"] {
        assert_eq!((get(server.http, path).0, get(metrics, path).0), (200, 404), "{path}");
    }
    // Operators watch a server that drains, too.
    server.process.running.signal("-TERM");
    server.process.logged("stopping: not ready");
    assert_eq!(get(metrics, "/metrics").0, 200);
    server.process.running.signal("-TERM");
    assert_eq!(server.process.ended().code, Some(1));
}

#[test]
fn without_an_address_no_metrics_are_served() {
    let folder = TempDir::new().unwrap();
    init(folder.path());
    let server = Serve::start(folder.path(), &["--allow-plaintext", "--drain-delay", "0s"]);
    assert_eq!(server.metrics, None);
    assert_eq!((get(server.http, "/metrics").0, get(server.http, "/readyz").0), (404, 200));
    let log = server.stop().stderr;
    assert!(log.iter().any(|line| line.contains("not served: set metrics_addr")), "{log:#?}");
}

#[test]
fn the_address_of_the_http_port_serves_them_there() {
    let folder = TempDir::new().unwrap();
    init(folder.path());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let arguments =
        ["--allow-plaintext", "--drain-delay", "0s", "--http-addr", &port, "--metrics-addr", &port];
    let server = Serve::start_at(folder.path(), &["--grpc-addr", "127.0.0.1:0"], &arguments);
    assert_eq!(server.metrics, Some(server.http));
    assert_eq!((get(server.http, "/metrics").0, get(server.http, "/readyz").0), (200, 200));
    assert_eq!(server.stop().code, Some(0));

    let taken =
        ["serve", "--config", "tokend.toml", "--allow-plaintext", "--metrics-addr", "127.0.0.1:50051"];
    let refused = run(folder.path(), &taken);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        stderr(&refused).contains("metrics_addr: is the address of grpc_addr too"),
        "{}",
        stderr(&refused)
    );
}

#[test]
fn dev_serves_them_on_its_http_port() {
    let folder = TempDir::new().unwrap();
    let (server, lines) = dev(folder.path(), &[]);
    let http = lines.iter().find_map(|line| line.trim().strip_prefix("http "));
    let http = http.unwrap().trim().trim_start_matches("http://").parse().unwrap();
    assert_eq!(get(http, "/metrics").0, 200);
    assert_eq!(server.stop(), Some(0));
}
