//! Addresses of servers, and whether a secret may be sent there.

use std::{fmt, net::IpAddr, str::FromStr};

use http::Uri;

/// The address of a server's gRPC port. `host:port` means TLS, except for a loopback host; plaintext to another machine must
/// be requested explicitly with `http://`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address(Uri);

impl Address {
    pub(super) fn uri(&self) -> Uri {
        self.0.clone()
    }

    /// `HOST:PORT`, or `HOST` with the default port of the scheme.
    pub(super) fn authority(&self) -> &str {
        self.0.authority().map(http::uri::Authority::as_str).unwrap_or_default()
    }

    pub(super) fn host_and_port(&self) -> Option<(String, u16)> {
        let host = self.0.host()?.trim_start_matches('[').trim_end_matches(']');
        let port = self.0.port_u16().unwrap_or(if self.is_tls() { 443 } else { 80 });
        Some((host.to_owned(), port))
    }

    pub(super) fn is_tls(&self) -> bool {
        self.0.scheme() == Some(&http::uri::Scheme::HTTPS)
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = || "must be HOST:PORT, https://HOST:PORT or http://HOST:PORT".to_owned();
        let bare = !text.contains("://");
        let uri: Uri =
            if bare { format!("https://{text}") } else { text.to_owned() }.parse().map_err(|_| wanted())?;
        let authority = uri.authority().ok_or_else(wanted)?;
        let host = authority.host();
        let addressable =
            !host.is_empty() && !authority.as_str().contains('@') && (uri.port_u16().is_some() || !bare);
        if !addressable || !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(wanted());
        }
        let scheme = match uri.scheme_str() {
            _ if bare && is_loopback(host) => "http",
            Some("http") => "http",
            Some("https") => "https",
            _ => return Err(wanted()),
        };
        format!("{scheme}://{authority}").parse().map(Self).map_err(|_| wanted())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_string().trim_end_matches('/'))
    }
}

/// Whether `host` is a loopback address or `localhost`, without a DNS lookup.
fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::Address;

    #[test]
    fn plaintext_to_another_machine_needs_an_explicit_scheme() {
        for (text, address) in [
            ("127.0.0.1:50051", "http://127.0.0.1:50051"),
            ("localhost:50051", "http://localhost:50051"),
            ("[::1]:50051", "http://[::1]:50051"),
            ("tokend.internal:50051", "https://tokend.internal:50051"),
            ("10.0.0.1:50051", "https://10.0.0.1:50051"),
            ("127.0.0.1.example.com:1", "https://127.0.0.1.example.com:1"),
            ("localhost.example.com:1", "https://localhost.example.com:1"),
            ("http://tokend.internal:50051", "http://tokend.internal:50051"),
            ("https://localhost:50051/", "https://localhost:50051"),
            ("https://tokend.internal", "https://tokend.internal"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), address);
        }
        for bad in [
            "",
            "tokend",
            ":1",
            "ftp://a:1",
            "http://",
            "a:1/path",
            "https://u:p@a:1",
            "a b:1",
            "a:1?x",
            "a:99999",
        ] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }
}
