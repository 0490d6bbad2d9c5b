//! The first start: every algorithm that signs is given a key, once for all replicas.

use super::{KeyError, KeySettings, SharedSecret, ring::RingKey};
use crate::{
    jose::KeyMaterial,
    model::{Algorithm, KeyRecord, KeyState, UnixTime},
    store::Store,
};

/// Makes sure that each algorithm of `settings` has an active key.
pub(super) async fn ensure_keys(
    store: &dyn Store,
    settings: &KeySettings,
    now: UnixTime,
) -> Result<(), KeyError> {
    let shared_for = shared_algorithm(settings)?;
    // Every stored key must open before anything is written: a wrong sealing key changes nothing.
    let stored = store.keys().await?;
    for record in &stored {
        RingKey::open(record, &settings.sealing_key)?;
    }
    for algorithm in settings.algorithms.iter().copied() {
        let secret = settings.shared_secret.as_ref().filter(|_| shared_for == Some(algorithm));
        let active =
            stored.iter().find(|record| record.algorithm == algorithm && record.state == KeyState::Active);
        let active = match active {
            Some(record) => record.clone(),
            None => store.ensure_active_key(&candidate(algorithm, secret, settings, now)?).await?,
        };
        if let Some(secret) = secret {
            must_hold(&active, secret, settings)?;
        }
    }
    Ok(())
}

/// A key for `algorithm`, sealed: fresh, or the shared secret.
fn candidate(
    algorithm: Algorithm,
    secret: Option<&SharedSecret>,
    settings: &KeySettings,
    now: UnixTime,
) -> Result<KeyRecord, KeyError> {
    let failed = |error| KeyError::make(algorithm, &error);
    let octets = match secret {
        Some(SharedSecret(secret)) => secret.clone(),
        None => KeyMaterial::generate(algorithm).map_err(failed)?,
    };
    let material = KeyMaterial::parse(algorithm, &octets).map_err(failed)?;
    let key_id = material.key_id(algorithm).map_err(failed)?;
    Ok(KeyRecord {
        sealed: settings.sealing_key.seal(&key_id, algorithm, &octets)?,
        key_id,
        algorithm,
        state: KeyState::Active,
        create_time: now,
    })
}

/// The algorithm that the shared secret is for.
fn shared_algorithm(settings: &KeySettings) -> Result<Option<Algorithm>, KeyError> {
    let Some(SharedSecret(secret)) = &settings.shared_secret else { return Ok(None) };
    let mut symmetric = settings.algorithms.iter().copied().filter(|algorithm| algorithm.is_symmetric());
    let (Some(algorithm), None) = (symmetric.next(), symmetric.next()) else {
        let problem = "needs exactly one of HS256, HS384 and HS512 in `algorithms`";
        return Err(KeyError::SharedSecret(problem.to_owned()));
    };
    KeyMaterial::parse(algorithm, secret).map_err(|error| KeyError::SharedSecret(error.to_string()))?;
    Ok(Some(algorithm))
}

/// The stored key must be the configured secret: another one would verify nothing that the others sign.
fn must_hold(record: &KeyRecord, secret: &SharedSecret, settings: &KeySettings) -> Result<(), KeyError> {
    let stored = settings.sealing_key.open(&record.key_id, record.algorithm, &record.sealed)?;
    aws_lc_rs::constant_time::verify_slices_are_equal(&stored, &secret.0).map_err(|_| {
        KeyError::SharedSecret(format!(
            "is not the secret of the stored {} key {}; a stored key is not replaced at start",
            record.algorithm, record.key_id
        ))
    })
}
