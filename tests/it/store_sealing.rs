//! Wrapped sealing keys in the store, on each backend: of many at once, one wins.

use std::sync::Arc;

use tokend::{
    model::SealingKeyRecord,
    store::{Store, StoreError},
};
use tokio::task::JoinSet;

use crate::store_backends::{on_every_store, sealing_key};

on_every_store!(
    the_first_sealing_key_of_a_provider_stays,
    a_sealing_key_takes_the_place_of_the_one_that_was_read,
    a_sealing_key_id_is_taken_once,
    of_many_sealing_keys_at_once_one_wins,
);

const RACERS: u64 = 12;

async fn sequence(store: &Store) -> i64 {
    store.change_sequence().await.unwrap().0
}

async fn the_first_sealing_key_of_a_provider_stays(store: Arc<Store>) {
    assert!(store.sealing_keys().await.unwrap().is_empty());
    let (first, second, other) = (sealing_key(9, "b"), sealing_key(1, "b"), sealing_key(5, "a"));
    assert_eq!(store.ensure_sealing_key(&first, None).await.unwrap(), first);
    assert_eq!(store.ensure_sealing_key(&second, None).await.unwrap(), first);
    assert_eq!(sequence(&store).await, 1, "no change, and so not counted");
    assert_eq!(store.ensure_sealing_key(&other, None).await.unwrap(), other);
    assert_eq!(store.sealing_keys().await.unwrap(), [other, first]);
}

async fn a_sealing_key_takes_the_place_of_the_one_that_was_read(store: Arc<Store>) {
    let (first, second, third) = (sealing_key(9, "vault"), sealing_key(1, "vault"), sealing_key(5, "vault"));
    let missing = store.ensure_sealing_key(&second, Some(first.sealing_key_id)).await;
    assert!(matches!(missing, Err(StoreError::NotFound)), "{missing:?}");
    store.ensure_sealing_key(&first, None).await.unwrap();
    assert_eq!(store.ensure_sealing_key(&second, Some(first.sealing_key_id)).await.unwrap(), second);
    // A change based on the first key comes too late.
    assert_eq!(store.ensure_sealing_key(&third, Some(first.sealing_key_id)).await.unwrap(), second);
    assert_eq!(store.sealing_keys().await.unwrap(), [first, second], "in the order in which they were made");
    assert_eq!(sequence(&store).await, 2);
}

async fn a_sealing_key_id_is_taken_once(store: Arc<Store>) {
    store.ensure_sealing_key(&sealing_key(1, "a"), None).await.unwrap();
    let taken = store.ensure_sealing_key(&sealing_key(1, "b"), None).await;
    assert!(matches!(taken, Err(StoreError::AlreadyExists)), "{taken:?}");
    assert_eq!(sequence(&store).await, 1);
}

async fn of_many_sealing_keys_at_once_one_wins(store: Arc<Store>) {
    let mut newest: Option<SealingKeyRecord> = None;
    for round in 0..20 {
        let after = newest.as_ref().map(|record| record.sealing_key_id);
        let mut racers = JoinSet::new();
        for racer in 0..RACERS {
            let store = Arc::clone(&store);
            racers.spawn(async move {
                let candidate = sealing_key(100 * round + racer, "vault");
                store.ensure_sealing_key(&candidate, after).await.unwrap()
            });
        }
        let winners = racers.join_all().await;
        let kept = store.sealing_keys().await.unwrap();
        assert_eq!(kept.len() as u64, round + 1);
        assert!(winners.iter().all(|winner| Some(winner) == kept.last()), "all were told of the newest");
        newest = kept.last().cloned();
    }
}
