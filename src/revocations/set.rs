//! The set of the revocations: what is asked on every verification.

use std::{
    fmt,
    sync::atomic::{AtomicI64, Ordering::SeqCst},
};

use super::{
    compact::Compact,
    entry::{Entry, Kind, Name},
    shards::Shards,
};
use crate::model::{
    ChangeSequence, RevocationPage, RevocationRecord, RevocationTarget, TokenClaims, UnixTime,
};

/// Parts of each sort, as a power of two: with ten million entries, one of them has forty thousand.
const PARTS: u32 = 8;

/// Entries that are looked at for one piece of a snapshot, of each part.
const PIECE: usize = 8;

/// What is revoked.
pub(super) struct Set {
    /// Tokens and sessions with ids as tokend makes them.
    compact: Shards<Compact>,
    /// All the rest.
    named: Shards<RevocationRecord>,
    /// Everything that was issued before is revoked, unless that has expired. In seconds since 1970.
    everything_before: AtomicI64,
}

impl Set {
    /// With nothing in it.
    pub(super) fn new() -> Self {
        Self::in_parts(PARTS)
    }

    /// The same for few revocations.
    pub(super) fn small() -> Self {
        Self::in_parts(0)
    }

    fn in_parts(bits: u32) -> Self {
        Self {
            compact: Shards::new(bits),
            named: Shards::new(bits),
            everything_before: AtomicI64::new(i64::MIN),
        }
    }

    /// Puts a revocation in, in the place of the one of the same target.
    pub(super) fn put(&self, record: RevocationRecord, now: UnixTime) {
        match Name::of_target(&record.revocation.target) {
            Name::Octets(kind, id) => {
                self.compact.put(Compact::new(kind, id, record.sequence, &record.revocation), now);
            }
            Name::Text(..) => {
                let before = record.revocation.target.issued_before();
                let everything = matches!(record.revocation.target, RevocationTarget::Everything(_));
                self.named.put(record, now);
                if let Some(before) = before.filter(|_| everything) {
                    self.everything_before.fetch_max(before.seconds(), SeqCst);
                }
            }
        }
    }

    /// Whether the token with these claims is revoked at `now`. Only tokens of this issuer's own have a session, subject and client
    /// that can be.
    pub(super) fn refuses(&self, claims: &TokenClaims, own: bool, now: UnixTime) -> bool {
        if self.compact.is_empty() && self.named.is_empty() {
            return false;
        }
        let issued = claims.first_issue_time();
        let named = |kind, name: &str| self.has(Name::of(kind, name), issued, now);
        claims.jwt_id.as_deref().is_some_and(|jwt_id| named(Kind::Token, jwt_id))
            || own
                && (claims.session_id.as_deref().is_some_and(|session_id| named(Kind::Session, session_id))
                    || named(Kind::Subject, &claims.subject)
                    || claims.client_id.as_deref().is_some_and(|client_id| named(Kind::Client, client_id))
                    || self.refuses_everything(issued, now))
    }

    fn refuses_everything(&self, issue_time: Option<UnixTime>, now: UnixTime) -> bool {
        let before = UnixTime::from_seconds(self.everything_before.load(SeqCst));
        issue_time.is_none_or(|issued| issued < before) && self.has(Name::EVERYTHING, issue_time, now)
    }

    /// Whether there is a revocation of that name that has not expired and reaches what was issued then.
    fn has(&self, name: Name<'_>, issue_time: Option<UnixTime>, now: UnixTime) -> bool {
        let found = match name {
            Name::Octets(..) if self.compact.is_empty() => None,
            Name::Octets(..) => self.compact.find(name, |entry| !entry.has_expired(now)),
            Name::Text(..) if self.named.is_empty() => None,
            Name::Text(..) => self.named.find(name, |record| {
                // What has no time of issue may have been issued before.
                let reaches = |before| issue_time.is_none_or(|issued| issued < before);
                !record.has_expired(now) && record.revocation.target.issued_before().is_none_or(reaches)
            }),
        };
        found.unwrap_or(false)
    }

    /// The revocation of that target, as it was put in last and is kept.
    pub(super) fn get(&self, target: &RevocationTarget) -> Option<RevocationRecord> {
        let name = Name::of_target(target);
        match name {
            Name::Octets(..) => self.compact.find(name, Compact::record),
            Name::Text(..) => self.named.find(name, RevocationRecord::record),
        }
    }

    /// Some of the revocations after a change and up to another that have not expired at `now`, in order; and up to where these are
    /// all. Of two for one target only the later one is told, so that a page is complete with all the pages up to the last change.
    pub(super) fn page(&self, after: ChangeSequence, up_to: ChangeSequence, now: UnixTime) -> RevocationPage {
        let (compact, to) = self.compact.between(after, up_to, PIECE);
        let (named, complete) = self.named.between(after, to, PIECE);
        let compact = compact.iter().filter(|entry| entry.sequence() <= complete && !entry.has_expired(now));
        let named = named.into_iter().filter(|record| !record.has_expired(now));
        let mut records: Vec<RevocationRecord> = compact.map(Compact::record).chain(named).collect();
        records.sort_unstable_by_key(|record| record.sequence);
        RevocationPage { records, complete }
    }

    /// Lets go of what has expired in one of the parts, and of what has not counts it.
    pub(super) fn tidy(&self, part: usize, now: UnixTime) {
        self.compact.tidy(part, now);
        self.named.tidy(part, now);
    }

    /// How many parts there are to tidy.
    pub(super) const fn parts(&self) -> usize {
        self.compact.parts()
    }

    /// How many of each kind have not expired, as far as that was noticed.
    pub(super) fn live(&self) -> [(Kind, usize); Kind::ALL.len()] {
        let (compact, named) = (self.compact.live(), self.named.live());
        Kind::ALL.map(|kind| {
            let of = |counts: &[usize]| counts.get(kind as usize).copied().unwrap_or_default();
            (kind, of(&compact) + of(&named))
        })
    }

    /// What they take in memory.
    pub(super) fn bytes(&self) -> usize {
        self.compact.bytes() + self.named.bytes()
    }
}

impl fmt::Debug for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Set").finish_non_exhaustive()
    }
}
