//! TLS and connections.

use std::{str::FromStr, time::Duration};

use super::reader::{Reader, find};
use crate::listen::{
    CallMemoryCaps, ClientAuth, ConnectionCaps, GrpcLimits, Lifetime, TlsFiles, share_descriptors,
};

/// How gRPC is carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// Over TLS.
    Tls {
        /// What it is made from.
        files: TlsFiles,
        /// Whether the HTTP port is served over it too.
        http: bool,
    },
    /// In the clear, as was said aloud.
    Plaintext,
}

/// The bounds of connections. Each field is the setting of its name.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the table of settings documents each")]
pub struct ConnectionSettings {
    pub max_header_bytes: u32,
    pub max_concurrent_streams: u32,
    pub max_connections: usize,
    pub max_connections_per_source: usize,
    pub max_call_memory: usize,
    pub max_call_memory_per_source: usize,
    pub handshake_timeout: Duration,
    pub keepalive_interval: Duration,
    pub keepalive_timeout: Duration,
    pub idle_timeout: Duration,
    pub max_connection_age: Duration,
    pub max_connection_age_grace: Duration,
}

impl ConnectionSettings {
    /// The bounds of a gRPC connection.
    pub(super) const fn limits(self) -> GrpcLimits {
        GrpcLimits {
            max_concurrent_streams: self.max_concurrent_streams,
            max_header_bytes: self.max_header_bytes,
            keepalive_interval: self.keepalive_interval,
            keepalive_timeout: self.keepalive_timeout,
            lifetime: Lifetime {
                idle_timeout: self.idle_timeout,
                max_age: self.max_connection_age,
                grace: self.max_connection_age_grace,
            },
        }
    }

    /// What calls may hold in memory.
    pub(super) const fn call_memory(self) -> CallMemoryCaps {
        CallMemoryCaps { all: self.max_call_memory, of_one_source: self.max_call_memory_per_source }
    }

    /// How many connections the gRPC port and the HTTP port may have, within the system's limit of open files.
    pub(super) fn caps(self) -> (ConnectionCaps, ConnectionCaps) {
        let (grpc, http) = share_descriptors(self.max_connections);
        let cap = |all| ConnectionCaps { all, of_one_source: self.of_one_source(all) };
        if grpc < self.max_connections {
            tracing::warn!(
                max_connections = self.max_connections,
                grpc,
                http,
                grpc_per_source = self.of_one_source(grpc),
                "the limit of open files allows fewer connections: raise it (ulimit -n) or lower max_connections"
            );
        }
        (cap(grpc), cap(http))
    }

    /// The share of one source, where there are fewer connections than was wanted: one source is not to fill the port then
    /// either.
    const fn of_one_source(self, all: usize) -> usize {
        if all >= self.max_connections {
            return self.max_connections_per_source;
        }
        let share = self.max_connections_per_source.saturating_mul(all) / self.max_connections;
        if share == 0 { 1 } else { share }
    }
}

/// Reads how gRPC is carried.
pub(super) fn transport(reader: &mut Reader<'_>) -> Option<Transport> {
    let plaintext = reader.bool("allow_plaintext")?;
    let http = reader.bool("http_tls")?;
    let client_auth = reader.word::<Word>("tls_client_auth")?.0;
    let client_ca = reader.path("tls_client_ca_file");
    if client_ca.is_none() && client_auth == ClientAuth::Required {
        reader
            .wrong("tls_client_auth", "wants tls_client_ca_file too: whose certificates are to be trusted?");
    }
    match (reader.path("tls_cert_file"), reader.path("tls_key_file"), plaintext) {
        (Some(certificate), Some(key), false) => {
            let files = TlsFiles { certificate, key, client_ca, client_auth };
            return Some(Transport::Tls { files, http });
        }
        (None, None, true) => {
            if client_ca.is_some() {
                reader.wrong("tls_client_ca_file", "given together with allow_plaintext: leave one out");
            }
            if http {
                reader.wrong("http_tls", "given together with allow_plaintext: leave one out");
            }
            return Some(Transport::Plaintext);
        }
        (Some(_), None, false) => reader.missing("tls_key_file"),
        (None, Some(_), false) => reader.missing("tls_cert_file"),
        (Some(_), _, true) | (_, Some(_), true) => {
            reader.wrong("allow_plaintext", "given together with TLS files: leave one out");
        }
        (None, None, false) => {
            let given_by = |name| find(name).map(super::Setting::given_by).unwrap_or_default();
            reader.problems.add(format!(
                "TLS is missing: set tls_cert_file by {}, and tls_key_file by {}; or do without TLS, with \
                 allow_plaintext by {}",
                given_by("tls_cert_file"),
                given_by("tls_key_file"),
                given_by("allow_plaintext")
            ));
        }
    }
    None
}

/// Reads the bounds of connections.
pub(super) fn connections(reader: &mut Reader<'_>) -> ConnectionSettings {
    ConnectionSettings {
        max_header_bytes: reader.number("max_header_bytes"),
        max_concurrent_streams: reader.number("max_concurrent_streams"),
        max_connections: reader.number("max_connections"),
        max_connections_per_source: reader.number("max_connections_per_source"),
        max_call_memory: reader.number("max_call_memory"),
        max_call_memory_per_source: reader.number("max_call_memory_per_source"),
        handshake_timeout: reader.duration("handshake_timeout"),
        keepalive_interval: reader.duration("keepalive_interval"),
        keepalive_timeout: reader.duration("keepalive_timeout"),
        idle_timeout: reader.duration("idle_timeout"),
        max_connection_age: reader.duration("max_connection_age"),
        max_connection_age_grace: reader.duration("max_connection_age_grace"),
    }
}

/// Says so where one call alone would find no room.
pub(super) fn call_memory(
    reader: &mut Reader<'_>,
    connections: &ConnectionSettings,
    max_message_bytes: usize,
) {
    let (all, of_one_source) = (connections.max_call_memory, connections.max_call_memory_per_source);
    if of_one_source > all {
        reader.wrong("max_call_memory_per_source", "is larger than max_call_memory");
    }
    // Each octet counts twice, and as much again is for the rest of the call.
    if of_one_source < max_message_bytes.saturating_mul(4) {
        reader.wrong("max_call_memory_per_source", "is less than four times max_message_bytes");
    }
}

struct Word(ClientAuth);

impl FromStr for Word {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text {
            "optional" => Ok(Self(ClientAuth::Optional)),
            "required" => Ok(Self(ClientAuth::Required)),
            _ => Err("must be optional or required"),
        }
    }
}
