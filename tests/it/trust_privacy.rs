//! Who may read the trust bundle, and whether subjects of revocations can be read in it.

use aws_lc_rs::hmac;
use prost::Message as _;
use tokend::{
    grpc::TrustPrivacy,
    model::ClientSecret,
    proto::v1::{
        self, WatchTrustBundleRequest, WatchTrustBundleResponse, revocation::Target,
        revoke_token_request::Target as Revoked, watch_trust_bundle_response::Update,
    },
};
use tokio_stream::StreamExt as _;
use tonic::{Code, Status};

use crate::{
    harness::{TestClient, TestServer, accepted, assert_refused, fields, refused},
    revoke_calls::{revoke, subject},
};

const SALT: &[u8] = b"0123456789abcdef";

async fn server(privacy: TrustPrivacy) -> TestServer {
    TestServer::with(|settings| settings.trust_privacy = privacy).await
}

/// The state, up to its end.
async fn state(
    client: &TestClient,
    first: WatchTrustBundleRequest,
) -> Result<Vec<WatchTrustBundleResponse>, Status> {
    let requests = tokio_stream::once(first).chain(tokio_stream::pending());
    let mut answers = client.trust().watch_trust_bundle(client.request(requests)).await?.into_inner();
    let mut state = Vec::new();
    while let Some(answer) = answers.message().await? {
        if matches!(answer.update, Some(Update::SnapshotEnd(_))) {
            break;
        }
        state.push(answer);
    }
    Ok(state)
}

fn targets(state: Vec<WatchTrustBundleResponse>) -> Vec<Target> {
    let revocations = state.into_iter().filter_map(|answer| match answer.update {
        Some(Update::Revocation(revocation)) => revocation.target,
        _ => None,
    });
    revocations.collect()
}

fn asking(salt: &[u8]) -> WatchTrustBundleRequest {
    WatchTrustBundleRequest { subject_hash_salt: salt.to_vec(), ..Default::default() }
}

/// A subject and a token are revoked.
async fn revoked(server: &TestServer) {
    accepted(revoke(&server.root, subject("alice@example.com", None)).await);
    accepted(revoke(&server.root, Revoked::JwtId("a-token".to_owned())).await);
    // Watches are told of what is complete: keys, clients and revocations up to the same change.
    server.rounds.make().await.unwrap();
}

#[tokio::test]
async fn subjects_are_hashed_for_verifiers_that_ask_for_it() {
    let server = server(TrustPrivacy::default()).await;
    revoked(&server).await;
    let anyone = TestClient::new(server.grpc, None).await;
    let token = Target::JwtId("a-token".to_owned());
    let plain = targets(accepted(state(&anyone, asking(b"")).await));
    assert_eq!(plain, [Target::Subject("alice@example.com".to_owned()), token.clone()]);

    let told = accepted(state(&anyone, asking(SALT)).await);
    let bytes: Vec<u8> = told.iter().flat_map(WatchTrustBundleResponse::encode_to_vec).collect();
    assert!(!bytes.windows(5).any(|window| window == b"alice"), "the subject can be read");
    let hash = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SALT), b"alice@example.com");
    assert_eq!(targets(told), [Target::SubjectHash(hash.as_ref().to_vec()), token]);

    for salt in [&b"short"[..], &[0; 15], &[0; 65]] {
        let status = refused(state(&anyone, asking(salt)).await);
        assert_eq!(fields(&status), ["subject_hash_salt"]);
    }
    let later = [asking(b""), WatchTrustBundleRequest { held_sequence: 1, ..asking(SALT) }];
    let requests = tokio_stream::iter(later).chain(tokio_stream::pending());
    let mut answers = accepted(anyone.trust().watch_trust_bundle(requests).await).into_inner();
    let end = loop {
        match answers.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it ended without an error"),
            Err(status) => break status,
        }
    };
    assert_eq!(fields(&end), ["subject_hash_salt"]);
}

#[tokio::test]
async fn a_server_that_hashes_subjects_sends_none_to_anyone() {
    let server = server(TrustPrivacy { hashes_subjects: true, ..Default::default() }).await;
    revoked(&server).await;
    let anyone = TestClient::new(server.grpc, None).await;
    let status = refused(state(&anyone, asking(b"")).await);
    assert_eq!(
        (status.code(), fields(&status)),
        (Code::InvalidArgument, vec!["subject_hash_salt".to_owned()])
    );
    let told = targets(accepted(state(&anyone, asking(SALT)).await));
    assert!(matches!(told[0], Target::SubjectHash(_)), "{told:?}");
    accepted(anyone.trust().get_trust_bundle(v1::GetTrustBundleRequest {}).await);
}

#[tokio::test]
async fn a_trust_bundle_that_requires_a_credential_is_for_permitted_clients() {
    let server = server(TrustPrivacy { requires_credential: true, ..Default::default() }).await;
    revoked(&server).await;
    let client = |methods: &[&str]| v1::Client {
        client_id: format!("c{}", methods.len()),
        permissions: Some(v1::Permissions {
            methods: methods.iter().map(|method| (*method).to_owned()).collect(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let verifier = server.client(client(&["TrustBundleService/*"])).await;
    let other = server.client(client(&["TokenService/*", "KeyService/*"])).await;
    let operator = v1::Client {
        client_id: "operator".to_owned(),
        permissions: Some(v1::Permissions { roles: vec!["admin".to_owned()], ..Default::default() }),
        ..Default::default()
    };
    let operator = server.client(operator).await;
    let stranger = TestClient::new(server.grpc, None).await;
    let wrong = TestClient::new(server.grpc, Some(ClientSecret::from_text("tkd_c1_wrong"))).await;

    for (caller, code, reason) in [
        (&stranger, Code::Unauthenticated, "CREDENTIALS_MISSING"),
        (&wrong, Code::Unauthenticated, "CREDENTIALS_INVALID"),
        (&other, Code::PermissionDenied, "METHOD_NOT_ALLOWED"),
        (&operator, Code::PermissionDenied, "METHOD_NOT_ALLOWED"),
    ] {
        let request = caller.request(v1::GetTrustBundleRequest {});
        assert_refused(caller.trust().get_trust_bundle(request).await, code, reason);
        assert_refused(state(caller, asking(b"")).await, code, reason);
    }
    let request = verifier.request(v1::GetTrustBundleRequest {});
    accepted(verifier.trust().get_trust_bundle(request).await);
    assert_eq!(targets(accepted(state(&verifier, asking(b"")).await)).len(), 2);
    // The public keys stay public.
    assert_eq!(server.get("/.well-known/jwks.json").await.0, 200);
}
