//! Whose tokens VerifyToken, BatchVerifyTokens and IntrospectToken accept: this issuer's own, and those of the issuers that the
//! client's permissions allow.

use prost::Message as _;
use serde_json::json;
use tokend::{model::Algorithm, proto::v1};
use tonic::Code;
use tonic_types::pb::ErrorInfo;

use crate::{
    exchanges::{client, texts},
    harness::{ISSUER, START, TestClient, TestServer, accepted, assert_refused, reason, refused},
    made_keys::{made, pem_request, verify_only},
};

const PARTNER: &str = "https://partner.test";

/// A server that has a key of the partner, and a token of the partner about `user:admin` for these audiences.
async fn server(audience: &str) -> (TestServer, String) {
    let server = TestServer::start().await;
    let key = made(Algorithm::Es256);
    let mut request = verify_only(pem_request(key.public_pem(), "ES256"));
    request.issuer = PARTNER.to_owned();
    let request = server.root.request(request);
    let imported = accepted(server.root.keys().import_key(request).await).into_inner().key.unwrap();
    let claims = json!({ "iss": PARTNER, "sub": "user:admin", "aud": audience, "exp": START + 60 });
    let token = key.token(&imported.key_id, &claims);
    (server, token)
}

fn verifies(issuers: &[&str]) -> v1::Permissions {
    v1::Permissions {
        methods: texts(&["TokenService/*"]),
        verify_audiences: texts(&["orders"]),
        verify_issuers: texts(issuers),
        ..Default::default()
    }
}

fn naming(token: &str, issuers: &[&str]) -> v1::VerifyTokenRequest {
    v1::VerifyTokenRequest { token: token.to_owned(), issuers: texts(issuers), ..Default::default() }
}

/// What each of the three methods answers about the token: the reason of a refusal, or none.
async fn answers(caller: &TestClient, token: &str, issuers: &[&str]) -> [Option<String>; 2] {
    let verified = caller.verify(naming(token, issuers)).await.err().map(|status| reason(&status));
    let requests = vec![naming(token, issuers)];
    let request = caller.request(v1::BatchVerifyTokensRequest { requests });
    let mut batch = accepted(caller.tokens().batch_verify_tokens(request).await).into_inner();
    let batched = match batch.results.remove(0).result.unwrap() {
        v1::batch_verify_tokens_result::Result::Verified(_) => None,
        v1::batch_verify_tokens_result::Result::Error(status) => {
            let info = ErrorInfo::decode(&*status.details[0].value).unwrap();
            Some(info.reason)
        }
    };
    let request =
        v1::IntrospectTokenRequest { token: token.to_owned(), issuers: texts(issuers), ..Default::default() };
    let request = caller.request(request);
    let told = accepted(caller.tokens().introspect_token(request).await).into_inner();
    assert_eq!(told.active, verified.is_none());
    [verified, batched]
}

#[tokio::test]
async fn a_partners_token_is_for_those_that_may_verify_it() {
    let (server, theirs) = server("orders").await;
    let ours = server.root.token().await;
    let good = || [None, None];
    let other = || [Some("TOKEN_ISSUER_MISMATCH".to_owned()), Some("TOKEN_ISSUER_MISMATCH".to_owned())];
    let plain = client(&server, "plain", verifies(&[])).await;
    assert_eq!(answers(&plain, &theirs, &[]).await, other());
    assert_eq!(answers(&plain, &ours, &[]).await, good());
    // A request narrows, and never widens.
    assert_eq!(answers(&plain, &theirs, &[PARTNER]).await, other());
    assert_eq!(answers(&plain, &ours, &[ISSUER]).await, good());
    assert_eq!(answers(&plain, &ours, &[PARTNER]).await, other());
    for patterns in [&[PARTNER][..], &["https://partner.*"], &["*"]] {
        let name = format!("partners-{}", patterns[0].len());
        let partners = client(&server, &name, verifies(patterns)).await;
        assert_eq!(answers(&partners, &theirs, &[]).await, good(), "{patterns:?}");
        assert_eq!(answers(&partners, &ours, &[]).await, good(), "{patterns:?}");
        assert_eq!(answers(&partners, &theirs, &[ISSUER]).await, other(), "{patterns:?}");
        assert_eq!(answers(&partners, &theirs, &[ISSUER, PARTNER]).await, good(), "{patterns:?}");
    }
    let elsewhere = client(&server, "elsewhere", verifies(&["https://partner.test/a"])).await;
    assert_eq!(answers(&elsewhere, &theirs, &[]).await, other());
}

#[tokio::test]
async fn the_issuer_is_looked_at_before_the_audience() {
    let (server, theirs) = server("stock").await;
    let plain = client(&server, "plain", verifies(&[])).await;
    assert_refused(plain.verify(naming(&theirs, &[])).await, Code::InvalidArgument, "TOKEN_ISSUER_MISMATCH");
    let partners = client(&server, "partners", verifies(&["*"])).await;
    let answer = partners.verify(naming(&theirs, &[])).await;
    assert_refused(answer, Code::InvalidArgument, "TOKEN_AUDIENCE_MISMATCH");
}

#[tokio::test]
async fn what_a_request_may_name_is_bounded() {
    let (server, theirs) = server("orders").await;
    for issuers in [vec![String::new()], vec!["a".repeat(256)], vec!["a".to_owned(); 17]] {
        let request = v1::VerifyTokenRequest { token: theirs.clone(), issuers, ..Default::default() };
        let status = refused(server.root.verify(request).await);
        assert_eq!(reason(&status), "FIELD_INVALID");
    }
}
