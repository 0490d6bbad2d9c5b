//! What a client's certificate says.

use rustls::ServerConnection;
use webpki::EndEntityCert;

use super::validity::Validity;
use crate::model::PeerCertificate;

/// The names in the certificate that the client proved to hold; rustls has verified it up to an authority for clients.
/// The subject, with its common name, is not looked at: names are in the subject alternative names (RFC 6125 section 6.4.4).
pub(in crate::listen) fn peer_certificate(connection: &ServerConnection) -> Option<PeerCertificate> {
    let leaf = connection.peer_certificates()?.first()?;
    let certificate = EndEntityCert::try_from(leaf).ok()?;
    Some(PeerCertificate {
        uris: certificate.valid_uri_names().map(str::to_owned).collect(),
        dns_names: certificate.valid_dns_names().map(str::to_ascii_lowercase).collect(),
        // One whose end cannot be read has ended: rustls would have refused it.
        expires_at: Some(Validity::of(leaf).map_or(0, |validity| validity.expires_at().seconds())),
    })
}
