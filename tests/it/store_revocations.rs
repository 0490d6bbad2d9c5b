//! What the store does with revocations, on each backend.

use std::sync::Arc;

use tokend::{
    model::{ChangeSequence, Revocation, RevocationPage, RevocationRecord, RevocationTarget},
    store::{Store, StoreError},
};

use crate::{
    store_backends::{at, client, id, on_every_store},
    store_sessions::session_id,
};

on_every_store!(
    revocations_come_back_as_they_were,
    one_of_the_same_target_holds_on_and_reaches_further,
    what_holds_already_is_no_change,
    revocations_count_and_are_no_change_to_keys_and_clients,
    pages_say_how_far_they_reach,
    what_has_expired_goes_in_batches,
    a_revocation_is_told_of,
    revocations_of_a_closed_store_are_unavailable,
);

pub fn token(jwt_id: &str) -> RevocationTarget {
    RevocationTarget::Token(jwt_id.to_owned())
}

pub fn subject(subject: &str, before: i64) -> RevocationTarget {
    RevocationTarget::Subject(subject.to_owned(), at(before))
}

/// A revocation that was made at 200 and ends at that time.
pub fn revocation(target: RevocationTarget, expire_time: Option<i64>) -> Revocation {
    Revocation { target, revoke_time: at(200), expire_time: expire_time.map(at) }
}

/// Every revocation that is kept.
pub async fn all(store: &Store) -> Vec<RevocationRecord> {
    store.revocations(ChangeSequence(0), 1_000_000).await.unwrap().records
}

