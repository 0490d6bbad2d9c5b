//! Traces: the caller's trace, the traced calls, and a collector that is unavailable.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{Span, status::StatusCode},
};
use tokend::{proto::v1, telemetry::TraceSettings};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, Request, Response, Status, transport::Server};

use crate::harness::{TestServer, accepted, assert_refused, for_alice};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// A collector that keeps what it is sent.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// Begins to listen; answers where.
    async fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let service = TraceServiceServer::new(self.clone());
        tokio::spawn(
            Server::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener)),
        );
        url
    }

    fn spans(&self) -> Vec<Span> {
        let sent = self.0.lock().unwrap();
        let resources = sent.iter().flat_map(|request| &request.resource_spans);
        resources.flat_map(|resource| &resource.scope_spans).flat_map(|scope| scope.spans.clone()).collect()
    }

    /// The spans of calls, in the order in which they began.
    fn calls(&self) -> Vec<Span> {
        let mut calls: Vec<Span> =
            self.spans().into_iter().filter(|span| span.name.starts_with("tokend.v1.")).collect();
        calls.sort_by_key(|span| span.start_time_unix_nano);
        calls
    }
}

fn settings(url: &str, sample_ratio: f64, follow_callers: bool) -> TraceSettings {
    TraceSettings { endpoint: url.parse().unwrap(), sample_ratio, follow_callers }
}

async fn traced(settings: TraceSettings) -> TestServer {
    TestServer::with(|own| own.traces = Some(settings)).await
}

/// The last spans are sent when the server stops.
async fn stop(mut server: TestServer) {
    server.begin_stop();
    server.stopped().await;
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => panic!("{other:?}"),
    };
    let pair = |pair: &KeyValue| {
        let value = pair.value.as_ref().and_then(|value| value.value.as_ref())?;
        Some((pair.key.clone(), text(value)))
    };
    attributes.iter().filter_map(pair).collect()
}

fn with_parent<T>(server: &TestServer, message: T, flags: &str) -> Request<T> {
    let mut request = server.root.request(message);
    let value = format!("00-{TRACE}-{PARENT}-{flags}");
    request.metadata_mut().insert("traceparent", value.parse().unwrap());
    request.metadata_mut().insert("tracestate", "congo=t61".parse().unwrap());
    request
}

