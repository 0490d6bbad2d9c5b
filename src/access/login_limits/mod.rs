//! How often a password may be guessed.
//!
//! A failed login counts in three places: against the name from where it came, against the name from anywhere, and against
//! where it came from. Where too many have failed, the next may be tried after a wait that doubles up to a bound. What is
//! refused here was not tried and counts nowhere, so that no wait grows by knocking at the door, and nobody is shut out for
//! good: when the attack ends, the last wait does. Whoever has logged in from somewhere is not held up there by failures with
//! the same name from elsewhere, nor by those with other names.
//!
//! Names are kept as keyed hashes, whether there are such users or not: what was typed as a name may be a password.

mod counter;
mod memory;

use std::{
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_lc_rs::hmac;

use self::{counter::Counter, memory::Memory};
use crate::{
    clock::Clock,
    model::{Source, Username},
    random::{self, RandomError},
};

pub use counter::Backoff;

/// What steers the limits.
#[derive(Debug, Clone, Copy)]
pub struct LoginLimitSettings {
    /// For one name from one source.
    pub name_at_source: Backoff,
    /// For one name from anywhere.
    pub name: Backoff,
    /// For one source with any name.
    pub source: Backoff,
    /// How many names and sources are remembered of each kind, twice: a bound on memory.
    pub remembered: usize,
}

/// Which attempt may be made now.
pub struct LoginLimits {
    settings: LoginLimitSettings,
    clock: Arc<dyn Clock>,
    /// Hashes names and sources: nobody can choose a name that meets another.
    key: hmac::Key,
    state: Mutex<State>,
}

impl fmt::Debug for LoginLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginLimits").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// What a name, a source or both are remembered by.
type Tag = [u8; 16];

struct State {
    names_at_sources: Memory<Counter>,
    names: Memory<Counter>,
    sources: Memory<Counter>,
    /// Names that have logged in at a source.
    welcome: Memory<()>,
}

/// Too many have failed. Who asks again earlier is refused again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many logins have failed")]
pub struct TooManyFailures {
    /// When to ask again.
    pub retry_after: Duration,
}

/// One attempt that may be made. It counts as failed from the start, so that many at once are no way around the limits. Dropped
/// before the password [is compared](Self::compares) it counts as nothing: a caller that gives up while the store hangs has learned
/// nothing. Dropped later it counts as failed, so that hanging up is no way around the limits either.
pub(crate) struct Attempt<'l> {
    limits: &'l LoginLimits,
    tags: Tags,
    compares: bool,
    /// Whether it is made only because the name has logged in there before.
    held_up_elsewhere: Option<Duration>,
}

#[derive(Clone, Copy)]
struct Tags {
    name_at_source: Tag,
    name: Tag,
    source: Tag,
}

impl LoginLimits {
    /// Limits as `settings` say.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn new(settings: LoginLimitSettings, clock: Arc<dyn Clock>) -> Result<Self, RandomError> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &random::bytes::<32>()?);
        let most = settings.remembered;
        let state = State {
            names_at_sources: Memory::new(most),
            names: Memory::new(most),
            sources: Memory::new(most),
            welcome: Memory::new(most),
        };
        Ok(Self { settings, clock, key, state: Mutex::new(state) })
    }

    /// Whether a login with this name may be tried from there, now.
    pub(crate) fn begin(
        &self,
        username: &Username,
        source: Option<IpAddr>,
    ) -> Result<Attempt<'_>, TooManyFailures> {
        let tags = self.tags(username, source);
        let now = self.clock.now();
        let LoginLimitSettings { name_at_source, name, source, .. } = self.settings;
        let mut state = self.state();
        let here =
            state.names_at_sources.get_mut(&tags.name_at_source).and_then(|it| it.wait(name_at_source, now));
        if let Some(retry_after) = here {
            return Err(TooManyFailures { retry_after });
        }
        let by_name = state.names.get_mut(&tags.name).and_then(|it| it.wait(name, now));
        let by_source = state.sources.get_mut(&tags.source).and_then(|it| it.wait(source, now));
        let elsewhere = by_name.max(by_source);
        if let Some(retry_after) = elsewhere
            && state.welcome.get_mut(&tags.name_at_source).is_none()
        {
            return Err(TooManyFailures { retry_after });
        }
        state.names_at_sources.entry(tags.name_at_source).count(name_at_source, now);
        // What is let through in spite of a limit does not feed it.
        if elsewhere.is_none() {
            state.names.entry(tags.name).count(name, now);
            state.sources.entry(tags.source).count(source, now);
        }
        Ok(Attempt { limits: self, tags, compares: false, held_up_elsewhere: elsewhere })
    }

    fn tags(&self, username: &Username, source: Option<IpAddr>) -> Tags {
        let source = source.map_or_else(|| "nowhere".to_owned(), |address| Source::of(address).to_string());
        // A name holds no NUL: no two pairs meet.
        Tags {
            name_at_source: self.tag(&format!("pair\0{}\0{source}", username.as_str())),
            name: self.tag(&format!("name\0{}", username.as_str())),
            source: self.tag(&format!("source\0{source}")),
        }
    }

    fn tag(&self, text: &str) -> Tag {
        let mut tag = [0; 16];
        for (to, from) in tag.iter_mut().zip(hmac::sign(&self.key, text.as_bytes()).as_ref()) {
            *to = *from;
        }
        tag
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // Nothing in here is left half done by a panic that it would matter.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt<'_> {
    /// The password was right. From where it came nothing stands against the name any more; but from elsewhere, or with other
    /// names, somebody may be guessing still.
    pub(crate) fn succeeded(mut self) {
        self.compares = true;
        let mut state = self.limits.state();
        state.names_at_sources.remove(&self.tags.name_at_source);
        state.welcome.entry(self.tags.name_at_source);
        self.take_back_elsewhere(&mut state);
    }

    /// The password is compared from now on.
    pub(crate) const fn compares(&mut self) {
        self.compares = true;
    }

    /// It came to no comparison, for a reason that is not the caller's.
    pub(crate) fn came_to_nothing(mut self) {
        self.compares = false;
    }

    /// The password was wrong. What the caller is told of it, if it is more than that: whoever was let through only for having
    /// logged in there before is told what all others are told at once.
    pub(crate) fn failed(mut self) -> Option<TooManyFailures> {
        self.compares = true;
        self.held_up_elsewhere.map(|retry_after| TooManyFailures { retry_after })
    }

    fn take_back_elsewhere(&self, state: &mut State) {
        if self.held_up_elsewhere.is_none() {
            if let Some(counter) = state.names.get_mut(&self.tags.name) {
                counter.take_back();
            }
            if let Some(counter) = state.sources.get_mut(&self.tags.source) {
                counter.take_back();
            }
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.compares {
            return;
        }
        let mut state = self.limits.state();
        if let Some(counter) = state.names_at_sources.get_mut(&self.tags.name_at_source) {
            counter.take_back();
        }
        self.take_back_elsewhere(&mut state);
    }
}

#[cfg(test)]
mod tests;
