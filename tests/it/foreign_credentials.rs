//! Tokens of trusted issuers as they write them, as credentials of workloads and at ExchangeToken; and those issuers' keys.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokend::{
    access::{KeySource, TrustedIssuerSettings},
    model::{Algorithm, ClientSettings, WorkloadIdentity},
    proto::v1,
    server::Settings,
};
use tonic::Code;

use crate::{
    caller_tokens::{issue_by, public, register, signed, unlimited},
    caller_workloads::{CLUSTER, pod, workload},
    exchanges::exchange_of,
    harness::{START_SECONDS, TestServer, accepted, assert_refused, reason, refused},
    jwks_stand_in::{Answer, JwksStandIn},
    made_keys::{made, make, with},
    process::{FREE_PORTS, Watched, init},
};

const RS256: Algorithm = Algorithm::Rs256;

/// A server that trusts this issuer, whose keys are these.
async fn server(
    issuer: &str,
    keys: &[Value],
    change: impl FnOnce(&mut Settings),
) -> (TestServer, JwksStandIn) {
    let stand_in = JwksStandIn::start(Answer::Set(json!({ "keys": keys }).to_string())).await;
    let uri = stand_in.uri().parse().unwrap();
    let server = TestServer::with(|settings| {
        unlimited(settings);
        settings.caller_sources.trusted_issuers.push(TrustedIssuerSettings {
            subject_prefix: None,
            token_types: vec!["wimse+jwt".to_owned()],
            issuer: issuer.to_owned(),
            source: KeySource::Uri { uri, ca_file: None, bearer_token_file: None },
            algorithms: vec![RS256, Algorithm::Es256, Algorithm::EdDsa],
        });
        change(settings);
    })
    .await;
    register(&server, "web", stands_for_web(issuer)).await;
    (server, stand_in)
}

fn stands_for_web(issuer: &str) -> ClientSettings {
    let mut settings = workload(&[("level", &["3"])]);
    let identities = settings.authentication.workload_identities.drain(..);
    let identities: Vec<WorkloadIdentity> =
        identities.map(|identity| WorkloadIdentity { issuer: issuer.to_owned(), ..identity }).collect();
    settings.authentication.workload_identities = identities;
    settings
}

fn by_rsa(header: &Value, claims: &Value) -> String {
    signed(made(RS256), RS256, &header.to_string(), &claims.to_string())
}

/// That the token is taken as a credential, and for an exchange.
async fn taken(server: &TestServer, name: &str, token: &str) {
    let credential = issue_by(server, token).await;
    assert!(credential.is_ok(), "{name}: {:?}", credential.err());
    let exchanged = server.root.exchange(exchange_of(token)).await;
    assert!(exchanged.is_ok(), "{name}: {:?}", exchanged.err());
}

async fn refused_for(server: &TestServer, name: &str, token: &str, expected: &str) {
    assert_refused(issue_by(server, token).await, Code::Unauthenticated, "CREDENTIALS_INVALID");
    let status = refused(server.root.exchange(exchange_of(token)).await);
    assert_eq!(reason(&status), expected, "{name}");
}

#[tokio::test]
async fn types_of_the_profile_and_those_that_the_issuer_may_use_besides() {
    let (server, _stand_in) = server(CLUSTER, &[public(made(RS256), "one")], |_| ()).await;
    let typed = |typ: &str| by_rsa(&json!({"alg": "RS256", "kid": "one", "typ": typ}), &pod());
    for typ in ["JWT", "at+JWT", "application/at+jwt", "JOSE", "wimse+jwt", "application/WIMSE+jwt"] {
        taken(&server, typ, &typed(typ)).await;
    }
    for typ in ["dpop+jwt", "logout+jwt", "secevent+jwt", "wimse", ""] {
        refused_for(&server, typ, &typed(typ), "TOKEN_TYPE_MISMATCH").await;
    }
    let nested = json!({"alg": "RS256", "kid": "one", "cty": "JWT"});
    taken(&server, "cty", &by_rsa(&nested, &pod())).await;
    refused_for(&server, "cty", &by_rsa(&with(&nested, "cty", "json"), &pod()), "TOKEN_MALFORMED").await;
}

