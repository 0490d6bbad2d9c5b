//! Rotation as callers and verifiers see it: through a real hop, by a clock that is moved by hand.

use tokend::{
    model::{Algorithm, KeyChange, KeyState, Ttl},
    proto::v1,
};
use tonic::Code;

use crate::{
    harness::{START, TestServer, accepted, assert_refused, for_alice, manual_clock, seconds, settings},
    key_calls::{DAY, HOUR, file, issue, kid, list, published, rotate},
};

#[tokio::test]
async fn a_key_hands_over_to_one_that_was_published_long_before() {
    let server = TestServer::start().await;
    let (first, second) =
        (kid(&server, KeyState::Active).await.unwrap(), kid(&server, KeyState::Pending).await.unwrap());
    assert_eq!(published(&server).await, [first.clone(), second.clone()], "the one that signs comes first");
    let token = issue(&server).await;
    assert_eq!(token.key_id, first);

    server.clock.advance(30 * DAY - 1);
    server.rounds.make().await.unwrap();
    let last = issue(&server).await;
    assert_eq!(last.key_id, first, "a second before its time");
    server.clock.advance(1);
    server.rounds.make().await.unwrap();
    let next = issue(&server).await;
    assert_eq!(next.key_id, second);
    accepted(server.root.check(&last.access_token).await);
    accepted(server.root.check(&next.access_token).await);
    let third = kid(&server, KeyState::Pending).await.unwrap();
    assert_eq!(published(&server).await, [second, third, first.clone()]);
    let retired = server.store.keys().await.unwrap().get(&first).cloned().unwrap();
    assert_eq!((retired.state, retired.sealed), (KeyState::Retired, None), "the private half is gone");

    // It goes when the longest-lived token that it may have signed is expired for everybody.
    let gone = DAY + 60 + HOUR + 60 + 120;
    server.clock.advance(gone - 1);
    server.rounds.make().await.unwrap();
    assert!(published(&server).await.contains(&first));
    server.clock.advance(1);
    server.rounds.make().await.unwrap();
    assert!(!published(&server).await.contains(&first));
    assert_eq!(server.store.keys().await.unwrap().get(&first), None);
}

#[tokio::test]
async fn what_fell_due_while_nobody_ran_is_done_before_anything_is_signed() {
    let folder = tempfile::tempdir().unwrap();
    let clock = manual_clock();
    let mut server = TestServer::on(file(&folder).await, settings(), clock.clone()).await;
    let second = kid(&server, KeyState::Pending).await.unwrap();
    let first = issue(&server).await.key_id;
    server.begin_stop();
    server.stopped().await;
    clock.advance(400 * DAY);
    let server = TestServer::on(file(&folder).await, settings(), clock).await;
    assert_eq!(issue(&server).await.key_id, second, "published long before");
    assert!(!published(&server).await.contains(&first), "gone in the same moment");
    assert_eq!(published(&server).await.len(), 2);
}

#[tokio::test]
async fn no_token_outlives_its_key_even_if_nobody_rotates() {
    let server = TestServer::start().await;
    let keys = list(&server).await;
    let active = keys.iter().find(|key| key.state() == v1::KeyState::Active).unwrap();
    let ends = active.expire_time.unwrap().seconds;
    assert_eq!(ends, START + 30 * DAY + DAY + 60 + HOUR);
    // This replica hears of no rotation and makes none: its clock runs, its rounds do not.
    let ask = |ttl| v1::IssueTokenRequest { ttl: seconds(ttl), ..for_alice() };
    server.clock.advance(ends - START - DAY);
    let whole = accepted(server.root.issue(ask(DAY)).await);
    assert_eq!(whole.expire_time.unwrap().seconds, ends);
    server.clock.advance(1);
    let cut = accepted(server.root.issue(ask(DAY)).await);
    assert_eq!(
        (cut.expire_time.unwrap().seconds, cut.expires_in),
        (ends, seconds(DAY - 1)),
        "cut at the key's end"
    );
    accepted(server.root.check(&cut.access_token).await);
    server.clock.advance(DAY - 1);
    assert_refused(server.root.issue(ask(60)).await, Code::FailedPrecondition, "NO_ACTIVE_KEY");
}

#[tokio::test]
async fn an_order_after_a_long_silence_leaves_the_keys_as_planned() {
    let server = TestServer::start().await;
    // Nobody has made a round since the key was to retire, for longer than its end is put off at once.
    server.clock.advance(30 * DAY + 2 * HOUR);
    accepted(server.root.keys().create_key(server.root.request(v1::CreateKeyRequest::default())).await);
    let issued =
        accepted(server.root.issue(v1::IssueTokenRequest { ttl: seconds(DAY), ..for_alice() }).await);
    assert_eq!(issued.expires_in, seconds(DAY), "not cut at the end of a key that should have been followed");
}

#[tokio::test]
async fn a_longer_life_than_the_servers_longest_is_refused() {
    let server = TestServer::start().await;
    let ask = |ttl| v1::IssueTokenRequest { ttl: seconds(ttl), ..for_alice() };
    accepted(server.root.issue(ask(DAY)).await);
    let shorter = TestServer::with(|settings| settings.rules.max_ttl = Ttl::from_minutes(1)).await;
    assert_refused(shorter.root.issue(ask(61)).await, Code::PermissionDenied, "TTL_NOT_ALLOWED");
    assert_eq!(accepted(shorter.root.issue(for_alice()).await).expires_in, seconds(60), "the default is cut");
}

