//! Client certificates: who is let in, and what a connection then tells of its other end.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use rcgen::{BasicConstraints, DnType, IsCa, SanType, date_time_ymd};
use rustls::{ClientConfig, NamedGroup, ProtocolVersion, version::TLS12, version::TLS13};
use tokend::{
    listen::{
        Acceptor, CallMemory, CallMemoryLimits, ClientAuth, ConnectionLimits, Grpc, GrpcLimits, Lifetime,
        PortTls, TlsReloader,
    },
    model::{FromPeer, Peer, PeerCertificate},
};
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::sync::CancellationToken;

use crate::{
    harness::manual_clock,
    tls_harness::{Files, Pair, TestAuthority},
};

type Answer = Result<http::Response<Full<Bytes>>, Infallible>;

/// A service that notes who is at the other end of each call.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<Peer>>>);

impl<B: FromPeer> tower::Service<http::Request<B>> for Notes {
    type Response = http::Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        self.0.lock().unwrap().push(request.body().peer().unwrap().clone());
        Box::pin(std::future::ready(Ok(http::Response::new(Full::new(Bytes::new())))))
    }
}

/// A port with TLS and such a service behind it.
struct Port {
    address: SocketAddr,
    notes: Notes,
}

impl Port {
    async fn open(files: &Files, client_auth: ClientAuth) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, notes) = (listener.local_addr().unwrap(), Notes::default());
        let day = Duration::from_secs(86_400);
        let limits = GrpcLimits {
            max_concurrent_streams: 10,
            max_header_bytes: 16 * 1024,
            keepalive_interval: day,
            keepalive_timeout: day,
            lifetime: Lifetime { idle_timeout: day, max_age: day, grace: day },
        };
        let caps = CallMemoryLimits { total: 1024 * 1024, per_source: 1024 * 1024 };
        let memory = Arc::new(CallMemory::new(caps));
        let acceptor = Acceptor {
            listener: listener.into(),
            protocol: Grpc::new(notes.clone(), limits, memory, Arc::default(), day),
            tls: Some(PortTls::Grpc(Arc::new(
                TlsReloader::open(files.settings(client_auth), manual_clock()).unwrap(),
            ))),
            handshake_timeout: day,
            limits: ConnectionLimits { total: 100, per_source: 100 },
            metrics: Arc::default(),
        };
        tokio::spawn(acceptor.run(CancellationToken::new()));
        Self { address, notes }
    }

    /// Shakes hands.
    async fn connect(&self, config: ClientConfig) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.address).await?;
        TlsConnector::from(Arc::new(config)).connect("localhost".try_into().unwrap(), stream).await
    }

    /// Makes one call, and answers who it came from, as the service saw it.
    async fn call(&self, config: ClientConfig) -> Result<Peer, String> {
        use hyper_util::rt::{TokioExecutor, TokioIo};
        let stream = self.connect(config).await.map_err(|error| error.to_string())?;
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .map_err(|error| error.to_string())?;
        let ended = tokio::spawn(connection);
        let request = http::Request::post("https://localhost/x")
            // An attempt at impersonation.
            .header("x-forwarded-client-cert", "URI=spiffe://example.org/admin")
            .body(Full::new(Bytes::new()))
            .unwrap();
        match sender.send_request(request).await {
            Ok(_) => Ok(self.notes.0.lock().unwrap().pop().unwrap()),
            // Under TLS 1.3 a client learns only now that its certificate was refused.
            Err(error) => Err(format!("{error}: {:?}", ended.await)),
        }
    }
}

const BOTH: &[&rustls::SupportedProtocolVersion] = &[&TLS13, &TLS12];

#[tokio::test]
async fn a_connection_tells_the_names_in_its_certificate_and_no_others() {
    let authority = TestAuthority::new();
    let files = Files::new(&authority);
    let pair = authority.client_with(|params| {
        params.distinguished_name.push(DnType::CommonName, "spiffe://example.org/admin");
        params.not_after = date_time_ymd(2040, 1, 1);
        params.subject_alt_names = vec![
            SanType::URI("spiffe://example.org/orders".try_into().unwrap()),
            SanType::DnsName("Orders.Example.Org".try_into().unwrap()),
        ];
    });
    let expected = PeerCertificate {
        uris: vec!["spiffe://example.org/orders".to_owned()],
        dns_names: vec!["orders.example.org".to_owned()],
        expires_at: Some(2_208_988_800),
    };
    for client_auth in [ClientAuth::Optional, ClientAuth::Required] {
        let port = Port::open(&files, client_auth).await;
        for versions in [&[&TLS13][..], &[&TLS12][..]] {
            let peer = port.call(authority.config(Some(&pair), versions)).await.unwrap();
            assert_eq!(peer.certificate.as_deref(), Some(&expected), "{versions:?}");
            assert_eq!(peer.address.to_string(), "127.0.0.1");
        }
    }
    let port = Port::open(&files, ClientAuth::Optional).await;
    assert_eq!(port.call(authority.config(None, BOTH)).await.unwrap().certificate, None);
    let nameless =
        authority.client_with(|params| params.distinguished_name.push(DnType::CommonName, "orders"));
    let peer = port.call(authority.config(Some(&nameless), BOTH)).await.unwrap();
    let certificate = peer.certificate.unwrap();
    assert_eq!((certificate.uris.len(), certificate.dns_names.len()), (0, 0), "a common name is no name");
}

