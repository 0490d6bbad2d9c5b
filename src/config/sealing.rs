//! The settings of sealing: local keys, Vault, and which of the two seals.

use std::time::Duration;

use url::Url;

use super::{issuer::check_address, reader::Reader};
use crate::keys::{Retry, SealWith, SealingSettings, VaultSettings, parse_local_keys};

/// How Vault is tried: an attempt of a second or two is usual where it is busy, and an orchestrator that starts it
/// together with tokend needs a moment.
const RETRY: Retry = Retry {
    attempt: Duration::from_secs(5),
    first_pause: Duration::from_millis(200),
    longest_pause: Duration::from_secs(5),
    patience: Duration::from_secs(30),
};

/// Any of these says that Vault is meant.
const VAULT: [&str; 5] = ["vault_addr", "vault_token_file", "vault_key", "vault_namespace", "vault_ca_file"];

/// Reads them, and notes what is missing and what is wrong.
pub(super) fn sealing(reader: &mut Reader<'_>) -> Option<SealingSettings> {
    let local = reader.secret("sealing_key").and_then(|secret| {
        let read = parse_local_keys(secret.reveal()).map_err(|error| error.to_string());
        reader.note("sealing_key", read)
    });
    let seal_with = seal_with(reader);
    let vault_is_meant = seal_with == Some(SealWith::Vault) || VAULT.iter().any(|name| reader.is_given(name));
    // It has a default, and so says nothing of Vault; a wrong one is wrong all the same.
    let mount = path(reader, "vault_mount", true);
    let vault = if vault_is_meant { vault(reader, mount) } else { None };
    let seal_with = seal_with.unwrap_or(if vault_is_meant { SealWith::Vault } else { SealWith::Local });
    if seal_with == SealWith::Local && !reader.is_given("sealing_key") {
        reader.missing("sealing_key");
    }
    let require_row_macs = reader.bool("require_row_macs").unwrap_or_default();
    Some(SealingSettings { local: local.unwrap_or_default(), vault, seal_with, require_row_macs })
}

fn seal_with(reader: &mut Reader<'_>) -> Option<SealWith> {
    let read = match reader.text("seal_with")? {
        "local" => Ok(SealWith::Local),
        "vault" => Ok(SealWith::Vault),
        other => Err(format!("`{other}` is neither vault nor local")),
    };
    reader.note("seal_with", read)
}

fn vault(reader: &mut Reader<'_>, mount: Option<String>) -> Option<VaultSettings> {
    for name in ["vault_addr", "vault_token_file", "vault_key"] {
        if !reader.is_given(name) {
            reader.missing(name);
        }
    }
    let addr = reader.text("vault_addr").and_then(|text| reader.note("vault_addr", address(text)));
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
        return Err(format!("`{text}` must have no query and no fragment"));
    }
    Ok(url)
}

/// A path as Vault's addresses hold it, without a slash at either end; `nested` if it may have some within. What would
/// have to be escaped is refused, and so is what a server might read as another path.
fn path(reader: &mut Reader<'_>, name: &str, nested: bool) -> Option<String> {
    let text = reader.text(name)?;
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    let part = |part: &str| !part.is_empty() && !part.ends_with('.') && part.chars().all(plain);
    let sound = if nested { text.split('/').all(part) } else { part(text) };
    let slashes = if nested { ", with slashes between them" } else { "" };
    let problem = || format!("`{text}` must be of letters, digits, `-`, `_` and `.`{slashes}");
    reader.note(name, sound.then(|| text.to_owned()).ok_or_else(problem))
}
