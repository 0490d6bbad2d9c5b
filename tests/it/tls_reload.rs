//! TLS files that change while the server serves.

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use rcgen::SanType;
use tokend::{
    listen::{ClientAuth, TlsFiles, TlsReloader},
    server::Settings,
};

use crate::{
    harness::TestServer,
    tls_harness::{Files, Pair, TestAuthority, tls_client, tls_server},
};

/// Calls on one connection, and calls on a connection of their own each, until it is told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    calls: Arc<AtomicU64>,
    callers: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    async fn start(server: &TestServer, authority: &Arc<TestAuthority>) -> Self {
        let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut callers = Vec::new();
        for fresh in [false, true] {
            let secret = server.root.secret.clone();
            let address = server.grpc;
            let first = tls_client(server, authority, None, secret.clone()).await;
            let (stop, calls, authority) = (Arc::clone(&stop), Arc::clone(&calls), Arc::clone(authority));
            callers.push(tokio::spawn(async move {
                while !stop.load(Relaxed) {
                    let mut client = first.clone();
                    if fresh {
                        let trust = Some(authority.trust(None));
                        client = crate::harness::TestClient::with_tls(address, secret.clone(), trust).await;
                    }
                    // It panics if it is refused.
                    client.token().await;
                    calls.fetch_add(1, Relaxed);
                }
            }));
        }
        Self { stop, calls, callers }
    }

    /// Waits until a few more calls have been answered.
    async fn goes_on(&self) {
        let enough = self.calls.load(Relaxed) + 10;
        while self.calls.load(Relaxed) < enough {
            assert!(self.callers.iter().all(|caller| !caller.is_finished()), "a call failed");
            tokio::task::yield_now().await;
        }
    }

    async fn stop(self) -> u64 {
        self.stop.store(true, Relaxed);
        for caller in self.callers {
            caller.await.unwrap();
        }
        self.calls.load(Relaxed)
    }
}

