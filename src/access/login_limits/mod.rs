//! Rate limits of failed logins.
//!
//! A failed login counts three times: for the username at its source, for the username from any source, and for the source. After
//! too many failures the next attempt must wait; the wait doubles up to a bound. A rejected attempt counts nowhere, so retries never
//! extend a wait, and accounts are never locked permanently. A username that logged in from a source before is exempt there from the
//! limits of the username and of the source.
//!
//! Keys are HMACs of usernames, whether the users exist or not, because a caller may send a password as the username.

mod backoff;

use std::{
    convert::Infallible,
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_lc_rs::hmac;
use quick_cache::{DefaultHashBuilder, OptionsBuilder, UnitWeighter, unsync};

use self::backoff::FailureCounter;
use crate::{
    clock::Clock,
    model::{Source, UnixTime, Username},
    random::{self, RandomError},
};

pub use backoff::Backoff;

/// Settings of the limits.
#[derive(Debug, Clone, Copy)]
pub struct LoginLimitSettings {
    /// The limit of a username at a source.
    pub name_at_source: Backoff,
    /// The limit of a username from any source.
    pub name: Backoff,
    /// The limit of a source with any username.
    pub source: Backoff,
    /// Half of the number of keys of each kind in memory.
    pub remembered: usize,
}

/// Limits login attempts.
pub struct LoginLimits {
    settings: LoginLimitSettings,
    clock: Arc<dyn Clock>,
    /// The key of the HMACs, so that callers cannot choose usernames that collide.
    hmac_key: hmac::Key,
    state: Mutex<State>,
}

impl fmt::Debug for LoginLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginLimits").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// A truncated HMAC.
type Key = [u8; 16];

struct State {
    names_at_sources: Counters,
    names: Counters,
    sources: Counters,
    /// The pairs of username and source with a successful login.
    exempt: Bounded<()>,
}

type Bounded<T> = unsync::Cache<Key, T>;

/// Counters by key. To evict a key, an attacker must add as many others as half of the map holds.
struct Counters {
    backoff: Backoff,
    by_key: Bounded<FailureCounter>,
}

impl Counters {
    fn wait(&mut self, key: &Key, now: UnixTime) -> Option<Duration> {
        self.by_key.get_mut(key).and_then(|mut counter| counter.wait(self.backoff, now))
    }

    fn count(&mut self, key: &Key, now: UnixTime) {
        let counter: Result<_, Infallible> =
            self.by_key.get_mut_or_insert_with(key, || Ok(Default::default()));
        let Ok(counter) = counter;
        if let Some(mut counter) = counter {
            counter.count(self.backoff, now);
        }
    }

    fn uncount(&mut self, key: &Key) {
        if let Some(mut counter) = self.by_key.get_mut(key) {
            counter.uncount();
        }
    }
}

/// A map of at most `2 * remembered` entries.
fn bounded<T>(remembered: usize) -> Bounded<T> {
    let capacity = remembered.max(1).saturating_mul(2);
    let weight = u64::try_from(capacity).unwrap_or(u64::MAX);
    let mut options = OptionsBuilder::new();
    options.estimated_items_capacity(capacity).weight_capacity(weight).hot_allocation(0.5);
    match options.build() {
        Ok(options) => {
            let (hasher, lifecycle) = (DefaultHashBuilder::default(), unsync::DefaultLifecycle::default());
            unsync::Cache::with_options(options, UnitWeighter, hasher, lifecycle)
        }
        // Both required options are set.
        Err(_) => unsync::Cache::new(capacity),
    }
}

/// Too many failed logins; an earlier retry is rejected again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many logins have failed")]
pub struct TooManyFailures {
    /// The delay before a retry.
    pub retry_after: Duration,
}

/// An accepted login attempt. It counts as a failure from the start, so that concurrent attempts do not bypass the limits. Dropped
/// before [`Self::comparing`], the attempt counts as nothing: the caller has learned nothing. Dropped later, it stays a failure, so
/// that a disconnect does not bypass the limits.
pub(crate) struct LoginAttempt<'l> {
    limits: &'l LoginLimits,
    keys: Keys,
    stays_counted: bool,
    /// The wait from which the attempt is exempt.
    exempt_from: Option<Duration>,
}

