//! The keys in use, parsed: an immutable snapshot.

use std::{collections::HashMap, sync::Arc};

use super::{JwkSetDocument, KeyError, KeySettings, SealingKey};
use crate::{
    jose::{self, KeyMaterial, PublicJwk, Signer, SigningError, Verifier},
    model::{Algorithm, KeyId, KeyRecord, KeyState, TokenType, UnixTime},
};

/// One key, ready for use.
pub(crate) struct RingKey {
    pub(crate) key_id: KeyId,
    pub(crate) algorithm: Algorithm,
    pub(crate) create_time: UnixTime,
    state: KeyState,
    signer: Signer,
    verifier: Verifier,
    public: Option<PublicJwk>,
    jwt_header: String,
    access_token_header: String,
}

impl RingKey {
    /// Opens and parses a stored key.
    pub(super) fn open(record: &KeyRecord, sealing_key: &SealingKey) -> Result<Self, KeyError> {
        let (key_id, algorithm) = (&record.key_id, record.algorithm);
        let octets = sealing_key.open(key_id, algorithm, &record.sealed)?;
        let unusable = |error: jose::MaterialError| KeyError::Unusable(key_id.clone(), error.to_string());
        let material = Arc::new(KeyMaterial::parse(algorithm, &octets).map_err(unusable)?);
        let public = material.public_key(algorithm);
        Ok(Self {
            key_id: key_id.clone(),
            algorithm,
            create_time: record.create_time,
            state: record.state,
            verifier: public.as_ref().map_or_else(|| Verifier::secret(&material), |public| public.verifier()),
            public: public.map(|public| public.published(key_id)),
            jwt_header: jose::encode_header(algorithm, key_id, TokenType::Jwt),
            access_token_header: jose::encode_header(algorithm, key_id, TokenType::AccessTokenJwt),
            signer: Signer::in_memory(algorithm, material),
        })
    }

    /// The token with this payload, signed.
    pub(crate) fn sign(&self, token_type: TokenType, payload: &[u8]) -> Result<String, SigningError> {
        let header = match token_type {
            TokenType::Jwt => &self.jwt_header,
            TokenType::AccessTokenJwt => &self.access_token_header,
        };
        jose::join(header, payload, |message| self.signer.sign(message))
    }

    /// What checks this key's signatures.
    pub(crate) const fn verifier(&self) -> &Verifier {
        &self.verifier
    }
}

/// A snapshot of the keys in use.
pub(crate) struct Ring {
    by_id: HashMap<KeyId, Arc<RingKey>>,
    active: HashMap<Algorithm, Arc<RingKey>>,
    jwk_set: Arc<JwkSetDocument>,
}

impl Ring {
    /// Opens every stored key that still verifies.
    pub(super) fn open(records: &[KeyRecord], settings: &KeySettings) -> Result<Self, KeyError> {
        let mut by_id = HashMap::new();
        let mut active = HashMap::new();
        let mut published = Vec::new();
        for record in records.iter().filter(|record| record.state.verifies()) {
            let key = Arc::new(RingKey::open(record, &settings.sealing_key)?);
            published.extend(key.public.clone());
            if key.state == KeyState::Active {
                active.insert(key.algorithm, Arc::clone(&key));
            }
            by_id.insert(key.key_id.clone(), key);
        }
        let jwk_set = JwkSetDocument::new(&published, settings.jwks_max_age);
        Ok(Self { by_id, active, jwk_set: Arc::new(jwk_set) })
    }

    /// The key that signs with `algorithm`.
    pub(crate) fn active(&self, algorithm: Algorithm) -> Option<&Arc<RingKey>> {
        self.active.get(&algorithm)
    }

    /// The key of that id, if it verifies.
    pub(crate) fn get(&self, key_id: &str) -> Option<&Arc<RingKey>> {
        self.by_id.get(key_id)
    }

    /// Every key.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &RingKey> {
        self.by_id.values().map(|key| &**key)
    }

    /// The public keys.
    pub(crate) const fn jwk_set(&self) -> &Arc<JwkSetDocument> {
        &self.jwk_set
    }
}
