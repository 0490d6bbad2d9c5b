//! A disk that was full for a moment: the store takes writes again as soon as there is room.

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use tempfile::TempDir;
use tokend::{model::ClientSecret, proto::v1};
use tonic::Code;

use crate::{
    harness::{TestClient, accepted, assert_refused},
    process::{Serve, init},
};

/// How often a write is tried at the most once there is room.
const TRIES: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_go_on_when_there_is_room_again() {
    let folder = TempDir::new().unwrap();
    let secret = ClientSecret::from_text(init(folder.path()));
    let server = Serve::start(folder.path(), &["--allow-plaintext", "--drain-delay", "0s"]);
    let admin = TestClient::new(server.grpc, Some(secret)).await;
    let create = async |client_id: String| {
        let client = Some(v1::Client { client_id, ..Default::default() });
        let request = v1::CreateClientRequest { client, ..Default::default() };
        admin.clients().create_client(admin.request(request)).await
    };
    // No file may grow beyond this limit: to its writer, the disk is full.
    let room = |bytes: Option<u64>| {
        let pid = Pid::from_raw(server.process.running.0.id().try_into().unwrap());
        let maximum = getrlimit(Resource::Fsize).maximum;
        prlimit(pid, Resource::Fsize, Rlimit { current: bytes.or(maximum), maximum }).unwrap();
    };
    accepted(create("before".to_owned()).await);
    room(Some(4096));
    for number in 0..5 {
        assert_refused(create(format!("c-{number}")).await, Code::Unavailable, "STORE_UNAVAILABLE");
    }
    room(None);
    let mut tries = 0..TRIES;
    while let Err(status) = create("after".to_owned()).await {
        assert!(tries.next().is_some(), "no write any more: {}", status.message());
    }
    let listed = admin.clients().list_clients(admin.request(v1::ListClientsRequest::default())).await;
    let ids: Vec<String> =
        accepted(listed).into_inner().clients.into_iter().map(|client| client.client_id).collect();
    assert_eq!(ids, ["admin", "after", "before"], "what was refused was not done");
    assert_eq!(server.stop().code, Some(0));
}
