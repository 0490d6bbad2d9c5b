//! ExchangeToken: what comes of it, and what is refused.

use serde_json::json;
use tokend::{model::Algorithm, proto::v1};
use tonic::Code;

use crate::{
    exchanges::{
        ACCESS_TOKEN, JWT, alices, assert_denied, client, exchange_by, exchange_of, field, forged,
        orders_may, said, texts,
    },
    forge::{Forge, payload},
    harness::{START, TestServer, accepted, assert_refused, fields, for_alice, reason, refused, seconds},
    made_keys::{made, with},
};

const ES256: Algorithm = Algorithm::Es256;

#[tokio::test]
async fn what_comes_of_a_token_says_whose_it_was() {
    let server = TestServer::start().await;
    let orders = client(&server, "orders", orders_may()).await;
    let subject = alices(&server).await;
    server.clock.advance(10);
    let request = v1::ExchangeTokenRequest { audiences: texts(&["billing"]), ..exchange_of(&subject) };
    let answer = accepted(orders.exchange(request).await);
    let claims = said(&server, &answer.access_token).await;
    let expected = json!({
        "iss": crate::harness::ISSUER, "sub": "alice", "aud": "billing", "client_id": "orders",
        "iat": START + 10, "nbf": START + 10, "exp": START + 600, "jti": answer.jwt_id, "scope": "read write",
        "tenant": "acme", "orig_iat": START,
    });
    assert_eq!(claims, expected);
    assert_eq!(answer.token_type, "Bearer");
    assert_eq!(answer.issued_token_type, ACCESS_TOKEN);
    assert_eq!(answer.scopes, texts(&["read", "write"]));
    assert_eq!(answer.expire_time.unwrap().seconds, START + 600);
    assert_eq!(answer.expires_in.unwrap().seconds, 590);
    assert_eq!((answer.refresh_token.as_str(), answer.refresh_token_expire_time), ("", None));
}

#[tokio::test]
async fn defaults_are_what_the_client_may_have_of_the_subject_tokens() {
    let server = TestServer::start().await;
    let mut may = orders_may();
    (may.audiences, may.scopes) = (texts(&["stock", "orders"]), texts(&["write"]));
    let orders = client(&server, "orders", may).await;
    let request = v1::IssueTokenRequest {
        audiences: texts(&["orders", "billing", "stock"]),
        scopes: texts(&["read", "write"]),
        ..for_alice()
    };
    let subject = accepted(server.root.issue(request).await).access_token;
    let answer = accepted(orders.exchange(exchange_of(&subject)).await);
    let claims = said(&server, &answer.access_token).await;
    assert_eq!((&claims["aud"], &claims["scope"]), (&json!(["orders", "stock"]), &json!("write")));
    let none =
        client(&server, "billing", v1::Permissions { audiences: texts(&["new"]), ..orders_may() }).await;
    assert_denied(none.exchange(exchange_of(&subject)).await, "AUDIENCE_NOT_ALLOWED", "audiences");
}

#[tokio::test]
async fn a_type_that_is_asked_for_is_answered() {
    let server = TestServer::start().await;
    let orders = client(&server, "orders", orders_may()).await;
    let subject = alices(&server).await;
    for (asked, answered) in [("", ACCESS_TOKEN), (ACCESS_TOKEN, ACCESS_TOKEN), (JWT, JWT)] {
        let request = v1::ExchangeTokenRequest {
            subject_token_type: JWT.to_owned(),
            requested_token_type: asked.to_owned(),
            ..exchange_of(&subject)
        };
        assert_eq!(accepted(orders.exchange(request).await).issued_token_type, answered);
    }
}

