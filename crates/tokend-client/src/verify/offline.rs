//! The checks of a token with keys in memory, in the order of the server (`src/tokens/verify.rs` there).

use std::time::Duration;

use tokend_jose::{
    Compact, Header, InvalidToken, Reason, SetLookup, TokenClaims, UnixTime, check_jwt_id, check_times,
    read_claims,
};

use super::{Claims, keys::Keys};
use crate::VerifyError;

/// What a verifier accepts.
#[derive(Debug)]
pub(super) struct Accepted {
    /// The only accepted `iss`.
    pub(super) issuer: String,
    /// The accepted audiences; at least one.
    pub(super) audiences: Vec<String>,
    /// The allowed clock difference.
    pub(super) leeway: Duration,
    /// The longest accepted token, in bytes.
    pub(super) max_token_bytes: usize,
}

/// Why a token is not accepted.
pub(super) enum Problem {
    Invalid(InvalidToken),
    /// No key has this id.
    KeyUnknown,
}

impl From<InvalidToken> for Problem {
    fn from(error: InvalidToken) -> Self {
        Self::Invalid(error)
    }
}

impl From<Problem> for VerifyError {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::Invalid(error) => error.into(),
            Problem::KeyUnknown => {
                InvalidToken::new(Reason::KeyUnknown, "the token's key is not known here").into()
            }
        }
    }
}

impl Accepted {
    /// Checks what does not depend on the time and on revocations: size, form, header, key, algorithm, signature, JSON, types of claims,
    /// issuer, audience.
    pub(super) fn examine(&self, token: &str, keys: &Keys) -> Result<Claims, Problem> {
        let token = Compact::parse(token, self.max_token_bytes)?;
        let header = Header::parse(&token.header)?;
        if keys.revoked.contains(&header.key_id) {
            return Err(
                InvalidToken::new(Reason::Revoked, "the key that signed the token was revoked").into()
            );
        }
        let key = match keys.set.find(Some(&header.key_id), header.algorithm) {
            SetLookup::Found(key) => key,
            SetLookup::OtherAlgorithm => {
                let detail = "the token's algorithm is not the algorithm of its key";
                return Err(InvalidToken::new(Reason::AlgorithmNotAllowed, detail).into());
            }
            SetLookup::Unknown => return Err(Problem::KeyUnknown),
        };
        if !key.verifies(token.signing_input, &token.signature) {
            let detail = "the token's signature does not verify";
            return Err(InvalidToken::new(Reason::SignatureInvalid, detail).into());
        }
        // From here on the text is from a key holder; parsing stays strict.
        let (text, members) = token.claims()?;
        let claims = read_claims(&members)?;
        if claims.issuer != self.issuer {
            let detail = "the token was issued by another issuer";
            return Err(InvalidToken::new(Reason::IssuerMismatch, detail).into());
        }
        check_jwt_id(&claims)?;
        if !claims.audiences.iter().any(|audience| self.audiences.contains(audience)) {
            return Err(
                InvalidToken::new(Reason::AudienceMismatch, "the token is for other audiences").into()
            );
        }
        Ok(Claims::new(claims, text))
    }

    pub(super) fn check_times(&self, claims: &TokenClaims, now: UnixTime) -> Result<(), InvalidToken> {
        check_times(claims, false, now, self.leeway)
    }
}
