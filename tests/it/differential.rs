//! tokend against jsonwebtoken: what one writes, the other reads; what is changed on the way, tokend refuses.

use aws_lc_rs::{
    digest::{SHA256, digest},
    signature::{ML_DSA_44, ML_DSA_65, ML_DSA_87, PqdsaVerificationAlgorithm, UnparsedPublicKey},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{
    DecodingKey, Validation,
    jwk::{Jwk, JwkSet, ThumbprintHash},
};
use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::{Value, json};
use tokend::{
    model::{Algorithm, ExtraClaims},
    proto::v1,
};
use tokio::runtime::Runtime;

use crate::{
    forge::{Forge, Profile, b64, payload},
    harness::{ISSUER, TestServer, accepted, for_alice, reason, refused},
};

/// Any JSON that a caller might put into a claim.
fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e15..1e15_f64).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Claims that are not registered.
fn claims() -> impl Strategy<Value = serde_json::Map<String, Value>> {
    let name = ".{1,12}"
        .prop_filter("registered", |name: &String| !ExtraClaims::REGISTERED.contains(&name.as_str()));
    prop::collection::btree_map(name, json_value(), 0..5).prop_map(|claims| claims.into_iter().collect())
}

fn text() -> impl Strategy<Value = String> {
    "[^\\p{C}]{1,40}".prop_filter("too long", |text: &String| text.len() <= 255)
}

/// A server with a key for every algorithm, on a runtime of its own, for tests that are not async.
fn server(profile: Profile, algorithms: &[Algorithm]) -> (Runtime, TestServer, Forge) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (server, forge) = runtime.block_on(async {
        let server = TestServer::with(|settings| settings.keys.algorithms = algorithms.to_vec()).await;
        let forge = Forge::by(profile, &server, algorithms).await;
        (server, forge)
    });
    (runtime, server, forge)
}

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() })
}

