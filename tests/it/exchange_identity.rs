//! Exchanged tokens name each identity with its issuer: the same `sub` of two issuers is never one identity.

use serde_json::{Value, json};
use tokend::proto::v1;
use tonic::Code;

use crate::{
    caller_workloads::{CLUSTER, by_cluster, cluster_keys, pod, trusting},
    exchanges::{alices, assert_denied, client, exchange_by, exchange_of, orders_may, said, texts},
    harness::{ISSUER, TestClient, TestServer, accepted, assert_refused, for_alice},
    jwks_stand_in::{Answer, JwksStandIn},
    made_keys::with,
};

/// A server that trusts the cluster, whose subjects have this prefix.
async fn server(subject_prefix: Option<&str>) -> (TestServer, JwksStandIn) {
    let stand_in = JwksStandIn::start(Answer::Set(cluster_keys())).await;
    let trust = trusting(&stand_in.uri());
    let prefix = subject_prefix.map(str::to_owned);
    let server = TestServer::with(|settings| {
        trust(settings);
        settings.caller_sources.trusted_issuers[0].subject_prefix = prefix;
    });
    (server.await, stand_in)
}

/// May exchange all tokens that are for `tokend` or itself, for tokens at `billing`.
fn may_all() -> v1::Permissions {
    v1::Permissions {
        exchange_issuers: texts(&[CLUSTER]),
        exchange_audiences: texts(&["tokend"]),
        exchange_subjects: texts(&["*"]),
        claims: texts(&["*"]),
        ..orders_may()
    }
}

/// A token of the cluster about this subject, with one more claim.
fn theirs(subject: &str, name: &str, value: Value) -> String {
    by_cluster(&with(&with(&pod(), "sub", subject), name, value))
}

fn to_billing(request: v1::ExchangeTokenRequest) -> v1::ExchangeTokenRequest {
    v1::ExchangeTokenRequest { audiences: texts(&["billing"]), ..request }
}

async fn own_token(caller: &TestClient) -> String {
    let request = v1::IssueTokenRequest { audiences: texts(&["stock"]), ..Default::default() };
    accepted(caller.issue(request).await).access_token
}

#[tokio::test]
async fn a_foreign_subject_is_never_a_local_one() {
    for (prefix, expected) in [
        (None, format!("foreign:{CLUSTER}#root")),
        (Some("cluster:"), "cluster:root".to_owned()),
        // Said explicitly: the issuer names subjects of this server.
        (Some(""), "root".to_owned()),
    ] {
        let (server, _stand_in) = server(prefix).await;
        let orders = client(&server, "orders", may_all()).await;
        let answer = orders.exchange(to_billing(exchange_of(&theirs("root", "x", json!(1))))).await;
        let token = accepted(answer).access_token;
        assert_eq!(said(&server, &token).await["sub"], expected.as_str(), "{prefix:?}");
        // Exchanged again, it is the same subject.
        let again = v1::Permissions { exchange_audiences: texts(&["billing"]), ..may_all() };
        let again = client(&server, "again", again).await;
        let token = accepted(again.exchange(exchange_of(&token)).await).access_token;
        assert_eq!(said(&server, &token).await["sub"], expected.as_str(), "{prefix:?}");
    }
}

#[tokio::test]
async fn a_subject_too_long_with_its_prefix_is_refused() {
    let (server, _stand_in) = server(None).await;
    let orders = client(&server, "orders", may_all()).await;
    let room = 255 - format!("foreign:{CLUSTER}#").len();
    let fits = theirs(&"s".repeat(room), "x", json!(1));
    accepted(orders.exchange(to_billing(exchange_of(&fits))).await);
    let too_long = theirs(&"s".repeat(room + 1), "x", json!(1));
    let answer = orders.exchange(to_billing(exchange_of(&too_long))).await;
    assert_refused(answer, Code::InvalidArgument, "TOKEN_CLAIM_INVALID");
}

#[tokio::test]
async fn a_foreign_actor_is_not_its_local_namesake() {
    let (server, _stand_in) = server(None).await;
    let orders = client(&server, "orders", may_all()).await;
    client(&server, "ca", v1::Permissions::default()).await;
    let subject = alices(&server).await;
    let answer = orders.exchange(exchange_by(&subject, &theirs("ca", "x", json!(1)))).await;
    let token = accepted(answer).access_token;
    assert_eq!(said(&server, &token).await["act"], json!({"sub": "ca", "iss": CLUSTER}));
    let verified = accepted(server.root.check(&token).await).token_claims.unwrap().actor.unwrap();
    assert_eq!((verified.subject.as_str(), verified.issuer.as_str()), ("ca", CLUSTER));
    // Its own actor needs no issuer in the token, and has one in the answer.
    let answer = orders.exchange(exchange_by(&subject, &own_token(&orders).await)).await;
    let token = accepted(answer).access_token;
    assert_eq!(said(&server, &token).await["act"], json!({"sub": "orders"}));
    let verified = accepted(server.root.check(&token).await).token_claims.unwrap().actor.unwrap();
    assert_eq!((verified.subject.as_str(), verified.issuer.as_str()), ("orders", ISSUER));
}

