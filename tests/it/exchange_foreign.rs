//! Tokens of other issuers at ExchangeToken: of trusted ones, and of those whose keys were imported.

use serde_json::{Value, json};
use tokend::{model::Algorithm, proto::v1};
use tonic::Code;

use crate::{
    caller_workloads::{CLUSTER, by_cluster, cluster_keys, pod, trusting},
    exchanges::{alices, assert_denied, client, exchange_by, exchange_of, orders_may, said, texts},
    harness::{START, TestServer, accepted, assert_refused, for_alice, reason, refused},
    jwks_stand_in::{Answer, JwksStandIn},
    made_keys::{made, make, pem_request, verify_only, with},
};

const WEB: &str = "system:serviceaccount:shop:web";

/// A subject of the cluster, as tokens of the server name it.
fn of_cluster(subject: &str) -> String {
    format!("foreign:{CLUSTER}#{subject}")
}

/// A server that trusts the cluster, and what answers with the cluster's keys.
async fn server() -> (TestServer, JwksStandIn) {
    let stand_in = JwksStandIn::start(Answer::Set(cluster_keys())).await;
    (TestServer::with(trusting(&stand_in.uri())).await, stand_in)
}

/// What `orders` may do with tokens of the cluster, which are for `tokend`.
fn may_take_pods() -> v1::Permissions {
    v1::Permissions {
        exchange_issuers: texts(&[CLUSTER]),
        exchange_audiences: texts(&["tokend"]),
        exchange_subjects: vec![of_cluster("system:serviceaccount:shop:*"), "alice".to_owned()],
        claims: texts(&["*"]),
        ..orders_may()
    }
}

fn to_billing(subject_token: &str) -> v1::ExchangeTokenRequest {
    v1::ExchangeTokenRequest { audiences: texts(&["billing"]), ..exchange_of(subject_token) }
}

#[tokio::test]
async fn a_trusted_issuers_token_says_who_it_is_and_no_more() {
    let (server, _stand_in) = server().await;
    let orders = client(&server, "orders", may_take_pods()).await;
    let pod = with(&with(&pod(), "scope", "read admin"), "sid", "AAAAAAAAAAAAAAAAAAAAAA");
    let pod = with(&with(&pod, "client_id", "root"), "tenant", "acme");
    let answer = accepted(orders.exchange(to_billing(&by_cluster(&pod))).await);
    let claims = said(&server, &answer.access_token).await;
    let expected = json!({
        "iss": crate::harness::ISSUER, "sub": of_cluster(WEB), "aud": "billing", "client_id": "orders",
        "iat": START, "nbf": START, "exp": START + 900, "jti": answer.jwt_id,
    });
    assert_eq!(claims, expected);
    // Scopes are the client's own to ask for: those of another issuer mean something else.
    let request = v1::ExchangeTokenRequest { scopes: texts(&["write"]), ..to_billing(&by_cluster(&pod)) };
    assert_eq!(accepted(orders.exchange(request).await).scopes, ["write"]);
    let request = v1::ExchangeTokenRequest { scopes: texts(&["admin"]), ..to_billing(&by_cluster(&pod)) };
    assert_denied(orders.exchange(request).await, "SCOPE_NOT_ALLOWED", "scopes[0]");
    // Its own audience is one that the client may not have in tokens.
    let answer = orders.exchange(exchange_of(&by_cluster(&pod))).await;
    assert_denied(answer, "AUDIENCE_NOT_ALLOWED", "audiences");
}

#[tokio::test]
async fn it_never_outlives_that_token_either() {
    let (server, _stand_in) = server().await;
    let orders = client(&server, "orders", may_take_pods()).await;
    let short = by_cluster(&with(&pod(), "exp", START + 40));
    let answer = accepted(orders.exchange(to_billing(&short)).await);
    assert_eq!(answer.expire_time.unwrap().seconds, START + 40);
}

#[tokio::test]
async fn whose_tokens_the_client_may_take() {
    let (server, _stand_in) = server().await;
    let token = by_cluster(&pod());
    type Change = fn(&mut v1::Permissions);
    let table: [(Change, &str); 7] = [
        (|may| may.exchange_issuers.clear(), "SUBJECT_NOT_ALLOWED"),
        (
            |may| may.exchange_issuers = texts(&["https://kubernetes", "https://other.svc"]),
            "SUBJECT_NOT_ALLOWED",
        ),
        (
            |may| may.exchange_subjects = vec![of_cluster("system:serviceaccount:bank:*")],
            "SUBJECT_NOT_ALLOWED",
        ),
        // What names a subject of this issuer names none of the cluster.
        (|may| may.exchange_subjects = texts(&[WEB]), "SUBJECT_NOT_ALLOWED"),
        (|may| may.exchange_subjects.clear(), "SUBJECT_NOT_ALLOWED"),
        (|may| may.exchange_audiences.clear(), "AUDIENCE_NOT_ALLOWED"),
        (|may| may.exchange_audiences = texts(&["token"]), "AUDIENCE_NOT_ALLOWED"),
    ];
    for (index, (change, expected)) in table.into_iter().enumerate() {
        let mut may = may_take_pods();
        change(&mut may);
        let caller = client(&server, &format!("caller-{index}"), may).await;
        assert_denied(caller.exchange(to_billing(&token)).await, expected, "subject_token");
    }
}

