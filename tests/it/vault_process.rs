//! The program with Vault: `init`, `serve` and `key reseal` as operators run them, and what they print.

use std::{fs, path::Path, process::Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    process::{Serve, init, run, stderr, stdout},
    vault_stand_in::{StandIn, TOKEN},
};

/// Lets a process run while the stand-in answers it.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

fn vault_settings(vault: &StandIn, folder: &Path) -> String {
    fs::write(folder.join("vault-token"), TOKEN).unwrap();
    format!(
        "vault_addr = \"http://{}\"\nvault_token_file = \"vault-token\"\nvault_key = \"tokend\"\n",
        vault.addr
    )
}

/// Everything that the stand-in was given or gave that must be printed nowhere.
fn secrets(vault: &StandIn) -> Vec<String> {
    let plaintext =
        |body: &str| serde_json::from_str::<Value>(body).unwrap()["plaintext"].as_str().map(str::to_owned);
    let mut all: Vec<_> = vault.seen().iter().filter_map(|seen| plaintext(&seen.body)).collect();
    assert!(!all.is_empty(), "no sealing key was wrapped");
    all.push(TOKEN.to_owned());
    all
}

async fn command(folder: &TempDir, arguments: &[&str]) -> Output {
    let (folder, arguments) = (folder.path().to_owned(), arguments.iter().map(|text| (*text).to_owned()));
    let arguments: Vec<String> = arguments.collect();
    beside(move || run(&folder, &arguments.iter().map(String::as_str).collect::<Vec<_>>())).await
}

/// `docs/sealing.md`, "From a file to Vault".
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_moves_from_a_file_to_vault_while_it_is_served() {
    let vault = StandIn::start().await;
    let folder = TempDir::new().unwrap();
    let path = folder.path().to_owned();
    init(&path);
    let file = path.join("tokend.toml");
    let by_file = fs::read_to_string(&file).unwrap();
    let by_both = format!("{by_file}\n{}", vault_settings(&vault, &path));
    fs::write(&file, &by_both).unwrap();
    let flags = ["--allow-plaintext", "--log-format", "json", "--drain-delay", "0s", "--log", "trace"];
    let serve = || {
        let path = path.clone();
        beside(move || Serve::start(&path, &flags))
    };
    let running = serve().await;
    let reseal = ["key", "reseal", "--config", "tokend.toml", "--allow-plaintext"];
    let moved = command(&folder, &reseal).await;
    assert_eq!(moved.status.code(), Some(0), "{}", stderr(&moved));
    assert!(stdout(&moved).contains("resealed") && stdout(&moved).ends_with("signed"), "{}", stdout(&moved));
    let ended = beside(|| running.stop()).await;

    // Without the file, by Vault alone.
    let without: Vec<_> = by_both.lines().filter(|line| !line.starts_with("sealing_key_file")).collect();
    fs::write(&file, without.join("\n")).unwrap();
    let running = serve().await;
    let ended_again = beside(|| running.stop()).await;
    vault.rotate_and_forbid_the_old();
    let refused = command(&folder, &reseal).await;
    assert_eq!(refused.status.code(), Some(1), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("too old"), "{}", stderr(&refused));

    let printed = [ended.stderr, ended.stdout, ended_again.stderr, ended_again.stdout].concat().join("\n");
    assert!(printed.contains("a sealing key was generated and wrapped"), "{printed}");
    let printed = format!("{printed}{}{}{}", stdout(&moved), stderr(&moved), stderr(&refused));
    for secret in secrets(&vault) {
        assert!(!printed.contains(&secret), "{secret} was printed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn init_makes_no_sealing_key_where_vault_seals() {
    let vault = StandIn::start().await;
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("tokend.toml"), vault_settings(&vault, folder.path())).unwrap();
    let made = command(&folder, &["init", "--issuer", "https://id.example.com"]).await;
    assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    assert!(folder.path().join("tokend.db").exists() && !folder.path().join("sealing.key").exists());
    assert_eq!(vault.seen().len(), 2);
    let again = command(&folder, &["init", "--new-admin-secret"]).await;
    assert_eq!(again.status.code(), Some(0), "{}", stderr(&again));
    assert_ne!(stdout(&made), stdout(&again));

    let mut vault = vault;
    vault.go_away().await;
    let check =
        ["config", "check", "--config", "tokend.toml", "--allow-plaintext", "--store", "sqlite:tokend.db"];
    let sound = command(&folder, &[&check[..], &["--issuer", "https://id.example.com"]].concat()).await;
    assert_eq!(stdout(&sound), "ok", "{}", stderr(&sound));
}