#[tokio::test]
async fn actors_of_a_foreign_token_keep_their_issuer() {
    let (server, _stand_in) = server(None).await;
    let orders = client(&server, "orders", may_all()).await;
    let act = json!({"sub": "ca", "act": {"sub": "cb", "iss": "https://other.test"}});
    let answer = orders.exchange(to_billing(exchange_of(&theirs("alice", "act", act)))).await;
    let claims = said(&server, &accepted(answer).access_token).await;
    let expected = json!({"sub": "ca", "iss": CLUSTER, "act": {"sub": "cb", "iss": "https://other.test"}});
    assert_eq!(claims["act"], expected);
    // Of subjects of this server no other issuer can say that they acted.
    for act in
        [json!({"sub": "root", "iss": ISSUER}), json!({"sub": "ca", "act": {"sub": "root", "iss": ISSUER}})]
    {
        let answer = orders.exchange(to_billing(exchange_of(&theirs("alice", "act", act)))).await;
        assert_refused(answer, Code::InvalidArgument, "TOKEN_CLAIM_INVALID");
    }
}

#[tokio::test]
async fn who_may_act_without_an_issuer_is_of_the_issuer_that_says_so() {
    let (server, _stand_in) = server(None).await;
    let billing = client(&server, "billing", may_all()).await;
    let own = own_token(&billing).await;
    let namesake = theirs("billing", "x", json!(1));
    let may_act = json!({"may_act": {"sub": "billing"}}).to_string();
    let ours = v1::IssueTokenRequest { audiences: texts(&["billing"]), claims_json: may_act, ..for_alice() };
    let ours = accepted(server.root.issue(ours).await).access_token;
    accepted(billing.exchange(exchange_by(&ours, &own)).await);
    accepted(billing.exchange(exchange_of(&ours)).await);
    let answer = billing.exchange(exchange_by(&ours, &namesake)).await;
    assert_denied(answer, "SUBJECT_NOT_ALLOWED", "actor_token");
    // The other way round: what the cluster says is about the cluster's `billing`.
    let subject = theirs("alice", "may_act", json!({"sub": "billing"}));
    let answer = billing.exchange(to_billing(exchange_by(&subject, &own))).await;
    assert_denied(answer, "SUBJECT_NOT_ALLOWED", "actor_token");
    assert_denied(
        billing.exchange(to_billing(exchange_of(&subject))).await,
        "SUBJECT_NOT_ALLOWED",
        "actor_token",
    );
    let answer = accepted(billing.exchange(to_billing(exchange_by(&subject, &namesake))).await);
    let exchanged = answer.access_token;
    assert_eq!(said(&server, &exchanged).await["may_act"], json!({"sub": "billing", "iss": CLUSTER}));
    // And it stays so when that token is exchanged.
    let answer = billing.exchange(exchange_by(&exchanged, &own)).await;
    assert_denied(answer, "SUBJECT_NOT_ALLOWED", "actor_token");
    accepted(billing.exchange(exchange_by(&exchanged, &namesake)).await);
}

#[tokio::test]
async fn whose_tokens_a_client_may_present_as_the_actors() {
    let (server, _stand_in) = server(None).await;
    let subject = alices(&server).await;
    let request = v1::IssueTokenRequest { subject: "job-7".to_owned(), ..for_alice() };
    let job = accepted(server.root.issue(request).await).access_token;
    let foreign_job = theirs("job-7", "x", json!(1));
    for (index, (actors, job_may, foreign_may)) in [
        (vec![], false, false),
        (texts(&["job-*"]), true, false),
        (vec![format!("foreign:{CLUSTER}#job-*")], false, true),
        (texts(&["*"]), true, true),
    ]
    .into_iter()
    .enumerate()
    {
        let may = v1::Permissions {
            exchange_actors: actors,
            exchange_audiences: texts(&["orders", "tokend"]),
            ..may_all()
        };
        let caller = client(&server, &format!("caller-{index}"), may).await;
        // Its own token it may always present.
        accepted(caller.exchange(exchange_by(&subject, &own_token(&caller).await)).await);
        for (actor, allowed) in [(&job, job_may), (&foreign_job, foreign_may)] {
            let answer = caller.exchange(exchange_by(&subject, actor)).await;
            if allowed {
                accepted(answer);
            } else {
                assert_denied(answer, "SUBJECT_NOT_ALLOWED", "actor_token");
            }
        }
    }
}
