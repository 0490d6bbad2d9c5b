//! Another issuer's server, which publishes its keys well or badly.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

/// How it answers.
#[derive(Clone)]
pub enum Answer {
    /// With this set.
    Set(String),
    /// With these octets, whatever they mean.
    Octets(Vec<u8>),
    /// By closing the connection.
    Nothing,
    /// Never.
    Silence,
}

pub struct JwksStandIn {
    pub addr: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    answer: Mutex<Answer>,
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
            requests: AtomicUsize::new(0),
            last: Mutex::default(),
            gate: Semaphore::new(Semaphore::MAX_PERMITS / 2),
        });
        let serving = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer_one(stream, Arc::clone(&serving)));
            }
        });
        Self { addr, shared }
    }

    pub fn uri(&self) -> String {
        format!("http://{}/jwks", self.addr)
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

async fn answer_one(mut stream: TcpStream, shared: Arc<Shared>) {
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
    let octets = match answer {
        Answer::Set(set) => {
            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{set}", set.len()).into_bytes()
        }
        Answer::Octets(octets) => octets,
        Answer::Nothing => return,
        Answer::Silence => return std::future::pending().await,
    };
    let _ = stream.write_all(&octets).await;
}
