//! Verification offline, warm and cold, and the signature check alone: `cargo bench -p tokend-client`.
//!
//! The aims: a token in the cache at most 1 us; another one at most 1.2 times its signature check.

#![expect(clippy::expect_used, reason = "a benchmark without its parts cannot run")]

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    pin::pin,
    sync::{Arc, LazyLock},
    task::{Context, Poll, Waker},
    thread,
};

use divan::Bencher;
use tokend_client::{Clock as _, SystemClock, Verifier};
use tokend_jose::{Algorithm, KeyMaterial, PublicKey, Signer, TokenType, encode_header, join};

const ISSUER: &str = "https://id.example.com";

fn main() {
    LazyLock::force(&SCENE);
    divan::main();
}

static SCENE: LazyLock<Scene> = LazyLock::new(Scene::new);

struct Scene {
    key: PublicKey,
    token: String,
    warm: Verifier,
    cold: Verifier,
}

impl Scene {
    fn new() -> Self {
        let algorithm = Algorithm::Es256;
        let pkcs8 = KeyMaterial::generate(algorithm).expect("a key");
        let material = Arc::new(KeyMaterial::parse(algorithm, &pkcs8).expect("a key"));
        let key = material.public_key(algorithm).expect("a public key");
        let key_id = key.thumbprint();
        let jwk = serde_json::to_string(&key.published(&key_id)).expect("a JWK");
        let now = SystemClock.now().seconds();
        // As long as tokend writes them.
        let claims = serde_json::json!({
            "iss": ISSUER, "sub": "alice", "aud": "orders", "exp": now + 3600, "nbf": now, "iat": now,
            "jti": "AAAAAAAAAAAAAAAAAAAAAA", "client_id": "shop", "scope": "orders.read orders.write",
        });
        let header = encode_header(algorithm, &key_id, TokenType::Jwt);
        let signer = Signer::in_memory(algorithm, material);
        let token =
            join(&header, claims.to_string().as_bytes(), |input| signer.sign(input)).expect("a token");
        let url = serve(format!(r#"{{"keys":[{jwk}]}}"#));
        let verifier = || Verifier::jwk_set(&url).issuer(ISSUER).audience("orders");
        let warm = verifier().build().expect("a verifier");
        let cold = verifier().cache_bytes(0).build().expect("a verifier");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            warm.verify(&token).await.expect("a good token");
            cold.verify(&token).await.expect("a good token");
        });
        Self { key, token, warm, cold }
    }
}

/// Serves the text over HTTP, and returns its URL.
fn serve(text: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let _ = stream.read(&mut [0; 4096]);
            let length = text.len();
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\ncache-control: max-age=86400\r\ncontent-length: {length}\r\n\r\n{text}"
            );
        }
    });
    format!("http://{address}/jwks.json")
}

/// Verifies without a runtime: with the keys in memory nothing waits.
fn verify(verifier: &Verifier) -> bool {
    let mut verified = pin!(verifier.verify(&SCENE.token));
    matches!(verified.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(_)))
}

#[divan::bench]
fn signature(bencher: Bencher<'_, '_>) {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let (input, signature) = SCENE.token.rsplit_once('.').expect("a token");
    let signature = URL_SAFE_NO_PAD.decode(signature).expect("a signature");
    bencher.bench(|| SCENE.key.verifies(input.as_bytes(), &signature));
}

#[divan::bench]
fn cold() -> bool {
    verify(&SCENE.cold)
}

#[divan::bench]
fn warm() -> bool {
    verify(&SCENE.warm)
}
