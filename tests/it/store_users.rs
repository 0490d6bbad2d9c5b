//! What the store does with users, on each backend.

use std::sync::Arc;

use tokend::{
    model::{
        ExtraClaims, OldSessions::End, PasswordHash, UnixTime, User, UserId, UserRecord, UserSettings,
        Username,
    },
    store::{Store, StoreError},
};

use crate::store_backends::{at, on_every_store};

on_every_store!(
    a_user_comes_back_as_it_was,
    ids_and_names_are_unique,
    of_changes_at_once_one_is_made,
    a_name_that_is_taken_stays_taken,
    a_password_is_set_for_good,
    a_fresh_hash_never_replaces_another_password,
    a_user_is_deleted_if_still_as_seen,
    pages_of_users_are_in_the_order_of_bytes,
    users_are_no_part_of_what_replicas_hold_in_memory,
    users_of_a_closed_store_are_unavailable,
);

pub fn user_id(text: &str) -> UserId {
    UserId::parse(text).unwrap()
}

fn name(text: &str) -> Username {
    Username::parse(text).unwrap()
}

pub fn hash(text: &str) -> PasswordHash {
    PasswordHash::from_text(text)
}

pub fn record(id: &str, username: &str) -> UserRecord {
    let user = User {
        user_id: user_id(id),
        settings: UserSettings {
            username: name(username),
            disabled: false,
            claims: ExtraClaims::default(),
            scopes: vec![],
        },
        create_time: at(1),
        update_time: at(2),
        password_update_time: at(3),
        revision: 1,
    };
    UserRecord { user, password: hash("a hash") }
}

fn refused<T>(result: Result<T, StoreError>, expected: &StoreError) {
    let Err(error) = result else { panic!("must be refused: {expected}") };
    assert_eq!(error.to_string(), expected.to_string());
}

