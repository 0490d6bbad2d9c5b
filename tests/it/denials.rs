//! Stories of refusals that say what to do: the client, the value, the missing permission, and the next command.

use std::collections::HashMap;

use tokend::proto::v1::{self, revoke_token_request::Target};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::{
    exchanges::texts,
    harness::{TestClient, TestServer, accepted, for_alice, refused, seconds},
};

fn metadata(status: &Status) -> HashMap<String, String> {
    status.get_error_details().error_info().unwrap().metadata.clone()
}

/// A denial's message, and what its metadata says of the value, the permission and the field.
fn told<T>(outcome: Result<T, Status>) -> (String, Vec<String>) {
    let status = refused(outcome);
    assert_eq!(status.code(), Code::PermissionDenied, "{status}");
    let metadata = metadata(&status);
    assert_eq!(metadata["client"], "web");
    let of = |name: &str| metadata.get(name).cloned().unwrap_or_else(|| "-".to_owned());
    (status.message().to_owned(), ["field", "value", "permission"].map(of).to_vec())
}

async fn web(server: &TestServer, permissions: v1::Permissions) -> TestClient {
    let client =
        v1::Client { client_id: "web".to_owned(), permissions: Some(permissions), ..v1::Client::default() };
    server.client(client).await
}

fn may(methods: &[&str]) -> v1::Permissions {
    v1::Permissions { methods: texts(methods), max_ttl: seconds(600), ..v1::Permissions::default() }
}

fn checked(token: &str, audience: &str) -> v1::VerifyTokenRequest {
    v1::VerifyTokenRequest { token: token.to_owned(), audiences: texts(&[audience]), ..Default::default() }
}

