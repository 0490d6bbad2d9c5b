//! HMAC secrets from elsewhere: they sign and verify, and nothing ever shows them.

use aws_lc_rs::rand::{SystemRandom, generate};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE},
};
use prost::Message;
use serde_json::json;
use tokend::{
    model::Algorithm,
    proto::v1::{self, KeyState, KeyUsage, WatchTrustBundleRequest, watch_trust_bundle_response::Update},
};
use tonic::Code;

use crate::{
    forge::b64,
    harness::{ISSUER, TestServer, accepted, assert_refused},
    import::{by_audience, payload_of, sign_with},
    key_calls::{import, list, published, revoke},
    made_keys::{jwk_request, secret_request, token, verify_only},
};

const HMAC: [Algorithm; 3] = [Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512];

fn secret() -> [u8; 64] {
    generate(&SystemRandom::new()).unwrap().expose()
}

#[tokio::test]
async fn a_secret_signs_and_what_others_signed_with_it_verifies() {
    let server = by_audience().await;
    for algorithm in HMAC {
        let secret = secret();
        let key = accepted(import(&server, secret_request(secret, algorithm.name())).await);
        assert_eq!((key.state(), key.usage()), (KeyState::Pending, KeyUsage::SignAndVerify));
        sign_with(&server, algorithm, &key.key_id).await;
        let outside = token(algorithm, &secret, &key.key_id, &payload_of(ISSUER));
        accepted(server.root.check(&outside).await);
        let guessed = token(algorithm, &[7; 64], &key.key_id, &payload_of(ISSUER));
        assert_refused(server.root.check(&guessed).await, Code::InvalidArgument, "TOKEN_SIGNATURE_INVALID");
    }
}

#[tokio::test]
async fn secrets_that_verify_only() {
    let server = TestServer::start().await;
    for (algorithm, issuer) in HMAC.into_iter().zip(["", "https://other.example", ""]) {
        let secret = secret();
        let jwk = json!({"kty": "oct", "alg": algorithm.name(), "kid": algorithm.name(), "k": b64(secret)});
        let request = v1::ImportKeyRequest { issuer: issuer.to_owned(), ..jwk_request(&jwk) };
        let key = accepted(import(&server, verify_only(request)).await);
        assert_eq!(
            (key.key_id.as_str(), key.state(), key.usage(), key.issuer.as_str()),
            (algorithm.name(), KeyState::Retired, KeyUsage::VerifyOnly, issuer)
        );
        let issuer = if issuer.is_empty() { ISSUER } else { issuer };
        let good = token(algorithm, &secret, &key.key_id, &payload_of(issuer));
        accepted(server.root.check(&good).await);
        let wrong = token(algorithm, &secret, &key.key_id, &payload_of("https://third.example"));
        assert_refused(server.root.check(&wrong).await, Code::InvalidArgument, "TOKEN_ISSUER_MISMATCH");
        let signs = server.root.issue(v1::IssueTokenRequest {
            audiences: vec!["orders".to_owned()],
            ..crate::harness::for_alice()
        });
        assert_ne!(accepted(signs.await).key_id, key.key_id);
    }
}

#[tokio::test]
async fn nothing_shows_a_secret() {
    let server = by_audience().await;
    let (signs, verifies) = (secret(), secret());
    let before = published(&server).await;
    let mut answers = Vec::new();
    let mut keep = |answer: Vec<u8>| answers.push(answer);

    let import = async |request| {
        let answer = server.root.keys().import_key(server.root.request(request)).await;
        accepted(answer).into_inner()
    };
    let one = import(secret_request(signs, "HS256")).await;
    let jwk = json!({"keys": [{"kty": "oct", "alg": "HS512", "kid": "theirs", "k": b64(verifies)}]});
    let two = import(verify_only(jwk_request(&jwk))).await;
    let kid = one.key.clone().unwrap().key_id;
    keep(one.encode_to_vec());
    keep(two.encode_to_vec());
    keep(sign_with(&server, Algorithm::Hs256, &kid).await.into_bytes());

    let root = &server.root;
    let answer = root.keys().list_keys(root.request(v1::ListKeysRequest::default())).await;
    keep(accepted(answer).into_inner().encode_to_vec());
    let create = v1::CreateKeyRequest { algorithm: "HS256".to_owned(), ..Default::default() };
    keep(accepted(root.keys().create_key(root.request(create)).await).into_inner().encode_to_vec());
    let rotate = v1::RotateKeysRequest { algorithm: "HS256".to_owned(), ..Default::default() };
    keep(accepted(root.keys().rotate_keys(root.request(rotate)).await).into_inner().encode_to_vec());
    for key_id in [kid.as_str(), "theirs"] {
        keep(accepted(revoke(&server, key_id).await).encode_to_vec());
    }
    assert!(list(&server).await.len() >= 4, "they are there");

    let bundle = root.trust().get_trust_bundle(v1::GetTrustBundleRequest::default()).await;
    keep(accepted(bundle).into_inner().encode_to_vec());
    let watch = tokio_stream::once(WatchTrustBundleRequest::default());
    let mut watch = accepted(root.trust().watch_trust_bundle(watch).await).into_inner();
    loop {
        let answer = accepted(watch.message().await).unwrap();
        keep(answer.encode_to_vec());
        if matches!(answer.update, Some(Update::SnapshotEnd(_))) {
            break;
        }
    }
    assert_eq!(published(&server).await, before);
    for path in ["/.well-known/jwks.json", "/.well-known/openid-configuration", "/metrics", "/readyz"] {
        let (_, headers, body) = server.get(path).await;
        keep(format!("{headers}{body}").into_bytes());
    }

    for secret in [signs, verifies] {
        let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut forms = vec![secret.to_vec(), hex.to_uppercase().into_bytes(), hex.into_bytes()];
        forms.extend([STANDARD.encode(secret), STANDARD_NO_PAD.encode(secret)].map(String::into_bytes));
        forms.extend([URL_SAFE.encode(secret), b64(secret)].map(String::into_bytes));
        for answer in &answers {
            for form in &forms {
                // A piece of it would be too much.
                let piece = &form[..24];
                assert!(
                    !answer.windows(piece.len()).any(|window| window == piece),
                    "{}",
                    String::from_utf8_lossy(answer)
                );
            }
        }
    }
}
