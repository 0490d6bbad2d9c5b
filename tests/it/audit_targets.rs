//! Each event of a change names what was changed, or was to be: whether it was done, refused, or nobody waited to hear.

use serde_json::{Value, json};
use tempfile::TempDir;
use tokend::{audit::AuditMode, proto::v1};
use tonic::Code;

use crate::{
    audit::{calls, event_of, required, to_file},
    counting_store::CountingStore,
    harness::{TestClient, accepted, assert_refused},
};

/// A change whose target is known before it is made, or given by the server.
#[derive(Debug, Clone, Copy)]
enum Change {
    Create,
    CreateUser,
    Update,
    Rotate,
    Delete,
}

impl Change {
    /// Makes it, under this `request_id` if there is one.
    async fn make(self, by: &TestClient, request_id: &str) {
        let request_id = request_id.to_owned();
        let client_id = "web".to_owned();
        // Nobody waits for the answers.
        match self {
            Self::Create => {
                let request = v1::CreateClientRequest { client: Some(v1::Client::default()), request_id };
                drop(by.clients().create_client(by.request(request)).await);
            }
            Self::CreateUser => {
                let user = Some(v1::User { username: "alice".to_owned(), ..Default::default() });
                let password = "a password of some length".to_owned();
                let request = v1::CreateUserRequest { user, password, request_id, ..Default::default() };
                drop(by.users().create_user(by.request(request)).await);
            }
            Self::Update => {
                let client = Some(v1::Client { client_id, disabled: true, ..Default::default() });
                let request = v1::UpdateClientRequest { client, request_id, ..Default::default() };
                drop(by.clients().update_client(by.request(request)).await);
            }
            Self::Rotate => {
                let request = v1::RotateClientSecretRequest { client_id, request_id, ..Default::default() };
                drop(by.clients().rotate_client_secret(by.request(request)).await);
            }
            Self::Delete => {
                let request = v1::DeleteClientRequest { client_id, request_id, ..Default::default() };
                drop(by.clients().delete_client(by.request(request)).await);
            }
        }
    }

    fn is_named_by(self, event: &Value) -> bool {
        let targets = event["targets"].as_array().unwrap();
        let [target] = targets.as_slice() else { return false };
        let target = target.as_str().unwrap();
        match self {
            Self::Create => target.starts_with("client/c-"),
            Self::CreateUser => target.starts_with("user/"),
            Self::Update | Self::Rotate | Self::Delete => target == "client/web",
        }
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_an_event_that_names_what_may_have_been_changed() {
    let changes = [Change::Create, Change::CreateUser, Change::Update, Change::Rotate, Change::Delete];
    for (number, change) in changes.into_iter().enumerate() {
        // With a name of its own it goes on in a task beside the call's.
        for request_id in ["", &format!("00000000-0000-4000-8000-{number:012}")] {
            let folder = TempDir::new().unwrap();
            let settings = to_file(folder.path(), AuditMode::Required, 1000);
            let (server, store) = CountingStore::serve(settings).await;
            store.hold();
            let (root, name) = (server.root.clone(), request_id.to_owned());
            let call = tokio::spawn(async move { change.make(&root, &name).await });
            store.call_arrived().await;
            // It may have been the server's own; once the call is taken on it comes to the store without further ado.
            while !server.get("/metrics").await.2.contains("tokend_lane_busy{lane=\"admin\"} 1") {}
            server.get("/livez").await;
            call.abort();
            let event = loop {
                if let Some(event) = calls(folder.path()).pop() {
                    break event;
                }
                tokio::task::yield_now().await;
            };
            store.release();
            assert_eq!((&event["outcome"], &event["code"]), (&json!("abandoned"), &json!("CANCELLED")));
            assert_eq!(event["client_id"], "root");
            assert!(change.is_named_by(&event), "{change:?} {request_id}: {event:#}");
        }
    }
}

#[tokio::test]
async fn a_changed_client_is_named_whether_the_change_was_made_or_refused() {
    let folder = TempDir::new().unwrap();
    let server = required(folder.path()).await;
    server.client(v1::Client { client_id: "web".to_owned(), ..Default::default() }).await;
    let update = |etag: &str| {
        let client = v1::Client {
            client_id: "web".to_owned(),
            display_name: "Shop".to_owned(),
            etag: etag.to_owned(),
            ..Default::default()
        };
        let request = v1::UpdateClientRequest { client: Some(client), ..Default::default() };
        let request = server.root.request(request);
        let mut clients = server.root.clients();
        async move { clients.update_client(request).await }
    };
    let (answer, event) = event_of(folder.path(), update("")).await;
    accepted(answer);
    assert_eq!((&event["outcome"], &event["targets"]), (&json!("ok"), &json!(["client/web"])));
    let (answer, event) = event_of(folder.path(), update("\"1-1\"")).await;
    assert_refused(answer, Code::Aborted, "ETAG_MISMATCH");
    assert_eq!((&event["outcome"], &event["targets"]), (&json!("refused"), &json!(["client/web"])));
}
