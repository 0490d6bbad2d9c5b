//! What each action of the store does, on each backend.

use std::sync::Arc;

use tokend::{
    model::{ClientId, ClientRecord, ClientVersion, MAX_SECRETS, UnixTime},
    store::{Store, StoreError},
};

use crate::store_backends::{
    add_secret, at, client, ensure_key, full_settings, id, key, on_every_store, secret, stored_keys,
};

on_every_store!(
    a_fresh_store_is_empty,
    a_client_comes_back_as_it_was,
    a_client_is_created_once,
    a_secret_belongs_to_one_client,
    putting_a_new_client_creates_it,
    putting_a_client_replaces_it,
    an_update_is_of_one_version,
    a_version_is_deleted_or_left_alone,
    deleting_a_client_deletes_its_secrets,
    a_secret_is_added_beside_the_others,
    the_others_end_at_the_latest_then,
    dead_secrets_go,
    without_overlap_the_new_secret_is_alone,
    the_oldest_secrets_make_room,
    secrets_of_one_second_stay_in_order,
    pages_are_in_the_order_of_bytes,
    each_change_counts_one,
    a_closed_store_is_unavailable,
);

async fn sequence(store: &Store) -> i64 {
    store.change_sequence().await.unwrap().0
}

async fn secret_ids(store: &Store, client_id: &ClientId) -> Vec<String> {
    let record = store.client(client_id).await.unwrap();
    record.secrets.into_iter().map(|secret| secret.secret_id).collect()
}

fn refused<T: std::fmt::Debug>(result: Result<T, StoreError>, expected: &StoreError) {
    assert_eq!(result.unwrap_err().to_string(), expected.to_string());
}

/// A client with secrets 1, 2 and 3, made at seconds 10, 20 and 30 and without an end.
async fn with_three_secrets(store: &Store) -> ClientId {
    let secrets = vec![secret(1, 10, None), secret(2, 20, None), secret(3, 30, None)];
    store.create_client(&client("billing", secrets)).await.unwrap();
    id("billing")
}

async fn a_fresh_store_is_empty(store: Arc<Store>) {
    assert_eq!(sequence(&store).await, 0);
    assert!(stored_keys(&store).await.is_empty());
    assert!(store.clients().await.unwrap().is_empty());
    assert!(store.clients_page(None, 10).await.unwrap().is_empty());
    refused(store.client(&id("billing")).await, &StoreError::NotFound);
}

async fn a_client_comes_back_as_it_was(store: Arc<Store>) {
    let secrets =
        vec![secret(1, i64::MIN, None), secret(2, 0, Some(i64::MAX)), secret(3, i64::MAX, Some(-5))];
    let mut record = client(&"x".repeat(63), secrets);
    record.client.settings = full_settings();
    record.client.create_time = at(-1);
    record.client.update_time = UnixTime::MAX;
    record.client.revision = i64::MAX;
    let bare = client("bare", vec![]);
    store.create_client(&record).await.unwrap();
    store.create_client(&bare).await.unwrap();
    assert_eq!(store.client(&record.client.client_id).await.unwrap(), record);
    assert_eq!(store.client(&bare.client.client_id).await.unwrap(), bare);
    assert_eq!(store.clients().await.unwrap(), [bare, record]);
}

async fn a_client_is_created_once(store: Arc<Store>) {
    let first = client("billing", vec![secret(1, 1, None)]);
    store.create_client(&first).await.unwrap();
    let second = client("billing", vec![secret(2, 1, None)]);
    refused(store.create_client(&second).await, &StoreError::AlreadyExists);
    assert_eq!(store.clients().await.unwrap(), [first]);
    assert_eq!(sequence(&store).await, 1);
}

