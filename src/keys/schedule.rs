//! The rotation schedule: when keys are published, activated, retired and deleted. [`RotationSchedule::new`] checks the conditions
//! under which no valid token is ever rejected, and is the only constructor.

use std::time::Duration;

pub use crate::jose::CLOCK_MARGIN;
use crate::model::{KeyRecord, KeySet, KeyState, Ttl, UnixTime};

/// The minimum of `publish_ahead`.
const LEAST_PUBLISH_AHEAD: Duration = Duration::from_secs(60 * 60);

/// The limit of retired keys of an algorithm that the plan keeps in the JWK set at the same time.
const MOST_WINDOWS: u32 = 32;

/// The time by which the retirement of a key is postponed when its successor may not sign yet.
const EXTENSION: Duration = Duration::from_secs(60 * 60);

/// The time after its planned retirement at which a key without a configured algorithm is retired. A replica on which the algorithm is
/// configured has rotated the key by then.
const GRACE: Duration = Duration::from_secs(10 * 60);

/// The settings of a schedule.
#[derive(Debug, Clone, Copy)]
pub struct ScheduleSettings {
    /// The time that a key is active.
    pub rotation_period: Duration,
    /// The time that a key is published before it is activated.
    pub publish_ahead: Duration,
    /// The longest lifetime of a token.
    pub max_ttl: Ttl,
    /// The time after a key's retirement until which its tokens are accepted; by default the longest lifetime of a token.
    pub retire_window: Option<Duration>,
    /// The largest leeway that a verifier may request.
    pub max_leeway: Duration,
    /// The time for which verifiers may cache the JWK set.
    pub jwks_max_age: Duration,
    /// The time for which a rotation waits for verifiers that watch the trust bundle and do not hold the next key yet.
    pub await_verifiers: Duration,
}

/// A schedule under which valid tokens would be rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {problem}")]
pub struct ScheduleError {
    /// The setting to change.
    pub setting: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

/// When keys are published, activated, retired and deleted.
#[derive(Debug, Clone, Copy)]
pub struct RotationSchedule {
    rotation_period: Duration,
    publish_ahead: Duration,
    retire_window: Duration,
    max_leeway: Duration,
    await_verifiers: Duration,
}

impl RotationSchedule {
    /// The schedule of these settings.
    ///
    /// # Errors
    /// When a verifier could receive a token whose key it does not hold yet, or no longer.
    pub fn new(settings: ScheduleSettings) -> Result<Self, ScheduleError> {
        let ScheduleSettings { rotation_period, publish_ahead, max_leeway, await_verifiers, .. } = settings;
        let longest = Duration::from(settings.max_ttl).saturating_add(max_leeway);
        let retire_window = settings.retire_window.unwrap_or(longest.saturating_add(EXTENSION));
        let shown = |duration: Duration| humantime::format_duration(duration).to_string();
        let wrong = |setting, problem| Err(ScheduleError { setting, problem });
        if publish_ahead < LEAST_PUBLISH_AHEAD {
            return wrong("publish_ahead", format!("must be at least {}", shown(LEAST_PUBLISH_AHEAD)));
        }
        let caches = settings.jwks_max_age.saturating_mul(2);
        if publish_ahead <= caches {
            let problem = format!("must be more than twice `jwks_max_age`, which is {}", shown(caches));
            return wrong("publish_ahead", problem);
        }
        let least = publish_ahead.saturating_add(CLOCK_MARGIN);
        if rotation_period < least {
            let problem = format!("must be at least {}, which is 2m more than `publish_ahead`", shown(least));
            return wrong("rotation_period", problem);
        }
        if retire_window < longest {
            let problem = format!("must be at least {}, which is `max_ttl` and `max_leeway`", shown(longest));
            return wrong("retire_window", problem);
        }
        if retire_window > rotation_period.saturating_mul(MOST_WINDOWS) {
            let problem =
                format!("must be at least a {MOST_WINDOWS}nd of `retire_window`, {}", shown(retire_window));
            return wrong("rotation_period", problem);
        }
        Ok(Self { rotation_period, publish_ahead, retire_window, max_leeway, await_verifiers })
    }

    /// The earliest time at which a key may sign that was published at `published`.
    pub(super) fn may_sign(&self, published: UnixTime) -> UnixTime {
        published.after(self.publish_ahead).after(CLOCK_MARGIN)
    }

