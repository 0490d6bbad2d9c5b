//! What requests say besides the client itself.

use std::time::Duration;

use crate::{
    grpc::convert::scalar,
    model::{ClientId, Violations},
};

/// How long the former secrets stay valid when a request does not say.
const DEFAULT_OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest that they may.
const LONGEST_OVERLAP: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// Reads a client's id.
pub(in crate::grpc) fn client_id(text: String, violations: &mut Violations) -> Option<ClientId> {
    violations.check("client_id", ClientId::parse(text))
}

/// Reads a client's id, or nothing.
pub(in crate::grpc) fn optional_client_id(text: &str, violations: &mut Violations) -> Option<ClientId> {
    if text.is_empty() { None } else { violations.check("client.client_id", ClientId::parse(text)) }
}

/// How long the former secrets stay valid.
pub(in crate::grpc) fn overlap(
    message: Option<prost_types::Duration>,
    violations: &mut Violations,
) -> Duration {
    let Some(message) = message else { return DEFAULT_OVERLAP };
    match scalar::duration(message).filter(|overlap| *overlap <= LONGEST_OVERLAP) {
        Some(overlap) => overlap,
        None => {
            violations.add("overlap", "must be a duration from zero to 90 days");
            DEFAULT_OVERLAP
        }
    }
}
