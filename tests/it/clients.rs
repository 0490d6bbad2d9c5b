//! ClientService: registering clients, and the lives of their secrets.

use tokend::{model::ClientId, proto::v1};
use tonic::{Code, Status};

use crate::{
    counting_store::CountingStore,
    harness::{
        START, TestClient, TestServer, accepted, assert_refused, fields, for_alice, refused, seconds,
        settings,
    },
};

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

fn issuing() -> v1::Client {
    v1::Client {
        client_id: "web".to_owned(),
        display_name: "The web shop".to_owned(),
        default_audiences: texts(&["orders"]),
        default_ttl: seconds(120),
        permissions: Some(v1::Permissions {
            methods: texts(&["TokenService/*"]),
            audiences: texts(&["orders", "all"]),
            subjects: texts(&["*"]),
            scopes: texts(&["*"]),
            max_ttl: seconds(600),
            verify_audiences: texts(&["orders"]),
            ..Default::default()
        }),
        ..Default::default()
    }
}

async fn create(server: &TestServer, client: v1::Client) -> Result<v1::CreateClientResponse, Status> {
    let request = v1::CreateClientRequest { client: Some(client), request_id: String::new() };
    Ok(server.root.clients().create_client(server.root.request(request)).await?.into_inner())
}

async fn get(server: &TestServer, client_id: &str) -> Result<v1::Client, Status> {
    let request = v1::GetClientRequest { client_id: client_id.to_owned() };
    let answer = server.root.clients().get_client(server.root.request(request)).await?;
    Ok(answer.into_inner().client.unwrap())
}

async fn rotate(server: &TestServer, overlap: Option<i64>) -> String {
    let request = v1::RotateClientSecretRequest {
        client_id: "web".to_owned(),
        overlap: overlap.and_then(seconds),
        ..Default::default()
    };
    let answer = server.root.clients().rotate_client_secret(server.root.request(request)).await;
    answer.map_err(|status| status.to_string()).unwrap().into_inner().client_secret
}

async fn calling(server: &TestServer, secret: &str) -> TestClient {
    TestClient::new(server.grpc, Some(tokend::model::ClientSecret::from_text(secret))).await
}

#[tokio::test]
async fn a_client_is_registered_shown_listed_and_deleted() {
    let server = TestServer::start().await;
    let created = accepted(create(&server, issuing()).await);
    assert!(created.client_secret.starts_with("tkd_web_"));
    assert_eq!(created.client_secret.len(), "tkd_web_".len() + 43, "256 bits");
    let client = created.client.unwrap();
    assert_eq!(client.display_name, "The web shop");
    assert_eq!(client.token_type, "JWT");
    assert_eq!((client.default_ttl, client.create_time.unwrap().seconds), (seconds(120), START));
    assert_eq!(client.permissions, issuing().permissions);
    assert_eq!(client.authentication.as_ref().unwrap().client_secrets.len(), 1);
    assert_eq!(get(&server, "web").await.map_err(|status| status.to_string()).unwrap(), client);

    let web = calling(&server, &created.client_secret).await;
    let token = accepted(web.issue(for_alice()).await).access_token;
    assert_refused(create(&server, issuing()).await, Code::AlreadyExists, "CLIENT_ALREADY_EXISTS");

    let delete = || {
        let request = v1::DeleteClientRequest { client_id: "web".to_owned(), ..Default::default() };
        server.root.request(request)
    };
    server.root.clients().delete_client(delete()).await.unwrap();
    // The next call is refused, on the open connection too; the token lives until it expires.
    assert_refused(web.issue(for_alice()).await, Code::Unauthenticated, "CREDENTIALS_INVALID");
    accepted(server.root.check(&token).await);
    assert_refused(get(&server, "web").await, Code::NotFound, "CLIENT_NOT_FOUND");
    let again = server.root.clients().delete_client(delete()).await;
    assert_refused(again, Code::NotFound, "CLIENT_NOT_FOUND");
}

