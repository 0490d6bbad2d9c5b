//! JWK sets of others (RFC 7517 section 5) that signatures are verified with: public keys, each parsed once.

use serde_json::Value;

use super::{
    import::{ImportError, ImportedKey, Source, import},
    json,
    public_key::PublicKey,
};
use crate::model::{Algorithm, KeyId};

/// More keys than that are no set that somebody rotates.
const MOST_KEYS: usize = 64;

/// The public keys of a client or of another issuer.
#[derive(Default)]
pub(crate) struct PublicKeySet {
    entries: Vec<Entry>,
    /// How many keys there are: a key may be for several algorithms.
    keys: usize,
}

struct Entry {
    key_id: KeyId,
    key: PublicKey,
}

/// What a token's header leads to.
pub(crate) enum SetLookup<'s> {
    /// This key.
    Found(&'s PublicKey),
    /// The key is there, and for another algorithm.
    OtherAlgorithm,
    /// No key of that id; or no id, and not exactly one key.
    Unknown,
}

impl PublicKeySet {
    /// Reads a set that an operator wrote: what is wrong with any of its keys is an error. A private key in it is one, and
    /// so is a secret: whoever can read it could sign.
    ///
    /// # Errors
    /// What is wrong, in words that hold nothing of the keys.
    pub(crate) fn strict(text: &str) -> Result<Self, String> {
        let keys = import(Source::Jwk(text), None).map_err(|error| in_words(&error))?;
        let mut set = Self::default();
        for key in keys {
            set.add(key)?;
            set.keys += 1;
        }
        Ok(set)
    }

    /// Reads a set that another issuer publishes. Keys that cannot be used are left out (RFC 7517 section 5): encryption
    /// keys, kinds that tokend does not know, and those for none of `algorithms`. A key that does not say its algorithm is
    /// for each of `algorithms` that fits it.
    ///
    /// # Errors
    /// When it is no set, or one without a single key that can be used.
    pub(crate) fn lenient(octets: &[u8], algorithms: &[Algorithm]) -> Result<Self, String> {
        let members = json::object(octets).map_err(|error| error.to_string())?;
        let Some(Value::Array(keys)) = members.get("keys") else {
            return Err("it is no JWK set: it has no list `keys`".to_owned());
        };
        if keys.len() > MOST_KEYS {
            return Err(format!("it holds more than {MOST_KEYS} keys"));
        }
        let mut set = Self::default();
        for key in keys {
            let says = key.get("alg").is_some_and(Value::is_string);
            let text = key.to_string();
            let before = set.entries.len();
            for algorithm in algorithms {
                let read = import(Source::Jwk(&text), Some(*algorithm)).unwrap_or_default();
                for key in read {
                    // A private key that an issuer publishes is everybody's: nothing that it signs means anything.
                    // It is left out like what cannot be read.
                    let _ = set.add(key);
                }
                if says && set.entries.len() > before {
                    break;
                }
            }
            set.keys += usize::from(set.entries.len() > before);
        }
        if set.keys == 0 { Err("it holds no key that can be used".to_owned()) } else { Ok(set) }
    }

    fn add(&mut self, key: ImportedKey) -> Result<(), String> {
        if key.private.is_some() {
            return Err("it holds a private key or a secret, where only public keys belong".to_owned());
        }
        let public = key.public.ok_or("it holds a key without a public half")?;
        self.entries.push(Entry { key_id: key.key_id.unwrap_or_else(|| public.thumbprint()), key: public });
        Ok(())
    }

    /// The key with which a token with this `kid` and `alg` is verified.
    pub(crate) fn find(&self, key_id: Option<&str>, algorithm: Algorithm) -> SetLookup<'_> {
        let named = |entry: &&Entry| match key_id {
            Some(key_id) => entry.key_id.as_str() == key_id,
            None => self.keys == 1,
        };
        let mut candidates = self.entries.iter().filter(named).peekable();
        if candidates.peek().is_none() {
            return SetLookup::Unknown;
        }
        match candidates.find(|entry| entry.key.algorithm() == algorithm) {
            Some(entry) => SetLookup::Found(&entry.key),
            None => SetLookup::OtherAlgorithm,
        }
    }

    /// How many keys there are.
    pub(crate) const fn len(&self) -> usize {
        self.keys
    }
}

/// What is wrong and where, as one sentence.
fn in_words(error: &ImportError) -> String {
    if error.path.is_empty() {
        format!("it {}", error.problem)
    } else {
        format!("`{}` {}", error.path, error.problem)
    }
}

impl std::fmt::Debug for PublicKeySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PublicKeySet").field("keys", &self.keys).finish_non_exhaustive()
    }
}
