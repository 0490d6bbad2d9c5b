//! The caller's trace: `traceparent` and `tracestate` (W3C Trace Context).
//!
//! `TraceContextPropagator` is laxer: it accepts surrounding spaces, a sign in an id, short flags, a trailing dash and repeated
//! headers, reads `tracestate` of any length, and allocates for each call.

use std::str::FromStr as _;

use http::{HeaderMap, HeaderName};
use opentelemetry::{
    SpanId, TraceFlags, TraceId,
    trace::{SpanContext, TraceState},
};

use crate::model::holds_credential;

pub(super) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub(super) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// A longer `tracestate` is discarded: vendors must propagate 512 characters (section 3.3.1.5).
const MAX_STATE: usize = 512;

/// Reads the caller's span context. A malformed `traceparent` is ignored (section 3.2.2).
pub(super) fn extract(headers: &HeaderMap) -> Option<SpanContext> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    let (trace_id, span_id, flags) = parse(value.to_str().ok()?)?;
    Some(SpanContext::new(trace_id, span_id, flags, true, state(headers)))
}

/// `version-traceid-parentid-flags` in lowercase hexadecimal. A later version may append fields.
fn parse(text: &str) -> Option<(TraceId, SpanId, TraceFlags)> {
    let mut fields = text.splitn(5, '-');
    let (version, trace, span, flags) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let rest = fields.next();
    let hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    if !(hex(version, 2) && hex(trace, 32) && hex(span, 16) && hex(flags, 2)) || version == "ff" {
        return None;
    }
    if version == "00" && rest.is_some() {
        return None;
    }
    let (trace_id, span_id) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    if trace_id == TraceId::INVALID || span_id == SpanId::INVALID {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?);
    Some((trace_id, span_id, TraceFlags::NOT_SAMPLED.with_sampled(flags.is_sampled())))
}

fn state(headers: &HeaderMap) -> TraceState {
    let values: Option<Vec<&str>> =
        headers.get_all(TRACESTATE).iter().map(|value| value.to_str().ok()).collect();
    let joined = values.unwrap_or_default().join(",");
    if joined.len() > MAX_STATE || holds_credential(&joined) {
        return TraceState::NONE;
    }
    TraceState::from_str(&joined).unwrap_or(TraceState::NONE)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use http::HeaderValue;

    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn traceparent_is_parsed_strictly() {
        let of = |value: &str| extract(&headers(&[(TRACEPARENT, value)]));
        for (flags, sampled) in [("01", true), ("00", false), ("03", true), ("fe", false)] {
            let parent = of(&format!("00-{TRACE}-{SPAN}-{flags}")).unwrap();
            assert_eq!(
                (parent.trace_id().to_string(), parent.span_id().to_string()),
                (TRACE.into(), SPAN.into())
            );
            assert_eq!((parent.is_sampled(), parent.is_remote()), (sampled, true));
        }
        assert!(of(&format!("cc-{TRACE}-{SPAN}-01-later-fields")).unwrap().is_sampled());
        for wrong in [
            String::new(),
            "00".to_owned(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("00-{TRACE}-{SPAN}-01-"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{}-{SPAN}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("00-{TRACE}0-{SPAN}-01"),
            format!("00-{TRACE}-+0f067aa0ba902b7-01"),
            format!(" 00-{TRACE}-{SPAN}-01"),
        ] {
            assert!(of(&wrong).is_none(), "{wrong}");
        }
        let value = format!("00-{TRACE}-{SPAN}-01");
        assert!(extract(&headers(&[(TRACEPARENT, &value), (TRACEPARENT, &value)])).is_none());
    }

    #[test]
    fn a_valid_tracestate_is_kept() {
        let value = format!("00-{TRACE}-{SPAN}-01");
        let of = |states: &[&str]| {
            let mut pairs = vec![(TRACEPARENT, value.as_str())];
            pairs.extend(states.iter().map(|state| (TRACESTATE, *state)));
            extract(&headers(&pairs)).unwrap().trace_state().header()
        };
        assert_eq!(of(&[]), "");
        assert_eq!(of(&["rojo=00f067aa0ba902b7, congo=t61"]), "rojo=00f067aa0ba902b7,congo=t61");
        assert_eq!(of(&["a=1", "b=2"]), "a=1,b=2");
        assert_eq!(of(&["no state at all"]), "");
        assert_eq!(of(&[&format!("a={}", "x".repeat(600))]), "");
    }
}
