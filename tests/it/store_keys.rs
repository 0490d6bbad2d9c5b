//! What the store does with keys, and with what replicas report, on each backend.

use std::sync::Arc;

use tokend::{
    model::{
        Algorithm, ChangeSequence, Held, KeyChange, KeyRecord, KeyRevocation, KeySet, KeyState, KeyUsage,
        ReplicaReport,
    },
    store::{Store, StoreError},
};
use tokio::task::JoinSet;

use crate::store_backends::{at, bare, client, key, on_every_store, pending, stored_keys};

on_every_store!(
    a_key_comes_back_as_it_was,
    each_algorithm_has_its_own_keys,
    a_change_based_on_what_was_before_another_is_not_made,
    a_change_is_made_as_a_whole_or_not_at_all,
    a_key_is_published_once_and_changed_often,
    of_many_changes_at_once_one_is_made,
    keys_and_their_number_are_of_one_state,
    a_replica_is_known_by_its_last_report,
    each_change_notifies_the_receivers,
);

async fn keys(store: &Store) -> KeySet {
    store.keys().await.unwrap()
}

/// Makes a change that must be made.
async fn change(store: &Store, make: impl FnOnce(KeyChange) -> KeyChange) -> ChangeSequence {
    let set = keys(store).await;
    store.change_keys(&make(KeyChange::of(&set))).await.unwrap().unwrap()
}

async fn a_key_comes_back_as_it_was(store: Arc<Store>) {
    let full = KeyRecord {
        usage: KeyUsage::VerifyOnly,
        issuer: Some("https://other \"€\" '; --".to_owned()),
        state: KeyState::Revoked,
        sealed: Some((0..=255).collect()),
        public: Some(r#"{"x":"\u0000 é"}"#.to_owned()),
        activate_time: Some(at(i64::MIN)),
        retire_time: Some(at(i64::MAX)),
        expire_time: Some(at(0)),
        revocation: Some(KeyRevocation {
            time: at(-5),
            reason: "\"\u{1f511}\"".to_owned(),
            by: "ops".to_owned(),
        }),
        ..key("full", 7)
    };
    let empty = KeyRecord {
        state: KeyState::Retired,
        sealed: None,
        public: None,
        activate_time: None,
        ..key("empty", 8)
    };
    change(&store, |change| change.put(full.clone()).put(empty.clone())).await;
    assert_eq!(stored_keys(&store).await, [full.clone(), empty.clone()]);
    // Each field can be taken back again.
    let changed = KeyRecord { key_id: full.key_id.clone(), ..empty.clone() };
    change(&store, |change| change.put(changed.clone()).remove(&empty.key_id)).await;
    assert_eq!(stored_keys(&store).await, [changed]);
}

async fn each_algorithm_has_its_own_keys(store: Arc<Store>) {
    let mut expected = Vec::new();
    for (place, algorithm) in Algorithm::ALL.into_iter().enumerate() {
        // Two of the same second: their ids tell the order.
        let second = 1000 - i64::try_from(place / 2).unwrap();
        for key in [key(&format!("a-{algorithm}"), second), pending(&format!("p-{algorithm}"), second)] {
            let key = KeyRecord { algorithm, ..key };
            change(&store, |change| change.put(key.clone())).await;
            expected.push(key);
        }
    }
    expected.sort_by_key(|key| (key.create_time, key.key_id.clone()));
    assert_eq!(stored_keys(&store).await, expected);
    let set = keys(&store).await;
    let name = |record: Option<&KeyRecord>| record.unwrap().key_id.to_string();
    assert_eq!(name(set.active(Algorithm::Rs256)), "a-RS256");
    assert_eq!(name(set.pending(Algorithm::Rs256)), "p-RS256");
}

async fn a_change_based_on_what_was_before_another_is_not_made(store: Arc<Store>) {
    let before = keys(&store).await;
    let first = KeyChange::of(&before).put(key("first", 1));
    let made = store.change_keys(&first).await.unwrap();
    assert_eq!(made, Some(ChangeSequence(1)));
    let late = KeyChange::of(&before).put(pending("late", 2)).remove(&first.put[0].key_id);
    assert_eq!(store.change_keys(&late).await.unwrap(), None);
    assert_eq!(stored_keys(&store).await, first.put);
    assert_eq!(store.change_sequence().await.unwrap(), ChangeSequence(1), "nothing was counted");
    // A change to clients is none to the keys.
    store.create_client(&client("billing", vec![])).await.unwrap();
    let set = keys(&store).await;
    assert_eq!(
        (set.sequence, store.change_sequence().await.unwrap()),
        (ChangeSequence(1), ChangeSequence(2))
    );
    let next = store.change_keys(&KeyChange::of(&set).put(pending("next", 3))).await.unwrap();
    assert_eq!(next, Some(ChangeSequence(3)));
}

async fn a_change_is_made_as_a_whole_or_not_at_all(store: Arc<Store>) {
    change(&store, |change| change.put(key("active", 1)).put(pending("pending", 2))).await;
    let before = keys(&store).await;
    for second in [key("another", 3), pending("another", 3)] {
        let twice = KeyChange::of(&before)
            .put(KeyRecord { algorithm: Algorithm::EdDsa, ..key("new", 3) })
            .put(second);
        let result = store.change_keys(&twice).await;
        assert!(matches!(result, Err(StoreError::AlreadyExists)), "{result:?}");
        assert_eq!(keys(&store).await, before);
    }
    // The one gives up its place before the other takes it.
    let at = |name| before.get(name).cloned().unwrap();
    let retired = at("active").retire(before.keys[0].create_time, std::time::Duration::ZERO).unwrap();
    let active = at("pending").activate(before.keys[0].create_time, None).unwrap();
    change(&store, |change| change.put(retired).put(active).put(pending("next", 4))).await;
    let set = keys(&store).await;
    let states: Vec<_> = set.keys.iter().map(|key| (key.key_id.as_str(), key.state.name())).collect();
    assert_eq!(states, [("active", "retired"), ("pending", "active"), ("next", "pending")]);
}

async fn a_key_is_published_once_and_changed_often(store: Arc<Store>) {
    change(&store, |change| change.put(key("a", 1))).await;
    change(&store, |change| change.put(pending("b", 2))).await;
    let set = keys(&store).await;
    change(&store, |change| change.put(set.keys[0].clone())).await;
    let numbers: Vec<_> =
        keys(&store).await.keys.iter().map(|key| (key.publish_sequence.0, key.change_sequence.0)).collect();
    assert_eq!(numbers, [(1, 3), (2, 2)]);
    assert_eq!(bare(&set.keys[0]), key("a", 1));
}

async fn of_many_changes_at_once_one_is_made(store: Arc<Store>) {
    for round in 1..=40 {
        let set = keys(&store).await;
        let mut racers = JoinSet::new();
        for racer in 0..12 {
            let store = Arc::clone(&store);
            let retired = KeyRecord { state: KeyState::Retired, ..key(&format!("{round}-{racer}"), round) };
            let change = KeyChange::of(&set).put(retired);
            racers.spawn(async move { store.change_keys(&change).await.unwrap() });
        }
        let made: Vec<ChangeSequence> = racers.join_all().await.into_iter().flatten().collect();
        assert_eq!(made, [ChangeSequence(round)], "of twelve one");
        assert_eq!(keys(&store).await.keys.len(), usize::try_from(round).unwrap());
    }
}

async fn keys_and_their_number_are_of_one_state(store: Arc<Store>) {
    let reading = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            loop {
                let set = keys(&store).await;
                assert_eq!(set.keys.len(), usize::try_from(set.sequence.0).unwrap());
                if set.keys.len() == 60 {
                    return;
                }
                tokio::task::yield_now().await;
            }
        }
    });
    for number in 0..60 {
        let retired = KeyRecord { state: KeyState::Retired, ..key(&format!("key-{number}"), number) };
        change(&store, |change| change.put(retired)).await;
    }
    reading.await.unwrap();
}

