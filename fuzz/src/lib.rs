//! The service as the fuzz targets reach it: over its ports, by bytes.

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use tokend::{
    clock::SystemClock,
    config::Inputs,
    model::{ClientId, ClientSecret, ClientSettings, Pattern, Permissions, Ttl},
    server::{Listeners, Server},
    store::{self, Location},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    runtime::Runtime,
    time::timeout,
};

#[path = "../../tests/it/frames.rs"]
#[allow(dead_code, reason = "the tests need more of it")]
pub mod frames;

use frames::{DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, RST_STREAM, SETTINGS, call, frame};

/// A type of frame (RFC 9113 section 6.9).
const WINDOW_UPDATE: u8 = 8;
/// The secret of the client that may do everything.
const SECRET: &str = "tkd_root_secret-of-the-fuzz-targets";
/// A call or a connection that takes longer is a fault.
const LONGEST: Duration = Duration::from_secs(20);
/// A service that says nothing for so long waits for more.
const SILENCE: Duration = Duration::from_millis(5);
/// A server collects clients, users and keys: after so many inputs another one takes its place.
const INPUTS_OF_A_SERVER: u32 = 5000;

/// The methods, in the order in which an input's first byte names them.
pub const METHODS: [&str; 32] = [
    "/tokend.v1.TokenService/IssueToken",
    "/tokend.v1.TokenService/VerifyToken",
    "/tokend.v1.TokenService/BatchVerifyTokens",
    "/tokend.v1.TokenService/Login",
    "/tokend.v1.TokenService/RefreshToken",
    "/tokend.v1.TokenService/RevokeToken",
    "/tokend.v1.TokenService/IntrospectToken",
    "/tokend.v1.TokenService/ExchangeToken",
    "/tokend.v1.SessionService/ListSessions",
    "/tokend.v1.ClientService/CreateClient",
    "/tokend.v1.ClientService/GetClient",
    "/tokend.v1.ClientService/ListClients",
    "/tokend.v1.ClientService/UpdateClient",
    "/tokend.v1.ClientService/DeleteClient",
    "/tokend.v1.ClientService/RotateClientSecret",
    "/tokend.v1.UserService/CreateUser",
    "/tokend.v1.UserService/GetUser",
    "/tokend.v1.UserService/ListUsers",
    "/tokend.v1.UserService/UpdateUser",
    "/tokend.v1.UserService/SetUserPassword",
    "/tokend.v1.UserService/DeleteUser",
    "/tokend.v1.KeyService/ListKeys",
    "/tokend.v1.KeyService/CreateKey",
    "/tokend.v1.KeyService/ImportKey",
    "/tokend.v1.KeyService/RotateKeys",
    "/tokend.v1.KeyService/RevokeKey",
    "/tokend.v1.TrustBundleService/GetTrustBundle",
    "/tokend.v1.TrustBundleService/WatchTrustBundle",
    "/grpc.health.v1.Health/Check",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/tokend.v1.TokenService/Unknown",
    "/tokend.v1.SessionService/EndSession",
];

/// A file in memory for parsers that read files.
pub fn file(bytes: &[u8]) -> PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    let path = PATH.get_or_init(|| {
        let folder = Path::new("/dev/shm");
        let folder = if folder.is_dir() { folder.to_owned() } else { std::env::temp_dir() };
        folder.join(format!("tokend-fuzz-{}", std::process::id()))
    });
    std::fs::write(path, bytes).expect("the file is written");
    path.clone()
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().expect("a runtime"))
}

/// The ports of a running service.
#[derive(Clone, Copy)]
struct Ports {
    grpc: SocketAddr,
    http: SocketAddr,
}

async fn start() -> Ports {
    let flags = [
        ("issuer", "https://tokend.test"),
        ("store", "sqlite:unused.db"),
        ("allow_plaintext", "true"),
        ("password_memory", "8192"),
        ("password_passes", "1"),
        // The inputs are to be looked at.
        ("failed_credentials_per_minute", "1000000"),
    ];
    let known: Vec<&str> = tokend::config::settings().map(|setting| setting.name).collect();
    let flags: HashMap<_, _> = flags
        .into_iter()
        .filter(|(name, _)| known.contains(name))
        .map(|(name, text)| (name, text.to_owned()))
        .collect();
    let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    let variables = HashMap::from([("TOKEND_SEALING_KEY".into(), key.into())]);
    let config = Inputs { flags, variables, file: None }.resolve().config().expect("sound settings");
    let store = store::open(&Location::Memory).await.expect("a store");
    let server =
        Server::with_store(config.within_open_files(), store, Arc::new(SystemClock)).await.expect("a server");
    let any = || vec![Pattern::any()];
    let permissions = Permissions {
        methods: any(),
        audiences: any(),
        scopes: any(),
        subjects: any(),
        claims: any(),
        max_ttl: Ttl::from_minutes(60),
        verify_audiences: any(),
        login_usernames: any(),
        revoke_subjects: any(),
        revoke_clients: any(),
        exchange_subjects: any(),
        exchange_audiences: any(),
        exchange_issuers: any(),
        impersonate: true,
        ..Permissions::default()
    };
    let root = ClientSettings {
        permissions,
        default_audiences: vec!["all".to_owned()],
        ..ClientSettings::default()
    };
    let id = ClientId::parse("root").expect("an id");
    server.put_client(id, root, Some(ClientSecret::from_text(SECRET))).await.expect("a client");
    let grpc = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let http = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let ports = Ports { grpc: grpc.local_addr().expect("bound"), http: http.local_addr().expect("bound") };
    let server =
        server.run(Listeners { grpc, http, metrics: None, grpc_socket: None }, std::future::pending());
    tokio::spawn(async move { server.await.expect("it runs on") });
    ports
}

