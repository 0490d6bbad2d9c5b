//! MACs of stored rows: with write access to the database, but without a sealing key, an attacker cannot write a row that is trusted.
//!
//! A MAC is `version (1) | sealing key id (8) | random (8) | HMAC-SHA256 (32)`, over the random bytes and the row's content, under
//! a key that HKDF derives from the sealing key. The random bytes make each MAC different, so that an update that leaves the MAC
//! unchanged is known to come from a release without MACs.

use aws_lc_rs::{hkdf, hmac};

use super::{Sealer, SealingKey, SealingKeyError, key::sealed_under};
use crate::{
    model::{RowContent, SealingKeyId},
    random::{self, RandomError},
};

const VERSION: u8 = 1;
const RANDOM_LEN: usize = 8;

/// Whether a stored row may be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RowCheck {
    /// The row has a valid MAC.
    Signed,
    /// The row is accepted without a valid MAC, because `require_row_macs` is not set: it has no MAC, or the sealing key is missing.
    Unsigned,
    /// The row is rejected because its sealing key is missing, which may change.
    Unknown(String),
    /// The row is rejected.
    Refused(String),
}

/// The key for the MACs of rows, derived from a sealing key.
pub(super) fn row_key(bytes: &[u8; 32]) -> Result<hmac::Key, SealingKeyError> {
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, b"tokend row mac").extract(bytes);
    let okm = prk.expand(&[b"v1"], hmac::HMAC_SHA256).map_err(|_| SealingKeyError)?;
    Ok(hmac::Key::from(okm))
}

impl SealingKey {
    fn sign_row(&self, content: &RowContent) -> Result<Vec<u8>, RandomError> {
        let random = random::bytes::<RANDOM_LEN>()?;
        let tag = hmac::sign(self.row_key(), &[random.as_slice(), content.as_bytes()].concat());
        Ok([&[VERSION], self.id().as_bytes().as_slice(), &random, tag.as_ref()].concat())
    }

    fn signed_row(&self, content: &RowContent, mac: &[u8]) -> bool {
        let rest = mac.get(1 + SealingKeyId::LEN..).unwrap_or_default();
        let Some((random, tag)) = rest.split_first_chunk::<RANDOM_LEN>() else { return false };
        hmac::verify(self.row_key(), &[random.as_slice(), content.as_bytes()].concat(), tag).is_ok()
    }
}

impl Sealer {
    /// The MAC for a row with this content, under the current sealing key; none before there is one.
    pub(crate) fn sign_row(&self, content: &RowContent) -> Result<Option<Vec<u8>>, RandomError> {
        self.first().map(|key| key.sign_row(content)).transpose()
    }

    /// Checks the MAC of a row, under any sealing key in memory: [`Self::load`] loads the one that the MAC names.
    pub(crate) fn check_row(&self, content: &RowContent, mac: Option<&[u8]>) -> RowCheck {
        let Some(mac) = mac else {
            let problem = "it has no MAC, and `require_row_macs` is set; `tokend key reseal` signs rows";
            return self.unless_required(RowCheck::Refused(problem.to_owned()));
        };
        let Some(id) = sealed_under(mac) else {
            return RowCheck::Refused("its MAC has an unknown format".to_owned());
        };
        match self.held_key(id) {
            Ok(key) if key.signed_row(content, mac) => RowCheck::Signed,
            Ok(_) => RowCheck::Refused(
                "its MAC is wrong: the row was written by another program than tokend".to_owned(),
            ),
            Err(problem) => self.unless_required(RowCheck::Unknown(format!(
                "its MAC is under the sealing key {id}, {problem}"
            ))),
        }
    }

    /// Whether this MAC is under the current sealing key.
    pub(crate) fn is_current_row(&self, mac: Option<&[u8]>) -> bool {
        mac.is_some_and(|mac| self.is_current(mac))
    }

    fn unless_required(&self, refused: RowCheck) -> RowCheck {
        if self.require_row_macs { refused } else { RowCheck::Unsigned }
    }
}
