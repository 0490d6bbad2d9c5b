//! A clock that is wrong for a while does no lasting damage: what cannot be undone waits until the clock is trusted.

use std::sync::Arc;

use tempfile::TempDir;
use tokend::{
    clock::{Clock as _, SystemClock},
    model::{KeyState, UnixTime},
    proto::v1::{self, revoke_token_request::Target},
    store::{self, Location, Store},
};
use tonic::Code;

use crate::{
    counting_store::CountingStore,
    harness::{
        ManualClock, START, TestServer, accepted, assert_refused, clock_at, for_alice, manual_clock, settings,
    },
    key_calls::{DAY, kid, list, revoke, rotate},
    postgres::Database,
    process::{init, run, stderr},
    row_macs::Db,
    store_backends::{at, open_postgres},
    store_upgrade_permissions::warnings_of,
};

const YEAR: i64 = 366 * DAY;

async fn memory() -> Arc<Store> {
    store::open(&Location::Memory).await.unwrap()
}

async fn start(store: &Arc<Store>, clock: Arc<ManualClock>) -> TestServer {
    TestServer::on_doubting(Arc::clone(store), settings(), clock, None).await
}

/// Whether the server trusts its clock, as its metrics say.
async fn trusts(server: &TestServer) -> bool {
    server.rounds.make().await.unwrap();
    let (_, _, metrics) = server.get("/metrics").await;
    metrics.lines().any(|line| line == "tokend_clock_trusted 1")
}

async fn revoke_token(server: &TestServer, token: &str) {
    let target = Some(Target::Token(token.to_owned()));
    let request = v1::RevokeTokenRequest { target, ..Default::default() };
    accepted(server.root.tokens().revoke_token(server.root.request(request)).await);
}

#[tokio::test]
async fn a_leap_of_the_clock_leaves_keys_and_revocations_as_they_are() {
    let store = memory().await;
    let server = start(&store, manual_clock()).await;
    let (good, revoked) = (server.root.token().await, server.root.token().await);
    revoke_token(&server, &revoked).await;
    assert!(trusts(&server).await);
    let before = list(&server).await;
    for leap in [40 * DAY, 400 * DAY, 81 * YEAR, 10_000 * YEAR] {
        server.clock.leap(leap);
        for _ in 0..20 {
            assert!(!trusts(&server).await, "{leap}");
        }
        let rotate = v1::RotateKeysRequest { immediately: true, ..Default::default() };
        let refused = server.root.keys().rotate_keys(server.root.request(rotate)).await;
        assert_refused(refused, Code::FailedPrecondition, "KEY_NOT_ROTATABLE");
        // No call panics, whatever it answers.
        drop(server.root.issue(for_alice()).await);
        assert!(server.root.check(&good).await.is_err(), "it has expired by this clock");
        assert_eq!(list(&server).await, before);
        server.clock.leap(-leap);
        assert!(trusts(&server).await, "{leap}");
        assert_eq!(list(&server).await, before);
        accepted(server.root.check(&good).await);
        assert_refused(server.root.check(&revoked).await, Code::InvalidArgument, "TOKEN_REVOKED");
    }
    // Rotation goes on, and so does a server that reads everything from the store.
    let again = start(&store, clock_at(START)).await;
    assert_refused(again.root.check(&revoked).await, Code::InvalidArgument, "TOKEN_REVOKED");
    let first = kid(&server, KeyState::Active).await;
    server.clock.advance(31 * DAY);
    assert!(trusts(&server).await);
    assert_ne!(kid(&server, KeyState::Active).await, first);
}

#[tokio::test]
async fn a_leaked_key_is_revoked_by_whatever_clock() {
    let server = start(&memory().await, manual_clock()).await;
    let token = server.root.token().await;
    server.clock.leap(40 * DAY);
    assert!(!trusts(&server).await);
    let active = kid(&server, KeyState::Active).await.unwrap();
    accepted(revoke(&server, &active).await);
    server.clock.leap(-40 * DAY);
    assert_refused(server.root.check(&token).await, Code::InvalidArgument, "TOKEN_REVOKED");
}

