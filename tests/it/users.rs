//! Stories of operators who keep users.

use tokend::proto::v1;
use tonic::{Code, Status};

use crate::{
    counting_store::CountingStore,
    harness::{TestClient, TestServer, accepted, assert_refused, fields, reason, refused, settings},
};

const PASSWORD: &str = "correct horse battery";

/// A user of this name.
pub fn user(username: &str) -> v1::User {
    v1::User { username: username.to_owned(), ..Default::default() }
}

pub async fn create(by: &TestClient, user: v1::User, password: &str) -> Result<v1::User, Status> {
    let request =
        v1::CreateUserRequest { user: Some(user), password: password.to_owned(), ..Default::default() };
    Ok(by.users().create_user(by.request(request)).await?.into_inner().user.unwrap())
}

pub async fn get(by: &TestClient, user_id: &str) -> Result<v1::User, Status> {
    let request = v1::GetUserRequest { user_id: user_id.to_owned(), ..Default::default() };
    Ok(by.users().get_user(by.request(request)).await?.into_inner().user.unwrap())
}

pub async fn update(by: &TestClient, user: v1::User, paths: &[&str]) -> Result<v1::User, Status> {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    let request = v1::UpdateUserRequest {
        user: Some(user),
        update_mask: Some(prost_types::FieldMask { paths }),
        ..Default::default()
    };
    Ok(by.users().update_user(by.request(request)).await?.into_inner().user.unwrap())
}

pub async fn set_password(by: &TestClient, user_id: &str, password: &str) -> Result<v1::User, Status> {
    let request = v1::SetUserPasswordRequest {
        user_id: user_id.to_owned(),
        password: password.to_owned(),
        ..Default::default()
    };
    Ok(by.users().set_user_password(by.request(request)).await?.into_inner().user.unwrap())
}

pub async fn delete(by: &TestClient, user_id: &str, etag: &str) -> Result<(), Status> {
    let request =
        v1::DeleteUserRequest { user_id: user_id.to_owned(), etag: etag.to_owned(), ..Default::default() };
    by.users().delete_user(by.request(request)).await.map(|_| ())
}

