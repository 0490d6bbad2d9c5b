//! The settings of keys: rotation, algorithms and sealing.

use std::time::Duration;

use url::Url;

use super::{reader::Reader, urls::check_address};
use crate::{
    database::printable,
    keys::{
        Retry, RotationSchedule, ScheduleSettings, SealWith, SealingSettings, VaultSettings, parse_local_keys,
    },
    model::{Algorithm, Pattern, Ttl},
};

/// How calls to Vault are retried: a busy Vault needs a second or two, and Vault may start at the same time as tokend.
const RETRY: Retry = Retry {
    attempt: Duration::from_secs(5),
    first_pause: Duration::from_millis(200),
    longest_pause: Duration::from_secs(5),
    patience: Duration::from_secs(30),
};

/// Each of these settings enables Vault.
const VAULT: [&str; 5] = ["vault_addr", "vault_token_file", "vault_key", "vault_namespace", "vault_ca_file"];

/// When keys are published, sign and retire.
pub(super) fn schedule(
    reader: &mut Reader<'_>,
    max_ttl: Option<Ttl>,
    max_leeway: Duration,
    jwks_max_age: Duration,
) -> Option<RotationSchedule> {
    let settings = ScheduleSettings {
        rotation_period: reader.duration("rotation_period"),
        publish_ahead: reader.duration("publish_ahead"),
        max_ttl: max_ttl?,
        retire_window: reader.is_given("retire_window").then(|| reader.duration("retire_window")),
        max_leeway,
        jwks_max_age,
        await_verifiers: reader.duration("await_verifiers"),
    };
    if !reader.problems.is_empty() {
        // A value that could not be parsed is zero here, and would cause further problems.
        return None;
    }
    RotationSchedule::new(settings).map_err(|error| reader.problem(error.setting, &error.problem)).ok()
}

/// The algorithms of certain audiences.
pub(super) fn audience_algorithms(
    reader: &mut Reader<'_>,
    algorithms: &[Algorithm],
) -> Vec<(Pattern, Algorithm)> {
    let mut rules = Vec::new();
    for rule in audience_rules(reader.text("audience_algorithms").unwrap_or_default()) {
        match rule {
            Ok((pattern, algorithm)) if !algorithms.contains(&algorithm) => {
                let problem = format!("`{pattern}={algorithm}`: {algorithm} must be in `algorithms` too");
                reader.problem("audience_algorithms", &problem);
            }
            Ok(rule) => rules.push(rule),
            Err(problem) => reader.problem("audience_algorithms", &problem),
        }
    }
    rules
}

/// The rules of `audience_algorithms`, or the problem of each invalid rule.
pub(crate) fn audience_rules(text: &str) -> impl Iterator<Item = Result<(Pattern, Algorithm), String>> {
    text.split(',').map(str::trim).filter(|rule| !rule.is_empty()).map(|rule| {
        let (audience, name) =
            rule.rsplit_once('=').ok_or_else(|| format!("`{rule}`: must be AUDIENCE=NAME"))?;
        let pattern = Pattern::parse(audience.trim()).map_err(|error| format!("`{rule}`: {error}"))?;
        let algorithm = name.trim().parse().map_err(|_| format!("`{rule}`: `{name}` is no algorithm"))?;
        Ok((pattern, algorithm))
    })
}

/// The algorithms that have a signing key.
pub(super) fn algorithms(reader: &mut Reader<'_>) -> Vec<Algorithm> {
    let mut algorithms = Vec::new();
    for name in reader.words("algorithms") {
        match name.parse::<Algorithm>() {
            Ok(algorithm) if algorithms.contains(&algorithm) => {
                reader.problem("algorithms", &format!("{name} is there twice"));
            }
            Ok(algorithm) => algorithms.push(algorithm),
            Err(_) => {
                let known = Algorithm::ALL.map(Algorithm::name).join(", ");
                reader.problem("algorithms", &format!("`{name}` is none of {known}"));
            }
        }
    }
    algorithms
}

/// The sealing keys: local keys, Vault, and which of the two encrypts.
pub(super) fn sealing(reader: &mut Reader<'_>) -> SealingSettings {
    let local = reader.secret("sealing_key").and_then(|secret| {
        let read = parse_local_keys(secret.reveal()).map_err(|error| error.to_string());
        reader.ok_or_problem("sealing_key", read)
    });
    let seal_with = seal_with(reader);
    let uses_vault = seal_with == Some(SealWith::Vault) || VAULT.iter().any(|name| reader.is_given(name));
    // It has a default, and so does not enable Vault; a wrong value is a problem nevertheless.
    let mount = path(reader, "vault_mount", true);
    let vault = if uses_vault { vault(reader, mount) } else { None };
    let seal_with = seal_with.unwrap_or(if uses_vault { SealWith::Vault } else { SealWith::Local });
    if seal_with == SealWith::Local && !reader.is_given("sealing_key") {
        reader.missing("sealing_key");
    }
    let require_row_macs = reader.bool("require_row_macs");
    SealingSettings { local: local.unwrap_or_default(), vault, seal_with, require_row_macs }
}

fn seal_with(reader: &mut Reader<'_>) -> Option<SealWith> {
    let read = match reader.text("seal_with")? {
        "local" => Ok(SealWith::Local),
        "vault" => Ok(SealWith::Vault),
        other => Err(format!("`{other}` is neither vault nor local")),
    };
    reader.ok_or_problem("seal_with", read)
}

fn vault(reader: &mut Reader<'_>, mount: Option<String>) -> Option<VaultSettings> {
    for name in ["vault_addr", "vault_token_file", "vault_key"] {
        if !reader.is_given(name) {
            reader.missing(name);
        }
    }
    let addr = reader.text("vault_addr").and_then(|text| reader.ok_or_problem("vault_addr", address(text)));
    let key = path(reader, "vault_key", false);
    let namespace = path(reader, "vault_namespace", true);
    Some(VaultSettings {
        addr: addr?,
        token_file: reader.path("vault_token_file")?,
        mount: mount?,
        key: key?,
        namespace,
        ca_file: reader.path("vault_ca_file"),
        retry: RETRY,
    })
}

fn address(text: &str) -> Result<Url, String> {
    let url = check_address(text)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("`{}` must have no query and no fragment", printable(text)));
    }
    Ok(url)
}

/// A path in Vault's URLs, without a slash at either end; `nested` allows slashes within. Characters that need escaping, and
/// parts that a server might normalise, are rejected.
fn path(reader: &mut Reader<'_>, name: &str, nested: bool) -> Option<String> {
    let text = reader.text(name)?;
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    let part = |part: &str| !part.is_empty() && !part.ends_with('.') && part.chars().all(plain);
    let is_valid = if nested { text.split('/').all(part) } else { part(text) };
    let slashes = if nested { ", with slashes between them" } else { "" };
    let problem = || format!("`{text}` must be of letters, digits, `-`, `_` and `.`{slashes}");
    reader.ok_or_problem(name, is_valid.then(|| text.to_owned()).ok_or_else(problem))
}
