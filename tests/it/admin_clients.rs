//! ClientService: which clients a caller may administer, and which permissions are as much as the role `admin`.

use tokend::{model::ClientSecret, proto::v1};
use tonic::{Code, Status};

use crate::{
    exchanges::{assert_denied, client, texts},
    harness::{TestClient, TestServer, accepted, assert_refused, reason, refused},
};

async fn create(by: &TestClient, id: &str, may: v1::Permissions) -> Result<v1::CreateClientResponse, Status> {
    let client = v1::Client { client_id: id.to_owned(), permissions: Some(may), ..Default::default() };
    let request = v1::CreateClientRequest { client: Some(client), ..Default::default() };
    Ok(by.clients().create_client(by.request(request)).await?.into_inner())
}

async fn get(by: &TestClient, id: &str) -> Result<v1::Client, Status> {
    let request = by.request(v1::GetClientRequest { client_id: id.to_owned() });
    Ok(by.clients().get_client(request).await?.into_inner().client.unwrap())
}

async fn update(by: &TestClient, id: &str, may: v1::Permissions) -> Result<v1::Client, Status> {
    let client = v1::Client { client_id: id.to_owned(), permissions: Some(may), ..Default::default() };
    let request = v1::UpdateClientRequest { client: Some(client), ..Default::default() };
    Ok(by.clients().update_client(by.request(request)).await?.into_inner().client.unwrap())
}

async fn rename(by: &TestClient, id: &str) -> Result<v1::Client, Status> {
    let client =
        v1::Client { client_id: id.to_owned(), display_name: "renamed".to_owned(), ..Default::default() };
    let request = v1::UpdateClientRequest { client: Some(client), ..Default::default() };
    Ok(by.clients().update_client(by.request(request)).await?.into_inner().client.unwrap())
}

async fn delete(by: &TestClient, id: &str) -> Result<(), Status> {
    let request = by.request(v1::DeleteClientRequest { client_id: id.to_owned(), ..Default::default() });
    by.clients().delete_client(request).await.map(drop)
}

async fn rotate(by: &TestClient, id: &str) -> Result<String, Status> {
    let request =
        by.request(v1::RotateClientSecretRequest { client_id: id.to_owned(), ..Default::default() });
    Ok(by.clients().rotate_client_secret(request).await?.into_inner().client_secret)
}

async fn listed(by: &TestClient, page_size: i32) -> Vec<String> {
    let mut ids = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = by.request(v1::ListClientsRequest { page_size, page_token });
        let page = accepted(by.clients().list_clients(request).await).into_inner();
        ids.extend(page.clients.into_iter().map(|client| client.client_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return ids;
        }
    }
}

async fn with_secret(server: &TestServer, secret: String) -> TestClient {
    TestClient::new(server.grpc, Some(ClientSecret::from_text(secret))).await
}

fn role(name: &str) -> v1::Permissions {
    v1::Permissions { roles: texts(&[name]), ..Default::default() }
}

fn methods(names: &[&str]) -> v1::Permissions {
    v1::Permissions { methods: texts(names), ..Default::default() }
}

/// Administers the clients of its team, and may do what these may do.
fn team_lead() -> v1::Permissions {
    v1::Permissions {
        admin_clients: texts(&["team-a-*"]),
        audiences: texts(&["a-*"]),
        scopes: texts(&["read"]),
        ..methods(&["ClientService/*", "TokenService/IssueToken"])
    }
}

#[tokio::test]
async fn a_method_alone_reaches_no_other_client() {
    let server = TestServer::start().await;
    client(&server, "admin", role("admin")).await;
    let rotator = client(&server, "rotator", methods(&["ClientService/RotateClientSecret"])).await;
    assert_denied(rotate(&rotator, "admin").await, "SUBJECT_NOT_ALLOWED", "client_id");
    // That there is none is not told either, nor what is wrong with the rest of the request.
    assert_denied(rotate(&rotator, "no-such-client").await, "SUBJECT_NOT_ALLOWED", "client_id");
    assert_denied(rotate(&rotator, "No Id").await, "SUBJECT_NOT_ALLOWED", "client_id");
    // Its own secret is its own.
    let secret = accepted(rotate(&rotator, "rotator").await);
    accepted(rotate(&with_secret(&server, secret).await, "rotator").await);

    let all = client(&server, "all", methods(&["ClientService/*"])).await;
    assert_denied(get(&all, "admin").await, "SUBJECT_NOT_ALLOWED", "client_id");
    assert_eq!(accepted(get(&all, "all").await).client_id, "all");
    assert_denied(delete(&all, "admin").await, "SUBJECT_NOT_ALLOWED", "client_id");
    for id in ["admin", "all"] {
        let answer = update(&all, id, role("admin")).await;
        assert_denied(answer, "SUBJECT_NOT_ALLOWED", "client.client_id");
    }
    assert_denied(create(&all, "new", role("admin")).await, "SUBJECT_NOT_ALLOWED", "client.client_id");
    // One whose id the server would choose is of no pattern but `*`.
    assert_denied(create(&all, "", role("admin")).await, "SUBJECT_NOT_ALLOWED", "client.client_id");
    assert!(listed(&all, 50).await.is_empty());
}