#[tokio::test]
async fn the_jwk_set_is_kept_until_its_next_change() {
    let server = TestServer::start().await;
    let age = async || {
        let (_, headers, _) = server.get("/.well-known/jwks.json").await;
        let age = headers.split("max-age=").nth(1).unwrap().split("\r\n").next().unwrap().to_owned();
        age.parse::<u64>().unwrap()
    };
    assert_eq!(age().await, 300);
    server.clock.advance(30 * DAY - 100);
    assert_eq!(age().await, 100, "a rotation is planned then");
    server.clock.advance(99);
    assert_eq!(age().await, 10, "everybody at the same second helps nobody");
    let tag =
        |headers: &str| headers.split("etag: ").nth(1).unwrap().split("\r\n").next().unwrap().to_owned();
    let before = tag(&server.get("/.well-known/jwks.json").await.1);
    let known = format!("if-none-match: {before}\r\n");
    // Entity tags are case-sensitive, and the harness answers headers in lower case.
    let (_, headers, body) = server.get("/.well-known/jwks.json").await;
    assert!(headers.contains("etag: ") && body.contains("keys"), "{known}");
    server.clock.advance(1);
    server.rounds.make().await.unwrap();
    assert_ne!(tag(&server.get("/.well-known/jwks.json").await.1), before);
    assert_eq!(age().await, 300);
}

#[tokio::test]
async fn a_rotation_ahead_of_time_waits_for_the_publication_and_no_longer() {
    let server = TestServer::start().await;
    let second = kid(&server, KeyState::Pending).await.unwrap();
    let first = issue(&server).await.key_id;
    let planned = rotate(&server, false).await;
    assert_eq!((planned[0].key_id.as_str(), planned[0].state()), (second.as_str(), v1::KeyState::Pending));
    let signs_from = planned[0].activate_time.unwrap().seconds;
    assert_eq!(signs_from, START + DAY + 120, "a day after it was published, and the margin of clocks");
    assert_eq!((planned[1].key_id.as_str(), planned[1].state()), (first.as_str(), v1::KeyState::Active));
    server.clock.advance(DAY + 119);
    server.rounds.make().await.unwrap();
    assert_eq!(issue(&server).await.key_id, first);
    server.clock.advance(1);
    server.rounds.make().await.unwrap();
    assert_eq!(issue(&server).await.key_id, second);
    // What was promised to the first one's tokens holds: a replica that was cut off may still sign with it.
    let keys = list(&server).await;
    let first = keys.iter().find(|key| key.key_id == first).unwrap();
    assert_eq!(first.state(), v1::KeyState::Retired);
    assert_eq!(first.retire_time.unwrap().seconds, signs_from);
    assert_eq!(first.expire_time.unwrap().seconds, START + 31 * DAY + HOUR + 60);

    // Long after, the next one was published for long enough: it signs at once.
    server.clock.advance(2 * DAY);
    let now = rotate(&server, false).await;
    assert_eq!((now[0].state(), now[1].state()), (v1::KeyState::Active, v1::KeyState::Retired));
    assert_eq!(issue(&server).await.key_id, now[0].key_id);
}

#[tokio::test]
async fn a_rotation_at_once_does_not_wait_for_the_publication() {
    let server = TestServer::start().await;
    let old = issue(&server).await;
    let second = kid(&server, KeyState::Pending).await.unwrap();
    let keys = rotate(&server, true).await;
    assert_eq!((keys[0].key_id.as_str(), keys[0].state()), (second.as_str(), v1::KeyState::Active));
    assert_eq!(issue(&server).await.key_id, second);
    accepted(server.root.check(&old.access_token).await);
}

#[tokio::test]
async fn rotations_ahead_of_time_have_an_end() {
    let server = TestServer::start().await;
    for _ in 0..64 {
        rotate(&server, true).await;
    }
    let request = server.root.request(v1::RotateKeysRequest { immediately: true, ..Default::default() });
    assert_refused(server.root.keys().rotate_keys(request).await, Code::FailedPrecondition, "TOO_MANY_KEYS");
    assert_eq!(published(&server).await.len(), 66);
    // The plan goes on, and what has expired makes room.
    server.clock.advance(32 * DAY);
    server.rounds.make().await.unwrap();
    rotate(&server, true).await;
}

#[tokio::test]
async fn a_key_of_the_first_release_is_taken_into_the_plan() {
    let server = TestServer::start().await;
    let (store, clock) = (&server.store, &server.clock);
    let set = store.keys().await.unwrap();
    let mut legacy = set.active(Algorithm::Es256).cloned().unwrap();
    let expected = legacy.public.take();
    (legacy.activate_time, legacy.retire_time, legacy.expire_time) = (None, None, None);
    let pending = set.pending(Algorithm::Es256).unwrap().key_id.clone();
    clock.advance(90 * DAY);
    let change = KeyChange::of(&set).remove(&pending).put(legacy.clone());
    store.change_keys(&change).await.unwrap().unwrap();
    server.rounds.make().await.unwrap();
    let set = store.keys().await.unwrap();
    let adopted = set.active(Algorithm::Es256).unwrap();
    assert_eq!((&adopted.key_id, &adopted.public), (&legacy.key_id, &expected));
    // It is overdue, but its successor has to be published first.
    assert_eq!(issue(&server).await.key_id, legacy.key_id.as_str());
    clock.advance(DAY + 120);
    server.rounds.make().await.unwrap();
    assert_ne!(issue(&server).await.key_id, legacy.key_id.as_str());
    let kept = store.keys().await.unwrap().get(legacy.key_id.as_str()).cloned().unwrap();
    assert_eq!((kept.state, kept.sealed, kept.public), (KeyState::Retired, None, expected));
}
