//! Who acts by an exchanged token: chains of actors, whose tokens actors may show, and whom `may_act` lets act.

use serde_json::{Value, json};
use tokend::proto::v1;
use tonic::Code;

use crate::{
    exchanges::{alices, assert_denied, client, exchange_by, exchange_of, forged, orders_may, said, texts},
    forge::payload,
    harness::{
        ISSUER, TestClient, TestServer, accepted, assert_refused, fields, for_alice, refused, seconds,
    },
    made_keys::with,
};

/// A token about the client itself, as it asks for one.
async fn own_token(caller: &TestClient) -> String {
    let request = v1::IssueTokenRequest { audiences: texts(&["stock"]), ..Default::default() };
    accepted(caller.issue(request).await).access_token
}

/// May exchange, but not without saying who acts.
fn acting_only() -> v1::Permissions {
    v1::Permissions { impersonate: false, ..orders_may() }
}

/// What `act` holds for actors of these names, the last one first.
fn chain(names: &[&str]) -> Value {
    let act = names.iter().rev().fold(Value::Null, |before, name| match before {
        Value::Null => json!({"sub": name}),
        before => json!({"sub": name, "act": before}),
    });
    assert!(act.is_object());
    act
}

#[tokio::test]
async fn the_actor_is_named_and_the_subject_stays() {
    let server = TestServer::start().await;
    let orders = client(&server, "orders", acting_only()).await;
    let subject = alices(&server).await;
    // The client's own token may have any audience.
    let actor = own_token(&orders).await;
    let request =
        v1::ExchangeTokenRequest { audiences: texts(&["billing"]), ..exchange_by(&subject, &actor) };
    let answer = accepted(orders.exchange(request).await);
    let claims = said(&server, &answer.access_token).await;
    assert_eq!((&claims["sub"], &claims["act"]), (&json!("alice"), &json!({"sub": "orders"})));
    assert_eq!((&claims["client_id"], &claims["aud"]), (&json!("orders"), &json!("billing")));
    let request = v1::VerifyTokenRequest {
        token: answer.access_token,
        audiences: texts(&["billing"]),
        ..Default::default()
    };
    let verified = accepted(server.root.verify(request).await).token_claims.unwrap();
    assert_eq!(
        verified.actor.unwrap(),
        v1::Actor { subject: "orders".to_owned(), issuer: ISSUER.to_owned(), actor: None }
    );
    // A token about another subject, which is for the client.
    let request = v1::IssueTokenRequest { subject: "job-7".to_owned(), ..for_alice() };
    let actor = accepted(server.root.issue(request).await).access_token;
    let answer = accepted(orders.exchange(exchange_by(&subject, &actor)).await);
    assert_eq!(said(&server, &answer.access_token).await["act"], json!({"sub": "job-7"}));
}

#[tokio::test]
async fn without_an_actor_a_client_is_told_what_to_do() {
    let server = TestServer::start().await;
    let orders = client(&server, "orders", acting_only()).await;
    let status = refused(orders.exchange(exchange_of(&alices(&server).await)).await);
    assert!(status.message().contains("actor token") && status.message().contains("permissions.impersonate"));
}

#[tokio::test]
async fn chains_are_kept_up_to_four_actors() {
    let server = TestServer::start().await;
    let orders = client(&server, "orders", orders_may()).await;
    let actor = own_token(&orders).await;
    let mut token = alices(&server).await;
    let mut names = Vec::new();
    for _ in 0..4 {
        token = accepted(orders.exchange(exchange_by(&token, &actor)).await).access_token;
        names.insert(0, "orders");
        assert_eq!(said(&server, &token).await["act"], chain(&names));
    }
    let status = assert_refused(
        orders.exchange(exchange_by(&token, &actor)).await,
        Code::InvalidArgument,
        "FIELD_INVALID",
    );
    assert_eq!(fields(&status), ["actor_token"]);
    // Without a further one they are still told.
    let answer = accepted(orders.exchange(exchange_of(&token)).await);
    assert_eq!(said(&server, &answer.access_token).await["act"], chain(&names));
    // The order is that of the acting: the last one is the outermost.
    let before = with(&payload(), "act", chain(&["b", "a"]));
    let answer = accepted(orders.exchange(exchange_by(&forged(&server, &before).await, &actor)).await);
    assert_eq!(said(&server, &answer.access_token).await["act"], chain(&["orders", "b", "a"]));
    // One that came from elsewhere is not cut short, and what it says besides `iss` and `sub` stays behind.
    let long = with(&payload(), "act", chain(&["e", "d", "c", "b", "a"]));
    let answer = orders.exchange(exchange_of(&forged(&server, &long).await)).await;
    let status = assert_refused(answer, Code::InvalidArgument, "FIELD_INVALID");
    assert_eq!(fields(&status), ["subject_token"]);
    let wordy = with(&payload(), "act", json!({"sub": "a", "iss": "b", "x": [1]}));
    let answer = accepted(orders.exchange(exchange_of(&forged(&server, &wordy).await)).await);
    assert_eq!(said(&server, &answer.access_token).await["act"], json!({"sub": "a", "iss": "b"}));
}

