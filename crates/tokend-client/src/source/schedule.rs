//! When an access token is used, refreshed and given up: plain rules over the monotonic clock.

use std::time::Duration;

use super::AccessToken;
use crate::{TokenError, random};

/// A token is refreshed after this part of its lifetime at the earliest, in percent.
const REFRESH_FROM: u32 = 70;
/// A token is refreshed after this part of its lifetime at the latest, in percent.
const REFRESH_TO: u32 = 85;
/// A token is not used in the last part of its lifetime, in percent, nor in the last [`MARGIN`]: it has to arrive while it is valid.
const USE_TO: u32 = 95;
const MARGIN: Duration = Duration::from_secs(10);
/// The delay after a failure.
const SHORTEST_DELAY: Duration = Duration::from_millis(500);
/// The longest delay after many failures.
const LONGEST_DELAY: Duration = Duration::from_secs(10);

/// A token with its times on the monotonic clock.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) token: AccessToken,
    /// When it was requested.
    pub(super) requested: Duration,
    /// From when on it should be replaced.
    pub(super) refresh_at: Duration,
    /// From when on it is not used.
    pub(super) end: Duration,
}

impl Held {
    /// A token that was requested at `requested`. Its lifetime counts from then, because the response took some time.
    pub(super) fn new(token: AccessToken, requested: Duration) -> Self {
        let lifetime = token.lifetime();
        let part = |percent| lifetime.saturating_mul(percent) / 100;
        let usable = part(USE_TO).min(lifetime.saturating_sub(MARGIN).max(lifetime / 2));
        let refresh_after = random::between(part(REFRESH_FROM), part(REFRESH_TO)).min(usable);
        Self { token, requested, refresh_at: requested + refresh_after, end: requested + usable }
    }
}

/// Failures since the last success.
#[derive(Debug, Default)]
pub(super) struct Failures {
    count: u32,
    last: Option<(TokenError, Duration)>,
}

impl Failures {
    /// Counts a failure at `now`.
    pub(super) fn add(&mut self, error: TokenError, now: Duration) {
        let longest = LONGEST_DELAY.min(SHORTEST_DELAY.saturating_mul(2_u32.saturating_pow(self.count)));
        self.count = self.count.saturating_add(1);
        self.last = Some((error, now + random::between(longest / 2, longest)));
    }

    /// The last error, while the delay after it lasts.
    pub(super) fn recent(&self, now: Duration) -> Option<TokenError> {
        self.last.as_ref().filter(|(_, until)| now < *until).map(|(error, _)| error.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_replaced_before_it_is_given_up_and_given_up_before_it_expires() -> Result<(), TokenError> {
        let requested = Duration::from_secs(1000);
        for seconds in [1, 2, 5, 11, 30, 60, 600, 86_400] {
            let lifetime = Duration::from_secs(seconds);
            for _ in 0..100 {
                let held = Held::new(AccessToken::new("token", lifetime)?, requested);
                assert!(held.refresh_at > requested && held.refresh_at <= held.end, "{held:?}");
                assert!(held.end < requested + lifetime, "{held:?}");
            }
        }
        let hour = Duration::from_secs(3600);
        let held = Held::new(AccessToken::new("token", hour)?, requested);
        assert_eq!(held.end, requested + hour * 95 / 100);
        assert!((hour * 7 / 10..=hour * 85 / 100).contains(&(held.refresh_at - requested)), "{held:?}");
        Ok(())
    }

    #[test]
    fn the_delay_after_failures_grows_to_ten_seconds() {
        let (mut failures, now) = (Failures::default(), Duration::from_secs(5));
        let error = || TokenError::Response("no token");
        assert!(failures.recent(now).is_none());
        failures.add(error(), now);
        assert!(failures.recent(now).is_some() && failures.recent(now + SHORTEST_DELAY).is_none());
        for _ in 0..100 {
            failures.add(error(), now);
        }
        assert!(failures.recent(now + LONGEST_DELAY / 2 - Duration::from_millis(1)).is_some());
        assert!(failures.recent(now + LONGEST_DELAY).is_none());
    }
}
