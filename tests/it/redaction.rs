//! Credentials where something else belongs: no audit event, no error and no stored text holds one.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokend::{
    model::{CLIENT_SECRET_PREFIX, CREDENTIAL_PREFIXES, REDACTED, REFRESH_TOKEN_PREFIX, redact},
    proto::v1::{self, revoke_token_request::Target},
};
use tonic::{Code, Request, Status};

use crate::{
    audit::{calls, events, required},
    harness::{TestServer, accepted, assert_refused, fields, for_alice},
    made_keys::{made, secret_request},
    revoke_calls::{ask, begin, revocation_of, revoke, stored, subject},
};

/// A credential of each form that tokend makes or takes: those that a server made, and one for each prefix in the code.
async fn credentials(server: &TestServer) -> Vec<String> {
    let begun = begin(&server.root).await;
    let create = v1::CreateClientRequest {
        client: Some(v1::Client { client_id: "web".to_owned(), ..Default::default() }),
        request_id: String::new(),
    };
    let created = accepted(server.root.clients().create_client(server.root.request(create)).await);
    let secret = created.into_inner().client_secret;
    // What the makers make is among the forms.
    assert!(
        begun.refresh_token.starts_with(REFRESH_TOKEN_PREFIX) && secret.starts_with(CLIENT_SECRET_PREFIX)
    );
    let basic = STANDARD.encode(format!("web:{secret}"));
    let mut all = vec![begun.access_token, begun.refresh_token, secret, basic];
    all.extend(CREDENTIAL_PREFIXES.map(|prefix| format!("{prefix}{}", "Ab1-".repeat(12))));
    all.extend([
        made(tokend::model::Algorithm::Es256).jwk.to_string(),
        "postgres://tokend:hunter2@db.internal/tokend".to_owned(),
    ]);
    assert!(all.iter().all(|credential| redact(credential).contains(REDACTED)), "{all:#?}");
    all
}

/// A call with this text in each field that may be audited, logged or quoted; and what came of it.
async fn mixed_up(server: &TestServer, text: &str) -> Vec<(&'static str, Result<(), Status>)> {
    let root = &server.root;
    let text = || text.to_owned();
    let mut answers = Vec::new();
    let (mut tokens, mut clients, mut users, mut keys) =
        (root.tokens(), root.clients(), root.users(), root.keys());
    for (field, target) in [
        ("jwt_id", Target::JwtId(text())),
        ("subject", subject(&text(), None)),
        ("client_id", Target::ClientId(text())),
        ("session_id", Target::SessionId(text())),
    ] {
        answers.push((field, revoke(root, target).await.map(drop)));
    }
    let reason = format!("leaked: {}", text());
    let request =
        v1::RevokeTokenRequest { reason: reason.clone(), ..revocation_of(Target::JwtId("x".to_owned())) };
    answers.push(("reason", ask(root, request).await.map(drop)));
    for (field, request) in [
        ("issue.subject", v1::IssueTokenRequest { subject: text(), ..for_alice() }),
        ("issue.audiences", v1::IssueTokenRequest { audiences: vec![text()], ..for_alice() }),
        ("issue.scopes", v1::IssueTokenRequest { scopes: vec![text()], ..for_alice() }),
        (
            "issue.claims",
            v1::IssueTokenRequest {
                claims_json: serde_json::json!({ text(): 1 }).to_string(),
                ..for_alice()
            },
        ),
        ("issue.request_id", v1::IssueTokenRequest { request_id: text(), ..for_alice() }),
    ] {
        answers.push((field, root.issue(request.clone()).await.map(drop)));
        // A client without any permission: the denial names what it may not have.
        let poor = crate::harness::TestClient { channel: root.channel.clone(), secret: None };
        answers.push((field, poor.issue(request).await.map(drop)));
    }
    let client = v1::Client { client_id: text(), display_name: text(), ..Default::default() };
    let create = v1::CreateClientRequest { client: Some(client), request_id: String::new() };
    answers.push(("create_client", clients.create_client(root.request(create)).await.map(drop)));
    let user = v1::User { user_id: text(), username: text(), ..Default::default() };
    let create = v1::CreateUserRequest { user: Some(user), ..Default::default() };
    answers.push(("create_user", users.create_user(root.request(create)).await.map(drop)));
    let login = v1::LoginRequest { username: text(), password: "wrong".to_owned(), ..Default::default() };
    answers.push(("login", tokens.login(root.request(login)).await.map(drop)));
    let revoke = v1::RevokeKeyRequest { key_id: text(), reason, ..Default::default() };
    answers.push(("revoke_key", keys.revoke_key(root.request(revoke)).await.map(drop)));
    let verify = v1::VerifyTokenRequest { token: text(), audiences: vec![text()], ..Default::default() };
    answers.push(("verify", root.verify(verify).await.map(drop)));
    answers
}

