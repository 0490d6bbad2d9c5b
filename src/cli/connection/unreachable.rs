//! Explains why a server cannot be called: the address and its origin, the protocol of the server, and the flag that helps.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UnixStream},
    time::timeout,
};

use super::address::Address;
use crate::cli::output::escaped;

/// The first bytes of an HTTP/2 connection (RFC 9113 section 3.4). A TLS server answers with an alert, an HTTP/1.1 server with an
/// error response.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const REQUEST: &[u8] = b"OPTIONS * HTTP/1.1\r\nhost: tokend\r\nconnection: close\r\n\r\n";

const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Tls,
    PlaintextHttp2,
    Http1,
    Unknown,
}

/// Explains why the call to `address`, which came from `origin`, failed with `cause`.
pub(super) async fn reason(address: &Address, origin: &str, cause: &str) -> String {
    if let Some(path) = address.unix_path() {
        return format!(
            "cannot call {} ({origin}): {}",
            escaped(&address.to_string()),
            unix_advice(path, cause).await
        );
    }
    let protocol = if is_no_connection(cause) { Protocol::Unknown } else { probe(address).await };
    format!("cannot call {address} ({origin}): {}", advice(address, protocol, cause))
}

/// Whether no server listens there, or the host has no address.
fn is_no_connection(cause: &str) -> bool {
    cause.contains("dns error") || cause.contains("tcp connect error")
}

fn advice(address: &Address, protocol: Protocol, cause: &str) -> String {
    let authority = address.authority();
    let cause = escaped(cause);
    match protocol {
        Protocol::Tls if !address.is_tls() => format!("the server speaks TLS; use --addr https://{authority}"),
        Protocol::PlaintextHttp2 if address.is_tls() => {
            format!("the server speaks plaintext; use --addr http://{authority}")
        }
        Protocol::Http1 => {
            "the server speaks HTTP/1.1 and no gRPC; use the port of `grpc_addr` in --addr, not the port of `http_addr`"
                .to_owned()
        }
        _ if cause.contains("UnknownIssuer") => {
            format!("{cause}; give the certificate of the server's authority with --ca-file")
        }
        _ if cause.contains("NotValidForName") => {
            format!("{cause}; use a host name of the server's certificate in --addr")
        }
        _ if cause.contains("CertificateRequired") => {
            format!("{cause}; give a client certificate with --cert-file and --key-file")
        }
        _ if cause.contains("dns error") => format!("{cause}; correct the host name in --addr"),
        _ if is_no_connection(&cause) => {
            format!("{cause}; start the server, or give another address with --addr")
        }
        _ => cause,
    }
}

/// Connects once more, because the failed call does not tell the errors of the system apart.
async fn unix_advice(path: &str, cause: &str) -> String {
    let Err(error) = UnixStream::connect(path).await else { return escaped(cause) };
    match error.kind() {
        io::ErrorKind::NotFound => {
            "there is no such socket; start the server with `grpc_socket`, or correct the path in --addr"
                .to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "permission denied; use a user who may write to the socket and enter its folder, or change \
             `grpc_socket_mode` and `grpc_socket_owner` of the server"
                .to_owned()
        }
        io::ErrorKind::ConnectionRefused => "nothing listens there; start the server".to_owned(),
        _ => error.to_string(),
    }
}

/// Detects the protocol of the server with two short requests.
async fn probe(address: &Address) -> Protocol {
    let Some(authority) = address.host_and_port() else { return Protocol::Unknown };
    match detect(&first_bytes(&authority, PREFACE).await) {
        // Some HTTP/1.1 servers close the connection without a response.
        Protocol::Unknown => detect(&first_bytes(&authority, REQUEST).await),
        protocol => protocol,
    }
}

fn detect(bytes: &[u8]) -> Protocol {
    match bytes {
        // A TLS record: an alert or a handshake, of version 3 (RFC 8446 section 5.1).
        [0x15 | 0x16, 3, ..] => Protocol::Tls,
        // Some TLS servers report the wrong protocol in plaintext.
        [b'H', b'T', b'T', b'P', b'/', ..] if bytes.windows(5).any(|word| word == b"HTTPS") => Protocol::Tls,
        [b'H', b'T', b'T', b'P', b'/', ..] => Protocol::Http1,
        // A SETTINGS frame: three bytes of length, then the type.
        [_, _, _, 4, ..] => Protocol::PlaintextHttp2,
        _ => Protocol::Unknown,
    }
}

/// The first bytes of the server after it received `sent`: the beginning of an HTTP/1.1 response, otherwise one read.
async fn first_bytes(authority: &(String, u16), sent: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let reading = async {
        let mut stream = TcpStream::connect(authority).await?;
        stream.write_all(sent).await?;
        while stream.read_buf(&mut bytes).await? > 0 && bytes.len() < 1024 && bytes.starts_with(b"HTTP/") {}
        io::Result::Ok(())
    };
    // After a timeout or an error, the bytes read so far count.
    let _ = timeout(PATIENCE, reading).await;
    bytes
}
