//! How an address is printed.

/// An address as logs, errors and `config show` may print it: scheme, host, port and path. User, password, query and fragment are
/// left out. `…` stands for whatever could hold a part of a password: one with an unescaped `/`, `?` or `#` puts its rest, up to
/// the `@`, where the path or the query should be.
pub fn printable(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return "…".to_owned() };
    let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    if scheme.is_empty() || !scheme.bytes().all(is_scheme) {
        return "…".to_owned();
    }
    let (authority, tail) = rest.find(['/', '?', '#']).map_or((rest, ""), |end| rest.split_at(end));
    let hosts = authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts);
    let is_sound = !tail.contains('@')
        && !hosts.is_empty()
        && hosts.split(',').all(is_host)
        // A user or password whose end is not percent-encoded swallows the host.
        && !text.contains('#')
        && !text.contains(char::is_whitespace);
    if !is_sound {
        return format!("{scheme}://…");
    }
    let path = tail.split('?').next().unwrap_or_default();
    format!("{scheme}://{hosts}{path}")
}

/// Whether this is a host with or without a port. What has a port that is no number may be a user and a password.
pub(super) fn is_host(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) if address.parse::<std::net::Ipv6Addr>().is_ok() => {
            ("v6", rest.strip_prefix(':'))
        }
        Some(_) => return false,
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let named = |byte: u8| byte.is_ascii_alphanumeric() || b"-._%".contains(&byte);
    !host.is_empty() && host.bytes().all(named) && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn scheme_host_port_and_path_are_printed() {
        for (text, printed) in [
            ("postgres://u:hunter2@h:1/d?sslmode=require&password=hunter2", "postgres://h:1/d"),
            ("postgres://u:p@a:1,b:2/d", "postgres://a:1,b:2/d"),
            ("https://[::1]:8200", "https://[::1]:8200"),
            ("https://id.example.com/tenant/", "https://id.example.com/tenant/"),
            ("https://u:hunter2@id.example.com", "https://id.example.com"),
        ] {
            assert_eq!(printable(text), printed);
        }
    }

    #[test]
    fn what_could_hold_a_password_is_not() {
        for text in [
            "hunter2",
            "user:hunter2@host",
            "host=h password=hunter2",
            "Server=h;Password=hunter2",
            "postgres://u:hun/ter2@h/d",
            "postgres://u:1/hunter2@h/d",
            "postgres://u:1?hunter2@h/d",
            "postgres://u:1#hunter2@h/d",
            "postgres://u:p@hunter2/x@h/d",
            "postgres://u:hunter2",
            "postgres://u:p@h#hunter2",
            "u:hunter2://h",
        ] {
            let printed = printable(text);
            assert!(
                printed.ends_with('…') && !printed.contains("hun") && !printed.contains("ter2"),
                "{printed}"
            );
        }
    }
}
