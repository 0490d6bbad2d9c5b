//! Keys: sealed, shared by replicas, read without the store.

use std::{sync::Arc, time::Duration};

use tokend::{
    clock::Clock,
    keys::{KeySettings, SealingKey, SealingSettings, SharedSecret},
    model::Algorithm,
    server::Server,
    store::{self, Location, Store},
};
use tonic::Code;

use crate::{
    counting_store::CountingStore,
    forge::{Forge, payload},
    harness::{SEALING_KEY, START, TestClient, TestServer, accepted, assert_refused, manual_clock, settings},
    store_backends::{ensure_key, key},
};

#[tokio::test]
async fn issuing_and_verifying_never_ask_the_store() {
    let (server, store) = CountingStore::serve(settings()).await;
    let before = store.calls();
    for _ in 0..200 {
        let token = server.root.token().await;
        accepted(server.root.check(&token).await);
        let tampered = format!("{token}AAAA");
        assert_refused(server.root.check(&tampered).await, Code::InvalidArgument, "TOKEN_SIGNATURE_INVALID");
        let nobody = TestClient { secret: None, ..server.root.clone() };
        assert_refused(nobody.check(&token).await, Code::Unauthenticated, "CREDENTIALS_MISSING");
    }
    assert_eq!(store.calls(), before, "800 calls reached the store");
}

#[tokio::test]
async fn issuing_and_verifying_survive_the_store() {
    let (server, store) = CountingStore::serve(settings()).await;
    store.set_down(true);
    let token = server.root.token().await;
    accepted(server.root.check(&token).await);
    // What needs the store says so, and never that the caller or the token is bad.
    let list = server.root.request(tokend::proto::v1::ListClientsRequest::default());
    let answer = server.root.clients().list_clients(list).await;
    assert_refused(answer, Code::Unavailable, "STORE_UNAVAILABLE");
    let elsewhere = unknown_kid(&server, "elsewhere").await;
    assert_refused(server.root.check(&elsewhere).await, Code::Unavailable, "STORE_UNAVAILABLE");
    store.set_down(false);
    assert_refused(server.root.check(&elsewhere).await, Code::InvalidArgument, "TOKEN_KEY_UNKNOWN");
}

/// A token whose key is not in the ring.
async fn unknown_kid(server: &TestServer, kid: &str) -> String {
    let forge = Forge::of(&*store_of(server).await).await;
    let header = forge.header(Algorithm::Es256).replace(forge.kid(Algorithm::Es256), kid);
    forge.sign(Algorithm::Es256, header, payload().to_string())
}

/// A store with a key to forge with, for when the server's own is down.
async fn store_of(_: &TestServer) -> Arc<Store> {
    let store = store::open(&Location::Memory).await.unwrap();
    let clock = manual_clock();
    Server::with_store(settings(), store.clone(), clock).await.unwrap();
    store
}

#[tokio::test]
async fn replicas_on_one_store_make_one_key_and_verify_each_others_tokens() {
    let store = store::open(&Location::Memory).await.unwrap();
    let clock = manual_clock();
    let start = || TestServer::on(store.clone(), settings(), clock.clone());
    let (one, two) = tokio::join!(start(), start());
    assert_eq!(store.keys().await.unwrap().keys.len(), 2, "one that signs, and the next");
    // A client that exists before the third replica starts is known there at once.
    let second = start().await;
    let client = second.client(caller()).await;
    let three = start().await;
    let token = TestClient::new(three.grpc, client.secret.clone()).await.token().await;
    accepted(TestClient::new(three.grpc, client.secret.clone()).await.check(&token).await);
    drop((one, two, second));
}

