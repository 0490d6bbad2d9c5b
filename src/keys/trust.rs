//! The state that verifiers watch: the public keys and the revoked keys, each with its change sequence.

use std::sync::Arc;

use super::{JwkSetDocument, Ring, RotationSchedule};
use crate::model::{ChangeSequence, KeyId, KeyRecord, KeyState, UnixTime};

/// The state for verifiers as of one change.
#[derive(Debug)]
pub struct TrustState {
    /// The last change.
    pub sequence: ChangeSequence,
    /// The public keys.
    pub jwk_set: Arc<JwkSetDocument>,
    /// The revoked keys whose tokens may not have expired, in the order of their revocation.
    pub revoked: Vec<RevokedKey>,
}

/// A revoked key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokedKey {
    /// The change that revoked it.
    pub sequence: ChangeSequence,
    /// The key.
    pub key_id: KeyId,
    /// When it was revoked.
    pub revoke_time: UnixTime,
    /// The time at which the last of its tokens has expired; none if that is unknown.
    pub expire_time: Option<UnixTime>,
}

/// An update for a verifier.
#[derive(Debug, Clone)]
pub struct TrustUpdate {
    /// The change from which the verifier may resume after this update: of the updates of one change, only the last has its number.
    pub sequence: ChangeSequence,
    /// The content.
    pub news: News,
}

/// The content of an update.
#[derive(Debug, Clone)]
pub enum News {
    /// All public keys.
    Keys(Arc<JwkSetDocument>),
    /// A key was revoked.
    Revoked(RevokedKey),
}

impl TrustState {
    /// The updates for a verifier that has every change up to `after`: the keys that were revoked since, then the public keys. Empty if
    /// the verifier has this state or a later one.
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

    /// The state of `ring` at `now`.
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
