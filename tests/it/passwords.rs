//! Password hashes: imported, renewed, and never shown.

use tokend::{model::UserId, proto::v1};
use tonic::{Code, Status};

use crate::{
    harness::{TestServer, accepted, assert_refused, fields},
    login::{alice, log_in},
    users::user,
};

/// `correct horse battery`, by argon2-cffi and by bcrypt for Python.
const ARGON2ID: &str =
    "$argon2id$v=19$m=65536,t=3,p=4$fJXmY8WrsIq5IOORP8jB8g$n+5DiwJitLaNvutxixoqr16FRQUTVElj0vxyDs7B1kQ";
const ARGON2I: &str =
    "$argon2i$v=19$m=4096,t=3,p=1$U158oMrhD0hFP6Wkj9Zx+Q$MAw4oFRCO4F5oM6RrBtkmVyKaobZfwejKJ6qHlJ6zug";
const BCRYPT: &str = "$2b$05$cyPPbYH.pJqzX2pEMssSPu7TjU6ca9P4PUtSG3pcze6iyozNLh01m";
const PASSWORD: &str = "correct horse battery";

async fn import(server: &TestServer, hash: &str) -> Result<v1::User, Status> {
    let request = v1::CreateUserRequest {
        user: Some(v1::User {
            user_id: "u-alice".to_owned(),
            scopes: vec!["read".to_owned()],
            ..user("alice")
        }),
        password_hash: hash.to_owned(),
        ..Default::default()
    };
    let answer = server.root.users().create_user(server.root.request(request)).await?;
    Ok(answer.into_inner().user.unwrap())
}

async fn stored(server: &TestServer) -> String {
    let record = server.store.user(&UserId::parse("u-alice").unwrap()).await.unwrap();
    record.password.reveal().to_owned()
}

#[tokio::test]
async fn a_hash_from_elsewhere_serves_until_the_first_login() {
    for hash in [ARGON2ID, ARGON2I, BCRYPT] {
        let server = TestServer::start().await;
        let before = accepted(import(&server, hash).await);
        assert_eq!(stored(&server).await, hash);
        assert_refused(
            log_in(&server.root, alice("wrong horse")).await,
            Code::Unauthenticated,
            "LOGIN_FAILED",
        );
        assert_eq!(stored(&server).await, hash, "a wrong password changes nothing");
        accepted(log_in(&server.root, alice(PASSWORD)).await);
        let renewed = stored(&server).await;
        assert!(renewed.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{hash}");
        accepted(log_in(&server.root, alice(PASSWORD)).await);
        assert_eq!(stored(&server).await, renewed, "once is enough");
        assert_eq!(accepted(crate::users::get(&server.root, "u-alice").await), before, "and it is no change");
    }
}

#[tokio::test]
async fn a_hash_is_made_anew_when_it_should_cost_more() {
    let store = tokend::store::open(&tokend::store::Location::Memory).await.unwrap();
    let clock = crate::harness::manual_clock();
    let server = TestServer::on(store.clone(), crate::harness::settings(), clock.clone()).await;
    crate::login::with_alice(&server).await;
    let cheap = stored(&server).await;
    let mut settings = crate::harness::settings();
    settings.people.hashing.cost.passes = 3;
    let dearer = TestServer::on(store, settings, clock).await;
    accepted(log_in(&dearer.root, alice(PASSWORD)).await);
    let dear = stored(&dearer).await;
    assert!(cheap.contains("t=1") && dear.contains("t=3"));
    // The replica with the lower setting does not weaken it again.
    accepted(log_in(&server.root, alice(PASSWORD)).await);
    assert_eq!(stored(&server).await, dear);
}

#[tokio::test]
async fn a_hash_that_is_not_taken_is_named_and_not_echoed() {
    let server = TestServer::start().await;
    for (hash, words) in [
        ("plain text", "argon2id or argon2i"),
        (
            "$argon2id$v=19$m=4294967295,t=3,p=4$fJXmY8WrsIq5IOORP8jB8g$n+5DiwJitLaNvutxixoqr16FRQUTVElj0vxyDs7B1kQ",
            "`m`",
        ),
        (
            "$argon2id$v=19$m=65536,t=99,p=4$fJXmY8WrsIq5IOORP8jB8g$n+5DiwJitLaNvutxixoqr16FRQUTVElj0vxyDs7B1kQ",
            "`t`",
        ),
        ("$2b$31$cyPPbYH.pJqzX2pEMssSPu7TjU6ca9P4PUtSG3pcze6iyozNLh01m", "cost"),
    ] {
        let status = assert_refused(import(&server, hash).await, Code::InvalidArgument, "FIELD_INVALID");
        assert_eq!(fields(&status), ["password_hash"]);
        assert!(status.message().contains(words), "{}", status.message());
        assert!(!status.message().contains("n+5DiwJ") && !status.message().contains("cyPPbYH"));
    }
}

#[tokio::test]
async fn no_answer_holds_a_hash() {
    let server = TestServer::start().await;
    let created = accepted(import(&server, BCRYPT).await);
    let list = server.root.users().list_users(server.root.request(Default::default())).await;
    let list = accepted(list).into_inner();
    for text in [format!("{created:?}"), format!("{list:?}")] {
        assert!(text.contains("u-alice") && !text.contains("$2b$"), "{text}");
    }
}
