//! Instants and durations as text, and as messages of the API.

use std::time::{Duration, UNIX_EPOCH};

use crate::model::UnixTime;

/// The instant, and its distance from `now`.
pub(super) fn with_distance(time: UnixTime, now: UnixTime) -> String {
    let (ago, ahead) = (now.since(time), time.since(now));
    if ahead > Duration::ZERO {
        format!("{time} (in {})", humantime::format_duration(ahead))
    } else {
        format!("{time} ({} ago)", humantime::format_duration(ago))
    }
}

/// The two largest units of a duration: `29d 23h`, `4m 10s`, `12s`.
pub(super) fn short(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes, seconds % 60) {
        (0, 0, 0, seconds) => format!("{seconds}s"),
        (0, 0, minutes, seconds) => format!("{minutes}m {seconds}s"),
        (0, hours, minutes, _) => format!("{hours}h {minutes}m"),
        (days, hours, ..) => format!("{days}d {hours}h"),
    }
}

/// An instant of the API as RFC 3339.
pub(super) fn timestamp(time: prost_types::Timestamp) -> String {
    UnixTime::from_seconds(time.seconds).to_string()
}

/// A duration for the API.
pub(super) fn to_proto(duration: Duration) -> prost_types::Duration {
    // Every duration of humantime fits.
    prost_types::Duration::try_from(duration).unwrap_or_default()
}

/// An instant for the API.
pub(super) const fn to_timestamp(time: UnixTime) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: time.seconds(), nanos: 0 }
}

/// Parses an instant: RFC 3339, or seconds since 1970.
pub(super) fn parse_instant(text: &str) -> Result<UnixTime, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(UnixTime::from_seconds(seconds));
    }
    let time = humantime::parse_rfc3339_weak(text)
        .map_err(|_| "must be RFC 3339 (2030-01-31T12:00:00Z) or seconds since 1970".to_owned())?;
    let seconds =
        time.duration_since(UNIX_EPOCH).map_err(|_| "must not be before 1970".to_owned())?.as_secs();
    i64::try_from(seconds).map(UnixTime::from_seconds).map_err(|_| "is too far away".to_owned())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use std::time::Duration;

    use super::{parse_instant, short, with_distance};
    use crate::model::UnixTime;

    #[test]
    fn instants_are_written_and_parsed() {
        let time = UnixTime::from_seconds(1_900_000_000);
        assert_eq!(parse_instant("2030-03-17T17:46:40Z").unwrap(), time);
        assert_eq!(parse_instant("1900000000").unwrap(), time);
        assert!(parse_instant("soon").is_err());
        let before = UnixTime::from_seconds(1_899_999_940);
        assert_eq!(with_distance(time, before), "2030-03-17T17:46:40Z (in 1m)");
        for early in [i64::MIN, -1] {
            assert!(with_distance(UnixTime::from_seconds(early), time).contains("seconds since 1970"));
        }
        let last = with_distance(UnixTime::from_seconds(i64::MAX), time);
        assert!(last.starts_with("9999-12-31T23:59:59Z (in "), "{last}");
    }

    #[test]
    fn a_short_duration_has_two_units() {
        let text = |seconds| short(Duration::from_secs(seconds));
        assert_eq!(text(0), "0s");
        assert_eq!(text(250), "4m 10s");
        assert_eq!(text(86_399), "23h 59m");
        // No months, whose length differs.
        assert_eq!(text(31 * 86_400), "31d 0h");
    }
}
