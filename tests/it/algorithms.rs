//! What signs: by default, for an audience, and after the default was changed.

use std::sync::Arc;

use serde_json::Value;
use tokend::{model::Algorithm, proto::v1};
use tonic::Code;

use crate::{
    harness::{TestServer, accepted, assert_refused, for_alice, manual_clock, settings},
    key_calls::{DAY, file, header, issue, published},
};

#[tokio::test]
async fn another_default_algorithm_takes_over_when_its_key_has_been_published() {
    let folder = tempfile::tempdir().unwrap();
    let clock = manual_clock();
    let mut before = TestServer::on(file(&folder).await, settings(), clock.clone()).await;
    let old = issue(&before).await;
    before.begin_stop();
    before.stopped().await;
    let mut changed = settings();
    changed.keys.algorithms = vec![Algorithm::EdDsa];
    let store = file(&folder).await;
    let server = TestServer::on(Arc::clone(&store), changed, clock.clone()).await;
    assert_eq!(issue(&server).await.key_id, old.key_id, "no verifier has the new key yet");
    assert_eq!(published(&server).await.len(), 3, "but it is published");
    clock.advance(DAY + 120);
    server.rounds.make().await.unwrap();
    let new = issue(&server).await;
    let header: Value = header(&new.access_token);
    assert_eq!(header["alg"], "EdDSA");
    let renewed = accepted(server.root.issue(for_alice()).await);
    accepted(server.root.check(&renewed.access_token).await);
    // The former default is not renewed: its keys go at their time.
    clock.advance(30 * DAY);
    server.rounds.make().await.unwrap();
    let set = store.keys().await.unwrap();
    assert_eq!(set.active(Algorithm::Es256), None);
    assert_eq!(set.pending(Algorithm::Es256), None);
}

#[tokio::test]
async fn audiences_may_have_an_algorithm_of_their_own() {
    let server = TestServer::with(|settings| {
        settings.keys.algorithms = vec![Algorithm::Es256, Algorithm::EdDsa, Algorithm::Es384];
        let rule = |pattern: &str, algorithm| (tokend::model::Pattern::parse(pattern).unwrap(), algorithm);
        settings.rules.audience_algorithms = vec![
            rule("modern-*", Algorithm::EdDsa),
            rule("modern-x", Algorithm::Es256),
            rule("old", Algorithm::Es384),
        ];
    })
    .await;
    let for_audiences = |audiences: &[&str]| v1::IssueTokenRequest {
        audiences: audiences.iter().map(|&audience| audience.to_owned()).collect(),
        ..for_alice()
    };
    for (audiences, algorithm) in [
        (&["orders"][..], "ES256"),
        (&["modern-x"], "EdDSA"),
        (&["orders", "old"], "ES384"),
        (&["modern-a", "modern-b"], "EdDSA"),
    ] {
        let token = accepted(server.root.issue(for_audiences(audiences)).await).access_token;
        assert_eq!(header(&token)["alg"], algorithm, "{audiences:?}");
    }
    let both = server.root.issue(for_audiences(&["modern-a", "old"])).await;
    let status = assert_refused(both, Code::InvalidArgument, "FIELD_INVALID");
    assert_eq!(crate::harness::fields(&status), ["audiences"]);
}