#[tokio::test]
async fn certificates_that_prove_nothing_are_refused_by_the_handshake() {
    let (authority, stranger) = (TestAuthority::new(), TestAuthority::new());
    let files = Files::new(&authority);
    let uri = || vec![SanType::URI("spiffe://example.org/orders".try_into().unwrap())];
    let expired = authority.client_with(|params| {
        params.not_after = date_time_ymd(2020, 1, 1);
        params.subject_alt_names = uri();
    });
    let early = authority.client_with(|params| {
        params.not_before = date_time_ymd(2090, 1, 1);
        params.subject_alt_names = uri();
    });
    let of_authority = authority.client_with(|params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.subject_alt_names = uri();
    });
    let foreign = stranger.client("spiffe://example.org/orders");
    let for_servers = authority.client_with(|params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        params.subject_alt_names = uri();
    });
    let cases: [(&str, &Pair, &str); 5] = [
        ("expired", &expired, "CertificateExpired"),
        ("not yet valid", &early, "CertificateExpired BadCertificate CertificateUnknown"),
        ("an authority's as a client's", &of_authority, "BadCertificate CertificateUnknown"),
        ("of a foreign authority", &foreign, "UnknownCA DecryptError"),
        ("for servers only", &for_servers, "UnsupportedCertificate BadCertificate CertificateUnknown"),
    ];
    // Also where a certificate is optional: a bad one is not taken for none.
    for client_auth in [ClientAuth::Optional, ClientAuth::Required] {
        let port = Port::open(&files, client_auth).await;
        for (what, pair, alerts) in cases {
            for versions in [&[&TLS13][..], &[&TLS12][..]] {
                let refused = port.call(authority.config(Some(pair), versions)).await.unwrap_err();
                let is_named = alerts.split(' ').any(|alert| refused.contains(alert));
                assert!(is_named, "{what}, {versions:?}: {refused}");
            }
        }
        assert!(port.notes.0.lock().unwrap().is_empty());
    }
    let port = Port::open(&files, ClientAuth::Required).await;
    let refused = port.call(authority.config(None, BOTH)).await.unwrap_err();
    assert!(refused.contains("CertificateRequired"), "{refused}");
}

#[tokio::test]
async fn the_key_exchange_is_post_quantum_where_both_sides_know_it() {
    let authority = TestAuthority::new();
    let port = Port::open(&Files::new(&authority), ClientAuth::Optional).await;
    let stream = port.connect(authority.config(None, BOTH)).await.unwrap();
    let session = stream.get_ref().1;
    assert_eq!(session.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    let group = session.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, NamedGroup::X25519MLKEM768);
    assert_eq!(session.alpn_protocol(), Some(&b"h2"[..]));
}

#[tokio::test]
async fn no_session_is_resumed_where_clients_show_certificates() {
    let authority = TestAuthority::new();
    let files = Files::new(&authority);
    let pair = authority.client("spiffe://example.org/orders");
    for versions in [&[&TLS13][..], &[&TLS12][..]] {
        let port = Port::open(&files, ClientAuth::Optional).await;
        let config = authority.config(Some(&pair), versions);
        for _ in 0..3 {
            let mut stream = port.connect(config.clone()).await.unwrap();
            // A session ticket would arrive with the first bytes of the server.
            stream.read_exact(&mut [0; 9]).await.unwrap();
            let kind = stream.get_ref().1.handshake_kind().unwrap();
            assert_eq!(kind, rustls::HandshakeKind::Full, "{versions:?}");
        }
    }
    // The same without client certificates is resumed: the test can tell.
    let mut without = files.settings(ClientAuth::Optional);
    without.client_ca = None;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = PortTls::Grpc(Arc::new(TlsReloader::open(without, manual_clock()).unwrap())).acceptor();
    tokio::spawn(async move {
        use tokio::io::AsyncWriteExt as _;
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = acceptor.accept(stream).await.unwrap();
            stream.write_all(&[0; 9]).await.unwrap();
            let _ = stream.read_u8().await;
        }
    });
    let connector = TlsConnector::from(Arc::new(authority.config(None, BOTH)));
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let stream = TcpStream::connect(address).await.unwrap();
        let mut stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
        stream.read_exact(&mut [0; 9]).await.unwrap();
        kinds.push(stream.get_ref().1.handshake_kind().unwrap());
    }
    assert_eq!(kinds, [rustls::HandshakeKind::Full, rustls::HandshakeKind::Resumed]);
}