/// The service for the next input.
async fn service() -> Ports {
    static RUNNING: Mutex<Option<Ports>> = Mutex::new(None);
    static INPUTS: AtomicU32 = AtomicU32::new(0);
    let running = *RUNNING.lock().expect("one thread");
    match running {
        Some(ports) if !INPUTS.fetch_add(1, Relaxed).is_multiple_of(INPUTS_OF_A_SERVER) => ports,
        _ => {
            let ports = start().await;
            *RUNNING.lock().expect("one thread") = Some(ports);
            ports
        }
    }
}

/// Connects from another address of this machine each time: a port of one that was closed rests for a minute.
async fn connect(address: SocketAddr) -> TcpStream {
    static CONNECTIONS: AtomicU32 = AtomicU32::new(0);
    let [.., b, c] = (CONNECTIONS.fetch_add(1, Relaxed) % 65_000 + 256).to_be_bytes();
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::from(([127, 1, b, c], 0))).expect("an address");
    socket.connect(address).await.expect("a connection")
}

/// When a connection is over.
#[derive(Clone, Copy, PartialEq)]
enum Until {
    /// The service has closed it.
    Closed,
    /// The same, or the service has nothing to say for a moment.
    Silent,
    /// The service has answered the call on stream 1, or closed it.
    Answered,
}

/// Sends bytes and reads what the service answers.
async fn exchange(address: SocketAddr, bytes: &[u8], until: Until) -> Vec<u8> {
    let exchange = async {
        let mut stream = connect(address).await;
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        loop {
            let read = stream.read_buf(&mut answer);
            let read = match until {
                Until::Silent => timeout(SILENCE, read).await.unwrap_or(Ok(0)),
                Until::Closed | Until::Answered => read.await,
            };
            if !matches!(read, Ok(1..)) || (until == Until::Answered && is_answered(&answer)) {
                return answer;
            }
        }
    };
    timeout(LONGEST, exchange).await.expect("the connection is answered and ends")
}

/// Whether these frames hold the end of stream 1 (RFC 9113 section 4.1), or of the connection.
fn is_answered(mut frames: &[u8]) -> bool {
    while let Some(([a, b, c, kind, flags, stream @ ..], rest)) = frames.split_first_chunk::<9>() {
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let ends = matches!(*kind, DATA | HEADERS) && flags & END_STREAM != 0;
        if *kind == GOAWAY || (u32::from_be_bytes(*stream) == 1 && (ends || *kind == RST_STREAM)) {
            return true;
        }
        frames = rest.get(length..).unwrap_or_default();
    }
    false
}

/// A connection to the gRPC port. The first byte of an input names the method and who calls; what follows is the frames
/// behind the preface, the bytes of the call, or its message.
pub fn grpc(input: &[u8]) {
    let Some(([form, method], rest)) = input.split_first_chunk::<2>() else { return };
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // Windows for the longest answer.
    bytes.extend(frame(SETTINGS, 0, 0, &[0, 4, 0x7f, 0xff, 0xff, 0xff]));
    bytes.extend(frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0, 0, 0]));
    let path = METHODS[usize::from(*method) % METHODS.len()];
    let authorization = match form & 0x0c {
        0 => format!("Bearer {SECRET}"),
        4 => "Bearer tkd_root_wrong".to_owned(),
        _ => "Basic cm9vdDp0a2Rfcm9vdF9zZWNyZXQtb2YtdGhlLWZ1enotdGFyZ2V0cw".to_owned(),
    };
    // A watch goes on.
    let until = if form & 3 == 0 || path.contains("Watch") { Until::Silent } else { Until::Answered };
    match form & 3 {
        0 => bytes.extend(rest),
        kind => {
            let prefix = [&[0][..], &u32::try_from(rest.len()).unwrap_or_default().to_be_bytes()].concat();
            let body = if kind == 1 { rest.to_vec() } else { [&prefix[..], rest].concat() };
            bytes.extend(frame(HEADERS, END_HEADERS, 1, &call(path, &authorization)));
            for chunk in body.chunks(16_384) {
                bytes.extend(frame(DATA, 0, 1, chunk));
            }
            bytes.extend(frame(DATA, END_STREAM, 1, &[]));
        }
    }
    runtime().block_on(async {
        let ports = service().await;
        exchange(ports.grpc, &bytes, until).await;
        serves(ports).await;
    });
}

/// A connection to the HTTP port.
pub fn http(input: &[u8]) {
    runtime().block_on(async {
        let ports = service().await;
        exchange(ports.http, input, Until::Silent).await;
        serves(ports).await;
    });
}

const LIVEZ: &[u8] = b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

/// Now and then: the service serves others as before.
async fn serves(ports: Ports) {
    static INPUTS: AtomicU32 = AtomicU32::new(0);
    if INPUTS.fetch_add(1, Relaxed).is_multiple_of(100) {
        let answer = exchange(ports.http, LIVEZ, Until::Closed).await;
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    }
}
