//! Durations, timestamps and text.

use std::{fmt::Display, time::Duration};

use crate::model::{Ttl, UnixTime, Violations};

/// The longest text that becomes part of a token, in bytes.
const MAX_TEXT: usize = 255;
/// The most audiences of a request.
pub(super) const MAX_AUDIENCES: usize = 32;
/// The most scopes of a request.
pub(super) const MAX_SCOPES: usize = 64;

/// Reads a duration of zero or more. Returns nothing for a negative one, and outside the range of `google.protobuf.Duration`.
pub(super) fn duration(message: prost_types::Duration) -> Option<Duration> {
    const MAX_SECONDS: u64 = 315_576_000_000;
    let seconds = u64::try_from(message.seconds).ok().filter(|seconds| *seconds <= MAX_SECONDS)?;
    let nanos = u32::try_from(message.nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    Some(Duration::new(seconds, nanos))
}

/// Converts a duration, up to the longest that the message can hold.
pub(in crate::grpc) fn duration_message(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX).min(315_576_000_000),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or_default(),
    }
}

/// Reads a token lifetime: at least one second.
pub(super) fn ttl(
    message: Option<prost_types::Duration>,
    field: &str,
    violations: &mut Violations,
) -> Option<Ttl> {
    let ttl = duration(message?).and_then(|duration| Ttl::from_seconds(duration.as_secs()));
    if ttl.is_none() {
        violations.add(field, "must be a duration of at least one second");
    }
    ttl
}

/// Reads a timestamp from 1970 to 9999. A fraction of a second is rounded up.
pub(super) fn instant(
    message: Option<prost_types::Timestamp>,
    field: &str,
    violations: &mut Violations,
) -> Option<UnixTime> {
    let message = message?;
    let valid = (0..UnixTime::MAX.seconds()).contains(&message.seconds)
        && (0..1_000_000_000).contains(&message.nanos);
    if !valid {
        violations.add(field, "must be a time between 1970 and 9999");
        return None;
    }
    Some(UnixTime::from_seconds(message.seconds + i64::from(message.nanos > 0)))
}

/// Converts a time.
pub(crate) const fn timestamp(time: UnixTime) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: time.seconds(), nanos: 0 }
}

/// Checks a subject, an audience or an issuer.
pub(super) fn check_text(text: &str, field: impl Display, violations: &mut Violations) {
    if text.is_empty() || text.len() > MAX_TEXT || text.chars().any(char::is_control) {
        violations.add(field.to_string(), "must be 1 to 255 bytes of text without control characters");
    }
}

/// Checks a list of audiences.
pub(super) fn check_audiences(audiences: &[String], field: &str, violations: &mut Violations) {
    if audiences.len() > MAX_AUDIENCES {
        violations.add(field, format!("must name at most {MAX_AUDIENCES} audiences"));
    }
    for (index, audience) in audiences.iter().enumerate().take(MAX_AUDIENCES) {
        check_text(audience, format_args!("{field}[{index}]"), violations);
    }
}

/// Checks a list of issuers.
pub(super) fn check_issuers(issuers: &[String], field: &str, violations: &mut Violations) {
    const MAX_ISSUERS: usize = 16;
    if issuers.len() > MAX_ISSUERS {
        violations.add(field, format!("must name at most {MAX_ISSUERS} issuers"));
    }
    for (index, issuer) in issuers.iter().enumerate().take(MAX_ISSUERS) {
        check_text(issuer, format_args!("{field}[{index}]"), violations);
    }
}

/// Checks a list of scopes, each a scope-token of RFC 6749 section 3.3.
pub(super) fn check_scopes(scopes: &[String], field: &str, violations: &mut Violations) {
    if scopes.len() > MAX_SCOPES {
        violations.add(field, format!("must name at most {MAX_SCOPES} scopes"));
    }
    let allowed = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    for (index, scope) in scopes.iter().enumerate().take(MAX_SCOPES) {
        if scope.is_empty() || scope.len() > MAX_TEXT || !scope.bytes().all(allowed) {
            let description = "must be 1 to 255 printable ASCII characters other than space, `\"` and `\\`";
            violations.add(format!("{field}[{index}]"), description);
        }
    }
}

/// Checks an optional `request_id`, which is a UUID (AIP-155).
pub(in crate::grpc) fn request_id(text: &str, violations: &mut Violations) {
    let hyphens = [8, 13, 18, 23];
    let well_formed = text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| {
            if hyphens.contains(&index) { byte == b'-' } else { byte.is_ascii_hexdigit() }
        });
    if !text.is_empty() && !well_formed {
        violations.add("request_id", "must be a UUID such as 123e4567-e89b-12d3-a456-426614174000");
    }
}
