//! When a certificate ends.

use rustls::pki_types::CertificateDer;
use x509_cert::{Certificate, der::Decode as _};

/// `notAfter` (RFC 5280 section 4.1.2.5), in seconds since 1970.
pub(super) fn not_after(certificate: &CertificateDer<'_>) -> Option<i64> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let not_after = certificate.tbs_certificate().validity().not_after.to_unix_duration();
    i64::try_from(not_after.as_secs()).ok()
}
