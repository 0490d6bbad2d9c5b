//! TLS and connections.

use super::setting::{Kind, Setting, duration, number, setting};

pub(super) const SETTINGS: &[Setting] = &[
    setting("tls_cert_file", Kind::Path, "FILE", None, "Certificate chain for gRPC, PEM"),
    setting("tls_key_file", Kind::Path, "FILE", None, "Private key of the certificate, PEM"),
    setting(
        "tls_client_ca_file",
        Kind::Path,
        "FILE",
        None,
        "Authorities of client certificates on the gRPC port, PEM; without it, no certificate is requested",
    ),
    setting(
        "tls_client_auth",
        Kind::Text,
        "WHETHER",
        Some("optional"),
        "Whether gRPC clients must present a certificate, if tls_client_ca_file is set: `optional` or `required`",
    ),
    setting(
        "http_tls",
        Kind::Bool,
        "BOOL",
        Some("false"),
        "Serve the HTTP port over TLS too, with the same certificate",
    ),
    setting(
        "allow_plaintext",
        Kind::Bool,
        "BOOL",
        Some("false"),
        "Serve gRPC without TLS: for a mesh or proxy that encrypts",
    ),
    number(
        "max_header_bytes",
        "16384",
        (4096, 1_048_576),
        "The largest header list of a call, in bytes; at least 4,096 more than max_token_bytes, for a token is a credential too",
    ),
    // More than 1024 makes h2 take a flood of small frames for an attack.
    number("max_concurrent_streams", "256", (1, 1024), "Concurrent calls on one connection"),
    number("max_connections", "4096", (1, 1_000_000), "Concurrent connections on the gRPC port"),
    number(
        "max_connections_per_source",
        "1024",
        (1, 1_000_000),
        "Concurrent connections of one IPv4 address or IPv6 /64 network, on the gRPC port",
    ),
    number(
        "max_call_memory",
        "268435456",
        (1_048_576, 1_099_511_627_776),
        "Memory that all calls in flight may use, in bytes",
    ),
    number(
        "max_call_memory_per_source",
        "67108864",
        (1_048_576, 1_099_511_627_776),
        "Memory that calls in flight of one IPv4 address or IPv6 /64 network may use, in bytes",
    ),
    duration(
        "handshake_timeout",
        "10s",
        300,
        "The longest duration of a TLS handshake, and until the first bytes of a connection",
    ),
    duration("keepalive_interval", "30s", 3600, "How long a connection may be silent before it is pinged"),
    duration(
        "keepalive_timeout",
        "20s",
        600,
        "How long tokend waits for the response to a ping before it closes the connection",
    ),
    duration(
        "idle_timeout",
        "10m",
        86_400,
        "How long a connection without calls stays open, and twice as long at most",
    ),
    duration(
        "max_connection_age",
        "1h",
        7 * 86_400,
        "The longest age of a connection, ± 10 %; also how long a client certificate is trusted after its authority was removed",
    ),
    duration(
        "max_connection_age_grace",
        "30s",
        3600,
        "How long calls may continue on a connection that has reached its longest age",
    ),
];