#[tokio::test]
async fn without_kid_the_only_key_for_the_algorithm_verifies() {
    let keys = [
        public(made(RS256), "one"),
        public(made(Algorithm::Es256), "two"),
        public(&make(Algorithm::Es256), "three"),
    ];
    let (server, _stand_in) = server(CLUSTER, &keys, |_| ()).await;
    taken(&server, "the only RSA key", &by_rsa(&json!({"alg": "RS256"}), &pod())).await;
    let ec = |header: Value| {
        signed(made(Algorithm::Es256), Algorithm::Es256, &header.to_string(), &pod().to_string())
    };
    refused_for(&server, "one of two", &ec(json!({"alg": "ES256"})), "TOKEN_KEY_UNKNOWN").await;
    taken(&server, "named", &ec(json!({"alg": "ES256", "kid": "two"}))).await;
    let none = by_rsa(&json!({"alg": "EdDSA"}), &pod());
    refused_for(&server, "no key for it", &none, "TOKEN_ALGORITHM_NOT_ALLOWED").await;
}

#[tokio::test]
async fn claims_that_no_condition_asks_for_are_not_interpreted() {
    let (server, _stand_in) = server(CLUSTER, &[public(made(RS256), "one")], |_| ()).await;
    let token = |name: &str, value: Value| {
        let mut claims = pod();
        claims[name] = value;
        by_rsa(&json!({"alg": "RS256", "kid": "one"}), &claims)
    };
    for (name, value) in [
        ("sid", json!(7)),
        ("act", json!("login")),
        ("client_id", json!(["a"])),
        ("orig_iat", json!("then")),
        ("scope", json!(["read"])),
        ("nbf", json!(START_SECONDS + 0.9)),
        ("iat", json!(START_SECONDS + 0.9)),
        ("jti", Value::Null),
    ] {
        taken(&server, name, &token(name, value)).await;
    }
    // A workload needs no subject that no condition asks for; an exchange does.
    for (name, value) in [("sub", Value::Null), ("act", json!({"sub": 7}))] {
        let token = token(name, value);
        accepted(issue_by(&server, &token).await);
        let status = refused(server.root.exchange(exchange_of(&token)).await);
        assert_eq!(reason(&status), "TOKEN_CLAIM_INVALID", "{name}");
    }
    refused_for(&server, "aud", &token("aud", json!({"tokend": 1})), "TOKEN_CLAIM_INVALID").await;
    refused_for(&server, "jti", &token("jti", json!({"a": 1})), "TOKEN_CLAIM_INVALID").await;
}

#[tokio::test]
async fn a_large_token_is_a_credential_as_the_setting_says() {
    let groups = with(&pod(), "groups", vec!["00000000-0000-0000-0000-000000000000"; 150]);
    let token = by_rsa(&json!({"alg": "RS256", "kid": "one"}), &groups);
    assert!(token.len() > 8192);
    for (bytes, is_taken) in [(8192, false), (16_384, true)] {
        let change = |settings: &mut Settings| {
            settings.verify.max_token_bytes = bytes;
            settings.callers.max_token_bytes = bytes;
        };
        let (server, _stand_in) = server(CLUSTER, &[public(made(RS256), "one")], change).await;
        if is_taken {
            taken(&server, "16 KiB", &token).await;
        } else {
            refused_for(&server, "8 KiB", &token, "TOKEN_TOO_LARGE").await;
        }
    }
}

#[tokio::test]
async fn an_issuer_may_be_a_hosts_name() {
    const GOOGLE: &str = "accounts.google.com";
    let (server, _stand_in) = server(GOOGLE, &[public(made(RS256), "one")], |_| ()).await;
    let token = by_rsa(&json!({"alg": "RS256", "kid": "one"}), &with(&pod(), "iss", GOOGLE));
    taken(&server, GOOGLE, &token).await;
    // A client of that id gains nothing by it: its assertions are read as tokens of the issuer, with the issuer's keys.
    let other = make(RS256);
    let assertion = with(&with(&pod(), "iss", GOOGLE), "sub", GOOGLE);
    refused_for(&server, "another's key", &other.token("one", &assertion), "TOKEN_SIGNATURE_INVALID").await;
}

