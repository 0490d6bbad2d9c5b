//! Whether the wall clock may be relied on for what cannot be undone: activating, retiring and removing keys, and deleting what has
//! expired. One wrong reading must not do lasting damage.
//!
//! A reading is trusted if it agrees with the boot-time clock since an *anchor*. An anchor is set where the wall clock agrees with the
//! database's clock or, where there is none, with the latest time that the store has seen; or where an operator accepts it.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{Store, StoreError};
use crate::{
    clock::Clock,
    model::{StoreClock, UnixTime},
};

/// By how much two clocks may differ that agree.
const BOUND: Duration = Duration::from_secs(120);

/// After how long the anchor is set anew, so that slow drift is no leap.
const ANCHOR_AGE: Duration = Duration::from_secs(60 * 60);

/// How often the store is told the time.
const MARK_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// How long after the latest time that the store has seen a start is an ordinary restart.
const ORDINARY_PAUSE: Duration = Duration::from_secs(60 * 60);

/// How long the wall clock must agree with the boot-time clock after a start that comes later than that.
const SETTLE: Duration = Duration::from_secs(60);

/// After a longer pause than this, an operator must accept the clock.
const LONGEST_PAUSE: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// How long an operator's acceptance can be used.
const ACCEPTANCE: Duration = Duration::from_secs(10 * 60);

/// How often a doubt is logged that lasts.
const LOG_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// Compares the wall clock with the others.
pub struct ClockGuard {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    anchor: Option<Anchor>,
    /// When the store was last told the time, by the boot-time clock.
    marked: Option<Duration>,
    /// When the doubt that there is was last logged, by the boot-time clock.
    logged: Option<Duration>,
}

/// A moment by both clocks.
#[derive(Debug, Clone, Copy)]
struct Anchor {
    wall: UnixTime,
    boot: Duration,
    /// From when on it counts, by the boot-time clock.
    counts_from: Duration,
}

impl Anchor {
    /// What the wall clock should say.
    fn expected(&self, boot: Duration) -> UnixTime {
        self.wall.after(boot.saturating_sub(self.boot))
    }

    fn agrees(&self, wall: UnixTime, boot: Duration) -> bool {
        agree(self.expected(boot), wall)
    }
}

