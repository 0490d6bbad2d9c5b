//! What the store keeps true when many act at once, on each backend. Races are run many times: one round of a race
//! proves little.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use tokend::{
    model::{Algorithm, ClientRecord, MAX_SECRETS},
    store::{Store, StoreError},
};
use tokio::task::JoinSet;

use crate::store_backends::{
    add_secret, at, client, ensure_key, id, key, on_every_store, secret, stored_keys,
};

on_every_store!(
    of_many_first_keys_one_wins,
    of_many_creations_one_wins,
    secrets_added_at_once_are_never_too_many,
    puts_at_once_each_count,
    of_many_updates_of_one_version_one_is_made,
    a_deletion_and_an_update_of_one_version_exclude_each_other,
    a_deletion_leaves_no_secret_behind,
    readers_see_whole_clients,
    a_change_is_seen_with_its_number,
    a_caller_who_hangs_up_leaves_nothing_half_done,
);

const RACERS: u32 = 12;

/// Runs `action` for each racer at once, and gives back what each came to.
async fn race<T, F>(store: &Arc<Store>, action: impl Fn(Arc<Store>, u32) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let mut racers = JoinSet::new();
    for racer in 0..RACERS {
        racers.spawn(action(Arc::clone(store), racer));
    }
    racers.join_all().await
}

async fn of_many_first_keys_one_wins(store: Arc<Store>) {
    for (round, algorithm) in Algorithm::ALL.into_iter().enumerate() {
        let winners = race(&store, |store, racer| async move {
            let mut candidate = key(&format!("{algorithm}-{racer}"), i64::from(racer));
            candidate.algorithm = algorithm;
            ensure_key(&store, &candidate).await.unwrap()
        });
        let winners = winners.await;
        let keys = stored_keys(&store).await;
        assert_eq!(keys.len(), round + 1);
        let kept = keys.into_iter().find(|key| key.algorithm == algorithm).unwrap();
        assert!(winners.iter().all(|winner| *winner == kept), "all were told of the one that is kept");
        let sequence = store.change_sequence().await.unwrap().0;
        assert_eq!(sequence, i64::try_from(round).unwrap() + 1, "one change");
    }
}

async fn of_many_creations_one_wins(store: Arc<Store>) {
    for round in 0..40_u32 {
        let name = format!("client-{round:02}");
        let results = race(&store, |store, racer| {
            let mut record = client(&name, vec![secret(1000 * round + racer, 1, None)]);
            record.client.settings.display_name = racer.to_string();
            async move { store.create_client(&record).await.map(|()| record) }
        });
        let (won, lost): (Vec<_>, Vec<_>) = results.await.into_iter().partition(Result::is_ok);
        assert!(lost.iter().all(|result| matches!(result, Err(StoreError::AlreadyExists))));
        let won: Vec<ClientRecord> = won.into_iter().map(Result::unwrap).collect();
        assert_eq!(won, [store.client(&id(&name)).await.unwrap()]);
        assert_eq!(store.change_sequence().await.unwrap().0, i64::from(round) + 1);
    }
}

/// Reads all clients again and again while `writes` run, and gives each reading to `check`.
async fn while_reading(
    store: &Arc<Store>,
    check: impl Fn(&[ClientRecord]) + Send + Sync + Copy + 'static,
    writes: impl Future<Output = ()>,
) {
    let done = Arc::new(AtomicBool::new(false));
    let mut readers = JoinSet::new();
    for _ in 0..2 {
        let (store, done) = (Arc::clone(store), Arc::clone(&done));
        readers.spawn(async move {
            while !done.load(SeqCst) {
                check(&store.clients().await.unwrap());
                tokio::task::yield_now().await;
            }
        });
    }
    writes.await;
    done.store(true, SeqCst);
    readers.join_all().await;
}

