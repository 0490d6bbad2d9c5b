//! PostgreSQL does not answer any more, or is killed, and then garbage comes: good tokens are verified as if nothing were.

use std::{
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
/// Good calls, evenly over some seconds: a flood needs that long to fill what it can.
const GOOD: usize = 1_000;
const GOOD_EACH: Duration = Duration::from_millis(4);
/// For the machines that run tests, which may be busy. Far below what callers met that waited for the store.
const LATEST: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flood {
    Verify,
    Introspect,
    IntrospectRefresh,
    Batch,
    Exchange,
    Revoke,
}

impl Flood {
    const ALL: [Self; 6] =
        [Self::Verify, Self::Introspect, Self::IntrospectRefresh, Self::Batch, Self::Exchange, Self::Revoke];

    const fn per_second(self) -> u32 {
        match self {
            Self::Verify | Self::Introspect => 600,
            Self::IntrospectRefresh => 400,
            Self::Exchange | Self::Revoke => 100,
            Self::Batch => 12,
        }
    }

    /// One call of the flood. What can wait for the store answers that it is away; where the call says how long it waits, it is told
    /// before.
    async fn call(self, by: &TestClient, number: usize, good: &str) {
        let token = garbage(number);
        match self {
            Self::Verify => {
                let mut request = by.request(at_orders(&token));
                request.set_timeout(Duration::from_secs(1));
                away(by.tokens().verify_token(request).await);
            }
            Self::Introspect => away(by.introspect(&token, &[]).await),
            Self::Exchange => away(by.exchange(exchange_of(&token)).await),
            Self::Revoke => away(revoke(by, Target::Token(token)).await),
            // There is room for few at once, and the others are told so or wait.
            Self::IntrospectRefresh => {
                let status = refused(by.introspect(&refresh_garbage(), &[]).await);
                assert!(matches!(status.code(), Code::Unavailable | Code::ResourceExhausted), "{status}");
            }
            Self::Batch => {
                let tokens = (0..100).map(|item| if item == 0 { token.as_str() } else { good });
                let requests = tokens.map(at_orders).collect();
                let mut request = by.request(v1::BatchVerifyTokensRequest { requests });
                request.set_timeout(Duration::from_secs(2));
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
async fn good_tokens_are_verified_while_postgres_hangs_and_garbage_comes() {
    let Some(scene) = Scene::set_as(as_shipped(), |_, database| database.url.to_string()).await else {
        return;
    };
    let tokens = Tokens::of(&scene.server).await;
    block_in_place(|| scene.postgres.freeze());
    floods(&scene.server, &tokens, "hangs").await;
    block_in_place(|| scene.postgres.thaw());
    goes_on(&scene.server, &tokens).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn good_tokens_are_verified_while_postgres_is_dead_and_garbage_comes() {
    let Some(mut scene) = Scene::set_as(as_shipped(), |_, database| database.url.to_string()).await else {
        return;
    };
    let tokens = Tokens::of(&scene.server).await;
    block_in_place(|| scene.postgres.kill());
    floods(&scene.server, &tokens, "is dead").await;
    block_in_place(|| scene.postgres.resume());
    goes_on(&scene.server, &tokens).await;
}

struct Tokens {
    good: String,
}

impl Tokens {
    async fn of(server: &TestServer) -> Self {
        Self { good: server.root.token().await }
    }
}

async fn floods(server: &TestServer, tokens: &Tokens, fault: &str) {
    for flood in Flood::ALL {
        let over = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicUsize::new(0));
        let mut flooding = JoinSet::new();
        for _ in 0..CONNECTIONS {
            let by = TestClient::new(server.grpc, server.root.secret.clone()).await;
            let each = Duration::from_secs(1) * u32::try_from(CONNECTIONS).unwrap() / flood.per_second();
            flooding.spawn(send(
                flood,
                by,
                tokens.good.clone(),
                each,
                Arc::clone(&over),
                Arc::clone(&answered),
            ));
        }
        let mut took = good_calls(server, &tokens.good, flood == Flood::Exchange).await;
        over.store(true, SeqCst);
        flooding.join_all().await;
        took.sort_unstable();
        let p99 = took[took.len() * 99 / 100];
        let (median, latest) = (took[took.len() / 2], took[took.len() - 1]);
        let bad = answered.load(SeqCst);
        println!("PostgreSQL {fault}, {bad} x {flood:?}: good calls {median:?}, p99 {p99:?}, max {latest:?}");
        assert!(bad > 20, "{bad} calls are no flood");
        assert!(p99 < LATEST, "{flood:?}: {p99:?}");
    }
}

/// Sends calls of a flood at a pace that does not depend on the answers.
async fn send(
    flood: Flood,
    by: TestClient,
    good: String,
    each: Duration,
    over: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
) {
    let mut calls = JoinSet::new();
    let mut ticks = interval(each);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    for number in 0.. {
        ticks.tick().await;
        if over.load(SeqCst) {
            break;
        }
        let (by, good, answered) = (by.clone(), good.clone(), Arc::clone(&answered));
        calls.spawn(async move {
            flood.call(&by, number, &good).await;
            answered.fetch_add(1, SeqCst);
        });
    }
    calls.join_all().await;
}

/// Good calls, none of which may be refused; how long each took.
async fn good_calls(server: &TestServer, good: &str, exchanges: bool) -> Vec<Duration> {
    let by = TestClient::new(server.grpc, server.root.secret.clone()).await;
    let mut calls = JoinSet::new();
    let mut ticks = interval(GOOD_EACH);
    for number in 0..GOOD {
        ticks.tick().await;
        let (by, good) = (by.clone(), good.to_owned());
        calls.spawn(async move {
            let began = Instant::now();
            if exchanges && number % 10 == 0 {
                accepted(by.exchange(exchange_of(&good)).await);
            } else {
                accepted(by.check(&good).await);
            }
            began.elapsed()
        });
    }
    calls.join_all().await
}

/// With the store back, a token with an unknown key is refused for that, and all goes on.
async fn goes_on(server: &TestServer, tokens: &Tokens) {
    let revoked = server.root.token().await;
    until_accepted(async || revoke(&server.root, Target::Token(revoked.clone())).await).await;
    let unknown = async || match server.root.check(&garbage(0)).await {
        Err(status) if status.code() == Code::InvalidArgument => Ok(status),
        answer => Err(refused(answer)),
    };
    assert_refused::<()>(Err(until_accepted(unknown).await), Code::InvalidArgument, "TOKEN_KEY_UNKNOWN");
    accepted(server.root.check(&tokens.good).await);
}
