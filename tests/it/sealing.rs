//! Several sealing keys, a lost one, and moving from one to the next.

use std::{fs, sync::Arc};

use tokend::{
    clock::{Clock, SystemClock},
    keys::{Outcome, Patience, Sealer, SealingSettings, parse_local_keys, reseal},
    model::{Algorithm, KeyRecord},
    server::{Server, Settings},
    store::{self, Location, Store},
};
use tonic::Code;

use crate::{
    harness::{TestServer, accepted, assert_refused, for_alice, manual_clock, settings},
    process::{Serve, entry, init, run, stderr, stdout},
    store_backends::bare,
};

/// A text of fresh sealing keys, one a line.
fn fresh(count: usize) -> Vec<String> {
    let key = || tokend::keys::SealingKey::generate().unwrap().to_text().to_string();
    (0..count).map(|_| key()).collect()
}

/// Settings under these sealing keys, with keys for these algorithms.
fn under(keys: &[&str], algorithms: &[Algorithm]) -> Settings {
    let mut settings = settings();
    settings.keys.sealing = sealing(keys);
    settings.keys.algorithms = algorithms.to_vec();
    settings
}

fn sealing(keys: &[&str]) -> SealingSettings {
    SealingSettings { local: parse_local_keys(&keys.join("\n")).unwrap(), ..settings().keys.sealing }
}

async fn start(store: &Arc<Store>, settings: Settings) -> TestServer {
    TestServer::on(Arc::clone(store), settings, manual_clock()).await
}

/// Makes the keys that are missing, as a server does at its start.
async fn make(store: &Arc<Store>, settings: Settings) {
    Server::with_store(settings, Arc::clone(store), manual_clock()).await.unwrap();
}

/// Opens every key, as a server under these sealing keys would, and answers how many do.
async fn open(store: &Arc<Store>, keys: &[&str]) -> Vec<Outcome> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let sealer = Sealer::new(&sealing(keys), store, &clock).unwrap();
    reseal(store, &sealer).await.unwrap().keys.into_iter().map(|key| key.outcome).collect()
}

const TWO: [Algorithm; 2] = [Algorithm::Es256, Algorithm::EdDsa];

#[tokio::test]
async fn a_new_sealing_key_is_put_before_the_old_one_and_the_old_one_then_left_out() {
    let store = store::open(&Location::Memory).await.unwrap();
    let keys = fresh(2);
    let (old, new) = (&*keys[0], &*keys[1]);
    let first = start(&store, under(&[old], &TWO)).await;
    let token = first.root.token().await;
    let before = store.keys().await.unwrap();

    // Both open, and the new one seals.
    let second = start(&store, under(&[new, old], &[TWO[0], TWO[1], Algorithm::Es384])).await;
    accepted(second.root.check(&token).await);
    assert_eq!(store.keys().await.unwrap().keys.len(), 5);
    let outcomes = open(&store, &[new, old]).await;
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Moved)).count(), 4);
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Unchanged)).count(), 1);

    let after = store.keys().await.unwrap();
    for key in &before.keys {
        let now = after.get(key.key_id.as_str()).unwrap();
        let unchanged = KeyRecord { sealed: key.sealed.clone(), mac: key.mac.clone(), ..now.clone() };
        assert_eq!(bare(&unchanged), bare(key), "nothing else changed but the MAC");
        assert_ne!(now.sealed, key.sealed);
    }
    // The old one is of no use any more.
    let third = start(&store, under(&[new], &TWO)).await;
    accepted(third.root.check(&token).await);
    let refused = Server::with_store(under(&[old], &TWO), Arc::clone(&store), manual_clock()).await;
    let error = refused.err().unwrap().to_string();
    assert!(error.contains("`sealing_key`") && error.contains("does not open"), "{error}");
}

#[tokio::test]
async fn keys_that_are_moved_stay_in_use_where_the_new_sealing_key_is_not_known() {
    let store = store::open(&Location::Memory).await.unwrap();
    let keys = fresh(2);
    let server = start(&store, under(&[&*keys[0]], &TWO)).await;
    let token = server.root.token().await;
    let outcomes = open(&store, &[&*keys[1], &*keys[0]]).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Moved)));
    // An unknown key id makes the server read its keys again.
    let other = start(&store::open(&Location::Memory).await.unwrap(), settings()).await.root.token().await;
    assert_refused(server.root.check(&other).await, Code::InvalidArgument, "TOKEN_KEY_UNKNOWN");
    accepted(server.root.check(&token).await);
    accepted(server.root.issue(for_alice()).await);
}

