//! The store against a model: whatever is done in whatever order, it holds what a map in memory holds.

use std::{collections::BTreeMap, sync::Arc};

use proptest::{
    collection::vec,
    option,
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};
use tokend::{
    model::{ClientId, ClientRecord, MAX_SECRETS, SecretRecord, UnixTime},
    store::{Store, StoreError},
};
use tokio::runtime::Handle;

use crate::store_backends::{add_secret, at, client, id, on_every_store, secret};

on_every_store!(the_store_does_what_the_model_does);

/// Something done to clients. Few ids, secrets and instants, so that they meet.
#[derive(Debug, Clone)]
enum Action {
    Create(ClientRecord),
    Put(ClientRecord),
    Delete(ClientId),
    AddSecret(ClientId, SecretRecord, UnixTime),
}

fn client_ids() -> impl Strategy<Value = ClientId> {
    prop::sample::select(vec![id("a"), id("a-b"), id("ab")])
}

fn secrets() -> impl Strategy<Value = SecretRecord> {
    (0..14_u32, 0..20_i64, option::of(0..25_i64)).prop_map(|(number, made, ends)| secret(number, made, ends))
}

fn records() -> impl Strategy<Value = ClientRecord> {
    (client_ids(), ".{0,8}", vec(secrets(), 0..4), 0..20_i64).prop_map(
        |(client_id, name, mut secrets, time)| {
            secrets.sort_by_key(|secret| secret.create_time);
            let mut record = client(client_id.as_str(), secrets);
            record.client.settings.display_name = name;
            record.client.create_time = at(time);
            record.client.update_time = at(time);
            record
        },
    )
}

fn actions() -> impl Strategy<Value = Action> {
    prop_oneof![
        2 => records().prop_map(Action::Create),
        2 => records().prop_map(Action::Put),
        1 => client_ids().prop_map(Action::Delete),
        6 => (client_ids(), secrets(), 0..25_i64)
            .prop_map(|(client_id, secret, end)| Action::AddSecret(client_id, secret, at(end))),
    ]
}

/// What the store should be.
#[derive(Debug, Clone, Default)]
struct Model {
    clients: BTreeMap<ClientId, ClientRecord>,
    changes: i64,
}

impl Model {
    fn apply(&mut self, action: &Action) -> Result<(), StoreError> {
        let mut next = self.clone();
        match action {
            Action::Create(record) => {
                if next.clients.contains_key(&record.client.client_id) {
                    return Err(StoreError::AlreadyExists);
                }
                next.clients.insert(record.client.client_id.clone(), record.clone());
            }
            Action::Put(record) => {
                let mut record = record.clone();
                if let Some(old) = next.clients.get(&record.client.client_id) {
                    record.client.create_time = old.client.create_time;
                    record.client.revision = old.client.revision + 1;
                }
                next.clients.insert(record.client.client_id.clone(), record);
            }
            Action::Delete(client_id) => {
                next.clients.remove(client_id).ok_or(StoreError::NotFound)?;
            }
            Action::AddSecret(client_id, secret, others_expire) => {
                let record = next.clients.get_mut(client_id).ok_or(StoreError::NotFound)?;
                let now = secret.create_time;
                record.client.update_time = now;
                record.client.revision += 1;
                let others = &mut record.secrets;
                others.retain(|other| other.is_live(now));
                for other in &mut *others {
                    let end = other.expire_time.map_or(*others_expire, |end| end.min(*others_expire));
                    other.expire_time = Some(end);
                }
                if *others_expire <= now {
                    others.clear();
                }
                let surplus = (others.len() + 1).saturating_sub(MAX_SECRETS);
                others.drain(..surplus);
                others.push(secret.clone());
                others.sort_by_key(|secret| secret.create_time);
            }
        }
        let mut ids: Vec<_> = next
            .clients
            .values()
            .flat_map(|record| &record.secrets)
            .map(|secret| &secret.secret_id)
            .collect();
        let count = ids.len();
        ids.sort();
        ids.dedup();
        if ids.len() < count {
            return Err(StoreError::AlreadyExists);
        }
        next.changes += 1;
        *self = next;
        Ok(())
    }
}

async fn apply(store: &Store, action: &Action) -> Result<(), StoreError> {
    match action {
        Action::Create(record) => store.create_client(record).await,
        Action::Put(record) => store.put_client(record).await,
        Action::Delete(client_id) => store.delete_client(client_id).await,
        Action::AddSecret(client_id, secret, end) => add_secret(store, client_id, secret, *end).await,
    }
}

async fn check(store: &Store, actions: &[Action]) -> Result<(), TestCaseError> {
    for left_over in store.clients().await.unwrap() {
        store.delete_client(&left_over.client.client_id).await.unwrap();
    }
    let mut model = Model { changes: store.change_sequence().await.unwrap().0, ..Model::default() };
    for action in actions {
        let (did, should) = (apply(store, action).await, model.apply(action));
        prop_assert_eq!(format!("{did:?}"), format!("{should:?}"), "{:?}", action);
        let clients = store.clients().await.unwrap();
        prop_assert_eq!(clients, model.clients.values().cloned().collect::<Vec<_>>(), "{:?}", action);
        prop_assert_eq!(store.change_sequence().await.unwrap().0, model.changes);
    }
    Ok(())
}

async fn the_store_does_what_the_model_does(store: Arc<Store>) {
    tokio::task::block_in_place(|| {
        let mut runner =
            TestRunner::new(Config { cases: 60, failure_persistence: None, ..Config::default() });
        let result =
            runner.run(&vec(actions(), 1..30), |actions| Handle::current().block_on(check(&store, &actions)));
        if let Err(failure) = result {
            panic!("{failure}");
        }
    });
}