#[tokio::test]
async fn an_actor_presents_its_own_token() {
    let server = TestServer::start().await;
    let orders = client(&server, "orders", orders_may()).await;
    let subject = alices(&server).await;
    let delegated =
        accepted(orders.exchange(exchange_by(&subject, &own_token(&orders).await)).await).access_token;
    let answer = orders.exchange(exchange_by(&subject, &delegated)).await;
    assert_eq!(fields(&assert_refused(answer, Code::InvalidArgument, "FIELD_INVALID")), ["actor_token"]);
    // A token for other audiences about another subject, even one that resembles the caller's id.
    for name in ["stock", "orders2", "order"] {
        let other = own_token(&client(&server, name, orders_may()).await).await;
        let answer = orders.exchange(exchange_by(&subject, &other)).await;
        assert_denied(answer, "AUDIENCE_NOT_ALLOWED", "actor_token");
    }
    let gateway = client(
        &server,
        "gateway",
        v1::Permissions { exchange_audiences: texts(&["orders"]), ..orders_may() },
    )
    .await;
    let of_orders = own_token(&orders).await;
    assert_denied(
        gateway.exchange(exchange_by(&subject, &of_orders)).await,
        "AUDIENCE_NOT_ALLOWED",
        "actor_token",
    );
}

#[tokio::test]
async fn may_act_allows_no_other_actor() {
    let server = TestServer::start().await;
    let orders = client(&server, "orders", orders_may()).await;
    let own = own_token(&orders).await;
    let job = v1::IssueTokenRequest { subject: "job".to_owned(), ..for_alice() };
    let job = accepted(server.root.issue(job).await).access_token;
    for (may_act, own_may, job_may) in [
        (json!({"sub": "orders"}), true, false),
        (json!({"sub": "job"}), false, true),
        (json!({"sub": "orders", "iss": ISSUER}), true, false),
        (json!({"sub": "orders", "iss": "https://elsewhere.test"}), false, false),
        (json!({"sub": "orders", "iss": 1}), false, false),
        (json!({"sub": "orders", "iss": null}), false, false),
        (json!({"sub": "order"}), false, false),
        (json!({"sub": "Orders"}), false, false),
        (json!({"sub": ""}), false, false),
        (json!({"sub": ["orders", "job"]}), false, false),
        (json!({"sub": null}), false, false),
        (json!({"iss": ISSUER}), false, false),
        // An unknown member may identify the actor, so that `may_act` matches none.
        (json!({"sub": "orders", "unit": "night"}), false, false),
        (json!({}), false, false),
        (json!([{"sub": "orders"}]), false, false),
        (json!("orders"), false, false),
        (json!(true), false, false),
        (Value::Null, false, false),
    ] {
        // `with` takes null for a member to take away.
        let mut subject = payload();
        subject["may_act"] = may_act.clone();
        let subject = forged(&server, &subject).await;
        for (request, may) in [
            (exchange_of(&subject), own_may),
            (exchange_by(&subject, &own), own_may),
            (exchange_by(&subject, &job), job_may),
        ] {
            let answer = orders.exchange(request).await;
            if !may {
                assert_denied(answer, "SUBJECT_NOT_ALLOWED", "actor_token");
                continue;
            }
            // It goes on with the subject, whatever claims the client may have.
            let claims = said(&server, &accepted(answer).access_token).await;
            assert_eq!(claims["may_act"], may_act);
        }
    }
}

#[tokio::test]
async fn a_token_that_lets_only_one_act_comes_from_issue_token() {
    let server = TestServer::start().await;
    let orders = client(&server, "orders", orders_may()).await;
    let gateway =
        client(&server, "gateway", v1::Permissions { exchange_audiences: texts(&["*"]), ..orders_may() })
            .await;
    let request =
        v1::IssueTokenRequest { claims_json: r#"{"may_act":{"sub":"orders"}}"#.to_owned(), ..for_alice() };
    let subject = accepted(server.root.issue(request).await).access_token;
    assert_denied(gateway.exchange(exchange_of(&subject)).await, "SUBJECT_NOT_ALLOWED", "actor_token");
    // Only `orders` may act with the tokens that `orders` gets by exchange.
    let next = accepted(orders.exchange(exchange_of(&subject)).await).access_token;
    assert_denied(gateway.exchange(exchange_of(&next)).await, "SUBJECT_NOT_ALLOWED", "actor_token");
}

#[tokio::test]
async fn what_comes_of_two_tokens_ends_with_the_first_of_them() {
    let server = TestServer::start().await;
    let orders = client(&server, "orders", orders_may()).await;
    for (subject_ttl, actor_ttl, asked, lives) in
        [(100, 50, None, 50), (50, 100, None, 50), (100, 100, seconds(30), 30), (100, 90, seconds(95), 90)]
    {
        let issue = |ttl| server.root.issue(v1::IssueTokenRequest { ttl: seconds(ttl), ..for_alice() });
        let subject = accepted(issue(subject_ttl).await).access_token;
        let actor = accepted(issue(actor_ttl).await).access_token;
        let request = v1::ExchangeTokenRequest { ttl: asked, ..exchange_by(&subject, &actor) };
        let answer = accepted(orders.exchange(request).await);
        assert_eq!(answer.expires_in.unwrap().seconds, lives);
    }
}