#[tokio::test]
async fn a_clock_that_drifts_or_is_corrected_a_little_is_trusted() {
    let server = start(&memory().await, manual_clock()).await;
    for _ in 0..48 {
        server.clock.advance(3600);
        server.clock.leap(100);
        assert!(trusts(&server).await);
    }
}

#[tokio::test]
async fn a_restart_after_months_waits_a_minute_and_then_rotates() {
    let store = memory().await;
    // A server that ends closes the store.
    let _first = start(&store, manual_clock()).await;
    let server = start(&store, clock_at(START + 90 * DAY)).await;
    assert!(!trusts(&server).await);
    let first = kid(&server, KeyState::Active).await;
    server.clock.advance(59);
    assert!(!trusts(&server).await);
    // A clock that leaps in this time begins the minute anew.
    server.clock.leap(-10 * DAY);
    assert!(!trusts(&server).await);
    server.clock.advance(60);
    assert!(trusts(&server).await);
    assert_ne!(kid(&server, KeyState::Active).await, first);
    accepted(server.root.issue(for_alice()).await);

    // After an hour or less nothing is waited for.
    let seconds = server.clock.seconds();
    let again = start(&store, clock_at(seconds + 3600)).await;
    assert!(trusts(&again).await);
}

#[tokio::test]
async fn a_start_at_an_unlikely_time_waits_for_an_operator_or_for_the_right_time() {
    let store = memory().await;
    let mut servers = vec![start(&store, manual_clock()).await];
    for wrong in [START - 3600, 0, START + 2 * YEAR] {
        let server = start(&store, clock_at(wrong)).await;
        server.clock.advance(3600 - 200);
        assert!(!trusts(&server).await, "{wrong}");
        // The clock is corrected.
        server.clock.leap(START + 60 - server.clock.seconds());
        assert!(trusts(&server).await, "{wrong}");
        servers.push(server);
    }
    let server = start(&store, clock_at(START + 2 * YEAR)).await;
    let first = kid(&server, KeyState::Active).await;
    assert!(!trusts(&server).await);
    // An operator accepts it, at a time that the server's clock has just passed.
    store.mark_clock(at(server.clock.seconds() - 30), true).await.unwrap();
    assert!(trusts(&server).await);
    assert_ne!(kid(&server, KeyState::Active).await, first);
    // That holds for this time only.
    server.clock.leap(2 * YEAR);
    assert!(!trusts(&server).await);
}

#[tokio::test]
async fn the_database_tells_the_time_where_it_has_a_clock_of_its_own() {
    let Some(database) = Database::create().await else { return };
    let store = open_postgres(&database).await;
    let now = SystemClock.now().seconds();
    // The store was used months ago.
    store.mark_clock(at(now - 90 * DAY), true).await.unwrap();
    let mut servers = Vec::new();
    for wrong in [40 * DAY, -40 * DAY, 600] {
        let server = start(&store, clock_at(now + wrong)).await;
        server.clock.advance(60);
        assert!(!trusts(&server).await, "{wrong}");
        servers.push(server);
    }
    let server = start(&store, clock_at(now)).await;
    assert!(trusts(&server).await);
    server.clock.leap(600);
    assert!(!trusts(&server).await);
    server.clock.leap(-600);
    assert!(trusts(&server).await);
    // A machine that was started with a wrong clock, and is corrected by more than the bound.
    let server = start(&store, clock_at(now + DAY)).await;
    assert!(!trusts(&server).await);
    server.clock.leap(-DAY);
    assert!(trusts(&server).await);
}

#[tokio::test]
async fn the_store_keeps_the_latest_time_and_an_accepted_one_as_it_is() {
    let postgres = Database::create().await;
    let mut stores = vec![memory().await];
    if let Some(database) = &postgres {
        stores.push(open_postgres(database).await);
    }
    for store in stores {
        let known = async || {
            let clock = store.clock().await.unwrap();
            (clock.mark.map(UnixTime::seconds), clock.accepted.map(UnixTime::seconds))
        };
        assert_eq!(known().await, (None, None));
        for (time, is_accepted, expected) in [
            (100, false, (Some(100), None)),
            (90, false, (Some(100), None)),
            (110, false, (Some(110), None)),
            (50, true, (Some(50), Some(50))),
            (60, false, (Some(60), Some(50))),
        ] {
            store.mark_clock(at(time), is_accepted).await.unwrap();
            assert_eq!(known().await, expected);
        }
    }
}

