//! The keys in use, parsed: an immutable snapshot.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use zeroize::Zeroizing;

use super::{JwkSetDocument, KeyError, KeySettings, Sealer, checked::CheckedKeys};
use crate::{
    jose::{self, KeyMaterial, PublicJwk, PublicKey, Signer, SigningError, Verifier},
    model::{Algorithm, ChangeSequence, KeyId, KeyRecord, KeySet, KeyState, KeyUsage, TokenType, UnixTime},
};

/// One key, ready for use.
pub(crate) struct RingKey {
    pub(crate) key_id: KeyId,
    pub(crate) algorithm: Algorithm,
    pub(crate) create_time: UnixTime,
    /// The issuer whose tokens it verifies, if it is another.
    pub(crate) issuer: Option<String>,
    /// Whether it was imported to verify only: its tokens are not tokend's, and are read by the foreign profile.
    pub(crate) verifies_only: bool,
    /// Until when its tokens may live; none: no end is planned.
    pub(crate) expire_time: Option<UnixTime>,
    state: KeyState,
    /// The private key or secret, if it is at hand.
    material: Option<Arc<KeyMaterial>>,
    signer: Option<Signer>,
    verifier: Verifier,
    public: Option<PublicJwk>,
    /// Why it does not sign, though it may.
    problem: Option<String>,
    jwt_header: String,
    access_token_header: String,
}

impl RingKey {
    /// Opens and parses a stored key. One whose private half does not open still verifies, if its public half is there.
    /// `before` is the same key as it was in memory: it stays in use if it was sealed anew under a sealing key that is not
    /// here, for what a key id names never changes.
    fn open(record: &KeyRecord, sealer: &Sealer, before: Option<&Self>) -> Result<Self, KeyError> {
        let (key_id, algorithm) = (&record.key_id, record.algorithm);
        let unusable = |error: jose::MaterialError| KeyError::Unusable(key_id.clone(), error.to_string());
        let public = record.public.as_deref().map(|text| PublicKey::from_jwk(algorithm, text));
        let public = public.transpose().map_err(unusable)?;
        let (material, problem) = match Self::material(record, sealer, public.as_ref()) {
            Ok(material) => (material, None),
            Err(error) => {
                let kept = before.and_then(|before| before.material.clone());
                if kept.is_none() && public.is_none() {
                    return Err(error);
                }
                (kept, Some(error.to_string()))
            }
        };
        // A key of the first release has no public half beside it.
        let public = public.or_else(|| material.as_ref()?.public_key(algorithm));
        let verifier = match (&public, &material) {
            (Some(public), _) => Verifier::public(public.clone()),
            (None, Some(secret)) => Verifier::secret(algorithm, secret),
            (None, None) => return Err(KeyError::Unusable(key_id.clone(), "it has no material".to_owned())),
        };
        let signs = matches!(record.state, KeyState::Pending | KeyState::Active);
        Ok(Self {
            key_id: key_id.clone(),
            algorithm,
            create_time: record.create_time,
            issuer: record.issuer.clone(),
            verifies_only: record.usage == KeyUsage::VerifyOnly,
            expire_time: record.expire_time,
            state: record.state,
            signer: material.clone().filter(|_| signs).map(|material| Signer::in_memory(algorithm, material)),
            material,
            verifier,
            public: public.filter(|_| record.is_published()).map(|public| public.published(key_id)),
            problem,
            jwt_header: jose::encode_header(algorithm, key_id, TokenType::Jwt),
            access_token_header: jose::encode_header(algorithm, key_id, TokenType::AccessTokenJwt),
        })
    }

    /// The bytes of the private key or secret.
    pub(super) fn unseal(record: &KeyRecord, sealer: &Sealer) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let sealed = record.sealed.as_deref();
        let sealed =
            sealed.ok_or_else(|| KeyError::Unusable(record.key_id.clone(), "it was erased".to_owned()))?;
        sealer.open(&record.key_id, record.algorithm, sealed)
    }

    /// The private key or secret, if there is one. It must be the other half of `public`.
    fn material(
        record: &KeyRecord,
        sealer: &Sealer,
        public: Option<&PublicKey>,
    ) -> Result<Option<Arc<KeyMaterial>>, KeyError> {
        if record.sealed.is_none() {
            return Ok(None);
        }
        let bytes = Self::unseal(record, sealer)?;
        let material = KeyMaterial::parse(record.algorithm, &bytes)
            .map_err(|error| KeyError::Unusable(record.key_id.clone(), error.to_string()))?;
        let own = material.public_key(record.algorithm);
        if public.is_some_and(|public| own.as_ref().map(PublicKey::to_jwk) != Some(public.to_jwk())) {
            let problem = "its private half is not that of its public half".to_owned();
            return Err(KeyError::Unusable(record.key_id.clone(), problem));
        }
        Ok(Some(Arc::new(material)))
    }

    /// The token with this payload, signed; none if this replica cannot sign with the key.
    pub(crate) fn sign(&self, token_type: TokenType, payload: &[u8]) -> Result<String, SigningError> {
        let header = match token_type {
            TokenType::Jwt => &self.jwt_header,
            TokenType::AccessTokenJwt => &self.access_token_header,
        };
        let signer = self.signer.as_ref().ok_or(SigningError)?;
        jose::join(header, payload, |message| signer.sign(message))
    }

    /// Whether this replica can sign with it.
    pub(super) const fn can_sign(&self) -> bool {
        self.signer.is_some()
    }

    /// What checks this key's signatures.
    pub(crate) const fn verifier(&self) -> &Verifier {
        &self.verifier
    }
}

