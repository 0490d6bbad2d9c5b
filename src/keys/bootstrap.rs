//! The first start: generates an active and a pending key for each configured algorithm, once for all replicas. Also stores the shared
//! secret, which is in the settings and not part of the rotation plan.

use super::{
    KeyError, KeySettings, Patience, Sealer, SharedSecret,
    checked::{CheckedKeys, change_keys, sealed_parts},
    make,
    ring::RingKey,
};
use crate::{
    jose::KeyMaterial,
    model::{Algorithm, KeyChange, KeyRecord, KeySet, KeyState, UnixTime},
    store::Store,
};

/// Stores the keys that must exist: in a new store a pair for each algorithm, and always the key of the shared secret. Returns the
/// algorithm of the shared secret.
///
/// # Errors
/// When the store fails, no stored key can be unsealed, or the shared secret does not fit. The store is then unchanged.
pub(super) async fn ensure_keys(
    store: &Store,
    settings: &KeySettings,
    sealer: &Sealer,
    now: UnixTime,
) -> Result<Option<Algorithm>, KeyError> {
    let shared = shared_algorithm(settings)?;
    loop {
        let stored = store.keys().await?;
        // With a wrong sealing key, this fails before anything is written.
        sealer.load(sealed_parts(&stored), Patience::Start).await;
        let checked = CheckedKeys::of(stored, sealer, None);
        let set = &*checked.trusted;
        if let Some(untrusted) = checked.untrusted.values().next().filter(|_| set.keys.is_empty()) {
            return Err(untrusted.error());
        }
        some_key_must_open(set, sealer)?;
        sealer.prepare().await?;
        let mut change = KeyChange::of(set);
        if set.keys.is_empty() {
            for algorithm in
                settings.algorithms.iter().copied().filter(|algorithm| shared != Some(*algorithm))
            {
                for record in first_two(settings, sealer, algorithm, now).await? {
                    change = change.put(record);
                }
            }
        }
        if let (Some(algorithm), Some(secret)) = (shared, &settings.shared_secret) {
            if let Some(untrusted) = checked.blocks(algorithm) {
                return Err(untrusted.error());
            }
            change.put.extend(shared_key(set, sealer, algorithm, secret, now)?);
        }
        // Of several replicas that start at the same time, one writes the keys; the others find them in their next iteration.
        if change.put.is_empty() || change_keys(store, sealer, &change).await?.is_some() {
            return Ok(shared);
        }
    }
}

/// The algorithm of the shared secret.
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

/// The first two keys of an algorithm. The first key is activated at once: no verifier has cached a JWK set without it.
async fn first_two(
    settings: &KeySettings,
    sealer: &Sealer,
    algorithm: Algorithm,
    now: UnixTime,
) -> Result<[KeyRecord; 2], KeyError> {
    let ends = settings.schedule.ends(now);
    let first = make::pending(sealer, algorithm, now, now).await?.activate(now, Some(ends))?;
    Ok([first, make::pending(sealer, algorithm, now, ends.0).await?])
}

/// Fails if there are sealed keys and none can be unsealed: the sealing key is wrong.
fn some_key_must_open(set: &KeySet, sealer: &Sealer) -> Result<(), KeyError> {
    let mut failure = None;
    for record in set.keys.iter().filter(|record| record.state.verifies() && record.sealed.is_some()) {
        match RingKey::unseal(record, sealer) {
            Ok(_) => return Ok(()),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    failure.map_or(Ok(()), Err)
}

/// The key of the shared secret, if it is not stored yet. A stored active key must hold that secret: a different secret would verify no
/// token of the services that share it.
fn shared_key(
    set: &KeySet,
    sealer: &Sealer,
    algorithm: Algorithm,
    secret: &SharedSecret,
    now: UnixTime,
) -> Result<Option<KeyRecord>, KeyError> {
    if let Some(active) = set.active(algorithm) {
        RingKey::unseal(active, sealer)?;
        if make::holds(sealer, active, &secret.0) {
            return Ok(None);
        }
        let (algorithm, key_id) = (active.algorithm, &active.key_id);
        return Err(KeyError::SharedSecret(format!(
            "is not the secret of the stored {algorithm} key {key_id}; a stored key is never replaced at startup"
        )));
    }
    if let Some(revoked) =
        set.of(algorithm, KeyState::Revoked).find(|record| make::holds(sealer, record, &secret.0))
    {
        let problem = format!("is the secret of the {algorithm} key {}, which was revoked", revoked.key_id);
        return Err(KeyError::SharedSecret(problem));
    }
    Ok(Some(make::sealed(sealer, algorithm, None, &secret.0, now, now)?.activate(now, None)?))
}
