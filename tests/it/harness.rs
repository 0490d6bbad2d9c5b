//! A whole server in the test: bound to port 0, on a fresh store, with a clock that moves when it is told to.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::SeqCst},
    },
    time::Duration,
};

use tokend::{
    clock::Clock,
    listen::{TlsReloader, UnixSocket},
    model::{ClientId, ClientSecret, UnixTime},
    proto::v1::{
        self, client_service_client::ClientServiceClient, key_service_client::KeyServiceClient,
        token_service_client::TokenServiceClient, trust_bundle_service_client::TrustBundleServiceClient,
        user_service_client::UserServiceClient,
    },
    server::{Listeners, Rounds, Server, Settings},
    store::{self, Store},
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tonic::{
    Request, Status,
    transport::{Channel, ClientTlsConfig},
};

pub use crate::{
    refusals::{accepted, assert_refused, fields, reason, refused},
    test_settings::{everything, schedule, settings},
};

pub const ISSUER: &str = "https://tokend.test";
/// The sealing key of every test server: 32 bytes in base64.
pub const SEALING_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// 2026-01-01T00:00:00Z
pub const START: i64 = 1_767_225_600;
/// The same as a number with a fraction.
pub const START_SECONDS: f64 = 1_767_225_600.0;

/// A clock that stands until it is moved.
#[derive(Debug)]
pub struct ManualClock {
    now: AtomicI64,
    /// What the clock that never goes back is ahead of it.
    ahead: AtomicI64,
}

impl ManualClock {
    pub fn advance(&self, seconds: i64) {
        self.now.fetch_add(seconds, SeqCst);
    }

    /// It leaps ahead; no time passes.
    pub fn leap(&self, seconds: i64) {
        self.set_back(-seconds);
    }

    /// Somebody sets it back; no time passes.
    pub fn set_back(&self, seconds: i64) {
        self.ahead.fetch_add(seconds, SeqCst);
        self.now.fetch_sub(seconds, SeqCst);
    }

    pub fn seconds(&self) -> i64 {
        self.now.load(SeqCst)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixTime {
        UnixTime::from_seconds(self.seconds())
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs((self.seconds() + self.ahead.load(SeqCst)).unsigned_abs())
    }
}

pub fn manual_clock() -> Arc<ManualClock> {
    clock_at(START)
}

/// A clock that stands at `seconds` since 1970.
pub fn clock_at(seconds: i64) -> Arc<ManualClock> {
    Arc::new(ManualClock { now: AtomicI64::new(seconds), ahead: AtomicI64::new(0) })
}

/// As an operator does who accepts a server's clock: a test's time is not the database's, and leaps between servers.
pub async fn accept_clock(store: &Arc<Store>, clock: &ManualClock) {
    // A store that is down is the test's own affair.
    let _ = store.mark_clock(clock.now(), true).await;
}

/// A running server. It ends with the test.
pub struct TestServer {
    pub grpc: SocketAddr,
    pub http: SocketAddr,
    pub clock: Arc<ManualClock>,
    pub store: Arc<Store>,
    /// What keeps TLS up to date, if there is TLS.
    pub tls: Option<Arc<TlsReloader>>,
    /// The server's rounds, which it makes by itself once an hour.
    pub rounds: Rounds,
    /// A client that may do everything.
    pub root: TestClient,
    stop: Option<oneshot::Sender<()>>,
    ended: Option<JoinHandle<()>>,
}

impl TestServer {
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = settings();
        change(&mut settings);
        let store = store::open(&settings.store).await.unwrap();
        Self::on(store, settings, manual_clock()).await
    }

    /// On a store that is open already.
    pub async fn on(store: Arc<Store>, settings: Settings, clock: Arc<ManualClock>) -> Self {
        Self::on_with(store, settings, clock, None).await
    }

    /// The same; `tls` is what the root client trusts, if the settings have TLS.
    pub async fn on_with(
        store: Arc<Store>,
        settings: Settings,
        clock: Arc<ManualClock>,
        tls: Option<ClientTlsConfig>,
    ) -> Self {
        accept_clock(&store, &clock).await;
        Self::on_doubting(store, settings, clock, tls).await
    }

    /// The same, without an accepted clock.
    pub async fn on_doubting(
        store: Arc<Store>,
        settings: Settings,
        clock: Arc<ManualClock>,
        tls: Option<ClientTlsConfig>,
    ) -> Self {
        Self::listening(store, settings, clock, tls, None).await
    }

    /// The same, on a Unix socket too.
    pub async fn listening(
        store: Arc<Store>,
        settings: Settings,
        clock: Arc<ManualClock>,
        tls: Option<ClientTlsConfig>,
        grpc_socket: Option<UnixSocket>,
    ) -> Self {
        let grpc = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (grpc_addr, http_addr) = (grpc.local_addr().unwrap(), http.local_addr().unwrap());
        let http_tls = settings.serving.http_tls;
        let server = Server::with_store(settings, Arc::clone(&store), clock.clone()).await.unwrap();
        let root = ClientId::parse("root").unwrap();
        // The same at every replica of a store.
        let secret = ClientSecret::from_text("tkd_root_secret-of-the-tests");
        let secret = server.put_client(root, everything(), Some(secret)).await.unwrap();
        let (rounds, keeper) = (server.rounds(), server.tls());
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = tokio::spawn(async move {
            let shutdown = async {
                let _ = stopped.await;
            };
            server.run(Listeners { grpc, http, metrics: None, grpc_socket }, shutdown).await.unwrap();
        });
        let root = TestClient::with_tls(grpc_addr, Some(secret), tls).await;
        let server = Self {
            grpc: grpc_addr,
            http: http_addr,
            clock,
            store,
            tls: keeper,
            rounds,
            root,
            stop: Some(stop),
            ended: Some(ended),
        };
        // A test of HTTP over TLS makes its own requests.
        if !http_tls {
            server.is_ready().await;
        }
        server
    }

    /// The server serves as soon as it runs; readiness follows within its first steps.
    async fn is_ready(&self) {
        while self.get("/readyz").await.0 != 200 {
            tokio::task::yield_now().await;
        }
    }

    /// Asks the server to stop, without waiting for it.
    pub fn begin_stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// Waits until it has stopped.
    pub async fn stopped(&mut self) {
        self.ended.take().unwrap().await.unwrap();
    }

    /// Registers a client and answers what calls with its secret.
    pub async fn client(&self, client: v1::Client) -> TestClient {
        let request = v1::CreateClientRequest { client: Some(client), request_id: String::new() };
        let answer = self.root.clients().create_client(self.root.request(request)).await;
        let secret = answer.map_err(|status| status.to_string()).unwrap().into_inner().client_secret;
        TestClient::new(self.grpc, Some(ClientSecret::from_text(secret))).await
    }

    /// `GET path` on the HTTP port: status, headers in lower case, body.
    pub async fn get(&self, path: &str) -> (u16, String, String) {
        self.get_with(path, "").await
    }

    /// The same with further header lines.
    pub async fn get_with(&self, path: &str, headers: &str) -> (u16, String, String) {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut stream = tokio::net::TcpStream::connect(self.http).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let (status_line, headers) = head.split_once("\r\n").unwrap();
        let status = status_line.split(' ').nth(1).unwrap().parse().unwrap();
        (status, headers.to_lowercase(), body.to_owned())
    }
}

/// What calls the server with one credential, or with none.
#[derive(Clone)]
pub struct TestClient {
    pub channel: Channel,
    pub secret: Option<ClientSecret>,
}

impl TestClient {
    pub async fn new(addr: SocketAddr, secret: Option<ClientSecret>) -> Self {
        Self::with_tls(addr, secret, None).await
    }

    /// On a connection of its own, over TLS if it is told what to trust.
    pub async fn with_tls(
        addr: SocketAddr,
        secret: Option<ClientSecret>,
        tls: Option<ClientTlsConfig>,
    ) -> Self {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let mut endpoint = Channel::from_shared(format!("{scheme}://{addr}")).unwrap();
        if let Some(tls) = tls {
            endpoint = endpoint.tls_config(tls).unwrap();
        }
        Self { channel: endpoint.connect().await.unwrap(), secret }
    }

    pub fn tokens(&self) -> TokenServiceClient<Channel> {
        TokenServiceClient::new(self.channel.clone()).max_decoding_message_size(16 * 1024 * 1024)
    }

    pub fn keys(&self) -> KeyServiceClient<Channel> {
        KeyServiceClient::new(self.channel.clone())
    }

    pub fn trust(&self) -> TrustBundleServiceClient<Channel> {
        TrustBundleServiceClient::new(self.channel.clone())
    }

    pub fn clients(&self) -> ClientServiceClient<Channel> {
        ClientServiceClient::new(self.channel.clone())
    }

    pub fn users(&self) -> UserServiceClient<Channel> {
        UserServiceClient::new(self.channel.clone())
    }

    /// `message` with the credential.
    pub fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(secret) = &self.secret {
            let value = format!("Bearer {}", secret.reveal()).parse().unwrap();
            request.metadata_mut().insert("authorization", value);
        }
        request
    }

    pub async fn issue(&self, request: v1::IssueTokenRequest) -> Result<v1::IssueTokenResponse, Status> {
        Ok(self.tokens().issue_token(self.request(request)).await?.into_inner())
    }

    pub async fn verify(&self, request: v1::VerifyTokenRequest) -> Result<v1::VerifyTokenResponse, Status> {
        Ok(self.tokens().verify_token(self.request(request)).await?.into_inner())
    }

    /// A token for `alice` at `orders`.
    pub async fn token(&self) -> String {
        accepted(self.issue(for_alice()).await).access_token
    }

    /// Whether `token` is good at `orders`.
    pub async fn check(&self, token: &str) -> Result<v1::VerifyTokenResponse, Status> {
        self.verify(v1::VerifyTokenRequest {
            token: token.to_owned(),
            audiences: vec!["orders".to_owned()],
            ..Default::default()
        })
        .await
    }
}

/// A request for a token for `alice` at `orders` that allows `read`.
pub fn for_alice() -> v1::IssueTokenRequest {
    v1::IssueTokenRequest {
        subject: "alice".to_owned(),
        audiences: vec!["orders".to_owned()],
        scopes: vec!["read".to_owned()],
        ..Default::default()
    }
}

/// Whole seconds as a message.
pub const fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}