#[tokio::test]
async fn nothing_that_is_missing_is_made_up_for() {
    let server = TestServer::start().await;
    let orders = client(&server, "orders", orders_may()).await;
    let subject = alices(&server).await;
    let good = || exchange_by(&subject, &subject);
    accepted(orders.exchange(good()).await);
    let refresh = "urn:ietf:params:oauth:token-type:refresh_token".to_owned();
    let nothing = String::new;
    for (request, at) in [
        (v1::ExchangeTokenRequest::default(), &["subject_token", "subject_token_type"][..]),
        (v1::ExchangeTokenRequest { subject_token: nothing(), ..good() }, &["subject_token"]),
        (v1::ExchangeTokenRequest { subject_token_type: nothing(), ..good() }, &["subject_token_type"]),
        (v1::ExchangeTokenRequest { subject_token_type: refresh.clone(), ..good() }, &["subject_token_type"]),
        (
            v1::ExchangeTokenRequest { subject_token_type: "jwt".to_owned(), ..good() },
            &["subject_token_type"],
        ),
        (v1::ExchangeTokenRequest { actor_token: nothing(), ..good() }, &["actor_token"]),
        (v1::ExchangeTokenRequest { actor_token_type: nothing(), ..good() }, &["actor_token_type"]),
        (v1::ExchangeTokenRequest { actor_token_type: refresh.clone(), ..good() }, &["actor_token_type"]),
        (v1::ExchangeTokenRequest { requested_token_type: refresh, ..good() }, &["requested_token_type"]),
        (v1::ExchangeTokenRequest { ttl: seconds(0), ..good() }, &["ttl"]),
        (v1::ExchangeTokenRequest { request_id: "1".to_owned(), ..good() }, &["request_id"]),
    ] {
        let answer = orders.exchange(request).await;
        let status = assert_refused(answer, Code::InvalidArgument, "FIELD_INVALID");
        assert_eq!(fields(&status), at);
    }
    // An empty actor token is not the same as none.
    let acting = client(&server, "gateway", v1::Permissions { impersonate: false, ..orders_may() }).await;
    for request in [
        v1::ExchangeTokenRequest { actor_token: nothing(), ..good() },
        v1::ExchangeTokenRequest { actor_token_type: nothing(), ..good() },
    ] {
        assert_refused(acting.exchange(request).await, Code::InvalidArgument, "FIELD_INVALID");
    }
}

#[tokio::test]
async fn what_policy_does_not_allow() {
    let server = TestServer::start().await;
    let subject = alices(&server).await;
    type Change = fn(&mut v1::Permissions, &mut v1::ExchangeTokenRequest);
    let table: [(Change, &str, &str); 10] = [
        (|may, _| may.methods.clear(), "METHOD_NOT_ALLOWED", "TokenService/ExchangeToken"),
        (|may, _| may.impersonate = false, "SUBJECT_NOT_ALLOWED", "actor_token"),
        (
            |_, request| request.audiences = texts(&["billing", "bank"]),
            "AUDIENCE_NOT_ALLOWED",
            "audiences[1]",
        ),
        (|_, request| request.scopes = texts(&["admin"]), "SCOPE_NOT_ALLOWED", "scopes[0]"),
        // The subject token holds it, and the client may not have it.
        (|_, request| request.scopes = texts(&["read", "delete"]), "SCOPE_NOT_ALLOWED", "scopes[1]"),
        // The client may have it, and the subject token does not hold it.
        (
            |may, request| {
                may.scopes = texts(&["*"]);
                request.scopes = texts(&["read", "admin"]);
            },
            "SCOPE_NOT_ALLOWED",
            "scopes[1]",
        ),
        (|may, request| (may.max_ttl, request.ttl) = (seconds(60), seconds(61)), "TTL_NOT_ALLOWED", "ttl"),
        (|may, _| may.exchange_subjects.clear(), "SUBJECT_NOT_ALLOWED", "subject_token"),
        (|may, _| may.exchange_subjects = texts(&["orders", "alic"]), "SUBJECT_NOT_ALLOWED", "subject_token"),
        (|may, _| may.audiences.clear(), "AUDIENCE_NOT_ALLOWED", "audiences"),
    ];
    for (index, (change, expected, at)) in table.into_iter().enumerate() {
        let (mut may, mut request) = (orders_may(), exchange_of(&subject));
        may.exchange_audiences = texts(&["orders"]);
        let name = format!("caller-{index}");
        let caller = client(&server, &format!("{name}-good"), may.clone()).await;
        accepted(caller.exchange(request.clone()).await);
        change(&mut may, &mut request);
        let caller = client(&server, &name, may).await;
        assert_denied(caller.exchange(request).await, expected, at);
    }
}