async fn revocations_come_back_as_they_were(store: Arc<Store>) {
    assert_eq!(
        store.revocations(ChangeSequence(0), 10).await.unwrap(),
        RevocationPage { records: vec![], complete: ChangeSequence(0) }
    );
    let made = [
        revocation(token("renée ☃ '; --"), Some(900)),
        revocation(RevocationTarget::Session(session_id(1)), Some(i64::MAX)),
        revocation(subject("alice", i64::MAX), None),
        revocation(RevocationTarget::Client(id("web"), at(i64::MIN)), Some(i64::MIN)),
        revocation(RevocationTarget::Everything(at(201)), Some(900)),
        // One text is another target as another kind.
        revocation(token("alice"), None),
        revocation(subject("web", 201), Some(900)),
    ];
    for (number, revocation) in (1..).zip(&made) {
        let record = RevocationRecord { sequence: ChangeSequence(number), revocation: revocation.clone() };
        assert_eq!(store.revoke(revocation).await.unwrap(), record);
    }
    let kept = all(&store).await;
    assert_eq!(kept.iter().map(|record| record.revocation.clone()).collect::<Vec<_>>(), made);
    assert_eq!(kept.iter().map(|record| record.sequence.0).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
}

async fn one_of_the_same_target_holds_on_and_reaches_further(store: Arc<Store>) {
    let at_time = |before: i64, revoke: i64, expire: Option<i64>| Revocation {
        target: subject("alice", before),
        revoke_time: at(revoke),
        expire_time: expire.map(at),
    };
    for (made, holds, number) in [
        (at_time(201, 200, Some(900)), at_time(201, 200, Some(900)), 1),
        (at_time(301, 300, Some(800)), at_time(301, 200, Some(900)), 2),
        (at_time(250, 400, Some(950)), at_time(301, 200, Some(950)), 3),
        (at_time(100, 100, Some(100)), at_time(301, 200, Some(950)), 3),
        (at_time(100, 500, None), at_time(301, 200, None), 4),
        (at_time(302, 600, Some(9000)), at_time(302, 200, None), 5),
        (at_time(302, 700, None), at_time(302, 200, None), 5),
    ] {
        let holds = RevocationRecord { sequence: ChangeSequence(number), revocation: holds };
        assert_eq!(store.revoke(&made).await.unwrap(), holds);
        assert_eq!(all(&store).await, [holds]);
    }
}

async fn what_holds_already_is_no_change(store: Arc<Store>) {
    for target in
        [token("one"), RevocationTarget::Session(session_id(1)), RevocationTarget::Everything(at(201))]
    {
        let first = store.revoke(&revocation(target.clone(), Some(900))).await.unwrap();
        let again = Revocation { revoke_time: at(300), ..revocation(target, Some(800)) };
        assert_eq!(store.revoke(&again).await.unwrap(), first);
        let page = store.revocations(first.sequence, 10).await.unwrap();
        assert_eq!(page, RevocationPage { records: vec![], complete: first.sequence });
    }
}

async fn revocations_count_and_are_no_change_to_keys_and_clients(store: Arc<Store>) {
    store.create_client(&client("web", vec![])).await.unwrap();
    assert_eq!(store.revoke(&revocation(token("one"), None)).await.unwrap().sequence, ChangeSequence(2));
    assert_eq!(store.change_sequence().await.unwrap(), ChangeSequence(1));
    store.create_client(&client("app", vec![])).await.unwrap();
    assert_eq!(store.change_sequence().await.unwrap(), ChangeSequence(2));
    assert_eq!(store.revoke(&revocation(token("two"), None)).await.unwrap().sequence, ChangeSequence(4));
    assert_eq!(store.change_sequence().await.unwrap(), ChangeSequence(2));
}

async fn pages_say_how_far_they_reach(store: Arc<Store>) {
    for number in 1..=5 {
        store.revoke(&revocation(token(&number.to_string()), Some(900))).await.unwrap();
    }
    store.create_client(&client("web", vec![])).await.unwrap();
    let page = async |after: i64, limit: u32| {
        let page = store.revocations(ChangeSequence(after), limit).await.unwrap();
        let numbers: Vec<i64> = page.records.iter().map(|record| record.sequence.0).collect();
        (numbers, page.complete.0)
    };
    // A full page reaches to its end; one that is not, to the last change of all.
    assert_eq!(page(0, 2).await, (vec![1, 2], 2));
    assert_eq!(page(2, 2).await, (vec![3, 4], 4));
    assert_eq!(page(4, 2).await, (vec![5], 6));
    assert_eq!(page(0, 5).await, (vec![1, 2, 3, 4, 5], 5));
    assert_eq!(page(5, 5).await, (vec![], 6));
    assert_eq!(page(6, 2).await, (vec![], 6));
    assert_eq!(page(3, 0).await, (vec![], 3));
    // One that reaches further comes once more, and no longer in its old place.
    store.revoke(&revocation(token("2"), None)).await.unwrap();
    assert_eq!(page(0, 9).await, (vec![1, 3, 4, 5, 7], 7));
    assert_eq!(page(6, 9).await, (vec![7], 7));
}

async fn what_has_expired_goes_in_batches(store: Arc<Store>) {
    for number in 0..7 {
        store.revoke(&revocation(token(&number.to_string()), Some(900 + number))).await.unwrap();
    }
    store.revoke(&revocation(token("for ever"), None)).await.unwrap();
    // Those that ended at 0 to 4 have expired at 4.
    assert_eq!(store.forget_revocations(at(904), 3).await.unwrap(), 3);
    assert_eq!(store.forget_revocations(at(904), 3).await.unwrap(), 2);
    assert_eq!(store.forget_revocations(at(904), 3).await.unwrap(), 0);
    assert_eq!(store.forget_revocations(at(i64::MAX), 9).await.unwrap(), 2);
    let kept = all(&store).await;
    assert_eq!(kept.iter().map(|record| &record.revocation.target).collect::<Vec<_>>(), [&token("for ever")]);
    // What is gone can be made anew, and has another number.
    let anew = store.revoke(&revocation(token("0"), Some(2000))).await.unwrap();
    assert_eq!(anew.sequence, ChangeSequence(9));
}

async fn a_revocation_is_told_of(store: Arc<Store>) {
    let mut changes = store.changes();
    // PostgreSQL's listener tells once when it has begun to listen.
    if tokio::time::timeout(std::time::Duration::from_millis(500), changes.changed()).await.is_ok() {
        changes.mark_unchanged();
    }
    store.revoke(&revocation(token("one"), Some(900))).await.unwrap();
    tokio::time::timeout(std::time::Duration::from_secs(20), changes.changed()).await.unwrap().unwrap();
}

async fn revocations_of_a_closed_store_are_unavailable(store: Arc<Store>) {
    store.close().await;
    let unavailable = |failed| assert!(matches!(failed, Some(StoreError::Unavailable(_))));
    unavailable(store.revoke(&revocation(token("one"), None)).await.err());
    unavailable(store.revocations(ChangeSequence(0), 1).await.err());
    unavailable(store.forget_revocations(at(1), 1).await.err());
}
