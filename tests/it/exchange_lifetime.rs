//! Whatever is exchanged, and however often: nothing that comes of it allows more or lives longer than what it came of.

use std::sync::Arc;

use proptest::{collection::vec, prelude::*, sample::subsequence, test_runner::TestRunner};
use serde_json::Value;
use tokend::proto::v1;

use crate::{
    exchanges::{client, exchange_by, exchange_of, orders_may, said, texts},
    harness::{START, TestClient, TestServer, accepted, seconds},
};

const SCOPES: [&str; 4] = ["read", "write", "delete", "audit"];

/// An exchange of what the last one yielded.
#[derive(Debug, Clone)]
struct Step {
    /// How long after the one before.
    pause: i64,
    ttl: Option<i64>,
    scopes: Vec<&'static str>,
    /// How long the actor's token lives, if there is one.
    actor_ttl: Option<i64>,
}

fn step() -> impl Strategy<Value = Step> {
    let ttl = || proptest::option::of(1..1200_i64);
    (0..400_i64, ttl(), subsequence(&SCOPES[..], 0..=2), ttl())
        .prop_map(|(pause, ttl, scopes, actor_ttl)| Step { pause, ttl, scopes, actor_ttl })
}

fn scopes(claims: &Value) -> Vec<String> {
    claims["scope"].as_str().unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

async fn issue(server: &TestServer, subject: &str, ttl: i64, scopes: &[&str]) -> String {
    let request = v1::IssueTokenRequest {
        subject: subject.to_owned(),
        audiences: texts(&["orders"]),
        scopes: texts(scopes),
        ttl: seconds(ttl),
        ..Default::default()
    };
    accepted(server.root.issue(request).await).access_token
}

/// Checks one chain of exchanges; answers how many of them were made.
async fn narrows(server: &TestServer, orders: &TestClient, ttl: i64, held: &[&str], steps: &[Step]) -> usize {
    let mut token = issue(server, "alice", ttl, held).await;
    let mut made = 0;
    for step in steps {
        let before = said(server, &token).await;
        server.clock.advance(step.pause);
        let now = server.clock.seconds();
        let actor = match step.actor_ttl {
            Some(ttl) => Some(issue(server, "job", ttl, &[]).await),
            None => None,
        };
        let request = v1::ExchangeTokenRequest {
            ttl: step.ttl.and_then(seconds),
            scopes: texts(&step.scopes),
            ..actor.as_ref().map_or_else(|| exchange_of(&token), |actor| exchange_by(&token, actor))
        };
        let answer = orders.exchange(request).await;
        let has_expired = before["exp"].as_i64().unwrap() <= now;
        let asks_more = !step.scopes.iter().all(|scope| scopes(&before).iter().any(|held| held == scope));
        let acted = before.to_string().matches("\"act\"").count() + usize::from(actor.is_some());
        assert_eq!(answer.is_ok(), !has_expired && !asks_more && acted <= 4, "{step:?}");
        let Ok(answer) = answer else { return made };
        let claims = said(server, &answer.access_token).await;
        let ends = |claims: &Value| claims["exp"].as_i64().unwrap();
        assert!(ends(&claims) <= ends(&before) && ends(&claims) > now);
        assert!(step.actor_ttl.is_none_or(|ttl| ends(&claims) <= now + ttl));
        assert!(step.ttl.is_none_or(|ttl| ends(&claims) <= now + ttl));
        assert!(scopes(&claims).iter().all(|scope| scopes(&before).contains(scope)));
        assert_eq!((&claims["sub"], claims["iat"].as_i64()), (&before["sub"], Some(now)));
        assert!(now >= START);
        token = answer.access_token;
        made += 1;
    }
    made
}

#[test]
fn what_is_exchanged_only_narrows() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = Arc::new(runtime.block_on(TestServer::start()));
    let may = v1::Permissions { scopes: texts(&["*"]), ..orders_may() };
    let orders = runtime.block_on(client(&server, "orders", may));
    let cases = (1..2000_i64, subsequence(&SCOPES[..], 0..=4), vec(step(), 1..6));
    let made = std::cell::Cell::new(0);
    TestRunner::new(ProptestConfig::with_cases(200))
        .run(&cases, |(ttl, held, steps)| {
            made.set(made.get() + runtime.block_on(narrows(&server, &orders, ttl, &held, &steps)));
            Ok(())
        })
        .unwrap();
    // It is of no use if all are refused.
    assert!(made.get() > 100, "{} exchanges were made", made.get());
}