#[tokio::test]
async fn a_token_for_another_audience_is_rejected() {
    let server = TestServer::start().await;
    let subject = alices(&server).await;
    let actor = accepted(server.root.issue(for_alice()).await).access_token;
    // `billing` got hold of a token that is for `orders`.
    let billing = client(&server, "billing", orders_may()).await;
    assert_denied(billing.exchange(exchange_of(&subject)).await, "AUDIENCE_NOT_ALLOWED", "subject_token");
    // Neither a name that only begins alike nor the audience that is asked for makes it `orders`.
    for name in ["order", "orders2"] {
        let caller = client(&server, name, orders_may()).await;
        let request = v1::ExchangeTokenRequest { audiences: texts(&["orders"]), ..exchange_of(&subject) };
        assert_denied(caller.exchange(request).await, "AUDIENCE_NOT_ALLOWED", "subject_token");
    }
    let may = v1::Permissions { exchange_audiences: texts(&["bank", "ord*"]), ..orders_may() };
    let gateway = client(&server, "gateway", may).await;
    accepted(gateway.exchange(exchange_of(&subject)).await);
    // The same of an actor token.
    let request = v1::IssueTokenRequest { audiences: texts(&["billing"]), ..for_alice() };
    let for_billing = accepted(server.root.issue(request).await).access_token;
    let orders = client(&server, "orders", orders_may()).await;
    accepted(orders.exchange(exchange_by(&subject, &actor)).await);
    let answer = orders.exchange(exchange_by(&subject, &for_billing)).await;
    assert_denied(answer, "AUDIENCE_NOT_ALLOWED", "actor_token");
}