async fn a_secret_belongs_to_one_client(store: Arc<Store>) {
    let owner = client("owner", vec![secret(1, 1, None)]);
    store.create_client(&owner).await.unwrap();
    let mut same_digest = secret(1, 1, None);
    same_digest.secret_id = "another".to_owned();
    let mut same_id = secret(2, 1, None);
    same_id.secret_id.clone_from(&owner.secrets[0].secret_id);
    for taken in [same_digest, same_id] {
        // The first secret is free: all of the record is refused, not a part of it.
        let thief = client("thief", vec![secret(7, 1, None), taken.clone()]);
        refused(store.create_client(&thief).await, &StoreError::AlreadyExists);
        refused(store.put_client(&thief).await, &StoreError::AlreadyExists);
        refused(add_secret(&store, &id("owner"), &taken, at(50)).await, &StoreError::AlreadyExists);
    }
    assert_eq!(store.clients().await.unwrap(), [owner]);
    assert_eq!(sequence(&store).await, 1);
}

async fn putting_a_new_client_creates_it(store: Arc<Store>) {
    let record = client("billing", vec![secret(1, 1, None), secret(2, 2, Some(9))]);
    store.put_client(&record).await.unwrap();
    assert_eq!(store.clients().await.unwrap(), [record]);
}

async fn putting_a_client_replaces_it(store: Arc<Store>) {
    let neighbour = client("neighbour", vec![secret(8, 1, None)]);
    store.create_client(&neighbour).await.unwrap();
    store.create_client(&client("billing", vec![secret(1, 1, None), secret(2, 2, None)])).await.unwrap();
    // Secret 2 stays, with an end now; 1 goes; 3 comes.
    let mut record = client("billing", vec![secret(2, 2, Some(9)), secret(3, 3, None)]);
    record.client.settings = full_settings();
    record.client.create_time = at(500);
    record.client.update_time = at(600);
    record.client.revision = 77;
    for revision in [2, 3] {
        store.put_client(&record).await.unwrap();
        let mut expected = record.clone();
        expected.client.create_time = at(100);
        expected.client.revision = revision;
        assert_eq!(store.client(&id("billing")).await.unwrap(), expected);
    }
    assert_eq!(store.client(&id("neighbour")).await.unwrap(), neighbour);
    store.put_client(&client("billing", vec![])).await.unwrap();
    assert!(store.client(&id("billing")).await.unwrap().secrets.is_empty());
}

async fn an_update_is_of_one_version(store: Arc<Store>) {
    let first = client("billing", vec![secret(1, 1, None)]);
    let neighbour = client("neighbour", vec![]);
    store.create_client(&first).await.unwrap();
    store.create_client(&neighbour).await.unwrap();
    let version = first.client.version();
    let mut wanted = first.client.clone();
    wanted.settings = full_settings();
    wanted.update_time = at(500);
    // Neither another number nor the same number of a client registered at another time.
    let later = ClientVersion { revision: 2, ..version };
    let other = ClientVersion { create_time: at(99), ..version };
    for base in [later, other] {
        assert!(!store.update_client(&wanted, base).await.unwrap());
    }
    assert_eq!(store.client(&id("billing")).await.unwrap(), first);
    assert!(store.update_client(&wanted, version).await.unwrap());
    wanted.revision = 2;
    let updated = ClientRecord { client: wanted.clone(), secrets: first.secrets };
    assert_eq!(store.clients().await.unwrap(), [updated, neighbour]);
    assert!(!store.update_client(&wanted, version).await.unwrap());
    wanted.client_id = id("nobody");
    assert!(!store.update_client(&wanted, version).await.unwrap());
    assert_eq!(sequence(&store).await, 3, "what was not made counts nothing");
}

async fn a_version_is_deleted_or_left_alone(store: Arc<Store>) {
    let first = client("billing", vec![secret(1, 1, None)]);
    store.create_client(&first).await.unwrap();
    let version = first.client.version();
    let later = ClientVersion { revision: 2, ..version };
    let other = ClientVersion { create_time: at(99), ..version };
    for base in [later, other] {
        assert!(!store.delete_client_version(&id("billing"), base).await.unwrap());
    }
    assert_eq!(store.clients().await.unwrap(), [first]);
    assert!(store.delete_client_version(&id("billing"), version).await.unwrap());
    assert!(!store.delete_client_version(&id("billing"), version).await.unwrap());
    assert!(store.clients().await.unwrap().is_empty());
    store.create_client(&client("heir", vec![secret(1, 1, None)])).await.unwrap();
    assert_eq!(sequence(&store).await, 3);
}

