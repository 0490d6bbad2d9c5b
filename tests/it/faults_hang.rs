//! PostgreSQL does not answer any more, or is killed, and then garbage comes: good tokens are verified as if nothing were.

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use tokend::{
    proto::v1::{self, batch_verify_tokens_result::Result as Item, revoke_token_request::Target},
    server::Settings,
};
use tokio::{
    task::{JoinSet, block_in_place},
    time::{MissedTickBehavior, interval},
};
use tonic::{Code, Status};

use crate::{
    batch::error,
    exchanges::exchange_of,
    faults_scene::{Scene, revoke, until_accepted},
    harness::{TestClient, TestServer, accepted, assert_refused, refused, settings},
    store_hangs::{garbage, refresh_garbage},
};

const CONNECTIONS: usize = 12;
/// Good calls, by so many callers.
const GOOD: usize = 1_000;
const CALLERS: usize = 4;
/// For machines that run many tests at once. What was seen is printed; without a fault it is below 50 ms.
const LATEST: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flood {
    Verify,
    IntrospectRefresh,
    Batch,
    Exchange,
    Revoke,
}

impl Flood {
    const ALL: [Self; 5] = [Self::Verify, Self::IntrospectRefresh, Self::Batch, Self::Exchange, Self::Revoke];

    /// How many calls come in a second, and how many have come before it is looked how good ones fare: more than a class of calls
    /// has permits and places to wait.
    const fn size(self) -> (u32, usize) {
        match self {
            Self::Verify | Self::IntrospectRefresh => (500, 1_300),
            Self::Exchange | Self::Revoke => (100, 150),
            Self::Batch => (12, 24),
        }
    }

    /// One call of the flood. What can wait for the store answers that it is away.
    async fn call(self, by: &TestClient, number: usize, good: &str) {
        let token = garbage(number);
        match self {
            Self::Verify => away(by.check(&token).await),
            Self::Exchange => away(by.exchange(exchange_of(&token)).await),
            Self::Revoke => away(revoke(by, Target::Token(token)).await),
            // There is room for few at once. Of the others some wait, and the rest are told so.
            Self::IntrospectRefresh => {
                let status = refused(by.introspect(&refresh_garbage(), &[]).await);
                let codes = [Code::Unavailable, Code::ResourceExhausted, Code::DeadlineExceeded];
                assert!(codes.contains(&status.code()), "{status}");
            }
            Self::Batch => {
                let tokens = (0..10).map(|item| if item == 0 { token.as_str() } else { good });
                let requests = tokens.map(at_orders).collect();
                let request = by.request(v1::BatchVerifyTokensRequest { requests });
                let answer = accepted(by.tokens().batch_verify_tokens(request).await).into_inner();
                let mut results = answer.results.into_iter().map(|result| result.result.unwrap());
                let bad = error(results.next().unwrap());
                assert_eq!(bad, (i32::from(Code::Unavailable), "STORE_UNAVAILABLE".to_owned()));
                assert!(results.all(|item| matches!(item, Item::Verified(_))));
            }
        }
    }
}

fn away<T>(answer: Result<T, Status>) {
    assert_refused(answer, Code::Unavailable, "STORE_UNAVAILABLE");
}

fn at_orders(token: &str) -> v1::VerifyTokenRequest {
    v1::VerifyTokenRequest {
        token: token.to_owned(),
        audiences: vec!["orders".to_owned()],
        ..Default::default()
    }
}

