//! The provider of sealing keys from a variable or a file.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Patience, SealingError, SealingKey, SealingKeyError, SealingProvider};
use crate::model::SealingKeyId;

/// The settings that hold them.
const SETTINGS: &str = "`sealing_key`";

/// A text without valid sealing keys.
#[derive(Debug, thiserror::Error)]
pub enum LocalKeysError {
    /// The text is empty.
    #[error("contains no sealing key; generate one with `tokend init`")]
    Empty,
    /// The only key is invalid.
    #[error(transparent)]
    Only(#[from] SealingKeyError),
    /// One of several keys is invalid.
    #[error("key {0} of {1}: {2}")]
    OneOf(usize, usize, SealingKeyError),
    /// A key is duplicated.
    #[error("key {0} is a duplicate of an earlier key")]
    Twice(usize),
}

/// Reads one or more sealing keys, separated by line breaks or commas, each as [`SealingKey::parse`] reads it. Blank lines are ignored.
///
/// # Errors
/// When there is no key, or a key is invalid or duplicated. The error quotes nothing.
pub fn parse_local_keys(text: &str) -> Result<Vec<Arc<SealingKey>>, LocalKeysError> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let texts: Vec<&str> = lines.flat_map(|line| line.split(',')).collect();
    let mut keys: Vec<Arc<SealingKey>> = Vec::with_capacity(texts.len());
    for (place, key) in texts.iter().enumerate() {
        let key = SealingKey::parse(key).map_err(|error| match texts.len() {
            1 => LocalKeysError::Only(error),
            all => LocalKeysError::OneOf(place + 1, all, error),
        })?;
        if keys.iter().any(|other| other.id() == key.id()) {
            return Err(LocalKeysError::Twice(place + 1));
        }
        keys.push(Arc::new(key));
    }
    if keys.is_empty() { Err(LocalKeysError::Empty) } else { Ok(keys) }
}

/// The configured sealing keys; the first seals.
#[derive(Debug)]
pub(super) struct Local(pub(super) Vec<Arc<SealingKey>>);

#[async_trait]
impl SealingProvider for Local {
    fn settings(&self) -> &'static str {
        SETTINGS
    }

    async fn first(&self, _: Patience) -> Result<Arc<SealingKey>, SealingError> {
        self.0.first().cloned().ok_or_else(|| SealingError::Setting {
            setting: "sealing_key",
            problem: LocalKeysError::Empty.to_string(),
        })
    }

    async fn find(&self, id: SealingKeyId, _: Patience) -> Result<Option<Arc<SealingKey>>, SealingError> {
        Ok(self.0.iter().find(|key| key.id() == id).cloned())
    }

    async fn renew(&self) -> Result<Arc<SealingKey>, SealingError> {
        let problem = "add a new sealing key before the others yourself".to_owned();
        Err(SealingError::Setting { setting: "sealing_key", problem })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn several_keys_are_read_in_their_order() {
        let keys: Vec<_> = (0..3).map(|_| SealingKey::generate().unwrap()).collect();
        let texts: Vec<_> = keys.iter().map(|key| key.to_text().to_string()).collect();
        for between in ["\n", ",", ", ", "\r\n", "\n\n \n"] {
            let read = parse_local_keys(&format!("{}\n", texts.join(between))).unwrap();
            let ids: Vec<_> = read.iter().map(|key| key.id()).collect();
            assert_eq!(ids, keys.iter().map(SealingKey::id).collect::<Vec<_>>(), "{between:?}");
        }
    }

    #[test]
    fn what_is_no_list_of_keys_is_refused_and_not_quoted() {
        let key = SealingKey::generate().unwrap().to_text().to_string();
        let other = SealingKey::generate().unwrap().to_text().to_string();
        let padded = format!("{key}=");
        for (text, problem) in [
            (String::new(), "contains no sealing key"),
            (" \n\n".to_owned(), "contains no sealing key"),
            ("hunter2".to_owned(), "must be 32 bytes"),
            (format!("{key}\nhunter2"), "key 2 of 2: must be 32 bytes"),
            (format!("{key},,{other}"), "key 2 of 3: must be 32 bytes"),
            (format!("{key},"), "key 2 of 2: must be 32 bytes"),
            (format!("{key},{other},{padded}"), "key 3 is a duplicate"),
        ] {
            let error = parse_local_keys(&text).unwrap_err().to_string();
            assert!(error.starts_with(problem), "{error}");
            assert!(!error.contains("hunter2") && !error.contains(&key), "{error}");
        }
    }
}
