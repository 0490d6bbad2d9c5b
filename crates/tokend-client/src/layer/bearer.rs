//! The access token in a request (RFC 6750 section 2.1).

use http::{HeaderMap, header::AUTHORIZATION};

use crate::VerifyError;

/// The token in the header `authorization`. Tokens in the query and in the body are not read (RFC 9700 section 4.3.2).
pub(super) fn token(headers: &HeaderMap) -> Result<&str, VerifyError> {
    let mut values = headers.get_all(AUTHORIZATION).into_iter();
    let value = values.next().ok_or(VerifyError::Missing)?;
    if values.next().is_some() {
        return Err(VerifyError::Malformed);
    }
    let value = value.to_str().map_err(|_| VerifyError::Malformed)?;
    let (scheme, token) = value.split_once(' ').ok_or(VerifyError::Missing)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token) } else { Err(VerifyError::Missing) }
}
