//! Generates and seals keys, outside of any transaction.

use aws_lc_rs::constant_time;

use super::{KeyError, RingKey, Sealer};
use crate::{
    jose::{ImportedKey, KeyMaterial},
    model::{Algorithm, KeyId, KeyRecord, KeyState, KeyUsage, UnixTime},
    random,
};

/// Generates a pending key and seals it.
pub(super) async fn pending(
    sealer: &Sealer,
    algorithm: Algorithm,
    now: UnixTime,
    activate_time: UnixTime,
) -> Result<KeyRecord, KeyError> {
    // Generating an RSA key takes a tenth of a second, which must not block the threads that serve calls.
    let generated = tokio::task::spawn_blocking(move || KeyMaterial::generate(algorithm)).await;
    let bytes = generated
        .map_err(|error| KeyError::Make(algorithm, error.to_string()))?
        .map_err(|error| KeyError::make(algorithm, &error))?;
    sealed(sealer, algorithm, None, &bytes, now, activate_time)
}

/// Seals a pending key with this material.
pub(super) fn sealed(
    sealer: &Sealer,
    algorithm: Algorithm,
    key_id: Option<KeyId>,
    bytes: &[u8],
    now: UnixTime,
    activate_time: UnixTime,
) -> Result<KeyRecord, KeyError> {
    let failed = |error| KeyError::make(algorithm, &error);
    let material = KeyMaterial::parse(algorithm, bytes).map_err(failed)?;
    let public = material.public_key(algorithm);
    let key_id = match (key_id, &public) {
        (Some(key_id), _) => key_id,
        (None, Some(public)) => public.thumbprint(),
        // Nothing about a secret may be published, so its id is random.
        (None, None) => {
            let id = random::text::<16>().map_err(|error| KeyError::Make(algorithm, error.to_string()))?;
            KeyId::from_text(id)
        }
    };
    let sealed = sealer.seal(&key_id, algorithm, bytes)?;
    let public = public.map(|public| public.to_jwk());
    Ok(KeyRecord::pending(key_id, algorithm, sealed, public, now, activate_time))
}

/// An imported key that only verifies. The private part is dropped; a secret is sealed.
pub(super) fn verify_only(
    sealer: &Sealer,
    key: &ImportedKey,
    key_id: Option<KeyId>,
    now: UnixTime,
) -> Result<KeyRecord, KeyError> {
    let ImportedKey { algorithm, public, private, .. } = key;
    let mut record = match (public, private) {
        (Some(public), _) => {
            let key_id = key_id.unwrap_or_else(|| public.thumbprint());
            KeyRecord::pending(key_id, *algorithm, Vec::new(), Some(public.to_jwk()), now, now)
        }
        (None, Some(secret)) => sealed(sealer, *algorithm, key_id, secret, now, now)?,
        (None, None) => return Err(KeyError::refused("material", "must hold a key")),
    };
    record.sealed = record.sealed.filter(|sealed| !sealed.is_empty());
    Ok(KeyRecord { state: KeyState::Retired, usage: KeyUsage::VerifyOnly, activate_time: None, ..record })
}

/// The public part of a key of the first release, which stored only the sealed private part; none for a secret.
pub(super) fn public_half(sealer: &Sealer, record: &KeyRecord) -> Result<Option<String>, KeyError> {
    let bytes = RingKey::unseal(record, sealer)?;
    let material = KeyMaterial::parse(record.algorithm, &bytes)
        .map_err(|error| KeyError::make(record.algorithm, &error))?;
    Ok(material.public_key(record.algorithm).map(|public| public.to_jwk()))
}

/// Whether a stored key holds this secret, compared in constant time. False if the key cannot be unsealed.
pub(super) fn holds(sealer: &Sealer, record: &KeyRecord, secret: &[u8]) -> bool {
    RingKey::unseal(record, sealer)
        .is_ok_and(|stored| constant_time::verify_slices_are_equal(&stored, secret).is_ok())
}
