//! The set of the revocations, which every verification checks.

use std::{
    fmt,
    sync::atomic::{AtomicI64, Ordering::SeqCst},
};

use super::{
    compact_entry::CompactEntry,
    entry::{Entry, Key, Kind},
    shards::Shards,
};
use crate::{
    jose::covers,
    model::{ChangeSequence, RevocationPage, RevocationRecord, RevocationTarget, TokenClaims, UnixTime},
};

/// The shards of each entry type, as a power of two: with ten million entries, a shard has forty thousand.
const SHARD_BITS: u32 = 8;

/// Entries of each shard that one page reads.
const PAGE: usize = 8;

/// The revocations by target.
pub(super) struct Set {
    /// Tokens and sessions with 16-byte ids.
    compact: Shards<CompactEntry>,
    /// Revocations of other targets.
    named: Shards<RevocationRecord>,
    /// The latest `issued_before` of a revocation of everything, which may have expired. In seconds since 1970.
    everything_before: AtomicI64,
}

impl Set {
    pub(super) fn new() -> Self {
        Self::with_shards(SHARD_BITS)
    }

    /// A set for few revocations.
    pub(super) fn small() -> Self {
        Self::with_shards(0)
    }

    fn with_shards(bits: u32) -> Self {
        Self {
            compact: Shards::new(bits),
            named: Shards::new(bits),
            everything_before: AtomicI64::new(i64::MIN),
        }
    }

    /// Inserts a revocation, and replaces the one with the same target.
    pub(super) fn insert(&self, record: RevocationRecord, now: UnixTime) {
        match Key::of_target(&record.revocation.target) {
            Key::Bytes(kind, id) => {
                self.compact.insert(CompactEntry::new(kind, id, record.sequence, &record.revocation), now);
            }
            Key::Text(..) => {
                let before = record.revocation.target.issued_before();
                let everything = matches!(record.revocation.target, RevocationTarget::Everything(_));
                self.named.insert(record, now);
                if let Some(before) = before.filter(|_| everything) {
                    self.everything_before.fetch_max(before.seconds(), SeqCst);
                }
            }
        }
    }

    /// Whether the token with these claims is revoked at `now`. The session, the subject and the client of a token can be revoked if
    /// this issuer issued the token (`own`).
    pub(super) fn revokes(&self, claims: &TokenClaims, own: bool, now: UnixTime) -> bool {
        if self.compact.is_empty() && self.named.is_empty() {
            return false;
        }
        let issued = claims.first_issue_time();
        claims.is_revoked(own, |kind, text| match kind {
            Kind::Everything => self.revokes_everything(issued, now),
            _ => self.has(Key::of(kind, text), issued, now),
        })
    }

    fn revokes_everything(&self, issue_time: Option<UnixTime>, now: UnixTime) -> bool {
        let before = UnixTime::from_seconds(self.everything_before.load(SeqCst));
        covers(Some(before), issue_time) && self.has(Key::EVERYTHING, issue_time, now)
    }

    /// Whether there is a live revocation with this key that covers tokens issued at `issue_time`.
    fn has(&self, key: Key<'_>, issue_time: Option<UnixTime>, now: UnixTime) -> bool {
        let found = match key {
            Key::Bytes(..) if self.compact.is_empty() => None,
            Key::Bytes(..) => self.compact.find(key, |entry| !entry.has_expired(now)),
            Key::Text(..) if self.named.is_empty() => None,
            Key::Text(..) => self.named.find(key, |record| {
                !record.has_expired(now) && covers(record.revocation.target.issued_before(), issue_time)
            }),
        };
        found.unwrap_or(false)
    }

    /// The revocation of a target. It may have expired.
    pub(super) fn get(&self, target: &RevocationTarget) -> Option<RevocationRecord> {
        let key = Key::of_target(target);
        match key {
            Key::Bytes(..) => self.compact.find(key, CompactEntry::record),
            Key::Text(..) => self.named.find(key, RevocationRecord::record),
        }
    }

    /// The first revocations after a change and up to another that have not expired at `now`, in order, and the change up to which
    /// they are complete. A replaced revocation is left out: its successor is on a later page.
    pub(super) fn page(&self, after: ChangeSequence, up_to: ChangeSequence, now: UnixTime) -> RevocationPage {
        let (compact, to) = self.compact.between(after, up_to, PAGE);
        let (named, complete) = self.named.between(after, to, PAGE);
        let compact = compact.iter().filter(|entry| entry.sequence() <= complete && !entry.has_expired(now));
        let named = named.into_iter().filter(|record| !record.has_expired(now));
        let mut records: Vec<RevocationRecord> = compact.map(CompactEntry::record).chain(named).collect();
        records.sort_unstable_by_key(|record| record.sequence);
        RevocationPage { records, complete }
    }

    /// Counts the live revocations of a shard, and removes the expired ones if there are many.
    pub(super) fn clean_up(&self, shard: usize, now: UnixTime) {
        self.compact.clean_up(shard, now);
        self.named.clean_up(shard, now);
    }

    /// The number of shards to clean up.
    pub(super) const fn shards(&self) -> usize {
        self.compact.count()
    }

    /// The revocations of each kind that had not expired at the last count of their shard.
    pub(super) fn live(&self) -> [(Kind, usize); Kind::ALL.len()] {
        let (compact, named) = (self.compact.live(), self.named.live());
        Kind::ALL.map(|kind| {
            let of = |counts: &[usize]| counts.get(kind as usize).copied().unwrap_or_default();
            (kind, of(&compact) + of(&named))
        })
    }

    /// The memory of the set.
    pub(super) fn bytes(&self) -> usize {
        self.compact.bytes() + self.named.bytes()
    }
}

impl fmt::Debug for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Set").finish_non_exhaustive()
    }
}
