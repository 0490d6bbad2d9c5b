//! KeyService: what operators do with keys, and what they are refused.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use tokend::{
    keys::SharedSecret,
    model::{Algorithm, KeyState},
    proto::v1::{self, import_key_request::Material},
    store::{self, Location},
};
use tonic::Code;

use crate::{
    counting_store::CountingStore,
    forge::b64,
    harness::{
        ISSUER, START, TestClient, TestServer, accepted, assert_refused, fields, for_alice, manual_clock,
        settings,
    },
    key_calls::{DAY, import, issue, kid, list, published, revoke, rotate},
};

#[tokio::test]
async fn a_revoked_key_ends_at_once_and_the_next_one_signs() {
    let server = TestServer::start().await;
    let token = issue(&server).await;
    let next = kid(&server, KeyState::Pending).await.unwrap();
    let revoked = accepted(revoke(&server, &token.key_id).await);
    assert_eq!(revoked.state(), v1::KeyState::Revoked);
    assert_eq!(
        (revoked.revoke_time.unwrap().seconds, revoked.revoke_reason.as_str(), revoked.revoked_by.as_str()),
        (START, "found in a log", "root")
    );
    assert_refused(server.root.check(&token.access_token).await, Code::InvalidArgument, "TOKEN_REVOKED");
    let new = issue(&server).await;
    assert_eq!(new.key_id, next);
    accepted(server.root.check(&new.access_token).await);
    let set = published(&server).await;
    assert!(!set.contains(&token.key_id) && set.contains(&next) && set.len() == 2, "{set:?}");
    let stored = server.store.keys().await.unwrap().get(&token.key_id).cloned().unwrap();
    assert_eq!(stored.sealed, None, "the private half is erased");
    // Once more is the same, and changes nothing of who and when.
    server.clock.advance(60);
    assert_eq!(accepted(revoke(&server, &token.key_id).await), revoked);
    // Nobody forgets it.
    server.clock.advance(400 * DAY);
    server.rounds.make().await.unwrap();
    assert!(list(&server).await.iter().any(|key| key.key_id == token.key_id));
    assert_refused(server.root.check(&token.access_token).await, Code::InvalidArgument, "TOKEN_REVOKED");
}

#[tokio::test]
async fn a_revoked_key_ends_at_every_replica_that_is_told() {
    let store = store::open(&Location::Memory).await.unwrap();
    let clock = manual_clock();
    let one = TestServer::on(store.clone(), settings(), clock.clone()).await;
    let two = TestServer::on(store.clone(), settings(), clock.clone()).await;
    let token = issue(&two).await;
    accepted(revoke(&one, &token.key_id).await);
    // The store tells of it: without anybody's round the other one comes to know.
    loop {
        match two.root.check(&token.access_token).await {
            Ok(_) => tokio::task::yield_now().await,
            refused => {
                assert_refused(refused, Code::InvalidArgument, "TOKEN_REVOKED");
                break;
            }
        }
    }
    assert_ne!(issue(&two).await.key_id, token.key_id);
}