async fn secrets_added_at_once_are_never_too_many(store: Arc<Store>) {
    store.create_client(&client("billing", vec![secret(9999, 1, None)])).await.unwrap();
    let few_enough = |clients: &[ClientRecord]| {
        assert!((1..=MAX_SECRETS).contains(&clients[0].secrets.len()));
    };
    while_reading(&store, few_enough, async {
        for round in 0..15_u32 {
            race(&store, |store, racer| async move {
                let new = secret(100 * round + racer, i64::from(round), None);
                add_secret(&store, &id("billing"), &new, at(1_000_000)).await.unwrap();
            })
            .await;
            let added = i64::from(RACERS * (round + 1));
            let record = store.client(&id("billing")).await.unwrap();
            assert_eq!(record.secrets.len(), MAX_SECRETS);
            assert_eq!(record.client.revision, 1 + added);
            assert_eq!(store.change_sequence().await.unwrap().0, 1 + added);
        }
    })
    .await;
    // Of the last round's secrets only the last added has no end.
    let record = store.client(&id("billing")).await.unwrap();
    assert_eq!(record.secrets.iter().filter(|secret| secret.expire_time.is_none()).count(), 1);
}

async fn puts_at_once_each_count(store: Arc<Store>) {
    for round in 0..15 {
        race(&store, |store, racer| async move {
            store.put_client(&client("billing", vec![secret(racer, 1, None)])).await.unwrap();
        })
        .await;
        let record = store.client(&id("billing")).await.unwrap();
        assert_eq!(record.client.revision, i64::from(RACERS) * (round + 1));
        assert_eq!(record.secrets.len(), 1);
        assert_eq!(store.change_sequence().await.unwrap().0, i64::from(RACERS) * (round + 1));
    }
}

async fn of_many_updates_of_one_version_one_is_made(store: Arc<Store>) {
    store.create_client(&client("billing", vec![secret(1, 1, None)])).await.unwrap();
    for round in 0..30 {
        let before = store.client(&id("billing")).await.unwrap();
        let results = race(&store, |store, racer| {
            let mut wanted = before.client.clone();
            wanted.settings.display_name = format!("{round}-{racer}");
            async move { store.update_client(&wanted, wanted.version()).await.map(|made| (made, wanted)) }
        });
        let made: Vec<_> = results.await.into_iter().map(Result::unwrap).filter(|(made, _)| *made).collect();
        let [(_, won)] = &made[..] else { panic!("{} were made", made.len()) };
        let after = store.client(&id("billing")).await.unwrap();
        assert_eq!(after.client.settings, won.settings);
        assert_eq!(after.client.revision, before.client.revision + 1);
        assert_eq!(after.secrets, before.secrets);
        assert_eq!(store.change_sequence().await.unwrap().0, round + 2, "what was not made counts nothing");
    }
}

async fn a_deletion_and_an_update_of_one_version_exclude_each_other(store: Arc<Store>) {
    for _ in 0..30 {
        store.create_client(&client("billing", vec![])).await.unwrap();
        let known = store.client(&id("billing")).await.unwrap().client;
        let results = race(&store, |store, racer| {
            let mut wanted = known.clone();
            wanted.settings.disabled = true;
            async move {
                let made = if racer % 2 == 0 {
                    store.delete_client_version(&wanted.client_id, wanted.version()).await
                } else {
                    store.update_client(&wanted, wanted.version()).await
                };
                (racer, made.unwrap())
            }
        });
        let made: Vec<_> = results.await.into_iter().filter(|(_, made)| *made).collect();
        let [(winner, _)] = made[..] else { panic!("{made:?} were made") };
        let left = store.client(&id("billing")).await;
        assert_eq!(left.is_err(), winner % 2 == 0);
        if left.is_ok() {
            store.delete_client(&id("billing")).await.unwrap();
        }
    }
}

