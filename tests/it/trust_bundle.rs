//! The trust bundle: what verifiers are told, and how they say what they hold.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use tokend::{
    proto::v1::{
        self, WatchTrustBundleRequest, WatchTrustBundleResponse, revocation::Target,
        trust_bundle_service_client::TrustBundleServiceClient, watch_trust_bundle_response::Update,
    },
    store::{self, Location},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming, transport::Channel};
use tonic_types::StatusExt as _;

use crate::harness::{TestClient, TestServer, accepted, assert_refused, manual_clock, settings};

/// One watch, from the verifier's side.
struct Verifier {
    requests: mpsc::Sender<WatchTrustBundleRequest>,
    answers: Streaming<WatchTrustBundleResponse>,
}

impl Verifier {
    async fn begin(server: &TestServer, after_sequence: i64, verifier_id: &str) -> Result<Self, Status> {
        let client = TestClient::new(server.grpc, None).await.trust();
        Self::begin_with(client, after_sequence, verifier_id).await
    }

    async fn begin_with(
        mut client: TrustBundleServiceClient<Channel>,
        after_sequence: i64,
        verifier_id: &str,
    ) -> Result<Self, Status> {
        let (requests, sent) = mpsc::channel(8);
        let verifier_id = verifier_id.to_owned();
        let first = WatchTrustBundleRequest { after_sequence, verifier_id, ..Default::default() };
        requests.send(first).await.unwrap();
        let answers = client.watch_trust_bundle(ReceiverStream::new(sent)).await?.into_inner();
        Ok(Self { requests, answers })
    }

    async fn next(&mut self) -> Result<WatchTrustBundleResponse, Status> {
        self.answers.message().await.map(|answer| answer.expect("the watch ended"))
    }

    /// The next answer: its sequence and what it tells, in short.
    async fn told(&mut self) -> (i64, String) {
        let answer = accepted(self.next().await);
        let text = match answer.update.unwrap() {
            Update::JwksJson(json) => format!("{} keys", keys(&json).len()),
            Update::Revocation(revocation) => match revocation.target.unwrap() {
                Target::KeyId(key_id) => format!("revoked {key_id}"),
                other => panic!("{other:?}"),
            },
            Update::Heartbeat(_) => "heartbeat".to_owned(),
            Update::SnapshotEnd(_) => "end".to_owned(),
        };
        (answer.sequence, text)
    }

    async fn acknowledge(&self, held_sequence: i64) {
        let request = WatchTrustBundleRequest { held_sequence, ..Default::default() };
        self.requests.send(request).await.unwrap();
    }
}