fn caller() -> tokend::proto::v1::Client {
    tokend::proto::v1::Client {
        permissions: Some(tokend::proto::v1::Permissions {
            methods: vec!["TokenService/*".to_owned()],
            audiences: vec!["orders".to_owned()],
            subjects: vec!["*".to_owned()],
            scopes: vec!["*".to_owned()],
            verify_audiences: vec!["orders".to_owned()],
            ..Default::default()
        }),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_key_that_another_replica_made_is_found_by_its_first_token() {
    let store = store::open(&Location::Memory).await.unwrap();
    let clock = manual_clock();
    let server = TestServer::on(store.clone(), settings(), clock.clone()).await;
    // Another replica, started with one algorithm more, makes a key for it.
    let mut more = settings();
    more.keys.algorithms.push(Algorithm::EdDsa);
    Server::with_store(more, store.clone(), clock).await.unwrap();
    let forge = Forge::of(&store).await;
    let token = forge.sign(Algorithm::EdDsa, forge.header(Algorithm::EdDsa), payload().to_string());
    accepted(server.root.check(&token).await);
}

#[tokio::test]
async fn a_restart_keeps_the_key_and_its_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokend.db");
    let location = Location::Sqlite(path.clone());
    let open = async || store::open(&location).await.unwrap();
    let mut server = TestServer::on(open().await, settings(), manual_clock()).await;
    let token = server.root.token().await;
    let kept = server.client(caller()).await.secret;
    let keys = server.store.keys().await.unwrap();
    server.begin_stop();
    server.stopped().await;

    let server = TestServer::on(open().await, settings(), manual_clock()).await;
    assert_eq!(server.store.keys().await.unwrap(), keys);
    accepted(server.root.check(&token).await);
    let client = TestClient::new(server.grpc, kept).await;
    accepted(client.check(&token).await);
    // What the file holds of the key is sealed.
    let private = crate::forge::unseal(&keys.keys[0]);
    let file = std::fs::read(&path).unwrap();
    assert!(!file.windows(32).any(|window| private.windows(32).any(|secret| secret == window)));
}

async fn refusal(store: &Arc<Store>, keys: KeySettings) -> String {
    let settings = tokend::server::Settings { keys, ..settings() };
    let clock = manual_clock();
    match Server::with_store(settings, store.clone(), clock).await {
        Ok(_) => panic!("the server started"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn a_wrong_sealing_key_is_one_clear_error_and_changes_nothing() {
    let store = store::open(&Location::Memory).await.unwrap();
    Server::with_store(settings(), store.clone(), manual_clock()).await.unwrap();
    let before = (store.keys().await.unwrap(), store.change_sequence().await.unwrap());
    let wrong = KeySettings {
        sealing: SealingSettings::only(SealingKey::generate().unwrap()),
        // Even with a key still to be made, nothing is.
        algorithms: vec![Algorithm::Es256, Algorithm::EdDsa],
        ..settings().keys
    };
    let error = refusal(&store, wrong).await;
    assert!(error.contains("`sealing_key`") && error.contains("does not open"), "{error}");
    assert!(error.contains(before.0.keys[0].key_id.as_str()), "{error}");
    assert_eq!((store.keys().await.unwrap(), store.change_sequence().await.unwrap()), before);
}

#[tokio::test]
async fn a_store_whose_only_key_is_damaged_is_refused() {
    let store = store::open(&Location::Memory).await.unwrap();
    let mut damaged = key("damaged", START);
    damaged.sealed = Some(vec![1; 200]);
    ensure_key(&store, &damaged).await.unwrap();
    let error = refusal(&store, settings().keys).await;
    assert!(error.contains("damaged"), "{error}");
}

#[tokio::test]
async fn a_shared_secret_is_kept_and_must_fit() {
    let secret = |byte: u8, length| Some(SharedSecret(zeroize::Zeroizing::new(vec![byte; length])));
    let with = |algorithms: &[Algorithm], shared_secret| KeySettings {
        algorithms: algorithms.to_vec(),
        shared_secret,
        sealing: SealingSettings::only(SealingKey::parse(SEALING_KEY).unwrap()),
        ..settings().keys
    };
    use Algorithm::{Es256, Hs256, Hs512};
    let store = store::open(&Location::Memory).await.unwrap();
    for (keys, problem) in [
        (with(&[Es256], secret(1, 32)), "exactly one of HS256, HS384 and HS512"),
        (with(&[Hs256, Hs512], secret(1, 64)), "exactly one of HS256, HS384 and HS512"),
        (with(&[Es256, Hs256], secret(1, 31)), "at least 32 bytes"),
        (with(&[Hs512], secret(1, 63)), "at least 64 bytes"),
    ] {
        let error = refusal(&store, keys).await;
        assert!(error.contains("`shared_secret`") && error.contains(problem), "{error}");
    }
    assert_eq!(store.keys().await.unwrap().keys, [], "nothing was made on the way");

    let start = |keys| {
        let settings = tokend::server::Settings { keys, ..settings() };
        Server::with_store(settings, store.clone(), manual_clock())
    };
    start(with(&[Es256, Hs256], secret(1, 32))).await.unwrap();
    let kept = store.keys().await.unwrap();
    start(with(&[Es256, Hs256], secret(1, 32))).await.unwrap();
    start(with(&[Es256, Hs256], None)).await.unwrap();
    assert_eq!(store.keys().await.unwrap(), kept, "the same secret, the same key");
    let error = refusal(&store, with(&[Es256, Hs256], secret(2, 32))).await;
    assert!(
        error.contains("`shared_secret`") && error.contains("is not the secret of the stored"),
        "{error}"
    );
    assert_eq!(store.keys().await.unwrap(), kept);
}

#[tokio::test]
async fn the_clock_is_the_servers_own() {
    let server = TestServer::start().await;
    let token = server.root.token().await;
    server.clock.advance(899);
    accepted(server.root.check(&token).await);
    server.clock.advance(1);
    assert_eq!(server.clock.now().seconds(), START + 900);
    assert_refused(server.root.check(&token).await, Code::InvalidArgument, "TOKEN_EXPIRED");
    // Per call, up to the cap.
    let with_leeway = |seconds| tokend::proto::v1::VerifyTokenRequest {
        token: token.clone(),
        audiences: vec!["orders".to_owned()],
        leeway: crate::harness::seconds(seconds),
        ..Default::default()
    };
    let lenient = accepted(server.root.verify(with_leeway(1)).await);
    assert_eq!(lenient.cache_ttl, crate::harness::seconds(0), "an answer for an expired token is not kept");
    assert_refused(server.root.verify(with_leeway(0)).await, Code::InvalidArgument, "TOKEN_EXPIRED");
    for wrong in [-1, 61, i64::MAX] {
        assert_refused(server.root.verify(with_leeway(wrong)).await, Code::InvalidArgument, "FIELD_INVALID");
    }
    server.clock.advance(60);
    assert_refused(server.root.verify(with_leeway(60)).await, Code::InvalidArgument, "TOKEN_EXPIRED");
    let server = TestServer::with(|settings| settings.verify.leeway = Duration::from_secs(10)).await;
    let token = server.root.token().await;
    server.clock.advance(909);
    accepted(server.root.check(&token).await);
    server.clock.advance(1);
    assert_refused(server.root.check(&token).await, Code::InvalidArgument, "TOKEN_EXPIRED");
}

#[tokio::test]
async fn an_answer_says_how_long_it_may_be_reused() {
    let server = TestServer::start().await;
    let token = server.root.token().await;
    let ttl = async || accepted(server.root.check(&token).await).cache_ttl;
    assert_eq!(ttl().await, crate::harness::seconds(30));
    server.clock.advance(890);
    assert_eq!(ttl().await, crate::harness::seconds(10), "never beyond the token's expiry");
}
