//! Vault seals: against a stand-in that follows Vault's documented API (`vault_stand_in.rs`).

use std::{fs, path::PathBuf, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokend::{
    keys::{Outcome, Patience, SealWith, SealingKey, VaultSettings, reseal},
    listen::{ClientAuth, PortTls, TlsFiles, TlsReloader},
    model::Algorithm,
    server::{Server, Settings},
    store::{self, Location},
};

use crate::{
    harness::{SEALING_KEY, TestServer, accepted, for_alice, manual_clock, settings},
    vault_stand_in::{StandIn, TOKEN},
    vault_story::{Story, with},
};

fn changed(mut settings: Settings, change: impl FnOnce(&mut VaultSettings)) -> Settings {
    change(settings.keys.sealing.vault.as_mut().unwrap());
    settings
}

#[tokio::test]
async fn the_first_start_wraps_a_fresh_key_and_the_next_one_unwraps_it() {
    let story = Story::new().await;
    let first = story.serve().await;
    let token = first.root.token().await;
    assert_eq!(story.paths(), ["encrypt/tokend", "decrypt/tokend"], "wrapped, and tried before it is used");
    let [kept] = &*story.store.sealing_keys().await.unwrap() else { panic!("not one") };
    assert_eq!(kept.provider, "vault:transit/tokend");
    assert!(kept.wrapped.starts_with(b"vault:v1:"));

    let second = story.serve().await;
    accepted(second.root.check(&token).await);
    assert_eq!(story.paths()[2..], ["decrypt/tokend"]);
    assert_eq!(story.store.keys().await.unwrap().keys.len(), 2);

    // Vault saw the sealing key, and nothing of what is sealed under it.
    let seen = story.vault.seen();
    let key = SealingKey::parse(field(&seen[0].body, "plaintext").as_str()).unwrap();
    assert_eq!(key.id(), kept.sealing_key_id);
    for seen in &seen {
        assert_eq!(seen.headers["x-vault-token"], TOKEN);
        assert_eq!(seen.headers["x-vault-request"], "true");
        assert!(!seen.headers.contains_key("x-vault-namespace"));
        assert!(!seen.body.contains(&STANDARD.encode(story.sealed().await)));
    }
    // The store holds neither the sealing key nor a private key: what is in it opens under nothing that is in it.
    let bytes = STANDARD.decode(field(&seen[0].body, "plaintext")).unwrap();
    let sealed = story.sealed().await;
    for stored in [&kept.wrapped, &sealed] {
        assert!(!stored.windows(bytes.len()).any(|window| window == bytes));
    }
}

fn field(body: &str, name: &str) -> String {
    serde_json::from_str::<serde_json::Value>(body).unwrap()[name].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_start_at_once_share_one_sealing_key() {
    let story = Story::new().await;
    let start = || story.start(story.settings());
    let (one, two, three) = tokio::join!(start(), start(), start());
    let servers = [one.unwrap(), two.unwrap(), three.unwrap()];
    assert_eq!(story.store.sealing_keys().await.unwrap().len(), 1);
    let key_ids: Vec<_> = servers.iter().map(Server::default_key_id).collect();
    assert!(key_ids.iter().all(|key_id| *key_id == key_ids[0]), "{key_ids:?}");
    assert_eq!(story.store.keys().await.unwrap().keys.len(), 2);
    // Two of them wrapped a key that is not used.
    assert!(story.reseal(&story.both(SealWith::Local)).await);
}

#[tokio::test]
async fn vault_may_be_away_while_tokend_runs() {
    let mut story = Story::new().await;
    let server = story.serve().await;
    let sealing = story.sealing();
    let sealer = story.sealer(&sealing);
    sealer.prepare().await.unwrap();
    // Keys that are sealed by hand, for something to be sealed anew.
    let local = story.both(SealWith::Local);
    assert!(story.reseal(&local).await);
    let asked = story.vault.seen().len();
    story.vault.go_away().await;

    let token = server.root.token().await;
    accepted(server.root.check(&token).await);
    // Keys are made and rotated as ever.
    let rotate = tokend::proto::v1::RotateKeysRequest { immediately: true, ..Default::default() };
    accepted(server.root.keys().rotate_keys(server.root.request(rotate)).await);
    let next = accepted(server.root.issue(for_alice()).await);
    accepted(server.root.check(&next.access_token).await);
    accepted(server.root.check(&token).await);
    let both = story.both(SealWith::Vault);
    let refused = reseal(&story.store, &story.sealer(&both)).await.unwrap_err().to_string();
    assert!(refused.contains("`vault_addr`"), "a fresh start needs it: {refused}");
    // But what is in memory seals and opens.
    let to = reseal(&story.store, &sealer).await.unwrap().sealing_key_id;
    assert_eq!(Some(to), sealer.sealing_key_id());
    story.vault.come_back().await;
    assert_eq!(story.vault.seen().len(), asked);
    accepted(server.root.check(&token).await);
}

#[tokio::test]
async fn vault_away_at_the_start_is_a_clear_error_in_the_end() {
    let mut story = Story::new().await;
    story.vault.go_away().await;
    let error = story.refused(story.settings()).await;
    assert!(error.starts_with("setting `vault_addr`: encrypt by http://127.0.0.1:"), "{error}");
    assert!(error.contains("onnection refused"), "{error}");
    // Keys are there, and the sealing key is not to be had.
    story.vault.come_back().await;
    story.start(story.settings()).await.unwrap();
    story.vault.go_away().await;
    let error = story.refused(story.settings()).await;
    assert!(error.contains("does not open") && error.contains("`vault_addr`"), "{error}");
}

#[tokio::test]
async fn what_may_go_better_is_tried_again() {
    let story = Story::new().await;
    let body = r#"{"errors":["internal error"]}"#;
    for (status, retry_after) in
        [(500, None), (412, None), (429, Some("3600")), (503, Some("0")), (502, None)]
    {
        story.vault.fail_next(status, retry_after, body);
    }
    story.start(story.settings()).await.unwrap();
    assert_eq!(story.paths().len(), 5 + 2);
    // Sealed for longer than the patience.
    story.vault.set_sealed(true);
    let error = story.refused(story.settings()).await;
    assert!(error.contains("503 (Vault is sealed)"), "{error}");
    // And for less long than that.
    let patient =
        changed(story.settings(), |vault| vault.retry.patience = std::time::Duration::from_secs(60));
    let before = story.vault.seen().len();
    let unsealed = async {
        while story.vault.seen().len() < before + 3 {
            tokio::task::yield_now().await;
        }
        story.vault.set_sealed(false);
    };
    let (started, ()) = tokio::join!(story.start(patient), unsealed);
    started.unwrap();
}

#[tokio::test]
async fn what_will_not_go_better_is_tried_once_and_names_the_setting() {
    let story = Story::new().await;
    let asked_once = async |settings: Settings, expected: &[&str]| {
        let before = story.vault.seen().len();
        let error = story.refused(settings).await;
        assert!(expected.iter().all(|text| error.contains(text)), "{error}");
        assert_eq!(story.vault.seen().len(), before + 1, "{error}");
    };
    story.write_token("hvs.anotherToken");
    asked_once(story.settings(), &["setting `vault_token_file`", "403 (permission denied)"]).await;
    story.write_token(TOKEN);
    let other_key = changed(story.settings(), |vault| vault.key = "other".to_owned());
    asked_once(other_key, &["setting `vault_key`", "400 (encryption key not found)"]).await;
    let other_mount = changed(story.settings(), |vault| vault.mount = "team/transit".to_owned());
    asked_once(other_mount, &["setting `vault_key`", "`vault_mount`", "404 (no handler for route."]).await;
    story.vault.fail_next(307, None, "");
    asked_once(story.settings(), &["setting `vault_addr`", "307", "active node"]).await;
    story.vault.fail_next(200, None, "<html>hello</html>");
    asked_once(story.settings(), &["setting `vault_addr`", "unexpected response"]).await;
    // Errors are repeated without the token, and without what was to be wrapped.
    story.vault.fail_next(400, None, format!(r#"{{"errors":["no {TOKEN}\u001b[31m"]}}"#));
    asked_once(story.settings(), &[r"400 (no [secret]\u{1b}[31m)"]).await;

    // An answer without an end is not read to it.
    story.vault.fail_next(200, None, "x".repeat(1_000_000));
    let error =
        story.start(changed(story.settings(), |vault| vault.retry.patience = Default::default())).await;
    assert!(error.err().unwrap().contains("length limit exceeded"));
}

#[tokio::test]
async fn a_token_is_read_each_time_and_its_absence_is_waited_out() {
    let story = Story::new().await;
    story.start(story.settings()).await.unwrap();
    story.vault.set_token("hvs.renewed");
    story.write_token("hvs.renewed");
    story.start(story.settings()).await.unwrap();
    assert_eq!(story.vault.seen().last().unwrap().headers["x-vault-token"], "hvs.renewed");

    for content in ["", " \n", "hvs.with\u{1}control"] {
        fs::write(story.token_file(), content).unwrap();
        let error = story.refused(story.settings()).await;
        assert!(error.contains("`vault_token_file`") && error.contains("vault-token"), "{error}");
        assert!(!error.contains("control"), "{error}");
    }
    fs::remove_file(story.token_file()).unwrap();
    let error = story.refused(story.settings()).await;
    assert!(error.contains("`vault_token_file`") && error.contains("cannot be read"), "{error}");
}

#[tokio::test]
async fn a_token_that_may_not_decrypt_is_noticed_before_anything_is_sealed() {
    let story = Story::new().await;
    story.vault.set_may_decrypt(false);
    let error = story.refused(story.settings()).await;
    assert!(error.contains("decrypt") && error.contains("`vault_token_file`"), "{error}");
    assert!(story.store.sealing_keys().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_namespace_is_sent_and_its_keys_are_its_own() {
    let story = Story::new().await;
    let settings = changed(story.settings(), |vault| vault.namespace = Some("team/a".to_owned()));
    story.start(settings).await.unwrap();
    assert!(story.vault.seen().iter().all(|seen| seen.headers["x-vault-namespace"] == "team/a"));
    assert_eq!(story.store.sealing_keys().await.unwrap()[0].provider, "vault:team/a/transit/tokend");
    // Another key of Vault's is not asked to unwrap it.
    let asked = story.vault.seen().len();
    let error = story.refused(story.settings()).await;
    assert!(error.contains("`vault:team/a/transit/tokend` wrapped"), "{error}");
    assert_eq!(story.vault.seen().len(), asked);
}

#[tokio::test]
async fn from_a_file_to_vault_and_back() {
    let story = Story::new().await;
    let by_file = TestServer::on(Arc::clone(&story.store), settings(), manual_clock()).await;
    let token = by_file.root.token().await;
    // Vault seals from now on, and the file still opens; then it is moved, and the file is not needed.
    let both =
        TestServer::on(Arc::clone(&story.store), with(story.both(SealWith::Vault)), manual_clock()).await;
    accepted(both.root.check(&token).await);
    assert!(story.reseal(&story.both(SealWith::Vault)).await);
    let by_vault = story.serve().await;
    accepted(by_vault.root.check(&token).await);

    assert!(story.reseal(&story.both(SealWith::Local)).await);
    let asked = story.vault.seen().len();
    let back = TestServer::on(Arc::clone(&story.store), settings(), manual_clock()).await;
    accepted(back.root.check(&token).await);
    // With nothing sealed under Vault's, it is not even asked.
    story.start(with(story.both(SealWith::Local))).await.unwrap();
    assert_eq!(story.vault.seen().len(), asked);
}

#[tokio::test]
async fn a_fresh_sealing_key_is_wrapped_with_the_newest_version() {
    let story = Story::new().await;
    let server = story.serve().await;
    let token = server.root.token().await;
    let old = story.sealer(&story.sealing());
    old.load([&*story.sealed().await], Patience::Start).await;
    story.vault.rotate_and_forbid_the_old();
    let error = story.refused(story.settings()).await;
    assert!(error.contains("too old"), "{error}");
    // A process that unwrapped it in time moves everything.
    old.renew().await.unwrap();
    let done = reseal(&story.store, &old).await.unwrap();
    let (to, all) = (done.sealing_key_id, done.keys);
    assert!(matches!(all[0].outcome, Outcome::Moved));
    let kept = story.store.sealing_keys().await.unwrap();
    assert_eq!((kept.len(), kept[1].sealing_key_id), (2, to));
    assert!(kept[1].wrapped.starts_with(b"vault:v2:"));
    accepted(story.serve().await.root.check(&token).await);
}

#[tokio::test]
async fn a_running_server_follows_to_another_sealing_key() {
    let story = Story::new().await;
    let server = story.serve().await;
    let elsewhere = story.sealer(&story.sealing());
    elsewhere.renew().await.unwrap();
    reseal(&story.store, &elsewhere).await.unwrap();
    server.rounds.make().await.unwrap();
    let keys = crate::key_calls::list(&server).await;
    assert!(keys.iter().all(|key| key.problem.is_empty()), "{keys:?}");
    assert_eq!(story.paths().last().unwrap(), "decrypt/tokend", "it asked for the one that it did not know");
}

#[tokio::test]
async fn another_key_in_the_place_of_a_wrapped_one_is_noticed() {
    let story = Story::new().await;
    let sealer = story.sealer(&story.sealing());
    sealer.prepare().await.unwrap();
    let [mut record] = story.store.sealing_keys().await.unwrap().try_into().unwrap();
    // Sound ciphertext of Vault's, under the name of another key.
    let other = store::open(&Location::Memory).await.unwrap();
    record.sealing_key_id = SealingKey::parse(SEALING_KEY).unwrap().id();
    other.ensure_sealing_key(&record, None).await.unwrap();
    let started = Server::with_store(story.settings(), other, manual_clock()).await;
    let error = started.err().unwrap().to_string();
    assert!(error.contains("is damaged"), "{error}");
}

#[tokio::test]
async fn tls_is_checked_against_the_authorities_that_are_configured() {
    let (cert, key) = crate::tls::certificate();
    let mut story = Story::new().await;
    let path = |name: &str| story.folder.path().join(name);
    fs::write(path("ca.pem"), &cert).unwrap();
    fs::write(path("key.pem"), &key).unwrap();
    fs::write(path("other.pem"), crate::tls::certificate().0).unwrap();
    let files = TlsFiles {
        certificate: path("ca.pem"),
        key: path("key.pem"),
        client_ca: None,
        client_auth: ClientAuth::Optional,
        client_certificates_on_http: false,
    };
    let acceptor = PortTls::Http(Arc::new(TlsReloader::open(files, manual_clock()).unwrap())).acceptor();
    let (ca, other, none) = (path("ca.pem"), path("other.pem"), path("key.pem"));
    story.vault = StandIn::with(Some(acceptor)).await;
    let addr: url::Url = format!("https://localhost:{}", story.vault.addr.port()).parse().unwrap();
    let trusting = |ca: &PathBuf| {
        changed(story.settings(), |vault| (vault.addr, vault.ca_file) = (addr.clone(), Some(ca.clone())))
    };
    let error = story.refused(trusting(&other)).await;
    assert!(error.contains("`vault_addr`") && error.contains("certificate"), "{error}");
    let error = story.refused(trusting(&none)).await;
    assert!(error.contains("`vault_ca_file`") && error.contains("no certificate"), "{error}");
    assert!(story.vault.seen().is_empty(), "nothing was said to a stranger");
    let mut settings = trusting(&ca);
    settings.keys.algorithms.push(Algorithm::EdDsa);
    story.start(settings).await.unwrap();
    assert_eq!(story.paths().len(), 2);
}
