//! The configuration that `tokend init` writes.

use std::path::Path;

use crate::config::{Kind, settings};

/// The placeholder for an issuer.
pub(super) const EXAMPLE_ISSUER: &str = "https://tokend.example.com";

/// A configuration with comments: decided settings have their value, others show their default or an example.
pub(super) fn starting_configuration(
    issuer: Option<&str>,
    store: &[(&str, String)],
    sealing_key: Option<&Path>,
    dir: &Path,
) -> String {
    let decided = |name: &str| match name {
        "issuer" => issuer.map(str::to_owned),
        "sealing_key" => sealing_key.map(|path| path.display().to_string()),
        _ => store.iter().find(|(given, _)| *given == name).map(|(_, value)| value.clone()),
    };
    let suggested = |name: &str| match name {
        "tls_client_ca_file" => Some(dir.join("client-ca.crt").display().to_string()),
        "tls_cert_file" => Some(dir.join("tls.crt").display().to_string()),
        "tls_key_file" => Some(dir.join("tls.key").display().to_string()),
        "issuer" => Some(EXAMPLE_ISSUER.to_owned()),
        "store" => Some(format!("sqlite:{}", dir.join("tokend.db").display())),
        "store_file" => Some(dir.join("store").display().to_string()),
        "jwks_uri" => Some(format!("{}/.well-known/jwks.json", issuer.unwrap_or(EXAMPLE_ISSUER))),
        "sealing_key" => Some(dir.join("sealing.key").display().to_string()),
        "seal_with" => Some("vault".to_owned()),
        "vault_addr" => Some("https://vault.example.com:8200".to_owned()),
        "vault_token_file" => Some(dir.join("vault-token").display().to_string()),
        "vault_key" => Some("tokend".to_owned()),
        "vault_namespace" => Some("team".to_owned()),
        "vault_ca_file" => Some(dir.join("vault-ca.pem").display().to_string()),
        "audience_algorithms" => Some("legacy-*=RS256".to_owned()),
        "login_parallelism" => Some("2".to_owned()),
        "retire_window" => Some("25h".to_owned()),
        "metrics_addr" => Some("127.0.0.1:9464".to_owned()),
        "grpc_socket" => Some("/run/tokend/grpc.sock".to_owned()),
        "grpc_socket_owner" => Some("1000:1000".to_owned()),
        "otlp_endpoint" => Some("http://127.0.0.1:4317".to_owned()),
        "audit_file" => Some(dir.join("audit.jsonl").display().to_string()),
        "audit_postgres" => Some(dir.join("audit-database").display().to_string()),
        "trusted_issuers_file" => Some(dir.join("trusted-issuers.toml").display().to_string()),
        "client_jwks_dir" => Some(dir.join("client-jwks").display().to_string()),
        "shared_secret" => Some(dir.join("shared.secret").display().to_string()),
        _ => None,
    };
    let mut text = String::from(
        "# tokend's settings. A flag or a TOKEND_ variable of the same name takes precedence over this file.\n\
         # `tokend config check --config FILE` checks whether `tokend serve` would start. gRPC needs TLS: set tls_cert_file\n\
         # and tls_key_file below, or allow_plaintext.\n",
    );
    for setting in settings() {
        text.push_str(&format!("\n# {}\n", setting.help));
        let line =
            match (decided(setting.name), suggested(setting.name).or(setting.default.map(str::to_owned))) {
                (Some(value), _) => format!("{} = {}\n", setting.key(), toml_value(setting.kind, &value)),
                (None, Some(value)) => {
                    format!("# {} = {}\n", setting.key(), toml_value(setting.kind, &value))
                }
                (None, None) => format!("# {} =\n", setting.key()),
            };
        text.push_str(&line);
    }
    text
}

fn toml_value(kind: Kind, value: &str) -> String {
    match kind {
        Kind::Bool | Kind::Number(..) => value.to_owned(),
        Kind::List => toml::Value::from(value.split(',').map(str::trim).collect::<Vec<_>>()).to_string(),
        _ => toml::Value::from(value).to_string(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use std::path::Path;

    use super::starting_configuration;
    use crate::config::settings;

    #[test]
    fn the_configuration_is_valid_toml_with_and_without_comments() {
        let text = starting_configuration(
            Some("https://a.example"),
            &[("store", "sqlite:/d\"/t.db".to_owned())],
            Some(Path::new("/d/k")),
            Path::new("/d"),
        );
        let table: toml::Table = text.parse().unwrap();
        assert_eq!(table.len(), 3);
        assert_eq!(table.get("store").unwrap().as_str(), Some("sqlite:/d\"/t.db"));
        let values = text
            .lines()
            .map(|line| line.strip_prefix("# ").unwrap_or(line))
            .filter(|line| settings().any(|setting| line.starts_with(&format!("{} = ", setting.key()))));
        let all: toml::Table = values.collect::<Vec<_>>().join("\n").parse().unwrap();
        assert_eq!(all.len(), settings().count());
    }
}
