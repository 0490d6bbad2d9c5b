//! The settings of authentication.

use std::num::NonZeroU32;

use super::reader::Reader;
use crate::{access::CallerSettings, server::CallerSources};

/// Reads them, and notes what is wrong.
pub(super) fn callers(reader: &mut Reader<'_>, issuer: Option<&str>) -> (CallerSettings, CallerSources) {
    let settings = CallerSettings {
        issuer: issuer.unwrap_or_default().to_owned(),
        assertion_max_ttl: reader.duration("assertion_max_ttl"),
        leeway: reader.duration("caller_leeway"),
        failures_per_minute: NonZeroU32::new(reader.number("max_failed_callers")).unwrap_or(NonZeroU32::MIN),
    };
    (settings, CallerSources { jwks_dir: reader.path("client_jwks_dir") })
}
