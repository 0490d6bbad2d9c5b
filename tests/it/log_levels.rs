//! What is logged at `info`, the default: nothing that a stranger can repeat without limit.

use tempfile::TempDir;
use tokend::{model::ClientSecret, proto::v1};
use tonic::{Code, Request};

use crate::{
    harness::{TestClient, assert_refused, for_alice, refused},
    process::{Serve, entry, init},
};

#[tokio::test]
async fn refusals_that_strangers_can_repeat_are_logged_at_debug_only() {
    let folder = TempDir::new().unwrap();
    let secret = init(folder.path());
    let server = Serve::start(folder.path(), &["--allow-plaintext", "--drain-delay", "0s"]);
    let admin = TestClient::new(server.grpc, Some(ClientSecret::from_text(secret))).await;
    let permissions = v1::Permissions {
        methods: vec!["TokenService/*".to_owned()],
        verify_audiences: vec!["*".to_owned()],
        audiences: vec!["orders".to_owned()],
        exchange_subjects: vec!["*".to_owned()],
        exchange_audiences: vec!["*".to_owned()],
        impersonate: true,
        ..Default::default()
    };
    let client =
        v1::Client { client_id: "web".to_owned(), permissions: Some(permissions), ..Default::default() };
    let request = v1::CreateClientRequest { client: Some(client), request_id: String::new() };
    let created = admin.clients().create_client(admin.request(request)).await.unwrap().into_inner();
    let web = TestClient::new(server.grpc, Some(ClientSecret::from_text(created.client_secret))).await;

    // Tokens that users of the caller sent, and calls without a caller.
    assert_refused(web.check("a.b.c").await, Code::InvalidArgument, "TOKEN_MALFORMED");
    let batch = v1::BatchVerifyTokensRequest {
        requests: vec![v1::VerifyTokenRequest {
            token: "a.b.c".to_owned(),
            audiences: vec!["orders".to_owned()],
            ..Default::default()
        }],
    };
    web.tokens().batch_verify_tokens(web.request(batch)).await.unwrap();
    let exchange = v1::ExchangeTokenRequest {
        subject_token: "a.b.c".to_owned(),
        subject_token_type: "urn:ietf:params:oauth:token-type:access_token".to_owned(),
        audiences: vec!["orders".to_owned()],
        ..Default::default()
    };
    assert_refused(
        web.tokens().exchange_token(web.request(exchange)).await,
        Code::InvalidArgument,
        "TOKEN_MALFORMED",
    );
    let stranger = TestClient::new(server.grpc, None).await;
    assert_refused(stranger.check("a.b.c").await, Code::Unauthenticated, "CREDENTIALS_MISSING");
    let mut unknown = tonic::client::Grpc::new(stranger.channel.clone());
    unknown.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static("/tokend.v1.TokenService/NoSuchMethod");
    let codec = tonic_prost::ProstCodec::<v1::VerifyTokenRequest, v1::VerifyTokenResponse>::default();
    let answer = unknown.unary(Request::new(v1::VerifyTokenRequest::default()), path, codec).await;
    assert_eq!(refused(answer).code(), Code::Unimplemented);

    // What the policy denies, and a credential that is wrong: the first is the caller's own fault, the second is limited.
    let denied = v1::IssueTokenRequest { audiences: vec!["billing".to_owned()], ..for_alice() };
    refused(web.issue(denied).await);
    let wrong = TestClient::new(server.grpc, Some(ClientSecret::from_text("tkd_web_wrong"))).await;
    assert_refused(wrong.check("a.b.c").await, Code::Unauthenticated, "CREDENTIALS_INVALID");

    let log = server.stop().stderr;
    let lines = log.iter().map(|line| entry(line)).filter(|line| line["message"] == "call refused");
    let reasons: Vec<String> = lines.map(|line| line["reason"].as_str().unwrap().to_owned()).collect();
    assert_eq!(reasons, ["AUDIENCE_NOT_ALLOWED", "CREDENTIALS_INVALID"], "{log:#?}");
}
