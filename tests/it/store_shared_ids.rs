//! Users and clients share the subjects of tokens: no id is of both, on each backend.

use std::sync::Arc;

use tokend::store::{Store, StoreError};

use crate::{
    store_backends::{client, id, on_every_store, rounds},
    store_users::{record, user_id},
};

on_every_store!(an_id_of_one_kind_is_refused_for_the_other, of_a_user_and_a_client_at_once_one_is_made,);

#[track_caller]
fn taken(result: &Result<(), StoreError>) {
    assert!(matches!(result, Err(StoreError::AlreadyExists)), "{result:?}");
}

async fn an_id_of_one_kind_is_refused_for_the_other(store: Arc<Store>) {
    store.create_client(&client("admin", vec![])).await.unwrap();
    taken(&store.create_user(&record("admin", "alice")).await);
    assert!(store.user(&user_id("admin")).await.is_err());
    store.create_user(&record("u-1", "alice")).await.unwrap();
    let before = store.change_sequence().await.unwrap();
    taken(&store.create_client(&client("u-1", vec![])).await);
    taken(&store.put_client(&client("u-1", vec![])).await);
    assert!(store.client(&id("u-1")).await.is_err());
    assert_eq!(store.change_sequence().await.unwrap(), before, "nothing was done");
    // A user's name is no id. An id that is free again can be taken by either kind.
    store.create_client(&client("alice", vec![])).await.unwrap();
    store.delete_client(&id("admin")).await.unwrap();
    store.create_user(&record("admin", "bob")).await.unwrap();
    assert!(store.delete_user(&user_id("u-1"), None).await.unwrap());
    store.create_client(&client("u-1", vec![])).await.unwrap();
    store.put_client(&client("u-1", vec![])).await.unwrap();
}

async fn of_a_user_and_a_client_at_once_one_is_made(store: Arc<Store>) {
    for round in 0..rounds(40) {
        let name = format!("both-{round}");
        let (as_user, as_client) = (record(&name, &name), client(&name, vec![]));
        let (user, made) = tokio::join!(
            tokio::spawn({
                let store = Arc::clone(&store);
                async move { store.create_user(&as_user).await }
            }),
            tokio::spawn({
                let store = Arc::clone(&store);
                async move { store.create_client(&as_client).await }
            }),
        );
        let (user, made) = (user.unwrap(), made.unwrap());
        assert!(user.is_ok() != made.is_ok(), "{user:?} {made:?}");
        assert_eq!(store.user(&user_id(&name)).await.is_ok(), user.is_ok());
        assert_eq!(store.client(&id(&name)).await.is_ok(), made.is_ok());
    }
}
