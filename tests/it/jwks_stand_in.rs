//! Another issuer's server, which publishes its keys well or badly.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_rustls::TlsAcceptor;

use crate::tls_harness::Pair;

/// How it answers.
#[derive(Clone)]
pub enum Answer {
    /// With this set.
    Set(String),
    /// With these bytes, whatever they mean.
    Bytes(Vec<u8>),
    /// By closing the connection.
    Nothing,
    /// Never.
    Silence,
    /// Byte by byte, without an end.
    Drip,
}

pub struct JwksStandIn {
    pub addr: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    answer: Mutex<Answer>,
    /// With what it speaks TLS, if it does.
    tls: Mutex<Option<Arc<ServerConfig>>>,
    requests: AtomicUsize,
    /// What the last request said.
    last: Mutex<String>,
    /// Each answer takes a permit.
    gate: Semaphore,
}

impl JwksStandIn {
    pub async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            answer: Mutex::new(answer),
            tls: Mutex::default(),
            requests: AtomicUsize::new(0),
            last: Mutex::default(),
            gate: Semaphore::new(Semaphore::MAX_PERMITS / 2),
        });
        let serving = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&serving)));
            }
        });
        Self { addr, shared }
    }

    pub fn uri(&self) -> String {
        let scheme = if self.shared.tls.lock().unwrap().is_some() { "https" } else { "http" };
        format!("{scheme}://{}/jwks", self.addr)
    }

    /// From now on it shows this certificate.
    pub fn certificate(&self, pair: &Pair) {
        *self.shared.tls.lock().unwrap() = Some(Arc::new(pair.server_config()));
    }

    pub fn answer(&self, answer: Answer) {
        *self.shared.answer.lock().unwrap() = answer;
    }

    pub fn requests(&self) -> usize {
        self.shared.requests.load(SeqCst)
    }

    pub fn last_request(&self) -> String {
        self.shared.last.lock().unwrap().clone()
    }

    /// From now on every answer waits.
    pub fn hold(&self) {
        self.shared.gate.forget_permits(usize::MAX);
    }

    pub fn release(&self) {
        self.shared.gate.add_permits(Semaphore::MAX_PERMITS / 2);
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let tls = shared.tls.lock().unwrap().clone();
    match tls {
        None => answer_one(stream, shared).await,
        Some(config) => {
            if let Ok(stream) = TlsAcceptor::from(config).accept(stream).await {
                answer_one(stream, shared).await;
            }
        }
    }
}

async fn answer_one(mut stream: impl AsyncRead + AsyncWrite + Unpin, shared: Arc<Shared>) {
    let mut request = Vec::new();
    let mut chunk = [0; 1024];
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut chunk).await {
            Ok(count) if count > 0 => request.extend_from_slice(&chunk[..count]),
            _ => return,
        }
    }
    *shared.last.lock().unwrap() = String::from_utf8(request).unwrap().to_lowercase();
    shared.requests.fetch_add(1, SeqCst);
    shared.gate.acquire().await.unwrap().forget();
    let answer = shared.answer.lock().unwrap().clone();
    let bytes = match answer {
        Answer::Set(set) => {
            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{set}", set.len()).into_bytes()
        }
        Answer::Bytes(bytes) => bytes,
        Answer::Nothing => return,
        Answer::Silence => return std::future::pending().await,
        Answer::Drip => return drip(stream).await,
    };
    let _ = stream.write_all(&bytes).await;
    let _ = stream.shutdown().await;
}

/// No wait for the next byte is long, and nothing that bounds only those ends it.
async fn drip(mut stream: impl AsyncWrite + Unpin) {
    let mut each = tokio::time::interval(Duration::from_millis(2));
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 200000\r\n\r\n";
    let mut rest = head.bytes().chain(std::iter::repeat(b' '));
    while let Some(byte) = rest.next()
        && stream.write_all(&[byte]).await.is_ok()
        && stream.flush().await.is_ok()
    {
        each.tick().await;
    }
}
