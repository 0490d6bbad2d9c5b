//! ClientService: changing clients, one field or all, alone or against others.

use prost_types::FieldMask;
use tokend::proto::v1;
use tokio::task::JoinSet;
use tonic::{Code, Status};

use crate::{
    counting_store::CountingStore,
    harness::{
        TestClient, TestServer, accepted, assert_refused, fields, for_alice, refused, seconds, settings,
    },
};

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

fn web() -> v1::Client {
    v1::Client {
        client_id: "web".to_owned(),
        display_name: "The web shop".to_owned(),
        default_audiences: texts(&["orders"]),
        permissions: Some(v1::Permissions {
            methods: texts(&["TokenService/*"]),
            audiences: texts(&["orders", "billing"]),
            subjects: texts(&["*"]),
            scopes: texts(&["*"]),
            max_ttl: seconds(600),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// The client `web` with these permissions alone.
fn permissions(permissions: v1::Permissions) -> v1::Client {
    v1::Client { client_id: "web".to_owned(), permissions: Some(permissions), ..Default::default() }
}

async fn update(caller: &TestClient, client: v1::Client, paths: &[&str]) -> Result<v1::Client, Status> {
    let update_mask = Some(FieldMask { paths: texts(paths) }).filter(|mask| !mask.paths.is_empty());
    let request = v1::UpdateClientRequest { client: Some(client), update_mask, ..Default::default() };
    let answer = caller.clients().update_client(caller.request(request)).await?;
    Ok(answer.into_inner().client.unwrap())
}

async fn get(server: &TestServer) -> v1::Client {
    let request = v1::GetClientRequest { client_id: "web".to_owned() };
    let answer = server.root.clients().get_client(server.root.request(request)).await;
    accepted(answer).into_inner().client.unwrap()
}

async fn delete(server: &TestServer, etag: &str) -> Result<(), Status> {
    let request =
        v1::DeleteClientRequest { client_id: "web".to_owned(), etag: etag.to_owned(), ..Default::default() };
    server.root.clients().delete_client(server.root.request(request)).await.map(|_| ())
}

#[tokio::test]
async fn a_mask_says_what_changes_and_nothing_else_does() {
    let server = TestServer::start().await;
    let caller = server.client(web()).await;
    let before = get(&server).await;
    server.clock.advance(60);

    // A field that the mask does not name may say what it will.
    let wanted = v1::Client {
        display_name: "ignored".to_owned(),
        ..permissions(v1::Permissions { audiences: texts(&["orders", "shipping"]), ..Default::default() })
    };
    let after = accepted(update(&server.root, wanted, &["permissions.audiences"]).await);
    let mut expected = before.clone();
    expected.permissions.as_mut().unwrap().audiences = texts(&["orders", "shipping"]);
    expected.update_time.as_mut().unwrap().seconds += 60;
    expected.etag.clone_from(&after.etag);
    assert_eq!(after, expected);
    assert_ne!(after.etag, before.etag);
    assert_eq!(get(&server).await, after);

    // It bites on the next call, over the open connection.
    accepted(caller.issue(for_alice()).await);
    let disabled = v1::Client { client_id: "web".to_owned(), disabled: true, ..Default::default() };
    accepted(update(&server.root, disabled, &[]).await);
    assert_refused(caller.issue(for_alice()).await, Code::Unauthenticated, "CREDENTIALS_INVALID");
    let enabled = v1::Client { client_id: "web".to_owned(), ..Default::default() };
    accepted(update(&server.root, enabled, &["disabled"]).await);
    accepted(caller.issue(for_alice()).await);
}

#[tokio::test]
async fn without_a_mask_the_fields_that_are_set_change() {
    let server = TestServer::start().await;
    server.client(web()).await;
    let before = get(&server).await.permissions.unwrap();
    let scopes = v1::Permissions { scopes: texts(&["read"]), ..Default::default() };
    let after = accepted(update(&server.root, permissions(scopes), &[]).await);
    assert_eq!(after.permissions.unwrap(), v1::Permissions { scopes: texts(&["read"]), ..before });
    assert_eq!(after.display_name, "The web shop");
}

#[tokio::test]
async fn groups_and_all_take_what_is_empty_too() {
    let server = TestServer::start().await;
    server.client(web()).await;
    let scopes = v1::Permissions { scopes: texts(&["read"]), ..Default::default() };
    // The default audiences would be among no permitted ones any more: what comes of it must be valid as a whole.
    let status = refused(update(&server.root, permissions(scopes.clone()), &["permissions"]).await);
    assert_eq!(fields(&status), ["client.default_audiences[0]"]);
    let mask = ["permissions", "default_audiences"];
    let after = accepted(update(&server.root, permissions(scopes.clone()), &mask).await);
    let hour = v1::Permissions { max_ttl: seconds(3600), ..scopes };
    assert_eq!((after.permissions, after.default_audiences), (Some(hour), texts(&[])));
    assert_eq!(after.display_name, "The web shop");

    let bare = v1::Client { client_id: "web".to_owned(), ..Default::default() };
    let after = accepted(update(&server.root, bare, &["*"]).await);
    assert_eq!((after.display_name.as_str(), after.permissions.unwrap().scopes), ("", texts(&[])));
    assert_eq!(after.authentication.unwrap().client_secrets.len(), 1, "its secret is none of this");
}

#[tokio::test]
async fn a_life_that_was_never_said_stays_unsaid() {
    let server = TestServer::start().await;
    server.client(web()).await;
    assert_eq!(get(&server).await.default_ttl, seconds(600));
    // The default follows the cap down, because no operator chose it.
    let cap = v1::Permissions { max_ttl: seconds(60), ..Default::default() };
    let after = accepted(update(&server.root, permissions(cap), &[]).await);
    assert_eq!(after.default_ttl, seconds(60));
}

#[tokio::test]
async fn a_mask_that_makes_no_sense_is_refused() {
    let server = TestServer::start().await;
    server.client(web()).await;
    let client = || v1::Client { display_name: "new".to_owned(), ..web() };
    for path in [
        "nonsense",
        "client_id",
        "etag",
        "create_time",
        "update_time",
        "authentication.client_secrets",
        "permissions.",
        "permission",
        "permissions.audiences.x",
        "Disabled",
        "",
    ] {
        let status = refused(update(&server.root, client(), &["disabled", path]).await);
        assert_eq!(
            (status.code(), fields(&status)),
            (Code::InvalidArgument, texts(&["update_mask"])),
            "{path}"
        );
    }
    let status = refused(update(&server.root, client(), &["*", "disabled"]).await);
    assert_eq!(fields(&status), ["update_mask"]);
    let status = refused(update(&server.root, client(), &["disabled"; 65]).await);
    assert_eq!(fields(&status), ["update_mask"]);
    let nothing = v1::Client { client_id: "web".to_owned(), ..Default::default() };
    assert_eq!(fields(&refused(update(&server.root, nothing, &[]).await)), ["update_mask"]);
    let nobody = v1::Client { client_id: String::new(), etag: "1".to_owned(), ..client() };
    let status =
        assert_refused(update(&server.root, nobody, &[]).await, Code::InvalidArgument, "FIELD_INVALID");
    assert_eq!(fields(&status), ["client.client_id", "client.etag"]);
    let unknown = v1::Client { client_id: "unknown".to_owned(), ..client() };
    assert_refused(update(&server.root, unknown, &[]).await, Code::NotFound, "CLIENT_NOT_FOUND");
    assert_eq!(get(&server).await.display_name, "The web shop");
}

#[tokio::test]
async fn an_etag_is_of_one_version() {
    let server = TestServer::start().await;
    server.client(web()).await;
    let first = get(&server).await;
    let named = |name: &str, etag: &str| v1::Client {
        client_id: "web".to_owned(),
        display_name: name.to_owned(),
        etag: etag.to_owned(),
        ..Default::default()
    };
    let second = accepted(update(&server.root, named("second", &first.etag), &[]).await);
    let late = update(&server.root, named("third", &first.etag), &[]).await;
    assert_refused(late, Code::Aborted, "ETAG_MISMATCH");
    // What changes nothing makes no version.
    assert_eq!(accepted(update(&server.root, named("second", &second.etag), &[]).await), second);
    assert_refused(delete(&server, &first.etag).await, Code::Aborted, "ETAG_MISMATCH");
    for malformed in ["1", "\"\"", "\"1\"", "\"a-b\"", "W/\"1-1\"", "\"1-1"] {
        assert_eq!(fields(&refused(delete(&server, malformed).await)), ["etag"], "{malformed}");
    }
    accepted(delete(&server, &second.etag).await);
    assert_refused(delete(&server, &second.etag).await, Code::NotFound, "CLIENT_NOT_FOUND");

    // Registered anew within the same second, it begins at a version that is none of the one before.
    server.client(web()).await;
    let stale = update(&server.root, named("fourth", &first.etag), &[]).await;
    assert_refused(stale, Code::Aborted, "ETAG_MISMATCH");
}

#[tokio::test]
async fn of_updates_with_one_etag_one_wins_and_without_none_is_lost() {
    let server = TestServer::start().await;
    server.client(web()).await;
    for round in 0..10 {
        let etag = get(&server).await.etag;
        let mut racers = JoinSet::new();
        for racer in 0..12 {
            let (root, etag) = (server.root.clone(), etag.clone());
            let display_name = format!("{round}-{racer}");
            racers.spawn(async move {
                update(&root, v1::Client { display_name, etag, ..web() }, &["display_name"]).await
            });
        }
        let (won, lost): (Vec<_>, Vec<_>) = racers.join_all().await.into_iter().partition(Result::is_ok);
        assert_eq!(won.len(), 1);
        assert_eq!(won.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [get(&server).await]);
        for late in lost {
            assert_refused(late, Code::Aborted, "ETAG_MISMATCH");
        }
    }
    let fields = [
        "revoke_subjects",
        "audiences",
        "scopes",
        "subjects",
        "claims",
        "verify_audiences",
        "login_usernames",
    ];
    let mut racers = JoinSet::new();
    for field in fields {
        let root = server.root.clone();
        racers.spawn(async move {
            for round in 0..5 {
                let values = vec!["orders".to_owned(), format!("{field}-{round}")];
                let all = v1::Permissions {
                    revoke_subjects: values.clone(),
                    audiences: values.clone(),
                    scopes: values.clone(),
                    subjects: values.clone(),
                    claims: values.clone(),
                    verify_audiences: values.clone(),
                    login_usernames: values,
                    ..Default::default()
                };
                let path = format!("permissions.{field}");
                accepted(update(&root, permissions(all), &[path.as_str()]).await);
            }
        });
    }
    racers.join_all().await;
    let after = get(&server).await.permissions.unwrap();
    let lists = [
        after.revoke_subjects,
        after.audiences,
        after.scopes,
        after.subjects,
        after.claims,
        after.verify_audiences,
        after.login_usernames,
    ];
    assert_eq!(lists, fields.map(|field| vec!["orders".to_owned(), format!("{field}-4")]));
}

#[tokio::test]
async fn without_the_store_nothing_changes() {
    let (server, store) = CountingStore::serve(settings()).await;
    let caller = server.client(web()).await;
    store.set_down(true);
    let disabled = v1::Client { client_id: "web".to_owned(), disabled: true, ..Default::default() };
    let down = update(&server.root, disabled, &[]).await;
    assert_refused(down, Code::Unavailable, "STORE_UNAVAILABLE");
    accepted(caller.issue(for_alice()).await);
    let denied = update(&caller, web(), &["nonsense"]).await;
    assert_refused(denied, Code::PermissionDenied, "METHOD_NOT_ALLOWED");
}
