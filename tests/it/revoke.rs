//! Stories of revocations: who may have what revoked, and what is then durable.

use serde_json::json;
use tokend::{
    audit::AuditMode,
    model::{Algorithm, ClientId, RevocationTarget, SessionId, UnixTime},
    proto::v1::{self, revoke_token_request::Target},
};
use tonic::Code;

use crate::{
    audit::{events, to_file},
    counting_store::CountingStore,
    forge::{Forge, payload},
    harness::{START, TestServer, accepted, assert_refused, fields, for_alice, seconds, settings},
    import::{foreign, payload_of},
    key_calls::import,
    made_keys::{secret_request, token, verify_only},
    revoke_calls::{ask, begin, revocation_of, revoke, revoker, stored, subject},
};

const OTHER: &str = "https://other.example";
const ANY: &[&str] = &["*"];
/// The most that clocks and leeways may differ: how long after its `exp` a token is remembered.
const MARGIN: i64 = 60 + 120;

const fn at(seconds: i64) -> UnixTime {
    UnixTime::from_seconds(seconds)
}

/// Who may revoke what: each client asks for each target, of a session that `issuer-1` began for `alice`.
#[tokio::test]
async fn each_may_revoke_its_own_and_what_its_permissions_name() {
    let server = TestServer::start().await;
    let owner = revoker(&server, "issuer-1", ANY, &[], &[]).await;
    let clients = [
        // Token, refresh token, jti, session, subject, client.
        (owner.clone(), [true, true, false, true, false, true]),
        (
            revoker(&server, "by-subject", ANY, &["bob", "ali*"], &[]).await,
            [true, true, false, true, true, false],
        ),
        (
            revoker(&server, "by-client", ANY, &[], &["issuer-*"]).await,
            [true, true, false, true, false, true],
        ),
        (revoker(&server, "by-all", ANY, &["*"], &[]).await, [true, true, true, true, true, false]),
        // About whom a token is may revoke it too.
        (revoker(&server, "alice", ANY, &[], &[]).await, [true, true, false, true, true, false]),
        (revoker(&server, "stranger", ANY, &["al"], &["issuer"]).await, [false; 6]),
    ];
    let powerless = revoker(&server, "powerless", &["TokenService/IssueToken"], ANY, ANY).await;
    for (client, allowed) in &clients {
        for (place, allowed) in allowed.iter().enumerate() {
            let before = stored(&server.store).await.len();
            let begun = begin(&owner).await;
            let token = begun.access_token.clone();
            let now = server.clock.seconds();
            let (target, field, revoked) = match place {
                0 => (Target::Token(begun.access_token), "token", RevocationTarget::Token(begun.jwt_id)),
                1 | 3 => {
                    let revoked = RevocationTarget::Session(SessionId::parse(&*begun.session_id).unwrap());
                    let by_token = place == 1;
                    let target = if by_token {
                        Target::Token(begun.refresh_token)
                    } else {
                        Target::SessionId(begun.session_id)
                    };
                    (target, if by_token { "token" } else { "session_id" }, revoked)
                }
                2 => (Target::JwtId(begun.jwt_id.clone()), "jwt_id", RevocationTarget::Token(begun.jwt_id)),
                4 => (
                    subject("alice", None),
                    "subject",
                    RevocationTarget::Subject("alice".to_owned(), at(now + 1)),
                ),
                _ => {
                    let client_id = ClientId::parse("issuer-1").unwrap();
                    let revoked = RevocationTarget::Client(client_id, at(now + 1));
                    (Target::ClientId("issuer-1".to_owned()), "client_id", revoked)
                }
            };
            let answer = revoke(client, target.clone()).await;
            let held = stored(&server.store).await;
            let checked = server.root.check(&token).await;
            if *allowed {
                accepted(answer);
                assert_refused(checked, Code::InvalidArgument, "TOKEN_REVOKED");
                assert!(held.iter().any(|held| held.target == revoked), "{revoked:?}");
            } else {
                let status = assert_refused(answer, Code::PermissionDenied, "SUBJECT_NOT_ALLOWED");
                let details = tonic_types::StatusExt::get_error_details(&status);
                assert_eq!(details.error_info().unwrap().metadata["field"], field);
                assert!(status.message().contains("permissions.revoke_"), "{}", status.message());
                assert_eq!(held.len(), before, "{field}");
                accepted(checked);
            }
            assert_refused(revoke(&powerless, target).await, Code::PermissionDenied, "METHOD_NOT_ALLOWED");
            // What comes next was not issued before this.
            server.clock.advance(2);
        }
    }
    let (_, _, metrics) = server.get("/metrics").await;
    for (target, made) in [("token", 6), ("session", 10), ("subject", 3), ("client", 2)] {
        let line = format!("tokend_revocations_made_total{{target=\"{target}\"}} {made}");
        assert!(metrics.contains(&line), "no {line} in {metrics}");
    }
}

