//! A small server that answers as Vault's documentation says that its Transit engine does (HashiCorp Vault, "HTTP API"
//! and "Transit secrets engine (API)"): two operations, one key with versions, one token.

use std::{
    collections::VecDeque,
    convert::Infallible,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokend::keys::{Retry, VaultSettings};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

pub const TOKEN: &str = "hvs.CAESIJtokenOfTheStandIn";
pub const KEY: &str = "tokend";

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    pub path: String,
    pub headers: HeaderMap,
    pub body: String,
}

struct State {
    token: String,
    sealed: bool,
    /// What the next requests are answered with, in place of an answer: status, `Retry-After`, body.
    failures: VecDeque<(u16, Option<&'static str>, String)>,
    /// The versions of the key; the last encrypts.
    versions: Vec<RandomizedNonceKey>,
    min_decryption_version: usize,
    /// Whether the policy allows to decrypt.
    may_decrypt: bool,
    seen: Vec<Seen>,
}

pub struct StandIn {
    pub addr: SocketAddr,
    state: Arc<Mutex<State>>,
    serving: Option<JoinHandle<()>>,
}

impl StandIn {
    pub async fn start() -> Self {
        Self::with(None).await
    }

    /// Over TLS, if there is something to accept it with.
    pub async fn with(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let state = Arc::new(Mutex::new(State {
            token: TOKEN.to_owned(),
            sealed: false,
            failures: VecDeque::new(),
            versions: vec![version(1)],
            min_decryption_version: 1,
            may_decrypt: true,
            seen: Vec::new(),
        }));
        let addr = listener.local_addr().unwrap();
        let serving = Some(tokio::spawn(serve(listener, tls, Arc::clone(&state))));
        Self { addr, state, serving }
    }

