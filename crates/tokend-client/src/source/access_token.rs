//! An access token as a caller holds it.

use std::{fmt, sync::Arc, time::Duration};

use http::HeaderValue;

use crate::TokenError;

/// An access token. Cheap to clone. It has no `Debug` with the token, so that it cannot be printed by accident.
#[derive(Clone)]
pub struct AccessToken(Arc<Inner>);

struct Inner {
    authorization: HeaderValue,
    /// How long the token is valid from its receipt.
    lifetime: Duration,
}

const SCHEME: &str = "Bearer ";

impl AccessToken {
    pub(super) fn new(token: &str, lifetime: Duration) -> Result<Self, TokenError> {
        let authorization = bearer(token).ok_or(TokenError::Response("the token is not ASCII"))?;
        Ok(Self(Arc::new(Inner { authorization, lifetime })))
    }

    /// The value of the `authorization` header: `Bearer TOKEN`, marked as sensitive.
    pub fn authorization(&self) -> HeaderValue {
        self.0.authorization.clone()
    }

    /// The token in compact serialization. Do not print it.
    pub fn reveal(&self) -> &str {
        let value = self.0.authorization.to_str().unwrap_or_default();
        value.strip_prefix(SCHEME).unwrap_or_default()
    }

    pub(super) fn lifetime(&self) -> Duration {
        self.0.lifetime
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken").field("lifetime", &self.0.lifetime).finish_non_exhaustive()
    }
}

/// `Bearer CREDENTIAL`, marked as sensitive; none if the credential cannot be in a header.
pub(super) fn bearer(credential: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("{SCHEME}{credential}")).ok()?;
    value.set_sensitive(true);
    value.to_str().is_ok().then_some(value)
}