async fn a_replica_is_known_by_its_last_report(store: Arc<Store>) {
    let report = |replica_id: &str, held, verifiers| ReplicaReport {
        replica_id: replica_id.to_owned(),
        held: ChangeSequence(held),
        verifiers,
    };
    let held = |sequence, count| Held { sequence, count };
    assert_eq!(store.replicas().await.unwrap(), []);
    store.report_replica(&report("b", 1, vec![])).await.unwrap();
    store.report_replica(&report("a", 2, vec![held(1, 5), held(i64::MAX, u32::MAX)])).await.unwrap();
    store.report_replica(&report("b", 3, vec![held(3, 1)])).await.unwrap();
    let a = report("a", 2, vec![held(1, 5), held(i64::MAX, u32::MAX)]);
    assert_eq!(store.replicas().await.unwrap(), [a.clone(), report("b", 3, vec![held(3, 1)])]);
    store.forget_replica("b").await.unwrap();
    store.forget_replica("never seen").await.unwrap();
    assert_eq!(store.replicas().await.unwrap(), [a]);
    assert_eq!(store.change_sequence().await.unwrap(), ChangeSequence(0), "a report is no change");
}

async fn each_change_notifies_the_receivers(store: Arc<Store>) {
    let mut changes = store.changes();
    // PostgreSQL is listened to from about now: told once when that has begun. The others have told nothing yet.
    change(&store, |change| change.put(key("first", 1))).await;
    changes.changed().await.unwrap();
    for number in 2..10 {
        change(&store, |change| {
            change.put(KeyRecord { state: KeyState::Retired, ..key(&format!("k{number}"), number) })
        })
        .await;
        // It may have been told twice of the one before.
        changes.changed().await.unwrap();
    }
    store.create_client(&client("billing", vec![])).await.unwrap();
    changes.changed().await.unwrap();
}