#[tokio::test]
async fn a_bad_token_is_refused_wherever_it_stands() {
    let server = TestServer::start().await;
    let forge = Forge::of(&server.store).await;
    let orders = client(&server, "orders", orders_may()).await;
    let good = alices(&server).await;
    let text = payload().to_string();
    let header = |text: &str| forge.sign(ES256, text, payload().to_string());
    // HMAC with the public key as the secret.
    let confused = {
        let head = format!(r#"{{"alg":"HS256","kid":"{}","typ":"JWT"}}"#, forge.kid(ES256));
        let input = format!("{}.{}", crate::forge::b64(head), crate::forge::b64(&text));
        let jwks = server.get("/.well-known/jwks.json").await.2;
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, jwks.as_bytes());
        let tag = aws_lc_rs::hmac::sign(&key, input.as_bytes());
        format!("{input}.{}", crate::forge::b64(tag))
    };
    let none =
        format!("{}.{}.", crate::forge::b64(r#"{"alg":"none","typ":"JWT"}"#), crate::forge::b64(&text));
    let claim = |name: &str, value: serde_json::Value| {
        let payload = with(&payload(), name, value).to_string();
        forge.sign(ES256, forge.header(ES256), payload)
    };
    for (token, expected) in [
        ("garbage".to_owned(), "TOKEN_MALFORMED"),
        ("a".repeat(8193), "TOKEN_TOO_LARGE"),
        (format!("{good}AAAA"), "TOKEN_SIGNATURE_INVALID"),
        (none, "TOKEN_ALGORITHM_NOT_ALLOWED"),
        (confused, "TOKEN_ALGORITHM_NOT_ALLOWED"),
        (header(r#"{"alg":"ES256","typ":"JWT"}"#), "TOKEN_KEY_UNKNOWN"),
        (made(ES256).token("nobody", &payload()), "TOKEN_KEY_UNKNOWN"),
        (made(ES256).token(forge.kid(ES256), &payload()), "TOKEN_SIGNATURE_INVALID"),
        (claim("iss", json!("https://elsewhere.test")), "TOKEN_ISSUER_MISMATCH"),
        (claim("exp", json!(START)), "TOKEN_EXPIRED"),
        (claim("nbf", json!(START + 1)), "TOKEN_NOT_YET_VALID"),
        (claim("sub", json!("")), "TOKEN_CLAIM_INVALID"),
        (claim("sub", json!("a\nb")), "TOKEN_CLAIM_INVALID"),
        (claim("sub", json!("a".repeat(256))), "TOKEN_CLAIM_INVALID"),
        (claim("act", json!("somebody")), "TOKEN_CLAIM_INVALID"),
        (claim("cnf", json!({"x5t#S256": "AAAA"})), "TOKEN_BINDING_MISMATCH"),
        (claim("cnf", json!({})), "TOKEN_BINDING_MISMATCH"),
    ] {
        for (request, at) in [
            (exchange_of(&token), "subject_token"),
            (exchange_by(&token, &good), "subject_token"),
            (exchange_by(&good, &token), "actor_token"),
        ] {
            let status = refused(orders.exchange(request).await);
            assert_eq!(
                (status.code(), reason(&status).as_str()),
                (Code::InvalidArgument, expected),
                "{token}"
            );
            assert_eq!(field(&status), at);
            assert!(!status.message().contains("alice"), "{}", status.message());
        }
    }
    accepted(orders.exchange(exchange_of(&good)).await);
    let request = v1::RevokeKeyRequest {
        key_id: forge.kid(ES256).to_owned(),
        reason: "leaked".to_owned(),
        ..Default::default()
    };
    accepted(server.root.keys().revoke_key(server.root.request(request)).await);
    let answer = orders.exchange(exchange_of(&good)).await;
    assert_refused(answer, Code::InvalidArgument, "TOKEN_REVOKED");
}

#[tokio::test]
async fn claims_go_on_as_they_were_signed_if_the_client_may_have_them() {
    let server = TestServer::start().await;
    let may = v1::Permissions {
        claims: texts(&["tenant", "big", "nested"]),
        claim_values: vec![v1::ClaimCondition { claim: "tenant".to_owned(), values: texts(&["other"]) }],
        ..orders_may()
    };
    let orders = client(&server, "orders", may).await;
    let claims = r#"{"tenant":"acme","big":9007199254740993,"nested":{"a":[1.50]},"secret":1}"#;
    let request = v1::IssueTokenRequest { claims_json: claims.to_owned(), ..for_alice() };
    let subject = accepted(server.root.issue(request).await).access_token;
    let answer = accepted(orders.exchange(exchange_of(&subject)).await);
    let request = v1::VerifyTokenRequest {
        token: answer.access_token,
        audiences: texts(&["orders"]),
        ..Default::default()
    };
    let verified = accepted(server.root.verify(request).await);
    // The tenant is not one that the client may have.
    assert!(!verified.claims_json.contains("tenant") && !verified.claims_json.contains("secret"));
    assert!(verified.claims_json.contains(r#""big":9007199254740993,"nested":{"a":[1.50]}"#));
}

#[tokio::test]
async fn registered_claims_of_a_token_are_made_anew() {
    let server = TestServer::start().await;
    let may = v1::Permissions { claims: texts(&["*"]), ..orders_may() };
    let orders = client(&server, "orders", may).await;
    let sid = "AAAAAAAAAAAAAAAAAAAAAA";
    let subject = with(&with(&payload(), "sid", sid), "custom", 1);
    let subject = forged(&server, &subject).await;
    let answer = accepted(orders.exchange(exchange_of(&subject)).await);
    let claims = said(&server, &answer.access_token).await;
    let expected = json!({
        "iss": crate::harness::ISSUER, "sub": "alice", "aud": "orders", "client_id": "orders", "sid": sid,
        "iat": START, "nbf": START, "exp": START + 600, "jti": answer.jwt_id, "scope": "read write", "custom": 1,
        "orig_iat": START,
    });
    assert_eq!(claims, expected);
    assert_ne!(answer.jwt_id, "jti-1");
}

#[tokio::test]
async fn leeway_brings_no_token_back_to_life() {
    let server =
        TestServer::with(|settings| settings.verify.leeway = std::time::Duration::from_secs(30)).await;
    let orders = client(&server, "orders", orders_may()).await;
    let short = v1::IssueTokenRequest { ttl: seconds(10), ..for_alice() };
    let short = accepted(server.root.issue(short).await).access_token;
    let long = alices(&server).await;
    server.clock.advance(10);
    // A verifier may still take it: its clock may be behind.
    accepted(server.root.check(&short).await);
    for request in [exchange_of(&short), exchange_by(&short, &long), exchange_by(&long, &short)] {
        let answer = orders.exchange(request).await;
        assert_refused(answer, Code::InvalidArgument, "TOKEN_EXPIRED");
    }
    accepted(orders.exchange(exchange_of(&long)).await);
}
