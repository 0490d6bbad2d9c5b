//! Sessions that a revocation has ended, on each backend: they are gone for every caller, at once and for good, and deleted before
//! the revocation is.

use std::sync::Arc;

use tokend::{
    model::{RevocationTarget, SessionFilter},
    store::Store,
};

use crate::{
    store_backends::{at, id, on_every_store},
    store_revocations::{all, revocation, subject, token},
    store_sessions::{rotation, session, session_id},
};

on_every_store!(
    a_revocation_ends_the_sessions_that_it_reaches,
    a_revoked_session_is_deleted_at_once,
    a_session_that_was_begun_before_a_revocation_and_kept_after_it_is_none,
    what_revocations_have_ended_goes_in_batches,
    a_revocation_outlives_the_sessions_that_it_has_ended,
    a_revocation_that_reaches_further_is_swept_for_again,
);

/// Far after every instant at which a session could still come late.
const LATER: i64 = 900;

/// Whether a session is gone: every action must say the same.
async fn gone(store: &Store, number: u8) -> bool {
    let found = store.session(&session_id(number), at(300)).await.ok();
    let page = store.sessions_page(&SessionFilter::default(), at(300), None, 100).await.unwrap();
    let listed = page.iter().any(|session| session.session_id == session_id(number));
    let uses = found.as_ref().map_or(0, |record| record.current.as_bytes()[0]);
    let rotated = store.rotate_session(&rotation(number, uses, 300)).await.unwrap();
    assert_eq!((listed, rotated), (found.is_some(), found.is_some()), "session {number}");
    found.is_none()
}

async fn a_revocation_ends_the_sessions_that_it_reaches(store: Arc<Store>) {
    // All begin at 100.
    for (number, client_id, subject) in [
        (1, "web", "alice"),
        (2, "app", "alice"),
        (3, "web", "bob"),
        (4, "app", "bob"),
        (5, "app", "carol"),
        (6, "app", "dave"),
        (7, "app", "web"),
    ] {
        store.create_session(&session(number, client_id, subject)).await.unwrap();
    }
    store.revoke(&revocation(subject("alice", 101), Some(900))).await.unwrap();
    store.revoke(&revocation(RevocationTarget::Client(id("web"), at(101)), None)).await.unwrap();
    store.revoke(&revocation(RevocationTarget::Session(session_id(5)), Some(900))).await.unwrap();
    // None of these reaches a session.
    store.revoke(&revocation(subject("bob", 100), None)).await.unwrap();
    store.revoke(&revocation(RevocationTarget::Client(id("app"), at(100)), None)).await.unwrap();
    store.revoke(&revocation(RevocationTarget::Everything(at(100)), None)).await.unwrap();
    store.revoke(&revocation(token(session_id(6).as_str()), None)).await.unwrap();
    store.revoke(&revocation(token("dave"), None)).await.unwrap();
    let mut left = Vec::new();
    for number in 1..=7 {
        if !gone(&store, number).await {
            left.push(number);
        }
    }
    assert_eq!(left, [4, 6, 7]);
    store.revoke(&revocation(RevocationTarget::Everything(at(101)), None)).await.unwrap();
    for number in 1..=7 {
        assert!(store.session(&session_id(number), at(300)).await.is_err(), "session {number}");
    }
}

async fn a_revoked_session_is_deleted_at_once(store: Arc<Store>) {
    for number in 1..=3 {
        store.create_session(&session(number, "web", "alice")).await.unwrap();
    }
    let target = |number| revocation(RevocationTarget::Session(session_id(number)), Some(900));
    store.revoke(&target(1)).await.unwrap();
    assert_eq!(store.forget_sessions(at(4999), 10).await.unwrap(), 2, "two were left");
    // Even if the revocation is there already.
    store.revoke(&target(2)).await.unwrap();
    store.create_session(&session(2, "web", "alice")).await.unwrap();
    assert!(gone(&store, 2).await);
    store.revoke(&target(2)).await.unwrap();
    assert_eq!(store.forget_sessions(at(4999), 10).await.unwrap(), 0);
}

