//! JWK sets (RFC 7517 section 5) of clients and other issuers, with which signatures are verified.

use serde_json::{Map, Value};

use super::{
    import::{Imported, ImportedKey, SkippedKey, Source, import, read_jwk},
    json,
    public_key::PublicKey,
};
use crate::Algorithm;

/// The limit of keys in a set.
const MOST_KEYS: usize = 64;

/// The limit of keys in the set of a tokend server, which has up to 32 retired keys of each algorithm.
const MOST_OWN_KEYS: usize = 1024;

/// The limit of a `kid` of another issuer, in bytes.
const LONGEST_KEY_ID: usize = 1024;

/// The public keys of a client or of another issuer.
#[derive(Default)]
pub struct PublicKeySet {
    entries: Vec<Entry>,
    /// The number of keys. A key may have several entries, one for each algorithm.
    keys: usize,
    /// The keys that cannot be used.
    skipped: Vec<SkippedKey>,
}

struct Entry {
    key_id: String,
    key: PublicKey,
}

/// The result of a search by `kid` and `alg`.
pub enum SetLookup<'s> {
    /// The key.
    Found(&'s PublicKey),
    /// The key is for another algorithm.
    OtherAlgorithm,
    /// No key has the id, or there is no id and several keys for the algorithm.
    Unknown,
}

impl PublicKeySet {
    /// Reads a set that an operator wrote. A private key or a secret in the set is an error: every reader of the set could sign.
    ///
    /// # Errors
    /// The problem. The text contains nothing of the keys.
    pub fn strict(text: &str) -> Result<Self, String> {
        let Imported { keys, skipped } =
            import(Source::Jwk(text), None).map_err(|error| error.to_string())?;
        let mut set = Self { skipped, ..Self::default() };
        for key in keys {
            let key_id = key.key_id.as_ref().map(|key_id| key_id.as_str().to_owned());
            set.add(key_id, public(key)?);
            set.keys += 1;
        }
        Ok(set)
    }

    /// Reads a set that another issuer publishes. Keys that cannot be used are skipped (RFC 7517 section 5): encryption keys, unknown key
    /// types, private keys, and keys for none of `algorithms`. A key without `alg` is for each of `algorithms` that fits it. A `kid` may
    /// be any string (RFC 7517 section 4.5).
    ///
    /// # Errors
    /// When `bytes` is not a set, or the set has no usable key.
    pub fn lenient(bytes: &[u8], algorithms: &[Algorithm]) -> Result<Self, String> {
        let set = Self::read(bytes, algorithms, MOST_KEYS)?;
        match set.skipped.first() {
            _ if set.keys > 0 => Ok(set),
            Some(skipped) => Err(format!("it holds no key that can be used: {skipped}")),
            None => Err("it holds no key".to_owned()),
        }
    }

    /// Reads the set that a tokend server publishes. It may have no key: a server may sign with HMAC secrets only. Keys that cannot be
    /// used are skipped, such as those of algorithms that this version does not know.
    ///
    /// # Errors
    /// When `bytes` is not a set. The text contains nothing of the keys.
    pub fn published(bytes: &[u8]) -> Result<Self, String> {
        let asymmetric = Algorithm::ALL.into_iter().filter(|algorithm| !algorithm.is_symmetric());
        Self::read(bytes, &asymmetric.collect::<Vec<_>>(), MOST_OWN_KEYS)
    }

    fn read(bytes: &[u8], algorithms: &[Algorithm], most: usize) -> Result<Self, String> {
        let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
        let members = json::object(bytes).map_err(|error| error.to_string())?;
        let Some(Value::Array(keys)) = members.get("keys") else {
            return Err("it is no JWK set: it has no list `keys`".to_owned());
        };
        if keys.len() > most {
            return Err(format!("it holds more than {most} keys"));
        }
        let mut set = Self::default();
        for key in keys {
            let members = key.as_object().cloned().unwrap_or_default();
            match usable(&members, algorithms) {
                Ok((key_id, keys)) => {
                    set.keys += 1;
                    keys.into_iter().for_each(|key| set.add(key_id.clone(), key));
                }
                Err(problem) => set.skipped.push(SkippedKey::new(&members, problem)),
            }
        }
        Ok(set)
    }

    fn add(&mut self, key_id: Option<String>, key: PublicKey) {
        let key_id = key_id.unwrap_or_else(|| key.thumbprint().as_str().to_owned());
        self.entries.push(Entry { key_id, key });
    }

    /// The key with which a token with this `kid` and `alg` is verified; without `kid`, the only one for `alg`.
    pub fn find(&self, key_id: Option<&str>, algorithm: Algorithm) -> SetLookup<'_> {
        let named = |entry: &&Entry| key_id.is_none_or(|key_id| entry.key_id == key_id);
        let mut candidates = self.entries.iter().filter(named).peekable();
        if candidates.peek().is_none() {
            return SetLookup::Unknown;
        }
        let mut fitting = candidates.filter(|entry| entry.key.algorithm() == algorithm);
        match (fitting.next(), key_id.is_none() && fitting.next().is_some()) {
            (Some(entry), false) => SetLookup::Found(&entry.key),
            (Some(_), true) => SetLookup::Unknown,
            (None, _) => SetLookup::OtherAlgorithm,
        }
    }

    /// The id and the algorithm of every key.
    pub fn keys(&self) -> impl Iterator<Item = (&str, Algorithm)> {
        self.entries.iter().map(|entry| (entry.key_id.as_str(), entry.key.algorithm()))
    }

    /// The keys that cannot be used.
    pub fn skipped(&self) -> &[SkippedKey] {
        &self.skipped
    }

    /// The number of keys. A key that is for several algorithms counts once.
    pub const fn key_count(&self) -> usize {
        self.keys
    }
}

/// A key's `kid`, and the key for each of `algorithms` that fits it.
fn usable(
    members: &Map<String, Value>,
    algorithms: &[Algorithm],
) -> Result<(Option<String>, Vec<PublicKey>), String> {
    let key_id = match members.get("kid") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) if text.len() <= LONGEST_KEY_ID => Some(text.clone()),
        Some(Value::String(_)) => return Err(format!("its `kid` is longer than {LONGEST_KEY_ID} bytes")),
        Some(_) => return Err("its `kid` is not a string".to_owned()),
    };
    // `read_jwk` accepts fewer ids, because ids of imported keys are written to headers and logs.
    let mut members = members.clone();
    members.remove("kid");
    let (mut keys, mut problem) = (Vec::new(), None);
    for algorithm in algorithms {
        match read_jwk(&members, Some(*algorithm)) {
            Ok(key) => keys.push(public(key)?),
            Err(error) if error.is_other_algorithm() => {}
            Err(error) => problem = Some(error.to_string()),
        }
    }
    let problem = problem.unwrap_or_else(|| "it is for none of the issuer's `algorithms`".to_owned());
    if keys.is_empty() { Err(problem) } else { Ok((key_id, keys)) }
}

/// The public key, if the key has no private part. A private key that is not kept secret proves nothing.
fn public(key: ImportedKey) -> Result<PublicKey, String> {
    if key.private.is_some() {
        return Err("it holds a private key or a secret, where only public keys belong".to_owned());
    }
    key.public.ok_or_else(|| "it holds a key without a public half".to_owned())
}

impl std::fmt::Debug for PublicKeySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PublicKeySet").field("keys", &self.keys).finish_non_exhaustive()
    }
}
