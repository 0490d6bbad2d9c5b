//! Checks of the issuer and of other URLs.

use url::{Host, Url};

use crate::database::printable;

/// Checks an issuer: an https URL in its normal form, because verifiers compare it byte by byte (RFC 8414 section 2). Plain
/// http is for a loopback host, or explicitly enabled.
pub(super) fn check_issuer(text: &str, allow_http: bool) -> Result<(), String> {
    let url = parse(text)?;
    check_scheme(&url, text, allow_http)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("`{}` must have no query and no fragment", printable(text)));
    }
    if text.ends_with('/') {
        return Err(format!("`{}` must not end in a slash", printable(text)));
    }
    let normal = url.as_str().trim_end_matches('/');
    if normal == text {
        Ok(())
    } else {
        Err(format!("`{}` must be written as `{}`", printable(text), printable(normal)))
    }
}

/// Checks the scheme of a URL.
pub(super) fn check_scheme_of(text: &str, allow_http: bool) -> Result<(), String> {
    check_scheme(&parse(text)?, text, allow_http)
}

/// Checks the URL of a server that tokend calls: https, or http to this machine.
pub(super) fn check_address(text: &str) -> Result<Url, String> {
    let url = parse(text)?;
    check_scheme(&url, text, true)?;
    if url.scheme() == "http" && !is_loopback(&url) {
        let shown = printable(text);
        return Err(format!("`{shown}` must start with https:// (http:// is for loopback hosts)"));
    }
    Ok(url)
}

fn parse(text: &str) -> Result<Url, String> {
    Url::parse(text).map_err(|error| format!("`{}` is not a URL: {error}", printable(text)))
}

fn check_scheme(url: &Url, text: &str, allow_http: bool) -> Result<(), String> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must hold no user name and no password".to_owned());
    }
    match url.scheme() {
        "https" => Ok(()),
        "http" if allow_http || is_loopback(url) => Ok(()),
        "http" => Err(format!(
            "`{}` must start with https:// (http:// is for loopback hosts and --allow-plaintext)",
            printable(text)
        )),
        _ => Err(format!("`{}` must start with https://", printable(text))),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::check_issuer;

    #[test]
    fn an_issuer_can_be_compared_byte_by_byte() {
        for good in [
            "https://id.example.com",
            "https://example.com/tokend",
            "http://127.0.0.1:8080",
            "http://[::1]:1",
            "http://localhost",
        ] {
            assert_eq!(check_issuer(good, false), Ok(()), "{good}");
        }
        let bad = [
            "",
            "id.example.com",
            "https://",
            "https://example.com/",
            "https://example.com/a/",
            "https://example.com?a",
            "https://example.com#a",
            "https://Example.com",
            "https://example.com:443",
            " https://example.com",
            "https://u:p@example.com",
            "http://example.com",
            "ftp://example.com",
            "https://example.com/a b",
        ];
        for bad in bad {
            assert!(check_issuer(bad, false).is_err(), "{bad}");
        }
        assert_eq!(check_issuer("http://tokend.internal:8080", true), Ok(()));
    }
}