/// The product's times.
fn as_shipped() -> Settings {
    let mut settings = settings();
    settings.keys.lookup_interval = Duration::from_millis(50);
    settings.keys.lookup_wait = Duration::from_millis(100);
    // What waits without end is refused here within seconds, and not within a minute.
    settings.admission.waiting = 100;
    settings
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn good_tokens_are_verified_while_postgres_is_away_and_garbage_comes() {
    let Some(mut scene) = Scene::set_as(as_shipped(), |_, database| database.url.to_string()).await else {
        return;
    };
    let good = scene.server.root.token().await;
    block_in_place(|| scene.postgres.freeze());
    floods(&scene.server, &good, "hangs").await;
    block_in_place(|| scene.postgres.thaw());
    goes_on(&scene.server, &good).await;
    block_in_place(|| scene.postgres.kill());
    floods(&scene.server, &good, "is dead").await;
    block_in_place(|| scene.postgres.resume());
    goes_on(&scene.server, &good).await;
}

async fn floods(server: &TestServer, good: &str, fault: &str) {
    for flood in Flood::ALL {
        let sent = Arc::new(AtomicUsize::new(0));
        let over = Arc::new(AtomicBool::new(false));
        let mut flooding = JoinSet::new();
        for _ in 0..CONNECTIONS {
            let by = TestClient::new(server.grpc, server.root.secret.clone()).await;
            let (good, sent, over) = (good.to_owned(), Arc::clone(&sent), Arc::clone(&over));
            flooding.spawn(async move { send(flood, by, &good, &sent, &over).await });
        }
        while sent.load(SeqCst) < flood.size().1 {
            tokio::task::yield_now().await;
        }
        let mut took = good_calls(server, good, flood == Flood::Exchange).await;
        over.store(true, SeqCst);
        if flood == Flood::IntrospectRefresh {
            // Those that are in front wait for the store as long as it may take.
            flooding.shutdown().await;
        } else {
            flooding.join_all().await;
        }
        took.sort_unstable();
        let (median, p99, latest) = (took[GOOD / 2], took[GOOD * 99 / 100], took[GOOD - 1]);
        let sent = sent.load(SeqCst);
        // Past the capture of test output.
        let mut out = std::io::stderr();
        writeln!(
            out,
            "PostgreSQL {fault}, {sent} x {flood:?}: good calls {median:?}, p99 {p99:?}, max {latest:?}"
        )
        .unwrap();
        assert!(p99 < LATEST, "{flood:?}: {p99:?}");
    }
}

/// Sends calls of a flood at a pace that does not depend on the answers.
async fn send(flood: Flood, by: TestClient, good: &str, sent: &AtomicUsize, over: &AtomicBool) {
    let mut calls = JoinSet::new();
    let connections = u32::try_from(CONNECTIONS).unwrap();
    let mut ticks = interval(Duration::from_secs(1) * connections / flood.size().0);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while !over.load(SeqCst) {
        ticks.tick().await;
        let (by, good, number) = (by.clone(), good.to_owned(), sent.fetch_add(1, SeqCst));
        calls.spawn(async move { flood.call(&by, number, &good).await });
    }
    calls.join_all().await;
}

/// Good calls, none of which may be refused; how long each took.
async fn good_calls(server: &TestServer, good: &str, exchanges: bool) -> Vec<Duration> {
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let by = TestClient::new(server.grpc, server.root.secret.clone()).await;
        let good = good.to_owned();
        callers.spawn(async move {
            let mut took = Vec::new();
            for number in 0..GOOD / CALLERS {
                let began = Instant::now();
                if exchanges && number % 10 == 0 {
                    accepted(by.exchange(exchange_of(&good)).await);
                } else {
                    accepted(by.check(&good).await);
                }
                took.push(began.elapsed());
            }
            took
        });
    }
    callers.join_all().await.concat()
}

/// With the store back, a token with an unknown key is refused for that, and all goes on.
async fn goes_on(server: &TestServer, good: &str) {
    let revoked = server.root.token().await;
    until_accepted(async || revoke(&server.root, Target::Token(revoked.clone())).await).await;
    let unknown = async || match server.root.check(&garbage(0)).await {
        Err(status) if status.code() == Code::InvalidArgument => Ok(status),
        answer => Err(refused(answer)),
    };
    assert_refused::<()>(Err(until_accepted(unknown).await), Code::InvalidArgument, "TOKEN_KEY_UNKNOWN");
    accepted(server.root.check(good).await);
}
