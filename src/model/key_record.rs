//! A stored key and its state transitions. Each transition is a function that can fail.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Algorithm, ChangeSequence, KeyId, KeyState, KeyUsage, RowContent, UnixTime};

/// A stored key.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// The key's id.
    pub key_id: KeyId,
    /// The only algorithm of the key.
    pub algorithm: Algorithm,
    /// The state.
    pub state: KeyState,
    /// The use.
    pub usage: KeyUsage,
    /// The issuer whose tokens the key verifies; `None`: this issuer.
    pub issuer: Option<String>,
    /// The sealed private key or secret; `None` if it was erased or never existed.
    pub sealed: Option<Vec<u8>>,
    /// The public key as a bare JWK; `None` for a secret, and for a key of the first release until it is adopted.
    pub public: Option<String>,
    /// When the key was created or imported, and published.
    pub create_time: UnixTime,
    /// When the key became active; for a pending key, the earliest time.
    pub activate_time: Option<UnixTime>,
    /// When the key was retired; for an active key, the planned time. `None`: no time is planned.
    pub retire_time: Option<UnixTime>,
    /// The latest expiry of the key's tokens. It is set when the key becomes active, and only ever grows: a replica that does not know
    /// of a rotation yet relies on it. `None`: no time is planned.
    pub expire_time: Option<UnixTime>,
    /// Set for a revoked key.
    pub revocation: Option<KeyRevocation>,
    /// The change that published the key; set by the store.
    pub publish_sequence: ChangeSequence,
    /// The last change to the key; set by the store.
    pub change_sequence: ChangeSequence,
    /// The MAC over [`Self::content`]; none on a row that a release without MACs wrote.
    pub mac: Option<Vec<u8>>,
}

/// The revocation of a key. The store keeps it as one JSON document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRevocation {
    /// When the key was revoked.
    pub time: UnixTime,
    /// The operator's reason.
    pub reason: String,
    /// The client that revoked the key.
    pub by: String,
}

/// A transition that the key's state does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("key {key_id} is {} and cannot be {to}", from.name())]
pub struct TransitionError {
    /// The key.
    pub key_id: KeyId,
    /// The key's state.
    pub from: KeyState,
    /// The transition.
    pub to: &'static str,
}

impl KeyRecord {
    /// A new pending key, to become active at `activate_time`.
    pub const fn pending(
        key_id: KeyId,
        algorithm: Algorithm,
        sealed: Vec<u8>,
        public: Option<String>,
        now: UnixTime,
        activate_time: UnixTime,
    ) -> Self {
        Self {
            key_id,
            algorithm,
            state: KeyState::Pending,
            usage: KeyUsage::SignAndVerify,
            issuer: None,
            sealed: Some(sealed),
            public,
            create_time: now,
            activate_time: Some(activate_time),
            retire_time: None,
            expire_time: None,
            revocation: None,
            publish_sequence: ChangeSequence(0),
            change_sequence: ChangeSequence(0),
            mac: None,
        }
    }

    /// The fields that the MAC covers: all but the change sequences, which the store sets.
    pub fn content(&self) -> RowContent {
        let revocation = self.revocation.as_ref();
        RowContent::of("signing_keys")
            .text("key_id", Some(self.key_id.as_str()))
            .text("algorithm", Some(self.algorithm.name()))
            .text("state", Some(self.state.name()))
            .text("usage", Some(self.usage.name()))
            .text("issuer", self.issuer.as_deref())
            .with("sealed", self.sealed.as_deref())
            .text("public", self.public.as_deref())
            .time("created_at", Some(self.create_time))
            .time("activate_at", self.activate_time)
            .time("retire_at", self.retire_time)
            .time("expire_at", self.expire_time)
            .time("revocation.time", revocation.map(|revocation| revocation.time))
            .text("revocation.reason", revocation.map(|revocation| &*revocation.reason))
            .text("revocation.by", revocation.map(|revocation| &*revocation.by))
    }