#[tokio::test]
async fn a_revoked_session_is_gone_and_stays_revoked_since_the_first_time() {
    let server = TestServer::start().await;
    let begun = begin(&server.root).await;
    assert_eq!(accepted(revoke(&server.root, Target::Token(begun.access_token.clone())).await), START);
    assert_eq!(accepted(revoke(&server.root, Target::Token(begun.refresh_token.clone())).await), START);
    let request = v1::RefreshTokenRequest { refresh_token: begun.refresh_token, ..Default::default() };
    let refreshed = server.root.tokens().refresh_token(server.root.request(request)).await;
    assert_refused(refreshed, Code::Unauthenticated, "REFRESH_TOKEN_INVALID");
    server.clock.advance(10);
    // By whatever name.
    assert_eq!(accepted(revoke(&server.root, Target::Token(begun.access_token)).await), START);
    assert_eq!(accepted(revoke(&server.root, Target::JwtId(begun.jwt_id)).await), START);
    assert_eq!(accepted(revoke(&server.root, Target::SessionId(begun.session_id)).await), START);
    assert_eq!(stored(&server.store).await.len(), 2);
}

#[tokio::test]
async fn tokens_that_are_not_accepted_anyway_are_revoked_without_a_record() {
    let server = TestServer::start().await;
    let short = v1::IssueTokenRequest { ttl: seconds(60), ..for_alice() };
    let (expired, dying) =
        (accepted(server.root.issue(short.clone()).await), accepted(server.root.issue(short).await));
    let other = TestServer::start().await.root.token().await;
    let forged = {
        let (input, _) = expired.access_token.rsplit_once('.').unwrap();
        let (_, signature) = other.rsplit_once('.').unwrap();
        format!("{input}.{signature}")
    };
    server.clock.advance(60 + MARGIN - 1);
    // A verifier may still accept it, with the largest leeway and a slow clock.
    accepted(revoke(&server.root, Target::Token(dying.access_token)).await);
    let held = stored(&server.store).await;
    assert_eq!(held[0].target, RevocationTarget::Token(dying.jwt_id));
    assert_eq!(held[0].expire_time, Some(at(START + 60 + MARGIN)));
    server.clock.advance(1);
    let refresh = format!("tkr_{}", "A".repeat(86));
    for token in ["x", "a.b.c", "tkr_", "tkr_x", &refresh, &other, &forged, &expired.access_token] {
        let revoked = revoke(&server.root, Target::Token(token.to_owned())).await;
        assert_eq!(accepted(revoked), START + 60 + MARGIN, "{token}");
    }
    assert_eq!(stored(&server.store).await.len(), 1);
}

#[tokio::test]
async fn a_session_that_is_not_there_can_be_revoked_by_one_who_may_revoke_all() {
    let server = TestServer::start().await;
    let session_id = "AAAAAAAAAAAAAAAAAAAAAA";
    let some = revoker(&server, "some", ANY, &["a*", "b*"], ANY).await;
    accepted(revoke(&some, Target::SessionId(session_id.to_owned())).await);
    assert_eq!(stored(&server.store).await, []);
    accepted(revoke(&server.root, Target::SessionId(session_id.to_owned())).await);
    let held = stored(&server.store).await;
    assert_eq!(held[0].target, RevocationTarget::Session(SessionId::parse(session_id).unwrap()));
}

