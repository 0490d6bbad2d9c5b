//! Why a server cannot be called: its address, where the address came from, what is spoken there, and the flag to use.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::{address::Address, output::plain};

/// The first bytes of an HTTP/2 connection (RFC 9113 section 3.4). A TLS server refuses them with an alert, an HTTP/1.1 server with a
/// response.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A request of HTTP/1.1.
const REQUEST: &[u8] = b"OPTIONS * HTTP/1.1\r\nhost: tokend\r\nconnection: close\r\n\r\n";

/// How long a server has for its first bytes.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spoken {
    Tls,
    PlaintextHttp2,
    Http1,
    Unknown,
}

/// Why the call to `address`, which came from `origin`, failed with `cause`, and what to do.
pub(super) async fn reason(address: &Address, origin: &str, cause: &str) -> String {
    let spoken = if is_no_connection(cause) { Spoken::Unknown } else { spoken(address).await };
    format!("cannot call {address} ({origin}): {}", advice(address, spoken, cause))
}

/// Whether nothing listens there, or the host has no address.
fn is_no_connection(cause: &str) -> bool {
    cause.contains("dns error") || cause.contains("tcp connect error")
}

fn advice(address: &Address, spoken: Spoken, cause: &str) -> String {
    let authority = address.authority();
    let cause = plain(cause);
    match spoken {
        Spoken::Tls if !address.is_tls() => format!("the server speaks TLS; use --addr https://{authority}"),
        Spoken::PlaintextHttp2 if address.is_tls() => {
            format!("the server speaks plaintext; use --addr http://{authority}")
        }
        Spoken::Http1 => {
            "the server speaks HTTP/1.1 and no gRPC; give --addr the port of `grpc_addr`, and not that of `http_addr`"
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
            format!("{cause}; start the server, or give the address of another with --addr")
        }
        _ => cause,
    }
}

/// What is spoken at the address, as far as two short attempts show it.
async fn spoken(address: &Address) -> Spoken {
    let Some(authority) = address.host_and_port() else { return Spoken::Unknown };
    match recognised(&first_bytes(&authority, PREFACE).await) {
        // Some servers of HTTP/1.1 close the connection without a word.
        Spoken::Unknown => recognised(&first_bytes(&authority, REQUEST).await),
        spoken => spoken,
    }
}

fn recognised(bytes: &[u8]) -> Spoken {
    match bytes {
        // A TLS record: an alert or a handshake, of version 3 (RFC 8446 section 5.1).
        [0x15 | 0x16, 3, ..] => Spoken::Tls,
        // Some TLS servers say in plaintext that it is the wrong protocol.
        [b'H', b'T', b'T', b'P', b'/', ..] if bytes.windows(5).any(|word| word == b"HTTPS") => Spoken::Tls,
        [b'H', b'T', b'T', b'P', b'/', ..] => Spoken::Http1,
        // A SETTINGS frame: three bytes of length, and the type.
        [_, _, _, 4, ..] => Spoken::PlaintextHttp2,
        _ => Spoken::Unknown,
    }
}

/// What the server says first after it was sent these bytes: of HTTP/1.1 the beginning of the response, else one read.
async fn first_bytes(authority: &(String, u16), sent: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let reading = async {
        let mut stream = TcpStream::connect(authority).await?;
        stream.write_all(sent).await?;
        while stream.read_buf(&mut bytes).await? > 0 && bytes.len() < 1024 && bytes.starts_with(b"HTTP/") {}
        io::Result::Ok(())
    };
    // A timeout or an error ends the reading; what was read until then counts.
    let _ = timeout(PATIENCE, reading).await;
    bytes
}