async fn deleting_a_client_deletes_its_secrets(store: Arc<Store>) {
    let neighbour = client("neighbour", vec![secret(8, 1, None)]);
    store.create_client(&neighbour).await.unwrap();
    let record = client("billing", vec![secret(1, 1, None)]);
    store.create_client(&record).await.unwrap();
    store.delete_client(&id("billing")).await.unwrap();
    refused(store.client(&id("billing")).await, &StoreError::NotFound);
    refused(store.delete_client(&id("billing")).await, &StoreError::NotFound);
    assert_eq!(store.clients().await.unwrap(), [neighbour]);
    store.create_client(&record).await.expect("neither id nor secret is taken");
}

async fn a_secret_is_added_beside_the_others(store: Arc<Store>) {
    let billing = with_three_secrets(&store).await;
    let mut expected = store.client(&billing).await.unwrap();
    let new = secret(4, 40, None);
    add_secret(&store, &billing, &new, at(90)).await.unwrap();
    for other in &mut expected.secrets {
        other.expire_time = Some(at(90));
    }
    expected.secrets.push(new);
    expected.client.update_time = at(40);
    expected.client.revision = 2;
    assert_eq!(store.client(&billing).await.unwrap(), expected);
    refused(add_secret(&store, &id("nobody"), &secret(5, 1, None), at(2)).await, &StoreError::NotFound);
    assert_eq!(sequence(&store).await, 2);
}

async fn the_others_end_at_the_latest_then(store: Arc<Store>) {
    let others = vec![secret(1, 1, Some(60)), secret(2, 2, Some(70)), secret(3, 3, Some(80))];
    store.create_client(&client("billing", others)).await.unwrap();
    store.create_client(&client("neighbour", vec![secret(8, 1, None)])).await.unwrap();
    add_secret(&store, &id("billing"), &secret(4, 50, Some(75)), at(70)).await.unwrap();
    let record = store.client(&id("billing")).await.unwrap();
    let ends: Vec<_> = record.secrets.iter().map(|secret| secret.expire_time.unwrap().seconds()).collect();
    assert_eq!(ends, [60, 70, 70, 75], "none is made longer, and the new one is not an other");
    assert_eq!(store.client(&id("neighbour")).await.unwrap().secrets, [secret(8, 1, None)]);
}

async fn dead_secrets_go(store: Arc<Store>) {
    let others =
        vec![secret(1, 1, Some(49)), secret(2, 2, Some(50)), secret(3, 3, Some(51)), secret(4, 4, None)];
    store.create_client(&client("billing", others)).await.unwrap();
    store.create_client(&client("neighbour", vec![secret(8, 1, Some(2))])).await.unwrap();
    add_secret(&store, &id("billing"), &secret(5, 50, None), at(99)).await.unwrap();
    assert_eq!(secret_ids(&store, &id("billing")).await, ["secret-3", "secret-4", "secret-5"]);
    assert_eq!(secret_ids(&store, &id("neighbour")).await, ["secret-8"]);
}

async fn without_overlap_the_new_secret_is_alone(store: Arc<Store>) {
    let billing = with_three_secrets(&store).await;
    add_secret(&store, &billing, &secret(4, 40, None), at(40)).await.unwrap();
    assert_eq!(store.client(&billing).await.unwrap().secrets, [secret(4, 40, None)]);
    add_secret(&store, &billing, &secret(5, 40, None), at(i64::MIN)).await.unwrap();
    assert_eq!(store.client(&billing).await.unwrap().secrets, [secret(5, 40, None)]);
}

async fn the_oldest_secrets_make_room(store: Arc<Store>) {
    let secrets: Vec<_> = (0..7).map(|number| secret(number, i64::from(number), None)).collect();
    store.create_client(&client("billing", secrets)).await.unwrap();
    let billing = id("billing");
    add_secret(&store, &billing, &secret(7, 7, None), at(99)).await.unwrap();
    assert_eq!(
        secret_ids(&store, &billing).await,
        ["secret-3", "secret-4", "secret-5", "secret-6", "secret-7"]
    );
    assert_eq!(MAX_SECRETS, 5);
    // Its clock is late: it is the oldest by its time, and stays all the same.
    add_secret(&store, &billing, &secret(8, 1, None), at(99)).await.unwrap();
    assert_eq!(
        secret_ids(&store, &billing).await,
        ["secret-8", "secret-4", "secret-5", "secret-6", "secret-7"]
    );
}

