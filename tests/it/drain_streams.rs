//! Streams that are open when the server stops: those without work of their own end at once, and hold nothing up.

use std::time::Duration;

use tokend::proto::v1;
use tokio_stream::StreamExt as _;
use tonic::{Code, Status, Streaming};
use tonic_health::pb::{
    HealthCheckRequest,
    health_check_response::ServingStatus::{NotServing, Serving},
    health_client::HealthClient,
};
use tonic_reflection::pb::{
    v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest,
    },
    v1alpha::{
        ServerReflectionRequest as AlphaRequest,
        server_reflection_client::ServerReflectionClient as AlphaClient,
    },
};

use crate::harness::{TestServer, accepted, assert_refused};

/// Calls in flight would have a day to finish: a stream that waits for it makes the test hang.
async fn patient_server() -> TestServer {
    TestServer::with(|settings| settings.serving.drain_timeout = Duration::from_secs(86_400)).await
}

/// Every message that is left in a stream, and the status that ends it.
async fn rest<T>(mut stream: Streaming<T>) -> (Vec<T>, Result<(), Status>) {
    let mut messages = Vec::new();
    loop {
        match stream.message().await {
            Ok(Some(message)) => messages.push(message),
            Ok(None) => return (messages, Ok(())),
            Err(status) => return (messages, Err(status)),
        }
    }
}

#[tokio::test]
async fn health_watches_say_not_serving_and_end_when_the_drain_begins() {
    let mut server = patient_server().await;
    let mut watches = Vec::new();
    for service in ["", "tokend.v1.TokenService"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let watch = HealthClient::new(server.root.channel.clone()).watch(request).await;
        let mut watch = accepted(watch).into_inner();
        assert_eq!(watch.message().await.unwrap().unwrap().status(), Serving);
        watches.push(watch);
    }
    server.begin_stop();
    for watch in watches {
        let (messages, end) = rest(watch).await;
        let told: Vec<_> = messages.iter().map(tonic_health::pb::HealthCheckResponse::status).collect();
        assert_eq!(told, [NotServing]);
        assert_refused(end, Code::Unavailable, "SHUTTING_DOWN");
    }
    server.stopped().await;
}

#[tokio::test]
async fn reflection_streams_end_when_the_drain_begins() {
    let mut server = patient_server().await;
    // The caller keeps its side open and asks for nothing more.
    let list = MessageRequest::ListServices(String::new());
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(list) };
    let open = tokio_stream::once(request).chain(tokio_stream::pending());
    let answers = ServerReflectionClient::new(server.root.channel.clone()).server_reflection_info(open).await;
    let mut answers = accepted(answers).into_inner();
    assert!(answers.message().await.unwrap().is_some());
    let silent = tokio_stream::pending::<AlphaRequest>();
    let alpha = AlphaClient::new(server.root.channel.clone()).server_reflection_info(silent).await;
    let alpha = accepted(alpha).into_inner();

    server.begin_stop();
    let (messages, end) = rest(answers).await;
    assert!(messages.is_empty());
    assert_refused(end, Code::Unavailable, "SHUTTING_DOWN");
    assert_refused(rest(alpha).await.1, Code::Unavailable, "SHUTTING_DOWN");
    server.stopped().await;
}

#[tokio::test]
async fn trust_bundle_watches_end_when_the_drain_begins_be_they_subscribed_or_not() {
    let mut server = TestServer::with(|settings| {
        let day = Duration::from_secs(86_400);
        (settings.serving.drain_timeout, settings.calls.request_timeout) = (day, day);
    })
    .await;
    let subscribed =
        tokio_stream::once(v1::WatchTrustBundleRequest::default()).chain(tokio_stream::pending());
    let watch = accepted(server.root.trust().watch_trust_bundle(subscribed).await).into_inner();
    let root = server.root.clone();
    // Its first message never comes.
    let silent = tokio::spawn(async move {
        let requests = tokio_stream::pending::<v1::WatchTrustBundleRequest>();
        root.trust().watch_trust_bundle(requests).await.map(|_| ())
    });
    while !server.get("/metrics").await.2.contains("tokend_verifiers 1") {}
    // The server has read what was sent before on the same connection.
    server.root.token().await;
    server.begin_stop();
    assert_refused(rest(watch).await.1, Code::Unavailable, "SHUTTING_DOWN");
    assert_refused(silent.await.unwrap(), Code::Unavailable, "SHUTTING_DOWN");
    server.stopped().await;
}
