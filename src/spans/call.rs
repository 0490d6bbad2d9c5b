//! The span of a call, and of its steps.

use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use http::{HeaderMap, HeaderValue};
use opentelemetry::{
    Context, KeyValue,
    trace::{FutureExt as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt as _, Tracer as _},
};
use opentelemetry_sdk::trace::{SdkTracer, Span};

use super::{
    Sampling,
    parent::{TRACEPARENT, TRACESTATE, parent},
};

/// Whether this process traces any calls: if not, a step costs one look at this.
static TRACES: AtomicBool = AtomicBool::new(false);

/// Begins the spans of calls.
pub struct Spans {
    tracer: SdkTracer,
    sampling: Sampling,
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spans").field("sampling", &self.sampling).finish_non_exhaustive()
    }
}

impl Spans {
    /// Begins them with `tracer`, which must record whatever it is given.
    pub fn new(tracer: SdkTracer, sampling: Sampling) -> Self {
        TRACES.store(true, Relaxed);
        Self { tracer, sampling }
    }

    /// The span of a call to the method at `path`, in its caller's trace or in one of its own; none if it is not traced.
    pub fn begin(&self, headers: &HeaderMap, path: &'static str) -> Option<CallSpan> {
        let parent = parent(headers);
        if !self.sampling.decide(parent.as_ref().map(SpanContext::is_sampled)) {
            return None;
        }
        let around = match parent {
            Some(parent) => Context::new().with_remote_span_context(parent),
            None => Context::new(),
        };
        let name = path.trim_start_matches('/');
        let (service, method) = name.split_once('/').unwrap_or((name, ""));
        // OpenTelemetry's semantic conventions for RPC.
        let attributes = vec![
            KeyValue::new("rpc.system", "grpc"),
            KeyValue::new("rpc.service", service),
            KeyValue::new("rpc.method", method),
        ];
        let builder = SpanBuilder::from_name(name).with_kind(SpanKind::Server).with_attributes(attributes);
        let span = self.tracer.build_with_context(builder, &around);
        Some(CallSpan { context: around.with_span(span).with_value(StepTracer(self.tracer.clone())) })
    }
}

/// The span of a call. It ends with [`CallSpan::end`], or when the call is dropped.
pub struct CallSpan {
    context: Context,
}

/// What makes the spans of the steps within a context.
struct StepTracer(SdkTracer);

impl fmt::Debug for CallSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallSpan({})", self.trace_id())
    }
}

impl CallSpan {
    /// The trace that it is in, as hexadecimal.
    pub fn trace_id(&self) -> String {
        self.context.span().span_context().trace_id().to_string()
    }

    /// Runs a call within the span: its steps are part of it.
    pub async fn run<T>(&self, call: impl Future<Output = T>) -> T {
        call.with_context(self.context.clone()).await
    }

    /// Ends it with the call's status code; `failed` when that is the server's fault.
    pub fn end(&self, code: i32, failed: bool) {
        let span = self.context.span();
        span.set_attribute(KeyValue::new("rpc.grpc.status_code", i64::from(code)));
        if failed {
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

/// A step of a call; it ends when it is dropped.
pub struct Step(Span);

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Step({:?})", self.0)
    }
}

/// Begins a step of the call that this task serves, if that is traced.
pub fn step(name: &'static str) -> Option<Step> {
    if !TRACES.load(Relaxed) {
        return None;
    }
    Context::map_current(|context| {
        let StepTracer(tracer) = context.get()?;
        let builder = SpanBuilder::from_name(name).with_kind(SpanKind::Internal);
        Some(Step(tracer.build_with_context(builder, context)))
    })
}

/// Adds to a request of tokend's own what ties it to the trace of the call that this task serves, if that is traced.
pub fn inject(headers: &mut HeaderMap) {
    Context::map_current(|context| {
        if !context.has_active_span() {
            return;
        }
        let span = context.span();
        let own = span.span_context();
        let parent = format!("00-{}-{}-01", own.trace_id(), own.span_id());
        if let Ok(value) = HeaderValue::try_from(parent) {
            headers.insert(TRACEPARENT, value);
        }
        let state = own.trace_state().header();
        if !state.is_empty()
            && let Ok(value) = HeaderValue::try_from(state)
        {
            headers.insert(TRACESTATE, value);
        }
    });
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::trace::SdkTracerProvider;

    use super::*;

    #[tokio::test]
    async fn a_request_of_our_own_is_tied_to_the_call_and_to_nothing_without_one() {
        let provider = SdkTracerProvider::builder().build();
        let spans = Spans::new(provider.tracer("test"), Sampling::new(0.0, true, 1));
        let mut caller = HeaderMap::new();
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        caller.insert(TRACEPARENT, format!("00-{trace}-00f067aa0ba902b7-01").parse().unwrap());
        caller.insert(TRACESTATE, "congo=t61".parse().unwrap());
        let call = spans.begin(&caller, "/tokend.v1.TokenService/IssueToken").unwrap();
        assert_eq!(call.trace_id(), trace);
        let mut own = HeaderMap::new();
        inject(&mut own);
        assert!(own.is_empty() && step("nothing").is_none());
        call.run(async { inject(&mut own) }).await;
        let parent = own.get(TRACEPARENT).unwrap().to_str().unwrap();
        assert!(parent.starts_with(&format!("00-{trace}-")) && parent.ends_with("-01"), "{parent}");
        assert!(!parent.contains("00f067aa0ba902b7"), "its own span, not the caller's: {parent}");
        assert_eq!(own.get(TRACESTATE).unwrap(), "congo=t61");
        assert!(spans.begin(&HeaderMap::new(), "/a/b").is_none());
    }
}