#[tokio::test]
async fn a_store_that_takes_no_time_stops_nothing() {
    let db = Db::sqlite();
    let store = db.store().await;
    db.run("CREATE TRIGGER no_time BEFORE INSERT ON clock_mark BEGIN SELECT RAISE(ABORT, 'full'); END").await;
    let server = start(&store, manual_clock()).await;
    assert!(trusts(&server).await);
    let first = kid(&server, KeyState::Active).await;
    server.clock.advance(31 * DAY);
    assert!(trusts(&server).await);
    assert_ne!(kid(&server, KeyState::Active).await, first);
}

#[tokio::test]
async fn keys_of_a_first_start_in_the_future_are_named_and_can_be_replaced() {
    let store = memory().await;
    let mut wrong = start(&CountingStore::quiet(&store), clock_at(START + 10 * YEAR)).await;
    assert!(trusts(&wrong).await);
    let first = kid(&wrong, KeyState::Active).await.unwrap();
    wrong.begin_stop();
    wrong.stopped().await;
    // The clock was corrected, and an operator accepted it.
    store.mark_clock(at(START), true).await.unwrap();
    let (server, log) = warnings_of(start(&store, clock_at(START))).await;
    let (_, again) = warnings_of(async { assert!(trusts(&server).await) }).await;
    for text in ["a key was created in the future", &first, "accept-clock"] {
        assert!(log.contains(text) || again.contains(text), "{text}: {log}{again}");
    }
    let (_, quiet) = warnings_of(async { server.rounds.make().await.unwrap() }).await;
    assert!(!quiet.contains("in the future"), "{quiet}");
    // As docs/rotation.md says: a new pending key, which signs after a day; then the key of the future is revoked.
    let create = v1::CreateKeyRequest::default();
    accepted(server.root.keys().create_key(server.root.request(create)).await);
    rotate(&server, false).await;
    server.clock.advance(2 * DAY);
    assert!(trusts(&server).await);
    assert_ne!(kid(&server, KeyState::Active).await.unwrap(), first);
    revoke(&server, &first).await.unwrap();
    accepted(server.root.issue(for_alice()).await);
    let (_, quiet) = warnings_of(start(&store, clock_at(server.clock.now().seconds()))).await;
    assert!(!quiet.contains("in the future"), "{quiet}");
}

#[test]
fn the_command_accepts_the_machines_clock() {
    let folder = TempDir::new().unwrap();
    init(folder.path());
    let command = ["key", "accept-clock", "--config", "tokend.toml", "--allow-plaintext"];
    let asked = run(folder.path(), &command);
    assert_eq!(asked.status.code(), Some(2), "{}", stderr(&asked));
    let accepted = run(folder.path(), &[&command[..], &["--yes"]].concat());
    assert_eq!(accepted.status.code(), Some(0), "{}", stderr(&accepted));
    assert!(stderr(&accepted).starts_with("accepted: it is 20"), "{}", stderr(&accepted));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let known = runtime.block_on(async {
        let store = store::open(&Location::Sqlite(folder.path().join("tokend.db"))).await.unwrap();
        let known = store.clock().await.unwrap();
        store.close().await;
        known
    });
    assert_eq!(known.mark, known.accepted);
    assert!(SystemClock.now().since(known.accepted.unwrap()).as_secs() < 60);
}

#[test]
fn no_instant_is_later_than_what_can_be_said() {
    assert_eq!(UnixTime::from_seconds(i64::MAX), UnixTime::MAX);
    assert_eq!(UnixTime::MAX.after(std::time::Duration::MAX), UnixTime::MAX);
    assert_eq!(at(i64::MIN).since(UnixTime::MAX), std::time::Duration::ZERO);
}
