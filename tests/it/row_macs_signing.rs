//! What the rows of keys and clients are signed with, and by what: the release before, this one, and `tokend key reseal`.

use tokend::{
    keys::{Outcome, SealingKey, parse_local_keys},
    model::ClientSecret,
    proto::v1,
};
use tonic::Code;

use crate::{
    harness::{SEALING_KEY, TestClient, TestServer, accepted, assert_refused, clock_at, for_alice, settings},
    key_calls::{header, published, revoke, rotate},
    row_macs::{Db, client, counts, on_both_databases, requiring, reseal_with, start, start_error},
};

on_both_databases!(
    what_the_previous_release_writes_is_unsigned_until_it_is_signed,
    every_change_that_this_release_makes_is_signed,
);

/// The statements of the previous release, which knows no MACs.
const PREVIOUS_RELEASE: &str = "
    UPDATE clients SET settings = replace(settings, '\"read\"', '\"write\"'), updated_at = 5, revision = revision + 1
        WHERE client_id = 'web';
    INSERT INTO signing_keys (key_id, algorithm, state, usage, issuer, sealed, public, created_at, activate_at,
            retire_at, expire_at, revocation, publish_sequence, changed_sequence)
        SELECT key_id, algorithm, state, usage, issuer, sealed, public, created_at - 1, activate_at, retire_at,
            expire_at, revocation, publish_sequence, changed_sequence FROM signing_keys WHERE state = 'active'
        ON CONFLICT (key_id) DO UPDATE SET created_at = excluded.created_at";

async fn what_the_previous_release_writes_is_unsigned_until_it_is_signed(db: Db) {
    let server = start(&db, settings()).await;
    let web = server.client(client("web")).await;
    let token = server.root.token().await;
    db.run(PREVIOUS_RELEASE).await;
    server.rounds.make().await.unwrap();
    assert_eq!(counts(&server).await, [0, 0, 1, 1]);
    accepted(server.root.check(&token).await);
    assert_refused(web.issue(for_alice()).await, Code::PermissionDenied, "SCOPE_NOT_ALLOWED");

    // A server that requires MACs refuses both.
    let strict = start(&db, requiring(settings())).await;
    assert_eq!(counts(&strict).await, [1, 1, 0, 0]);
    assert_refused(strict.root.check(&token).await, Code::InvalidArgument, "TOKEN_KEY_UNKNOWN");
    // So does `key reseal` with its settings.
    let mut sealing = settings().keys.sealing;
    sealing.require_row_macs = true;
    let left = reseal_with(&db, &sealing).await;
    let failed =
        |outcome: &Outcome| matches!(outcome, Outcome::Failed(error) if error.to_string().contains("no MAC"));
    assert_eq!(left.keys.iter().filter(|key| failed(&key.outcome)).count(), 1);
    assert_eq!(left.clients.iter().filter(|client| failed(&client.outcome)).count(), 1);

    // Else it signs them, once.
    sealing.require_row_macs = false;
    for expected in [1, 0] {
        let done = reseal_with(&db, &sealing).await;
        let signed = |outcome: &Outcome| matches!(outcome, Outcome::Signed);
        assert_eq!(done.keys.iter().filter(|key| signed(&key.outcome)).count(), expected);
        assert_eq!(done.clients.iter().filter(|client| signed(&client.outcome)).count(), expected);
    }
    for server in [&strict, &server] {
        server.rounds.make().await.unwrap();
        assert_eq!(counts(server).await, [0; 4]);
        accepted(server.root.check(&token).await);
    }
}

async fn every_change_that_this_release_makes_is_signed(db: Db) {
    let server = start(&db, requiring(settings())).await;
    let root = &server.root;
    let web = server.client(client("web")).await;
    let update = v1::UpdateClientRequest {
        client: Some(v1::Client { display_name: "Web".to_owned(), ..client("web") }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["display_name".to_owned()] }),
        ..Default::default()
    };
    accepted(root.clients().update_client(root.request(update)).await);
    let secret = v1::RotateClientSecretRequest { client_id: "web".to_owned(), ..Default::default() };
    let secret = accepted(root.clients().rotate_client_secret(root.request(secret)).await).into_inner();
    let rotated = TestClient::new(server.grpc, Some(ClientSecret::from_text(secret.client_secret))).await;
    let token = accepted(rotated.issue(for_alice()).await).access_token;
    drop(web);
    rotate(&server, true).await;
    rotate(&server, true).await;
    server.clock.advance(40 * 86_400);
    server.rounds.make().await.unwrap();
    let kid = header(&root.token().await)["kid"].as_str().unwrap().to_owned();
    accepted(revoke(&server, &kid).await);
    assert_eq!(counts(&server).await, [0; 4]);

    let clock = clock_at(server.clock.seconds());
    let again = TestServer::on(db.store().await, requiring(settings()), clock).await;
    assert_eq!(counts(&again).await, [0; 4]);
    accepted(TestClient::new(again.grpc, rotated.secret).await.issue(for_alice()).await);
    drop(token);
}

