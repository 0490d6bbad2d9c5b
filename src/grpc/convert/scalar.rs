//! Single values: durations, instants, texts.

use std::{fmt::Display, time::Duration};

use crate::model::{Ttl, UnixTime, Violations};

/// The longest text in a request that becomes part of a token, in bytes.
const LONGEST_TEXT: usize = 255;
/// The longest list of audiences.
pub(super) const MOST_AUDIENCES: usize = 32;
/// The longest list of scopes.
pub(super) const MOST_SCOPES: usize = 64;

/// A duration that may be zero; none when it is not of the form or range of `google.protobuf.Duration`, or negative.
pub(super) fn duration(message: prost_types::Duration) -> Option<Duration> {
    const MOST_SECONDS: u64 = 315_576_000_000;
    let seconds = u64::try_from(message.seconds).ok().filter(|seconds| *seconds <= MOST_SECONDS)?;
    let nanos = u32::try_from(message.nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    Some(Duration::new(seconds, nanos))
}

/// A duration as a message. What is longer than the message can say becomes the longest that it can.
pub(in crate::grpc) fn duration_message(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX).min(315_576_000_000),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or_default(),
    }
}

/// A life: at least one second.
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

/// An instant from 1970 to 9999. A fraction of a second counts as a whole one.
pub(super) fn instant(
    message: Option<prost_types::Timestamp>,
    field: &str,
    violations: &mut Violations,
) -> Option<UnixTime> {
    let message = message?;
    let valid = (0..UnixTime::MAX.seconds()).contains(&message.seconds)
        && (0..1_000_000_000).contains(&message.nanos);
    if !valid {
        violations.add(field, "must be an instant between 1970 and 9999");
        return None;
    }
    Some(UnixTime::from_seconds(message.seconds + i64::from(message.nanos > 0)))
}

/// An instant as a message.
pub(in crate::grpc) const fn instant_message(time: UnixTime) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: time.seconds(), nanos: 0 }
}

/// Subjects and audiences: any text without control characters, up to 255 bytes.
pub(super) fn check_text(text: &str, field: impl Display, violations: &mut Violations) {
    if text.is_empty() || text.len() > LONGEST_TEXT || text.chars().any(char::is_control) {
        violations.add(field.to_string(), "must be 1 to 255 bytes of text without control characters");
    }
}

/// A list of audiences.
pub(super) fn check_audiences(audiences: &[String], field: &str, violations: &mut Violations) {
    if audiences.len() > MOST_AUDIENCES {
        violations.add(field, format!("must name at most {MOST_AUDIENCES} audiences"));
    }
    for (index, audience) in audiences.iter().enumerate().take(MOST_AUDIENCES) {
        check_text(audience, format_args!("{field}[{index}]"), violations);
    }
}

/// A list of issuers.
pub(super) fn check_issuers(issuers: &[String], field: &str, violations: &mut Violations) {
    const MOST_ISSUERS: usize = 16;
    if issuers.len() > MOST_ISSUERS {
        violations.add(field, format!("must name at most {MOST_ISSUERS} issuers"));
    }
    for (index, issuer) in issuers.iter().enumerate().take(MOST_ISSUERS) {
        check_text(issuer, format_args!("{field}[{index}]"), violations);
    }
}

/// A list of scopes, each a scope-token of RFC 6749 section 3.3.
pub(super) fn check_scopes(scopes: &[String], field: &str, violations: &mut Violations) {
    if scopes.len() > MOST_SCOPES {
        violations.add(field, format!("must name at most {MOST_SCOPES} scopes"));
    }
    let allowed = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    for (index, scope) in scopes.iter().enumerate().take(MOST_SCOPES) {
        if scope.is_empty() || scope.len() > LONGEST_TEXT || !scope.bytes().all(allowed) {
            let description = "must be 1 to 255 printable ASCII characters other than space, `\"` and `\\`";
            violations.add(format!("{field}[{index}]"), description);
        }
    }
}

/// A UUID that names the request (AIP-155), or nothing.
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
