//! Who issues, where the state is, how keys and tokens live, and how both ports are served.

use super::setting::{Kind, LONGEST_PERIOD, Setting, delay, duration, number, period, seconds, setting};

pub(super) const SETTINGS: &[Setting] = &[
    setting(
        "issuer",
        Kind::Text,
        "URL",
        None,
        "Who issues the tokens (`iss`): an https URL, exactly as verifiers compare it",
    ),
    setting(
        "jwks_uri",
        Kind::Text,
        "URL",
        None,
        "Where verifiers fetch the JWK set, as the discovery documents say it (default: `ISSUER/.well-known/jwks.json`)",
    ),
    setting(
        "store",
        Kind::Text,
        "STORE",
        None,
        "Where keys and clients are kept: `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/DATABASE`",
    ),
    setting(
        "store_file",
        Kind::Path,
        "FILE",
        None,
        "A file that holds the value of `store`, in place of `store`: for one with a password",
    ),
];

pub(super) const SEALING: &[Setting] = &[
    setting(
        "sealing_key",
        Kind::Secret,
        "FILE",
        None,
        "Seals the private keys in the store: 32 random bytes as base64url, as `tokend init` makes them; of several, with line ends or commas between them, the first seals and all open",
    ),
    setting(
        "seal_with",
        Kind::Text,
        "WHICH",
        None,
        "What seals where both are given, `vault` or `local`; the other still opens (default: `vault`, if its settings are given)",
    ),
    setting(
        "vault_addr",
        Kind::Text,
        "URL",
        None,
        "HashiCorp Vault or OpenBao, whose Transit engine wraps the key that seals: an https URL, or http to this machine",
    ),
    setting(
        "vault_token_file",
        Kind::Path,
        "FILE",
        None,
        "A file that holds the token for Vault; read each time, for agents renew it",
    ),
    setting("vault_key", Kind::Text, "NAME", None, "The name of the Transit key that wraps"),
    setting("vault_mount", Kind::Text, "PATH", Some("transit"), "Where Vault's Transit engine is mounted"),
    setting("vault_namespace", Kind::Text, "PATH", None, "The namespace in Vault that the engine is in"),
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
        "Algorithms to keep a signing key for, with commas between them; the first signs where a client says nothing else",
    ),
    setting(
        "shared_secret",
        Kind::Secret,
        "FILE",
        None,
        "An HS256, HS384 or HS512 secret shared with other services, as base64url; needs exactly one HS algorithm in `algorithms` (default: a fresh secret)",
    ),
    setting(
        "audience_algorithms",
        Kind::List,
        "RULES",
        None,
        "Algorithms for the tokens of certain audiences, as `AUDIENCE=NAME` with commas between them; an audience may end in `*`, the first that matches counts, and a client's own algorithm comes before",
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
        "How long the tokens of a key may live after it has ceased to sign: at least `max_ttl` and `max_leeway` (default: 1h more)",
    ),
    seconds(
        "await_verifiers",
        "0s",
        7 * 86_400,
        "How long a rotation waits for verifiers that watch the trust bundle and do not hold the next key yet",
    ),
    seconds("max_ttl", "1d", 365 * 86_400, "The longest life of a token, whatever its client is allowed"),
];

pub(super) const SERVING: &[Setting] = &[
    setting("grpc_addr", Kind::Address, "IP:PORT", Some("127.0.0.1:50051"), "Where gRPC is served"),
    setting(
        "http_addr",
        Kind::Address,
        "IP:PORT",
        Some("127.0.0.1:8080"),
        "Where JWK set, discovery documents, probes and metrics are served; plaintext, nothing secret on it",
    ),
    seconds(
        "leeway",
        "0s",
        3600,
        "By how much clocks may differ when a token's times are compared, unless the caller says",
    ),
    seconds("max_leeway", "60s", 3600, "The largest leeway that a caller may ask for"),
    seconds("cache_ttl", "30s", 3600, "How long a caller may reuse the answer of VerifyToken"),
    seconds("jwks_max_age", "5m", 86_400, "How long verifiers may keep the JWK set (`Cache-Control`)"),
    number("max_token_bytes", "8192", (512, 1_048_576), "The longest token that is looked at, in bytes"),
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
        "How long tokend says \"not ready\" before it stops taking calls, so that balancers notice",
    ),
    delay(
        "drain_timeout",
        "20s",
        3600,
        "The longest that calls in flight may take to finish when tokend stops",
    ),
    number(
        "max_watches",
        "10000",
        (0, 1_000_000),
        "Verifiers that may watch the trust bundle at once; they need no credential",
    ),
    number(
        "max_watches_per_source",
        "2500",
        (0, 1_000_000),
        "And those of one IPv4 address or IPv6 /64 network",
    ),
    duration(
        "refresh_interval",
        "500ms",
        60,
        "How often a replica looks for changes in the store, besides when the store tells of one",
    ),
    setting(
        "log",
        Kind::Text,
        "FILTER",
        Some("info"),
        "What is logged: a level, or a list such as `info,tokend=debug`",
    ),
    setting(
        "log_format",
        Kind::Text,
        "FORMAT",
        Some("auto"),
        "How: `text`, `json`, or `auto` for text on a terminal and JSON elsewhere",
    ),
];