async fn a_deletion_leaves_no_secret_behind(store: Arc<Store>) {
    for round in 0..30 {
        store.create_client(&client("billing", vec![])).await.unwrap();
        let results = race(&store, |store, racer| async move {
            if racer == round % RACERS {
                store.delete_client(&id("billing")).await
            } else {
                add_secret(&store, &id("billing"), &secret(racer, 1, None), at(99)).await
            }
        });
        for result in results.await {
            assert!(matches!(result, Ok(()) | Err(StoreError::NotFound)), "{result:?}");
        }
        assert!(store.clients().await.unwrap().is_empty());
        // Each of the secrets is free again.
        let all = (0..RACERS).map(|racer| secret(racer, 1, None)).collect();
        store.create_client(&client("heir", all)).await.unwrap();
        store.delete_client(&id("heir")).await.unwrap();
    }
}

async fn readers_see_whole_clients(store: Arc<Store>) {
    // Version n has the name n and n secrets, each made at second n.
    let version = |number: u32| {
        let secrets = (0..number).map(|place| secret(10 * number + place, i64::from(number), None)).collect();
        let mut record = client("billing", secrets);
        record.client.settings.display_name = number.to_string();
        record.client.update_time = at(i64::from(number));
        record
    };
    store.put_client(&version(1)).await.unwrap();
    let whole = |clients: &[ClientRecord]| {
        let [record] = clients else { panic!("{} clients", clients.len()) };
        let number: usize = record.client.settings.display_name.parse().unwrap();
        assert_eq!(record.secrets.len(), number);
        let time = at(i64::try_from(number).unwrap());
        assert_eq!(record.client.update_time, time);
        assert!(record.secrets.iter().all(|secret| secret.create_time == time));
    };
    while_reading(&store, whole, async {
        for round in 0..300 {
            store.put_client(&version(1 + round % 4)).await.unwrap();
        }
    })
    .await;
}

async fn a_change_is_seen_with_its_number(store: Arc<Store>) {
    // Whoever reads the number n and then the clients finds the changes up to n: or a copy would miss one for ever.
    let reading = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let mut last = 0;
            while last < i64::from(RACERS) * 20 {
                let sequence = store.change_sequence().await.unwrap().0;
                assert!(sequence >= last, "{sequence} after {last}");
                let clients = i64::try_from(store.clients().await.unwrap().len()).unwrap();
                assert!(clients >= sequence, "{clients} clients at number {sequence}");
                last = sequence;
            }
        })
    };
    race(&store, |store, racer| async move {
        for round in 0..20 {
            store.create_client(&client(&format!("c{racer}-{round}"), vec![])).await.unwrap();
        }
    })
    .await;
    reading.await.unwrap();
}

async fn a_caller_who_hangs_up_leaves_nothing_half_done(store: Arc<Store>) {
    let mut created = BTreeSet::new();
    for round in 0..150_u32 {
        let name = format!("client-{round:03}");
        let record = client(&name, vec![secret(2 * round, 1, None), secret(2 * round + 1, 1, None)]);
        let call = {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.create_client(&record).await })
        };
        // Each round hangs up a little later: before, within and after the transaction.
        for _ in 0..round {
            tokio::task::yield_now().await;
        }
        call.abort();
        if let Ok(result) = call.await {
            result.unwrap();
            created.insert(id(&name));
        }
        if round % 10 == 9 {
            // Serves the next caller, and what was done was done as a whole.
            let clients = store.clients().await.unwrap();
            assert!(clients.iter().all(|record| record.secrets.len() == 2));
        }
    }
    store.create_client(&client("last", vec![secret(9999, 1, None), secret(9998, 1, None)])).await.unwrap();
    let clients = store.clients().await.unwrap();
    let ids: BTreeSet<_> = clients.iter().map(|record| record.client.client_id.clone()).collect();
    assert!(created.is_subset(&ids), "what was answered is there");
    let sequence = store.change_sequence().await.unwrap().0;
    assert_eq!(sequence, i64::try_from(clients.len()).unwrap(), "each change counted, and nothing else");
}