    /// Pending -> active. `ends` are the planned retire time and expire time; `None` for a key that does not rotate.
    ///
    /// # Errors
    /// When the key is not pending.
    pub fn activate(
        self,
        now: UnixTime,
        ends: Option<(UnixTime, UnixTime)>,
    ) -> Result<Self, TransitionError> {
        if self.state != KeyState::Pending {
            return Err(self.cannot_be("activated"));
        }
        Ok(Self {
            state: KeyState::Active,
            activate_time: Some(now),
            retire_time: ends.map(|(retire, _)| retire),
            expire_time: ends.map(|(_, expire)| expire),
            ..self
        })
    }

    /// Active -> retired. The private key is erased; a secret stays, because it verifies. A planned expire time does not change;
    /// otherwise the key expires `window` from now.
    ///
    /// # Errors
    /// When the key is not active.
    pub fn retire(self, now: UnixTime, window: Duration) -> Result<Self, TransitionError> {
        if self.state != KeyState::Active {
            return Err(self.cannot_be("retired"));
        }
        let expire_time = self.expire_time.unwrap_or_else(|| now.after(window));
        Ok(Self {
            state: KeyState::Retired,
            retire_time: Some(now),
            expire_time: Some(expire_time),
            sealed: self.sealed.filter(|_| self.algorithm.is_symmetric()),
            ..self
        })
    }

    /// Plans the retire time and the expire time of an active key, or postpones them.
    ///
    /// # Errors
    /// When the key is not active.
    pub fn extend(self, retire: UnixTime, expire: UnixTime) -> Result<Self, TransitionError> {
        if self.state != KeyState::Active {
            return Err(self.cannot_be("extended"));
        }
        let later =
            |planned: Option<UnixTime>, end: UnixTime| Some(planned.map_or(end, |planned| planned.max(end)));
        Ok(Self {
            // A key of the first release became active when it was created.
            activate_time: self.activate_time.or(Some(self.create_time)),
            retire_time: later(self.retire_time, retire),
            expire_time: later(self.expire_time, expire),
            ..self
        })
    }

    /// Advances the activation of a pending key to `activate_time`, unless it is earlier already.
    ///
    /// # Errors
    /// When the key is not pending.
    pub fn hasten(self, activate_time: UnixTime) -> Result<Self, TransitionError> {
        if self.state != KeyState::Pending {
            return Err(self.cannot_be("hastened"));
        }
        let earlier = self.activate_time.map_or(activate_time, |planned| planned.min(activate_time));
        Ok(Self { activate_time: Some(earlier), ..self })
    }

    /// Any state -> revoked. The private key is erased; a secret stays sealed, so that an import of the same secret is recognized.
    ///
    /// # Errors
    /// When the key is already revoked.
    pub fn revoke(self, revocation: KeyRevocation) -> Result<Self, TransitionError> {
        if self.state == KeyState::Revoked {
            return Err(self.cannot_be("revoked again"));
        }
        let retire_time = match self.state {
            KeyState::Active => Some(revocation.time),
            _ => self.retire_time,
        };
        Ok(Self {
            state: KeyState::Revoked,
            retire_time,
            sealed: self.sealed.filter(|_| self.algorithm.is_symmetric()),
            revocation: Some(revocation),
            ..self
        })
    }

    /// Whether the key is in the JWK set: a public key of this issuer that is not revoked.
    pub const fn is_published(&self) -> bool {
        self.state.verifies() && self.issuer.is_none() && !self.algorithm.is_symmetric()
    }

    fn cannot_be(&self, to: &'static str) -> TransitionError {
        TransitionError { key_id: self.key_id.clone(), from: self.state, to }
    }
}