#[tokio::test]
async fn keys_that_cannot_be_used_are_named_and_the_others_verify() {
    let leading_zero: Value = serde_json::from_str(include_str!(
        "../../crates/tokend-jose/src/import/tests/real/modulus-leading-zero.json"
    ))
    .unwrap();
    let long = "k".repeat(200);
    let svid = with(&public(made(RS256), "signing key 2024"), "use", "jwt-svid");
    let keys = [
        svid,
        public(made(Algorithm::Es256), &long),
        with(&public(made(Algorithm::EdDsa), "ed"), "alg", "Ed25519"),
        leading_zero,
        with(&public(made(Algorithm::Es384), "line\nbreak\"quote"), "use", "enc"),
    ];
    let (server, _stand_in) = server(CLUSTER, &keys, |_| ()).await;
    taken(&server, "kid with spaces", &by_rsa(&json!({"alg": "RS256", "kid": "signing key 2024"}), &pod()))
        .await;
    let by = |algorithm, name: &str, kid: &str| {
        signed(made(algorithm), algorithm, &json!({"alg": name, "kid": kid}).to_string(), &pod().to_string())
    };
    taken(&server, "a long kid", &by(Algorithm::Es256, "ES256", &long)).await;
    taken(&server, "Ed25519", &by(Algorithm::EdDsa, "Ed25519", "ed")).await;
    taken(&server, "EdDSA", &by(Algorithm::EdDsa, "EdDSA", "ed")).await;
    refused_for(&server, "the bad one", &by(RS256, "RS256", "z1"), "TOKEN_KEY_UNKNOWN").await;

    let (_, _, metrics) = server.get("/metrics").await;
    let named = |line: &str| line.starts_with("tokend_issuer_skipped_keys{");
    let lines: Vec<&str> = metrics.lines().filter(|line| named(line)).collect();
    assert_eq!(
        lines,
        [
            format!(
                r#"tokend_issuer_skipped_keys{{issuer="{CLUSTER}",key_id="z1",problem="`n` must be a number without leading zero bytes"}} 1"#
            ),
            format!(
                r#"tokend_issuer_skipped_keys{{issuer="{CLUSTER}",key_id="line\nbreak\"quote",problem="`use` must be `sig`, or `jwt-svid` of a SPIFFE bundle"}} 1"#
            ),
        ]
    );
    let request = v1::ListKeysRequest { trusted: true, ..Default::default() };
    let listed = accepted(server.root.keys().list_keys(server.root.request(request)).await).into_inner();
    assert!(listed.keys.is_empty() && listed.next_page_token.is_empty());
    let told: Vec<(&str, String, &str)> = listed
        .trusted_keys
        .iter()
        .map(|key| (key.key_id.as_str(), key.algorithms.join(" "), key.problem.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("signing key 2024", "RS256".to_owned(), ""),
            (&long[..128], "ES256".to_owned(), ""),
            ("ed", "EdDSA".to_owned(), ""),
            ("z1", String::new(), "`n` must be a number without leading zero bytes"),
            ("line\nbreak\"quote", String::new(), "`use` must be `sig`, or `jwt-svid` of a SPIFFE bundle"),
        ]
    );
    assert!(listed.trusted_keys.iter().all(|key| key.issuer == CLUSTER));
}

#[test]
fn the_log_names_each_key_that_cannot_be_used() {
    let folder = TempDir::new().unwrap();
    init(folder.path());
    let bad = include_str!("../../crates/tokend-jose/src/import/tests/real/modulus-leading-zero.json");
    let set = format!(r#"{{"keys":[{bad},{}]}}"#, public(made(RS256), "one"));
    fs::write(folder.path().join("jwks.json"), set).unwrap();
    let issuers = format!("[[issuer]]\nissuer = \"{CLUSTER}\"\njwks_file = \"jwks.json\"\n");
    fs::write(folder.path().join("issuers.toml"), issuers).unwrap();
    let arguments = ["serve", "--config", "tokend.toml", "--allow-plaintext", "--log-format", "json"];
    let trusting = ["--trusted-issuers-file", "issuers.toml"];
    let mut process =
        Watched::start(folder.path(), &[&arguments[..], &FREE_PORTS[..], &trusting[..]].concat());
    let line = process.logged("a key of the trusted issuer cannot be used, and is skipped");
    assert_eq!(line["issuer"], CLUSTER);
    assert_eq!(line["key_id"], "\"z1\"");
    assert_eq!(line["problem"], "`n` must be a number without leading zero bytes");
}