async fn a_session_that_was_begun_before_a_revocation_and_kept_after_it_is_none(store: Arc<Store>) {
    store.revoke(&revocation(subject("alice", 101), Some(300))).await.unwrap();
    // Nothing is found now, but one may come.
    assert_eq!(store.forget_sessions(at(300), 10).await.unwrap(), 0);
    assert_eq!(store.forget_revocations(at(300), 10).await.unwrap(), 0);
    store.create_session(&session(1, "web", "alice")).await.unwrap();
    assert!(gone(&store, 1).await);
    assert_eq!(store.forget_sessions(at(300), 10).await.unwrap(), 1);
    // One that begins at that instant or after is another.
    let mut next = session(2, "web", "alice");
    next.session.create_time = at(101);
    store.create_session(&next).await.unwrap();
    assert!(!gone(&store, 2).await);
    assert_eq!(store.forget_sessions(at(LATER), 10).await.unwrap(), 0);
    assert_eq!(store.forget_revocations(at(LATER), 10).await.unwrap(), 1);
    assert!(!gone(&store, 2).await);
}

async fn what_revocations_have_ended_goes_in_batches(store: Arc<Store>) {
    for number in 0..12 {
        let (client_id, subject) =
            [("web", "alice"), ("app", "bob"), ("app", "carol")][usize::from(number % 3)];
        let mut record = session(number, client_id, subject);
        record.session.create_time = at(100 + i64::from(number));
        store.create_session(&record).await.unwrap();
    }
    store.revoke(&revocation(subject("bob", 999), None)).await.unwrap();
    store.revoke(&revocation(RevocationTarget::Client(id("web"), at(999)), None)).await.unwrap();
    // Those of alice and bob, and of carol the first two by everything.
    store.revoke(&revocation(RevocationTarget::Everything(at(106)), None)).await.unwrap();
    for expected in [3, 3, 3, 1, 0] {
        assert_eq!(store.forget_sessions(at(300), 3).await.unwrap(), expected);
    }
    let left = store.sessions_page(&SessionFilter::default(), at(300), None, 100).await.unwrap();
    assert_eq!(
        left.iter().map(|session| &session.session_id).collect::<Vec<_>>(),
        [&session_id(8), &session_id(11)]
    );
    // Those that have ended by time and those that a revocation ended make one batch.
    store.revoke(&revocation(RevocationTarget::Session(session_id(8)), None)).await.unwrap();
    for number in 0..4 {
        let mut record = session(number, "app", ["carol", "bob"][usize::from(number % 2)]);
        record.session.idle_expire_time = at(250);
        store.create_session(&record).await.unwrap();
    }
    store.create_session(&session(5, "app", "bob")).await.unwrap();
    assert_eq!(store.forget_sessions(at(300), 10).await.unwrap(), 5);
}

async fn a_revocation_outlives_the_sessions_that_it_has_ended(store: Arc<Store>) {
    for number in 0..5 {
        store.create_session(&session(number, "web", "alice")).await.unwrap();
    }
    store.create_session(&session(9, "web", "bob")).await.unwrap();
    store.revoke(&revocation(subject("alice", 201), Some(300))).await.unwrap();
    // It has expired, but as long as sessions are there that it has ended, it stays.
    assert_eq!(store.forget_sessions(at(LATER), 1).await.unwrap(), 1);
    assert_eq!(store.forget_revocations(at(LATER), 10).await.unwrap(), 0);
    for number in 0..5 {
        assert!(gone(&store, number).await);
    }
    assert_eq!(store.forget_sessions(at(LATER), 10).await.unwrap(), 4);
    assert_eq!(store.forget_revocations(at(LATER), 10).await.unwrap(), 1);
    assert_eq!(all(&store).await, []);
    for number in 0..5 {
        assert!(gone(&store, number).await, "its end brings no session back");
    }
    assert!(!gone(&store, 9).await);
}

async fn a_revocation_that_reaches_further_is_swept_for_again(store: Arc<Store>) {
    store.create_session(&session(1, "web", "alice")).await.unwrap();
    store.revoke(&revocation(subject("alice", 50), Some(300))).await.unwrap();
    assert_eq!(store.forget_sessions(at(LATER), 10).await.unwrap(), 0);
    assert!(!gone(&store, 1).await);
    store.revoke(&revocation(subject("alice", 101), Some(300))).await.unwrap();
    assert_eq!(store.forget_revocations(at(LATER), 10).await.unwrap(), 0);
    assert_eq!(store.forget_sessions(at(LATER), 10).await.unwrap(), 1);
    assert_eq!(store.forget_revocations(at(LATER), 10).await.unwrap(), 1);
}