#[tokio::test]
async fn what_is_malformed_is_named_after_what_is_not_allowed() {
    let server = TestServer::start().await;
    let stranger = revoker(&server, "stranger", ANY, &[], &[]).await;
    let bad = v1::RevokeTokenRequest { reason: "a\nb".to_owned(), ..revocation_of(subject("alice", None)) };
    assert_refused(ask(&stranger, bad.clone()).await, Code::PermissionDenied, "SUBJECT_NOT_ALLOWED");
    let now = server.clock.seconds();
    let with = |target| revocation_of(target);
    for (request, field) in [
        (v1::RevokeTokenRequest::default(), "target"),
        (bad, "reason"),
        (v1::RevokeTokenRequest { reason: "x".repeat(256), ..with(Target::JwtId("x".to_owned())) }, "reason"),
        (
            v1::RevokeTokenRequest { request_id: "1".to_owned(), ..with(Target::JwtId("x".to_owned())) },
            "request_id",
        ),
        (with(Target::Token(String::new())), "token"),
        (with(Target::JwtId(String::new())), "jwt_id"),
        (with(Target::JwtId("x".repeat(256))), "jwt_id"),
        (with(Target::JwtId("a\0".to_owned())), "jwt_id"),
        (with(Target::ClientId("no client!".to_owned())), "client_id"),
        (with(Target::SessionId("short".to_owned())), "session_id"),
        (with(subject("", None)), "subject.subject"),
        (with(subject("alice", Some(-1))), "subject.issued_before_time"),
        (with(subject("alice", Some(now + 61))), "subject.issued_before_time"),
    ] {
        let status = assert_refused(ask(&server.root, request).await, Code::InvalidArgument, "FIELD_INVALID");
        assert_eq!(fields(&status), [field]);
    }
    assert_eq!(stored(&server.store).await, []);
    accepted(revoke(&server.root, Target::JwtId("ü\n".repeat(85))).await);
}

#[tokio::test]
async fn a_revocation_is_remembered_for_as_long_as_its_tokens_could_live() {
    let server = TestServer::start().await;
    // The settings of the tests: a day is the longest life, and keys leave room for an hour more and the leeway.
    let longest = 24 * 3600 + 60 + 3600;
    for (issued_before, from) in
        [(Some(START - 1000), START), (None, START + 1), (Some(START + 60), START + 60)]
    {
        let subject_of = format!("of-{}", from - START);
        accepted(revoke(&server.root, subject(&subject_of, issued_before)).await);
        let held = stored(&server.store).await;
        let last = held.last().unwrap();
        let before = at(issued_before.unwrap_or(START + 1));
        assert_eq!(last.target, RevocationTarget::Subject(subject_of, before));
        assert_eq!(last.expire_time, Some(at(from + longest + MARGIN)));
    }
}

#[tokio::test]
async fn tokens_of_other_issuers_are_for_those_who_may_revoke_all() {
    let server = TestServer::start().await;
    let secret = [7; 64];
    let request = foreign(verify_only(secret_request(secret, "HS256")));
    let key = accepted(import(&server, request).await);
    // Its `client_id` and `sub` name others than those of the same names here.
    let caller = revoker(&server, "web", ANY, &["a*"], ANY).await;
    let with = |jwt_id: Option<&str>| {
        let mut payload = payload_of(OTHER);
        payload["client_id"] = json!("web");
        match jwt_id {
            Some(jwt_id) => payload["jti"] = json!(jwt_id),
            None => drop(payload.as_object_mut().unwrap().remove("jti")),
        }
        token(Algorithm::Hs256, &secret, &key.key_id, &payload)
    };
    let named = with(Some("their-own"));
    let denied = revoke(&caller, Target::Token(named.clone())).await;
    assert_refused(denied, Code::PermissionDenied, "SUBJECT_NOT_ALLOWED");
    accepted(revoke(&server.root, Target::Token(named)).await);
    let held = stored(&server.store).await;
    let ends = payload_of(OTHER)["exp"].as_i64().unwrap();
    assert_eq!(held[0].target, RevocationTarget::Token("their-own".to_owned()));
    assert_eq!(held[0].expire_time, Some(at(ends + MARGIN)));
    for token in [with(None), with(Some("")), with(Some(&"x".repeat(256)))] {
        let status = assert_refused(
            revoke(&server.root, Target::Token(token)).await,
            Code::InvalidArgument,
            "FIELD_INVALID",
        );
        assert_eq!(fields(&status), ["token"]);
        assert!(status.message().contains("revoke its session"), "{}", status.message());
    }
    // By its id alone it could be another issuer's token, whose lifetime is unknown.
    accepted(revoke(&server.root, Target::JwtId("some".to_owned())).await);
    assert_eq!(stored(&server.store).await[1].expire_time, None);
}