async fn secrets_of_one_second_stay_in_order(store: Arc<Store>) {
    // Ids and digests in no order at all.
    let numbers = [40, 7, 23, 99, 1, 65, 12, 80];
    store.create_client(&client("billing", vec![secret(numbers[0], 5, None)])).await.unwrap();
    for number in &numbers[1..] {
        add_secret(&store, &id("billing"), &secret(*number, 5, None), at(99)).await.unwrap();
    }
    let expected: Vec<_> = numbers[3..].iter().map(|number| format!("secret-{number}")).collect();
    assert_eq!(secret_ids(&store, &id("billing")).await, expected);
}

async fn pages_are_in_the_order_of_bytes(store: Arc<Store>) {
    // By bytes `-` is before `.` before digits before letters; locales see that in other ways.
    let sorted = ["a", "a-b", "a-c", "a.b", "a0", "a1b", "aa", "ab", "b", "b-a"];
    for name in ["ab", "b", "a.b", "a", "a1b", "b-a", "aa", "a-c", "a0", "a-b"] {
        let number = u32::try_from(sorted.iter().position(|sorted| *sorted == name).unwrap()).unwrap();
        let secrets = vec![secret(2 * number, 1, None), secret(2 * number + 1, 2, None)];
        store.create_client(&client(name, secrets)).await.unwrap();
    }
    let all = store.clients().await.unwrap();
    let names = |records: &[ClientRecord]| -> Vec<String> {
        records.iter().map(|record| record.client.client_id.to_string()).collect()
    };
    assert_eq!(names(&all), sorted);
    assert!(all.iter().all(|record| record.secrets.len() == 2));
    for size in [1, 3, 10, 11, u32::MAX] {
        let mut paged: Vec<ClientRecord> = Vec::new();
        loop {
            let after = paged.last().map(|record| record.client.client_id.clone());
            let page = store.clients_page(after.as_ref(), size).await.unwrap();
            assert!(page.len() <= usize::try_from(size).unwrap());
            if page.is_empty() {
                break;
            }
            paged.extend(page);
        }
        assert_eq!(paged, all);
    }
    assert!(store.clients_page(None, 0).await.unwrap().is_empty());
    let after_none = store.clients_page(Some(&id("a-bb")), 2).await.unwrap();
    assert_eq!(names(&after_none), ["a-c", "a.b"], "`after` need not be there");
}

async fn each_change_counts_one(store: Arc<Store>) {
    let billing = id("billing");
    ensure_key(&store, &key("key", 1)).await.unwrap();
    assert_eq!(sequence(&store).await, 1);
    store.create_client(&client("billing", vec![secret(1, 1, None), secret(2, 2, None)])).await.unwrap();
    assert_eq!(sequence(&store).await, 2);
    store.put_client(&client("billing", vec![secret(1, 1, None)])).await.unwrap();
    assert_eq!(sequence(&store).await, 3);
    add_secret(&store, &billing, &secret(3, 3, None), at(9)).await.unwrap();
    assert_eq!(sequence(&store).await, 4);
    store.delete_client(&billing).await.unwrap();
    assert_eq!(sequence(&store).await, 5);
    refused(store.delete_client(&billing).await, &StoreError::NotFound);
    stored_keys(&store).await;
    store.clients().await.unwrap();
    assert_eq!(sequence(&store).await, 5);
}

async fn a_closed_store_is_unavailable(store: Arc<Store>) {
    store.close().await;
    store.close().await;
    assert!(matches!(store.clients().await, Err(StoreError::Unavailable(_))));
    let put = store.put_client(&client("billing", vec![])).await;
    assert!(matches!(put, Err(StoreError::Unavailable(_))));
}