#[tokio::test]
async fn rows_of_several_sealing_keys_are_trusted_until_one_is_left_out() {
    let db = Db::sqlite();
    let keys = [SEALING_KEY.to_owned(), SealingKey::generate().unwrap().to_text().to_string()];
    let under = |keys: &[&String]| {
        let mut settings = requiring(settings());
        let texts: Vec<_> = keys.iter().map(|key| key.as_str()).collect();
        settings.keys.sealing.local = parse_local_keys(&texts.join("\n")).unwrap();
        settings
    };
    let (old, new) = (&keys[0], &keys[1]);
    let first = start(&db, under(&[old])).await;
    let web = first.client(client("web")).await;
    let token = first.root.token().await;

    // Another replica has a new sealing key before the old one.
    let second = start(&db, under(&[new, old])).await;
    accepted(second.root.check(&token).await);
    let api = second.client(client("api")).await;
    let only_new = start_error(&db, under(&[new])).await;
    assert!(only_new.contains("not trusted") || only_new.contains("does not open"), "{only_new}");
    // The first one does not know the sealing key of what the second one wrote, and refuses it.
    first.rounds.make().await.unwrap();
    let api_at_first = TestClient::new(first.grpc, api.secret.clone()).await;
    assert_refused(api_at_first.issue(for_alice()).await, Code::Unauthenticated, "CREDENTIALS_INVALID");

    let done = reseal_with(&db, &under(&[new, old]).keys.sealing).await;
    assert!(done.keys.iter().all(|key| matches!(key.outcome, Outcome::Moved)));
    let third = start(&db, under(&[new])).await;
    assert_eq!(counts(&third).await, [0; 4]);
    accepted(third.root.check(&token).await);
    accepted(TestClient::new(third.grpc, web.secret.clone()).await.issue(for_alice()).await);
    // What the first one has in memory stays in use: nothing of it was changed but its MAC.
    first.rounds.make().await.unwrap();
    accepted(web.check(&token).await);
    accepted(web.issue(for_alice()).await);
    assert!(published(&first).await.contains(&header(&token)["kid"].as_str().unwrap().to_owned()));
    // It plans nothing with such keys, and a restart tells why.
    first.clock.advance(40 * 86_400);
    first.rounds.make().await.unwrap();
    let error = start_error(&db, under(&[old])).await;
    assert!(error.contains("not trusted") && error.contains("`sealing_key`"), "{error}");
}

#[tokio::test]
async fn a_server_that_requires_macs_does_not_start_on_unsigned_keys() {
    let db = Db::sqlite();
    start(&db, settings()).await;
    db.run("UPDATE signing_keys SET mac = NULL; UPDATE clients SET mac = NULL").await;
    let error = start_error(&db, requiring(settings())).await;
    assert!(error.contains("`require_row_macs`") && error.contains("tokend key reseal"), "{error}");
    reseal_with(&db, &settings().keys.sealing).await;
    let server = start(&db, requiring(settings())).await;
    assert_eq!(counts(&server).await, [0; 4]);
}

/// A change of these numbers makes the MAC of every row wrong that was signed before. What is added to a row must be left out of
/// its content where it has no value.
#[test]
fn the_content_of_rows_stays_what_it_was() {
    use crate::store_backends::{client, full_settings, key, secret};
    use tokend::model::{AuthenticationMethod, KeyRevocation, UnixIds, UnixTime};
    let digest = |content: tokend::model::RowContent| {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, content.as_bytes());
        crate::forge::b64(digest)
    };
    let bare = key("kid", 7);
    let mut full = bare.clone();
    full.issuer = Some("https://issuer.example".to_owned());
    (full.retire_time, full.expire_time) = (Some(UnixTime::from_seconds(8)), Some(UnixTime::from_seconds(9)));
    full.revocation = Some(KeyRevocation {
        time: UnixTime::from_seconds(1),
        reason: "why".to_owned(),
        by: "who".to_owned(),
    });
    let simple = client("web", vec![]);
    let mut whole = client("web", vec![secret(2, 1, None), secret(1, 2, Some(3))]);
    whole.client.settings = full_settings();
    // A release without Unix sockets wrote this.
    let mut before = whole.clone();
    let authentication = &mut before.client.settings.authentication;
    authentication.methods.retain(|method| *method != AuthenticationMethod::UnixPeer);
    authentication.unix_peer = UnixIds::default();
    let contents = [
        bare.content(),
        full.content(),
        simple.content().unwrap(),
        before.content().unwrap(),
        whole.content().unwrap(),
    ];
    assert_eq!(
        contents.map(digest),
        [
            "XUaiZUl4KsHomzFlcbGfl9Q9ziscsGTHRcKyBwcpSUo",
            "ksxXBBhiAdqx6c8OrS1FYwX8ekD3pA39vuET36qrRBo",
            "UXG6K1WaKMlwvJGXRmcucUGM6ANuTPKw_zvWONm9l2k",
            "s6wyk0cfjzlZABOkP_QkhcpiGuqZVTBB4UOLHnvpyCQ",
            "Ve6dtHAG1gh8TVWPdQoZtR-em-x3nC1F-BLck2Rn4-k",
        ]
    );
}
