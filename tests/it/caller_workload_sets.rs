//! The sets of keys that a trusted issuer publishes: what of them is taken, and what is not.

use std::{fs, time::Duration};

use serde_json::{Value, json};
use tokend::{
    access::{KeySource, TrustedIssuerSettings},
    model::Algorithm,
};
use tonic::Code;

use crate::{
    caller_tokens::{issue_by, public, register, signed, unlimited},
    caller_workloads::{CLUSTER, by_cluster, cluster_keys, pod, workload},
    forge::b64,
    harness::{TestServer, accepted, assert_refused},
    jwks_stand_in::{Answer, JwksStandIn},
    made_keys::{MadeKey, made, make, token},
};

const INVALID: &str = "CREDENTIALS_INVALID";

/// How long a fetch may take.
const TIMEOUT: Duration = Duration::from_millis(300);

/// The modulus of an RSA key of 1,024 bits.
const WEAK_MODULUS: &str = "zzRYnhFug3rizVdyGAvq4XdtMlzCqF4G8OOAZsPa_5wzSrfrCUZF7cyHqYSXGsrUsfG_DNyLQ7LqDM2nsS5LS5AiW64bPB1BnvVk\
     CrsPTEWN2-jTxiRQg8Q-6y6DG3z90crcpstX0pMFtJwotglleLPu9K8E2jvQw2JlN4V3lIM";
const WEAK_PAYLOAD: &str =
    r#"{"iss":"https://kubernetes.default.svc","aud":"tokend","exp":1767229200,"sub":"a","level":3}"#;
/// Its signature of a token of this payload, which is good.
const WEAK_SIGNATURE: &str = "YcQluU2eY8jAQB5c8tJcUPQua5NwWM0kC3De4MfKYnFluXrbOQ6kJZ97z9_4uu_NFpH5IxeGVt_hy6X4_Exxe-c1mEAwiA6vzNOA\
     TOBPwKrpeR2UtGnleCF_U8VCxeqoM9fzYYRpWzUt9XZEcaxvvY0QTvJRl6xhBtDw-s5lKek";

fn set(keys: &[Value]) -> Answer {
    Answer::Set(json!({ "keys": keys }).to_string())
}

/// A server that takes the tokens of an issuer whose keys are had like this, and knows one workload.
async fn server(source: KeySource) -> TestServer {
    let server = TestServer::with(|settings| {
        unlimited(settings);
        settings.caller_sources.refresh.timeout = TIMEOUT;
        settings.caller_sources.trusted_issuers.push(TrustedIssuerSettings {
            subject_prefix: None,
            token_types: Vec::new(),
            issuer: CLUSTER.to_owned(),
            source,
            algorithms: vec![Algorithm::Rs256, Algorithm::Es256],
        });
    })
    .await;
    register(&server, "web", workload(&[("level", &["3"])])).await;
    server
}

async fn publishing(answer: Answer) -> (TestServer, JwksStandIn) {
    let issuer = JwksStandIn::start(answer).await;
    let uri = issuer.uri().parse().unwrap();
    (server(KeySource::Uri { uri, ca_file: None, bearer_token_file: None }).await, issuer)
}

/// Has the server look at what is published by now.
async fn next_fetch(server: &TestServer) {
    server.clock.advance(300);
    server.rounds.make().await.unwrap();
}

