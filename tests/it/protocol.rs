//! Requests that are not gRPC calls, or not one message each: refused before any method runs.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message as _;
use tokend::proto::v1;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::Code;

use crate::{
    audit::{calls, required},
    harness::{TestServer, accepted, assert_refused},
};

const CREATE: &str = "/tokend.v1.ClientService/CreateClient";

/// An answer over HTTP.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    /// `grpc-status`, in the headers of a refusal.
    fn code(&self) -> Option<Code> {
        Some(Code::from_bytes(self.headers.get("grpc-status")?.as_bytes()))
    }
}

/// Sends a request with these frames as its body.
async fn send(server: &TestServer, request: http::request::Builder, frames: Vec<Frame<Bytes>>) -> Answer {
    let stream = TcpStream::connect(server.grpc).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let frames = frames.into_iter().map(Ok::<_, std::convert::Infallible>);
    let request = request.body(StreamBody::new(tokio_stream::iter(frames))).unwrap();
    let (parts, body) = sender.send_request(request).await.unwrap().into_parts();
    Answer { status: parts.status, headers: parts.headers, body: body.collect().await.unwrap().to_bytes() }
}

/// A request for CreateClient by the root client.
fn create(server: &TestServer, method: &str, content_type: Option<&str>) -> http::request::Builder {
    let secret = server.root.secret.clone().unwrap();
    let mut request = Request::builder()
        .method(Method::from_bytes(method.as_bytes()).unwrap())
        .uri(format!("http://{}{CREATE}", server.grpc))
        .header("te", "trailers")
        .header("authorization", format!("Bearer {}", secret.reveal()));
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    request
}

/// A message that creates this client, with its prefix.
fn message(client_id: &str) -> Vec<u8> {
    let client = v1::Client { client_id: client_id.to_owned(), ..Default::default() };
    let message = v1::CreateClientRequest { client: Some(client), request_id: String::new() }.encode_to_vec();
    [&[0][..], &u32::try_from(message.len()).unwrap().to_be_bytes(), &message].concat()
}

fn data(bytes: Vec<u8>) -> Frame<Bytes> {
    Frame::data(Bytes::from(bytes))
}

async fn exists(server: &TestServer, client_id: &str) -> bool {
    let get = v1::GetClientRequest { client_id: client_id.to_owned() };
    match server.root.clients().get_client(server.root.request(get)).await {
        Ok(_) => true,
        answer => {
            assert_refused(answer, Code::NotFound, "CLIENT_NOT_FOUND");
            false
        }
    }
}

#[tokio::test]
async fn what_is_no_post_of_grpc_reaches_no_method() {
    let folder = tempfile::tempdir().unwrap();
    let server = required(folder.path()).await;
    let grpc = Some("application/grpc");
    for (method, content_type, status) in [
        ("GET", grpc, 405),
        ("HEAD", grpc, 405),
        ("PUT", grpc, 405),
        ("PATCH", grpc, 405),
        ("DELETE", grpc, 405),
        ("OPTIONS", grpc, 405),
        ("TRACE", grpc, 405),
        ("post", grpc, 405),
        ("POSTS", grpc, 405),
        ("GET", None, 405),
        ("POST", None, 415),
        ("POST", Some(""), 415),
        ("POST", Some("application/json"), 415),
        ("POST", Some("application/grpc-web"), 415),
        ("POST", Some("application/grpc-web+proto"), 415),
        ("POST", Some("application/grpc+json"), 415),
        ("POST", Some("application/grpcx"), 415),
        ("POST", Some("text/plain; application/grpc"), 415),
    ] {
        let answer =
            send(&server, create(&server, method, content_type), vec![data(message("sneaky"))]).await;
        let name = format!("{method} {content_type:?}");
        assert_eq!(answer.status.as_u16(), status, "{name}");
        assert_eq!(answer.code(), None, "{name}: it is no gRPC answer");
        assert_eq!(answer.headers.get("allow").is_some(), status == 405, "{name}");
        assert!(answer.headers.contains_key("x-request-id"), "{name}");
        // With bytes, so that the stream is open until its client has read them.
        assert_eq!(answer.body.is_empty(), method == "HEAD", "{name}");
        assert!(!exists(&server, "sneaky").await, "{name}");
    }
    let twice = create(&server, "POST", grpc).header("content-type", "text/plain");
    assert_eq!(send(&server, twice, vec![data(message("sneaky"))]).await.status.as_u16(), 415);
    let uri = format!("http://{}{CREATE}?x=1", server.grpc);
    let answer = send(&server, create(&server, "POST", grpc).uri(uri), vec![data(message("sneaky"))]).await;
    assert_eq!(answer.code(), Some(Code::Unimplemented), "a query is no part of a method's path");
    assert!(!exists(&server, "sneaky").await);
    let tried = calls(folder.path()).into_iter().filter(|event| event["method"] == CREATE[1..]).count();
    assert_eq!(tried, 1, "no method ran; the last call was refused as that of an unknown one");
    for (number, content_type) in
        ["application/grpc", "application/grpc+proto", "Application/GRPC; x=y"].into_iter().enumerate()
    {
        let client_id = format!("good-{number}");
        let frames = vec![data(message(&client_id))];
        let answer = send(&server, create(&server, "POST", Some(content_type)), frames).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (200, None), "{content_type}");
        assert!(exists(&server, &client_id).await);
    }
}

