//! The settings of authentication.

use std::{num::NonZeroU32, time::Duration};

use super::{reader::Reader, trusted_issuers};
use crate::{
    access::{CallerSettings, RefreshSettings},
    server::CallerSources,
};

/// The longest that a fetch of a trusted issuer's keys may take: calls may wait for it.
const FETCH: Duration = Duration::from_secs(5);

/// Reads them, and notes what is wrong.
pub(super) fn callers(
    reader: &mut Reader<'_>,
    issuer: Option<&str>,
    max_token_bytes: usize,
) -> (CallerSettings, CallerSources) {
    let settings = CallerSettings {
        issuer: issuer.unwrap_or_default().to_owned(),
        max_token_bytes,
        assertion_max_ttl: reader.duration("assertion_max_ttl"),
        leeway: reader.duration("caller_leeway"),
        failures_per_minute: NonZeroU32::new(reader.number("max_failed_callers")).unwrap_or(NonZeroU32::MIN),
    };
    let trusted = reader.path("trusted_issuers_file").and_then(|path| {
        let read = trusted_issuers::read(&path, issuer);
        reader.note("trusted_issuers_file", read)
    });
    let refresh = RefreshSettings {
        interval: reader.duration("issuer_refresh_interval"),
        max_age: reader.duration("issuer_keys_max_age"),
        timeout: FETCH,
    };
    if refresh.interval > refresh.max_age {
        reader.wrong("issuer_refresh_interval", "is larger than issuer_keys_max_age");
    }
    let jwks_dir = reader.path("client_jwks_dir");
    if let Some(path) = jwks_dir.as_deref().filter(|path| !path.is_dir()) {
        reader.wrong("client_jwks_dir", &format!("{} is no folder", path.display()));
    }
    (settings, CallerSources { jwks_dir, trusted_issuers: trusted.unwrap_or_default(), refresh })
}
