//! The settings of sealing: missing settings are named, and the sealing provider is explicit or derived.

use std::collections::HashMap;

use tokend::{
    config::Inputs,
    keys::{SealWith, SealingKey, SealingSettings},
};

use crate::harness::SEALING_KEY;

const LOCAL: (&str, &str) = ("TOKEND_SEALING_KEY", SEALING_KEY);
const ADDR: (&str, &str) = ("TOKEND_VAULT_ADDR", "https://vault.example.com:8200");
const TOKEN: (&str, &str) = ("TOKEND_VAULT_TOKEN_FILE", "/run/vault/token");
const KEY: (&str, &str) = ("TOKEND_VAULT_KEY", "tokend");
const VAULT_SEALS: (&str, &str) = ("TOKEND_SEAL_WITH", "vault");
const LOCAL_SEALS: (&str, &str) = ("TOKEND_SEAL_WITH", "local");

/// What sound settings with these variables come to: the settings of sealing, or all problems.
fn read(variables: &[(&str, &str)]) -> Result<SealingSettings, Vec<String>> {
    let mut all = HashMap::new();
    let sound = [
        ("TOKEND_ISSUER", "https://id.example.com"),
        ("TOKEND_STORE", "sqlite:/nowhere/tokend.db"),
        ("TOKEND_ALLOW_PLAINTEXT", "true"),
    ];
    for (name, value) in sound.iter().chain(variables) {
        all.insert((*name).into(), (*value).into());
    }
    let inputs = Inputs { flags: HashMap::new(), variables: all, file: None };
    let problems = |found: tokend::config::Problems| found.iter().map(str::to_owned).collect();
    inputs.resolve().config().map(|config| config.settings.keys.sealing).map_err(problems)
}

#[test]
fn several_sealing_keys_are_one_setting() {
    let other = SealingKey::generate().unwrap();
    let sealing = read(&[("TOKEND_SEALING_KEY", &format!("{SEALING_KEY},{}", *other.to_text()))]).unwrap();
    let ids: Vec<_> = sealing.local.iter().map(|key| key.id()).collect();
    assert_eq!(ids, [SealingKey::parse(SEALING_KEY).unwrap().id(), other.id()]);
    let twice = read(&[("TOKEND_SEALING_KEY", &format!("{SEALING_KEY}\n{SEALING_KEY}"))]).unwrap_err();
    assert_eq!(twice, ["sealing_key: key 2 is a duplicate of an earlier key (variable TOKEND_SEALING_KEY)"]);
}

#[test]
fn vault_encrypts_if_configured_unless_local_is_selected() {
    let seals = |variables: &[(&str, &str)]| read(variables).unwrap().seal_with;
    assert_eq!(seals(&[LOCAL]), SealWith::Local);
    assert_eq!(seals(&[ADDR, TOKEN, KEY]), SealWith::Vault);
    assert_eq!(seals(&[ADDR, TOKEN, KEY, LOCAL]), SealWith::Vault);
    assert_eq!(seals(&[ADDR, TOKEN, KEY, LOCAL, LOCAL_SEALS]), SealWith::Local);
    let both = read(&[ADDR, TOKEN, KEY, LOCAL, LOCAL_SEALS]).unwrap();
    let vault = both.vault.unwrap();
    assert_eq!((both.local.len(), &*vault.mount, vault.namespace), (1, "transit", None));
    assert_eq!(vault.addr.as_str(), "https://vault.example.com:8200/");
}

#[test]
fn what_is_missing_is_named_with_all_that_can_set_it() {
    let missing = |variables: &[(&str, &str)]| -> Vec<String> {
        let problems = read(variables).unwrap_err();
        problems.iter().map(|problem| problem.split(' ').next().unwrap().to_owned()).collect()
    };
    assert_eq!(missing(&[]), ["sealing_key"]);
    assert_eq!(missing(&[VAULT_SEALS]), ["vault_addr", "vault_token_file", "vault_key"]);
    assert_eq!(missing(&[ADDR]), ["vault_token_file", "vault_key"]);
    assert_eq!(missing(&[ADDR, TOKEN, LOCAL]), ["vault_key"]);
    assert_eq!(missing(&[KEY]), ["vault_addr", "vault_token_file"]);
    assert_eq!(missing(&[ADDR, TOKEN, KEY, LOCAL_SEALS]), ["sealing_key"]);
    assert_eq!(missing(&[("TOKEND_VAULT_NAMESPACE", "team"), ADDR, TOKEN]), ["vault_key"]);
    let said = read(&[ADDR, KEY]).unwrap_err().join("\n");
    assert!(
        said.contains("flag --vault-token-file, variable TOKEND_VAULT_TOKEN_FILE or key vault_token_file")
    );
}

#[test]
fn what_is_wrong_is_named() {
    let with = |name: &str, value: &str| {
        let problems = read(&[ADDR, TOKEN, KEY, (name, value)]).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems[0].clone()
    };
    for (name, value, problem) in [
        ("TOKEND_VAULT_ADDR", "vault:8200", "vault_addr: `…` must start with https://"),
        (
            "TOKEND_VAULT_ADDR",
            "http://vault.example.com",
            "vault_addr: `http://vault.example.com` must start",
        ),
        ("TOKEND_VAULT_ADDR", "https://a?b", "vault_addr: `https://a` must have no query"),
        ("TOKEND_VAULT_ADDR", "https://u:hunter2@a", "vault_addr: must hold no user name and no password"),
        ("TOKEND_VAULT_KEY", "a/b", "vault_key: `a/b` must be of letters"),
        ("TOKEND_VAULT_KEY", "..", "vault_key: `..` must be of letters"),
        ("TOKEND_VAULT_MOUNT", "a//b", "vault_mount: `a//b` must be of letters"),
        ("TOKEND_VAULT_MOUNT", "../sys", "vault_mount: `../sys` must be of letters"),
        ("TOKEND_VAULT_NAMESPACE", "a b", "vault_namespace: `a b` must be of letters"),
        ("TOKEND_SEAL_WITH", "both", "seal_with: `both` is neither vault nor local"),
    ] {
        let found = with(name, value);
        assert!(found.starts_with(problem), "{found}");
        assert!(!found.contains("hunter2"), "{found}");
    }
    for (name, value) in
        [("TOKEND_VAULT_ADDR", "http://127.0.0.1:8200"), ("TOKEND_VAULT_MOUNT", "team/transit")]
    {
        read(&[ADDR, TOKEN, KEY, (name, value)]).unwrap();
    }
}
