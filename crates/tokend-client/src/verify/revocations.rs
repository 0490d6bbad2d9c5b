//! The revocations that tokend has pushed.

use std::{
    collections::{HashMap, hash_map},
    fmt,
};

use aws_lc_rs::hmac;
use tokend_jose::{RevocationKind, TokenClaims, UnixTime, covers};

use crate::proto::{Revocation, revocation::Target};

/// The hash of a subject: HMAC-SHA-256 with the salt of the watch.
pub(super) type SubjectHash = [u8; 32];

/// The revocations that have not expired.
pub(super) struct Revocations {
    salt: [u8; 16],
    hash_key: hmac::Key,
    /// Of tokens, sessions, clients and everything.
    named: HashMap<RevocationKind, HashMap<Box<str>, Extent>>,
    subjects: HashMap<SubjectHash, Extent>,
    /// The number of revocations at the last removal of expired ones.
    kept: usize,
}

/// Which tokens of its target a revocation covers, and for how long it is kept. `None` is the latest time.
#[derive(Clone, Copy)]
struct Extent {
    issued_before: Option<UnixTime>,
    expire_time: Option<UnixTime>,
}

/// The fewest new revocations after which expired ones are removed.
const CLEAN_UP_AFTER: usize = 1024;

impl Revocations {
    /// No revocations. `salt` must be random: it hides subjects.
    pub(super) fn new(salt: [u8; 16]) -> Self {
        let hash_key = hmac::Key::new(hmac::HMAC_SHA256, &salt);
        let (named, subjects) = Default::default();
        Self { salt, hash_key, named, subjects, kept: 0 }
    }

    /// The salt for the subscription. Subjects are always requested as hashes: every server offers them, and some require it.
    pub(super) fn salt(&self) -> Vec<u8> {
        self.salt.to_vec()
    }

    /// The number of revocations.
    pub(super) fn len(&self) -> usize {
        self.named.values().map(HashMap::len).sum::<usize>() + self.subjects.len()
    }

    /// Adds a revocation. One of the same target is extended, never narrowed. `now` is the server's time.
    ///
    /// # Errors
    /// When the revocation has no target that this version knows: tokens that it revokes would be accepted.
    pub(super) fn insert(&mut self, revocation: Revocation, now: UnixTime) -> Result<(), &'static str> {
        const UNKNOWN: &str =
            "a revocation has a target that this version does not know; update tokend-client";
        let time = |time: prost_types::Timestamp| UnixTime::from_seconds(time.seconds);
        let extent = Extent {
            issued_before: revocation.issued_before_time.map(time),
            expire_time: revocation.expire_time.map(time),
        };
        let (kind, text) = match revocation.target.ok_or(UNKNOWN)? {
            Target::JwtId(id) => (RevocationKind::Token, id),
            Target::SessionId(id) => (RevocationKind::Session, id),
            Target::ClientId(id) => (RevocationKind::Client, id),
            Target::Everything(_) => (RevocationKind::Everything, String::new()),
            Target::Subject(subject) => {
                extend(self.subjects.entry(hash(&self.hash_key, &subject)), extent);
                return Ok(());
            }
            Target::SubjectHash(hash) => {
                let hash = hash.try_into().map_err(|_| "the hash of a subject has not 32 bytes")?;
                extend(self.subjects.entry(hash), extent);
                return Ok(());
            }
            Target::KeyId(_) => return Err("a revoked key belongs to the keys"),
        };
        extend(self.named.entry(kind).or_default().entry(text.into()), extent);
        if self.len() > self.kept.saturating_mul(2).max(CLEAN_UP_AFTER) {
            self.remove_expired(now);
            self.kept = self.len();
        }
        Ok(())
    }

    fn remove_expired(&mut self, now: UnixTime) {
        let lives = |extent: &Extent| extent.expire_time.is_none_or(|expire| expire > now);
        for named in self.named.values_mut() {
            named.retain(|_, extent| lives(extent));
        }
        self.subjects.retain(|_, extent| lives(extent));
    }

    /// The hash of the subject of these claims, for [`Self::revokes`].
    pub(super) fn subject_hash(&self, claims: &TokenClaims) -> SubjectHash {
        hash(&self.hash_key, &claims.subject)
    }

    /// Whether the token with these claims is revoked. The token is of this server's issuer. An expired revocation still matches: the
    /// tokens have expired, too.
    pub(super) fn revokes(&self, claims: &TokenClaims, subject: &SubjectHash) -> bool {
        if self.named.is_empty() && self.subjects.is_empty() {
            return false;
        }
        let issued = claims.first_issue_time();
        claims.is_revoked(true, |kind, text| {
            let extent = match kind {
                RevocationKind::Subject => self.subjects.get(subject),
                _ => self.named.get(&kind).and_then(|named| named.get(text)),
            };
            extent.is_some_and(|extent| covers(extent.issued_before, issued))
        })
    }
}

/// Inserts a revocation, or extends the one that is there.
fn extend<K>(entry: hash_map::Entry<'_, K, Extent>, new: Extent) {
    let later = |one: Option<UnixTime>, other: Option<UnixTime>| Some(one?.max(other?));
    entry
        .and_modify(|held| {
            held.issued_before = later(held.issued_before, new.issued_before);
            held.expire_time = later(held.expire_time, new.expire_time);
        })
        .or_insert(new);
}

fn hash(key: &hmac::Key, subject: &str) -> SubjectHash {
    hmac::sign(key, subject.as_bytes()).as_ref().first_chunk().copied().unwrap_or_default()
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocations").field("len", &self.len()).finish_non_exhaustive()
    }
}