#[tokio::test]
async fn a_lost_sealing_key_costs_its_own_keys_only() {
    let store = store::open(&Location::Memory).await.unwrap();
    let keys = fresh(2);
    let (kept, lost) = (&*keys[0], &*keys[1]);
    let before = start(&store, under(&[kept], &[Algorithm::Es256])).await;
    let token = before.root.token().await;
    make(&store, under(&[lost, kept], &TWO)).await;
    let stored = store.keys().await.unwrap();

    let server = start(&store, under(&[kept], &TWO)).await;
    accepted(server.root.check(&token).await);
    accepted(server.root.issue(for_alice()).await);
    let (_, _, published) = server.get("/.well-known/jwks.json").await;
    assert!(
        published.contains("ES256") && published.contains("EdDSA"),
        "its public half is there: {published}"
    );
    let outcomes = open(&store, &[kept]).await;
    let failed: Vec<_> = outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            Outcome::Failed(error) => Some(error.to_string()),
            _ => None,
        })
        .collect();
    let eddsa = stored.pending(Algorithm::EdDsa).unwrap();
    assert_eq!(failed.len(), 1);
    assert!(failed[0].contains(eddsa.key_id.as_str()), "{failed:?}");
    assert_eq!(store.keys().await.unwrap(), stored, "nothing was changed");
}

#[tokio::test]
async fn many_reseal_at_once_and_every_key_opens_under_one_of_theirs() {
    let store = store::open(&Location::Memory).await.unwrap();
    let keys = fresh(4);
    make(&store, under(&[&*keys[0]], &TWO)).await;
    let orders = [[1, 2, 3, 0], [2, 3, 1, 0], [3, 1, 2, 0]];
    let orders = orders.map(|order| order.map(|place| keys[place].clone()));
    let mut racers = tokio::task::JoinSet::new();
    for order in orders {
        let store = Arc::clone(&store);
        racers.spawn(async move { open(&store, &order.each_ref().map(|key| &**key)).await.len() });
    }
    assert_eq!(racers.join_all().await, [4, 4, 4]);
    let outcomes = open(&store, &keys.iter().map(|key| &**key).collect::<Vec<_>>()).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Moved)), "{outcomes:?}");
}

#[tokio::test]
async fn what_is_not_loaded_does_not_open_and_says_so() {
    let store = store::open(&Location::Memory).await.unwrap();
    let keys = fresh(1);
    make(&store, under(&[&*keys[0]], &TWO)).await;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let none = SealingSettings { local: Vec::new(), ..settings().keys.sealing };
    let sealer = Sealer::new(&none, &store, &clock).unwrap();
    let set = store.keys().await.unwrap();
    sealer.load(set.keys[0].sealed.as_deref(), Patience::Start).await;
    let error = sealer.prepare().await.unwrap_err().to_string();
    assert_eq!(error, "setting `sealing_key`: no sealing key is configured");
}

/// The commands of `docs/sealing.md`: a fresh key before the old one, a restart, `key reseal`, and the old one left out.
#[test]
fn the_command_moves_keys_and_says_what_it_did() {
    let folder = tempfile::tempdir().unwrap();
    init(folder.path());
    let file = folder.path().join("sealing.key");
    let old = fs::read_to_string(&file).unwrap();
    let new = fresh(1).remove(0);
    let command = ["key", "reseal", "--config", "tokend.toml", "--allow-plaintext"];
    let reseal = |more: &[&str]| run(folder.path(), &[&command[..], more].concat());

    let nothing = reseal(&["-o", "json"]);
    assert_eq!(nothing.status.code(), Some(0), "{}", stderr(&nothing));
    let document: serde_json::Value = serde_json::from_str(stdout(&nothing)).unwrap();
    assert_eq!(document["keys"][0]["outcome"], "unchanged");

    fs::write(&file, format!("{new}\n{old}")).unwrap();
    let running = Serve::start(folder.path(), &["--allow-plaintext", "--log-format", "json"]);
    let moved = reseal(&[]);
    assert_eq!(moved.status.code(), Some(0), "{}", stderr(&moved));
    let line = stdout(&moved).lines().nth(1).unwrap();
    assert!(line.contains("ES256") && line.ends_with("resealed"), "{line}");
    assert!(stderr(&moved).starts_with("the sealing key is "), "{}", stderr(&moved));
    let ended = running.stop();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let errors: Vec<_> = ended.stderr.iter().filter(|line| entry(line)["level"] == "ERROR").collect();
    assert!(errors.is_empty(), "{errors:#?}");

    fs::write(&file, &new).unwrap();
    Serve::start(folder.path(), &["--allow-plaintext", "--log-format", "json"]).stop();

    // A sealing key that is lost: named, and the status says that something is left.
    fs::write(&file, &old).unwrap();
    let lost = reseal(&["-o", "json"]);
    assert_eq!(lost.status.code(), Some(1));
    let document: serde_json::Value = serde_json::from_str(stdout(&lost)).unwrap();
    assert_eq!(document["keys"][0]["outcome"], "failed");
    assert!(document["keys"][0]["problem"].as_str().unwrap().contains("does not open"), "{document}");
    assert!(stderr(&lost).ends_with("error: 2 keys were not moved\n"), "{}", stderr(&lost));
    for text in [&old, &new] {
        for output in [&nothing, &moved, &lost] {
            assert!(!stdout(output).contains(text.trim()) && !stderr(output).contains(text.trim()));
        }
    }
    let refused = reseal(&["--new-data-key"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("`sealing_key`"), "{}", stderr(&refused));
}
