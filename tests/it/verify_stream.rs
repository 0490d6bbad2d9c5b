//! StreamVerifyTokens: tokens are verified as they come, and each counts as a call of its client.

use std::{collections::BTreeMap, time::Duration};

use tokend::{
    model::ClientSecret,
    proto::v1::{self, stream_verify_tokens_response::Result as Item},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use crate::{
    batch,
    harness::{TestClient, TestServer, accepted, assert_refused, seconds},
};

async fn in_time<T>(awaited: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), awaited).await.expect("the stream stands still")
}

/// A stream of a client's.
struct Stream {
    requests: mpsc::Sender<v1::StreamVerifyTokensRequest>,
    responses: Streaming<v1::StreamVerifyTokensResponse>,
}

impl Stream {
    async fn begin(client: &TestClient) -> Result<Self, Status> {
        let (requests, coming) = mpsc::channel(256);
        let request = client.request(ReceiverStream::new(coming));
        let responses = client.tokens().stream_verify_tokens(request).await?.into_inner();
        Ok(Self { requests, responses })
    }

    async fn send(&self, id: u64, token: &str) {
        let request = v1::VerifyTokenRequest {
            token: token.to_owned(),
            audiences: vec!["orders".to_owned()],
            ..Default::default()
        };
        let request = v1::StreamVerifyTokensRequest { id, request: Some(request) };
        self.requests.send(request).await.unwrap_or_else(|_| panic!("the stream has ended"));
    }

    async fn next(&mut self) -> Result<Option<(u64, Item)>, Status> {
        let response = in_time(self.responses.message()).await?;
        Ok(response.map(|response| (response.id, response.result.unwrap())))
    }

    /// The next results, by their ids.
    async fn results(&mut self, count: usize) -> BTreeMap<u64, Item> {
        let mut results = BTreeMap::new();
        for _ in 0..count {
            let (id, item) = accepted(self.next().await).unwrap();
            assert!(results.insert(id, item).is_none(), "{id} was answered twice");
        }
        results
    }
}

#[tokio::test]
async fn each_token_is_answered_under_its_id_and_a_bad_one_spoils_no_other() {
    let server = TestServer::start().await;
    let good = server.root.token().await;
    let mut stream = Stream::begin(&server.root).await.unwrap();
    for id in 0..200 {
        stream.send(id, if id % 3 == 0 { "garbage" } else { &good }).await;
    }
    for (id, item) in stream.results(200).await {
        match item {
            Item::Verified(verified) if id % 3 != 0 => {
                assert_eq!(verified.token_claims.unwrap().subject, "alice");
                assert_eq!(verified.audiences, ["orders"]);
            }
            Item::Error(status) if id % 3 == 0 => {
                assert_eq!(batch::reason_of(&status), "TOKEN_MALFORMED");
            }
            _ => panic!("{id} has the answer of another"),
        }
    }
    drop(stream.requests);
    assert!(
        accepted(in_time(stream.responses.message()).await).is_none(),
        "the client's end ends the stream"
    );
}

#[tokio::test]
async fn a_stream_needs_a_credential_and_its_method() {
    let server = TestServer::start().await;
    let stranger = TestClient::new(server.grpc, None).await;
    let refused = Stream::begin(&stranger).await.map(drop);
    assert_refused(refused, Code::Unauthenticated, "CREDENTIALS_MISSING");
    let permissions = v1::Permissions {
        methods: vec!["TokenService/VerifyToken".to_owned()],
        verify_audiences: vec!["orders".to_owned()],
        ..Default::default()
    };
    let client =
        v1::Client { client_id: "web".to_owned(), permissions: Some(permissions), ..Default::default() };
    let web = server.client(client).await;
    assert_refused(Stream::begin(&web).await.map(drop), Code::PermissionDenied, "METHOD_NOT_ALLOWED");
}

#[tokio::test]
async fn permissions_and_limits_are_those_of_the_moment() {
    let server = TestServer::start().await;
    let good = server.root.token().await;
    let client = |audience: &str, calls: Option<i32>| v1::Client {
        client_id: "gateway".to_owned(),
        permissions: Some(v1::Permissions {
            methods: vec!["TokenService/StreamVerifyTokens".to_owned()],
            verify_audiences: vec![audience.to_owned()],
            ..Default::default()
        }),
        limits: calls.map(|calls| v1::ClientLimits { calls_per_second: calls, ..Default::default() }),
        ..Default::default()
    };
    let gateway = server.client(client("orders", None)).await;
    let mut stream = Stream::begin(&gateway).await.unwrap();
    stream.send(1, &good).await;
    assert!(matches!(accepted(stream.next().await), Some((1, Item::Verified(_)))));

    // Another audience: the client may not ask about this one any more.
    update(&server, client("billing", None), "permissions").await;
    stream.send(2, &good).await;
    let Some((2, Item::Error(status))) = accepted(stream.next().await) else { panic!("it was verified") };
    assert_eq!(batch::reason_of(&status), "AUDIENCE_NOT_ALLOWED");

    // Two calls a second: of the next ones only two pass, since the clock stands still.
    update(&server, client("orders", Some(2)), "permissions,limits").await;
    for id in 3..10 {
        stream.send(id, &good).await;
    }
    let passed = stream.results(7).await.into_values().filter(|item| matches!(item, Item::Verified(_)));
    assert_eq!(passed.count(), 2);

    // A secret that has ended ends the stream at its next token, as it ends other calls.
    let rotate = v1::RotateClientSecretRequest {
        client_id: "gateway".to_owned(),
        overlap: seconds(0),
        ..Default::default()
    };
    let rotated = accepted(server.root.clients().rotate_client_secret(server.root.request(rotate)).await);
    stream.send(10, &good).await;
    assert_refused(stream.next().await.map(drop), Code::Unauthenticated, "CREDENTIALS_INVALID");

    // A client that is deleted is told so, and the stream ends.
    let request = v1::DeleteClientRequest { client_id: "gateway".to_owned(), ..Default::default() };
    let secret = ClientSecret::from_text(rotated.into_inner().client_secret);
    let gateway = TestClient::new(server.grpc, Some(secret)).await;
    server.clock.advance(2);
    let mut stream = Stream::begin(&gateway).await.unwrap();
    accepted(server.root.clients().delete_client(server.root.request(request)).await);
    stream.send(11, &good).await;
    assert_refused(stream.next().await.map(drop), Code::Unauthenticated, "CREDENTIALS_INVALID");
}

async fn update(server: &TestServer, client: v1::Client, mask: &str) {
    let update_mask = prost_types::FieldMask { paths: mask.split(',').map(str::to_owned).collect() };
    let request = v1::UpdateClientRequest {
        client: Some(client),
        update_mask: Some(update_mask),
        ..Default::default()
    };
    accepted(server.root.clients().update_client(server.root.request(request)).await);
}