#[tokio::test]
async fn a_credential_in_any_field_is_in_no_audit_event_and_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let server = required(folder.path()).await;
    for credential in credentials(&server).await {
        let before = calls(folder.path()).len();
        for (field, answer) in mixed_up(&server, &credential).await {
            let Err(status) = answer else { continue };
            let told = format!("{} {}", status.message(), String::from_utf8_lossy(status.details()));
            assert!(!told.contains(&credential), "{field} of {credential}: {told}");
        }
        let left = calls(folder.path()).split_off(before);
        assert!(left.len() >= 15, "{}", left.len());
        let text = serde_json::to_string(&left).unwrap();
        let escaped = serde_json::to_string(&credential).unwrap();
        assert!(!text.contains(escaped.trim_matches('"')), "{credential}: {text}");
    }
    assert!(!events(folder.path()).is_empty());
}

#[tokio::test]
async fn a_token_named_as_an_id_is_refused_and_said_to_be_in_the_wrong_field() {
    let server = TestServer::start().await;
    let begun = begin(&server.root).await;
    let secret = server.root.secret.clone().unwrap().reveal().to_owned();
    for credential in [&begun.access_token, &begun.refresh_token, &secret] {
        for (target, field) in [
            (Target::JwtId(credential.clone()), "jwt_id"),
            (Target::JwtId(format!(" {credential}")), "jwt_id"),
            (subject(credential, None), "subject.subject"),
        ] {
            let answer = revoke(&server.root, target).await;
            let status = assert_refused(answer, Code::InvalidArgument, "FIELD_INVALID");
            assert_eq!(fields(&status), [field], "{}", status.message());
            assert!(status.message().contains("set `token`"), "{}", status.message());
        }
    }
    assert_eq!(stored(&server.store).await, [], "nothing was revoked");
    // Named as what it is, it is revoked; an id that is none of these is taken as before.
    accepted(revoke(&server.root, Target::Token(begun.refresh_token)).await);
    accepted(revoke(&server.root, Target::JwtId(begun.jwt_id)).await);
    accepted(revoke(&server.root, subject("eyJames", None)).await);
    assert_eq!(stored(&server.store).await.len(), 3);
}

#[tokio::test]
async fn a_reason_is_kept_without_the_credential_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = required(folder.path()).await;
    let begun = begin(&server.root).await;
    let reason = format!("leaked: {}", begun.refresh_token);
    let request =
        v1::RevokeTokenRequest { reason: reason.clone(), ..revocation_of(Target::JwtId("x".to_owned())) };
    accepted(ask(&server.root, request).await);
    assert_eq!(calls(folder.path()).pop().unwrap()["cause"], REDACTED);
    // The reason for which a key was revoked is stored, and every reader of keys sees it.
    let mut keys = server.root.keys();
    let imported = keys.import_key(server.root.request(secret_request([7; 32], "HS256"))).await;
    let key_id = accepted(imported).into_inner().key.unwrap().key_id;
    let request = v1::RevokeKeyRequest { key_id: key_id.clone(), reason, ..Default::default() };
    accepted(keys.revoke_key(server.root.request(request)).await);
    let listed = accepted(keys.list_keys(server.root.request(v1::ListKeysRequest::default())).await);
    let revoked = listed.into_inner().keys.into_iter().find(|key| key.key_id == key_id).unwrap();
    assert_eq!(revoked.revoke_reason, format!("leaked: {REDACTED}"));
}

#[tokio::test]
async fn a_secret_is_no_request_id() {
    let server = TestServer::start().await;
    let secret = server.root.secret.clone().unwrap().reveal().to_owned();
    for (sent, kept) in [(secret.as_str(), false), ("tkr_abc", false), ("my-own.id_1", true)] {
        let mut request: Request<_> = server.root.request(for_alice());
        request.metadata_mut().insert("x-request-id", sent.parse().unwrap());
        let answer = accepted(server.root.tokens().issue_token(request).await);
        assert_eq!(answer.metadata().get("x-request-id").unwrap() == sent, kept, "{sent}");
    }
}