async fn a_user_comes_back_as_it_was(store: Arc<Store>) {
    let mut full = record("https://idp.example/users/42", "renée ☃ o'brien");
    // Members in their order, a number that no double holds, and what PostgreSQL's own JSON would not take.
    let claims = r#"{"z":1,"a":[12345678901234567890,1.50],"nul":"\u0000","":{"b":null}}"#;
    let members =
        [("z", "1"), ("a", "[12345678901234567890,1.50]"), ("nul", r#""\u0000""#), ("", r#"{"b":null}"#)];
    let members = members.map(|(name, value)| (name.to_owned(), value.to_owned()));
    full.user.settings.claims = ExtraClaims::from_members(members.to_vec());
    full.user.settings.scopes = vec!["b".to_owned(), "a".to_owned()];
    full.user.settings.disabled = true;
    full.user.create_time = at(i64::MIN);
    full.user.update_time = UnixTime::MAX;
    full.user.password_update_time = at(i64::MAX);
    full.user.revision = i64::MAX;
    store.create_user(&full).await.unwrap();
    assert!(store.user(&full.user.user_id).await.unwrap() == full);
    assert!(store.user_by_name(&full.user.settings.username).await.unwrap() == full);
    assert_eq!(store.user(&full.user.user_id).await.unwrap().user.settings.claims.to_json(), claims);
    refused(store.user(&user_id("u-2")).await, &StoreError::NotFound);
    refused(store.user_by_name(&name("alice")).await, &StoreError::NotFound);
}

async fn ids_and_names_are_unique(store: Arc<Store>) {
    store.create_user(&record("u-1", "alice")).await.unwrap();
    refused(store.create_user(&record("u-1", "bob")).await, &StoreError::AlreadyExists);
    refused(store.create_user(&record("u-2", "alice")).await, &StoreError::AlreadyExists);
    refused(store.user(&user_id("u-2")).await, &StoreError::NotFound);
    store.create_user(&record("u-2", "alicé")).await.unwrap();
}

async fn of_changes_at_once_one_is_made(store: Arc<Store>) {
    store.create_user(&record("u-1", "alice")).await.unwrap();
    let racers: Vec<_> = (0..8)
        .map(|number| {
            let (store, mut user) = (Arc::clone(&store), record("u-1", "alice").user);
            user.revision = 2;
            user.settings.scopes = vec![number.to_string()];
            user.update_time = at(10 + number);
            tokio::spawn(async move { store.update_user(&user).await.unwrap().then_some(user) })
        })
        .collect();
    let mut made = Vec::new();
    for racer in racers {
        made.extend(racer.await.unwrap());
    }
    assert_eq!(made.len(), 1);
    let stored = store.user(&user_id("u-1")).await.unwrap();
    assert!(stored.user == made[0], "and it is stored whole");
    assert_eq!(stored.password, hash("a hash"));
    let mut absent = record("u-9", "nobody").user;
    absent.revision = 2;
    assert!(!store.update_user(&absent).await.unwrap());
}

async fn a_name_that_is_taken_stays_taken(store: Arc<Store>) {
    store.create_user(&record("u-1", "alice")).await.unwrap();
    store.create_user(&record("u-2", "bob")).await.unwrap();
    let mut bob = record("u-2", "alice").user;
    bob.revision = 2;
    refused(store.update_user(&bob).await, &StoreError::AlreadyExists);
    assert_eq!(store.user_by_name(&name("bob")).await.unwrap().user.revision, 1);
}

async fn a_password_is_set_for_good(store: Arc<Store>) {
    store.create_user(&record("u-1", "alice")).await.unwrap();
    let set = store.set_user_password(&user_id("u-1"), &hash("another"), at(50), End).await.unwrap().record;
    assert_eq!(set.password, hash("another"));
    assert_eq!((set.user.revision, set.user.update_time, set.user.password_update_time), (2, at(50), at(50)));
    assert!(store.user(&user_id("u-1")).await.unwrap() == set);
    let of_nobody = store.set_user_password(&user_id("u-2"), &hash("another"), at(50), End).await;
    refused(of_nobody, &StoreError::NotFound);
}

async fn a_fresh_hash_never_replaces_another_password(store: Arc<Store>) {
    let alice = user_id("u-1");
    store.create_user(&record("u-1", "alice")).await.unwrap();
    assert!(store.rehash_user_password(&alice, &hash("a hash"), &hash("a fresh hash")).await.unwrap());
    let rehashed = store.user(&alice).await.unwrap();
    assert_eq!(rehashed.password, hash("a fresh hash"));
    assert!(rehashed.user == record("u-1", "alice").user, "which is no change of the user");
    store.set_user_password(&alice, &hash("another"), at(50), End).await.unwrap();
    assert!(!store.rehash_user_password(&alice, &hash("a fresh hash"), &hash("late")).await.unwrap());
    assert_eq!(store.user(&alice).await.unwrap().password, hash("another"));
}

async fn a_user_is_deleted_if_still_as_seen(store: Arc<Store>) {
    for id in ["u-1", "u-2"] {
        store.create_user(&record(id, id)).await.unwrap();
    }
    assert!(!store.delete_user(&user_id("u-1"), Some(2)).await.unwrap());
    assert!(store.delete_user(&user_id("u-1"), Some(1)).await.unwrap());
    assert!(store.delete_user(&user_id("u-2"), None).await.unwrap());
    assert!(!store.delete_user(&user_id("u-2"), None).await.unwrap());
    assert!(store.users_page(None, 10).await.unwrap().is_empty());
}

async fn pages_of_users_are_in_the_order_of_bytes(store: Arc<Store>) {
    for (id, username) in [("b", "1"), ("a", "2"), ("B", "3"), ("a-", "4"), ("10", "5"), ("9", "6")] {
        store.create_user(&record(id, username)).await.unwrap();
    }
    let ids = |users: Vec<User>| users.iter().map(|user| user.user_id.to_string()).collect::<Vec<_>>();
    assert_eq!(ids(store.users_page(None, 100).await.unwrap()), ["10", "9", "B", "a", "a-", "b"]);
    assert_eq!(ids(store.users_page(Some(&user_id("9")), 2).await.unwrap()), ["B", "a"]);
    assert_eq!(ids(store.users_page(Some(&user_id("b")), 2).await.unwrap()), [""; 0]);
}

async fn users_are_no_part_of_what_replicas_hold_in_memory(store: Arc<Store>) {
    store.create_user(&record("u-1", "alice")).await.unwrap();
    store.set_user_password(&user_id("u-1"), &hash("another"), at(50), End).await.unwrap();
    store.delete_user(&user_id("u-1"), None).await.unwrap();
    assert_eq!(store.change_sequence().await.unwrap().0, 0, "no replica has to load anything");
}

async fn users_of_a_closed_store_are_unavailable(store: Arc<Store>) {
    store.create_user(&record("u-1", "alice")).await.unwrap();
    store.close().await;
    let unavailable = |failed| assert!(matches!(failed, Some(StoreError::Unavailable(_))));
    unavailable(store.user_by_name(&name("alice")).await.err());
    unavailable(store.user(&user_id("u-1")).await.err());
    unavailable(store.users_page(None, 1).await.err());
    unavailable(store.create_user(&record("u-2", "bob")).await.err());
    unavailable(store.delete_user(&user_id("u-1"), None).await.err());
    unavailable(store.set_user_password(&user_id("u-1"), &hash("another"), at(50), End).await.err());
}