#[tokio::test]
async fn a_pattern_is_for_clients_that_may_do_no_more_than_the_caller() {
    let server = TestServer::start().await;
    let lead = client(&server, "lead", team_lead()).await;
    client(&server, "team-a-ops", role("admin")).await;
    client(&server, "team-b-web", v1::Permissions::default()).await;
    let issuing = v1::Permissions {
        audiences: texts(&["a-web", "a-b*"]),
        scopes: texts(&["read"]),
        ..methods(&["TokenService/IssueToken"])
    };
    accepted(create(&lead, "team-a-web", issuing.clone()).await);
    accepted(rename(&lead, "team-a-web").await);
    accepted(rotate(&lead, "team-a-web").await);
    assert_eq!(accepted(get(&lead, "team-a-web").await).display_name, "renamed");
    for answer in [
        delete(&lead, "team-b-web").await.err(),
        rotate(&lead, "team-b-web").await.err(),
        get(&lead, "team-b-web").await.err(),
    ] {
        assert_eq!(reason(&answer.unwrap()), "SUBJECT_NOT_ALLOWED");
    }
    for page_size in [0, 1, 2] {
        assert_eq!(listed(&lead, page_size).await, ["team-a-ops", "team-a-web"]);
    }
    // A client that may do more it may see and delete, and not become.
    assert_denied(rotate(&lead, "team-a-ops").await, "SUBJECT_NOT_ALLOWED", "client.permissions.roles[0]");
    assert_denied(rename(&lead, "team-a-ops").await, "SUBJECT_NOT_ALLOWED", "client.permissions.roles[0]");
    accepted(get(&lead, "team-a-ops").await);

    type Change = fn(&mut v1::Permissions);
    let table: [(Change, &str); 19] = [
        (|may| may.roles = texts(&["viewer"]), "roles[0]"),
        (|may| may.methods = texts(&["TokenService/*"]), "methods[0]"),
        (|may| may.methods = texts(&["TokenService/IssueToken", "KeyService/ListKeys"]), "methods[1]"),
        (|may| may.audiences = texts(&["a-web", "*"]), "audiences[1]"),
        (|may| may.audiences = texts(&["a*"]), "audiences[0]"),
        (|may| may.scopes = texts(&["read*"]), "scopes[0]"),
        (|may| may.subjects = texts(&["alice"]), "subjects[0]"),
        (|may| may.claims = texts(&["tenant"]), "claims[0]"),
        (|may| may.verify_audiences = texts(&["a-web"]), "verify_audiences[0]"),
        (|may| may.login_usernames = texts(&["alice"]), "login_usernames[0]"),
        (|may| may.revoke_subjects = texts(&["alice"]), "revoke_subjects[0]"),
        (|may| may.revoke_clients = texts(&["web"]), "revoke_clients[0]"),
        (|may| may.exchange_subjects = texts(&["alice"]), "exchange_subjects[0]"),
        (|may| may.exchange_audiences = texts(&["a-web"]), "exchange_audiences[0]"),
        (|may| may.exchange_issuers = texts(&["https://a"]), "exchange_issuers[0]"),
        (|may| may.verify_issuers = texts(&["https://a"]), "verify_issuers[0]"),
        (|may| may.exchange_actors = texts(&["alice"]), "exchange_actors[0]"),
        (|may| may.admin_clients = texts(&["team-a-*", "team-*"]), "admin_clients[1]"),
        (|may| may.impersonate = true, "impersonate"),
    ];
    for (change, field) in table {
        let mut may = issuing.clone();
        change(&mut may);
        let field = format!("client.permissions.{field}");
        assert_denied(create(&lead, "team-a-new", may.clone()).await, "SUBJECT_NOT_ALLOWED", &field);
        assert_denied(update(&lead, "team-a-web", may).await, "SUBJECT_NOT_ALLOWED", &field);
    }
    let longer = v1::Permissions { max_ttl: crate::harness::seconds(3601), ..issuing };
    let answer = update(&lead, "team-a-web", longer).await;
    assert_denied(answer, "SUBJECT_NOT_ALLOWED", "client.permissions.max_ttl");
    accepted(delete(&lead, "team-a-ops").await);
}

