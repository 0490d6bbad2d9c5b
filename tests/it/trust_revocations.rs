//! Revocations on the way to verifiers that watch: each where it belongs among the changes, none missed, at whichever replica.

use std::sync::Arc;

use tokend::{
    model::{ChangeSequence, ClientId, KeyState, Revocation, RevocationTarget, SessionId, UnixTime},
    proto::v1::{
        WatchTrustBundleRequest, WatchTrustBundleResponse, revocation::Target,
        watch_trust_bundle_response::Update,
    },
    store::{self, Location, Store},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Streaming};

use crate::{
    counting_store::CountingStore,
    harness::{START, TestClient, TestServer, accepted, assert_refused, manual_clock, settings},
    key_calls,
};

/// What a verifier was told, in short, with its sequence.
type Told = (i64, String);

struct Verifier {
    _requests: mpsc::Sender<WatchTrustBundleRequest>,
    answers: Streaming<WatchTrustBundleResponse>,
}

impl Verifier {
    async fn begin(server: &TestServer, after_sequence: i64) -> Self {
        let (requests, sent) = mpsc::channel(8);
        requests.send(WatchTrustBundleRequest { after_sequence, ..Default::default() }).await.unwrap();
        let mut client = TestClient::new(server.grpc, None).await.trust();
        let answers = accepted(client.watch_trust_bundle(ReceiverStream::new(sent)).await).into_inner();
        Self { _requests: requests, answers }
    }

    async fn told(&mut self) -> Told {
        let answer = accepted(self.answers.message().await).expect("the watch ended");
        let text = match answer.update.unwrap() {
            Update::JwksJson(_) => "keys".to_owned(),
            Update::Revocation(revocation) => match revocation.target.unwrap() {
                Target::JwtId(id) => format!("token {id}"),
                Target::SessionId(id) => format!("session {id}"),
                Target::KeyId(_) => "key".to_owned(),
                Target::Subject(name) => {
                    format!(
                        "subject {name} before {}",
                        revocation.issued_before_time.unwrap().seconds - START
                    )
                }
                Target::ClientId(name) => {
                    format!("client {name} before {}", revocation.issued_before_time.unwrap().seconds - START)
                }
                Target::SubjectHash(_) => panic!("no hashes were asked for"),
                Target::Everything(_) => {
                    format!("everything before {}", revocation.issued_before_time.unwrap().seconds - START)
                }
            },
            Update::Heartbeat(_) => "heartbeat".to_owned(),
            Update::SnapshotEnd(_) => "end".to_owned(),
        };
        (answer.sequence, text)
    }

    /// What is told up to the end of the state, without that.
    async fn state(&mut self) -> Vec<Told> {
        let mut all = Vec::new();
        loop {
            let told = self.told().await;
            if told.1 == "end" {
                return all;
            }
            all.push(told);
        }
    }
}

const fn at(seconds: i64) -> UnixTime {
    UnixTime::from_seconds(START + seconds)
}

async fn revoke(server: &TestServer, target: RevocationTarget, expires: i64) -> i64 {
    let revocation = Revocation { target, revoke_time: at(0), expire_time: Some(at(expires)) };
    server.store.revoke(&revocation).await.unwrap().sequence.0
}

fn token(id: &str) -> RevocationTarget {
    RevocationTarget::Token(id.to_owned())
}

/// Two replicas that follow their store when they are told to.
async fn replicas() -> [TestServer; 2] {
    let store: Arc<Store> = CountingStore::quiet(&store::open(&Location::Memory).await.unwrap());
    let clock = manual_clock();
    let one = TestServer::on(Arc::clone(&store), settings(), Arc::clone(&clock)).await;
    let other = TestServer::on(store, settings(), clock).await;
    one.rounds.make().await.unwrap();
    other.rounds.make().await.unwrap();
    [one, other]
}

/// A history with every kind of change, keys in the midst of it.
async fn history(server: &TestServer) {
    let session = SessionId::parse("AAAAAAAAAAAAAAAAAAAAAA").unwrap();
    revoke(server, token("one"), 100).await;
    revoke(server, RevocationTarget::Session(session), 100).await;
    key_calls::rotate(server, true).await;
    revoke(server, RevocationTarget::Subject("alice".to_owned(), at(7)), 100).await;
    revoke(server, token("brief"), 5).await;
    let active = key_calls::kid(server, KeyState::Active).await.unwrap();
    accepted(key_calls::revoke(server, &active).await);
    revoke(server, RevocationTarget::Client(ClientId::parse("root").unwrap(), at(8)), 100).await;
    // The one of the subject reaches further now, and comes later.
    revoke(server, RevocationTarget::Subject("alice".to_owned(), at(9)), 100).await;
    revoke(server, RevocationTarget::Everything(at(3)), 100).await;
}