#[tokio::test]
async fn a_client_without_an_id_is_given_one_and_no_permission() {
    let server = TestServer::start().await;
    let created = accepted(create(&server, v1::Client::default()).await);
    let client = created.client.unwrap();
    assert!(client.client_id.starts_with("c-"), "{}", client.client_id);
    assert_eq!(client.permissions.unwrap().methods, Vec::<String>::new());
    let caller = calling(&server, &created.client_secret).await;
    assert_refused(caller.issue(for_alice()).await, Code::PermissionDenied, "METHOD_NOT_ALLOWED");
}

#[tokio::test]
async fn secrets_overlap_for_as_long_as_rotation_says() {
    let server = TestServer::start().await;
    let first = accepted(create(&server, issuing()).await).client_secret;
    let works = async |secret: &str| calling(&server, secret).await.issue(for_alice()).await.is_ok();

    let second = rotate(&server, Some(60)).await;
    assert_ne!(first, second);
    assert!(works(&first).await && works(&second).await);
    let shown = get(&server, "web").await.map_err(|status| status.to_string()).unwrap();
    let ends: Vec<_> = shown
        .authentication
        .unwrap()
        .client_secrets
        .iter()
        .map(|secret| secret.expire_time.is_some())
        .collect();
    assert_eq!(ends, [true, false]);
    server.clock.advance(59);
    assert!(works(&first).await);
    server.clock.advance(1);
    assert!(!works(&first).await && works(&second).await);
    let shown = get(&server, "web").await.map_err(|status| status.to_string()).unwrap();
    assert_eq!(shown.authentication.unwrap().client_secrets.len(), 1, "one that ended is not shown");

    // At once, after a leak.
    let third = rotate(&server, Some(0)).await;
    assert!(!works(&second).await && works(&third).await);
    // A day, when nothing is said.
    let fourth = rotate(&server, None).await;
    server.clock.advance(24 * 60 * 60 - 1);
    assert!(works(&third).await && works(&fourth).await);
    server.clock.advance(1);
    assert!(!works(&third).await && works(&fourth).await);
    // However often it is rotated, a client has at most five.
    for _ in 0..9 {
        rotate(&server, Some(3600)).await;
    }
    assert!(!works(&fourth).await);
}

