//! Contents of certificates: the names of a client, and the validity period.

use rustls::{ServerConnection, pki_types::CertificateDer};
use webpki::EndEntityCert;
use x509_cert::{Certificate, der::Decode as _, time};

use crate::model::{PeerCertificate, UnixTime};

/// The names in the client's certificate, which rustls has verified up to a client CA. The common name is ignored: names are in
/// the subject alternative names (RFC 6125 section 6.4.4).
pub(in crate::listen) fn peer_certificate(connection: &ServerConnection) -> Option<PeerCertificate> {
    let leaf = connection.peer_certificates()?.first()?;
    let certificate = EndEntityCert::try_from(leaf).ok()?;
    Some(PeerCertificate {
        uris: certificate.valid_uri_names().map(str::to_owned).collect(),
        dns_names: certificate.valid_dns_names().map(str::to_ascii_lowercase).collect(),
        // Fails closed: a certificate whose end cannot be read counts as expired.
        expires_at: Some(Validity::of(leaf).map_or(0, |validity| validity.expires_at().seconds())),
    })
}

/// `notBefore` and `notAfter` (RFC 5280 section 4.1.2.5).
#[derive(Debug, Clone, Copy)]
pub(super) struct Validity(time::Validity);

impl Validity {
    /// The certificate's validity; none if it cannot be parsed.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let certificate = Certificate::from_der(certificate).ok()?;
        Some(Self(*certificate.tbs_certificate().validity()))
    }

    pub(super) fn expires_at(self) -> UnixTime {
        unix_time(self.0.not_after)
    }

    /// Why the certificate is not valid at `now`; none if it is.
    pub(super) fn problem(self, now: UnixTime) -> Option<String> {
        let time::Validity { not_before, not_after, .. } = self.0;
        if now > unix_time(not_after) {
            Some(format!("the certificate expired at {}", not_after.to_date_time()))
        } else if now < unix_time(not_before) {
            Some(format!("the certificate is not valid before {}", not_before.to_date_time()))
        } else {
            None
        }
    }
}

fn unix_time(time: time::Time) -> UnixTime {
    let seconds = i64::try_from(time.to_unix_duration().as_secs());
    seconds.map_or(UnixTime::MAX, UnixTime::from_seconds)
}
