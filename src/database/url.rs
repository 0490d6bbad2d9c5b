//! The URL of a PostgreSQL database: `postgres://USER:PASSWORD@HOST:PORT,HOST:PORT/DATABASE?sslmode=…`.

use sqlx::{
    ConnectOptions as _,
    postgres::{PgConnectOptions, PgSslMode},
};
use url::Url;
use zeroize::Zeroizing;

use super::address::is_host;

/// The parameters that are passed on.
const KNOWN: [&str; 17] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
];

/// What a URL says.
pub(super) struct Parsed {
    /// How to connect to each of its servers, in its order; at least one.
    pub(super) servers: Vec<PgConnectOptions>,
    /// The names of the parameters that are ignored.
    pub(super) ignored: Vec<String>,
}

/// Reads a URL.
///
/// # Errors
/// What is wrong with it; nothing of it is quoted but the names of parameters.
pub(super) fn parse(text: &str) -> Result<Parsed, String> {
    let rest = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://"));
    let rest = rest.ok_or("must begin with postgres://")?;
    let (authority, tail) = rest.find(['/', '?', '#']).map_or((rest, ""), |end| rest.split_at(end));
    if tail.contains(['@', '#']) {
        return Err("holds a `#`, or an `@` after the host: percent-encode `/` as %2F, `?` as %3F, `#` as %23 and `@` as \
                    %40 in user, password and parameters"
            .to_owned());
    }
    let (user, hosts) =
        authority.rsplit_once('@').map_or((None, authority), |(user, hosts)| (Some(user), hosts));
    let mut servers = Vec::new();
    let mut ignored = Vec::new();
    for host in hosts.split(',') {
        if !host.is_empty() && !is_host(host) || host.is_empty() && (user.is_some() || hosts.contains(',')) {
            return Err("has a host or port that cannot be read".to_owned());
        }
        let user = user.map(|user| format!("{user}@")).unwrap_or_default();
        let one = Zeroizing::new(format!("postgres://{user}{host}{tail}"));
        let mut url = Url::parse(&one).map_err(|_| "is no URL".to_owned())?;
        ignored = take_ignored(&mut url)?;
        // Reads ~/.pgpass and the PG… variables too.
        let options = PgConnectOptions::from_url(&url);
        let options =
            options.map_err(|_| "has a part that cannot be read: is each %XX in it UTF-8?".to_owned())?;
        let host = options.get_host().trim_matches(['[', ']']).to_owned();
        servers.push(options.host(&host).disable_statement_logging());
    }
    Ok(Parsed { servers, ignored })
}

/// Checks the parameters, and takes those out that would be ignored.
fn take_ignored(url: &mut Url) -> Result<Vec<String>, String> {
    let (mut kept, mut ignored) = (Vec::new(), Vec::new());
    for (name, value) in url.query_pairs() {
        if KNOWN.contains(&&*name) || name == "options" || name.starts_with("options[") {
            check(&name, &value)?;
            kept.push((name.into_owned(), value.into_owned()));
        } else if name == "target_session_attrs" {
            // A server that takes writes is chosen anyway.
            if !matches!(&*value, "read-write" | "primary" | "any") {
                return Err("target_session_attrs: must be read-write".to_owned());
            }
        } else if let Some(known) = KNOWN.iter().find(|known| known.eq_ignore_ascii_case(&name)) {
            return Err(format!("has a parameter that must be written as `{known}`"));
        } else if !value.is_empty() && is_name(&name) {
            ignored.push(name.into_owned());
        } else {
            // Not named: without a `=` it may be the rest of a password.
            return Err("has a parameter that is not known".to_owned());
        }
    }
    url.set_query(None);
    if !kept.is_empty() {
        url.query_pairs_mut().extend_pairs(kept);
    }
    Ok(ignored)
}

/// Whether this may be the name of a parameter that another release or library knows.
fn is_name(text: &str) -> bool {
    (1..=40).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// What would be refused later, with an error that quotes it.
fn check(name: &str, value: &str) -> Result<(), String> {
    let (is_good, wanted) = match name {
        "sslmode" | "ssl-mode" => (
            value.parse::<PgSslMode>().is_ok(),
            "must be disable, allow, prefer, require, verify-ca or verify-full",
        ),
        "port" => (value.parse::<u16>().is_ok(), "must be a port"),
        "hostaddr" => (value.parse::<std::net::IpAddr>().is_ok(), "must be an IP address"),
        "host" => (value.starts_with('/') || is_host(value), "must be one host or the folder of a socket"),
        "statement-cache-capacity" => (value.parse::<usize>().is_ok(), "must be a number"),
        _ => (true, ""),
    };
    if is_good { Ok(()) } else { Err(format!("{name}: {wanted}")) }
}