#[tokio::test]
async fn keys_may_be_revoked_in_every_state() {
    let server = TestServer::start().await;
    let first = issue(&server).await;
    let pending = kid(&server, KeyState::Pending).await.unwrap();
    accepted(revoke(&server, &pending).await);
    let another = kid(&server, KeyState::Pending).await.unwrap();
    assert_ne!(another, pending, "a fresh one takes its place");
    assert_eq!(issue(&server).await.key_id, first.key_id);
    rotate(&server, true).await;
    accepted(server.root.check(&first.access_token).await);
    accepted(revoke(&server, &first.key_id).await);
    assert_refused(server.root.check(&first.access_token).await, Code::InvalidArgument, "TOKEN_REVOKED");
    assert_eq!(issue(&server).await.key_id, another);
    // All that there are, one after the other: somebody always signs.
    for _ in 0..3 {
        let active = kid(&server, KeyState::Active).await.unwrap();
        accepted(revoke(&server, &active).await);
        let token = issue(&server).await;
        assert_ne!(token.key_id, active);
        accepted(server.root.check(&token.access_token).await);
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_named() {
    let server = TestServer::start().await;
    let revoke = async |key_id: &str, reason: &str, request_id: &str| {
        let request = v1::RevokeKeyRequest {
            key_id: key_id.to_owned(),
            reason: reason.to_owned(),
            request_id: request_id.to_owned(),
        };
        server.root.keys().revoke_key(server.root.request(request)).await
    };
    assert_refused(revoke("unknown", "leaked", "").await, Code::NotFound, "KEY_NOT_FOUND");
    let status = assert_refused(revoke("a b", "", "x").await, Code::InvalidArgument, "FIELD_INVALID");
    assert_eq!(fields(&status), ["request_id", "reason", "key_id"]);
    for reason in ["a\nb".to_owned(), "x".repeat(257)] {
        let status = assert_refused(revoke("k", &reason, "").await, Code::InvalidArgument, "FIELD_INVALID");
        assert_eq!(fields(&status), ["reason"]);
    }
    let request = v1::CreateKeyRequest { algorithm: "none".to_owned(), request_id: "x".to_owned() };
    let answer = server.root.keys().create_key(server.root.request(request)).await;
    let status = assert_refused(answer, Code::InvalidArgument, "FIELD_INVALID");
    assert_eq!(fields(&status), ["request_id", "algorithm"]);
    let request = v1::RotateKeysRequest { algorithm: "es256".to_owned(), ..Default::default() };
    let answer = server.root.keys().rotate_keys(server.root.request(request)).await;
    assert_refused(answer, Code::InvalidArgument, "FIELD_INVALID");
    let request = v1::ListKeysRequest { page_size: -1, page_token: "?".to_owned(), trusted: false };
    let answer = server.root.keys().list_keys(server.root.request(request)).await;
    let status = assert_refused(answer, Code::InvalidArgument, "FIELD_INVALID");
    assert_eq!(fields(&status), ["page_size", "page_token"]);
    let nothing = import(&server, v1::ImportKeyRequest::default()).await;
    let status = assert_refused(nothing, Code::InvalidArgument, "FIELD_INVALID");
    assert_eq!(fields(&status), ["material"]);
    let usage = v1::ImportKeyRequest { usage: 7, ..public("a") };
    let status = assert_refused(import(&server, usage).await, Code::InvalidArgument, "FIELD_INVALID");
    assert_eq!(fields(&status), ["usage"]);
}

#[tokio::test]
async fn keys_are_for_those_who_may() {
    let server = TestServer::start().await;
    let caller = server
        .client(v1::Client {
            permissions: Some(v1::Permissions {
                methods: vec!["TokenService/*".to_owned(), "KeyService/ListKeys".to_owned()],
                ..Default::default()
            }),
            ..Default::default()
        })
        .await;
    accepted(caller.keys().list_keys(caller.request(v1::ListKeysRequest::default())).await);
    macro_rules! denied {
        ($client:expr, $code:expr, $reason:expr, $($method:ident: $request:ident),+ $(,)?) => {$(
            // What is wrong with the request is for those to hear who may make it.
            let request = $client.request(v1::$request::default());
            assert_refused($client.keys().$method(request).await, $code, $reason);
        )+};
    }
    denied!(caller, Code::PermissionDenied, "METHOD_NOT_ALLOWED", create_key: CreateKeyRequest,
        import_key: ImportKeyRequest, rotate_keys: RotateKeysRequest, revoke_key: RevokeKeyRequest);
    let nobody = TestClient { secret: None, ..caller.clone() };
    denied!(nobody, Code::Unauthenticated, "CREDENTIALS_MISSING", list_keys: ListKeysRequest,
        create_key: CreateKeyRequest, import_key: ImportKeyRequest, rotate_keys: RotateKeysRequest,
        revoke_key: RevokeKeyRequest);
}

#[tokio::test]
async fn keys_are_listed_by_the_page() {
    let server = TestServer::start().await;
    for _ in 0..3 {
        server.clock.advance(1);
        rotate(&server, true).await;
    }
    let all = list(&server).await;
    assert_eq!(all.len(), 5);
    for size in 1..6 {
        let (mut paged, mut page_token) = (Vec::new(), String::new());
        loop {
            let request =
                server.root.request(v1::ListKeysRequest { page_size: size, page_token, trusted: false });
            let page = accepted(server.root.keys().list_keys(request).await).into_inner();
            assert!(page.keys.len() <= usize::try_from(size).unwrap());
            paged.extend(page.keys);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(paged, all, "{size} on a page");
    }
}

#[tokio::test]
async fn a_fresh_key_takes_the_place_of_the_pending_one() {
    let server = TestServer::start().await;
    let pending = kid(&server, KeyState::Pending).await.unwrap();
    let request = server.root.request(v1::CreateKeyRequest::default());
    let made = accepted(server.root.keys().create_key(request).await).into_inner().key.unwrap();
    assert_eq!((made.state(), made.algorithm.as_str()), (v1::KeyState::Pending, "ES256"));
    assert_eq!(kid(&server, KeyState::Pending).await.unwrap(), made.key_id);
    assert!(!published(&server).await.contains(&pending));
    // Of an algorithm that nobody has asked for yet.
    let request =
        server.root.request(v1::CreateKeyRequest { algorithm: "EdDSA".to_owned(), ..Default::default() });
    let eddsa = accepted(server.root.keys().create_key(request).await).into_inner().key.unwrap();
    assert_eq!(eddsa.activate_time.unwrap().seconds, START + DAY + 120);
    assert!(published(&server).await.contains(&eddsa.key_id));
    server.clock.advance(DAY + 120);
    server.rounds.make().await.unwrap();
    let set = server.store.keys().await.unwrap();
    assert_eq!(set.active(Algorithm::EdDsa).unwrap().key_id.as_str(), eddsa.key_id);
    assert_eq!(set.pending(Algorithm::EdDsa), None, "it is not renewed: the settings do not name it");
}

#[tokio::test]
async fn a_secret_that_others_share_does_not_rotate() {
    let server = TestServer::with(|settings| {
        settings.keys.algorithms = vec![Algorithm::Es256, Algorithm::Hs256];
        settings.keys.shared_secret = Some(SharedSecret(vec![7; 32].into()));
    })
    .await;
    let hs256 = || v1::RotateKeysRequest { algorithm: "HS256".to_owned(), ..Default::default() };
    let answer = server.root.keys().rotate_keys(server.root.request(hs256())).await;
    assert_refused(answer, Code::FailedPrecondition, "KEY_NOT_ROTATABLE");
    server.clock.advance(400 * DAY);
    server.rounds.make().await.unwrap();
    let keys = list(&server).await;
    let shared: Vec<_> = keys.iter().filter(|key| key.algorithm == "HS256").collect();
    assert_eq!(shared.len(), 1);
    assert_eq!((shared[0].state(), shared[0].expire_time), (v1::KeyState::Active, None));
    assert_eq!(shared[0].publish_time, None, "a secret is in no JWK set");
    // It can be revoked; then nobody signs with it, and the same secret is not taken again.
    accepted(revoke(&server, &shared[0].key_id).await);
    let again = v1::ImportKeyRequest {
        material: Some(Material::Secret(vec![7; 32])),
        algorithm: "HS256".to_owned(),
        usage: v1::KeyUsage::VerifyOnly.into(),
        ..Default::default()
    };
    assert_refused(import(&server, again).await, Code::AlreadyExists, "KEY_ALREADY_EXISTS");
}

/// The example public key of RFC 7515 appendix A.3, under this id.
fn public(key_id: &str) -> v1::ImportKeyRequest {
    let jwk = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
    v1::ImportKeyRequest {
        material: Some(Material::JwkJson(jwk.to_owned())),
        key_id: key_id.to_owned(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_key_is_taken_in_once_and_never_again_when_it_was_revoked() {
    let server = TestServer::start().await;
    let taken = accepted(import(&server, public("theirs")).await);
    assert_eq!((taken.state(), taken.usage()), (v1::KeyState::Retired, v1::KeyUsage::VerifyOnly));
    let set = published(&server).await;
    assert!(set.contains(&taken.key_id), "a key of this issuer of before");
    for again in ["theirs", "another-name"] {
        assert_refused(import(&server, public(again)).await, Code::AlreadyExists, "KEY_ALREADY_EXISTS");
    }
    accepted(revoke(&server, "theirs").await);
    assert_refused(import(&server, public("x")).await, Code::AlreadyExists, "KEY_ALREADY_EXISTS");
    let existing = v1::ImportKeyRequest { key_id: set[0].clone(), ..public("") };
    assert_refused(import(&server, existing).await, Code::AlreadyExists, "KEY_ALREADY_EXISTS");
}

/// A JWK set of so many fresh public keys.
fn fresh_set(count: usize) -> v1::ImportKeyRequest {
    let key = || {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point = pair.public_key().as_ref()[1..].to_vec();
        serde_json::json!({"kty": "EC", "crv": "P-256", "x": b64(&point[..32]), "y": b64(&point[32..])})
    };
    let keys: Vec<_> = (0..count).map(|_| key()).collect();
    let set = serde_json::json!({ "keys": keys }).to_string();
    v1::ImportKeyRequest { material: Some(Material::JwkJson(set)), ..Default::default() }
}

#[tokio::test]
async fn keys_that_only_verify_have_an_end_too() {
    let server = TestServer::start().await;
    for _ in 0..8 {
        accepted(import(&server, fresh_set(32)).await);
    }
    assert_refused(import(&server, fresh_set(1)).await, Code::FailedPrecondition, "TOO_MANY_KEYS");
    assert_eq!(published(&server).await.len(), 2 + 256);
    let one = published(&server).await.pop().unwrap();
    accepted(revoke(&server, &one).await);
    accepted(import(&server, fresh_set(1)).await);
}

#[tokio::test]
async fn to_name_this_issuer_is_to_name_none() {
    let server = TestServer::start().await;
    let own = v1::ImportKeyRequest { issuer: ISSUER.to_owned(), ..public("of-before") };
    let taken = accepted(import(&server, own).await);
    assert_eq!(taken.issuer, "");
    assert!(published(&server).await.contains(&taken.key_id));
}

#[tokio::test]
async fn what_needs_the_store_says_so_when_it_is_away() {
    let (server, store) = CountingStore::serve(settings()).await;
    let active = kid(&server, KeyState::Active).await.unwrap();
    store.set_down(true);
    assert_refused(revoke(&server, &active).await, Code::Unavailable, "STORE_UNAVAILABLE");
    let request = server.root.request(v1::RotateKeysRequest::default());
    assert_refused(server.root.keys().rotate_keys(request).await, Code::Unavailable, "STORE_UNAVAILABLE");
    let request = server.root.request(v1::ListKeysRequest::default());
    assert_refused(server.root.keys().list_keys(request).await, Code::Unavailable, "STORE_UNAVAILABLE");
    let token = accepted(server.root.issue(for_alice()).await);
    assert_eq!(token.key_id, active, "nothing was half done");
    store.set_down(false);
    accepted(revoke(&server, &active).await);
}
