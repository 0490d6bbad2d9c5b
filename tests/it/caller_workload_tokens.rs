//! Invalid workload tokens; after each of them a valid one passes.

use serde_json::json;
use tokend::model::Algorithm;
use tonic::Code;

use crate::{
    caller_tokens::{issue_by, public, register, signed},
    caller_workloads::{CLUSTER, by_cluster, pod, trusting, workload},
    forge::b64,
    harness::{START, TestServer, accepted, assert_refused},
    jwks_stand_in::{Answer, JwksStandIn},
    made_keys::{made, make, token, with},
};

/// The longest token that is taken, in bytes.
const LONGEST: usize = 8192;

/// A server that trusts an issuer of two keys: `cluster-1` of RSA, and `cluster-2` of the curve P-256.
async fn server() -> (TestServer, JwksStandIn) {
    let (rsa, ec) =
        (public(made(Algorithm::Rs256), "cluster-1"), public(made(Algorithm::Es256), "cluster-2"));
    let issuer = JwksStandIn::start(Answer::Set(json!({"keys": [rsa, ec]}).to_string())).await;
    let server = TestServer::with(trusting(&issuer.uri())).await;
    register(&server, "web", workload(&[("/kubernetes.io/namespace", &["shop"])])).await;
    (server, issuer)
}

/// Each of these is refused, in the same words, and a good one passes right after.
async fn all_refused(tokens: Vec<(String, String)>) {
    let (server, _issuer) = server().await;
    let mut answers = Vec::new();
    for (name, token) in tokens {
        let answer = issue_by(&server, &token).await;
        assert!(answer.is_err(), "taken: {name}");
        let status = assert_refused(answer, Code::Unauthenticated, "CREDENTIALS_INVALID");
        answers.push((status.message().to_owned(), status.details().to_vec()));
        accepted(issue_by(&server, &by_cluster(&pod())).await);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "what is wrong can be told apart: {answers:?}");
}

fn named(name: &str, token: String) -> (String, String) {
    (name.to_owned(), token)
}

#[tokio::test]
async fn a_token_that_is_not_signed_is_refused() {
    let payload = pod().to_string();
    let mut tokens = Vec::new();
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let header = format!(r#"{{"alg":"{alg}","kid":"cluster-1"}}"#);
        let input = format!("{}.{}", b64(&header), b64(&payload));
        tokens.push(named(&format!("{alg}, no signature"), format!("{input}.")));
        tokens.push(named(&format!("{alg}, no third part"), input));
        let signed = signed(made(Algorithm::Rs256), Algorithm::Rs256, &header, &payload);
        tokens.push(named(&format!("{alg}, and a signature"), signed));
    }
    for header in [r#"{"kid":"cluster-1"}"#, r#"{"alg":null,"kid":"cluster-1"}"#, r#"{"alg":["RS256"]}"#] {
        tokens.push(named(header, signed(made(Algorithm::Rs256), Algorithm::Rs256, header, &payload)));
    }
    all_refused(tokens).await;
}