#[tokio::test]
async fn a_bad_token_of_a_trusted_issuer() {
    let (server, _stand_in) = server().await;
    let orders = client(&server, "orders", may_take_pods()).await;
    let subject = alices(&server).await;
    let other = make(Algorithm::Rs256);
    let changed = |name: &str, value: Value| by_cluster(&with(&pod(), name, value));
    let confused =
        crate::made_keys::token(Algorithm::Hs256, &made(Algorithm::Rs256).spki, "cluster-1", &pod());
    for (token, expected) in [
        (changed("exp", json!(START)), "TOKEN_EXPIRED"),
        (changed("nbf", json!(START + 60)), "TOKEN_NOT_YET_VALID"),
        (changed("aud", json!([])), "TOKEN_CLAIM_INVALID"),
        (changed("sub", json!("a\u{0}")), "TOKEN_CLAIM_INVALID"),
        (changed("cnf", json!({"jkt": "x"})), "TOKEN_BINDING_MISMATCH"),
        (other.token("cluster-1", &pod()), "TOKEN_SIGNATURE_INVALID"),
        (other.token("cluster-2", &pod()), "TOKEN_KEY_UNKNOWN"),
        (confused, "TOKEN_ALGORITHM_NOT_ALLOWED"),
        // The keys of an untrusted issuer are looked up among the server's own keys, and nowhere else.
        (changed("iss", json!("https://unknown.test")), "TOKEN_KEY_UNKNOWN"),
        (other.token("cluster-1", &with(&pod(), "iss", "https://unknown.test")), "TOKEN_KEY_UNKNOWN"),
        // The cluster's key is none of this issuer's.
        (
            made(Algorithm::Rs256).token("cluster-1", &with(&pod(), "iss", crate::harness::ISSUER)),
            "TOKEN_KEY_UNKNOWN",
        ),
    ] {
        for request in [to_billing(&token), exchange_by(&subject, &token)] {
            let status = refused(orders.exchange(request).await);
            assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, expected));
        }
    }
}

#[tokio::test]
async fn without_the_issuers_keys_an_exchange_is_unavailable() {
    let stand_in = JwksStandIn::start(Answer::Set("no set".to_owned())).await;
    let server = TestServer::with(trusting(&stand_in.uri())).await;
    let orders = client(&server, "orders", may_take_pods()).await;
    let answer = orders.exchange(to_billing(&by_cluster(&pod()))).await;
    assert_refused(answer, Code::Unavailable, "STATE_STALE");
    accepted(orders.exchange(exchange_of(&alices(&server).await)).await);
}

#[tokio::test]
async fn an_actor_of_a_trusted_issuer() {
    let (server, _stand_in) = server().await;
    let subject = alices(&server).await;
    let may = v1::Permissions { impersonate: false, ..may_take_pods() };
    let orders = client(&server, "orders", may.clone()).await;
    let answer = accepted(orders.exchange(exchange_by(&subject, &by_cluster(&pod()))).await);
    assert_eq!(said(&server, &answer.access_token).await["act"], json!({"sub": WEB, "iss": CLUSTER}));
    // `may_act` can say of which issuer the actor is to be.
    for (issuer, may_act) in [(CLUSTER, true), (crate::harness::ISSUER, false)] {
        let claims = json!({"may_act": {"sub": WEB, "iss": issuer}}).to_string();
        let request = v1::IssueTokenRequest { claims_json: claims, ..for_alice() };
        let subject = accepted(server.root.issue(request).await).access_token;
        let answer = orders.exchange(exchange_by(&subject, &by_cluster(&pod()))).await;
        if may_act {
            accepted(answer);
        } else {
            assert_denied(answer, "SUBJECT_NOT_ALLOWED", "actor_token");
        }
    }
    // A subject of another issuer with the client's id is not the client.
    let namesake = by_cluster(&with(&with(&pod(), "sub", "orders"), "aud", "other"));
    let answer = orders.exchange(exchange_by(&subject, &namesake)).await;
    assert_denied(answer, "AUDIENCE_NOT_ALLOWED", "actor_token");
    let gateway = v1::Permissions { exchange_issuers: Vec::new(), exchange_audiences: texts(&["*"]), ..may };
    let gateway = client(&server, "gateway", gateway).await;
    let answer = gateway.exchange(exchange_by(&subject, &by_cluster(&pod()))).await;
    assert_denied(answer, "SUBJECT_NOT_ALLOWED", "actor_token");
}

#[tokio::test]
async fn an_issuer_whose_key_was_imported_is_another_one_too() {
    let server = TestServer::start().await;
    let key = made(Algorithm::Es256);
    let mut request = verify_only(pem_request(key.public_pem(), "ES256"));
    request.issuer = "https://old.test".to_owned();
    let request = server.root.request(request);
    let imported = accepted(server.root.keys().import_key(request).await).into_inner().key.unwrap();
    let claims = json!({
        "iss": "https://old.test", "sub": "alice", "aud": "orders", "exp": START + 60, "scope": "read",
        "tenant": "acme", "sid": "AAAAAAAAAAAAAAAAAAAAAA",
    });
    let token = key.token(&imported.key_id, &claims);
    let orders = client(&server, "orders", orders_may()).await;
    assert_denied(orders.exchange(exchange_of(&token)).await, "SUBJECT_NOT_ALLOWED", "subject_token");
    let exchange_subjects = texts(&["foreign:https://old.test#alice"]);
    let may =
        v1::Permissions { exchange_issuers: texts(&["https://old.test"]), exchange_subjects, ..orders_may() };
    let gateway = v1::Permissions { exchange_audiences: texts(&["orders"]), ..may };
    let gateway = client(&server, "gateway", gateway).await;
    let claims = said(&server, &accepted(gateway.exchange(exchange_of(&token)).await).access_token).await;
    assert_eq!(
        (&claims["sub"], &claims["aud"], &claims["exp"]),
        (&json!("foreign:https://old.test#alice"), &json!("orders"), &json!(START + 60))
    );
    for name in ["scope", "tenant", "sid"] {
        assert!(claims.get(name).is_none(), "{claims}");
    }
}
