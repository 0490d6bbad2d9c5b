//! JWK sets (RFC 7517 section 5). Keys that cannot be used are skipped and reported. A set that is a mistake as a whole is an error.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{
    imported_key::{Imported, ImportedKey, SkippedKey},
    jwk,
    members::Members,
    problem::{ImportError, Problem},
};
use crate::{Algorithm, KeyId, public_key::PublicKey};

/// The limit of keys in a set.
const MOST_KEYS: usize = 32;

/// Reads a key, or the keys of a set.
pub(super) fn read(members: &Members, requested: Option<Algorithm>) -> Result<Imported, ImportError> {
    let Some(keys) = members.get("keys") else {
        return Ok(Imported { keys: vec![jwk::read(members, requested)?], skipped: Vec::new() });
    };
    if members.contains_key("kty") {
        return Err(Problem::KeyAndSet.into());
    }
    let keys = keys.as_array().ok_or_else(|| Problem::SetNotList.at("keys"))?;
    if keys.is_empty() {
        return Err(Problem::SetEmpty.at("keys"));
    }
    if keys.len() > MOST_KEYS {
        return Err(Problem::SetTooLong.at("keys"));
    }
    let keys: Vec<&Map<String, Value>> = keys
        .iter()
        .enumerate()
        .map(|(index, key)| key.as_object().ok_or_else(|| Problem::SetMember.at(place(index))))
        .collect::<Result<_, _>>()?;
    must_be_of_one_kind(&keys)?;
    let (mut imported, mut skipped) = (Vec::<ImportedKey>::new(), Vec::new());
    let mut first_problem = None;
    let mut ids = HashSet::new();
    for (index, members) in keys.into_iter().enumerate() {
        let key = match jwk::read(members, requested).map_err(|error| error.inside(&place(index))) {
            Ok(key) => key,
            // The caller must choose an algorithm; the key is not at fault.
            Err(error) if error.needs_algorithm() => return Err(error),
            Err(error) => {
                skipped.push(SkippedKey::new(members, &error));
                first_problem = first_problem.or(Some(error));
                continue;
            }
        };
        // Two keys without `kid` may be the same, too.
        if id(&key).is_some_and(|id| !ids.insert(id)) {
            return Err(Problem::SetDuplicate.at("kid").inside(&place(index)));
        }
        // Under a second id, the key would remain valid after the revocation of the first id.
        if imported.iter().any(|other| is_same(other, &key)) {
            return Err(Problem::SetSameKey.at(place(index)));
        }
        imported.push(key);
    }
    match first_problem {
        Some(error) if imported.is_empty() => Err(error),
        _ => Ok(Imported { keys: imported, skipped }),
    }
}

/// Checks that a set contains either public keys or secrets. A mixture is a mistake: a set that is published or used to verify must
/// contain no key that signs.
fn must_be_of_one_kind(keys: &[&Map<String, Value>]) -> Result<(), ImportError> {
    let is_secret = |key: &Map<String, Value>| key.get("kty") == Some(&Value::from("oct"));
    let secret_first = keys.first().is_some_and(|key| is_secret(key));
    if let Some(index) = keys.iter().position(|key| is_secret(key) != secret_first) {
        return Err(Problem::SetMixed.at(place(index)));
    }
    let is_private = |key: &&Map<String, Value>| !is_secret(key) && jwk::is_private(key);
    match keys.iter().position(is_private) {
        Some(index) if keys.len() > 1 => Err(Problem::SetPrivate.at(place(index))),
        _ => Ok(()),
    }
}

/// The id that the key has or would get; none for a secret, whose id would be random.
fn id(key: &ImportedKey) -> Option<KeyId> {
    key.key_id.clone().or_else(|| key.public.as_ref().map(PublicKey::thumbprint))
}

/// Whether two keys are equal. Both are in one request, so the comparison need not be constant-time.
fn is_same(one: &ImportedKey, other: &ImportedKey) -> bool {
    match (&one.public, &other.public) {
        (Some(one), Some(other)) => one.to_jwk() == other.to_jwk(),
        (None, None) => one.private == other.private,
        _ => false,
    }
}

fn place(index: usize) -> String {
    format!("keys[{index}]")
}
