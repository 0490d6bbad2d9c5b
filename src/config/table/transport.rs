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
        "Authorities whose certificates clients of gRPC may present, PEM; without it none is asked for",
    ),
    setting(
        "tls_client_auth",
        Kind::Text,
        "WHETHER",
        Some("optional"),
        "Whether clients of gRPC must present a certificate, if tls_client_ca_file is set: `optional` or `required`",
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
    number("max_header_bytes", "16384", (4096, 1_048_576), "The largest header list of a call, in bytes"),
    // More than 1024 makes h2 take a flood of small frames for an attack.
    number("max_concurrent_streams", "256", (1, 1024), "Calls at once on one connection"),
    number("max_connections", "4096", (1, 1_000_000), "Connections at once on the gRPC port"),
    number(
        "max_connections_per_source",
        "1024",
        (1, 1_000_000),
        "Connections at once of one IPv4 address or IPv6 /64 network, on the gRPC port",
    ),
    number(
        "max_call_memory",
        "268435456",
        (1_048_576, 1_099_511_627_776),
        "What calls that are under way may hold in memory in all, in bytes",
    ),
    number(
        "max_call_memory_per_source",
        "67108864",
        (1_048_576, 1_099_511_627_776),
        "And those of one IPv4 address or IPv6 /64 network, in bytes",
    ),
    duration(
        "handshake_timeout",
        "10s",
        300,
        "The longest that a TLS handshake, and a connection's first words, may take",
    ),
    duration("keepalive_interval", "30s", 3600, "How often a quiet connection is pinged"),
    duration(
        "keepalive_timeout",
        "20s",
        600,
        "How long a ping may stay unanswered before the connection is closed",
    ),
    duration(
        "idle_timeout",
        "10m",
        86_400,
        "How long a connection without any call is kept, and twice as long at the most",
    ),
    duration(
        "max_connection_age",
        "1h",
        7 * 86_400,
        "How old a connection may grow, give or take a tenth; also how long a client certificate is trusted after its authority was removed",
    ),
    duration(
        "max_connection_age_grace",
        "30s",
        3600,
        "How long calls may go on on a connection that has become too old",
    ),
];
