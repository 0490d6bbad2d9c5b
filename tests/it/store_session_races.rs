//! What the store keeps true of sessions and revocations when many act at once, on each backend.

use std::{collections::BTreeMap, sync::Arc};

use tokend::{
    model::{ChangeSequence, RefreshDigest, RevocationTarget, SessionFilter},
    store::{Store, StoreError},
};
use tokio::task::JoinSet;

use crate::{
    store_backends::{at, client, on_every_store},
    store_revocations::{all, revocation, subject, token},
    store_sessions::{rotation, session, session_id},
};

on_every_store!(
    of_many_uses_at_once_one_is_made,
    after_a_revocation_no_use_is_made,
    of_many_revocations_of_one_target_the_furthest_holds,
    revocations_at_once_each_have_a_number,
    what_ends_at_once_is_deleted_once,
);

/// Does what each of `actions` says at once, and gives back what each came to.
async fn race<T, F>(actions: impl IntoIterator<Item = F>) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let mut racers = JoinSet::new();
    for action in actions {
        racers.spawn(action);
    }
    racers.join_all().await
}

async fn of_many_uses_at_once_one_is_made(store: Arc<Store>) {
    store.create_session(&session(1, "web", "alice")).await.unwrap();
    for round in 1..=5_u8 {
        let good = store.session(&session_id(1), at(300)).await.unwrap().current;
        let results = race((0..100_u8).map(|racer| {
            // Each puts another token in its place.
            let mut wanted = rotation(1, 0, 200 + i64::from(racer));
            wanted.current = RefreshDigest::from_bytes([[round, racer]; 16].concat().try_into().unwrap());
            wanted.replaced.digest = good;
            let store = Arc::clone(&store);
            async move { (store.rotate_session(&wanted).await.unwrap(), wanted) }
        }));
        let made: Vec<_> = results.await.into_iter().filter(|(made, _)| *made).collect();
        let [(_, won)] = &made[..] else { panic!("{} were made", made.len()) };
        let kept = store.session(&session_id(1), at(300)).await.unwrap();
        assert_eq!((kept.current, kept.replaced), (won.current, Some(won.replaced.clone())));
        assert_eq!(kept.session.refresh_time, won.replaced.replace_time);
        assert_eq!(kept.session.idle_expire_time, won.idle_expire_time);
    }
}

async fn after_a_revocation_no_use_is_made(store: Arc<Store>) {
    for round in 0..20_u8 {
        store.create_session(&session(round, "web", &format!("user-{round}"))).await.unwrap();
        let using = {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let mut uses = 0;
                // On a slow machine it may come to the end of the numbers.
                while uses < 250 && store.rotate_session(&rotation(round, uses, 300)).await.unwrap() {
                    uses += 1;
                }
                uses
            })
        };
        let target = if round % 2 == 0 {
            RevocationTarget::Session(session_id(round))
        } else {
            subject(&format!("user-{round}"), 301)
        };
        for _ in 0..round {
            tokio::task::yield_now().await;
        }
        store.revoke(&revocation(target, Some(900))).await.unwrap();
        let known = store.session(&session_id(round), at(300)).await;
        assert!(matches!(known, Err(StoreError::NotFound)), "answered, and so it holds");
        let uses = using.await.unwrap();
        assert!(!store.rotate_session(&rotation(round, uses, 300)).await.unwrap());
    }
}

async fn of_many_revocations_of_one_target_the_furthest_holds(store: Arc<Store>) {
    for round in 0..10 {
        let alice = format!("alice-{round}");
        let answers = race((0..12_i64).map(|racer| {
            let wanted = revocation(subject(&alice, 300 + racer), Some(900 - racer));
            let store = Arc::clone(&store);
            async move { store.revoke(&wanted).await.unwrap() }
        }))
        .await;
        let kept = all(&store).await.pop().unwrap();
        assert_eq!(kept.revocation, revocation(subject(&alice, 311), Some(900)));
        assert!(answers.contains(&kept), "whoever made it so was told of it");
        assert!(answers.iter().all(|answer| answer.sequence <= kept.sequence));
    }
}

async fn revocations_at_once_each_have_a_number(store: Arc<Store>) {
    race((0..12_u32).map(|racer| {
        let store = Arc::clone(&store);
        async move {
            for round in 0..20 {
                if racer == 0 {
                    store.create_client(&client(&format!("client-{round}"), vec![])).await.unwrap();
                }
                store.revoke(&revocation(token(&format!("{racer} {round}")), Some(900))).await.unwrap();
            }
        }
    }))
    .await;
    let numbers: Vec<i64> = all(&store).await.iter().map(|record| record.sequence.0).collect();
    assert_eq!(numbers.len(), 240);
    assert!(numbers.is_sorted_by(|one, next| one < next));
    assert_eq!(store.change_sequence().await.unwrap(), ChangeSequence(20));
    let complete = store.revocations(ChangeSequence(0), 1000).await.unwrap().complete;
    assert_eq!(complete, ChangeSequence(260));
}

async fn what_ends_at_once_is_deleted_once(store: Arc<Store>) {
    for number in 0..200 {
        let mut record = session(number, "web", ["alice", "bob"][usize::from(number % 2)]);
        record.session.idle_expire_time = at(if number % 4 == 0 { 200 } else { 1000 });
        store.create_session(&record).await.unwrap();
    }
    store.revoke(&revocation(subject("bob", 101), Some(300))).await.unwrap();
    let mut forgotten = BTreeMap::new();
    // One that another deletes is left to it, and so a round may find less than there is.
    for round in 0..100 {
        let counts = race((0..4).map(|_| {
            let store = Arc::clone(&store);
            async move {
                let sessions = store.forget_sessions(at(900), 7).await.unwrap();
                let _ = store.forget_revocations(at(900), 7).await.unwrap();
                sessions
            }
        }));
        let count: u64 = counts.await.iter().sum();
        forgotten.insert(round, count);
        if count == 0 {
            break;
        }
    }
    // 50 by time, 100 by the revocation; of both kinds are none, as those by time are of alice.
    assert_eq!(forgotten.values().sum::<u64>(), 150);
    let left = store.sessions_page(&SessionFilter::default(), at(900), None, 1000).await.unwrap();
    assert_eq!(left.len(), 50);
    store.forget_sessions(at(900), 7).await.unwrap();
    store.forget_revocations(at(900), 7).await.unwrap();
    assert_eq!(all(&store).await, []);
}
