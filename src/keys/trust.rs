//! What verifiers are told: the public keys, and what was revoked, each with the change that brought it.

use std::sync::Arc;

use super::{JwkSetDocument, Ring, RotationSchedule};
use crate::model::{ChangeSequence, KeyId, KeyRecord, KeyState, UnixTime};

/// What verifiers are told as of one change.
#[derive(Debug)]
pub struct TrustState {
    /// The last change.
    pub sequence: ChangeSequence,
    /// The public keys.
    pub jwk_set: Arc<JwkSetDocument>,
    /// What was revoked and may still be met, in the order in which it was.
    pub revoked: Vec<RevokedKey>,
}

/// A key that was revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokedKey {
    /// The change that revoked it.
    pub sequence: ChangeSequence,
    /// The key.
    pub key_id: KeyId,
    /// When it was revoked.
    pub revoke_time: UnixTime,
    /// When the last of its tokens has expired; none: nobody knows.
    pub expire_time: Option<UnixTime>,
}

/// Something to tell a verifier.
#[derive(Debug, Clone)]
pub struct TrustUpdate {
    /// Where the verifier may go on from when it has taken this in: of the updates of one change, only the last names it.
    pub sequence: ChangeSequence,
    /// What there is to tell.
    pub news: News,
}

/// What there is to tell.
#[derive(Debug, Clone)]
pub enum News {
    /// The public keys, all of them.
    Keys(Arc<JwkSetDocument>),
    /// A key was revoked.
    Revoked(RevokedKey),
}

impl TrustState {
    /// What a verifier is to be told that has everything up to `after`: what was revoked since, then the keys. Nothing if it
    /// has this state or a later one.
    pub fn since(&self, after: ChangeSequence) -> Vec<TrustUpdate> {
        if self.sequence <= after {
            return Vec::new();
        }
        let revoked = self.revoked.iter().filter(|revoked| revoked.sequence > after).cloned();
        let mut updates: Vec<TrustUpdate> =
            revoked.map(|revoked| TrustUpdate { sequence: after, news: News::Revoked(revoked) }).collect();
        updates.push(TrustUpdate { sequence: self.sequence, news: News::Keys(Arc::clone(&self.jwk_set)) });
        updates
    }

    /// What `ring` tells at `now`.
    pub(super) fn of(ring: &Ring, schedule: &RotationSchedule, now: UnixTime) -> Self {
        let set = ring.set();
        let may_be_met =
            |record: &&KeyRecord| record.expire_time.is_none_or(|expire| schedule.gone(expire) > now);
        let revoked = set.keys.iter().filter(|record| record.state == KeyState::Revoked).filter(may_be_met);
        let mut revoked: Vec<RevokedKey> = revoked
            .filter_map(|record| {
                Some(RevokedKey {
                    sequence: record.change_sequence,
                    key_id: record.key_id.clone(),
                    revoke_time: record.revocation.as_ref()?.time,
                    expire_time: record.expire_time,
                })
            })
            .collect();
        revoked.sort_by_key(|revoked| revoked.sequence);
        Self { sequence: set.sequence, jwk_set: Arc::clone(ring.jwk_set()), revoked }
    }
}
