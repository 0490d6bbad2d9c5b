//! IssueToken: what a token holds, and what may be asked for.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use prost_types::{ListValue, Struct, Value, value::Kind};
use serde_json::json;
use tokend::{model::ExtraClaims, proto::v1};
use tonic::Code;

use crate::harness::{
    ISSUER, START, START_SECONDS, TestServer, accepted, assert_refused, fields, for_alice, reason, refused,
    seconds,
};

/// Header and payload of a token, unverified.
fn parts(token: &str) -> (serde_json::Value, serde_json::Value) {
    let decode = |part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    let mut parts = token.split('.');
    (decode(parts.next().unwrap()), decode(parts.next().unwrap()))
}

#[tokio::test]
async fn a_token_holds_what_the_contract_says_and_nothing_else() {
    let server = TestServer::start().await;
    let answer = accepted(
        server
            .root
            .issue(v1::IssueTokenRequest {
                scopes: vec!["read".to_owned(), "write".to_owned()],
                ttl: seconds(600),
                ..for_alice()
            })
            .await,
    );
    let (header, payload) = parts(&answer.access_token);
    assert_eq!(header, json!({"alg": "ES256", "kid": answer.key_id, "typ": "JWT"}));
    assert_eq!(
        payload,
        json!({
            "iss": ISSUER, "sub": "alice", "aud": "orders", "exp": START + 600, "nbf": START, "iat": START,
            "jti": answer.jwt_id, "client_id": "root", "scope": "read write",
        })
    );
    assert_eq!(answer.token_type, "Bearer");
    assert_eq!(answer.issue_time.unwrap().seconds, START);
    assert_eq!(answer.expire_time.unwrap().seconds, START + 600);
    assert_eq!(answer.expires_in, seconds(600));
    assert_eq!(answer.scopes, ["read", "write"]);
    assert_eq!((answer.refresh_token.as_str(), answer.refresh_token_expire_time), ("", None));
    let another = accepted(server.root.issue(for_alice()).await);
    assert_ne!(another.jwt_id, answer.jwt_id);
}

#[tokio::test]
async fn an_empty_request_takes_the_clients_defaults() {
    let server = TestServer::start().await;
    let answer = accepted(server.root.issue(v1::IssueTokenRequest::default()).await);
    let (_, payload) = parts(&answer.access_token);
    assert_eq!(payload["sub"], "root");
    assert_eq!(payload["aud"], "all");
    assert_eq!(payload.get("scope"), None);
    assert_eq!(answer.expires_in, seconds(15 * 60));
    let verified = accepted(
        server.root.verify(v1::VerifyTokenRequest { token: answer.access_token, ..Default::default() }).await,
    );
    assert_eq!(verified.audiences, ["all"]);
}

#[tokio::test]
async fn several_audiences_are_a_list_and_the_matching_ones_are_told() {
    let server = TestServer::start().await;
    let audiences = vec!["orders".to_owned(), "billing".to_owned(), "mail".to_owned()];
    let request = v1::IssueTokenRequest { audiences: audiences.clone(), ..for_alice() };
    let token = accepted(server.root.issue(request).await).access_token;
    assert_eq!(parts(&token).1["aud"], json!(["orders", "billing", "mail"]));
    let verified = accepted(
        server
            .root
            .verify(v1::VerifyTokenRequest {
                token,
                audiences: vec!["mail".to_owned(), "elsewhere".to_owned(), "orders".to_owned()],
                ..Default::default()
            })
            .await,
    );
    assert_eq!(verified.audiences, ["orders", "mail"]);
    assert_eq!(verified.token_claims.unwrap().audiences, audiences);
}