async fn fetches(server: &TestServer, result: &str) -> u64 {
    let (_, _, metrics) = server.get("/metrics").await;
    let name = format!(r#"tokend_issuer_fetches_total{{issuer="{CLUSTER}",result="{result}"}} "#);
    metrics.lines().find_map(|line| line.strip_prefix(&name)).unwrap().parse().unwrap()
}

async fn invalid(server: &TestServer, token: &str) {
    assert_refused(issue_by(server, token).await, Code::Unauthenticated, INVALID);
    // A good one passes right after.
    accepted(issue_by(server, &by_cluster(&pod())).await);
}

#[tokio::test]
async fn a_weak_key_and_a_published_secret_are_left_out() {
    let weak =
        json!({"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "weak", "n": WEAK_MODULUS, "e": "AQAB"});
    let secret = [7; 32];
    let oct = json!({"kty": "oct", "alg": "HS256", "kid": "shared", "k": b64(secret)});
    let bare_oct = json!({"kty": "oct", "kid": "bare", "k": b64(secret)});
    let unusable = [weak, oct, bare_oct];
    let with_a_good_one = [&unusable[..], &[public(made(Algorithm::Rs256), "cluster-1")]].concat();
    let (server, issuer) = publishing(set(&with_a_good_one)).await;
    accepted(issue_by(&server, &by_cluster(&pod())).await);
    let input = format!("{}.{}", b64(r#"{"alg":"RS256","kid":"weak"}"#), b64(WEAK_PAYLOAD));
    invalid(&server, &format!("{input}.{WEAK_SIGNATURE}")).await;
    for kid in ["shared", "bare"] {
        invalid(&server, &token(Algorithm::Hs256, &secret, kid, &pod())).await;
    }
    // The one that is left is the only one.
    let unnamed = signed(made(Algorithm::Rs256), Algorithm::Rs256, r#"{"alg":"RS256"}"#, &pod().to_string());
    accepted(issue_by(&server, &unnamed).await);
    // A set of nothing else is none, and takes no key away.
    issuer.answer(set(&unusable));
    next_fetch(&server).await;
    accepted(issue_by(&server, &by_cluster(&pod())).await);
    assert_eq!((fetches(&server, "ok").await, fetches(&server, "failed").await), (1, 1));
}

#[tokio::test]
async fn a_set_of_more_than_64_keys_is_not_taken() {
    let (server, issuer) = publishing(Answer::Set(cluster_keys())).await;
    accepted(issue_by(&server, &by_cluster(&pod())).await);
    let (one, other) = (make(Algorithm::Es256), make(Algorithm::Es256));
    let keys = |count: usize, last: &MadeKey| -> Vec<Value> {
        let filler = |number| public(made(Algorithm::Es256), &format!("filler-{number}"));
        let head = [public(made(Algorithm::Rs256), "cluster-1")];
        head.into_iter().chain((2..count).map(filler)).chain([public(last, "last")]).collect()
    };
    issuer.answer(set(&keys(64, &one)));
    next_fetch(&server).await;
    accepted(issue_by(&server, &one.token("last", &pod())).await);
    issuer.answer(set(&keys(65, &other)));
    next_fetch(&server).await;
    invalid(&server, &other.token("last", &pod())).await;
    accepted(issue_by(&server, &one.token("last", &pod())).await);
    assert_eq!((fetches(&server, "ok").await, fetches(&server, "failed").await), (2, 1));
}

#[tokio::test]
async fn of_two_keys_of_one_id_and_algorithm_the_first_is_taken() {
    let (first, second) = (make(Algorithm::Es256), make(Algorithm::Es256));
    let keys = [public(&first, "twin"), public(&second, "twin"), public(made(Algorithm::Rs256), "twin")];
    let (server, issuer) = publishing(set(&keys)).await;
    accepted(issue_by(&server, &first.token("twin", &pod())).await);
    assert_refused(issue_by(&server, &second.token("twin", &pod())).await, Code::Unauthenticated, INVALID);
    // Of another algorithm there is one.
    accepted(issue_by(&server, &made(Algorithm::Rs256).token("twin", &pod())).await);
    accepted(issue_by(&server, &first.token("twin", &pod())).await);
    issuer.answer(set(&[public(&second, "twin"), public(&first, "twin")]));
    next_fetch(&server).await;
    assert_refused(issue_by(&server, &first.token("twin", &pod())).await, Code::Unauthenticated, INVALID);
    accepted(issue_by(&server, &second.token("twin", &pod())).await);
}

#[tokio::test]
async fn each_fetch_shows_the_token_that_is_in_the_file_then() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    fs::write(&path, "first-token\n").unwrap();
    let issuer = JwksStandIn::start(Answer::Set(cluster_keys())).await;
    let uri = issuer.uri().parse().unwrap();
    let server = server(KeySource::Uri { uri, ca_file: None, bearer_token_file: Some(path.clone()) }).await;
    assert!(issuer.last_request().contains("authorization: bearer first-token\r\n"));
    fs::write(&path, "second-token").unwrap();
    next_fetch(&server).await;
    assert!(issuer.last_request().contains("authorization: bearer second-token\r\n"));
    assert_eq!(issuer.requests(), 2);
    // Without a token, or with what is none, nothing is asked, and the keys stay.
    for content in [None, Some(" \n"), Some("two\nlines")] {
        match content {
            Some(content) => fs::write(&path, content).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        next_fetch(&server).await;
        assert_eq!(issuer.requests(), 2, "asked with {content:?}");
        accepted(issue_by(&server, &by_cluster(&pod())).await);
    }
    fs::write(&path, "third-token").unwrap();
    next_fetch(&server).await;
    assert!(issuer.last_request().contains("authorization: bearer third-token\r\n"));
    assert_eq!((fetches(&server, "ok").await, fetches(&server, "failed").await), (3, 3));
}

#[tokio::test]
async fn an_answer_that_drips_ends_in_time() {
    let (server, issuer) = publishing(Answer::Set(cluster_keys())).await;
    issuer.answer(Answer::Drip);
    // Far longer than it may take, and far shorter than the answer.
    let far = TIMEOUT * 100;
    tokio::time::timeout(far, next_fetch(&server)).await.expect("the fetch has no end");
    assert_eq!(issuer.requests(), 2);
    assert_eq!((fetches(&server, "ok").await, fetches(&server, "failed").await), (1, 1));
    accepted(issue_by(&server, &by_cluster(&pod())).await);
}
