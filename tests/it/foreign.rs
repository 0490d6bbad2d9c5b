//! Tokens of other issuers as they write them: at VerifyToken with an imported key, and at ExchangeToken.

use serde_json::{Value, json};
use tokend::{model::Algorithm, proto::v1};

use crate::{
    exchanges::{exchange_by, exchange_of, said},
    forge::{Forge, PARTNER},
    harness::{START, START_SECONDS, TestServer, accepted, reason, refused},
    made_keys::{jwk_request, made, secret_request, verify_only, with},
};

const RS256: Algorithm = Algorithm::Rs256;
const ES256: Algorithm = Algorithm::Es256;

async fn server() -> (TestServer, Forge) {
    let server = TestServer::start().await;
    let forge = Forge::imported(&server, &[RS256, ES256]).await;
    (server, forge)
}

/// The reasons for which VerifyToken and ExchangeToken refuse the token, as the subject's and as the actor's.
async fn reasons(server: &TestServer, token: &str) -> Vec<Option<String>> {
    let of = |status: Option<tonic::Status>| status.map(|status| reason(&status));
    let own = server.root.token().await;
    vec![
        of(server.root.check(token).await.err()),
        of(server.root.exchange(exchange_of(token)).await.err()),
        of(server.root.exchange(exchange_by(&own, token)).await.err()),
    ]
}

async fn taken(server: &TestServer, name: &str, token: &str) -> v1::VerifyTokenResponse {
    assert_eq!(reasons(server, token).await, [None, None, None], "{name}");
    accepted(server.root.check(token).await)
}

async fn all_refuse(server: &TestServer, name: &str, token: &str, expected: &str) {
    for told in reasons(server, token).await {
        assert_eq!(told.as_deref(), Some(expected), "{name}");
    }
}

#[tokio::test]
async fn the_type_is_optional_and_a_media_type() {
    let (server, forge) = server().await;
    let token = |typ: Value| {
        let header = with(&json!({"alg": "RS256", "kid": forge.kid(RS256)}), "typ", typ);
        forge.sign(RS256, header.to_string(), forge.payload().to_string())
    };
    for typ in ["JWT", "jwt", "at+jwt", "at+JWT", "application/at+jwt", "Application/JWT", "JOSE", "jose"] {
        taken(&server, typ, &token(typ.into())).await;
    }
    taken(&server, "none", &token(Value::Null)).await;
    let others =
        ["dpop+jwt", "logout+jwt", "secevent+jwt", "id_token", "kb+jwt", "JOSE+JSON", "", "text/jwt", "JWT "];
    for typ in others {
        all_refuse(&server, typ, &token(typ.into()), "TOKEN_TYPE_MISMATCH").await;
    }
}