    /// The retirement and the expiry of a key that is activated at `now`.
    pub(super) fn ends(&self, now: UnixTime) -> (UnixTime, UnixTime) {
        self.ends_at(now.after(self.rotation_period))
    }

    /// The retirement and the expiry of a key that retires at `retire`.
    pub(super) fn ends_at(&self, retire: UnixTime) -> (UnixTime, UnixTime) {
        (retire, retire.after(self.retire_window))
    }

    /// The retirement and the expiry of a key whose successor may not sign yet at `now`.
    pub(super) fn postponed(&self, now: UnixTime) -> (UnixTime, UnixTime) {
        self.ends_at(now.after(EXTENSION))
    }

    /// The time after a key's retirement until which its tokens are accepted.
    pub(super) const fn retire_window(&self) -> Duration {
        self.retire_window
    }

    /// The time after which no verifier accepts a token that expires at `expire`, whatever its clock difference and leeway.
    pub(super) fn gone(&self, expire: UnixTime) -> UnixTime {
        expire.after(self.max_leeway).after(CLOCK_MARGIN)
    }

    /// The time after which no verifier accepts a token that `key` signed until `now`; none if that is unknown. Such a token lives no
    /// longer than from the key's retirement to its expiry, whatever the settings were when it was signed.
    pub(super) fn tokens_end(&self, key: &KeyRecord, now: UnixTime) -> Option<UnixTime> {
        let (retire, expire) = (key.retire_time?, key.expire_time?);
        (expire < UnixTime::MAX).then(|| self.gone(now.after(expire.since(retire)).min(expire)))
    }

    /// The same for the tokens of all keys of this issuer.
    pub(crate) fn all_tokens_end(&self, keys: &KeySet, now: UnixTime) -> Option<UnixTime> {
        let own = keys.keys.iter().filter(|key| key.issuer.is_none() && key.state.verifies());
        let signed = own.filter(|key| key.state != KeyState::Pending);
        signed
            .map(|key| self.tokens_end(key, now))
            .try_fold(now, |latest, end| end.map(|end| latest.max(end)))
    }

    /// The time at which a key without a configured algorithm is retired that was to retire at `retire`.
    pub(super) fn abandoned(&self, retire: UnixTime) -> UnixTime {
        retire.after(GRACE)
    }

    /// The time until which the activation of a key that is due at `activate` waits for verifiers.
    pub(super) fn await_verifiers_until(&self, activate: UnixTime) -> UnixTime {
        activate.after(self.await_verifiers)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn settings() -> ScheduleSettings {
        ScheduleSettings {
            rotation_period: 720 * HOUR,
            publish_ahead: HOUR,
            max_ttl: Ttl::from_minutes(60),
            retire_window: None,
            max_leeway: Duration::from_secs(60),
            jwks_max_age: Duration::from_secs(300),
            await_verifiers: Duration::ZERO,
        }
    }

    #[test]
    fn a_schedule_under_which_valid_tokens_would_be_rejected_is_an_error() {
        RotationSchedule::new(settings()).unwrap();
        let refused = |change: fn(&mut ScheduleSettings), setting: &str| {
            let mut settings = settings();
            change(&mut settings);
            assert_eq!(RotationSchedule::new(settings).unwrap_err().setting, setting);
        };
        refused(|s| s.publish_ahead = HOUR - Duration::from_secs(1), "publish_ahead");
        refused(|s| s.jwks_max_age = HOUR / 2, "publish_ahead");
        refused(|s| s.rotation_period = HOUR + CLOCK_MARGIN - Duration::from_secs(1), "rotation_period");
        refused(|s| s.retire_window = Some(HOUR + Duration::from_secs(59)), "retire_window");
        refused(|s| s.max_ttl = Ttl::from_minutes(60 * 24 * 365 * 3), "rotation_period");
    }

    #[test]
    fn the_edges_of_a_schedule_are_within_it() {
        let mut edge = settings();
        edge.jwks_max_age = HOUR / 2 - Duration::from_secs(1);
        edge.rotation_period = HOUR + CLOCK_MARGIN;
        edge.retire_window = Some(HOUR + Duration::from_secs(60));
        let schedule = RotationSchedule::new(edge).unwrap();
        let at = UnixTime::from_seconds;
        assert_eq!(schedule.may_sign(at(0)), at(3720));
        assert_eq!(schedule.ends(at(0)), (at(3720), at(3720 + 3660)));
        assert_eq!(schedule.gone(at(0)), at(180));
    }
}