#[tokio::test]
async fn a_user_is_registered_shown_and_deleted() {
    let server = TestServer::start().await;
    let asked = v1::User {
        user_id: "u-alice".to_owned(),
        username: "Ａlice@Example.com".to_owned(),
        claims_json: r#"{"name":"Alice","n":12345678901234567890}"#.to_owned(),
        scopes: vec!["read".to_owned()],
        etag: "\"77\"".to_owned(),
        ..Default::default()
    };
    let created = accepted(create(&server.root, asked, PASSWORD).await);
    assert_eq!((created.user_id.as_str(), created.username.as_str()), ("u-alice", "alice@example.com"));
    assert_eq!(created.claims_json, r#"{"name":"Alice","n":12345678901234567890}"#);
    assert_eq!(created.claims.as_ref().unwrap().fields.len(), 2);
    assert!(created.etag.len() > 2 && created.etag != "\"77\"", "{}", created.etag);
    assert_eq!(created.create_time, created.password_update_time);
    assert_eq!(accepted(get(&server.root, "u-alice").await), created);
    let by_name = v1::GetUserRequest { username: "ALICE@example.com".to_owned(), ..Default::default() };
    let found = accepted(server.root.users().get_user(server.root.request(by_name)).await);
    assert_eq!(found.into_inner().user, Some(created));

    accepted(delete(&server.root, "u-alice", "").await);
    assert_refused(get(&server.root, "u-alice").await, Code::NotFound, "USER_NOT_FOUND");
    assert_refused(delete(&server.root, "u-alice", "").await, Code::NotFound, "USER_NOT_FOUND");
    let given = accepted(create(&server.root, user("bob"), PASSWORD).await);
    assert!(given.user_id.starts_with("u-") && given.user_id.len() == 22, "{}", given.user_id);
}

#[tokio::test]
async fn a_name_belongs_to_one_user() {
    let server = TestServer::start().await;
    let alice = accepted(create(&server.root, user("alice"), PASSWORD).await);
    let taken = create(&server.root, user("ALICE"), PASSWORD).await;
    assert_refused(taken, Code::AlreadyExists, "USER_ALREADY_EXISTS");
    let again = v1::User { user_id: alice.user_id, ..user("other") };
    assert_refused(create(&server.root, again, PASSWORD).await, Code::AlreadyExists, "USER_ALREADY_EXISTS");
    let bob = accepted(create(&server.root, user("bob"), PASSWORD).await);
    let renamed = v1::User { username: "Alice".to_owned(), ..bob };
    let refused = update(&server.root, renamed, &["username"]).await;
    assert_refused(refused, Code::AlreadyExists, "USER_ALREADY_EXISTS");
}

/// RFC 9700 section 4.15: a client must not be able to have a subject that is taken for a user's, nor the other way round.
#[tokio::test]
async fn no_id_is_that_of_a_user_and_of_a_client() {
    let server = TestServer::start().await;
    let as_root = v1::User { user_id: "root".to_owned(), ..user("mallory") };
    let answer = create(&server.root, as_root, PASSWORD).await;
    assert_refused(answer, Code::AlreadyExists, "USER_ALREADY_EXISTS");
    let alice = v1::User { user_id: "alice".to_owned(), ..user("alice") };
    accepted(create(&server.root, alice, PASSWORD).await);
    let client = v1::Client { client_id: "alice".to_owned(), ..Default::default() };
    let request = v1::CreateClientRequest { client: Some(client), ..Default::default() };
    let answer = server.root.clients().create_client(server.root.request(request)).await;
    let status = assert_refused(answer, Code::AlreadyExists, "CLIENT_ALREADY_EXISTS");
    assert!(status.message().contains("a client or a user"), "{}", status.message());
    // Nor is a new user called like a subject of another issuer.
    let foreign = v1::User { user_id: "foreign:https://partner.test#alice".to_owned(), ..user("bob") };
    let status = refused(create(&server.root, foreign, PASSWORD).await);
    assert_eq!(
        (reason(&status).as_str(), fields(&status)),
        ("FIELD_INVALID", vec!["user.user_id".to_owned()])
    );
}

#[tokio::test]
async fn everything_wrong_with_a_user_is_said_at_once() {
    let server = TestServer::start().await;
    let wrong = v1::CreateUserRequest {
        user: Some(v1::User {
            user_id: "a b".to_owned(),
            username: "al\nice".to_owned(),
            claims_json: r#"{"sub":"root","a":1}"#.to_owned(),
            scopes: vec!["read".to_owned(), "two words".to_owned()],
            ..Default::default()
        }),
        request_id: "7".to_owned(),
        ..Default::default()
    };
    let status = refused(server.root.users().create_user(server.root.request(wrong)).await);
    let mut named = fields(&status);
    named.sort();
    let expected =
        ["password", "request_id", "user.claims_json.sub", "user.scopes[1]", "user.user_id", "user.username"];
    assert_eq!(named, expected);

    for (user, password, field) in [
        (user("alice"), "short", "password"),
        (user("alice"), "Password123", "password"),
        (user("alice@example.com"), "Alice@Example.com", "password"),
        (user("alice"), &*"x".repeat(1025), "password"),
        (user(&"x".repeat(256)), PASSWORD, "user.username"),
        (
            v1::User { claims_json: format!("{{\"a\":\"{}\"}}", "x".repeat(5000)), ..user("alice") },
            PASSWORD,
            "user.claims",
        ),
        (
            v1::User { claims_json: "{\"a\":1,\"a\":2}".to_owned(), ..user("alice") },
            PASSWORD,
            "user.claims_json",
        ),
    ] {
        let status = assert_refused(
            create(&server.root, user, password).await,
            Code::InvalidArgument,
            "FIELD_INVALID",
        );
        assert_eq!(fields(&status), [field]);
        assert!(!status.message().contains(password));
    }
    let both = v1::CreateUserRequest {
        user: Some(user("alice")),
        password: PASSWORD.to_owned(),
        password_hash: "$2b$".to_owned(),
        ..Default::default()
    };
    let status = refused(server.root.users().create_user(server.root.request(both)).await);
    assert_eq!(fields(&status), ["password_hash"]);
    let neither = v1::GetUserRequest::default();
    let status = refused(server.root.users().get_user(server.root.request(neither)).await);
    assert_eq!(fields(&status), ["user_id"]);
}

#[tokio::test]
async fn an_update_changes_what_its_mask_names_and_nothing_else() {
    let server = TestServer::start().await;
    let full = v1::User {
        claims_json: "{\"name\":\"Alice\"}".to_owned(),
        scopes: vec!["read".to_owned()],
        ..user("alice")
    };
    let before = accepted(create(&server.root, full, PASSWORD).await);
    server.clock.advance(10);
    let blank = v1::User { user_id: before.user_id.clone(), disabled: true, ..user("ignored") };

    let after = accepted(update(&server.root, blank.clone(), &["disabled", "etag", "user_id"]).await);
    let expected = v1::User {
        disabled: true,
        etag: after.etag.clone(),
        update_time: after.update_time,
        ..before.clone()
    };
    assert_eq!(after, expected);
    assert_ne!(after.etag, before.etag);
    assert_eq!(after.update_time.unwrap().seconds, before.update_time.unwrap().seconds + 10);
    assert_eq!(accepted(get(&server.root, &before.user_id).await), after);

    // Without a mask: what is not empty. `disabled` is false, and stays as it was.
    let scopes =
        v1::User { user_id: before.user_id.clone(), scopes: vec!["write".to_owned()], ..Default::default() };
    let after = accepted(update(&server.root, scopes, &[]).await);
    assert_eq!((after.disabled, after.scopes.as_slice()), (true, ["write".to_owned()].as_slice()));
    assert_eq!(after.claims_json, "{\"name\":\"Alice\"}");

    // A named field that is empty is emptied; `*` names all.
    let empty = v1::User { user_id: before.user_id.clone(), ..Default::default() };
    let after = accepted(update(&server.root, empty.clone(), &["claims", "scopes"]).await);
    assert_eq!((after.claims_json.as_str(), after.scopes.len(), after.disabled), ("{}", 0, true));
    let all = v1::User { user_id: before.user_id.clone(), ..user("Renée") };
    let after = accepted(update(&server.root, all, &["*"]).await);
    assert_eq!((after.username.as_str(), after.disabled), ("renée", false));
    let status = refused(update(&server.root, empty, &["*"]).await);
    assert_eq!(fields(&status), ["user.username"]);

    let status = assert_refused(
        update(&server.root, blank, &["disabled", "password", "claims.name"]).await,
        Code::InvalidArgument,
        "FIELD_INVALID",
    );
    assert_eq!(fields(&status), ["update_mask.paths[1]", "update_mask.paths[2]"]);
    let nobody = v1::User { user_id: "nobody".to_owned(), ..user("x") };
    assert_refused(update(&server.root, nobody, &["username"]).await, Code::NotFound, "USER_NOT_FOUND");
    assert_eq!(fields(&refused(update(&server.root, user("x"), &["username"]).await)), ["user.user_id"]);
}

#[tokio::test]
async fn an_etag_keeps_what_another_operator_did() {
    let server = TestServer::start().await;
    let seen = accepted(create(&server.root, user("alice"), PASSWORD).await);
    let mine = v1::User { disabled: true, ..seen.clone() };
    let after = accepted(update(&server.root, mine.clone(), &["disabled"]).await);
    assert_refused(update(&server.root, mine, &["disabled"]).await, Code::Aborted, "ETAG_MISMATCH");
    assert_refused(delete(&server.root, &seen.user_id, &seen.etag).await, Code::Aborted, "ETAG_MISMATCH");
    assert_refused(delete(&server.root, &seen.user_id, "not ours").await, Code::Aborted, "ETAG_MISMATCH");
    let set = accepted(set_password(&server.root, &seen.user_id, "another password").await);
    assert_ne!(set.etag, after.etag, "a password is part of a user");
    accepted(delete(&server.root, &seen.user_id, &set.etag).await);
}

#[tokio::test]
async fn users_are_listed_a_page_at_a_time() {
    let server = TestServer::start().await;
    for number in 0..5 {
        let user = v1::User { user_id: format!("u-{number}"), ..user(&format!("name-{}", 9 - number)) };
        accepted(create(&server.root, user, PASSWORD).await);
    }
    let (mut ids, mut token, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let request = v1::ListUsersRequest { page_size: 2, page_token: token };
        let page = accepted(server.root.users().list_users(server.root.request(request)).await).into_inner();
        ids.extend(page.users.into_iter().map(|user| user.user_id));
        pages += 1;
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!((ids.join(" ").as_str(), pages), ("u-0 u-1 u-2 u-3 u-4", 3));
    for (request, field) in [
        (v1::ListUsersRequest { page_size: -1, ..Default::default() }, "page_size"),
        (v1::ListUsersRequest { page_token: "?".to_owned(), ..Default::default() }, "page_token"),
    ] {
        let status = refused(server.root.users().list_users(server.root.request(request)).await);
        assert_eq!(fields(&status), [field]);
    }
}

#[tokio::test]
async fn only_those_who_may_keep_users() {
    let server = TestServer::start().await;
    let reader = v1::Client {
        permissions: Some(v1::Permissions {
            methods: vec!["UserService/GetUser".to_owned()],
            ..Default::default()
        }),
        ..Default::default()
    };
    let reader = server.client(reader).await;
    let alice = accepted(create(&server.root, user("alice"), PASSWORD).await);
    accepted(get(&reader, &alice.user_id).await);
    // Permission is looked at before the request.
    let answers = [
        create(&reader, user(""), "").await.err(),
        update(&reader, user(""), &["?"]).await.err(),
        set_password(&reader, "", "").await.err(),
        delete(&reader, "", "").await.err(),
        reader.users().list_users(reader.request(Default::default())).await.err(),
    ];
    for answer in answers {
        assert_refused(Err::<(), _>(answer.unwrap()), Code::PermissionDenied, "METHOD_NOT_ALLOWED");
    }
    let nobody = TestClient::new(server.grpc, None).await;
    assert_refused(get(&nobody, &alice.user_id).await, Code::Unauthenticated, "CREDENTIALS_MISSING");
}

#[tokio::test]
async fn without_the_store_there_are_no_users() {
    let (server, store) = CountingStore::serve(settings()).await;
    let alice = accepted(create(&server.root, user("alice"), PASSWORD).await);
    store.set_down(true);
    assert_refused(get(&server.root, &alice.user_id).await, Code::Unavailable, "STORE_UNAVAILABLE");
    let created = create(&server.root, user("bob"), PASSWORD).await;
    assert_refused(created, Code::Unavailable, "STORE_UNAVAILABLE");
    let deleted = delete(&server.root, &alice.user_id, "").await;
    assert_refused(deleted, Code::Unavailable, "STORE_UNAVAILABLE");
}
