//! The table of settings. Flag, variable, key and `docs/configuration.md` follow from it.

use super::setting::{
    Setting, TEN_YEARS, address, boolean, delay, duration, list, number, path, seconds, secret, text,
};

/// Builds the groups. A doc comment is the help of its setting, and `=>` gives the default.
macro_rules! groups {
    ($($title:literal { $($(#[doc = $help:literal])+ $name:ident: $typed:expr $(=> $default:literal)?;)+ })+) => {
        &[$(($title, &[$(Setting {
            name: stringify!($name),
            kind: $typed.0,
            placeholder: $typed.1,
            default: groups!(@default $($default)?),
            help: concat!($($help),+).trim_ascii_start(),
        }),+])),+]
    };
    (@default) => { None };
    (@default $default:literal) => { Some($default) };
}

/// All settings of `tokend serve`, in the order of help and documentation. Kubernetes sets `X_SERVICE_…` and `X_PORT…` in each pod
/// for a Service named x: therefore no name may begin with `port` or `service_`.
pub fn settings() -> impl Iterator<Item = &'static Setting> + Clone {
    GROUPS.iter().flat_map(|(_, settings)| *settings)
}

pub(super) fn find(name: &str) -> Option<&'static Setting> {
    settings().find(|setting| setting.name == name)
}

/// The tables of `docs/configuration.md`: a heading and a table for each group.
pub fn markdown_table() -> String {
    let mut text = String::new();
    for (title, settings) in GROUPS {
        text.push_str(&format!(
            "### {title}\n\n| Key | Flag | Variable | Default | What it does |\n|---|---|---|---|---|\n"
        ));
        for setting in *settings {
            let variable = match setting.file_variable() {
                Some(file_variable) => format!("`{}`, `{file_variable}`", setting.variable()),
                None => format!("`{}`", setting.variable()),
            };
            let default = setting.default.map(|default| format!("`{default}`")).unwrap_or_default();
            let help = setting.help.replace('|', "\\|");
            text.push_str(&format!(
                "| `{}` | `--{}` | {variable} | {default} | {help} |\n",
                setting.key(),
                setting.flag()
            ));
        }
        text.push('\n');
    }
    text
}

/// The groups with their headings in `docs/configuration.md`.
const GROUPS: &[(&str, &[Setting])] = groups! {
    "Issuer and store" {
        /// The issuer of the tokens (`iss`): an https URL, exactly as verifiers compare it
        issuer: text("URL");
        /// The URL of the JWK set in the discovery documents (default: `ISSUER/.well-known/jwks.json`)
        jwks_uri: text("URL");
        /// The store of keys, clients, users and sessions: `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/DATABASE`
        store: text("STORE");
        /// A file with the value of `store`, instead of `store`: for a value with a password; read again for each
        /// connection
        store_file: path("FILE");
        /// Create the store at the first start, if the SQLite file does not exist or the PostgreSQL database is empty; `tokend
        /// init` creates it too
        create_store: boolean() => "false";
        /// How long `tokend serve` retries at startup while PostgreSQL cannot be reached
        store_connect_timeout: delay(3600) => "30s";
        /// The largest number of connections to PostgreSQL; one more receives notifications
        store_connections: number(1, 1000) => "8";
        /// Start even if the PostgreSQL database accepts no writes, such as a standby: calls that write fail, and keys do
        /// not rotate
        allow_read_only_store: boolean() => "false";
    }
    "Sealing of private keys" {
        /// The sealing key, which encrypts the private keys in the store: 32 random bytes as base64url, as `tokend init`
        /// creates it; of several, separated by line ends or commas, the first encrypts and all decrypt
        sealing_key: secret();
        /// What encrypts if both are configured, `vault` or `local`; the other still decrypts (default: `vault`, if it is
        /// configured)
        seal_with: text("WHICH");
        /// Reject keys and clients in the store that have no valid MAC under a sealing key; first run `tokend key reseal`,
        /// which signs the existing ones
        require_row_macs: boolean() => "false";
        /// HashiCorp Vault or OpenBao, whose Transit engine wraps the sealing key: an https URL, or http to this machine
        vault_addr: text("URL");
        /// A file with the token for Vault; read at each call, because agents renew it
        vault_token_file: path("FILE");
        /// The name of the Transit key that wraps the sealing key
        vault_key: text("NAME");
        /// The path at which Vault's Transit engine is mounted
        vault_mount: text("PATH") => "transit";
        /// The Vault namespace of the Transit engine
        vault_namespace: text("PATH");
        /// Certificate authorities for Vault's certificate, PEM (default: the system's)
        vault_ca_file: path("FILE");
    }
    "Signing keys and token lifetime" {
        /// Algorithms that have a signing key, separated by commas; the first is the default of clients
        algorithms: list("NAMES") => "ES256";
        /// An HS256, HS384 or HS512 secret shared with other services, as base64url; needs exactly one HS algorithm in
        /// `algorithms` (default: a generated secret)
        shared_secret: secret();
        /// Algorithms for the tokens of certain audiences, as `AUDIENCE=NAME`, separated by commas; an audience may end in
        /// `*`, the first match counts, and a client's own algorithm takes precedence
        audience_algorithms: list("RULES");
        /// How long a key signs before its successor does
        rotation_period: seconds(60, TEN_YEARS) => "30d";
        /// How long a key is published before it signs: at least 1h, and more than twice `jwks_max_age`
        publish_ahead: seconds(60, TEN_YEARS) => "1d";
        /// How long tokens of a key may be valid after it stopped signing: at least `max_ttl` and `max_leeway` (default: 1h
        /// more)
        retire_window: seconds(0, TEN_YEARS);
        /// How long a rotation waits for verifiers that watch the trust bundle and have not acknowledged the next key
        await_verifiers: seconds(0, 7 * 86_400) => "0s";
        /// The longest lifetime of a token, whatever a client is allowed
        max_ttl: seconds(0, 365 * 86_400) => "1d";
    }
    "Addresses, verification, shutdown and logs" {
        /// The address of the gRPC port
        grpc_addr: address() => "127.0.0.1:50051";
        /// A Unix socket that serves gRPC too, for processes on this machine: its folder must exist, and only trusted users
        /// may write to it (default: not served)
        grpc_socket: path("PATH");
        /// The mode of the Unix socket in octal: only processes that may write to it can connect
        grpc_socket_mode: text("MODE") => "0660";
        /// The owner of the Unix socket by numbers: `UID:GID`, `UID` or `:GID` (default: those of the server)
        grpc_socket_owner: text("OWNER");
        /// The address of the HTTP port, with JWK set, discovery documents and probes; plaintext, because it serves no
        /// secret
        http_addr: address() => "127.0.0.1:8080";
        /// The address of the metrics, which name clients and keys: one that only scrapers reach; the address of
        /// `http_addr` serves them on the HTTP port (default: not served)
        metrics_addr: address();
        /// Allowed clock difference when a token's times are compared, unless the caller sets its own
        leeway: seconds(0, 3600) => "0s";
        /// The largest leeway that a caller may set
        max_leeway: seconds(0, 3600) => "60s";
        /// How long a caller may reuse a response of VerifyToken
        cache_ttl: seconds(0, 3600) => "30s";
        /// Memory for the cache of verified tokens, in bytes: a cached token needs no second signature check; 0 turns the
        /// cache off
        verify_cache_bytes: number(0, 1 << 40) => "67108864";
        /// How long verifiers may keep the JWK set (`Cache-Control`)
        jwks_max_age: seconds(0, 86_400) => "5m";
        /// The longest token that is verified, exchanged or accepted as a credential, in bytes
        max_token_bytes: number(512, 1_048_576) => "8192";
        /// The largest gRPC message that is read, in bytes
        max_message_bytes: number(4096, 67_108_864) => "1048576";
        /// The longest that a call may take
        request_timeout: duration(600) => "10s";
        /// Keep /readyz and health ready while some calls fail (STATE_STALE, AUDIT_UNAVAILABLE), so that a failure shared
        /// by all replicas does not take all of them out of rotation
        ready_when_degraded: boolean() => "false";
        /// How long tokend reports "not ready" before it stops accepting calls, so that load balancers notice
        drain_delay: delay(300) => "5s";
        /// How long calls in flight may take to finish when tokend stops
        drain_timeout: delay(3600) => "20s";
        /// Verifiers that may watch the trust bundle at the same time
        max_watches: number(0, 1_000_000) => "10000";
        /// Verifiers of one IPv4 address or IPv6 /64 network that may watch at the same time
        max_watches_per_source: number(0, 1_000_000) => "2500";
        /// Serve the trust bundle only to clients with permission for `TrustBundleService/…`; without it, subjects and
        /// client ids of revocations are public
        trust_bundle_requires_credential: boolean() => "false";
        /// Send subjects of revocations as salted hashes only; a verifier that does not request hashes
        /// (`subject_hash_salt`) is rejected
        trust_bundle_hashes_subjects: boolean() => "false";
        /// How often a replica polls the store for changes, in addition to notifications
        refresh_interval: duration(60) => "500ms";
        /// The log level, or a list such as `info,tokend=debug`
        log: text("FILTER") => "info";
        /// The log format: `text`, `json`, or `auto` for text on a terminal and JSON elsewhere
        log_format: text("FORMAT") => "auto";
    }
    "TLS and connections" {
        /// Certificate chain for gRPC, PEM
        tls_cert_file: path("FILE");
        /// Private key of the certificate, PEM
        tls_key_file: path("FILE");
        /// Authorities of client certificates on the gRPC port, PEM; without it, no certificate is requested
        tls_client_ca_file: path("FILE");
        /// Whether gRPC clients must present a certificate, if tls_client_ca_file is set: `optional` or `required`
        tls_client_auth: text("WHETHER") => "optional";
        /// Serve the HTTP port over TLS too, with the same certificate
        http_tls: boolean() => "false";
        /// Serve OAuth 2.0 (`/oauth2/token`, `/oauth2/introspect`, `/oauth2/revoke`) and `/verify` on the HTTP port, which must
        /// then use TLS (`http_tls`), unless its address is a loopback address or `allow_plaintext` is set
        oauth_endpoints: boolean() => "false";
        /// Serve gRPC without TLS: for a mesh or proxy that encrypts
        allow_plaintext: boolean() => "false";
        /// The largest header list of a call, in bytes; at least 4,096 more than max_token_bytes, for a token is a
        /// credential too
        max_header_bytes: number(4096, 1_048_576) => "16384";
        // More than 1024 makes h2 take a flood of small frames for an attack.
        /// Concurrent calls on one connection
        max_concurrent_streams: number(1, 1024) => "256";
        /// Concurrent connections on the gRPC port
        max_connections: number(1, 1_000_000) => "4096";
        /// Concurrent connections of one IPv4 address or IPv6 /64 network, on the gRPC port
        max_connections_per_source: number(1, 1_000_000) => "1024";
        /// Memory that all calls in flight may use, in bytes
        max_call_memory: number(1_048_576, 1_099_511_627_776) => "268435456";
        /// Memory that calls in flight of one IPv4 address or IPv6 /64 network may use, in bytes
        max_call_memory_per_source: number(1_048_576, 1_099_511_627_776) => "67108864";
        /// The longest duration of a TLS handshake, and until the first bytes of a connection
        handshake_timeout: duration(300) => "10s";
        /// How long a connection may be silent before it is pinged
        keepalive_interval: duration(3600) => "30s";
        /// How long tokend waits for the response to a ping before it closes the connection
        keepalive_timeout: duration(600) => "20s";
        /// How long a connection without calls stays open, and twice as long at most
        idle_timeout: duration(86_400) => "10m";
        /// The longest age of a connection, ± 10 %; also how long a client certificate is trusted after its authority was
        /// removed
        max_connection_age: duration(7 * 86_400) => "1h";
        /// How long calls may continue on a connection that has reached its longest age
        max_connection_age_grace: duration(3600) => "30s";
    }
    "Caller authentication" {
        /// A folder with JWK sets of clients that sign assertions and are registered with a file name; a file is read again
        /// when it changes
        client_jwks_dir: path("FOLDER");
        /// How far in the future the `exp` of an assertion may be
        assertion_max_ttl: seconds(1, 3600) => "1h";
        /// Allowed clock difference of clients and trusted issuers, when the times of their tokens are compared
        caller_leeway: seconds(0, 300) => "10s";
        /// Other issuers whose tokens may authenticate clients: a TOML file with a table `[[issuer]]` for each
        trusted_issuers_file: path("FILE");
        /// How often the keys of trusted issuers are fetched
        issuer_refresh_interval: seconds(10, 86_400) => "5m";
        /// How long the keys of a trusted issuer stay in use when they cannot be fetched
        issuer_keys_max_age: seconds(60, 604_800) => "24h";
        /// Failed authentications per minute of one address that names one client; five times as many for one address, or
        /// for one client's name. A valid secret or certificate is accepted all the same
        max_failed_callers: number(1, 1_000_000) => "60";
    }
    "Passwords and login" {
        /// Memory for hashing one password, in KiB; a hash with less is computed again at the next login
        password_memory: number(8192, 131_072) => "19456";
        /// Passes of hashing a password through its memory; a hash with fewer is computed again at the next login
        password_passes: number(1, 10) => "2";
        /// Passwords that are hashed at the same time, each on its own core (default: half of the cores)
        login_parallelism: number(1, 1024);
        /// Logins that may wait for password hashing; further ones fail with RATE_LIMITED
        login_queue: number(0, 100_000) => "64";
        /// Failed logins with one name from one source before the next must wait; one is forgotten each minute
        login_free_failures: number(1, 1000) => "10";
        /// The longest wait of a login after failures; the first wait is 1s, each further one twice as long; 0s: no waits
        login_longest_wait: seconds(0, 3600) => "60s";
    }
    "Sessions and revocation" {
        /// How long a refresh token may be unused before its session ends
        session_idle_ttl: seconds(60, TEN_YEARS) => "7d";
        /// The longest duration of a session, however often it is refreshed
        session_max_ttl: seconds(60, TEN_YEARS) => "30d";
        /// How long a used refresh token still returns its successor, for lost responses; 0s: only with the same request_id
        refresh_reuse_window: seconds(0, 60) => "5s";
        /// How long the store may be unreachable before verification fails (STATE_STALE), because tokens may be revoked
        staleness_bound: seconds(5, 86_400) => "5m";
        /// Whether verification continues even after `staleness_bound`
        serve_stale: boolean() => "false";
    }
    "Audit log, limits and traces" {
        /// What happens to calls whose audit event cannot be written: with `required` they fail, with `buffered` they
        /// succeed and lost events are counted; `off` writes none
        audit_mode: text("MODE") => "buffered";
        /// Where audit events are written, separated by commas: `stdout`, `file`, `postgres`
        audit_sinks: list("NAMES") => "stdout";
        /// The file of the sink `file`, one JSON object per line; created for its owner only, and created again when it was
        /// renamed or removed
        audit_file: path("FILE");
        /// The database of the sink `postgres`: `postgres://USER:PASSWORD@HOST/DATABASE` (default: the store's, if that is
        /// PostgreSQL)
        audit_postgres: secret();
        /// Audit events that may wait for each sink; beyond them, events are lost (`buffered`) or calls fail (`required`)
        audit_buffer: number(1, 1_000_000) => "8192";
        /// Calls per second of one client, on average, unless the client has its own limit; 0 is no limit
        client_calls_per_second: number(0, 1_000_000) => "0";
        /// Concurrent calls of one client, unless the client has its own limit; 0 is no limit
        client_concurrent_calls: number(0, 1_000_000) => "0";
        /// Calls that may wait in each lane (`docs/observability.md`); further ones fail at once
        lane_queue: number(0, 1_000_000) => "1000";
        /// The trace collector, for OTLP over gRPC, such as `http://collector:4317`; without it no call is traced
        otlp_endpoint: text("URL");
        /// The share of calls that are traced if their caller does not decide, from `0` to `1`
        trace_sample_ratio: text("RATIO") => "0.01";
        /// Whether a caller that sends `traceparent` decides whether its call is traced; otherwise only the ratio decides
        trace_follow_callers: boolean() => "false";
    }
};
