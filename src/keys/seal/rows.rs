//! MACs of stored rows: what may write to the database, but does not have a sealing key, cannot make a row that is trusted.
//!
//! A MAC is `version (1) | sealing key id (8) | random (8) | HMAC-SHA256 (32)`, over the random bytes and the row's content, under
//! a key that HKDF derives from the sealing key. The random bytes make each MAC another one: an update that leaves it as it was
//! comes from a release that does not know MACs.

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
    /// It has a valid MAC.
    Signed,
    /// It is accepted without a valid MAC, as `require_row_macs` is not set: it has none, or its sealing key is not here.
    Unsigned,
    /// It is refused because its sealing key is not here, which may change.
    Unknown(String),
    /// It is refused.
    Refused(String),
}

/// The key that signs rows, derived from the octets of a sealing key.
pub(super) fn row_key(octets: &[u8; 32]) -> Result<hmac::Key, SealingKeyError> {
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, b"tokend row mac").extract(octets);
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
    /// The MAC for a row of this content, under the key that seals; none before there is one.
    pub(crate) fn sign_row(&self, content: &RowContent) -> Result<Option<Vec<u8>>, RandomError> {
        self.first().map(|key| key.sign_row(content)).transpose()
    }

    /// Checks a row's MAC, under any sealing key in memory: [`Self::load`] brings the one that the MAC names.
    pub(crate) fn check_row(&self, content: &RowContent, mac: Option<&[u8]>) -> RowCheck {
        let Some(mac) = mac else {
            let problem = "it has no MAC, and `require_row_macs` is set; `tokend key reseal` signs rows";
            return self.unless_required(RowCheck::Refused(problem.to_owned()));
        };
        let Some(id) = sealed_under(mac) else {
            return RowCheck::Refused("its MAC has no form that is known here".to_owned());
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

    /// Whether this MAC is under the key that seals now.
    pub(crate) fn is_current_row(&self, mac: Option<&[u8]>) -> bool {
        mac.is_some_and(|mac| self.is_current(mac))
    }

    fn unless_required(&self, refused: RowCheck) -> RowCheck {
        if self.require_row_macs { refused } else { RowCheck::Unsigned }
    }
}
