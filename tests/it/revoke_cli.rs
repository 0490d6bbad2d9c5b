//! The commands that revoke, and what they are for.

use std::{fs, path::Path, process::Output, sync::Arc};

use serde_json::Value;
use tokend::{
    keys::RotationSchedule,
    model::{Revocation, RevocationTarget, UnixTime},
    proto::v1::{self, revoke_token_request::Target},
    store::{self, Location, Store},
    tokens::revoke_everything,
};
use tonic::Code;

use crate::{
    harness::{TestServer, accepted, assert_refused, manual_clock, schedule, settings},
    process::{dev, init, run, stderr, stdout},
    revoke_calls::{begin, revoke, stored},
};

async fn open(file: &Path) -> Arc<Store> {
    store::open(&Location::Sqlite(file.to_owned())).await.unwrap()
}

/// The danger and the guard: a backup knows nothing of what was revoked since it was made.
#[tokio::test]
async fn after_a_backup_was_restored_what_was_issued_before_can_be_refused_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (file, backup) = (folder.path().join("tokend.db"), folder.path().join("backup.db"));
    let clock = manual_clock();
    let mut server = TestServer::on(open(&file).await, settings(), Arc::clone(&clock)).await;
    let begun = begin(&server.root).await;
    server.begin_stop();
    server.stopped().await;
    fs::copy(&file, &backup).unwrap();

    let mut server = TestServer::on(open(&file).await, settings(), Arc::clone(&clock)).await;
    accepted(revoke(&server.root, Target::Token(begun.access_token.clone())).await);
    accepted(revoke(&server.root, Target::Token(begun.refresh_token.clone())).await);
    let refreshed = async |server: &TestServer| {
        let request =
            v1::RefreshTokenRequest { refresh_token: begun.refresh_token.clone(), ..Default::default() };
        server.root.tokens().refresh_token(server.root.request(request)).await
    };
    assert_refused(server.root.check(&begun.access_token).await, Code::InvalidArgument, "TOKEN_REVOKED");
    assert_refused(refreshed(&server).await, Code::Unauthenticated, "REFRESH_TOKEN_INVALID");
    server.begin_stop();
    server.stopped().await;

    fs::copy(&backup, &file).unwrap();
    clock.advance(60);
    let store = open(&file).await;
    let mut server = TestServer::on(Arc::clone(&store), settings(), Arc::clone(&clock)).await;
    // That is why there is a guard.
    accepted(server.root.check(&begun.access_token).await);
    let schedule = RotationSchedule::new(schedule()).unwrap();
    let now = UnixTime::from_seconds(clock.seconds());
    let before = UnixTime::from_seconds(clock.seconds() + 1);
    let other = open(&file).await;
    let made = revoke_everything(&other, &schedule, before, now).await.unwrap();
    other.close().await;
    assert_eq!(made.revocation.target, RevocationTarget::Everything(before));
    server.rounds.make().await.unwrap();
    assert_refused(server.root.check(&begun.access_token).await, Code::InvalidArgument, "TOKEN_REVOKED");
    assert_refused(refreshed(&server).await, Code::Unauthenticated, "REFRESH_TOKEN_INVALID");
    // What is issued afterwards is good, and so it is at a server that starts later.
    clock.advance(1);
    let token = server.root.token().await;
    accepted(server.root.check(&token).await);
    server.begin_stop();
    server.stopped().await;
    let server = TestServer::on(open(&file).await, settings(), clock).await;
    accepted(server.root.check(&token).await);
    assert_refused(server.root.check(&begun.access_token).await, Code::InvalidArgument, "TOKEN_REVOKED");
}

fn everything_before(folder: &Path, more: &[&str]) -> Output {
    let settings = ["--config", "tokend.toml", "--allow-plaintext"];
    run(folder, &[&["revoke", "everything-before"], more, &settings].concat())
}