#[tokio::test]
async fn without_kid_the_only_key_of_the_issuer_and_the_algorithm_verifies() {
    let (server, forge) = server().await;
    let bare = |algorithm: Algorithm, claims: &Value| {
        forge.sign(algorithm, json!({"alg": algorithm.name()}).to_string(), claims.to_string())
    };
    for algorithm in [RS256, ES256] {
        let verified = taken(&server, algorithm.name(), &bare(algorithm, &forge.payload())).await;
        assert_eq!(verified.key_id, forge.kid(algorithm));
    }
    // The name chooses among imported keys alone: never one of this server's own, and never another issuer's.
    let own = Forge::of(&server.store).await;
    let under_own = own.sign(ES256, r#"{"alg":"ES256","typ":"JWT"}"#, own.payload().to_string());
    all_refuse(&server, "an own key", &under_own, "TOKEN_KEY_UNKNOWN").await;
    let unknown = with(&forge.payload(), "iss", "https://unknown.test");
    all_refuse(&server, "an unknown issuer", &bare(RS256, &unknown), "TOKEN_KEY_UNKNOWN").await;
    let ours = with(&forge.payload(), "iss", crate::harness::ISSUER);
    all_refuse(&server, "the partner's key for us", &bare(RS256, &ours), "TOKEN_KEY_UNKNOWN").await;
    all_refuse(&server, "no issuer", &bare(RS256, &with(&ours, "iss", Value::Null)), "TOKEN_TYPE_MISMATCH")
        .await;
    // Of several it is none; by its id each is still found.
    let mut second = verify_only(jwk_request(&crate::made_keys::make(ES256).public_jwk));
    second.issuer = PARTNER.to_owned();
    accepted(server.root.keys().import_key(server.root.request(second)).await);
    all_refuse(&server, "one of two keys", &bare(ES256, &forge.payload()), "TOKEN_KEY_UNKNOWN").await;
    taken(&server, "by its id", &forge.token(ES256, &forge.payload())).await;
    taken(&server, "another algorithm", &bare(RS256, &forge.payload())).await;
    // One that was revoked chooses nothing.
    let request = v1::RevokeKeyRequest {
        key_id: forge.kid(RS256).to_owned(),
        reason: "leaked".to_owned(),
        ..Default::default()
    };
    accepted(server.root.keys().revoke_key(server.root.request(request)).await);
    all_refuse(&server, "a revoked key", &bare(RS256, &forge.payload()), "TOKEN_KEY_UNKNOWN").await;
}

#[tokio::test]
async fn a_key_of_before_verifies_tokens_of_this_issuer_by_the_same_profile() {
    let server = TestServer::start().await;
    let secret = verify_only(secret_request([9; 32], "HS256"));
    accepted(server.root.keys().import_key(server.root.request(secret)).await);
    let claims = with(&crate::forge::payload(), "scope", json!(["read", "write"]));
    let sign = |claims: &Value| {
        let input =
            format!("{}.{}", crate::forge::b64(r#"{"alg":"HS256"}"#), crate::forge::b64(claims.to_string()));
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &[9; 32]);
        format!("{input}.{}", crate::forge::b64(aws_lc_rs::hmac::sign(&key, input.as_bytes())))
    };
    let verified = accepted(server.root.check(&sign(&claims)).await).token_claims.unwrap();
    assert_eq!(verified.scopes, ["read", "write"]);
    // This issuer's tokens are revoked by these claims: they have a meaning here, and so a type.
    for (name, value) in [
        ("client_id", json!(["web"])),
        ("sid", json!(7)),
        ("orig_iat", json!("then")),
        ("act", json!("login")),
    ] {
        let status = refused(server.root.check(&sign(&with(&claims, name, value))).await);
        assert_eq!(reason(&status), "TOKEN_CLAIM_INVALID", "{name}");
    }
}

#[tokio::test]
async fn a_content_type_may_say_that_the_payload_is_a_claims_set() {
    let (server, forge) = server().await;
    let sign = |cty: Value, payload: String| {
        let header = with(&json!({"alg": "RS256", "kid": forge.kid(RS256)}), "cty", cty);
        forge.sign(RS256, header.to_string(), payload)
    };
    let claims = forge.payload().to_string();
    for cty in ["JWT", "jwt", "application/jwt"] {
        taken(&server, cty, &sign(cty.into(), claims.clone())).await;
    }
    for cty in [json!("json"), json!("jwk+json"), json!(1), json!(["JWT"])] {
        all_refuse(&server, &cty.to_string(), &sign(cty.clone(), claims.clone()), "TOKEN_MALFORMED").await;
    }
    let nested = forge.token(RS256, &forge.payload());
    all_refuse(&server, "a nested token", &sign("JWT".into(), nested), "TOKEN_MALFORMED").await;
}

#[tokio::test]
async fn claims_by_which_nothing_is_decided_are_not_interpreted() {
    let (server, forge) = server().await;
    let token = |name: &str, value: Value| {
        let mut claims = forge.payload();
        claims[name] = value;
        forge.token(RS256, &claims)
    };
    for (name, value) in [
        ("sid", json!(7)),
        ("act", json!("login")),
        ("client_id", json!(["a", "b"])),
        ("orig_iat", json!("yesterday")),
        ("scope", json!({"read": true})),
        ("nbf", Value::Null),
        ("iat", Value::Null),
        ("jti", Value::Null),
    ] {
        let verified = taken(&server, name, &token(name, value)).await.token_claims.unwrap();
        assert!(verified.client_id.is_empty() || name != "client_id");
        assert!(verified.actor.is_none() && (verified.scopes.is_empty() || name != "scope"));
    }
    // What is decided by is as strict as ever.
    for (name, value) in [
        ("exp", json!("soon")),
        ("exp", Value::Null),
        ("nbf", json!("now")),
        ("iat", json!([START])),
        ("aud", json!({"orders": true})),
        ("jti", json!(7)),
        ("sub", json!(7)),
        ("iss", json!(7)),
    ] {
        all_refuse(&server, name, &token(name, value), "TOKEN_CLAIM_INVALID").await;
    }
    // An exchange needs a subject, and a malformed actor must not be ignored.
    for (name, value) in [("sub", Value::Null), ("sub", json!("")), ("act", json!({"name": "gateway"}))] {
        let token = token(name, value);
        accepted(server.root.check(&token).await);
        let status = refused(server.root.exchange(exchange_of(&token)).await);
        assert_eq!(reason(&status), "TOKEN_CLAIM_INVALID", "{name}");
    }
}

#[tokio::test]
async fn scopes_may_be_a_list() {
    let (server, forge) = server().await;
    let check = async |scope: Value, required: &[&str]| {
        let mut claims = forge.payload();
        claims["scope"] = scope;
        let request = v1::VerifyTokenRequest {
            token: forge.token(RS256, &claims),
            audiences: vec!["orders".to_owned()],
            required_scopes: required.iter().map(|&scope| scope.to_owned()).collect(),
            ..Default::default()
        };
        server.root.verify(request).await
    };
    let verified = accepted(check(json!(["read", "orders.write"]), &["orders.write", "read"]).await);
    assert_eq!(verified.token_claims.unwrap().scopes, ["read", "orders.write"]);
    accepted(check(json!(["read write"]), &["write"]).await);
    for scope in
        [json!([]), json!(["read", 7]), json!([["write"]]), json!({"write": true}), json!(1), Value::Null]
    {
        let status = refused(check(scope.clone(), &["write"]).await);
        assert_eq!(reason(&status), "TOKEN_SCOPE_INSUFFICIENT", "{scope}");
    }
}

#[tokio::test]
async fn an_instant_that_has_passed_is_in_the_past() {
    let (server, forge) = server().await;
    let token = |name: &str, time: f64| {
        let mut claims = forge.payload();
        claims[name] = json!(time);
        forge.token(RS256, &claims)
    };
    for name in ["iat", "nbf"] {
        // Python's `time.time()` within the second that the server's clock shows.
        taken(&server, name, &token(name, START_SECONDS + 0.999)).await;
        all_refuse(&server, name, &token(name, START_SECONDS + 1.0), "TOKEN_NOT_YET_VALID").await;
        // A whole second ahead is a second ahead, whatever its fraction: leeway is what allows it.
        all_refuse(&server, name, &token(name, START_SECONDS + 1.25), "TOKEN_NOT_YET_VALID").await;
    }
    all_refuse(&server, "exp", &token("exp", START_SECONDS + 0.5), "TOKEN_EXPIRED").await;
    taken(&server, "exp", &token("exp", START_SECONDS + 1.0)).await;
}

#[tokio::test]
async fn tokens_of_a_replica_whose_clock_is_ahead_are_good_at_once() {
    let server = TestServer::start().await;
    let own = Forge::of(&server.store).await;
    let token = |issued: i64, begins: i64| {
        let mut claims = with(&own.payload(), "iat", START + issued);
        claims["nbf"] = json!(START + begins);
        own.token(ES256, &claims)
    };
    accepted(server.root.check(&token(1, 1)).await);
    accepted(server.root.check(&token(120, 120)).await);
    accepted(server.root.check(&token(120, 0)).await);
    for (issued, begins) in [
        (121, 121),
        // A later `nbf` was asked for.
        (0, 1),
        (1, 2),
    ] {
        let status = refused(server.root.check(&token(issued, begins)).await);
        assert_eq!(reason(&status), "TOKEN_NOT_YET_VALID", "{issued} {begins}");
    }
    // Another issuer's clock is that issuer's.
    let partner = Forge::imported(&server, &[RS256]).await;
    let status =
        refused(server.root.check(&partner.token(RS256, &with(&partner.payload(), "iat", START + 1))).await);
    assert_eq!(reason(&status), "TOKEN_NOT_YET_VALID");
}

#[tokio::test]
async fn ed25519_is_eddsa_wherever_a_name_is_read() {
    let server = TestServer::with(|settings| settings.keys.algorithms = vec![ES256, Algorithm::EdDsa]).await;
    let own = Forge::of(&server.store).await;
    let header = format!(r#"{{"alg":"Ed25519","kid":"{}","typ":"JWT"}}"#, own.kid(Algorithm::EdDsa));
    accepted(server.root.check(&own.sign(Algorithm::EdDsa, &header, own.payload().to_string())).await);
    let other = header.replace(own.kid(Algorithm::EdDsa), own.kid(ES256));
    let status = refused(server.root.check(&own.sign(ES256, other, own.payload().to_string())).await);
    assert_eq!(reason(&status), "TOKEN_ALGORITHM_NOT_ALLOWED");
    // A key that says it, and a call that says it: what is written stays `EdDSA`.
    let jwk = with(&made(Algorithm::EdDsa).public_jwk, "alg", "Ed25519");
    let mut request = verify_only(jwk_request(&jwk));
    request.algorithm = "Ed25519".to_owned();
    request.issuer = PARTNER.to_owned();
    let imported = accepted(server.root.keys().import_key(server.root.request(request)).await).into_inner();
    assert_eq!(imported.key.unwrap().algorithm, "EdDSA");
    let created = v1::CreateKeyRequest { algorithm: "Ed25519".to_owned(), ..Default::default() };
    let created = accepted(server.root.keys().create_key(server.root.request(created)).await).into_inner();
    assert_eq!(created.key.unwrap().algorithm, "EdDSA");
    let claims = with(&own.payload(), "iss", PARTNER);
    let input =
        format!("{}.{}", crate::forge::b64(r#"{"alg":"Ed25519"}"#), crate::forge::b64(claims.to_string()));
    let key = crate::forge::PrivateKey::parse(Algorithm::EdDsa, &made(Algorithm::EdDsa).pkcs8);
    taken(&server, "no kid", &format!("{input}.{}", key.sign(Algorithm::EdDsa, &input))).await;
}

#[tokio::test]
async fn one_setting_bounds_the_size_of_every_token() {
    let server = TestServer::with(|settings| settings.verify.max_token_bytes = 65_536).await;
    let forge = Forge::imported(&server, &[RS256]).await;
    // As of a user in 1,500 groups.
    let groups: Vec<String> =
        (0..1_500).map(|index| format!("00000000-0000-0000-{index:04}-000000000000")).collect();
    let groups = with(&forge.payload(), "groups", groups);
    let large = forge.token(RS256, &groups);
    assert!(large.len() > 65_536);
    let status = refused(server.root.check(&large).await);
    assert_eq!(reason(&status), "TOKEN_TOO_LARGE");
    assert!(status.message().contains("max_token_bytes"), "{}", status.message());
    let status = refused(server.root.exchange(exchange_of(&large)).await);
    assert_eq!(reason(&status), "TOKEN_TOO_LARGE");
    let fitting = with(&forge.payload(), "groups", vec!["00000000-0000-0000-0000-000000000000"; 1_000]);
    let fitting = forge.token(RS256, &fitting);
    assert!(fitting.len() > 40_000);
    taken(&server, "40 KB", &fitting).await;
}

#[tokio::test]
async fn what_comes_of_an_exchange_is_tokends_own_form() {
    let (server, forge) = server().await;
    let claims = with(&with(&forge.payload(), "scope", json!(["admin"])), "act", "login");
    let bare = forge.sign(RS256, r#"{"alg":"RS256","cty":"JWT"}"#, claims.to_string());
    let answer = accepted(server.root.exchange(exchange_of(&bare)).await);
    let told = said(&server, &answer.access_token).await;
    assert_eq!(told["sub"], format!("foreign:{PARTNER}#alice"));
    assert!(told.get("scope").is_none() && told.get("act").is_none(), "{told}");
}
