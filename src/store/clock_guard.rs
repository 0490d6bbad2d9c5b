//! Decides whether the wall clock is trusted for actions that cannot be undone: activating, retiring and removing keys, and deleting
//! expired records. One wrong reading must not do lasting damage.
//!
//! A reading is trusted if the wall clock and the boot-time clock have advanced equally since an *anchor*. An anchor is set when the
//! wall clock agrees with the database's clock or, if the database has none, with the latest time that the store has seen; or when an
//! operator accepts the time.

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

/// The largest difference of two clocks that agree.
const BOUND: Duration = Duration::from_secs(120);

/// The age at which the anchor is replaced, so that slow drift is not taken for a jump.
const ANCHOR_AGE: Duration = Duration::from_secs(60 * 60);

/// The interval of writing the time to the store.
const MARK_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// A start up to this long after the latest time that the store has seen is an ordinary restart.
const ORDINARY_PAUSE: Duration = Duration::from_secs(60 * 60);

/// How long the wall clock must agree with the boot-time clock after a later start.
const SETTLE: Duration = Duration::from_secs(60);

/// After a longer pause, an operator must accept the clock.
const LONGEST_PAUSE: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// The lifetime of an operator's acceptance.
const ACCEPTANCE: Duration = Duration::from_secs(10 * 60);

/// The interval of logging that the clock is not trusted.
const LOG_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// Compares the wall clock with the boot-time clock, the database's clock and the store's latest time.
pub struct ClockGuard {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    anchor: Option<Anchor>,
    /// When the time was last written to the store, by the boot-time clock.
    marked: Option<Duration>,
    /// When the current distrust was last logged, by the boot-time clock.
    logged: Option<Duration>,
}

/// One instant by both clocks.
#[derive(Debug, Clone, Copy)]
struct Anchor {
    wall: UnixTime,
    boot: Duration,
    /// When the anchor becomes valid, by the boot-time clock.
    valid_from: Duration,
}

impl Anchor {
    /// The time that the wall clock should have.
    fn expected(&self, boot: Duration) -> UnixTime {
        self.wall.after(boot.saturating_sub(self.boot))
    }

    fn agrees(&self, wall: UnixTime, boot: Duration) -> bool {
        agree(self.expected(boot), wall)
    }
}

impl ClockGuard {
    /// Creates a guard that does not trust the clock before the first [`Self::observe`].
    pub fn new(store: Arc<Store>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, state: Mutex::default() }
    }

    /// The current time, if the clock is trusted now. Does not access the store.
    pub fn now(&self) -> Option<UnixTime> {
        let (wall, boot) = self.read();
        let anchor = self.anchor(boot)?;
        anchor.agrees(wall, boot).then_some(wall)
    }

    /// The time as of which expired records may be deleted: the wall clock's, or the time since the anchor by the boot-time clock,
    /// whichever is earlier. `None` before the clock was ever trusted. Does not access the store.
    pub fn deletion_time(&self) -> Option<UnixTime> {
        let (wall, boot) = self.read();
        Some(self.anchor(boot)?.expected(boot).min(wall))
    }

    /// Compares the clocks, and writes the time to the store every `MARK_INTERVAL`. Reads the store only while the clock is not
    /// trusted.
    ///
    /// # Errors
    /// When the store cannot be read; the anchor does not change.
    pub async fn observe(&self) -> Result<(), StoreError> {
        let (wall, boot) = self.read();
        let (anchor, marked) = {
            let state = self.state();
            (state.anchor, state.marked)
        };
        let doubt = match anchor {
            Some(anchor) if anchor.agrees(wall, boot) && boot < anchor.valid_from => Some(format!(
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
                let jumped = anchor.filter(|anchor| anchor.valid_from <= boot);
                match judge(stored, wall, jumped.map(|anchor| anchor.expected(boot))) {
                    Ok(settle) => {
                        let anchor = Anchor { wall, boot, valid_from: boot.saturating_add(settle) };
                        self.state().anchor = Some(anchor);
                        (!settle.is_zero()).then(|| "the store was last used long ago".to_owned())
                    }
                    Err(doubt) => Some(doubt),
                }
            }
        };
        let is_due = marked.is_none_or(|marked| boot.saturating_sub(marked) >= MARK_INTERVAL);
        if doubt.is_none() && is_due {
            // A store that takes no writes keeps an older time, so that a later start distrusts the clock sooner.
            if let Err(error) = self.store.mark_clock(wall, false).await {
                tracing::debug!(%error, "the time could not be written to the store");
            }
            self.state().marked = Some(boot);
        }
        self.report(doubt.as_deref(), wall, boot);
        Ok(())
    }

    /// Logs when the clock becomes distrusted, every [`LOG_INTERVAL`] while it is, and when it is trusted again.
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
                "the clock is not trusted: keys do not rotate and expired records are not deleted. Correct the clock, or accept it with \
                 `tokend key accept-clock`"
            );
        }
    }

    fn read(&self) -> (UnixTime, Duration) {
        (self.clock.now(), self.clock.boot())
    }

    /// The anchor, once it is valid.
    fn anchor(&self, boot: Duration) -> Option<Anchor> {
        self.state().anchor.filter(|anchor| anchor.valid_from <= boot)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long the clock must still agree with the boot-time clock before it is trusted, or why it is not trusted. `expected` is the time
/// that the wall clock should have, if it was trusted before.
fn judge(stored: StoreClock, wall: UnixTime, expected: Option<UnixTime>) -> Result<Duration, String> {
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
    if let Some(expected) = expected {
        let apart = wall.since(expected).max(expected.since(wall));
        return Err(format!("it jumped by {} against the boot-time clock", shown(apart)));
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