#[tokio::test]
async fn what_restricts_the_callers_claims_restricts_those_of_its_clients() {
    let server = TestServer::start().await;
    let only =
        |values: &[&str]| vec![v1::ClaimCondition { claim: "tenant".to_owned(), values: texts(values) }];
    let may = v1::Permissions { claims: texts(&["tenant"]), claim_values: only(&["a*", "b"]), ..team_lead() };
    let lead = client(&server, "lead", may).await;
    let having =
        |claim_values| v1::Permissions { claims: texts(&["tenant"]), claim_values, ..Default::default() };
    accepted(create(&lead, "team-a-one", having(only(&["acme", "b"]))).await);
    for wider in [Vec::new(), only(&["*"]), only(&["acme", "c"])] {
        let answer = create(&lead, "team-a-two", having(wider)).await;
        assert_denied(answer, "SUBJECT_NOT_ALLOWED", "client.permissions.claim_values");
    }
}

/// What docs/clients.md lists as equivalent to `admin`: each takes over a client with that role, or makes itself one.
#[tokio::test]
async fn permissions_that_are_as_much_as_admin() {
    let server = TestServer::start().await;
    client(&server, "admin", role("admin")).await;
    let everywhere = |method: &str| v1::Permissions { admin_clients: texts(&["*"]), ..methods(&[method]) };

    let rotator = client(&server, "rotator", everywhere("ClientService/RotateClientSecret")).await;
    let secret = accepted(rotate(&rotator, "admin").await);
    accepted(get(&with_secret(&server, secret).await, "admin").await);

    let updater = client(&server, "updater", everywhere("ClientService/UpdateClient")).await;
    accepted(update(&updater, "updater", role("admin")).await);
    accepted(get(&updater, "admin").await);

    let creator = client(&server, "creator", everywhere("ClientService/CreateClient")).await;
    let secret = accepted(create(&creator, "other", role("admin")).await).client_secret;
    accepted(get(&with_secret(&server, secret).await, "admin").await);

    let role_holder = client(&server, "role-holder", role("client-admin")).await;
    let secret = accepted(rotate(&role_holder, "admin").await);
    accepted(get(&with_secret(&server, secret).await, "admin").await);

    // These are not: with them, no way leads to another client.
    for (id, may) in [
        ("viewer", role("viewer")),
        ("user-admin", role("user-admin")),
        ("key-admin", role("key-admin")),
        ("session-admin", role("session-admin")),
        ("deleter", everywhere("ClientService/DeleteClient")),
        ("reader", everywhere("ClientService/GetClient")),
        (
            "issuer",
            v1::Permissions {
                subjects: texts(&["*"]),
                audiences: texts(&["*"]),
                ..methods(&["TokenService/*"])
            },
        ),
    ] {
        let caller = client(&server, id, may).await;
        for answer in [
            rotate(&caller, "admin").await.err(),
            update(&caller, id, role("admin")).await.err(),
            create(&caller, "another", role("admin")).await.err(),
        ] {
            let status = answer.unwrap();
            assert_eq!(
                (status.code(), reason(&status).as_str()),
                (Code::PermissionDenied, "METHOD_NOT_ALLOWED")
            );
        }
    }
}

#[tokio::test]
async fn roles_are_for_all_clients() {
    let server = TestServer::start().await;
    client(&server, "web", v1::Permissions::default()).await;
    // The role decides, whatever the patterns say.
    let viewer = v1::Permissions { admin_clients: texts(&["team-*"]), ..role("viewer") };
    let viewer = client(&server, "viewer", viewer).await;
    accepted(get(&viewer, "web").await);
    assert_eq!(listed(&viewer, 50).await, ["root", "viewer", "web"]);
    assert_refused(rotate(&viewer, "web").await, Code::PermissionDenied, "METHOD_NOT_ALLOWED");
    let status = refused(delete(&viewer, "web").await);
    assert_eq!(reason(&status), "METHOD_NOT_ALLOWED");
}