#[test]
fn what_tokend_issues_jsonwebtoken_decodes() {
    let (runtime, server, _) = server(Profile::Own, &[Algorithm::Es256]);
    let jwks = runtime.block_on(server.get("/.well-known/jwks.json")).2;
    let jwks: JwkSet = serde_json::from_str(&jwks).unwrap();
    let case = (
        text(),
        prop::collection::vec(text(), 1..4),
        prop::collection::vec("[!#-\\[\\]-~]{1,20}", 0..4),
        claims(),
    );
    runner(256)
        .run(&case, |(subject, audiences, scopes, claims)| {
            let request = v1::IssueTokenRequest {
                subject: subject.clone(),
                audiences: audiences.clone(),
                scopes: scopes.clone(),
                claims_json: Value::Object(claims.clone()).to_string(),
                ..Default::default()
            };
            let token = accepted(runtime.block_on(server.root.issue(request))).access_token;
            let header = jsonwebtoken::decode_header(&token).unwrap();
            let key = DecodingKey::from_jwk(jwks.find(header.kid.as_ref().unwrap()).unwrap()).unwrap();
            let mut validation = Validation::new(header.alg);
            validation.set_issuer(&[ISSUER]);
            validation.set_audience(&audiences);
            // The test's clock is not the system's.
            validation.validate_exp = false;
            let decoded = jsonwebtoken::decode::<Value>(&token, &key, &validation).unwrap().claims;
            prop_assert_eq!(&decoded["sub"], &json!(subject));
            for (name, value) in claims {
                prop_assert_eq!(&decoded[&name], &value, "{}", name);
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn what_jsonwebtoken_encodes_under_our_key_and_shape_tokend_verifies() {
    Profile::BOTH.into_iter().for_each(what_jsonwebtoken_encodes);
}

fn what_jsonwebtoken_encodes(profile: Profile) {
    let (runtime, server, forge) = server(profile, &[Algorithm::Es256, Algorithm::Hs256, Algorithm::EdDsa]);
    let algorithm = prop::sample::select(vec![Algorithm::Es256, Algorithm::Hs256, Algorithm::EdDsa]);
    runner(256)
        .run(&(algorithm, claims(), text()), |(algorithm, extra, subject)| {
            let mut claims = forge.payload();
            claims["sub"] = json!(subject);
            claims.as_object_mut().unwrap().extend(extra);
            let mut header = jsonwebtoken::Header::new(algorithm.name().parse().unwrap());
            header.kid = Some(forge.kid(algorithm).to_owned());
            let token = jsonwebtoken::encode(&header, &claims, forge.key(algorithm)).unwrap();
            let verified = accepted(runtime.block_on(server.root.check(&token)));
            prop_assert_eq!(verified.token_claims.unwrap().subject, subject);
            let back: Value = serde_json::from_str(&verified.claims_json).unwrap();
            prop_assert_eq!(back, claims);
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_token_that_is_changed_anywhere_is_refused() {
    Profile::BOTH.into_iter().for_each(changed_anywhere);
}

fn changed_anywhere(profile: Profile) {
    let (runtime, server, forge) = server(profile, &[Algorithm::Es256]);
    let good = match profile {
        Profile::Own => accepted(runtime.block_on(server.root.issue(for_alice()))).access_token,
        Profile::Foreign => forge.token(Algorithm::Es256, &forge.payload()),
    };
    let change = (0..good.len(), any::<char>(), 0..4_u8);
    runner(1024)
        .run(&change, |(at, with, kind)| {
            let mut token: Vec<char> = good.chars().collect();
            match kind {
                0 => token[at] = with,
                1 => token.insert(at, with),
                2 => drop(token.remove(at)),
                _ => token.truncate(at),
            }
            let token: String = token.into_iter().collect();
            prop_assume!(token != good);
            let status = refused(runtime.block_on(server.root.check(&token)));
            prop_assert!(reason(&status).starts_with("TOKEN_"), "{}", reason(&status));
            Ok(())
        })
        .unwrap();
    accepted(runtime.block_on(server.root.check(&good)));
}

#[test]
fn any_text_at_all_is_refused_as_a_token() {
    Profile::BOTH.into_iter().for_each(any_text_at_all);
}

fn any_text_at_all(profile: Profile) {
    let (runtime, server, forge) = server(profile, &[Algorithm::Hs256]);
    let piece = || prop::collection::vec(any::<u8>(), 0..200);
    runner(512)
        .run(&(piece(), piece(), piece(), any::<String>()), |(header, payload, signature, text)| {
            let shaped = format!("{}.{}.{}", b64(&header), b64(&payload), b64(&signature));
            // The header is good and so is the signature: only the payload is noise.
            let signed = forge.sign(Algorithm::Hs256, forge.header(Algorithm::Hs256), &payload);
            for token in [shaped, text, signed] {
                let status = refused(runtime.block_on(server.root.check(&token)));
                prop_assert!(reason(&status).starts_with("TOKEN_"), "{}", reason(&status));
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn every_algorithm_of_an_imported_key_is_understood() {
    let (runtime, server, forge) = server(Profile::Foreign, &Algorithm::ALL);
    for algorithm in Algorithm::ALL {
        let claims = forge.payload();
        // As tokend writes it; and with as little as the RFCs demand.
        let bare = forge.sign(algorithm, json!({"alg": algorithm.name()}).to_string(), claims.to_string());
        for token in [forge.token(algorithm, &claims), bare] {
            let verified = accepted(runtime.block_on(server.root.check(&token)));
            assert_eq!(verified.key_id, forge.kid(algorithm), "{algorithm}");
        }
        // Another key's signature under that name, or under none.
        for other in Algorithm::ALL.into_iter().filter(|other| *other != algorithm) {
            let input = forge.sign(algorithm, json!({"alg": other.name()}).to_string(), claims.to_string());
            let status = refused(runtime.block_on(server.root.check(&input)));
            assert_eq!(reason(&status), "TOKEN_SIGNATURE_INVALID", "{algorithm} as {other}");
        }
    }
}

#[test]
fn every_algorithm_is_understood_both_ways() {
    let (runtime, server, forge) = server(Profile::Own, &Algorithm::ALL);
    let jwks = runtime.block_on(server.get("/.well-known/jwks.json")).2;
    let jwks: Value = serde_json::from_str(&jwks).unwrap();
    let jwks = jwks["keys"].as_array().unwrap();
    assert_eq!(jwks.len(), 2 * 12, "a key that signs and the next one; symmetric keys are not published");
    for algorithm in Algorithm::ALL {
        let client = v1::Client {
            algorithm: algorithm.name().to_owned(),
            permissions: Some(v1::Permissions {
                methods: vec!["TokenService/IssueToken".to_owned()],
                audiences: vec!["orders".to_owned()],
                ..Default::default()
            }),
            default_audiences: vec!["orders".to_owned()],
            ..Default::default()
        };
        let token = runtime.block_on(async {
            let issuer = server.client(client).await;
            accepted(issuer.issue(v1::IssueTokenRequest::default()).await).access_token
        });
        let verified = accepted(runtime.block_on(server.root.check(&token)));
        assert_eq!(verified.key_id, forge.kid(algorithm), "{algorithm}");
        let forged = forge.sign(algorithm, forge.header(algorithm), payload().to_string());
        accepted(runtime.block_on(server.root.check(&forged)));

        let published = jwks.iter().find(|key| key["kid"] == forge.kid(algorithm));
        if algorithm.is_symmetric() {
            assert!(published.is_none(), "{algorithm}");
        } else {
            assert_eq!(published.unwrap()["alg"], algorithm.name());
        }
        match algorithm {
            // jsonwebtoken knows no ML-DSA: aws-lc is the oracle.
            Algorithm::MlDsa44 => by_aws_lc(&ML_DSA_44, published.unwrap(), &token),
            Algorithm::MlDsa65 => by_aws_lc(&ML_DSA_65, published.unwrap(), &token),
            Algorithm::MlDsa87 => by_aws_lc(&ML_DSA_87, published.unwrap(), &token),
            _ => {
                by_jsonwebtoken(algorithm, published, &token);
                let mut header = jsonwebtoken::Header::new(algorithm.name().parse().unwrap());
                header.kid = Some(forge.kid(algorithm).to_owned());
                let token = jsonwebtoken::encode(&header, &payload(), forge.key(algorithm)).unwrap();
                accepted(runtime.block_on(server.root.check(&token)));
            }
        }
    }
}

/// jsonwebtoken verifies `token` with the published key, and finds the same thumbprint.
fn by_jsonwebtoken(algorithm: Algorithm, published: Option<&Value>, token: &str) {
    let Some(published) = published else { return };
    let published: Jwk = serde_json::from_value(published.clone()).unwrap();
    let mut validation = Validation::new(algorithm.name().parse().unwrap());
    validation.set_audience(&["orders"]);
    validation.validate_exp = false;
    let key = DecodingKey::from_jwk(&published).unwrap();
    jsonwebtoken::decode::<Value>(token, &key, &validation).unwrap();
    assert_eq!(published.thumbprint(ThumbprintHash::SHA256).unwrap(), published.common.key_id.unwrap());
}

/// aws-lc verifies `token` with the published key, whose id is the thumbprint over just these members (RFC 9964).
fn by_aws_lc(method: &'static PqdsaVerificationAlgorithm, published: &Value, token: &str) {
    assert_eq!(published["kty"], "AKP");
    let public = URL_SAFE_NO_PAD.decode(published["pub"].as_str().unwrap()).unwrap();
    let (input, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    UnparsedPublicKey::new(method, &public).verify(input.as_bytes(), &signature).unwrap();
    let members = format!(r#"{{"alg":{},"kty":"AKP","pub":{}}}"#, published["alg"], published["pub"]);
    let thumbprint = b64(digest(&SHA256, members.as_bytes()));
    assert_eq!(published["kid"], thumbprint);
}