#[tokio::test]
async fn a_call_is_one_message_and_nothing_behind_it() {
    let server = TestServer::start().await;
    let good = || message("sneaky");
    let behind = |bytes: &[u8]| [&good(), bytes].concat();
    let (head, tail) = (good()[..9].to_vec(), good()[9..].to_vec());
    for (name, frames) in [
        ("two messages in a frame", vec![data(behind(&good()))]),
        ("two messages in two frames", vec![data(good()), data(good())]),
        ("an empty message behind", vec![data(behind(&[0; 5]))]),
        ("an empty message before", vec![data([&[0; 5][..], &good()].concat())]),
        ("a byte behind", vec![data(behind(&[0]))]),
        ("a byte in a frame of its own", vec![data(good()), data(vec![0])]),
        ("a message in pieces and a byte", vec![data(head.clone()), data(tail.clone()), data(vec![7])]),
        ("no message", vec![]),
        ("a part of the prefix", vec![data(vec![0, 0])]),
        ("a part of a message", vec![data(head.clone())]),
        ("trailers", vec![data(good()), Frame::trailers(HeaderMap::new())]),
    ] {
        let answer = send(&server, create(&server, "POST", Some("application/grpc")), frames).await;
        assert_eq!(answer.code(), Some(Code::InvalidArgument), "{name}");
        assert!(!exists(&server, "sneaky").await, "{name}");
    }
    // In pieces, and with an empty frame at the end, as some clients send it.
    let frames = vec![data(head), data(tail), data(Vec::new())];
    let answer = send(&server, create(&server, "POST", Some("application/grpc")), frames).await;
    assert_eq!(answer.code(), None);
    assert!(exists(&server, "sneaky").await);
}

#[tokio::test]
async fn a_credential_in_trailers_is_none() {
    let server = TestServer::start().await;
    let secret = server.root.secret.clone().unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("authorization", format!("Bearer {}", secret.reveal()).parse().unwrap());
    let mut request = create(&server, "POST", Some("application/grpc"));
    request.headers_mut().unwrap().remove("authorization");
    let answer = send(&server, request, vec![data(message("sneaky")), Frame::trailers(trailers)]).await;
    assert_eq!(answer.code(), Some(Code::InvalidArgument));
    assert!(!exists(&server, "sneaky").await);
}

#[tokio::test]
async fn a_connection_with_a_wrong_preface_is_closed_and_not_reset() {
    let server = TestServer::start().await;
    for preface in ["INVALID CONNECTION PREFACE\r\n\r\n", "GET / HTTP/1.1\r\nhost: tokend.test\r\n\r\n"] {
        let mut stream = TcpStream::connect(server.grpc).await.unwrap();
        stream.write_all(preface.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
    }
    accepted(server.root.check(&server.root.token().await).await);
}