/// The serial number's stand-in: the certificate that a new connection is shown.
async fn shown(server: &TestServer, authority: &TestAuthority) -> Vec<u8> {
    let config = Arc::new(authority.config(None, &[&rustls::version::TLS13]));
    let stream = tokio::net::TcpStream::connect(server.grpc).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(config);
    let stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

const fn checking_all_the_time(settings: &mut Settings) {
    settings.serving.tls_check_interval = std::time::Duration::from_millis(5);
}

/// Puts a version of the files where Kubernetes would: in a folder of its own, to which a symbolic link is then turned, in
/// one step.
fn swap(folder: &Path, version: usize, server: &Pair, client_ca: &str) {
    let fresh = folder.join(format!("..version-{version}"));
    fs::create_dir(&fresh).unwrap();
    for (name, text) in
        [("tls.crt", &*server.certificate), ("tls.key", &*server.key), ("client-ca.crt", client_ca)]
    {
        fs::write(fresh.join(name), text).unwrap();
    }
    symlink(&fresh, folder.join("..data-new")).unwrap();
    fs::rename(folder.join("..data-new"), folder.join("..data")).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_swapped_twenty_times_under_load_and_no_call_fails() {
    let authority = Arc::new(TestAuthority::new());
    let files = Files::new(&authority);
    swap(files.path(), 0, &authority.server(), &authority.pem);
    let settings = |name: &str| files.path().join("..data").join(name);
    let linked = TlsFiles {
        certificate: settings("tls.crt"),
        key: settings("tls.key"),
        client_ca: Some(settings("client-ca.crt")),
        client_auth: ClientAuth::Optional,
        client_certificates_on_http: false,
    };
    let server = tls_server(&authority, &files, |settings| {
        settings.tls = Some(linked);
        checking_all_the_time(settings);
    })
    .await;
    let load = Load::start(&server, &authority).await;
    let mut before = shown(&server, &authority).await;
    for version in 1..=20 {
        swap(files.path(), version, &authority.server(), &authority.pem);
        let mut after = shown(&server, &authority).await;
        while after == before {
            after = shown(&server, &authority).await;
        }
        before = after;
        load.goes_on().await;
    }
    let calls = load.stop().await;
    let metrics = server.get("/metrics").await.2;
    assert!(metrics.contains("tokend_tls_reloads_total{result=\"replaced\"} 20"), "{metrics}");
    assert!(metrics.contains("tokend_tls_reloads_total{result=\"failed\"} 0"), "{metrics}");
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "20 swaps, {calls} calls, none failed");
}

#[tokio::test]
async fn bad_files_leave_the_old_ones_in_use_and_say_so() {
    let authority = TestAuthority::new();
    let files = Files::new(&authority);
    let (first, second) = (authority.server(), authority.server());
    files.write(&first, &authority.pem);
    let server = tls_server(&authority, &files, checking_all_the_time).await;
    let before = shown(&server, &authority).await;
    let torn = Pair { certificate: second.certificate.clone(), key: first.key.clone() };
    let garbage = Pair { certificate: "garbage".to_owned(), key: first.key.clone() };
    let broken = crate::tls::pem("CERTIFICATE", b"no certificate");
    let broken = Pair { certificate: format!("{}{broken}", second.certificate), key: second.key.clone() };
    let endless = Pair { certificate: second.certificate.repeat(11), key: second.key.clone() };
    for (failed, (pair, ca)) in [
        (&torn, &*authority.pem),
        (&garbage, &authority.pem),
        (&broken, &authority.pem),
        (&endless, &authority.pem),
        (&first, "no authority"),
    ]
    .into_iter()
    .enumerate()
    {
        files.write(pair, ca);
        let wanted = format!("tokend_tls_reloads_total{{result=\"failed\"}} {}", failed + 1);
        let mut metrics = String::new();
        while !metrics.contains(&wanted) {
            metrics = server.get("/metrics").await.2;
        }
        assert!(metrics.contains("tokend_tls_files_usable 0"), "{metrics}");
        assert_eq!(shown(&server, &authority).await, before);
    }
    fs::remove_file(files.path().join("tls.key")).unwrap();
    while !server.get("/metrics").await.2.contains("result=\"failed\"} 6") {}
    assert_eq!(shown(&server, &authority).await, before);
    // Once they go together, they are taken over.
    files.write(&second, &authority.pem);
    while shown(&server, &authority).await == before {}
    let metrics = server.get("/metrics").await.2;
    assert!(metrics.contains("tokend_tls_files_usable 1"), "{metrics}");
    assert!(metrics.contains("tokend_tls_certificate_expires_at_seconds "), "{metrics}");
}

#[tokio::test]
async fn another_authority_for_clients_holds_from_the_next_connection_on() {
    let (authority, next) = (TestAuthority::new(), TestAuthority::new());
    let files = Files::new(&authority);
    let pair = authority.server();
    files.write(&pair, &authority.pem);
    let server = tls_server(&authority, &files, |settings| {
        settings.tls.as_mut().unwrap().client_auth = ClientAuth::Optional;
    })
    .await;
    let name = |params: &mut rcgen::CertificateParams| {
        params.subject_alt_names = vec![SanType::URI("spiffe://example.org/a".try_into().unwrap())];
    };
    let (old, new) = (authority.client_with(name), next.client_with(name));
    let secret = server.root.secret.clone();
    tls_client(&server, &authority, Some(&old), secret.clone()).await.token().await;
    files.write(&pair, &next.pem);
    server.tls.as_ref().unwrap().reload();
    tls_client(&server, &authority, Some(&new), secret.clone()).await.token().await;
    let trust = authority.trust(Some(&old));
    let refused = tonic::transport::Channel::from_shared(format!("https://{}", server.grpc))
        .unwrap()
        .tls_config(trust)
        .unwrap()
        .connect()
        .await;
    // Under TLS 1.3 the refusal may come with the first call.
    if let Ok(channel) = refused {
        let client = crate::harness::TestClient { channel, secret };
        assert!(client.issue(crate::harness::for_alice()).await.is_err());
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_valid_now_does_not_replace_one_that_is() {
    let authority = TestAuthority::new();
    let files = Files::new(&authority);
    let server = tls_server(&authority, &files, |_| {}).await;
    let reloader = server.tls.as_ref().unwrap();
    let before = shown(&server, &authority).await;
    let expired =
        authority.server_with(&["localhost"], |params| params.not_after = rcgen::date_time_ymd(2025, 12, 31));
    let coming =
        authority.server_with(&["localhost"], |params| params.not_before = rcgen::date_time_ymd(2026, 1, 2));
    for (failed, pair) in [&expired, &coming].into_iter().enumerate() {
        files.write(pair, &authority.pem);
        reloader.reload();
        reloader.reload();
        assert_eq!(shown(&server, &authority).await, before);
        let metrics = server.get("/metrics").await.2;
        assert!(metrics.contains(&format!("result=\"failed\"}} {}", failed + 1)), "{metrics}");
        assert!(metrics.contains("tokend_tls_files_usable 0"), "{metrics}");
    }
    // It is taken over as soon as its time has come, though no file has changed since.
    server.clock.advance(86_400);
    reloader.reload();
    assert_ne!(shown(&server, &authority).await, before);
    assert!(server.get("/metrics").await.2.contains("tokend_tls_files_usable 1"));
}

#[tokio::test]
async fn a_certificate_that_expires_while_it_is_in_use_is_told_of() {
    let authority = TestAuthority::new();
    let files = Files::new(&authority);
    // The test client uses the time of the machine.
    let pair =
        authority.server_with(&["localhost"], |params| params.not_after = rcgen::date_time_ymd(3000, 1, 1));
    files.write(&pair, &authority.pem);
    let server = tls_server(&authority, &files, |_| {}).await;
    let reloader = server.tls.as_ref().unwrap();
    reloader.reload();
    assert!(server.get("/metrics").await.2.contains("tokend_tls_files_usable 1"));
    server.clock.advance(1000 * 366 * 86_400);
    reloader.reload();
    reloader.reload();
    let metrics = server.get("/metrics").await.2;
    assert!(metrics.contains("tokend_tls_files_usable 0"), "{metrics}");
    assert!(metrics.contains("result=\"failed\"} 1"), "{metrics}");
    // A server that is started with it serves, for there is no other.
    TlsReloader::open(files.settings(ClientAuth::Optional), server.clock.clone()).unwrap();
    files.write(&authority.server(), &authority.pem);
    reloader.reload();
    assert!(server.get("/metrics").await.2.contains("tokend_tls_files_usable 1"));
}

#[tokio::test]
async fn a_pipe_in_the_place_of_a_file_holds_nothing_up() {
    let authority = TestAuthority::new();
    let files = Files::new(&authority);
    let server = tls_server(&authority, &files, checking_all_the_time).await;
    let key = files.path().join("tls.key");
    fs::remove_file(&key).unwrap();
    // A pipe without a writer.
    rustix::fs::mkfifoat(rustix::fs::CWD, &key, rustix::fs::Mode::RUSR).unwrap();
    while !server.get("/metrics").await.2.contains("tokend_tls_files_usable 0") {}
    let before = shown(&server, &authority).await;
    fs::remove_file(&key).unwrap();
    files.write(&authority.server(), &authority.pem);
    while shown(&server, &authority).await == before {}
}