#[derive(Clone, Copy)]
struct Keys {
    name_at_source: Key,
    name: Key,
    source: Key,
}

impl LoginLimits {
    /// Applies `settings`.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn new(settings: LoginLimitSettings, clock: Arc<dyn Clock>) -> Result<Self, RandomError> {
        let hmac_key = hmac::Key::new(hmac::HMAC_SHA256, &random::bytes::<32>()?);
        let counters = |backoff| Counters { backoff, by_key: bounded(settings.remembered) };
        let state = State {
            names_at_sources: counters(settings.name_at_source),
            names: counters(settings.name),
            sources: counters(settings.source),
            exempt: bounded(settings.remembered),
        };
        Ok(Self { settings, clock, hmac_key, state: Mutex::new(state) })
    }

    /// Begins a login with this username from this address, or returns the wait.
    pub(crate) fn begin(
        &self,
        username: &Username,
        address: Option<IpAddr>,
    ) -> Result<LoginAttempt<'_>, TooManyFailures> {
        let keys = self.keys(username, address);
        let now = self.clock.now();
        let mut state = self.state();
        if let Some(retry_after) = state.names_at_sources.wait(&keys.name_at_source, now) {
            return Err(TooManyFailures { retry_after });
        }
        let exempt_from = state.names.wait(&keys.name, now).max(state.sources.wait(&keys.source, now));
        if let Some(retry_after) = exempt_from
            && state.exempt.get(&keys.name_at_source).is_none()
        {
            return Err(TooManyFailures { retry_after });
        }
        state.names_at_sources.count(&keys.name_at_source, now);
        // An exempt attempt does not count for the limits from which it is exempt.
        if exempt_from.is_none() {
            state.names.count(&keys.name, now);
            state.sources.count(&keys.source, now);
        }
        Ok(LoginAttempt { limits: self, keys, stays_counted: false, exempt_from })
    }

    fn keys(&self, username: &Username, address: Option<IpAddr>) -> Keys {
        let source = address.map_or_else(|| "nowhere".to_owned(), |address| Source::of(address).to_string());
        // A username contains no NUL, so that different pairs have different texts.
        Keys {
            name_at_source: self.key(&format!("pair\0{}\0{source}", username.as_str())),
            name: self.key(&format!("name\0{}", username.as_str())),
            source: self.key(&format!("source\0{source}")),
        }
    }

    fn key(&self, text: &str) -> Key {
        hmac::sign(&self.hmac_key, text.as_bytes()).as_ref().first_chunk().copied().unwrap_or_default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic leaves no inconsistent state behind.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LoginAttempt<'_> {
    /// The password matched: forgets the failures of the username at this source. The failures of the username at other sources, and
    /// of other usernames at this source, stay.
    pub(crate) fn succeeded(mut self) {
        self.stays_counted = true;
        let mut state = self.limits.state();
        state.names_at_sources.by_key.remove(&self.keys.name_at_source);
        state.exempt.insert(self.keys.name_at_source, ());
        self.uncount_totals(&mut state);
    }

    /// The comparison of the password begins.
    pub(crate) const fn comparing(&mut self) {
        self.stays_counted = true;
    }

    /// The password was not compared, for a reason that is not the caller's.
    pub(crate) fn cancel(mut self) {
        self.stays_counted = false;
    }

    /// The password was wrong. Returns the error of an exempt attempt: the caller gets the response that an attempt without the
    /// exemption gets.
    pub(crate) fn failed(mut self) -> Option<TooManyFailures> {
        self.stays_counted = true;
        self.exempt_from.map(|retry_after| TooManyFailures { retry_after })
    }

    fn uncount_totals(&self, state: &mut State) {
        if self.exempt_from.is_none() {
            state.names.uncount(&self.keys.name);
            state.sources.uncount(&self.keys.source);
        }
    }
}

impl Drop for LoginAttempt<'_> {
    fn drop(&mut self) {
        if !self.stays_counted {
            let mut state = self.limits.state();
            state.names_at_sources.uncount(&self.keys.name_at_source);
            self.uncount_totals(&mut state);
        }
    }
}

#[cfg(test)]
mod tests;
