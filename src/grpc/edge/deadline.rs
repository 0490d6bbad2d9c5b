//! The timeout of a call: the caller's `grpc-timeout`, up to `request_timeout`.

use std::time::Duration;

use http::HeaderMap;

/// Returns the timeout of a call with these headers.
pub(super) fn of(headers: &HeaderMap, max: Duration) -> Duration {
    let requested = headers.get("grpc-timeout").and_then(|value| parse(value.to_str().ok()?));
    requested.map_or(max, |requested| requested.min(max))
}

/// Parses at most eight digits and a unit (gRPC over HTTP/2, "Timeout"). Other text is ignored.
fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 60 * 60)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_digits_and_a_unit() {
        assert_eq!(parse("2S"), Some(Duration::from_secs(2)));
        assert_eq!(parse("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        assert_eq!(parse("250m"), Some(Duration::from_millis(250)));
        for text in ["", "S", "5", "-1S", "+1S", "123456789S", "1s", "1é", "1 S"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
