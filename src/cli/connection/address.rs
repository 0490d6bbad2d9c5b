//! Addresses of servers, and whether a secret may be sent there.

use std::{fmt, net::IpAddr, str::FromStr};

use http::Uri;
use tonic::transport::Endpoint;

/// The address of a server's gRPC port. `host:port` means TLS, except for a loopback host; plaintext to another machine must
/// be requested explicitly with `http://`. `unix:` begins the path of a Unix socket, which never leaves the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    Tcp(Uri),
    Unix(String),
}

impl Address {
    pub(super) fn endpoint(&self) -> Result<Endpoint, tonic::transport::Error> {
        match self {
            Self::Tcp(uri) => Ok(Endpoint::from(uri.clone())),
            Self::Unix(path) => Endpoint::from_shared(format!("unix:{path}")),
        }
    }

    /// The path of a Unix socket.
    pub(super) fn unix_path(&self) -> Option<&str> {
        match self {
            Self::Tcp(_) => None,
            Self::Unix(path) => Some(path),
        }
    }

    const fn uri(&self) -> Option<&Uri> {
        match self {
            Self::Tcp(uri) => Some(uri),
            Self::Unix(_) => None,
        }
    }

    /// `HOST:PORT`, or `HOST` with the default port of the scheme.
    pub(super) fn authority(&self) -> &str {
        self.uri().and_then(Uri::authority).map(http::uri::Authority::as_str).unwrap_or_default()
    }

    pub(super) fn host_and_port(&self) -> Option<(String, u16)> {
        let uri = self.uri()?;
        let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
        let port = uri.port_u16().unwrap_or(if self.is_tls() { 443 } else { 80 });
        Some((host.to_owned(), port))
    }

    pub(super) fn is_tls(&self) -> bool {
        self.uri().and_then(Uri::scheme) == Some(&http::uri::Scheme::HTTPS)
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = || "must be HOST:PORT, https://HOST:PORT, http://HOST:PORT or unix:PATH".to_owned();
        if let Some(rest) = text.strip_prefix("unix:") {
            // `unix:PATH`, or `unix:///PATH` with an absolute path.
            let path = rest.strip_prefix("//").unwrap_or(rest);
            let is_path = !path.is_empty() && (path == rest || path.starts_with('/'));
            return if is_path { Ok(Self::Unix(path.to_owned())) } else { Err(wanted()) };
        }
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
        format!("{scheme}://{authority}").parse().map(Self::Tcp).map_err(|_| wanted())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(uri) => f.write_str(uri.to_string().trim_end_matches('/')),
            Self::Unix(path) => write!(f, "unix:{path}"),
        }
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
            ("unix:/run/tokend.sock", "unix:/run/tokend.sock"),
            ("unix:///run/tokend.sock", "unix:/run/tokend.sock"),
            ("unix:tokend.sock", "unix:tokend.sock"),
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
            "unix:",
            "unix://",
            "unix://host/path",
        ] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }
}
