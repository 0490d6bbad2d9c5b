//! BatchVerifyTokens.

use prost::Message as _;
use tokend::proto::v1::{self, batch_verify_tokens_result::Result as Item};
use tonic::{Code, Status};

use crate::harness::{TestServer, assert_refused, fields, refused};

async fn batch(server: &TestServer, requests: Vec<v1::VerifyTokenRequest>) -> Result<Vec<Item>, Status> {
    let request = server.root.request(v1::BatchVerifyTokensRequest { requests });
    let answer = server.root.tokens().batch_verify_tokens(request).await?.into_inner();
    Ok(answer.results.into_iter().map(|result| result.result.unwrap()).collect())
}

/// The code and reason of an item's error.
pub fn error(item: Item) -> (i32, String) {
    let Item::Error(status) = item else { panic!("verified, though it must be refused") };
    (status.code, reason_of(&status))
}

/// The reason in an item's status.
pub fn reason_of(status: &tonic_types::Status) -> String {
    let info =
        status.details.iter().find(|detail| detail.type_url.ends_with("google.rpc.ErrorInfo")).unwrap();
    let info = tonic_types::pb::ErrorInfo::decode(&*info.value).unwrap();
    assert_eq!(info.domain, "tokend");
    info.reason
}

#[tokio::test]
async fn one_bad_token_never_spoils_the_others() {
    let server = TestServer::start().await;
    let good = server.root.token().await;
    let at_orders = |token: &str| v1::VerifyTokenRequest {
        token: token.to_owned(),
        audiences: vec!["orders".to_owned()],
        ..Default::default()
    };
    let invalid = i32::from(Code::InvalidArgument);
    let results = batch(
        &server,
        vec![
            at_orders(&good),
            at_orders("garbage"),
            at_orders(&format!("{good}AAAA")),
            v1::VerifyTokenRequest { leeway: crate::harness::seconds(-1), ..at_orders(&good) },
            v1::VerifyTokenRequest { required_scopes: vec!["admin".to_owned()], ..at_orders(&good) },
            v1::VerifyTokenRequest { required_scopes: vec!["read".to_owned()], ..at_orders(&good) },
            v1::VerifyTokenRequest { audiences: vec!["billing".to_owned()], ..at_orders(&good) },
        ],
    )
    .await;
    let mut results = results.map_err(|status| status.to_string()).unwrap().into_iter();
    let mut next = || results.next().unwrap();
    let Item::Verified(verified) = next() else { panic!("the first is good") };
    assert_eq!(verified.token_claims.unwrap().subject, "alice");
    assert_eq!(error(next()), (invalid, "TOKEN_MALFORMED".to_owned()));
    assert_eq!(error(next()), (invalid, "TOKEN_SIGNATURE_INVALID".to_owned()));
    assert_eq!(error(next()), (invalid, "FIELD_INVALID".to_owned()));
    assert_eq!(error(next()), (invalid, "TOKEN_SCOPE_INSUFFICIENT".to_owned()));
    assert!(matches!(next(), Item::Verified(_)), "a scope that it has");
    assert_eq!(error(next()), (invalid, "TOKEN_AUDIENCE_MISMATCH".to_owned()));
}

#[tokio::test]
async fn a_batch_has_an_end() {
    let server = TestServer::start().await;
    let good = server.root.token().await;
    let request =
        v1::VerifyTokenRequest { token: good, audiences: vec!["orders".to_owned()], ..Default::default() };
    let full = batch(&server, vec![request.clone(); 100]).await.map_err(|status| status.to_string()).unwrap();
    assert!(full.iter().all(|item| matches!(item, Item::Verified(_))));
    assert_eq!(full.len(), 100);
    let status = refused(batch(&server, vec![request; 101]).await);
    assert_eq!(fields(&status), ["requests"]);
    assert_eq!(batch(&server, vec![]).await.map_err(|status| status.to_string()).unwrap().len(), 0);
}

#[tokio::test]
async fn an_audience_that_the_caller_may_not_ask_about_is_that_items_error() {
    let server = TestServer::start().await;
    let good = server.root.token().await;
    let limited = server
        .client(v1::Client {
            permissions: Some(v1::Permissions {
                methods: vec!["TokenService/BatchVerifyTokens".to_owned()],
                verify_audiences: vec!["orders".to_owned()],
                ..Default::default()
            }),
            ..Default::default()
        })
        .await;
    let at = |audience: &str| v1::VerifyTokenRequest {
        token: good.clone(),
        audiences: vec![audience.to_owned()],
        ..Default::default()
    };
    let request =
        limited.request(v1::BatchVerifyTokensRequest { requests: vec![at("billing"), at("orders")] });
    let results =
        limited.tokens().batch_verify_tokens(request).await.map_err(|status| status.to_string()).unwrap();
    let mut results = results.into_inner().results.into_iter().map(|result| result.result.unwrap());
    let denied = (i32::from(Code::PermissionDenied), "AUDIENCE_NOT_ALLOWED".to_owned());
    assert_eq!(error(results.next().unwrap()), denied);
    assert!(matches!(results.next().unwrap(), Item::Verified(_)));
    // The single method is another permission.
    assert_refused(limited.check(&good).await, Code::PermissionDenied, "METHOD_NOT_ALLOWED");
}