impl ClockGuard {
    /// A guard that trusts nothing before the first [`Self::observe`].
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, state: Mutex::default() }
    }

    /// The present instant, if the clock is trusted now. Asks no store.
    pub fn now(&self) -> Option<UnixTime> {
        let (wall, boot) = self.read();
        let anchor = self.anchor(boot)?;
        anchor.agrees(wall, boot).then_some(wall)
    }

    /// The instant as of which what has expired may be forgotten: the earlier one of the wall clock's and the one that the boot-time
    /// clock leads to. None before the clock was ever trusted. Asks no store.
    pub fn forget_time(&self) -> Option<UnixTime> {
        let (wall, boot) = self.read();
        Some(self.anchor(boot)?.expected(boot).min(wall))
    }

    /// Compares the clocks, and has the store keep the time now and then. The store is asked only then, and while there is a doubt.
    ///
    /// # Errors
    /// When the store cannot be asked; what was trusted still is.
    pub async fn observe(&self) -> Result<(), StoreError> {
        let (wall, boot) = self.read();
        let (anchor, marked) = {
            let state = self.state();
            (state.anchor, state.marked)
        };
        let doubt = match anchor {
            Some(anchor) if anchor.agrees(wall, boot) && boot < anchor.counts_from => Some(format!(
                "the store was last used long ago; waiting for {} s in which the clocks agree",
                SETTLE.as_secs()
            )),
            Some(anchor) if anchor.agrees(wall, boot) => {
                if boot.saturating_sub(anchor.boot) >= ANCHOR_AGE {
                    self.state().anchor = Some(Anchor { wall, boot, ..anchor });
                }
                None
            }
            _ => {
                let stored = self.store.clock().await?;
                let leapt = anchor.filter(|anchor| anchor.counts_from <= boot);
                match judge(stored, wall, leapt.map(|anchor| anchor.expected(boot))) {
                    Ok(settle) => {
                        let anchor = Anchor { wall, boot, counts_from: boot.saturating_add(settle) };
                        self.state().anchor = Some(anchor);
                        (!settle.is_zero()).then(|| "the store was last used long ago".to_owned())
                    }
                    Err(doubt) => Some(doubt),
                }
            }
        };
        let is_due = marked.is_none_or(|marked| boot.saturating_sub(marked) >= MARK_INTERVAL);
        if doubt.is_none() && is_due {
            // A store that takes no writes keeps an older time, which only makes a later start more careful.
            if let Err(error) = self.store.mark_clock(wall, false).await {
                tracing::debug!(%error, "the store does not keep the time");
            }
            self.state().marked = Some(boot);
        }
        self.report(doubt.as_deref(), wall, boot);
        Ok(())
    }

    /// One line when a doubt begins, now and then while it lasts, and when it is over.
    fn report(&self, doubt: Option<&str>, wall: UnixTime, boot: Duration) {
        let mut state = self.state();
        let Some(doubt) = doubt else {
            if state.logged.take().is_some() {
                tracing::info!("the clock is trusted again");
            }
            return;
        };
        if state.logged.is_none_or(|logged| boot.saturating_sub(logged) >= LOG_INTERVAL) {
            state.logged = Some(boot);
            tracing::warn!(
                doubt,
                clock = wall.seconds(),
                "the clock is in doubt: keys do not rotate and nothing that expired is deleted. Correct the clock, or accept it with \
                 `tokend key accept-clock`"
            );
        }
    }

    fn read(&self) -> (UnixTime, Duration) {
        (self.clock.now(), self.clock.boot())
    }

    /// The anchor, once it counts.
    fn anchor(&self, boot: Duration) -> Option<Anchor> {
        self.state().anchor.filter(|anchor| anchor.counts_from <= boot)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For how long the clock must still agree with the boot-time clock before it is trusted; or why it is not. `leapt` is what the wall
/// clock should say, if it was trusted before.
fn judge(stored: StoreClock, wall: UnixTime, leapt: Option<UnixTime>) -> Result<Duration, String> {
    let accepted = |accepted: UnixTime| accepted.minus(BOUND) <= wall && wall <= accepted.after(ACCEPTANCE);
    if stored.accepted.is_some_and(accepted) {
        return Ok(Duration::ZERO);
    }
    let shown = |duration: Duration| humantime::format_duration(duration).to_string();
    if let Some(mark) = stored.mark.filter(|mark| wall < mark.minus(BOUND)) {
        return Err(format!(
            "it is {} behind the latest time that the store has seen",
            shown(mark.since(wall))
        ));
    }
    if let Some(database) = stored.now {
        let apart = wall.since(database).max(database.since(wall));
        return if apart <= BOUND {
            Ok(Duration::ZERO)
        } else {
            Err(format!("it differs from the database's clock by {}", shown(apart)))
        };
    }
    if let Some(expected) = leapt {
        let apart = wall.since(expected).max(expected.since(wall));
        return Err(format!("it leapt by {} against the boot-time clock", shown(apart)));
    }
    match stored.mark.map(|mark| wall.since(mark)) {
        None => Ok(Duration::ZERO),
        Some(pause) if pause <= ORDINARY_PAUSE => Ok(Duration::ZERO),
        Some(pause) if pause <= LONGEST_PAUSE => Ok(SETTLE),
        Some(pause) => {
            Err(format!("it is {} ahead of the latest time that the store has seen", shown(pause)))
        }
    }
}

fn agree(one: UnixTime, other: UnixTime) -> bool {
    one.since(other).max(other.since(one)) <= BOUND
}

impl fmt::Debug for ClockGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClockGuard").field("state", &self.state).finish_non_exhaustive()
    }
}
