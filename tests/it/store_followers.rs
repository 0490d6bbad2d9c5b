//! Two replicas on one database: while both revoke, a reader of the revocations, page by page, misses none.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use tokend::{
    model::{ChangeSequence, RevocationRecord, RevocationTarget},
    store::{self, Location, Store},
};
use tokio::task::JoinSet;

use crate::{
    postgres::Database,
    store_backends::{client, open_postgres},
    store_revocations::{all, revocation, subject, token},
};

const WRITERS: usize = 6;

/// Has `each` written at each writer of each replica, beside other changes, while followers at each replica read along. Each
/// follower then knows what holds, in the order in which it was made.
async fn followers_miss_nothing(replicas: [Arc<Store>; 2], each: usize) {
    let done = Arc::new(AtomicBool::new(false));
    let mut followers = JoinSet::new();
    for (place, limit) in [(0, 1000), (1, 1000), (0, 7), (1, 64)] {
        followers.spawn(follow(Arc::clone(&replicas[place]), limit, Arc::clone(&done)));
    }
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let store = Arc::clone(&replicas[writer % 2]);
        writers.spawn(async move {
            for number in 0..each {
                // Some are of the same target as others at the same time, and reach further each time.
                let target = match number % 5 {
                    0 => subject(&format!("user-{}", number / 20), i64::try_from(number).unwrap()),
                    1 => RevocationTarget::Everything(crate::store_backends::at(
                        i64::try_from(number).unwrap(),
                    )),
                    _ => token(&format!("{writer}-{number}")),
                };
                store.revoke(&revocation(target, Some(900))).await.unwrap();
                if number % 50 == 0 {
                    let name = format!("client-{writer}-{number}");
                    store.create_client(&client(&name, vec![])).await.unwrap();
                }
            }
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
    done.store(true, SeqCst);
    let held = all(&replicas[0]).await;
    assert!(held.len() > each * WRITERS / 2);
    for known in followers.join_all().await {
        assert_eq!(known.len(), held.len());
        assert!(known.iter().eq(&held));
    }
    for store in replicas {
        store.close().await;
    }
}

/// Reads what comes until nothing more is written, and answers what is then known: of each target the last that was read.
async fn follow(store: Arc<Store>, limit: u32, done: Arc<AtomicBool>) -> VecDeque<RevocationRecord> {
    let mut known: Vec<RevocationRecord> = Vec::new();
    let mut after = ChangeSequence(0);
    loop {
        let last_round = done.load(SeqCst);
        let page = store.revocations(after, limit).await.unwrap();
        assert!(page.complete >= after, "it goes back from {after:?} to {:?}", page.complete);
        let numbers: Vec<_> = page.records.iter().map(|record| record.sequence).collect();
        assert!(numbers.is_sorted_by(|one, next| one < next));
        assert!(numbers.iter().all(|number| (after.0 + 1..=page.complete.0).contains(&number.0)));
        let finished = last_round && page.complete == after;
        after = page.complete;
        known.extend(page.records);
        if finished {
            break;
        }
        tokio::task::yield_now().await;
    }
    let (mut seen, mut latest) = (BTreeSet::new(), VecDeque::new());
    for record in known.into_iter().rev() {
        let name = match &record.revocation.target {
            RevocationTarget::Token(jwt_id) => format!("token {jwt_id}"),
            RevocationTarget::Subject(subject, _) => format!("subject {subject}"),
            RevocationTarget::Everything(_) => "everything".to_owned(),
            target => panic!("no revocation of {target:?} was made"),
        };
        if seen.insert(name) {
            latest.push_front(record);
        }
    }
    latest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn followers_miss_nothing_in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::Sqlite(folder.path().join("tokend.db"));
    let replicas = [store::open(&location).await.unwrap(), store::open(&location).await.unwrap()];
    followers_miss_nothing(replicas, 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn followers_miss_nothing_in_postgres() {
    let Some(database) = Database::create().await else { return };
    let replicas = [open_postgres(&database).await, open_postgres(&database).await];
    followers_miss_nothing(replicas, 1000).await;
}