#[tokio::test]
async fn a_token_of_this_issuer_for_any_audience_and_without_a_jti() {
    let server = TestServer::start().await;
    let forge = Forge::of(&server.store).await;
    let mut claims = payload();
    claims["aud"] = json!("nobody-knows");
    let sign = |claims: &serde_json::Value| {
        forge.sign(Algorithm::Es256, forge.header(Algorithm::Es256), claims.to_string())
    };
    accepted(revoke(&server.root, Target::Token(sign(&claims))).await);
    assert_eq!(stored(&server.store).await.len(), 1);
    claims.as_object_mut().unwrap().remove("jti");
    let answer = revoke(&server.root, Target::Token(sign(&claims))).await;
    assert_eq!(fields(&assert_refused(answer, Code::InvalidArgument, "FIELD_INVALID")), ["token"]);
}

#[tokio::test]
async fn without_the_store_nothing_is_said_to_be_revoked() {
    let (server, store) = CountingStore::serve(settings()).await;
    let begun = begin(&server.root).await;
    let targets = [
        Target::Token(begun.access_token),
        Target::Token(begun.refresh_token),
        Target::JwtId(begun.jwt_id),
        Target::SessionId(begun.session_id),
        subject("alice", None),
        Target::ClientId("root".to_owned()),
    ];
    store.set_down(true);
    for target in &targets {
        let answer = revoke(&server.root, target.clone()).await;
        assert_refused(answer, Code::Unavailable, "STORE_UNAVAILABLE");
    }
    // A key that is not in memory could be in the store.
    let other = TestServer::start().await.root.token().await;
    let answer = revoke(&server.root, Target::Token(other)).await;
    assert_refused(answer, Code::Unavailable, "STORE_UNAVAILABLE");
    store.set_down(false);
    assert_eq!(stored(&server.store).await, []);
    for target in targets {
        accepted(revoke(&server.root, target).await);
    }
    assert_eq!(stored(&server.store).await.len(), 4);
}

#[tokio::test]
async fn the_audit_log_tells_what_was_revoked_and_why_and_holds_no_token() {
    let folder = tempfile::tempdir().unwrap();
    let own = to_file(folder.path(), AuditMode::Required, 1000);
    let server = TestServer::with(|settings| *settings = own).await;
    let begun = begin(&server.root).await;
    let request =
        |target| v1::RevokeTokenRequest { reason: "found in a log".to_owned(), ..revocation_of(target) };
    let stranger = revoker(&server, "stranger", ANY, &[], &[]).await;
    let denied = ask(&stranger, request(Target::Token(begun.access_token.clone()))).await;
    assert_refused(denied, Code::PermissionDenied, "SUBJECT_NOT_ALLOWED");
    for (target, written) in [
        (Target::Token(begun.access_token.clone()), format!("token/{}", begun.jwt_id)),
        (Target::Token(begun.refresh_token.clone()), format!("session/{}", begun.session_id)),
        (Target::JwtId("some".to_owned()), "token/some".to_owned()),
        (subject("alice", None), "subject/alice".to_owned()),
        (Target::ClientId("billing".to_owned()), "client/billing".to_owned()),
    ] {
        accepted(ask(&server.root, request(target)).await);
        let event = events(folder.path()).pop().unwrap();
        assert_eq!(event["targets"], json!([written]), "{event}");
        assert_eq!((&event["outcome"], &event["cause"]), (&json!("ok"), &json!("found in a log")), "{event}");
        let policy = event["policy"].as_str().unwrap();
        assert!(policy.starts_with("TokenService/RevokeToken by permissions.methods[0] \"*\", "), "{policy}");
    }
    let all = events(folder.path());
    let refused = all.iter().find(|event| event["reason"] == "SUBJECT_NOT_ALLOWED").unwrap();
    assert_eq!(
        (&refused["field"], &refused["cause"]),
        (&json!("token"), &json!("found in a log")),
        "{refused}"
    );
    let text = serde_json::to_string(&all).unwrap();
    assert!(!text.contains(&begun.access_token) && !text.contains(&begun.refresh_token));
}
