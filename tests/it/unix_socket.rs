//! gRPC on a Unix socket: the kernel names the caller's user and group, and they are the credential of a client.

use std::path::{Path, PathBuf};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;
use tempfile::TempDir;
use tokend::{
    listen::{UnixSocket, UnixSocketSettings},
    model::{AuthenticationMethod, ClientSettings},
    proto::v1::{self, AuthenticationMethod::UnixPeer},
    store,
};
use tonic::{
    Code, Request, Status,
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt as _;

use crate::{
    caller_tokens::{by, register},
    harness::{TestServer, accepted, assert_refused, for_alice, manual_clock, settings},
};

const INVALID: &str = "CREDENTIALS_INVALID";
const MISSING: &str = "CREDENTIALS_MISSING";

/// This process's user.
fn uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn gid() -> u32 {
    rustix::process::getegid().as_raw()
}

pub const fn at_path(path: PathBuf) -> UnixSocketSettings {
    UnixSocketSettings { path, mode: 0o600, uid: None, gid: None }
}

async fn connect(path: &Path) -> Channel {
    Endpoint::from_shared(format!("unix:{}", path.display())).unwrap().connect().await.unwrap()
}

/// A server on a TCP port and on a Unix socket, with a connection to the socket.
struct Story {
    server: TestServer,
    channel: Channel,
    path: PathBuf,
    _folder: TempDir,
}

impl Story {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("tokend.sock");
        let socket = UnixSocket::bind(&at_path(path.clone())).await.unwrap();
        let settings = settings();
        let store = store::open(&settings.store).await.unwrap();
        let server = TestServer::listening(store, settings, manual_clock(), None, Some(socket)).await;
        Self { server, channel: connect(&path).await, path, _folder: folder }
    }

    /// Calls IssueToken on the socket with these headers, and returns the client that the token names.
    async fn issue(&self, headers: &[(&'static str, &str)]) -> Result<String, Status> {
        let mut request = Request::new(for_alice());
        for (name, value) in headers {
            request.metadata_mut().append(*name, value.parse().unwrap());
        }
        let mut service = v1::token_service_client::TokenServiceClient::new(self.channel.clone());
        let token = service.issue_token(request).await?.into_inner().access_token;
        let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
        let claims: Value = serde_json::from_slice(&payload).unwrap();
        Ok(claims["client_id"].as_str().unwrap().to_owned())
    }

    async fn create(&self, client: v1::Client) -> Result<v1::CreateClientResponse, Status> {
        let root = &self.server.root;
        let request = v1::CreateClientRequest { client: Some(client), ..Default::default() };
        Ok(root.clients().create_client(root.request(request)).await?.into_inner())
    }
}

fn local(uids: &[u32], gids: &[u32]) -> ClientSettings {
    let mut settings = by(&[AuthenticationMethod::UnixPeer]);
    settings.authentication.unix_peer.uids = uids.to_vec();
    settings.authentication.unix_peer.gids = gids.to_vec();
    settings
}

/// The same as a message.
fn message(client_id: &str, uids: &[u32], gids: &[u32]) -> v1::Client {
    v1::Client {
        client_id: client_id.to_owned(),
        authentication: Some(v1::Authentication {
            methods: vec![UnixPeer.into()],
            unix_peer: Some(v1::UnixIds { uids: uids.to_vec(), gids: gids.to_vec() }),
            ..Default::default()
        }),
        permissions: Some(v1::Permissions {
            methods: vec!["TokenService/*".to_owned()],
            audiences: vec!["orders".to_owned()],
            scopes: vec!["*".to_owned()],
            subjects: vec!["*".to_owned()],
            ..Default::default()
        }),
        ..Default::default()
    }
}

#[track_caller]
fn violations(refused: Result<v1::CreateClientResponse, Status>) -> Vec<(String, String)> {
    let status = refused.err().expect("a refusal");
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    let details = status.get_error_details();
    let violations = &details.bad_request().unwrap().field_violations;
    violations.iter().map(|violation| (violation.field.clone(), violation.description.clone())).collect()
}

#[tokio::test]
async fn a_registered_user_or_group_needs_no_secret() {
    let story = Story::new().await;
    assert_refused(story.issue(&[]).await, Code::Unauthenticated, MISSING);
    let created = accepted(story.create(message("local", &[uid()], &[])).await);
    assert_eq!(created.client_secret, "", "it may present none");
    assert_eq!(created.client.unwrap(), {
        let request = v1::GetClientRequest { client_id: "local".to_owned() };
        let root = &story.server.root;
        accepted(root.clients().get_client(root.request(request)).await).into_inner().client.unwrap()
    });
    assert_eq!(accepted(story.issue(&[]).await), "local");

    register(&story.server, "local", local(&[uid() + 1], &[])).await;
    assert_refused(story.issue(&[]).await, Code::Unauthenticated, MISSING);
    register(&story.server, "local", local(&[], &[gid()])).await;
    assert_eq!(accepted(story.issue(&[]).await), "local");

    // Only the socket knows users.
    let anonymous = crate::harness::TestClient { secret: None, ..story.server.root.clone() };
    assert_refused(anonymous.issue(for_alice()).await, Code::Unauthenticated, MISSING);
    let (_, _, metrics) = story.server.get("/metrics").await;
    for line in [
        r#"tokend_authentications_total{method="unix_peer",result="ok"} 2"#,
        r#"tokend_connections{port="grpc_socket"} 1"#,
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
}

#[tokio::test]
async fn a_header_never_names_a_user() {
    let story = Story::new().await;
    register(&story.server, "other", local(&[uid() + 1], &[gid() + 1])).await;
    let other = (uid() + 1).to_string();
    let names = ["uid", "unix-uid", "x-unix-uid", "x-forwarded-uid", "x-peer-uid", "x-forwarded-user"];
    for name in names {
        assert_refused(story.issue(&[(name, &other)]).await, Code::Unauthenticated, MISSING);
    }
    register(&story.server, "local", local(&[uid()], &[])).await;
    for name in names {
        assert_eq!(accepted(story.issue(&[(name, &other)]).await), "local");
    }
}

#[tokio::test]
async fn an_authorization_value_takes_precedence() {
    let story = Story::new().await;
    register(&story.server, "local", local(&[uid()], &[])).await;
    let secret = story.server.root.secret.clone().unwrap();
    let bearer = format!("Bearer {}", secret.reveal());
    assert_eq!(accepted(story.issue(&[("authorization", &bearer)]).await), "root");
    for wrong in ["Bearer tkd_root_wrong", "Bearer x", "Bearer", "", "Basic !", "Bearer a.b.c"] {
        assert_refused(story.issue(&[("authorization", wrong)]).await, Code::Unauthenticated, INVALID);
    }
    let twice = [("authorization", bearer.as_str()), ("authorization", bearer.as_str())];
    assert_refused(story.issue(&twice).await, Code::Unauthenticated, INVALID);
    assert_eq!(accepted(story.issue(&[]).await), "local");
}

#[tokio::test]
async fn a_client_that_does_not_allow_the_method_or_is_disabled_is_refused() {
    let story = Story::new().await;
    let mut settings = local(&[uid()], &[]);
    settings.authentication.methods = vec![AuthenticationMethod::ClientSecret];
    register(&story.server, "local", settings).await;
    assert_refused(story.issue(&[]).await, Code::Unauthenticated, INVALID);
    let disabled = ClientSettings { disabled: true, ..local(&[uid()], &[]) };
    register(&story.server, "local", disabled).await;
    assert_refused(story.issue(&[]).await, Code::Unauthenticated, INVALID);
    register(&story.server, "local", local(&[uid()], &[])).await;
    assert_eq!(accepted(story.issue(&[]).await), "local");
}

#[tokio::test]
async fn an_id_of_two_clients_authenticates_none() {
    let story = Story::new().await;
    register(&story.server, "one", local(&[uid(), uid()], &[])).await;
    assert_eq!(accepted(story.issue(&[]).await), "one");
    // A user and a group are different things with the same number.
    register(&story.server, "group", local(&[], &[uid() + 7])).await;
    assert_eq!(accepted(story.issue(&[]).await), "one");
    // Two concurrent changes can pass the check of the server.
    for other in [local(&[uid()], &[]), local(&[], &[gid()])] {
        register(&story.server, "other", other).await;
        assert_refused(story.issue(&[]).await, Code::Unauthenticated, INVALID);
    }
}

#[tokio::test]
async fn ids_of_other_clients_and_ids_that_name_no_user_are_rejected() {
    let story = Story::new().await;
    accepted(story.create(message("one", &[1000, 1001], &[100])).await);
    let fields = |refused| violations(refused).into_iter().map(|(field, _)| field).collect::<Vec<_>>();
    let taken = violations(story.create(message("two", &[1, 1001], &[])).await);
    assert_eq!(taken[0].0, "client.authentication.unix_peer.uids[1]");
    assert!(taken[0].1.contains("`one` has it"), "{taken:?}");
    assert_eq!(
        fields(story.create(message("two", &[100], &[5, 100])).await),
        ["client.authentication.unix_peer.gids[1]"]
    );
    accepted(story.create(message("two", &[1], &[])).await);
    let root = &story.server.root;
    let update = v1::UpdateClientRequest { client: Some(message("two", &[1000], &[])), ..Default::default() };
    let refused = root.clients().update_client(root.request(update)).await;
    assert_refused(refused.map(|_| ()), Code::InvalidArgument, "FIELD_INVALID");

    assert_eq!(
        fields(story.create(message("three", &[65534, 2, u32::MAX], &[65534])).await),
        [
            "client.authentication.unix_peer.uids[0]",
            "client.authentication.unix_peer.uids[2]",
            "client.authentication.unix_peer.gids[0]"
        ]
    );
    let many: Vec<u32> = (2000..2017).collect();
    assert_eq!(
        fields(story.create(message("three", &many, &[])).await),
        ["client.authentication.unix_peer.uids"]
    );
    // Each of the method and its ids needs the other.
    assert_eq!(fields(story.create(message("three", &[], &[])).await), ["client.authentication.unix_peer"]);
    let mut without = message("three", &[2], &[]);
    without.authentication.as_mut().unwrap().methods.clear();
    assert_eq!(fields(story.create(without).await), ["client.authentication.unix_peer"]);
}

#[tokio::test]
async fn calls_end_in_order_and_the_socket_is_removed_when_the_server_stops() {
    let mut story = Story::new().await;
    register(&story.server, "local", local(&[uid()], &[])).await;
    assert_eq!(accepted(story.issue(&[]).await), "local");
    assert!(story.path.exists());
    story.server.begin_stop();
    story.server.stopped().await;
    assert!(!story.path.exists());
}