#[tokio::test]
async fn whoever_goes_on_from_any_answer_at_any_replica_misses_nothing() {
    let replicas = replicas().await;
    history(&replicas[0]).await;
    for replica in &replicas {
        replica.rounds.make().await.unwrap();
    }
    let whole = Verifier::begin(&replicas[0], 0).await.state().await;
    let texts: Vec<&str> = whole.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "token one",
            "session AAAAAAAAAAAAAAAAAAAAAA",
            "token brief",
            "key",
            "keys",
            "client root before 8",
            "subject alice before 9",
            "everything before 3",
        ]
    );
    assert!(whole.is_sorted_by_key(|(sequence, _)| *sequence), "{whole:?}");
    for replica in &replicas {
        for taken in 0..=whole.len() {
            let after = taken.checked_sub(1).map_or(0, |last| whole[last].0);
            let rest = Verifier::begin(replica, after).await.state().await;
            // What has the number of the last one may come again, and nothing before it does.
            let expected: Vec<_> = whole.iter().skip(taken).cloned().collect();
            assert!(rest.ends_with(&expected), "after {after}: {rest:?}, not {expected:?}");
            assert!(
                whole.ends_with(&rest) && rest.iter().all(|(sequence, _)| *sequence >= after),
                "{rest:?}"
            );
        }
    }
    // What has expired is not told any more.
    replicas[0].clock.advance(5);
    let later = Verifier::begin(&replicas[0], 0).await.state().await;
    assert_eq!(later.len(), whole.len() - 1);
    assert!(!later.iter().any(|(_, text)| text == "token brief"));
}

#[tokio::test]
async fn a_watch_is_told_the_same_as_one_that_begins_later() {
    let replicas = replicas().await;
    let mut verifier = Verifier::begin(&replicas[1], 0).await;
    verifier.state().await;
    history(&replicas[0]).await;
    revoke(&replicas[0], token("last"), 100).await;
    replicas[0].rounds.make().await.unwrap();
    replicas[1].rounds.make().await.unwrap();
    let mut told = Vec::new();
    while told.last().is_none_or(|(_, text)| text != "token last") {
        told.push(verifier.told().await);
    }
    let whole = Verifier::begin(&replicas[0], 0).await.state().await;
    assert_eq!(told, whole);
}

#[tokio::test]
async fn keys_wait_until_everything_before_them_is_in_memory() {
    let [here, elsewhere] = replicas().await;
    let mut verifier = Verifier::begin(&here, 0).await;
    let start = verifier.state().await;
    // Another replica makes a revocation that this one has not loaded, and then this one makes a key, which is in memory at once.
    let revoked = revoke(&elsewhere, token("unheard"), 100).await;
    key_calls::rotate(&here, true).await;
    let keys = here.store.keys().await.unwrap().sequence.0;
    assert!(keys > revoked && revoked > start[0].0);
    here.rounds.make().await.unwrap();
    assert_eq!(verifier.told().await, (revoked, "token unheard".to_owned()));
    assert_eq!(verifier.told().await, (keys, "keys".to_owned()));
}

#[tokio::test]
async fn many_revocations_come_in_their_order_and_once() {
    let [here, _elsewhere] = replicas().await;
    let many: i64 = 3000;
    let before = here.store.revocations(ChangeSequence(0), 1).await.unwrap().complete.0;
    for number in 0..many {
        revoke(&here, token(&format!("token {number}")), 100).await;
    }
    here.rounds.make().await.unwrap();
    let state = Verifier::begin(&here, 0).await.state().await;
    let told: Vec<Told> = state.into_iter().filter(|(_, text)| text != "keys").collect();
    let expected = (0..many).map(|number| (before + 1 + number, format!("token token {number}")));
    assert_eq!(told, expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn a_watch_ends_when_the_store_went_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokend.db");
    let opened = store::open(&Location::Sqlite(file.clone())).await.unwrap();
    let server = TestServer::on(CountingStore::quiet(&opened), settings(), manual_clock()).await;
    for id in ["one", "two"] {
        revoke(&server, token(id), 100).await;
    }
    server.rounds.make().await.unwrap();
    let mut verifier = Verifier::begin(&server, 0).await;
    let state = verifier.state().await;
    assert_eq!(state.len(), 3, "{state:?}");
    crate::revocations_failures::go_back(&file, 2).await;
    server.rounds.make().await.unwrap();
    assert_refused(verifier.answers.message().await, Code::Unavailable, "STATE_STALE");
    // Who comes again is told what was known here, too.
    server.clock.advance(1);
    let mut again = Verifier::begin(&server, state[2].0).await;
    server.clock.advance(1);
    server.rounds.make().await.unwrap();
    let told = again.state().await;
    let texts: Vec<&str> =
        told.iter().map(|(_, text)| text.as_str()).filter(|text| *text != "heartbeat").collect();
    // What the store has lost is all told with one number, in no order.
    assert_eq!(texts[0], "keys");
    assert!(
        texts.len() == 3 && ["token one", "token two"].iter().all(|told| texts.contains(told)),
        "{texts:?}"
    );
}