#[test]
fn the_command_says_what_it_did_and_asks_before() {
    let folder = tempfile::tempdir().unwrap();
    init(folder.path());
    let unasked = everything_before(folder.path(), &["now"]);
    assert_eq!(unasked.status.code(), Some(2), "{}", stderr(&unasked));
    assert!(stderr(&unasked).contains("give --yes"), "{}", stderr(&unasked));
    for (instant, problem) in
        [("soon", "RFC 3339"), ("9999999999", "more than a minute ahead"), ("-5", "unexpected argument")]
    {
        let refused = everything_before(folder.path(), &[instant, "--yes"]);
        assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
        assert!(stderr(&refused).contains(problem), "{}", stderr(&refused));
    }
    let held = || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let file = fs::read_to_string(folder.path().join("tokend.toml")).unwrap();
        let store = file.lines().find_map(|line| line.strip_prefix("store = ")).unwrap().trim_matches('"');
        let location: Location = store.parse().unwrap();
        let location = match location {
            Location::Sqlite(path) => Location::Sqlite(folder.path().join(path)),
            other => other,
        };
        runtime.block_on(async {
            let store = store::open(&location).await.unwrap();
            let held = stored(&store).await;
            store.close().await;
            held
        })
    };
    assert_eq!(held(), []);
    let done = everything_before(folder.path(), &["2026-01-31T12:00:00Z", "--yes"]);
    assert!(done.status.success(), "{}", stderr(&done));
    assert!(stdout(&done).is_empty());
    for said in
        ["tokens issued before 2026-01-31T12:00:00Z are rejected", "sessions that began before it have ended"]
    {
        assert!(stderr(&done).contains(said), "{}", stderr(&done));
    }
    let [Revocation { target, expire_time, .. }] = &held()[..] else { panic!("{:?}", held()) };
    assert_eq!(*target, RevocationTarget::Everything(UnixTime::from_seconds(1_769_860_800)));
    assert!(expire_time.is_some());

    // An earlier instant takes nothing back.
    let done = everything_before(folder.path(), &["1769860000", "--yes"]);
    assert!(
        stderr(&done).contains("everything before 2026-01-31T12:00:00Z, which is later, was already revoked"),
        "{}",
        stderr(&done)
    );
    let done = everything_before(folder.path(), &["now", "--yes", "-o", "json"]);
    let document: Value = serde_json::from_str(stdout(&done)).unwrap();
    assert!(document["issued_before_time"].as_str().unwrap() > "2026-01-31T12:00:00Z");
    assert!(document["revoke_time"].is_string() && document["expire_time"].is_string(), "{document}");
    assert_eq!(held().len(), 1);
}

#[test]
fn tokens_are_revoked_from_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let (_running, _) = dev(folder.path(), &[]);
    let issue = || {
        let issued = run(folder.path(), &["token", "issue", "--audience", "orders", "-o", "json"]);
        serde_json::from_str::<Value>(stdout(&issued)).unwrap()
    };
    let verify = |token: &Value| {
        let token = token["access_token"].as_str().unwrap();
        run(folder.path(), &["token", "verify", "--audience", "orders", token])
    };
    let is_revoked = |token: &Value| stderr(&verify(token)).contains("TOKEN_REVOKED");
    let (first, second, third) = (issue(), issue(), issue());
    let done = run(folder.path(), &["token", "revoke", first["access_token"].as_str().unwrap()]);
    assert!(done.status.success() && stderr(&done).starts_with("revoked since 20"), "{}", stderr(&done));
    assert!(is_revoked(&first) && !is_revoked(&second));

    let jwt_id = second["jwt_id"].as_str().unwrap();
    let done =
        run(folder.path(), &["token", "revoke", "--jwt-id", jwt_id, "--reason", "leaked", "-o", "json"]);
    let document: Value = serde_json::from_str(stdout(&done)).unwrap();
    assert!(document["revoke_time"].as_str().unwrap().ends_with('Z'), "{document}");
    assert!(is_revoked(&second) && !is_revoked(&third));

    // One id in sixty-four begins so.
    let hyphen = run(folder.path(), &["token", "revoke", "--jwt-id", "-AAAAAAAAAAAAAAAAAAAAA"]);
    assert!(hyphen.status.success(), "{}", stderr(&hyphen));

    let unasked = run(folder.path(), &["token", "revoke", "--client", "dev"]);
    assert!(unasked.status.code() == Some(2) && !is_revoked(&third), "{}", stderr(&unasked));
    let done = run(folder.path(), &["token", "revoke", "--client", "dev", "--yes"]);
    assert!(done.status.success() && is_revoked(&third), "{}", stderr(&done));
    let old = ["token", "revoke", "--subject", "dev", "--issued-before", "2026-01-01T00:00:00Z", "--yes"];
    assert!(run(folder.path(), &old).status.success());
    let refused = run(folder.path(), &["token", "revoke", "--session", "short"]);
    assert!(stderr(&refused).contains("session_id: must be 22 characters"), "{}", stderr(&refused));
    for wrong in [
        &["token", "revoke", "--session", "a", "--client", "b"][..],
        &["token", "revoke", "--issued-before", "1", "--client", "b"],
        &["token", "revoke", "--jwt-id", "a", "a.b.c"],
    ] {
        assert_eq!(run(folder.path(), wrong).status.code(), Some(2), "{wrong:?}");
    }
}