#[tokio::test]
async fn claims_json_reaches_the_token_and_comes_back_digit_for_digit() {
    let server = TestServer::start().await;
    let claims = r#"{"big":9007199254740993,"huge":123456789012345678901234567890,"exact":0.10000000000000000001,
        "name":"Zoë \u00e9 \"quoted\"","nested":{"list":[1,2.50,null,true]}}"#;
    let request = v1::IssueTokenRequest { claims_json: claims.to_owned(), ..for_alice() };
    let token = accepted(server.root.issue(request).await).access_token;
    let verified = accepted(server.root.check(&token).await);
    for text in [
        "\"big\":9007199254740993,",
        "\"huge\":123456789012345678901234567890,",
        "\"exact\":0.10000000000000000001,",
    ] {
        assert!(verified.claims_json.contains(text), "{text} in {}", verified.claims_json);
    }
    let signed = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    assert_eq!(verified.claims_json.as_bytes(), signed, "claims_json is the payload exactly as signed");
    let name = &verified.claims.unwrap().fields["name"];
    assert_eq!(name.kind, Some(Kind::StringValue("Zoë é \"quoted\"".to_owned())));
}

#[tokio::test]
async fn integers_in_a_struct_stay_integers() {
    let server = TestServer::start().await;
    let number = |value| Value { kind: Some(Kind::NumberValue(value)) };
    let fields = BTreeMap::from([
        ("five".to_owned(), number(5.0)),
        ("minus".to_owned(), number(-3.0)),
        ("edge".to_owned(), number(9_007_199_254_740_992.0)),
        ("half".to_owned(), number(0.5)),
        ("list".to_owned(), Value { kind: Some(Kind::ListValue(ListValue { values: vec![number(7.0)] })) }),
    ]);
    let request = v1::IssueTokenRequest { claims: Some(Struct { fields: fields.clone() }), ..for_alice() };
    let token = accepted(server.root.issue(request).await).access_token;
    let verified = accepted(server.root.check(&token).await);
    for text in ["\"five\":5,", "\"minus\":-3", "\"edge\":9007199254740992,", "\"half\":0.5,", "\"list\":[7]"]
    {
        assert!(verified.claims_json.contains(text), "{text} in {}", verified.claims_json);
    }
    let back = verified.claims.unwrap().fields;
    for (name, value) in fields {
        assert_eq!(back[&name], value, "{name}");
    }
    assert_eq!(back["exp"], number(START_SECONDS + 900.0), "registered claims are there too");
}

#[tokio::test]
async fn no_registered_claim_can_be_set_by_a_caller_in_either_spelling() {
    let server = TestServer::start().await;
    for name in ExtraClaims::REGISTERED {
        let text = v1::IssueTokenRequest { claims_json: format!("{{\"{name}\":1}}"), ..for_alice() };
        let status = assert_refused(server.root.issue(text).await, Code::InvalidArgument, "FIELD_INVALID");
        assert_eq!(fields(&status), [format!("claims_json.{name}")]);
        let value = Value { kind: Some(Kind::StringValue("x".to_owned())) };
        let claims = Some(Struct { fields: BTreeMap::from([(name.to_owned(), value)]) });
        let message = v1::IssueTokenRequest { claims, ..for_alice() };
        let status = assert_refused(server.root.issue(message).await, Code::InvalidArgument, "FIELD_INVALID");
        assert_eq!(fields(&status), [format!("claims.{name}")]);
    }
    // An escaped spelling of a registered name is the same name.
    let escaped = v1::IssueTokenRequest { claims_json: r#"{"\u0073ub":"bob"}"#.to_owned(), ..for_alice() };
    assert_eq!(fields(&refused(server.root.issue(escaped).await)), ["claims_json.sub"]);
}

#[tokio::test]
async fn claims_that_are_no_strict_json_object_are_refused_with_the_field() {
    let server = TestServer::start().await;
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(32), "]".repeat(32));
    let texts = [
        "[]",
        "1",
        "\"text\"",
        "null",
        "{",
        "{\"a\":1}x",
        "{\"a\":1,\"a\":2}",
        "{\"o\":{\"a\":1,\"a\":2}}",
        "{a:1}",
        "{\"a\":01}",
        "{\"a\":NaN}",
        "{\"a\":1e999}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":1,}",
        "{\"\":1}",
        &deep,
    ];
    for text in texts {
        let request = v1::IssueTokenRequest { claims_json: text.to_owned(), ..for_alice() };
        let status = assert_refused(server.root.issue(request).await, Code::InvalidArgument, "FIELD_INVALID");
        assert_eq!(fields(&status), ["claims_json"], "{text}");
    }
    let just_deep_enough = format!("{{\"a\":{}1{}}}", "[".repeat(31), "]".repeat(31));
    let request = v1::IssueTokenRequest { claims_json: just_deep_enough, ..for_alice() };
    accepted(server.root.issue(request).await);

    for number in [f64::NAN, f64::INFINITY] {
        let value = Value { kind: Some(Kind::NumberValue(number)) };
        let claims = Some(Struct { fields: BTreeMap::from([("n".to_owned(), value)]) });
        let status = refused(server.root.issue(v1::IssueTokenRequest { claims, ..for_alice() }).await);
        assert_eq!(fields(&status), ["claims"]);
    }
    let nothing = BTreeMap::from([("n".to_owned(), Value { kind: None })]);
    let claims = Some(Struct { fields: nothing });
    let both = v1::IssueTokenRequest { claims: claims.clone(), claims_json: "{}".to_owned(), ..for_alice() };
    assert_eq!(fields(&refused(server.root.issue(both).await)), ["claims_json"]);
    let without_kind = v1::IssueTokenRequest { claims, ..for_alice() };
    assert_eq!(fields(&refused(server.root.issue(without_kind).await)), ["claims"]);
}

