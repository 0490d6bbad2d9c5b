//! The table of settings.

use std::time::Duration;

/// What a setting's value must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A file's path.
    Path,
    /// An IP address and a port.
    Address,
    /// `true` or `false`.
    Bool,
    /// A whole number within these bounds.
    Number(u64, u64),
    /// A duration within these bounds.
    Duration(Duration, Duration),
    /// A duration of whole seconds within these bounds: tokens and HTTP count no fractions.
    Seconds(u64, u64),
    /// One or more words with commas between them.
    List,
    /// A secret: given by variable or file, never as a flag's or a key's value.
    Secret,
}

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its name in `snake_case`, which is its key in the file.
    pub name: &'static str,
    /// What its value must be.
    pub kind: Kind,
    /// What stands for the value in help texts.
    pub placeholder: &'static str,
    /// Its value when nothing gives it one.
    pub default: Option<&'static str>,
    /// What it does, in one line, with the unit.
    pub help: &'static str,
}

impl Setting {
    /// Whether its value must never be shown.
    pub const fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret)
    }

    /// Its key in the file; that of a secret names a file.
    pub fn key(&self) -> String {
        if self.is_secret() { format!("{}_file", self.name) } else { self.name.to_owned() }
    }

    /// Its flag, without the dashes before it; that of a secret names a file.
    pub fn flag(&self) -> String {
        self.key().replace('_', "-")
    }

    /// The variable that holds its value.
    pub fn variable(&self) -> String {
        format!("TOKEND_{}", self.name.to_uppercase())
    }

    /// The variable that names the file with its value, for a secret.
    pub fn file_variable(&self) -> Option<String> {
        self.is_secret().then(|| format!("{}_FILE", self.variable()))
    }

    /// All that can set it, for messages.
    pub fn given_by(&self) -> String {
        let (flag, variable, key) = (self.flag(), self.variable(), self.key());
        match self.file_variable() {
            None => format!("flag --{flag}, variable {variable} or key {key}"),
            Some(file_variable) => format!(
                "variable {variable}, or a file named by flag --{flag}, variable {file_variable} or key {key}"
            ),
        }
    }
}

const fn setting(
    name: &'static str,
    kind: Kind,
    placeholder: &'static str,
    default: Option<&'static str>,
    help: &'static str,
) -> Setting {
    Setting { name, kind, placeholder, default, help }
}

const fn duration(name: &'static str, default: &'static str, most: u64, help: &'static str) -> Setting {
    let bounds = Kind::Duration(Duration::from_millis(100), Duration::from_secs(most));
    setting(name, bounds, "DURATION", Some(default), help)
}

const fn delay(name: &'static str, default: &'static str, most: u64, help: &'static str) -> Setting {
    let bounds = Kind::Duration(Duration::ZERO, Duration::from_secs(most));
    setting(name, bounds, "DURATION", Some(default), help)
}

const fn seconds(name: &'static str, default: &'static str, most: u64, help: &'static str) -> Setting {
    setting(name, Kind::Seconds(0, most), "DURATION", Some(default), help)
}

/// Ten years: far longer than any key should live.
const LONGEST_PERIOD: u64 = 10 * 365 * 86_400;

const fn period(name: &'static str, default: &'static str, help: &'static str) -> Setting {
    setting(name, Kind::Seconds(60, LONGEST_PERIOD), "DURATION", Some(default), help)
}

const fn number(
    name: &'static str,
    default: &'static str,
    bounds: (u64, u64),
    help: &'static str,
) -> Setting {
    setting(name, Kind::Number(bounds.0, bounds.1), "NUMBER", Some(default), help)
}

/// Every setting of `tokend serve`, in the order in which help and documentation list them.
///
/// Two names are taken: Kubernetes gives each pod `X_SERVICE_…` and `X_PORT…` variables for a Service named x,
/// so that no setting may be called `port…` or `service_…`.
pub const SETTINGS: &[Setting] = &[
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
    setting("grpc_addr", Kind::Address, "IP:PORT", Some("127.0.0.1:50051"), "Where gRPC is served"),
    setting(
        "http_addr",
        Kind::Address,
        "IP:PORT",
        Some("127.0.0.1:8080"),
        "Where JWK set, discovery documents, probes and metrics are served; plaintext, nothing secret on it",
    ),
    setting("tls_cert_file", Kind::Path, "FILE", None, "Certificate chain for gRPC, PEM"),
    setting("tls_key_file", Kind::Path, "FILE", None, "Private key of the certificate, PEM"),
    setting(
        "allow_plaintext",
        Kind::Bool,
        "BOOL",
        Some("false"),
        "Serve gRPC without TLS: for a mesh or proxy that encrypts",
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
    number("max_header_bytes", "16384", (4096, 1_048_576), "The largest header list of a call, in bytes"),
    // More than 1024 makes h2 take a flood of small frames for an attack.
    number("max_concurrent_streams", "256", (1, 1024), "Calls at once on one connection"),
    number("max_connections", "4096", (1, 1_000_000), "Connections at once on the gRPC port"),
    duration("request_timeout", "10s", 600, "The longest that a call may take"),
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
    duration(
        "refresh_interval",
        "1s",
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