#[tokio::test]
async fn a_call_continues_its_callers_trace_and_tells_its_steps() {
    let collector = Collector::default();
    let url = collector.start().await;
    let server = traced(settings(&url, 0.0, true)).await;
    let token = accepted(server.root.tokens().issue_token(with_parent(&server, for_alice(), "01")).await);
    let token = token.into_inner().access_token;
    let verify = v1::VerifyTokenRequest { token: token.clone(), ..Default::default() };
    // One that is not sampled, and one without a trace.
    let _ = server.root.tokens().verify_token(with_parent(&server, verify.clone(), "00")).await;
    assert_refused(
        server.root.verify(verify.clone()).await,
        Code::InvalidArgument,
        "TOKEN_AUDIENCE_MISMATCH",
    );
    let get = v1::GetClientRequest { client_id: "nobody".to_owned() };
    let answer = server.root.clients().get_client(with_parent(&server, get, "01")).await;
    assert_refused(answer, Code::NotFound, "CLIENT_NOT_FOUND");
    let secret = server.root.secret.clone().unwrap();
    stop(server).await;

    let calls = collector.calls();
    let names: Vec<&str> = calls.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["tokend.v1.TokenService/IssueToken", "tokend.v1.ClientService/GetClient"]);
    for call in &calls {
        assert_eq!((hex(&call.trace_id), hex(&call.parent_span_id)), (TRACE.to_owned(), PARENT.to_owned()));
        assert_eq!(call.trace_state, "congo=t61");
    }
    let told =
        |call: &Span| texts(&call.attributes).into_iter().map(|(name, value)| format!("{name}={value}"));
    let expected = [
        "rpc.grpc.status_code=0",
        "rpc.method=IssueToken",
        "rpc.service=tokend.v1.TokenService",
        "rpc.system=grpc",
    ];
    assert_eq!(told(&calls[0]).collect::<Vec<_>>(), expected);
    assert!(told(&calls[1]).any(|attribute| attribute == "rpc.grpc.status_code=5"));
    // What a caller did wrong is no error of the server's.
    assert!(
        calls.iter().all(|call| {
            call.status.as_ref().is_none_or(|status| status.code == StatusCode::Unset as i32)
        })
    );
    let steps = |call: &Span| -> Vec<String> {
        let mut steps: Vec<Span> =
            collector.spans().into_iter().filter(|step| step.parent_span_id == call.span_id).collect();
        assert!(steps.iter().all(|step| step.trace_id == call.trace_id && step.attributes.is_empty()));
        steps.sort_by_key(|step| step.start_time_unix_nano);
        steps.into_iter().map(|step| step.name).collect()
    };
    assert_eq!(steps(&calls[0]), ["authenticate", "admit", "policy", "sign"]);
    assert_eq!(steps(&calls[1]), ["authenticate", "admit", "store"]);

    let sent = collector.0.lock().unwrap();
    let resource = texts(&sent[0].resource_spans[0].resource.as_ref().unwrap().attributes);
    assert_eq!(resource["service.name"], "tokend");
    assert_eq!(resource["service.version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(resource["service.instance.id"].len(), 12);
    let all = format!("{sent:?}");
    for hidden in [secret.reveal(), &token, token.rsplit_once('.').unwrap().1, "alice"] {
        assert!(!all.contains(hidden), "{hidden} in {all}");
    }
}

#[tokio::test]
async fn the_ratio_decides_where_callers_do_not() {
    let collector = Collector::default();
    let url = collector.start().await;
    let server = traced(settings(&url, 1.0, false)).await;
    accepted(server.root.issue(for_alice()).await);
    accepted(server.root.tokens().issue_token(with_parent(&server, for_alice(), "00")).await);
    let mut request = server.root.request(for_alice());
    request.metadata_mut().insert("traceparent", "00-nonsense".parse().unwrap());
    accepted(server.root.tokens().issue_token(request).await);
    stop(server).await;
    let calls = collector.calls();
    assert_eq!(calls.len(), 3);
    // Of its own where there is none, or none that can be read.
    assert!(calls[0].parent_span_id.is_empty() && calls[2].parent_span_id.is_empty());
    assert_ne!(calls[0].trace_id, calls[2].trace_id);
    assert_eq!(hex(&calls[1].trace_id), TRACE);

    let server = traced(settings(&url, 0.0, false)).await;
    accepted(server.root.tokens().issue_token(with_parent(&server, for_alice(), "01")).await);
    stop(server).await;
    assert_eq!(collector.calls().len(), 3, "callers cannot force a trace where they do not decide");
}

#[tokio::test]
async fn an_unavailable_collector_affects_no_call() {
    // The port is closed.
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let server = traced(settings(&format!("http://{gone}"), 1.0, true)).await;
    for _ in 0..50 {
        accepted(server.root.issue(for_alice()).await);
    }
    stop(server).await;
}

#[tokio::test]
async fn a_credential_in_the_state_of_a_trace_goes_no_further() {
    let collector = Collector::default();
    let url = collector.start().await;
    let server = traced(settings(&url, 0.0, true)).await;
    for state in ["congo=tkr_in-the-wrong-place", "congo=eyJhbGciOiJFUzI1NiJ9.e30.AAAA", "congo=t61"] {
        let mut request = with_parent(&server, for_alice(), "01");
        request.metadata_mut().insert("tracestate", state.parse().unwrap());
        accepted(server.root.tokens().issue_token(request).await);
    }
    stop(server).await;
    let states: Vec<String> = collector.calls().into_iter().map(|call| call.trace_state).collect();
    assert_eq!(states, ["", "", "congo=t61"]);
}
