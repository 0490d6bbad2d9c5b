//! Used assertions in the store, on each backend: of many uses at once, one is the first.

use std::{sync::Arc, time::Duration};

use tokend::{
    model::{AssertionDigest, UnixTime},
    store::Store,
};
use tokio::task::JoinSet;

use crate::{
    harness::START,
    store_backends::{at, id, on_every_store},
};

on_every_store!(
    an_assertion_is_used_once_until_it_is_forgotten,
    of_many_uses_at_once_one_is_the_first,
    what_has_expired_goes_in_batches,
);

fn digest(jwt_id: &str) -> AssertionDigest {
    AssertionDigest::of(&id("web"), jwt_id)
}

const NOW: UnixTime = UnixTime::from_seconds(START);
const END: UnixTime = UnixTime::from_seconds(START + 60);

async fn an_assertion_is_used_once_until_it_is_forgotten(store: Arc<Store>) {
    let sequence = store.change_sequence().await.unwrap();
    assert!(store.use_assertion(&digest("one"), END, NOW).await.unwrap());
    assert!(!store.use_assertion(&digest("one"), END, NOW).await.unwrap());
    assert!(store.use_assertion(&digest("two"), END, NOW).await.unwrap());
    let elsewhere = AssertionDigest::of(&id("elsewhere"), "one");
    assert!(store.use_assertion(&elsewhere, END, NOW).await.unwrap(), "another client's own");
    let second_before = at(START + 59);
    assert!(!store.use_assertion(&digest("one"), END, second_before).await.unwrap());
    // From its end on nobody takes the assertion; whoever comes then has another one with the same id.
    let next = END.after(Duration::from_secs(60));
    assert!(store.use_assertion(&digest("one"), next, END).await.unwrap());
    assert!(!store.use_assertion(&digest("one"), next, END).await.unwrap());
    assert_eq!(store.change_sequence().await.unwrap(), sequence, "no change to clients or keys");
}

async fn of_many_uses_at_once_one_is_the_first(store: Arc<Store>) {
    for round in 0..20 {
        // Half of the rounds find a row that has expired.
        if round % 2 == 1 {
            assert!(store.use_assertion(&digest(&round.to_string()), NOW, NOW).await.unwrap());
        }
        let mut racers = JoinSet::new();
        for _ in 0..12 {
            let store = Arc::clone(&store);
            racers.spawn(
                async move { store.use_assertion(&digest(&round.to_string()), END, NOW).await.unwrap() },
            );
        }
        let first = racers.join_all().await.into_iter().filter(|first| *first).count();
        assert_eq!(first, 1, "round {round}");
    }
}

async fn what_has_expired_goes_in_batches(store: Arc<Store>) {
    for number in 0..7 {
        store.use_assertion(&digest(&number.to_string()), at(START + number), NOW).await.unwrap();
    }
    // Those that ended at 0 to 4 have expired at 4.
    assert_eq!(store.forget_assertions(at(START + 4), 3).await.unwrap(), 3);
    assert_eq!(store.forget_assertions(at(START + 4), 3).await.unwrap(), 2);
    assert_eq!(store.forget_assertions(at(START + 4), 3).await.unwrap(), 0);
    assert!(!store.use_assertion(&digest("5"), END, at(START + 4)).await.unwrap(), "it is still remembered");
    assert_eq!(store.forget_assertions(END, 3).await.unwrap(), 2);
}
