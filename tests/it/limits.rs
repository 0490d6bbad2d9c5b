//! Limits, deadlines, and what the framework says by itself: all in the API's own words.

use std::{sync::Arc, time::Duration};

use tokend::proto::v1;
use tonic::{Code, Status, codegen::http::uri::PathAndQuery};
use tonic_prost::ProstCodec;

use crate::{
    counting_store::CountingStore,
    harness::{TestClient, TestServer, assert_refused, for_alice, manual_clock, reason, refused, settings},
};

/// Calls the method with a message whose first field has these bytes.
async fn send(client: &TestClient, path: &'static str, bytes: Vec<u8>) -> Result<(), Status> {
    let mut grpc = tonic::client::Grpc::new(client.channel.clone());
    grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let request = client.request(RawMessage { field: bytes });
    let codec = ProstCodec::<RawMessage, v1::DeleteClientResponse>::default();
    grpc.unary(request, PathAndQuery::from_static(path), codec).await.map(|_| ())
}

/// Field 1 as bytes, where the service expects a string: bytes may be invalid UTF-8.
#[derive(Clone, PartialEq, prost::Message)]
struct RawMessage {
    #[prost(bytes = "vec", tag = "1")]
    field: Vec<u8>,
}

const VERIFY: &str = "/tokend.v1.TokenService/VerifyToken";

#[tokio::test]
async fn an_unknown_method_or_service_is_said_to_be_unknown() {
    let server = TestServer::start().await;
    for path in ["/tokend.v1.TokenService/Nothing", "/tokend.v1.Nothing/IssueToken", "/nothing"] {
        assert_refused(send(&server.root, path, vec![]).await, Code::Unimplemented, "METHOD_UNKNOWN");
    }
}

#[tokio::test]
async fn a_message_that_is_no_message_is_the_callers_fault() {
    let server = TestServer::start().await;
    let invalid_utf8 = send(&server.root, VERIFY, vec![0xff, 0xfe]).await;
    assert_refused(invalid_utf8, Code::InvalidArgument, "FIELD_INVALID");
}

#[tokio::test]
async fn a_message_beyond_the_limit_is_refused_before_it_is_read() {
    let server = TestServer::start().await;
    let answer = send(&server.root, VERIFY, vec![b'a'; 1024 * 1024 + 1]).await;
    assert_refused(answer, Code::ResourceExhausted, "REQUEST_TOO_LARGE");
    // Just within it, the token's own limit speaks.
    let answer = send(&server.root, VERIFY, vec![b'a'; 1024 * 1024 - 100]).await;
    // Which audience is meant was not said, and that comes first.
    assert_eq!(refused(answer).code(), Code::InvalidArgument);
}

#[tokio::test]
async fn metadata_beyond_the_limit_ends_the_call_and_not_the_server() {
    let server = TestServer::start().await;
    let mut request = server.root.request(for_alice());
    request.metadata_mut().insert("x-large", "x".repeat(64 * 1024).parse().unwrap());
    assert!(server.root.tokens().issue_token(request).await.is_err());
    let another = TestClient::new(server.grpc, server.root.secret.clone()).await;
    another.token().await;
}

#[tokio::test]
async fn a_call_ends_at_the_callers_deadline_or_the_servers() {
    let mut quick = settings();
    quick.calls.request_timeout = Duration::from_millis(50);
    let (server, store) = CountingStore::serve(quick).await;
    store.hold();
    let list = || server.root.request(v1::ListClientsRequest::default());
    let answer = server.root.clients().list_clients(list()).await;
    assert_refused(answer, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");

    let (server, store) = CountingStore::serve(settings()).await;
    assert!(list_with(&server, "grpc-timeout", "19S").await.is_none(), "answered in time");
    store.hold();
    let status = list_with(&server, "grpc-timeout", "50m").await.unwrap();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"));
}

#[tokio::test]
async fn a_compressed_message_is_said_to_be_unsupported() {
    let server = TestServer::start().await;
    let status = list_with(&server, "grpc-encoding", "gzip").await.unwrap();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unimplemented, "COMPRESSION_UNSUPPORTED"));
}

/// Calls ListClients with a header of one's own, over bare HTTP/2: a client library would act on it itself. Answers the
/// status in the headers, where a refusal has it.
async fn list_with(server: &TestServer, name: &str, value: &str) -> Option<Status> {
    use hyper_util::rt::{TokioExecutor, TokioIo};
    let stream = tokio::net::TcpStream::connect(server.grpc).await.unwrap();
    let io = TokioIo::new(stream);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let secret = server.root.secret.clone().unwrap();
    let request = http::Request::post(format!("http://{}/tokend.v1.ClientService/ListClients", server.grpc))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header(name, value)
        .header("authorization", format!("Bearer {}", secret.reveal()))
        // An empty message: no compression, no length.
        .body(http_body_util::Full::new(bytes::Bytes::from_static(&[0; 5])))
        .unwrap();
    let answer = sender.send_request(request).await.unwrap();
    Status::from_header_map(answer.headers())
}

#[tokio::test]
async fn a_row_that_makes_no_sense_is_an_internal_error_that_tells_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokend.db");
    let store = tokend::store::open(&tokend::store::Location::Sqlite(path.clone())).await.unwrap();
    let server = TestServer::on(Arc::clone(&store), settings(), manual_clock()).await;
    server.client(v1::Client { client_id: "broken".to_owned(), ..Default::default() }).await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    let spoilt = "UPDATE clients SET settings = '{\"secret-thing\":1}' WHERE client_id = 'broken'";
    sqlx::query(spoilt).execute(&pool).await.unwrap();
    pool.close().await;
    let request = server.root.request(v1::GetClientRequest { client_id: "broken".to_owned() });
    let status = refused(server.root.clients().get_client(request).await);
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Internal, "INTERNAL"));
    assert_eq!(status.message(), "an internal error occurred");
    // Other clients are served as before.
    server.root.token().await;
}

#[tokio::test]
async fn a_request_id_is_kept_made_or_replaced() {
    let server = TestServer::start().await;
    let sent_back = async |own: Option<&str>| {
        let mut request = server.root.request(for_alice());
        if let Some(own) = own {
            request.metadata_mut().insert("x-request-id", own.parse().unwrap());
        }
        let answer = server.root.tokens().issue_token(request).await.unwrap();
        answer.metadata().get("x-request-id").unwrap().to_str().unwrap().to_owned()
    };
    assert_eq!(sent_back(Some("order-17.A_b")).await, "order-17.A_b");
    let (first, second) = (sent_back(None).await, sent_back(None).await);
    assert_eq!((first.len(), first == second), (16, false));
    for unfit in ["with space", "{\"json\":1}", &"x".repeat(65)] {
        assert_eq!(sent_back(Some(unfit)).await.len(), 16, "{unfit}");
    }
    // Refusals carry it too.
    let mut request = tonic::Request::new(for_alice());
    request.metadata_mut().insert("x-request-id", "mine".parse().unwrap());
    let status = refused(server.root.tokens().issue_token(request).await);
    assert_eq!(status.metadata().get("x-request-id").unwrap(), "mine");
}