/// A snapshot of the keys in use.
pub(crate) struct Ring {
    keys: CheckedKeys,
    by_id: HashMap<KeyId, Arc<RingKey>>,
    by_header: HashMap<String, Arc<RingKey>>,
    active: HashMap<Algorithm, Arc<RingKey>>,
    revoked: HashSet<KeyId>,
    problems: BTreeMap<KeyId, String>,
    jwk_set: Arc<JwkSetDocument>,
}

impl Ring {
    /// Opens every stored key that still verifies. One that cannot be used is a problem of its own; the rest still serve.
    /// `before` is the snapshot that this one follows.
    pub(super) fn open(set: KeySet, settings: &KeySettings, sealer: &Sealer, before: Option<&Self>) -> Self {
        let keys = CheckedKeys::of(set, sealer, before.map(|before| &**before.set()));
        let mut ring = Self {
            by_id: HashMap::new(),
            by_header: HashMap::new(),
            active: HashMap::new(),
            revoked: HashSet::new(),
            problems: BTreeMap::new(),
            jwk_set: Arc::new(JwkSetDocument::empty()),
            keys,
        };
        let set = Arc::clone(ring.set());
        for record in &set.keys {
            if record.state == KeyState::Revoked {
                ring.revoked.insert(record.key_id.clone());
                continue;
            }
            let known = before.and_then(|before| before.get(record.key_id.as_str()));
            let is_unchanged = before.is_some_and(|before| before.set().keys.contains(record));
            // The same key in memory: what was verified with it need not be verified again.
            if let Some(known) = known.filter(|known| is_unchanged && known.problem.is_none()) {
                ring.add(Arc::clone(known));
                continue;
            }
            match RingKey::open(record, sealer, known.map(|key| &**key)) {
                Ok(key) => ring.add(Arc::new(key)),
                Err(error) => drop(ring.problems.insert(record.key_id.clone(), error.to_string())),
            }
        }
        for (key_id, untrusted) in &ring.keys.untrusted {
            ring.problems.insert(key_id.clone(), untrusted.error().to_string());
            // That a key was revoked is believed of any row: who can write it can delete the key just as well.
            if untrusted.record.state == KeyState::Revoked {
                ring.revoked.insert(key_id.clone());
            }
        }
        ring.jwk_set = Arc::new(ring.document(settings));
        ring
    }

    fn add(&mut self, key: Arc<RingKey>) {
        if let Some(problem) = &key.problem {
            self.problems.insert(key.key_id.clone(), problem.clone());
        }
        if key.state == KeyState::Active {
            self.active.insert(key.algorithm, Arc::clone(&key));
        }
        if !key.verifies_only {
            for header in [&key.jwt_header, &key.access_token_header] {
                self.by_header.insert(header.clone(), Arc::clone(&key));
            }
        }
        self.by_id.insert(key.key_id.clone(), key);
    }

    /// What is published: active keys first, for readers who take the first they find; then pending and retired ones.
    fn document(&self, settings: &KeySettings) -> JwkSetDocument {
        let in_state = |state| self.set().keys.iter().filter(move |record| record.state == state);
        let order = [KeyState::Active, KeyState::Pending, KeyState::Retired].into_iter().flat_map(in_state);
        let keys = order.filter_map(|record| self.by_id.get(&record.key_id)?.public.clone()).collect();
        let changes = self.set().keys.iter().filter(|record| record.is_published());
        let changes = changes.filter_map(|record| match record.state {
            KeyState::Pending => record.activate_time,
            KeyState::Retired => record.expire_time.map(|expire| settings.schedule.gone(expire)),
            _ => None,
        });
        JwkSetDocument::new(keys, settings.jwks_max_age, changes.min())
    }

    /// The stored keys that this was opened from, without those that are not trusted.
    pub(super) const fn set(&self) -> &Arc<KeySet> {
        &self.keys.trusted
    }

    /// The stored keys, and which of them are trusted.
    pub(super) const fn checked(&self) -> &CheckedKeys {
        &self.keys
    }

    /// The last change to any key.
    pub(super) fn sequence(&self) -> ChangeSequence {
        self.keys.sequence()
    }

    /// The key that signs with `algorithm`.
    pub(crate) fn active(&self, algorithm: Algorithm) -> Option<&Arc<RingKey>> {
        self.active.get(&algorithm)
    }

    /// The key that signs while the default algorithm has none yet: the one that has signed longest, a public one first.
    pub(super) fn incumbent(&self) -> Option<&Arc<RingKey>> {
        let rank = |key: &&Arc<RingKey>| (key.algorithm.is_symmetric(), key.create_time, key.algorithm);
        self.active.values().min_by_key(rank)
    }

    /// The key of that id, if it verifies.
    pub(crate) fn get(&self, key_id: &str) -> Option<&Arc<RingKey>> {
        self.by_id.get(key_id)
    }

    /// The key whose tokens have this header segment.
    pub(super) fn by_header(&self, segment: &str) -> Option<&Arc<RingKey>> {
        self.by_header.get(segment)
    }

    /// Whether the key of that id was revoked.
    pub(super) fn is_revoked(&self, key_id: &str) -> bool {
        self.revoked.contains(key_id)
    }

    /// What is wrong with keys that this replica cannot use as it should.
    pub(super) const fn problems(&self) -> &BTreeMap<KeyId, String> {
        &self.problems
    }

    /// Every key.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &Arc<RingKey>> {
        self.by_id.values()
    }

    /// The public keys.
    pub(crate) const fn jwk_set(&self) -> &Arc<JwkSetDocument> {
        &self.jwk_set
    }
}
