//! Who issues, where the state is, how keys and tokens live, and how both ports are served.

use super::setting::{Kind, LONGEST_PERIOD, Setting, delay, duration, number, period, seconds, setting};

pub(super) const SETTINGS: &[Setting] = &[
    setting(
        "issuer",
        Kind::Text,
        "URL",
        None,
        "The issuer of the tokens (`iss`): an https URL, exactly as verifiers compare it",
    ),
    setting(
        "jwks_uri",
        Kind::Text,
        "URL",
        None,
        "The URL of the JWK set in the discovery documents (default: `ISSUER/.well-known/jwks.json`)",
    ),
    setting(
        "store",
        Kind::Text,
        "STORE",
        None,
        "The store of keys, clients, users and sessions: `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/DATABASE`",
    ),
    setting(
        "store_file",
        Kind::Path,
        "FILE",
        None,
        "A file with the value of `store`, instead of `store`: for a value with a password",
    ),
];

pub(super) const SEALING: &[Setting] = &[
    setting(
        "sealing_key",
        Kind::Secret,
        "FILE",
        None,
        "The sealing key, which encrypts the private keys in the store: 32 random bytes as base64url, as `tokend init` creates it; of several, separated by line ends or commas, the first encrypts and all decrypt",
    ),
    setting(
        "seal_with",
        Kind::Text,
        "WHICH",
        None,
        "What encrypts if both are configured, `vault` or `local`; the other still decrypts (default: `vault`, if it is configured)",
    ),
    setting(
        "vault_addr",
        Kind::Text,
        "URL",
        None,
        "HashiCorp Vault or OpenBao, whose Transit engine wraps the sealing key: an https URL, or http to this machine",
    ),
    setting(
        "vault_token_file",
        Kind::Path,
        "FILE",
        None,
        "A file with the token for Vault; read at each call, because agents renew it",
    ),
    setting("vault_key", Kind::Text, "NAME", None, "The name of the Transit key that wraps the sealing key"),
    setting(
        "vault_mount",
        Kind::Text,
        "PATH",
        Some("transit"),
        "The path at which Vault's Transit engine is mounted",
    ),
    setting("vault_namespace", Kind::Text, "PATH", None, "The Vault namespace of the Transit engine"),
    setting(
        "vault_ca_file",
        Kind::Path,
        "FILE",
        None,
        "Certificate authorities for Vault's certificate, PEM (default: the system's)",
    ),
];

pub(super) const KEYS: &[Setting] = &[
    setting(
        "algorithms",
        Kind::List,
        "NAMES",
        Some("ES256"),
        "Algorithms that have a signing key, separated by commas; the first is the default of clients",
    ),
    setting(
        "shared_secret",
        Kind::Secret,
        "FILE",
        None,
        "An HS256, HS384 or HS512 secret shared with other services, as base64url; needs exactly one HS algorithm in `algorithms` (default: a generated secret)",
    ),
    setting(
        "audience_algorithms",
        Kind::List,
        "RULES",
        None,
        "Algorithms for the tokens of certain audiences, as `AUDIENCE=NAME`, separated by commas; an audience may end in `*`, the first match counts, and a client's own algorithm takes precedence",
    ),
    period("rotation_period", "30d", "How long a key signs before its successor does"),
    period(
        "publish_ahead",
        "1d",
        "How long a key is published before it signs: at least 1h, and more than twice `jwks_max_age`",
    ),
    setting(
        "retire_window",
        Kind::Seconds(0, LONGEST_PERIOD),
        "DURATION",
        None,
        "How long tokens of a key may be valid after it stopped signing: at least `max_ttl` and `max_leeway` (default: 1h more)",
    ),
    seconds(
        "await_verifiers",
        "0s",
        7 * 86_400,
        "How long a rotation waits for verifiers that watch the trust bundle and have not acknowledged the next key",
    ),
    seconds("max_ttl", "1d", 365 * 86_400, "The longest lifetime of a token, whatever a client is allowed"),
];

pub(super) const SERVING: &[Setting] = &[
    setting("grpc_addr", Kind::Address, "IP:PORT", Some("127.0.0.1:50051"), "The address of the gRPC port"),
    setting(
        "http_addr",
        Kind::Address,
        "IP:PORT",
        Some("127.0.0.1:8080"),
        "The address of the HTTP port, with JWK set, discovery documents, probes and metrics; plaintext, because it serves no secret",
    ),
    seconds(
        "leeway",
        "0s",
        3600,
        "Allowed clock difference when a token's times are compared, unless the caller sets its own",
    ),
    seconds("max_leeway", "60s", 3600, "The largest leeway that a caller may set"),
    seconds("cache_ttl", "30s", 3600, "How long a caller may reuse a response of VerifyToken"),
    seconds("jwks_max_age", "5m", 86_400, "How long verifiers may keep the JWK set (`Cache-Control`)"),
    number("max_token_bytes", "8192", (512, 1_048_576), "The longest token that is verified, in bytes"),
    number(
        "max_message_bytes",
        "1048576",
        (4096, 67_108_864),
        "The largest gRPC message that is read, in bytes",
    ),
    duration("request_timeout", "10s", 600, "The longest that a call may take"),
    delay(
        "drain_delay",
        "5s",
        300,
        "How long tokend reports \"not ready\" before it stops accepting calls, so that load balancers notice",
    ),
    delay("drain_timeout", "20s", 3600, "How long calls in flight may take to finish when tokend stops"),
    number(
        "max_watches",
        "10000",
        (0, 1_000_000),
        "Verifiers that may watch the trust bundle at the same time; they need no credential",
    ),
    number(
        "max_watches_per_source",
        "2500",
        (0, 1_000_000),
        "Verifiers of one IPv4 address or IPv6 /64 network that may watch at the same time",
    ),
    duration(
        "refresh_interval",
        "500ms",
        60,
        "How often a replica polls the store for changes, in addition to notifications",
    ),
    setting(
        "log",
        Kind::Text,
        "FILTER",
        Some("info"),
        "The log level, or a list such as `info,tokend=debug`",
    ),
    setting(
        "log_format",
        Kind::Text,
        "FORMAT",
        Some("auto"),
        "The log format: `text`, `json`, or `auto` for text on a terminal and JSON elsewhere",
    ),
];
