//! What becomes, on each backend, of the sessions of users who are given another password, or are deleted.

use std::sync::Arc;

use tokend::{
    model::{OldSessions, SessionFilter, SessionRecord},
    store::{Store, StoreError},
};

use crate::{
    store_backends::{at, on_every_store, rounds},
    store_sessions::{session, session_id},
    store_users::{hash, record, user_id},
};

on_every_store!(
    another_password_ends_the_users_sessions_and_no_others,
    sessions_are_kept_if_that_is_wished,
    a_session_is_begun_only_by_the_password_that_is_kept,
    a_deleted_user_leaves_no_session,
    of_a_new_password_and_logins_by_the_old_one_at_once_no_session_is_left,
);

/// The session of that number, which this user began by logging in.
fn logged_in(number: u8, id: &str) -> SessionRecord {
    let mut record = session(number, "web", id);
    record.session.user_id = Some(user_id(id));
    record
}

async fn living(store: &Store) -> Vec<u8> {
    let page = store.sessions_page(&SessionFilter::default(), at(100), None, 100).await.unwrap();
    (0..100).filter(|number| page.iter().any(|found| found.session_id == session_id(*number))).collect()
}

/// Two users who have logged in twice each, and a session about the first that a service began.
async fn with_sessions(store: &Store) {
    for (id, numbers) in [("u-1", [1, 2]), ("u-2", [3, 4])] {
        store.create_user(&record(id, id)).await.unwrap();
        for number in numbers {
            assert!(store.create_user_session(&logged_in(number, id), &hash("a hash")).await.unwrap());
        }
    }
    store.create_session(&session(5, "web", "u-1")).await.unwrap();
    assert_eq!(living(store).await, [1, 2, 3, 4, 5]);
}

async fn another_password_ends_the_users_sessions_and_no_others(store: Arc<Store>) {
    with_sessions(&store).await;
    let set = store.set_user_password(&user_id("u-1"), &hash("another"), at(50), OldSessions::End).await;
    assert_eq!(set.unwrap().ended_sessions, 2);
    assert_eq!(living(&store).await, [3, 4, 5]);
    let set = store.set_user_password(&user_id("u-9"), &hash("another"), at(50), OldSessions::End).await;
    assert!(matches!(set, Err(StoreError::NotFound)));
}

async fn sessions_are_kept_if_that_is_wished(store: Arc<Store>) {
    with_sessions(&store).await;
    let set = store.set_user_password(&user_id("u-1"), &hash("another"), at(50), OldSessions::Keep).await;
    assert_eq!(set.unwrap().ended_sessions, 0);
    assert_eq!(living(&store).await, [1, 2, 3, 4, 5]);
}

async fn a_session_is_begun_only_by_the_password_that_is_kept(store: Arc<Store>) {
    with_sessions(&store).await;
    assert!(!store.create_user_session(&logged_in(6, "u-1"), &hash("another")).await.unwrap());
    assert!(!store.create_user_session(&logged_in(6, "u-9"), &hash("a hash")).await.unwrap());
    assert!(!store.create_user_session(&session(6, "web", "u-1"), &hash("a hash")).await.unwrap());
    let again = store.create_user_session(&logged_in(1, "u-1"), &hash("a hash")).await;
    assert!(matches!(again, Err(StoreError::AlreadyExists)));
    assert_eq!(living(&store).await, [1, 2, 3, 4, 5]);
}

async fn a_deleted_user_leaves_no_session(store: Arc<Store>) {
    with_sessions(&store).await;
    assert!(!store.delete_user(&user_id("u-1"), Some(2)).await.unwrap());
    assert_eq!(living(&store).await, [1, 2, 3, 4, 5], "no session was deleted");
    assert!(store.delete_user(&user_id("u-1"), Some(1)).await.unwrap());
    assert_eq!(living(&store).await, [3, 4, 5]);
}

async fn of_a_new_password_and_logins_by_the_old_one_at_once_no_session_is_left(store: Arc<Store>) {
    store.create_user(&record("u-1", "alice")).await.unwrap();
    let mut begun = 0;
    for round in 0..rounds(40) {
        let old = store.user(&user_id("u-1")).await.unwrap().password;
        let mut logins: Vec<_> = (0..8)
            .map(|number| {
                let (store, old) = (Arc::clone(&store), old.clone());
                tokio::spawn(async move {
                    store.create_user_session(&logged_in(number, "u-1"), &old).await.unwrap()
                })
            })
            .collect();
        let mut kept = 0;
        // In every other round one of them surely comes first.
        if round % 2 == 0 {
            kept += u64::from(logins.swap_remove(0).await.unwrap());
        }
        for _ in 0..round % 8 {
            tokio::task::yield_now().await;
        }
        let new = hash(&format!("hash {round}"));
        let ended = store.set_user_password(&user_id("u-1"), &new, at(50), OldSessions::End).await.unwrap();
        for login in logins {
            kept += u64::from(login.await.unwrap());
        }
        assert_eq!(kept, ended.ended_sessions, "each that was begun came before, and was ended");
        assert_eq!(living(&store).await, [0; 0]);
        begun += kept;
    }
    assert!(begun > 0, "a login came first");
}
