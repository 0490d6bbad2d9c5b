//! Spans of calls and of their steps.

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
    trace_context::{TRACEPARENT, TRACESTATE, extract},
};

/// Whether this process traces calls. If it does not, a step costs one load of this flag.
static TRACES: AtomicBool = AtomicBool::new(false);

/// Starts the spans of calls.
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
    /// Uses `tracer`, whose sampler must record every span.
    pub fn new(tracer: SdkTracer, sampling: Sampling) -> Self {
        TRACES.store(true, Relaxed);
        Self { tracer, sampling }
    }

    /// Starts the span of a call to the method at `path`, in the caller's trace or a new one. None: the call is not traced.
    pub fn begin(&self, headers: &HeaderMap, path: &'static str) -> Option<CallSpan> {
        let parent = extract(headers);
        if !self.sampling.decide(parent.as_ref().map(SpanContext::is_sampled)) {
            return None;
        }
        let parent_context = match parent {
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
        let span = self.tracer.build_with_context(builder, &parent_context);
        Some(CallSpan { context: parent_context.with_span(span).with_value(StepTracer(self.tracer.clone())) })
    }
}

/// The span of a call. [`CallSpan::end`] ends it, or dropping it.
pub struct CallSpan {
    context: Context,
}

/// The tracer for steps, kept in the context of the call.
struct StepTracer(SdkTracer);

impl fmt::Debug for CallSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallSpan({})", self.trace_id())
    }
}

impl CallSpan {
    /// The trace id in hexadecimal.
    pub fn trace_id(&self) -> String {
        self.context.span().span_context().trace_id().to_string()
    }

    /// Runs a call with this span as the parent of its steps.
    pub async fn run<T>(&self, call: impl Future<Output = T>) -> T {
        call.with_context(self.context.clone()).await
    }

    /// Ends the span with the call's status code. `failed`: the server is at fault.
    pub fn end(&self, code: i32, failed: bool) {
        let span = self.context.span();
        span.set_attribute(KeyValue::new("rpc.grpc.status_code", i64::from(code)));
        if failed {
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

/// The span of a step. Dropping it ends it.
pub struct StepSpan(Span);

impl fmt::Debug for StepSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StepSpan({:?})", self.0)
    }
}

/// Starts the span of a step, if the current task serves a traced call.
pub fn step(name: &'static str) -> Option<StepSpan> {
    if !TRACES.load(Relaxed) {
        return None;
    }
    Context::map_current(|context| {
        let StepTracer(tracer) = context.get()?;
        let builder = SpanBuilder::from_name(name).with_kind(SpanKind::Internal);
        Some(StepSpan(tracer.build_with_context(builder, context)))
    })
}

/// Adds `traceparent` and `tracestate` to an outgoing request, if the current task serves a traced call.
pub fn inject(headers: &mut HeaderMap) {
    Context::map_current(|context| {
        if !context.has_active_span() {
            return;
        }
        let span = context.span();
        let current = span.span_context();
        let parent = format!("00-{}-{}-01", current.trace_id(), current.span_id());
        if let Ok(value) = HeaderValue::try_from(parent) {
            headers.insert(TRACEPARENT, value);
        }
        let state = current.trace_state().header();
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
    async fn an_outgoing_request_carries_the_trace_context_of_its_call() {
        let provider = SdkTracerProvider::builder().build();
        let spans = Spans::new(provider.tracer("test"), Sampling::new(0.0, true, 1));
        let mut caller = HeaderMap::new();
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        caller.insert(TRACEPARENT, format!("00-{trace}-00f067aa0ba902b7-01").parse().unwrap());
        caller.insert(TRACESTATE, "congo=t61".parse().unwrap());
        let call = spans.begin(&caller, "/tokend.v1.TokenService/IssueToken").unwrap();
        assert_eq!(call.trace_id(), trace);
        let mut outgoing = HeaderMap::new();
        inject(&mut outgoing);
        assert!(outgoing.is_empty() && step("nothing").is_none());
        call.run(async { inject(&mut outgoing) }).await;
        let parent = outgoing.get(TRACEPARENT).unwrap().to_str().unwrap();
        assert!(parent.starts_with(&format!("00-{trace}-")) && parent.ends_with("-01"), "{parent}");
        assert!(!parent.contains("00f067aa0ba902b7"), "the call's span, not the caller's: {parent}");
        assert_eq!(outgoing.get(TRACESTATE).unwrap(), "congo=t61");
        assert!(spans.begin(&HeaderMap::new(), "/a/b").is_none());
    }
}