fn keys(json: &str) -> Vec<String> {
    let set: Value = serde_json::from_str(json).unwrap();
    let keys = set["keys"].as_array().unwrap().iter();
    keys.map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

async fn bundle(server: &TestServer) -> v1::GetTrustBundleResponse {
    let nobody = TestClient::new(server.grpc, None).await;
    accepted(nobody.trust().get_trust_bundle(v1::GetTrustBundleRequest {}).await).into_inner()
}

async fn rotate(server: &TestServer) -> String {
    let request = server.root.request(v1::RotateKeysRequest { immediately: true, ..Default::default() });
    accepted(server.root.keys().rotate_keys(request).await).into_inner().keys[0].key_id.clone()
}

async fn revoke(server: &TestServer, key_id: &str) {
    let request = v1::RevokeKeyRequest {
        key_id: key_id.to_owned(),
        reason: "found in a log".to_owned(),
        ..Default::default()
    };
    accepted(server.root.keys().revoke_key(server.root.request(request)).await);
}

#[tokio::test]
async fn the_bundle_is_the_jwk_set_and_asks_for_no_credential() {
    let server = TestServer::start().await;
    let bundle = bundle(&server).await;
    let (_, headers, jwk_set) = server.get("/.well-known/jwks.json").await;
    assert_eq!(bundle.jwks_json, jwk_set);
    assert!(headers.contains(&format!("etag: {}", bundle.etag.to_lowercase())), "{headers}");
    assert_eq!(bundle.max_age, crate::harness::seconds(300));
    assert_eq!(bundle.sequence, server.store.keys().await.unwrap().sequence.0);
}

#[tokio::test]
async fn a_watch_begins_with_the_state_and_goes_on_with_each_change() {
    let server = TestServer::start().await;
    let start = bundle(&server).await.sequence;
    let mut verifier = Verifier::begin(&server, 0, "").await.unwrap();
    assert_eq!(verifier.told().await, (start, "2 keys".to_owned()));
    assert_eq!(verifier.told().await, (start, "end".to_owned()));

    let second = rotate(&server).await;
    // Asked for, and made: two changes, which may come as one.
    let mut told = verifier.told().await;
    while told.1 != "3 keys" {
        assert_eq!(told.1, "2 keys");
        told = verifier.told().await;
    }
    let rotated = told.0;
    assert!(rotated > start);

    revoke(&server, &second).await;
    // Where to go on is named by the last answer of a change only: who loses the others is sent them again.
    assert_eq!(verifier.told().await, (rotated, format!("revoked {second}")));
    let (revoked, text) = verifier.told().await;
    assert!(revoked > rotated && text == "3 keys", "{revoked} {text}");
    assert_eq!(bundle(&server).await.sequence, revoked);

    // Resuming misses nothing, wherever it stopped.
    for (after, expected) in [
        (start, vec![(start, format!("revoked {second}")), (revoked, "3 keys".to_owned())]),
        (rotated, vec![(rotated, format!("revoked {second}")), (revoked, "3 keys".to_owned())]),
        (revoked, vec![]),
    ] {
        let mut resumed = Verifier::begin(&server, after, "").await.unwrap();
        for expected in expected {
            assert_eq!(resumed.told().await, expected);
        }
        assert_eq!(resumed.told().await, (revoked, "end".to_owned()));
    }
}

#[tokio::test]
async fn a_revocation_says_when_it_was_and_when_it_may_be_forgotten() {
    let server = TestServer::start().await;
    let key_id = keys(&bundle(&server).await.jwks_json)[0].clone();
    revoke(&server, &key_id).await;
    let mut verifier = Verifier::begin(&server, 0, "").await.unwrap();
    let answer = accepted(verifier.next().await);
    let Some(Update::Revocation(revocation)) = answer.update else { panic!("{answer:?}") };
    assert_eq!(revocation.target, Some(Target::KeyId(key_id.clone())));
    assert_eq!(revocation.revoke_time.unwrap().seconds, crate::harness::START);
    let record = server.store.keys().await.unwrap().get(&key_id).cloned().unwrap();
    assert_eq!(revocation.expire_time.unwrap().seconds, record.expire_time.unwrap().seconds());
    assert_eq!(answer.as_of_time.unwrap().seconds, crate::harness::START);
}

#[tokio::test]
async fn a_quiet_watch_has_a_heartbeat() {
    let server = TestServer::with(|settings| settings.watches.heartbeat = Duration::from_millis(5)).await;
    let mut verifier = Verifier::begin(&server, 0, "").await.unwrap();
    let start = verifier.told().await.0;
    assert_eq!(verifier.told().await.1, "end");
    for _ in 0..3 {
        assert_eq!(verifier.told().await, (start, "heartbeat".to_owned()));
    }
}

/// `n of m` for the pending key.
async fn ready(server: &TestServer) -> (i32, i32) {
    let request = server.root.request(v1::ListKeysRequest::default());
    let keys = accepted(server.root.keys().list_keys(request).await).into_inner().keys;
    let pending = keys.iter().find(|key| key.state() == v1::KeyState::Pending).unwrap();
    (pending.verifiers_ready, pending.verifiers_total)
}

/// Waits until `n of m` is so: the verifiers' word takes its way.
async fn until_ready(server: &TestServer, expected: (i32, i32)) {
    while ready(server).await != expected {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn verifiers_say_what_they_hold() {
    let server = TestServer::start().await;
    let mut one = Verifier::begin(&server, 0, "one").await.unwrap();
    let two = Verifier::begin(&server, 0, "two").await.unwrap();
    assert_eq!(ready(&server).await, (0, 2), "told is not held");
    let sequence = one.told().await.0;
    one.acknowledge(sequence).await;
    until_ready(&server, (1, 2)).await;
    two.acknowledge(sequence).await;
    until_ready(&server, (2, 2)).await;
    rotate(&server).await;
    assert_eq!(ready(&server).await, (0, 2), "another key is pending");
    // A verifier that resumes with its former state counts at once, and once.
    let held = bundle(&server).await.sequence;
    let again = Verifier::begin(&server, held, "two").await.unwrap();
    until_ready(&server, (1, 2)).await;
    drop(two);
    drop(one);
    until_ready(&server, (1, 1)).await;
    drop(again);
    until_ready(&server, (0, 0)).await;
}

#[tokio::test]
async fn a_verifier_that_does_not_read_is_cut_off() {
    let server = TestServer::with(|settings| {
        settings.watches.heartbeat = Duration::from_millis(1);
        settings.watches.unread = Duration::from_millis(20);
    })
    .await;
    // The smallest window that the rest of the protocol can do with.
    let channel = Channel::from_shared(format!("http://{}", server.grpc)).unwrap();
    let channel = channel.initial_stream_window_size(1024).connect().await.unwrap();
    let mut slow = Verifier::begin_with(TrustBundleServiceClient::new(channel), 0, "slow").await.unwrap();
    until_ready(&server, (0, 1)).await;
    until_ready(&server, (0, 0)).await;
    // What was sent is there, and then the reason.
    let mut read = 0;
    let status = loop {
        match slow.next().await {
            Ok(_) => read += 1,
            Err(status) => break status,
        }
    };
    assert!((3..200).contains(&read), "{read}");
    assert_refused::<()>(Err(status), Code::ResourceExhausted, "SLOW_READER");
}

#[tokio::test]
async fn there_are_as_many_watches_as_may_be() {
    let server = TestServer::with(|settings| settings.watches.most.all = 2).await;
    let _one = Verifier::begin(&server, 0, "one").await.unwrap();
    let _two = Verifier::begin(&server, 0, "").await.unwrap();
    let third = Verifier::begin(&server, 0, "").await;
    let status = assert_refused(third, Code::ResourceExhausted, "RATE_LIMITED");
    assert!(status.get_details_retry_info().is_some());
    Verifier::begin(&server, 0, "one").await.unwrap();

    // And of one address, which is not to take every place.
    let server = TestServer::with(|settings| settings.watches.most.of_one_source = 1).await;
    let _one = Verifier::begin(&server, 0, "one").await.unwrap();
    let second = Verifier::begin(&server, 0, "").await;
    assert_refused(second, Code::ResourceExhausted, "RATE_LIMITED");
    Verifier::begin(&server, 0, "one").await.unwrap();
}

#[tokio::test]
async fn a_watch_must_begin_with_a_subscription_and_go_on_with_acknowledgements() {
    let server = TestServer::start().await;
    let long = "x".repeat(129);
    for (after, name) in [(-1, ""), (0, long.as_str()), (0, "a\nb")] {
        assert_refused(Verifier::begin(&server, after, name).await, Code::InvalidArgument, "FIELD_INVALID");
    }
    let client = || async { TestClient::new(server.grpc, None).await.trust() };
    let nothing = client().await.watch_trust_bundle(tokio_stream::empty()).await;
    assert_refused(nothing, Code::InvalidArgument, "FIELD_INVALID");
    let acknowledge = WatchTrustBundleRequest { held_sequence: 1, ..Default::default() };
    let first = client().await.watch_trust_bundle(tokio_stream::once(acknowledge)).await;
    let status = assert_refused(first, Code::InvalidArgument, "FIELD_INVALID");
    assert_eq!(crate::harness::fields(&status), ["held_sequence"]);
    let twice = WatchTrustBundleRequest { after_sequence: 1, ..Default::default() };
    let negative = WatchTrustBundleRequest { held_sequence: -1, ..Default::default() };
    for (request, field) in [(twice, "after_sequence"), (negative, "held_sequence")] {
        let mut verifier = Verifier::begin(&server, 0, "").await.unwrap();
        verifier.requests.send(request).await.unwrap();
        let status = loop {
            if let Err(status) = verifier.next().await {
                break status;
            }
        };
        assert_eq!(crate::harness::fields(&status), [field]);
        assert_refused::<()>(Err(status), Code::InvalidArgument, "FIELD_INVALID");
    }
}

#[tokio::test]
async fn a_watch_goes_on_when_its_verifier_says_no_more() {
    let server = TestServer::start().await;
    let mut client = TestClient::new(server.grpc, None).await.trust();
    let request = WatchTrustBundleRequest::default();
    let answers = accepted(client.watch_trust_bundle(tokio_stream::once(request)).await).into_inner();
    let mut verifier = Verifier { requests: mpsc::channel(1).0, answers };
    verifier.told().await;
    assert_eq!(verifier.told().await.1, "end");
    rotate(&server).await;
    assert!(verifier.told().await.1.ends_with("keys"));
}

#[tokio::test]
async fn a_stop_ends_watches_so_that_they_begin_elsewhere() {
    let mut server = TestServer::start().await;
    let mut verifier = Verifier::begin(&server, 0, "").await.unwrap();
    verifier.told().await;
    verifier.told().await;
    server.begin_stop();
    assert_refused(verifier.next().await, Code::Unavailable, "SHUTTING_DOWN");
    server.stopped().await;
}

#[tokio::test]
async fn a_verifier_is_never_sent_back_by_a_replica_that_is_behind() {
    let store = store::open(&Location::Memory).await.unwrap();
    let mut settings = settings();
    settings.watches.heartbeat = Duration::from_millis(5);
    let server = TestServer::on(Arc::clone(&store), settings, manual_clock()).await;
    let start = bundle(&server).await.sequence;
    // From another replica, which has seen two changes more.
    let mut ahead = Verifier::begin(&server, start + 2, "").await.unwrap();
    for _ in 0..3 {
        assert_eq!(ahead.told().await, (start + 2, "heartbeat".to_owned()), "the older state is kept back");
    }
    // When the store has been asked since and knows nothing of it, it was another store: the whole state.
    server.clock.advance(1);
    server.rounds.make().await.unwrap();
    let mut told = ahead.told().await;
    while told.1 == "heartbeat" {
        told = ahead.told().await;
    }
    assert_eq!(told, (start, "2 keys".to_owned()));
    assert_eq!(ahead.told().await, (start, "end".to_owned()));

    let mut ahead = Verifier::begin(&server, start + 2, "").await.unwrap();
    assert_eq!(ahead.told().await.1, "heartbeat");
    rotate(&server).await;
    let mut told = ahead.told().await;
    while told.1 == "heartbeat" {
        told = ahead.told().await;
    }
    assert!(told.0 >= start + 2, "it has caught up: {told:?}");
}