#[tokio::test]
async fn a_life_is_whole_seconds_within_the_clients_cap() {
    let server = TestServer::start().await;
    let duration = |seconds, nanos| Some(prost_types::Duration { seconds, nanos });
    for (ttl, lives) in [(duration(1, 0), 1), (duration(1, 999_999_999), 1), (duration(86_400, 0), 86_400)] {
        let answer = accepted(server.root.issue(v1::IssueTokenRequest { ttl, ..for_alice() }).await);
        assert_eq!(answer.expires_in, seconds(lives));
        assert_eq!(answer.expire_time.unwrap().seconds, START + lives);
    }
    for ttl in [
        duration(0, 0),
        duration(0, 999_999_999),
        duration(-1, 0),
        duration(0, -1),
        duration(5, -1),
        duration(-5, 1),
        duration(1, 1_000_000_000),
        duration(1, i32::MAX),
        duration(i64::MAX, 0),
        duration(i64::MIN, 0),
        duration(i64::MIN, i32::MIN),
        duration(315_576_000_001, 0),
    ] {
        let answer = server.root.issue(v1::IssueTokenRequest { ttl, ..for_alice() }).await;
        let status = assert_refused(answer, Code::InvalidArgument, "FIELD_INVALID");
        assert_eq!(fields(&status), ["ttl"], "{ttl:?}");
    }
    for ttl in [duration(86_401, 0), duration(315_576_000_000, 0)] {
        let answer = server.root.issue(v1::IssueTokenRequest { ttl, ..for_alice() }).await;
        assert_refused(answer, Code::PermissionDenied, "TTL_NOT_ALLOWED");
    }
}

