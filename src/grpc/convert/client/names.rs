//! Names of certificates and files, and ids of users and groups.

use std::borrow::Borrow;

use url::Url;

use crate::model::{CertificateNames, UnixIds, Violations};
use crate::proto::v1;

/// The most names of a kind.
const MAX_NAMES: usize = 16;
/// The longest URI, in bytes: the limit of a SPIFFE id.
const MAX_URI: usize = 2048;

/// Reads the names in a client's certificates.
pub(super) fn certificate(message: v1::CertificateNames, violations: &mut Violations) -> CertificateNames {
    const URIS: &str = "authentication.certificate.uris";
    const DNS_NAMES: &str = "authentication.certificate.dns_names";
    let description =
        format!("must be an absolute URI, such as `spiffe://example.org/orders`, of at most {MAX_URI} bytes");
    check_each(&message.uris, URIS, is_absolute_uri, &description, violations);
    let description = "must be a DNS name in lower case, without wildcard";
    check_each(&message.dns_names, DNS_NAMES, is_dns_name, description, violations);
    CertificateNames { uris: message.uris, dns_names: message.dns_names }
}

/// Reads the users and groups of a client's processes.
pub(super) fn unix_ids(message: v1::UnixIds, violations: &mut Violations) -> UnixIds {
    let description = "must not be 65534 or 4294967295: the kernel reports them for ids that it cannot map";
    for (field, ids) in [("uids", &message.uids), ("gids", &message.gids)] {
        check_each(
            ids,
            &format!("authentication.unix_peer.{field}"),
            |id: &u32| UnixIds::is_usable(*id),
            description,
            violations,
        );
    }
    UnixIds { uids: message.uids, gids: message.gids }
}

fn check_each<T: Borrow<B>, B: ?Sized>(
    names: &[T],
    field: &str,
    is_name: impl Fn(&B) -> bool,
    description: &str,
    violations: &mut Violations,
) {
    if names.len() > MAX_NAMES {
        violations.add(field, format!("must hold at most {MAX_NAMES} items"));
    }
    for (index, name) in names.iter().enumerate().take(MAX_NAMES) {
        if !is_name(name.borrow()) {
            violations.add(format!("{field}[{index}]"), description);
        }
    }
}

/// Names are compared byte by byte, without normalization.
fn is_absolute_uri(text: &str) -> bool {
    let written_out =
        |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'*');
    text.len() <= MAX_URI && text.bytes().all(written_out) && Url::parse(text).is_ok()
}

/// RFC 1123 section 2.1, with the underscore that names of services have.
fn is_dns_name(text: &str) -> bool {
    let letter_or_digit = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_label = |label: &str| {
        let bytes = label.as_bytes();
        bytes.len() <= 63
            && bytes.first().is_some_and(|byte| letter_or_digit(byte) || *byte == b'_')
            && bytes.last().is_some_and(letter_or_digit)
            && bytes.iter().all(|byte| letter_or_digit(byte) || matches!(byte, b'-' | b'_'))
    };
    // An IP address is not a DNS name (RFC 5280 section 4.2.1.6).
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    text.len() <= 253 && text.split('.').all(is_label) && !text.rsplit('.').next().is_some_and(is_number)
}

/// Whether `text` names a file in a folder: not outside the folder, and not hidden.
pub(super) fn is_plain_file_name(text: &str) -> bool {
    (1..=255).contains(&text.len())
        && !text.starts_with('.')
        && !text.chars().any(|character| matches!(character, '/' | '\\' | ':') || character.is_control())
}

#[cfg(test)]
mod tests {
    use super::{is_absolute_uri, is_dns_name, is_plain_file_name};

    #[test]
    fn uris_are_absolute() {
        for uri in ["spiffe://example.org/ns/a/sa/orders", "https://a.example", "urn:uuid:1"] {
            assert!(is_absolute_uri(uri), "{uri}");
        }
        let long = format!("spiffe://a/{}", "x".repeat(2048));
        for other in ["", "orders", "//a/b", "/a", "spiffe://a b", "spiffe://ä", "spiffe://a/*", &long] {
            assert!(!is_absolute_uri(other), "{other}");
        }
    }

    #[test]
    fn dns_names_are_in_lower_case_and_without_wildcard() {
        for name in ["localhost", "orders.svc.cluster.local", "a-b.c1", "_grpc._tcp.example", "1.example"] {
            assert!(is_dns_name(name), "{name}");
        }
        let (label, name) = ("x".repeat(64), vec!["x".repeat(63); 4].join("."));
        for other in ["", ".", "a.", "A.b", "*.b", "a..b", "-a", "a-", "ä.b", "127.0.0.1", &label, &name] {
            assert!(!is_dns_name(other), "{other}");
        }
    }

    #[test]
    fn files_are_named_inside_their_folder() {
        assert!(is_plain_file_name("orders.json"));
        for other in ["", ".", "..", "../a", "a/b", "a\\b", "/etc/passwd", ".a", "c:a", "a\0b", "a\n"] {
            assert!(!is_plain_file_name(other), "{other}");
        }
    }
}
