//! ClientService: a request that comes again under its `request_id` is answered as the first time.

use tokend::proto::v1;
use tokio::task::JoinSet;
use tonic::{Code, Status};

use crate::{
    counting_store::CountingStore,
    harness::{TestClient, TestServer, accepted, assert_refused, for_alice, settings},
};

const ID: &str = "123e4567-e89b-12d3-a456-426614174000";

fn issuing(client_id: &str) -> v1::Client {
    let any = || vec!["*".to_owned()];
    v1::Client {
        client_id: client_id.to_owned(),
        permissions: Some(v1::Permissions {
            methods: any(),
            audiences: any(),
            scopes: any(),
            subjects: any(),
            admin_clients: any(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

async fn create(
    caller: &TestClient,
    client_id: &str,
    request_id: &str,
) -> Result<v1::CreateClientResponse, Status> {
    let request =
        v1::CreateClientRequest { client: Some(issuing(client_id)), request_id: request_id.to_owned() };
    Ok(caller.clients().create_client(caller.request(request)).await?.into_inner())
}

async fn rotate(caller: &TestClient, request_id: &str) -> Result<String, Status> {
    let request = v1::RotateClientSecretRequest {
        client_id: "web".to_owned(),
        request_id: request_id.to_owned(),
        ..Default::default()
    };
    let answer = caller.clients().rotate_client_secret(caller.request(request)).await?;
    Ok(answer.into_inner().client_secret)
}

#[tokio::test]
async fn a_repeated_creation_answers_the_same_secret() {
    let server = TestServer::start().await;
    let first = accepted(create(&server.root, "web", ID).await);
    server.clock.advance(599);
    let again = accepted(create(&server.root, "web", ID).await);
    assert!(again.client_secret == first.client_secret && again.client == first.client);
    let secret = tokend::model::ClientSecret::from_text(again.client_secret);
    accepted(TestClient::new(server.grpc, Some(secret)).await.issue(for_alice()).await);
    // The first answer is ten minutes old: it is forgotten, and the request is a new one.
    server.clock.advance(1);
    let late = create(&server.root, "web", ID).await;
    assert_refused(late, Code::AlreadyExists, "CLIENT_ALREADY_EXISTS");
    let nameless = create(&server.root, "web", "").await;
    assert_refused(nameless, Code::AlreadyExists, "CLIENT_ALREADY_EXISTS");
}

#[tokio::test]
async fn another_request_may_not_have_the_same_id() {
    let server = TestServer::start().await;
    accepted(create(&server.root, "web", ID).await);
    let other = create(&server.root, "other", ID).await;
    assert_refused(other, Code::FailedPrecondition, "REQUEST_ID_REUSED");
    // Nor one of another method.
    assert_refused(rotate(&server.root, ID).await, Code::FailedPrecondition, "REQUEST_ID_REUSED");
    // Another caller's ids are its own.
    let admin = server.client(issuing("admin")).await;
    let taken = create(&admin, "web", ID).await;
    assert_refused(taken, Code::AlreadyExists, "CLIENT_ALREADY_EXISTS");
    accepted(create(&admin, "other", "00000000-0000-0000-0000-000000000000").await);
}

#[tokio::test]
async fn repeated_changes_are_made_once() {
    let server = TestServer::start().await;
    let web = server.client(issuing("web")).await;
    let first = accepted(rotate(&server.root, ID).await);
    assert!(accepted(rotate(&server.root, ID).await) == first);
    accepted(web.issue(for_alice()).await);

    let etag = {
        let request = v1::GetClientRequest { client_id: "web".to_owned() };
        let shown = accepted(server.root.clients().get_client(server.root.request(request)).await);
        let client = shown.into_inner().client.unwrap();
        assert_eq!(client.authentication.unwrap().client_secrets.len(), 2);
        client.etag
    };
    let update = || {
        let client = v1::Client {
            client_id: "web".to_owned(),
            display_name: "new".to_owned(),
            etag: etag.clone(),
            ..Default::default()
        };
        server.root.request(v1::UpdateClientRequest {
            client: Some(client),
            request_id: ID.replace('1', "2"),
            ..Default::default()
        })
    };
    let changed = accepted(server.root.clients().update_client(update()).await).into_inner();
    // By itself the etag would be refused now.
    assert_eq!(accepted(server.root.clients().update_client(update()).await).into_inner(), changed);

    let delete = || {
        let request = v1::DeleteClientRequest {
            client_id: "web".to_owned(),
            request_id: ID.replace('1', "3"),
            ..Default::default()
        };
        server.root.request(request)
    };
    accepted(server.root.clients().delete_client(delete()).await);
    accepted(server.root.clients().delete_client(delete()).await);
}

#[tokio::test]
async fn of_many_at_once_one_is_done_and_all_are_answered() {
    let (server, store) = CountingStore::serve(settings()).await;
    store.hold();
    let mut racers = JoinSet::new();
    for _ in 0..12 {
        let root = server.root.clone();
        racers.spawn(async move { create(&root, "web", ID).await });
    }
    store.call_arrived().await;
    store.release();
    let answers: Vec<_> = racers.join_all().await.into_iter().map(accepted).collect();
    assert!(answers.iter().all(|answer| answer.client_secret == answers[0].client_secret));
    assert_eq!(server.store.clients().await.unwrap().len(), 2, "root and one more");
}

#[tokio::test]
async fn who_goes_away_is_answered_when_it_asks_again() {
    let (server, store) = CountingStore::serve(settings()).await;
    // It is made, and what follows is held back.
    store.hold_clients();
    let root = server.root.clone();
    let gone = tokio::spawn(async move { create(&root, "web", ID).await.map(|_| ()) });
    while !store.holds_clients() {
        tokio::task::yield_now().await;
    }
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    // A call over the same connection: when it is answered, the server has seen the other one end.
    accepted(server.root.issue(for_alice()).await);
    store.release_clients();
    let made = accepted(create(&server.root, "web", ID).await);
    let secret = tokend::model::ClientSecret::from_text(made.client_secret);
    accepted(TestClient::new(server.grpc, Some(secret)).await.issue(for_alice()).await);
}

#[tokio::test]
async fn a_failure_is_not_remembered() {
    let (server, store) = CountingStore::serve(settings()).await;
    store.set_down(true);
    let down = create(&server.root, "web", ID).await;
    assert_refused(down, Code::Unavailable, "STORE_UNAVAILABLE");
    store.set_down(false);
    accepted(create(&server.root, "web", ID).await);
}
