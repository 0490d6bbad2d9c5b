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
        if self.len() > self.kept.saturating_mul(2).max(CLEAN_UP_AFTER) {
            self.remove_expired(now);
            self.kept = self.len();
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn revocation(target: Target, expire: i64) -> Revocation {
        let expire_time = Some(prost_types::Timestamp { seconds: expire, nanos: 0 });
        Revocation { target: Some(target), expire_time, ..Default::default() }
    }

    #[test]
    fn expired_revocations_of_each_kind_make_room() -> Result<(), &'static str> {
        let targets: [fn(usize) -> Target; 3] = [
            |number| Target::JwtId(number.to_string()),
            |number| Target::Subject(number.to_string()),
            |number| Target::ClientId(number.to_string()),
        ];
        for target in targets {
            let mut revocations = Revocations::new([7; 16]);
            for number in 0..10 * CLEAN_UP_AFTER {
                let now = i64::try_from(number).unwrap_or_default();
                // Each expires a hundred seconds later.
                revocations.insert(revocation(target(number), now + 100), UnixTime::from_seconds(now))?;
            }
            assert!((100..=CLEAN_UP_AFTER + 1).contains(&revocations.len()), "{}", revocations.len());
        }
        Ok(())
    }

    #[test]
    fn a_revocation_is_extended_and_never_narrowed() -> Result<(), &'static str> {
        let mut revocations = Revocations::new([7; 16]);
        let claims = TokenClaims {
            issuer: "i".to_owned(),
            subject: "alice".to_owned(),
            audiences: Vec::new(),
            expire_time: UnixTime::from_seconds(100),
            not_before_time: None,
            issue_time: Some(UnixTime::from_seconds(10)),
            jwt_id: None,
            client_id: None,
            scopes: Vec::new(),
            actor: None,
            session_id: None,
            origin_time: None,
        };
        let subject = revocations.subject_hash(&claims);
        for (before, is_revoked) in [(10, false), (11, true), (5, true)] {
            let issued_before_time = Some(prost_types::Timestamp { seconds: before, nanos: 0 });
            let revocation = revocation(Target::Subject("alice".to_owned()), 200);
            let revocation = Revocation { issued_before_time, ..revocation };
            revocations.insert(revocation, UnixTime::from_seconds(0))?;
            assert_eq!(revocations.revokes(&claims, &subject), is_revoked, "before {before}");
        }
        Ok(())
    }

    #[test]
    fn a_revocation_of_an_unknown_kind_is_an_error() {
        let mut revocations = Revocations::new([7; 16]);
        assert!(revocations.insert(Revocation::default(), UnixTime::from_seconds(0)).is_err());
    }
}
