//! From when and until when a certificate is valid.

use rustls::pki_types::CertificateDer;
use x509_cert::{Certificate, der::Decode as _, time};

use crate::model::UnixTime;

/// `notBefore` and `notAfter` (RFC 5280 section 4.1.2.5).
#[derive(Debug, Clone, Copy)]
pub(super) struct Validity(time::Validity);

impl Validity {
    /// As the certificate says; none if it cannot be read so far.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let certificate = Certificate::from_der(certificate).ok()?;
        Some(Self(*certificate.tbs_certificate().validity()))
    }

    /// Until when it is valid.
    pub(super) fn expires_at(self) -> UnixTime {
        instant(self.0.not_after)
    }

    /// Why it is not valid at `now`; none if it is.
    pub(super) fn problem(self, now: UnixTime) -> Option<String> {
        let time::Validity { not_before, not_after, .. } = self.0;
        if now > instant(not_after) {
            Some(format!("the certificate expired at {}", not_after.to_date_time()))
        } else if now < instant(not_before) {
            Some(format!("the certificate is not valid before {}", not_before.to_date_time()))
        } else {
            None
        }
    }
}

fn instant(time: time::Time) -> UnixTime {
    let seconds = i64::try_from(time.to_unix_duration().as_secs());
    seconds.map_or(UnixTime::MAX, UnixTime::from_seconds)
}
