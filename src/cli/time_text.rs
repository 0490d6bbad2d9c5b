//! Instants and durations for people.

use std::time::{Duration, UNIX_EPOCH};

use crate::model::UnixTime;

/// An instant as RFC 3339 says it.
pub(super) fn instant(time: UnixTime) -> String {
    time.to_string()
}

/// An instant, and how far it is from `now`.
pub(super) fn instant_from(time: UnixTime, now: UnixTime) -> String {
    let (ago, ahead) = (now.since(time), time.since(now));
    if ahead > Duration::ZERO {
        format!("{} (in {})", instant(time), humantime::format_duration(ahead))
    } else {
        format!("{} ({} ago)", instant(time), humantime::format_duration(ago))
    }
}

/// How long it still is, in its two largest units: `29d 23h`, `4m 10s`, `12s`.
pub(super) fn still(ahead: Duration) -> String {
    let seconds = ahead.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes, seconds % 60) {
        (0, 0, 0, seconds) => format!("{seconds}s"),
        (0, 0, minutes, seconds) => format!("{minutes}m {seconds}s"),
        (0, hours, minutes, _) => format!("{hours}h {minutes}m"),
        (days, hours, ..) => format!("{days}d {hours}h"),
    }
}

/// An instant of the API.
pub(super) fn timestamp(time: prost_types::Timestamp) -> String {
    instant(UnixTime::from_seconds(time.seconds))
}

/// A duration of the API.
pub(super) fn duration(duration: prost_types::Duration) -> String {
    Duration::try_from(duration)
        .map_or_else(|_| "negative".to_owned(), |d| humantime::format_duration(d).to_string())
}

/// A duration for the API.
pub(super) fn to_api(duration: Duration) -> prost_types::Duration {
    // humantime reads no duration that would not fit.
    prost_types::Duration::try_from(duration).unwrap_or_default()
}

/// Reads an instant: RFC 3339, or seconds since 1970.
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

    use super::{instant, instant_from, parse_instant, still};
    use crate::model::UnixTime;

    #[test]
    fn instants_are_said_and_read() {
        let time = UnixTime::from_seconds(1_900_000_000);
        assert_eq!(instant(time), "2030-03-17T17:46:40Z");
        assert_eq!(parse_instant("2030-03-17T17:46:40Z").unwrap(), time);
        assert_eq!(parse_instant("1900000000").unwrap(), time);
        assert!(parse_instant("soon").is_err());
        assert_eq!(instant_from(time, UnixTime::from_seconds(1_899_999_940)), "2030-03-17T17:46:40Z (in 1m)");
        for early in [i64::MIN, -1] {
            assert!(instant_from(UnixTime::from_seconds(early), time).contains("seconds since 1970"));
        }
        assert!(
            instant_from(UnixTime::from_seconds(i64::MAX), time).starts_with("9999-12-31T23:59:59Z (in ")
        );
    }

    #[test]
    fn what_is_still_to_come_is_said_shortly() {
        let said = |seconds| still(Duration::from_secs(seconds));
        assert_eq!(said(0), "0s");
        assert_eq!(said(250), "4m 10s");
        assert_eq!(said(86_399), "23h 59m");
        // No months: theirs would not be those of a calendar.
        assert_eq!(said(31 * 86_400), "31d 0h");
    }
}
