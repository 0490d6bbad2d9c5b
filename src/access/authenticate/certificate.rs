//! Callers by their TLS certificate (RFC 8705 section 2.1), whose chain and key the transport has proved.

use std::sync::Arc;

use super::failure::Unproven;
use crate::{
    access::snapshot::{Named, Snapshot},
    model::{AuthenticationMethod, Client, Peer, UnixTime},
};

/// The client whose names the peer's certificate holds; none if the certificate is no credential, for it names no client:
/// it then is the connection's business alone.
pub(super) fn client(
    snapshot: &Snapshot,
    peer: Option<&Peer>,
    now: UnixTime,
) -> Option<Result<Arc<Client>, Unproven>> {
    let certificate = peer?.certificate.as_deref()?;
    let unproven = |check| Unproven::new(Some(AuthenticationMethod::MutualTls), check);
    let client = match snapshot.by_certificate(certificate) {
        Named::Nobody => return None,
        Named::Several => {
            return Some(Err(unproven("the certificate's names are those of several clients")));
        }
        Named::One(client) => client,
    };
    // A connection may outlive the certificate with which it began. From `notAfter` on it proves nothing (RFC 5280 section
    // 4.1.2.5 has it valid through that second; clocks are not that exact).
    if certificate.expires_at.is_none_or(|expires_at| now.seconds() >= expires_at) {
        let named = Some(client.client_id.clone());
        return Some(Err(unproven("the certificate has expired").naming(named)));
    }
    Some(Ok(client))
}