#[tokio::test]
async fn a_denial_names_the_value_the_permission_and_the_command() {
    let server = TestServer::start().await;
    let permissions = v1::Permissions {
        audiences: texts(&["orders"]),
        scopes: texts(&["read"]),
        subjects: texts(&["alice"]),
        ..may(&["TokenService/IssueToken", "TokenService/VerifyToken"])
    };
    let web = web(&server, permissions).await;
    let token = server.root.token().await;

    let expected = |what: &str, permission: &str, command: &str| {
        format!(
            "client \"web\" may not {what}; add it to permissions.{permission} (tokend client update web {command})"
        )
    };
    let issue = |change: fn(&mut v1::IssueTokenRequest)| {
        let mut request = for_alice();
        change(&mut request);
        web.issue(request)
    };
    let cases = [
        (
            told(web.verify(checked(&token, "orders")).await),
            expected("verify audience \"orders\"", "verify_audiences", "--add-verify-audience orders"),
            ["audiences[0]", "orders", "verify_audiences"],
        ),
        (
            told(issue(|request| request.audiences.push("billing".to_owned())).await),
            expected("have tokens for audience \"billing\"", "audiences", "--add-audience billing"),
            ["audiences[1]", "billing", "audiences"],
        ),
        (
            told(issue(|request| request.scopes = texts(&["write"])).await),
            expected("have tokens with scope \"write\"", "scopes", "--add-scope write"),
            ["scopes[0]", "write", "scopes"],
        ),
        (
            told(issue(|request| request.subject = "bob".to_owned()).await),
            expected("have tokens about subject \"bob\"", "subjects", "--add-subject bob"),
            ["subject", "bob", "subjects"],
        ),
        (
            told(issue(|request| request.claims_json = r#"{"tenant":"secret-value"}"#.to_owned()).await),
            expected("have tokens with claim \"tenant\"", "claims", "--add-claim tenant"),
            ["claims.tenant", "tenant", "claims"],
        ),
        (
            told(issue(|request| request.include_refresh_token = true).await),
            expected("call TokenService/RefreshToken", "methods", "--add-method TokenService/RefreshToken"),
            ["include_refresh_token", "TokenService/RefreshToken", "methods"],
        ),
        (
            told(web.clients().list_clients(web.request(v1::ListClientsRequest::default())).await),
            expected("call ClientService/ListClients", "methods", "--add-method ClientService/ListClients"),
            ["ClientService/ListClients", "ClientService/ListClients", "methods"],
        ),
    ];
    for ((message, metadata), expected, facts) in cases {
        assert_eq!((message, metadata), (expected, facts.map(str::to_owned).to_vec()));
    }
}

#[tokio::test]
async fn a_lifetime_that_is_too_long_names_the_maximum_and_what_sets_it() {
    let server = TestServer::start().await;
    let permissions = v1::Permissions {
        audiences: texts(&["orders"]),
        scopes: texts(&["read"]),
        subjects: texts(&["alice"]),
        ..may(&["TokenService/IssueToken"])
    };
    let web = web(&server, permissions).await;
    let status = refused(web.issue(v1::IssueTokenRequest { ttl: seconds(5_400), ..for_alice() }).await);
    assert_eq!(
        status.message(),
        "ttl 1h 30m is longer than 10m, which permissions.max_ttl of client \"web\" allows \
         (tokend client update web --max-ttl 1h30m)"
    );
    assert_eq!(
        (metadata(&status)["max_ttl"].as_str(), metadata(&status)["permission"].as_str()),
        ("600s", "max_ttl")
    );

    let server =
        TestServer::with(|settings| settings.rules.max_ttl = tokend::model::Ttl::from_minutes(5)).await;
    let status = refused(server.root.issue(v1::IssueTokenRequest { ttl: seconds(301), ..for_alice() }).await);
    assert_eq!(status.message(), "ttl 5m 1s is longer than 5m, which the server's setting max_ttl allows");
    assert_eq!(
        (metadata(&status)["max_ttl"].as_str(), metadata(&status)["setting"].as_str()),
        ("300s", "max_ttl")
    );
    assert!(!metadata(&status).contains_key("permission"));
}

#[tokio::test]
async fn a_command_in_a_denial_grants_no_more_than_the_value() {
    let server = TestServer::start().await;
    let web = web(&server, may(&["TokenService/IssueToken", "TokenService/VerifyToken"])).await;
    let token = server.root.token().await;
    // A value that would be read as a pattern, as a flag or as more than one word is no argument, and a secret is not repeated.
    let secret = "tkd_web_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for value in ["*", "orders*", "-x", "a b", "$(reboot)", "a'b", "\u{fc}", &"x".repeat(65), secret] {
        let (message, metadata) = told(web.verify(checked(&token, value)).await);
        assert!(
            message.ends_with(
                "add a matching pattern to permissions.verify_audiences \
                               (tokend client update web --add-verify-audience PATTERN)"
            ),
            "{message}"
        );
        assert!(!message.contains(secret) && !metadata.contains(&secret.to_owned()), "{message}");
    }
}

#[tokio::test]
async fn a_denial_holds_nothing_of_a_session_or_a_token() {
    let server = TestServer::start().await;
    let permissions = v1::Permissions {
        audiences: texts(&["orders"]),
        ..may(&["TokenService/RevokeToken", "TokenService/ExchangeToken", "TokenService/Login"])
    };
    let web = web(&server, permissions).await;
    let session = v1::IssueTokenRequest { include_refresh_token: true, ..for_alice() };
    let issued = accepted(server.root.issue(session).await);
    let verified = accepted(server.root.check(&issued.access_token).await);
    let claims: serde_json::Value = serde_json::from_str(&verified.claims_json).unwrap();
    let session_id = claims["sid"].as_str().unwrap().to_owned();

    for target in [Target::SessionId(session_id), Target::Token(issued.access_token.clone())] {
        let request = v1::RevokeTokenRequest { target: Some(target), ..Default::default() };
        let (message, metadata) = told(web.tokens().revoke_token(web.request(request)).await);
        assert!(message.contains("permissions.revoke_subjects") && !message.contains("alice"), "{message}");
        assert_eq!(metadata[1..], ["-", "revoke_subjects"]);
    }
    let request =
        v1::RevokeTokenRequest { target: Some(Target::ClientId("root".to_owned())), ..Default::default() };
    let (message, metadata) = told(web.tokens().revoke_token(web.request(request)).await);
    assert!(
        message.contains("revoke client \"root\"") && message.contains("--add-revoke-client root"),
        "{message}"
    );
    assert_eq!(metadata[1..], ["root", "revoke_clients"]);

    // A password that was typed where the name belongs goes no further.
    let login = v1::LoginRequest {
        username: "hunter2-hunter2".to_owned(),
        password: "x".to_owned(),
        ..Default::default()
    };
    let (message, metadata) = told(web.tokens().login(web.request(login)).await);
    assert!(message.contains("permissions.login_usernames") && !message.contains("hunter2"), "{message}");
    assert_eq!(metadata, ["username", "-", "login_usernames"]);
}

#[tokio::test]
async fn a_refused_token_is_told_of_only_when_its_signature_is_good() {
    let server = TestServer::start().await;
    let token = server.root.token().await;
    let status = refused(server.root.verify(checked(&token, "billing")).await);
    assert_eq!(status.message(), "the token is for other audiences");
    let facts = metadata(&status);
    assert_eq!(
        (facts["token_audiences"].as_str(), facts["expected_audiences"].as_str()),
        ("orders", "billing")
    );

    // The batch tells the same.
    let batch = v1::BatchVerifyTokensRequest { requests: vec![checked(&token, "billing")] };
    let batch = server.root.tokens().batch_verify_tokens(server.root.request(batch)).await;
    let result = accepted(batch).into_inner().results.remove(0);
    let Some(v1::batch_verify_tokens_result::Result::Error(error)) = result.result else { panic!() };
    let detail = String::from_utf8_lossy(&error.details[0].value).into_owned();
    assert!(detail.contains("token_audiences") && detail.contains("expected_audiences"), "{detail}");

    // The same claims without a good signature tell nothing.
    let forged =
        format!("{}{}", &token[..token.len() - 4], if token.ends_with("AAAA") { "BBBA" } else { "AAAA" });
    let status = refused(server.root.verify(checked(&forged, "billing")).await);
    assert_eq!(metadata(&status), HashMap::new());

    server.clock.advance(86_400);
    let status = refused(server.root.check(&token).await);
    assert_eq!(status.message(), "the token has expired");
    assert_eq!(metadata(&status)["expire_time"], "2026-01-01T00:15:00Z");
    let exchange = v1::ExchangeTokenRequest {
        subject_token: token,
        subject_token_type: "urn:ietf:params:oauth:token-type:access_token".to_owned(),
        ..Default::default()
    };
    let status = refused(server.root.tokens().exchange_token(server.root.request(exchange)).await);
    assert_eq!(metadata(&status)["expire_time"], "2026-01-01T00:15:00Z");
    assert_eq!(metadata(&status)["field"], "subject_token");
}