#[tokio::test]
async fn a_token_may_begin_later_but_not_after_its_end() {
    let server = TestServer::start().await;
    let at = |seconds, nanos| Some(prost_types::Timestamp { seconds, nanos });
    let later = |not_before_time| v1::IssueTokenRequest { not_before_time, ttl: seconds(600), ..for_alice() };
    let token = accepted(server.root.issue(later(at(START + 60, 1))).await).access_token;
    assert_eq!(parts(&token).1["nbf"], START + 61, "a fraction begins with the next second");
    server.clock.advance(60);
    assert_refused(server.root.check(&token).await, Code::InvalidArgument, "TOKEN_NOT_YET_VALID");
    server.clock.advance(1);
    accepted(server.root.check(&token).await);

    let now = START + 61;
    for wrong in [
        at(now + 600, 0),
        at(i64::MAX, 0),
        at(i64::MIN, 0),
        at(-1, 0),
        at(now, -1),
        at(now, 1_000_000_000),
        at(253_402_300_799, 1),
    ] {
        let status =
            assert_refused(server.root.issue(later(wrong)).await, Code::InvalidArgument, "FIELD_INVALID");
        assert_eq!(fields(&status), ["not_before_time"], "{wrong:?}");
    }
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_request_is_said_at_once() {
    let server = TestServer::start().await;
    let request = v1::IssueTokenRequest {
        subject: "a".repeat(256),
        audiences: vec!["orders".to_owned(), String::new(), "line\nbreak".to_owned()],
        scopes: vec!["two words".to_owned(), "\"".to_owned(), "naïve".to_owned()],
        ttl: seconds(0),
        include_refresh_token: true,
        request_id: "not-a-uuid".to_owned(),
        claims_json: "[".to_owned(),
        ..Default::default()
    };
    let status = refused(server.root.issue(request).await);
    assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "FIELD_INVALID"));
    let expected = [
        "subject",
        "audiences[1]",
        "audiences[2]",
        "scopes[0]",
        "scopes[1]",
        "scopes[2]",
        "request_id",
        "ttl",
        "claims_json",
    ];
    assert_eq!(fields(&status), expected);
    let many = v1::IssueTokenRequest {
        audiences: vec!["a".to_owned(); 33],
        scopes: vec!["s".to_owned(); 65],
        ..Default::default()
    };
    assert_eq!(fields(&refused(server.root.issue(many).await)), ["audiences", "scopes"]);
    let named = v1::IssueTokenRequest {
        request_id: "123e4567-e89b-12d3-a456-426614174000".to_owned(),
        ..for_alice()
    };
    accepted(server.root.issue(named).await);
}

#[tokio::test]
async fn no_token_is_issued_that_verifying_would_find_too_large() {
    let server = TestServer::start().await;
    let padded = |length: usize| v1::IssueTokenRequest {
        claims_json: format!("{{\"pad\":\"{}\"}}", "x".repeat(length)),
        ..for_alice()
    };
    let token = accepted(server.root.issue(padded(5600)).await).access_token;
    assert!(token.len() > 7800 && token.len() <= 8192, "{}", token.len());
    accepted(server.root.check(&token).await);
    let status =
        assert_refused(server.root.issue(padded(6000)).await, Code::InvalidArgument, "FIELD_INVALID");
    assert_eq!(fields(&status), ["claims"]);
}

#[tokio::test]
async fn a_client_may_have_its_own_type_and_algorithm() {
    use tokend::model::Algorithm;
    let server = TestServer::with(|settings| {
        settings.keys.algorithms = vec![Algorithm::Es256, Algorithm::EdDsa];
    })
    .await;
    let client = |algorithm: &str| v1::Client {
        token_type: "at+jwt".to_owned(),
        algorithm: algorithm.to_owned(),
        default_audiences: vec!["orders".to_owned()],
        permissions: Some(v1::Permissions {
            methods: vec!["TokenService/IssueToken".to_owned()],
            audiences: vec!["orders".to_owned()],
            ..Default::default()
        }),
        ..Default::default()
    };
    let issuer = server.client(client("EdDSA")).await;
    let token = accepted(issuer.issue(v1::IssueTokenRequest::default()).await).access_token;
    let (header, _) = parts(&token);
    assert_eq!((&header["alg"], &header["typ"]), (&json!("EdDSA"), &json!("at+jwt")));
    accepted(server.root.check(&token).await);

    // No key signs with PS512 here.
    let issuer = server.client(client("PS512")).await;
    let answer = issuer.issue(v1::IssueTokenRequest::default()).await;
    assert_refused(answer, Code::FailedPrecondition, "NO_ACTIVE_KEY");
}