impl std::fmt::Debug for KeyRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyRecord")
            .field("key_id", &self.key_id)
            .field("algorithm", &self.algorithm)
            .field("state", &self.state)
            .field("usage", &self.usage)
            .field("issuer", &self.issuer)
            .field("sealed", &self.sealed.as_ref().map(Vec::len))
            .field("public", &self.public)
            .field("create_time", &self.create_time)
            .field("activate_time", &self.activate_time)
            .field("retire_time", &self.retire_time)
            .field("expire_time", &self.expire_time)
            .field("revocation", &self.revocation)
            .field("publish_sequence", &self.publish_sequence)
            .field("change_sequence", &self.change_sequence)
            .finish()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    const fn at(seconds: i64) -> UnixTime {
        UnixTime::from_seconds(seconds)
    }

    fn pending(algorithm: Algorithm) -> KeyRecord {
        KeyRecord::pending(KeyId::from_text("k"), algorithm, vec![1], Some("{}".to_owned()), at(0), at(100))
    }

    fn revocation() -> KeyRevocation {
        KeyRevocation { time: at(7), reason: "leaked".to_owned(), by: "ops".to_owned() }
    }

    #[test]
    fn a_key_goes_one_way_and_each_other_step_is_refused() {
        let window = Duration::from_secs(50);
        let pending = pending(Algorithm::Es256);
        let active = pending.clone().activate(at(100), Some((at(200), at(260)))).unwrap();
        let retired = active.clone().retire(at(150), window).unwrap();
        let revoked = retired.clone().revoke(revocation()).unwrap();
        for (record, steps) in [(&pending, [true, false, true]), (&active, [false, true, true])] {
            let [activate, retire, revoke] = steps;
            assert_eq!(record.clone().activate(at(1), None).is_ok(), activate);
            assert_eq!(record.clone().retire(at(1), window).is_ok(), retire);
            assert_eq!(record.clone().extend(at(1), at(1)).is_ok(), retire);
            assert_eq!(record.clone().hasten(at(1)).is_ok(), activate);
            assert_eq!(record.clone().revoke(revocation()).is_ok(), revoke);
        }
        for ended in [&retired, &revoked] {
            assert!(ended.clone().activate(at(1), None).is_err());
            assert!(ended.clone().retire(at(1), window).is_err());
            assert!(ended.clone().extend(at(1), at(1)).is_err());
            assert!(ended.clone().hasten(at(1)).is_err());
        }
        assert!(revoked.clone().revoke(revocation()).is_err());
        assert!(retired.is_published() && !revoked.is_published());
    }

    #[test]
    fn what_was_promised_holds_when_a_key_retires_early_or_is_extended() {
        let active = pending(Algorithm::Es256).activate(at(100), Some((at(200), at(260)))).unwrap();
        assert_eq!(
            active.clone().retire(at(150), Duration::from_secs(1)).unwrap().expire_time,
            Some(at(260))
        );
        let extended = active.clone().extend(at(300), at(10)).unwrap();
        assert_eq!((extended.retire_time, extended.expire_time), (Some(at(300)), Some(at(260))));
        let hastened = pending(Algorithm::Es256).hasten(at(900)).unwrap();
        assert_eq!(hastened.activate_time, Some(at(100)), "never later");
    }

    #[test]
    fn the_private_half_goes_when_a_key_retires_and_a_secret_stays() {
        let end = |algorithm| {
            let active = pending(algorithm).activate(at(1), None).unwrap();
            let retired = active.clone().retire(at(2), Duration::from_secs(3)).unwrap();
            (retired.sealed, active.revoke(revocation()).unwrap().sealed, retired.expire_time)
        };
        assert_eq!(end(Algorithm::Es256), (None, None, Some(at(5))));
        assert_eq!(end(Algorithm::Hs256), (Some(vec![1]), Some(vec![1]), Some(at(5))));
    }

    #[test]
    fn what_is_sealed_is_not_printed() {
        let mut record = pending(Algorithm::Es256);
        record.sealed = Some(vec![123, 45, 67]);
        assert!(!format!("{record:?}").contains("123"));
    }
}