    /// The settings that reach it, with the token in this file.
    pub fn settings(&self, token_file: &Path) -> VaultSettings {
        VaultSettings {
            addr: format!("http://{}", self.addr).parse().unwrap(),
            token_file: token_file.to_owned(),
            mount: "transit".to_owned(),
            key: KEY.to_owned(),
            namespace: None,
            ca_file: None,
            retry: Retry {
                attempt: std::time::Duration::from_secs(5),
                first_pause: std::time::Duration::from_millis(1),
                longest_pause: std::time::Duration::from_millis(20),
                patience: std::time::Duration::from_millis(200),
            },
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Ends it: its port refuses connections, and those that were open are cut.
    pub async fn go_away(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            let _ = serving.await;
        }
    }

    /// Brings it back on its port.
    pub async fn come_back(&mut self) {
        let listener = TcpListener::bind(self.addr).await.unwrap();
        self.serving = Some(tokio::spawn(serve(listener, None, Arc::clone(&self.state))));
    }

    pub fn set_sealed(&self, sealed: bool) {
        self.state().sealed = sealed;
    }

    pub fn set_token(&self, token: &str) {
        self.state().token = token.to_owned();
    }

    pub fn set_may_decrypt(&self, may: bool) {
        self.state().may_decrypt = may;
    }

    /// The next request is answered with this.
    pub fn fail_next(&self, status: u16, retry_after: Option<&'static str>, body: impl Into<String>) {
        self.state().failures.push_back((status, retry_after, body.into()));
    }

    /// `transit/keys/KEY/rotate`, and then `min_decryption_version` set to the new version.
    pub fn rotate_and_forbid_the_old(&self) {
        let mut state = self.state();
        let next = state.versions.len() + 1;
        state.versions.push(version(next));
        state.min_decryption_version = next;
    }

    /// Every request until now.
    pub fn seen(&self) -> Vec<Seen> {
        self.state().seen.clone()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

fn version(number: usize) -> RandomizedNonceKey {
    RandomizedNonceKey::new(&AES_256_GCM, &[u8::try_from(number).unwrap(); 32]).unwrap()
}

async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, state: Arc<Mutex<State>>) {
    // Dropped with this task, which cuts the connections.
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (tls, state) = (tls.clone(), Arc::clone(&state));
        connections.spawn(async move {
            match tls {
                None => connection(stream, state).await,
                // A client that trusts nobody ends the handshake.
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        connection(stream, state).await;
                    }
                }
            }
        });
    }
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin, state: Arc<Mutex<State>>) {
    let service = service_fn(|request: Request<Incoming>| async {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let path = head.uri.path().to_owned();
        let seen = Seen { path, headers: head.headers, body: String::from_utf8(body.to_vec()).unwrap() };
        Ok::<_, Infallible>(answer(&mut state.lock().unwrap(), &head.method, &seen))
    });
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

fn answer(state: &mut State, method: &Method, seen: &Seen) -> Response<Full<Bytes>> {
    state.seen.push(seen.clone());
    if let Some((status, retry_after, body)) = state.failures.pop_front() {
        let mut response = Response::builder().status(status);
        if let Some(seconds) = retry_after {
            response = response.header("retry-after", seconds);
        }
        return response.body(Full::new(body.into())).unwrap();
    }
    let (status, document) = match operate(state, method, seen) {
        Ok(data) => {
            let document = json!({
                "request_id": "ab00ba0f-9e45-0aca-e3c1-7765fd83fc3c", "lease_id": "", "renewable": false,
                "lease_duration": 0, "data": data, "wrap_info": null, "warnings": null, "auth": null,
            });
            (StatusCode::OK, document)
        }
        Err((status, error)) => (StatusCode::from_u16(status).unwrap(), json!({ "errors": [error] })),
    };
    let response = Response::builder().status(status).header("content-type", "application/json");
    response.body(Full::new(document.to_string().into())).unwrap()
}

fn operate(state: &State, method: &Method, seen: &Seen) -> Result<Value, (u16, &'static str)> {
    if state.sealed {
        return Err((503, "Vault is sealed"));
    }
    if seen.headers.get("x-vault-token").is_none_or(|token| token != state.token.as_str()) {
        return Err((403, "permission denied"));
    }
    if method != Method::POST && method != Method::PUT {
        return Err((405, "unsupported operation"));
    }
    let body: Value = serde_json::from_str(&seen.body).map_err(|_| (400, "failed to parse JSON input"))?;
    let text = |field: &str| body[field].as_str().map(str::to_owned);
    let Some(rest) = seen.path.strip_prefix("/v1/transit/") else {
        return Err((404, "no handler for route. route entry not found."));
    };
    match rest.split_once('/') {
        Some(("encrypt" | "decrypt", key)) if key != KEY => Err((400, "encryption key not found")),
        Some(("encrypt", _)) => {
            let mut bytes = STANDARD
                .decode(text("plaintext").ok_or((400, "missing plaintext to encrypt"))?)
                .map_err(|_| (400, "failed to base64-decode plaintext"))?;
            let key = state.versions.last().unwrap();
            let nonce = key.seal_in_place_append_tag(Aad::empty(), &mut bytes).unwrap();
            let sealed = STANDARD.encode([nonce.as_ref().as_slice(), &bytes].concat());
            Ok(json!({ "ciphertext": format!("vault:v{}:{sealed}", state.versions.len()) }))
        }
        Some(("decrypt", _)) if !state.may_decrypt => Err((403, "permission denied")),
        Some(("decrypt", _)) => {
            let ciphertext = text("ciphertext").ok_or((400, "missing ciphertext to decrypt"))?;
            let rest = ciphertext.strip_prefix("vault:v").ok_or((400, "invalid ciphertext: no prefix"))?;
            let (number, sealed) = rest.split_once(':').ok_or((400, "invalid ciphertext: no version"))?;
            let number: usize = number.parse().map_err(|_| (400, "invalid ciphertext: version"))?;
            if number < state.min_decryption_version {
                return Err((400, "ciphertext or signature version is disallowed by policy (too old)"));
            }
            let sealed = STANDARD.decode(sealed).map_err(|_| (400, "invalid ciphertext: base64"))?;
            let (nonce, rest) = sealed.split_at(NONCE_LEN);
            let mut bytes = rest.to_vec();
            let nonce = Nonce::try_assume_unique_for_key(nonce).unwrap();
            let key = &state.versions[number - 1];
            let opened = key.open_in_place(nonce, Aad::empty(), &mut bytes);
            let opened = opened.map_err(|_| (400, "cipher: message authentication failed"))?;
            Ok(json!({ "plaintext": STANDARD.encode(opened) }))
        }
        _ => Err((404, "unsupported path")),
    }
}
