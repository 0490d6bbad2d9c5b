//! JWK sets (RFC 7517 section 5): keys that cannot be used are skipped, and named. What shows that the set as a whole is a mistake, is
//! an error.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{
    imported_key::{Imported, ImportedKey, SkippedKey},
    jwk,
    members::Members,
    problem::{ImportError, Problem},
};
use crate::{Algorithm, KeyId, public_key::PublicKey};

/// How many keys are looked at.
const MOST_KEYS: usize = 32;

/// The key, or the keys of the set.
pub(super) fn read(members: &Members, said: Option<Algorithm>) -> Result<Imported, ImportError> {
    let Some(keys) = members.get("keys") else {
        return Ok(Imported { keys: vec![jwk::read(members, said)?], skipped: Vec::new() });
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
        let key = match jwk::read(members, said).map_err(|error| error.inside(&place(index))) {
            Ok(key) => key,
            // Not a fault of the key, but a question to the caller.
            Err(error) if error.needs_algorithm() => return Err(error),
            Err(error) => {
                skipped.push(SkippedKey::new(members, &error));
                first_problem = first_problem.or(Some(error));
                continue;
            }
        };
        // Two keys without `kid` may be one and the same, too.
        if id(&key).is_some_and(|id| !ids.insert(id)) {
            return Err(Problem::SetDuplicate.at("kid").inside(&place(index)));
        }
        // Under a second id it would outlive the revocation of the first.
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

/// A set is of public keys or of secrets. Together they are a mistake: a set that is published, or verified with, must
/// hold nothing to sign with, and one private key has no business in a list.
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

/// The id that the key has, or would be given; none for a secret, whose would be random.
fn id(key: &ImportedKey) -> Option<KeyId> {
    key.key_id.clone().or_else(|| key.public.as_ref().map(PublicKey::thumbprint))
}

/// Both came in one request: how long this takes tells nothing to whoever made it.
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
