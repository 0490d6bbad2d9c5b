//! When keys are published, sign, retire and go. What must hold for no good token ever to be refused is checked here,
//! when a schedule is made; there is no other way to make one.

use std::time::Duration;

use crate::model::{KeyRecord, KeySet, KeyState, Ttl, UnixTime};

/// How much clocks of two replicas may differ (a minute), and how long a replica may take to follow the store (as
/// long again). It is added wherever instants of two replicas meet.
pub const CLOCK_MARGIN: Duration = Duration::from_secs(120);

/// The least that a key is published before it signs.
const LEAST_PUBLISH_AHEAD: Duration = Duration::from_secs(60 * 60);

/// How many retired keys of an algorithm the plan may leave beside each other in the JWK set.
const MOST_WINDOWS: u32 = 32;

/// By how much the end of a key is put off whose successor may not sign yet.
const EXTENSION: Duration = Duration::from_secs(60 * 60);

/// How long after its planned end a key goes whose algorithm this replica was not told to keep: another replica that
/// was told so has rotated it by then.
const GRACE: Duration = Duration::from_secs(10 * 60);

/// What a schedule is made from.
#[derive(Debug, Clone, Copy)]
pub struct ScheduleSettings {
    /// How long a key signs.
    pub rotation_period: Duration,
    /// How long it is published before it signs.
    pub publish_ahead: Duration,
    /// The longest life of a token.
    pub max_ttl: Ttl,
    /// How long the tokens of a key may live after it has ceased to sign; none means as long as they can.
    pub retire_window: Option<Duration>,
    /// The largest leeway that somebody who verifies may ask for.
    pub max_leeway: Duration,
    /// How long verifiers may keep the JWK set.
    pub jwks_max_age: Duration,
    /// How long a rotation waits for verifiers that watch the trust bundle and do not hold the next key yet.
    pub await_verifiers: Duration,
}

/// A schedule that would refuse good tokens.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {problem}")]
pub struct ScheduleError {
    /// The setting to change.
    pub setting: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

/// When keys are published, sign, retire and go.
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
    /// When a verifier could meet a token whose key it does not know yet, or no longer.
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

    /// When a key that is published at `now` may sign at the earliest.
    pub(super) fn may_sign(&self, published: UnixTime) -> UnixTime {
        published.after(self.publish_ahead).after(CLOCK_MARGIN)
    }

    /// When a key that begins to sign at `now` is to cease, and until when its tokens may live.
    pub(super) fn ends(&self, now: UnixTime) -> (UnixTime, UnixTime) {
        self.ends_at(now.after(self.rotation_period))
    }

    /// The same for a key that is to cease at `retire`.
    pub(super) fn ends_at(&self, retire: UnixTime) -> (UnixTime, UnixTime) {
        (retire, retire.after(self.retire_window))
    }

    /// The ends of a key that cannot be followed yet at `now`.
    pub(super) fn put_off(&self, now: UnixTime) -> (UnixTime, UnixTime) {
        self.ends_at(now.after(EXTENSION))
    }

    /// How long a key's tokens may live after it has ceased to sign.
    pub(super) const fn retire_window(&self) -> Duration {
        self.retire_window
    }

    /// When nobody can accept a token that expires at `expire`, by whosever clock and with whatever leeway.
    pub(super) fn gone(&self, expire: UnixTime) -> UnixTime {
        expire.after(self.max_leeway).after(CLOCK_MARGIN)
    }

    /// When nobody can accept what `key` had signed by `now`; none if nobody knows how long its tokens live. What it signs lives
    /// no longer than between its planned ends, whatever the settings were when it signed.
    pub(super) fn tokens_end(&self, key: &KeyRecord, now: UnixTime) -> Option<UnixTime> {
        let (retire, expire) = (key.retire_time?, key.expire_time?);
        (expire < UnixTime::MAX).then(|| self.gone(now.after(expire.since(retire)).min(expire)))
    }

    /// The same of all that this issuer's keys had signed.
    pub(crate) fn all_tokens_end(&self, keys: &KeySet, now: UnixTime) -> Option<UnixTime> {
        let own = keys.keys.iter().filter(|key| key.issuer.is_none() && key.state.verifies());
        let signed = own.filter(|key| key.state != KeyState::Pending);
        signed
            .map(|key| self.tokens_end(key, now))
            .try_fold(now, |latest, end| end.map(|end| latest.max(end)))
    }

    /// When a key goes whose algorithm nobody keeps, and that was to retire at `retire`.
    pub(super) fn abandoned(&self, retire: UnixTime) -> UnixTime {
        retire.after(GRACE)
    }

    /// Until when a key that may sign from `activate` on waits for verifiers.
    pub(super) fn patience(&self, activate: UnixTime) -> UnixTime {
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
    fn a_schedule_that_would_refuse_good_tokens_cannot_be_made() {
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