#[tokio::test]
async fn lists_come_in_pages_that_miss_and_repeat_nothing() {
    let server = TestServer::start().await;
    for number in 0..25 {
        let client = v1::Client { client_id: format!("c{number:02}"), ..Default::default() };
        accepted(create(&server, client).await);
    }
    let page = async |page_size, page_token: &str| {
        let request = v1::ListClientsRequest { page_size, page_token: page_token.to_owned() };
        server
            .root
            .clients()
            .list_clients(server.root.request(request))
            .await
            .map(tonic::Response::into_inner)
    };
    let mut seen = Vec::new();
    let mut token = String::new();
    let mut pages = 0;
    loop {
        let answer = accepted(page(10, &token).await);
        seen.extend(answer.clients.into_iter().map(|client| client.client_id));
        pages += 1;
        token = answer.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let mut expected: Vec<String> = (0..25).map(|number| format!("c{number:02}")).collect();
    expected.push("root".to_owned());
    assert_eq!((seen, pages), (expected, 3));
    assert_eq!(accepted(page(26, "").await).next_page_token, "", "a full last page is the last");
    assert_eq!(accepted(page(0, "").await).clients.len(), 26, "50 by default");
    assert_eq!(fields(&refused(page(-1, "!").await)), ["page_size", "page_token"]);
}

#[tokio::test]
async fn a_page_of_large_clients_is_no_larger_than_every_caller_takes() {
    let server = TestServer::start().await;
    let large =
        |length| (0..64).map(|number| format!("{number:02}{}", "x".repeat(length))).collect::<Vec<_>>();
    let permissions = v1::Permissions {
        audiences: large(250),
        scopes: large(250),
        subjects: large(250),
        verify_audiences: large(250),
        ..Default::default()
    };
    for number in 0..70 {
        let client = v1::Client {
            client_id: format!("c{number:02}"),
            permissions: Some(permissions.clone()),
            ..Default::default()
        };
        accepted(create(&server, client).await);
    }
    let (mut seen, mut pages, mut page_token) = (Vec::new(), 0, String::new());
    while pages == 0 || !page_token.is_empty() {
        let request = server.root.request(v1::ListClientsRequest { page_size: 1000, page_token });
        let answer = accepted(server.root.clients().list_clients(request).await).into_inner();
        seen.extend(answer.clients.into_iter().map(|client| client.client_id));
        (pages, page_token) = (pages + 1, answer.next_page_token);
    }
    let mut expected: Vec<String> = (0..70).map(|number| format!("c{number:02}")).collect();
    expected.push("root".to_owned());
    assert_eq!((seen, pages), (expected, 3));
}

#[tokio::test]
async fn a_client_that_makes_no_sense_is_refused_field_by_field() {
    let server = TestServer::start().await;
    let wrong = v1::Client {
        client_id: "Not An Id".to_owned(),
        display_name: "x".repeat(129),
        default_audiences: texts(&["elsewhere"]),
        default_ttl: seconds(601),
        token_type: "at+JWT".to_owned(),
        algorithm: "none".to_owned(),
        permissions: Some(v1::Permissions {
            methods: texts(&["", "a*b", "**", "TokenService/IssueTokn", "tokenservice/*", "TokenService/*"]),
            audiences: vec!["a".to_owned(); 65],
            subjects: vec!["s".repeat(256)],
            max_ttl: seconds(600),
            ..Default::default()
        }),
        ..Default::default()
    };
    let status = assert_refused(create(&server, wrong).await, Code::InvalidArgument, "FIELD_INVALID");
    let mut named = fields(&status);
    named.sort();
    let expected = [
        "client.algorithm",
        "client.client_id",
        "client.default_audiences[0]",
        "client.default_ttl",
        "client.display_name",
        "client.permissions.audiences",
        "client.permissions.methods[0]",
        "client.permissions.methods[1]",
        "client.permissions.methods[2]",
        "client.permissions.methods[3]",
        "client.permissions.methods[4]",
        "client.permissions.subjects[0]",
        "client.token_type",
    ];
    assert_eq!(named, expected);
    let year = v1::Permissions { max_ttl: seconds(365 * 24 * 60 * 60 + 1), ..Default::default() };
    let status = refused(create(&server, v1::Client { permissions: Some(year), ..Default::default() }).await);
    assert_eq!(fields(&status), ["client.permissions.max_ttl"]);
    for id in ["-a", "a-", "A", "a_b", "a b", "ä", &"a".repeat(64), ".."] {
        let client = v1::Client { client_id: id.to_owned(), ..Default::default() };
        assert_eq!(fields(&refused(create(&server, client).await)), ["client.client_id"], "{id}");
    }
    let request = v1::RotateClientSecretRequest {
        overlap: seconds(-1),
        request_id: "x".to_owned(),
        ..Default::default()
    };
    let status = refused(server.root.clients().rotate_client_secret(server.root.request(request)).await);
    assert_eq!(fields(&status), ["request_id", "overlap", "client_id"]);
}

#[tokio::test]
async fn a_slow_look_at_the_store_never_brings_a_deleted_client_back() {
    let (server, store) = CountingStore::serve(settings()).await;
    let web = server.client(issuing()).await;
    accepted(web.issue(for_alice()).await);

    // Registering another client reads all clients again; what it read is held back.
    store.hold_clients();
    let root = server.root.clone();
    let slow = tokio::spawn(async move {
        let request = v1::CreateClientRequest::default();
        root.clients().create_client(root.request(request)).await.map(|_| ())
    });
    while !store.holds_clients() {
        tokio::task::yield_now().await;
    }
    // Meanwhile the client is deleted. However long it has for that, the older list must not come after it.
    let root = server.root.clone();
    let deleted = tokio::spawn(async move {
        let request = v1::DeleteClientRequest { client_id: "web".to_owned(), ..Default::default() };
        root.clients().delete_client(root.request(request)).await.map(|_| ())
    });
    while server.store.client(&ClientId::parse("web").unwrap()).await.is_ok() {
        tokio::task::yield_now().await;
    }
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    store.release_clients();
    accepted(slow.await.unwrap());
    accepted(deleted.await.unwrap());
    assert_refused(web.issue(for_alice()).await, Code::Unauthenticated, "CREDENTIALS_INVALID");
}