#[tokio::test]
async fn what_is_said_twice_is_refused() {
    let payload = pod().to_string();
    let head = r#"{"alg":"RS256","kid":"cluster-1"}"#;
    let rs256 =
        |header: &str, payload: &str| signed(made(Algorithm::Rs256), Algorithm::Rs256, header, payload);
    let mut tokens = Vec::new();
    let good_sub = r#""sub":"system:serviceaccount:shop:web""#;
    let said = [
        good_sub.to_owned(),
        r#""sub":"system:serviceaccount:shop:other""#.to_owned(),
        r#""s\u0075b":"system:serviceaccount:shop:web""#.to_owned(),
        r#""aud":["tokend"]"#.to_owned(),
        r#""aud":"orders""#.to_owned(),
        format!(r#""iss":"{CLUSTER}""#),
        format!(r#""exp":{}"#, START + 3600),
        r#""kubernetes.io":{"namespace":"shop"}"#.to_owned(),
    ];
    for member in said {
        // The same thing before what is there, and after it.
        let first = payload.replacen('{', &format!("{{{member},"), 1);
        let last = format!("{},{member}}}", payload.strip_suffix('}').unwrap());
        tokens.extend([first, last].map(|twice| named(&member, rs256(head, &twice))));
    }
    let nested = payload.replacen(r#""namespace":"#, r#""namespace":"other","namespace":"#, 1);
    assert_ne!(nested, payload);
    tokens.push(named("a nested one", rs256(head, &nested)));
    for header in [
        r#"{"alg":"RS256","kid":"cluster-1","kid":"cluster-1"}"#,
        r#"{"alg":"RS256","kid":"cluster-2","kid":"cluster-1"}"#,
        r#"{"alg":"none","alg":"RS256","kid":"cluster-1"}"#,
        r#"{"alg":"RS256","kid":"cluster-1","x":1,"x":2}"#,
    ] {
        tokens.push(named(header, rs256(header, &payload)));
    }
    all_refused(tokens).await;
}

#[tokio::test]
async fn the_public_key_is_no_secret() {
    let rsa = made(Algorithm::Rs256);
    let pem = rsa.public_pem();
    let jwk = public(rsa, "cluster-1");
    let modulus = jwk["n"].as_str().unwrap();
    let secrets: [(&str, Vec<u8>); 7] = [
        ("PEM", pem.clone().into_bytes()),
        ("PEM without its last line end", pem.trim_end().as_bytes().to_vec()),
        ("DER", rsa.spki.clone()),
        ("the key in the DER", rsa.spki[24..].to_vec()),
        ("the JWK", jwk.to_string().into_bytes()),
        ("the modulus as text", modulus.as_bytes().to_vec()),
        ("nothing", Vec::new()),
    ];
    let mut tokens = Vec::new();
    for (name, secret) in &secrets {
        for algorithm in [Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512] {
            tokens.push(named(
                &format!("{algorithm} by {name}"),
                token(algorithm, secret, "cluster-1", &pod()),
            ));
        }
        // The same with a header that lies about it.
        let header = r#"{"alg":"RS256","kid":"cluster-1"}"#;
        let input = format!("{}.{}", b64(header), b64(pod().to_string()));
        let hmac = crate::forge::PrivateKey::parse(Algorithm::Hs256, secret).sign(Algorithm::Hs256, &input);
        tokens.push(named(&format!("RS256 that is HMAC by {name}"), format!("{input}.{hmac}")));
    }
    all_refused(tokens).await;
}

#[tokio::test]
async fn without_a_key_id_there_must_be_exactly_one_key_for_the_algorithm() {
    let payload = pod().to_string();
    let by = |algorithm: Algorithm, header: &str| signed(made(algorithm), algorithm, header, &payload);
    let (rsa, ec) = (by(Algorithm::Rs256, r#"{"alg":"RS256"}"#), by(Algorithm::Es256, r#"{"alg":"ES256"}"#));
    let other = signed(&make(Algorithm::Rs256), Algorithm::Rs256, r#"{"alg":"RS256"}"#, &payload);
    let empty = by(Algorithm::Rs256, r#"{"alg":"RS256","kid":""}"#);
    let null = by(Algorithm::Rs256, r#"{"alg":"RS256","kid":null}"#);
    let none = by(Algorithm::Rs256, r#"{"alg":"EdDSA"}"#);
    let swapped = by(Algorithm::Rs256, r#"{"alg":"RS256","kid":"cluster-2"}"#);
    let tokens = [
        ("another key", other),
        ("no key", none),
        ("an empty one", empty),
        ("null", null),
        ("swapped", swapped),
    ];
    all_refused(tokens.map(|(name, token)| named(name, token)).to_vec()).await;

    let (server, issuer) = server().await;
    accepted(issue_by(&server, &rsa).await);
    accepted(issue_by(&server, &ec).await);
    let keys = [public(made(Algorithm::Rs256), "cluster-1"), public(&make(Algorithm::Rs256), "cluster-3")];
    issuer.answer(Answer::Set(json!({ "keys": keys }).to_string()));
    server.clock.advance(300);
    server.rounds.make().await.unwrap();
    assert_refused(issue_by(&server, &rsa).await, Code::Unauthenticated, "CREDENTIALS_INVALID");
}

#[tokio::test]
async fn a_token_may_be_so_long_and_no_longer() {
    let (server, _issuer) = server().await;
    let long = |extra: usize| by_cluster(&with(&pod(), "extra", "x".repeat(extra)));
    let near = (LONGEST - long(0).len()) / 4 * 3 - 4;
    let (mut taken, mut refused) = (0, 0);
    for extra in near..near + 8 {
        let token = long(extra);
        let answer = issue_by(&server, &token).await;
        if token.len() <= LONGEST {
            accepted(answer);
            taken += 1;
        } else {
            assert_refused(answer, Code::Unauthenticated, "CREDENTIALS_INVALID");
            accepted(issue_by(&server, &by_cluster(&pod())).await);
            refused += 1;
        }
    }
    assert!(taken > 0 && refused > 0, "{taken} and {refused}");
    assert_refused(issue_by(&server, &long(9000)).await, Code::Unauthenticated, "CREDENTIALS_INVALID");
    accepted(issue_by(&server, &by_cluster(&pod())).await);
}
