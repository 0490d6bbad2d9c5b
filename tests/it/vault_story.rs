//! A server that seals under Vault, and what stories about it do.

use std::{fs, path::PathBuf, sync::Arc};

use tempfile::TempDir;
use tokend::{
    clock::{Clock, SystemClock},
    keys::{Outcome, SealWith, Sealer, SealingKey, SealingSettings, reseal},
    server::{Server, Settings},
    store::{self, Location, Store},
};

use crate::{
    harness::{SEALING_KEY, TestServer, manual_clock, settings},
    vault_stand_in::{StandIn, TOKEN},
};

/// A stand-in, a token for it in a file, and a store.
pub struct Story {
    pub vault: StandIn,
    pub store: Arc<Store>,
    pub folder: TempDir,
}

impl Story {
    pub async fn new() -> Self {
        let story = Self {
            vault: StandIn::start().await,
            store: store::open(&Location::Memory).await.unwrap(),
            folder: TempDir::new().unwrap(),
        };
        story.write_token(TOKEN);
        story
    }

    pub fn token_file(&self) -> PathBuf {
        self.folder.path().join("vault-token")
    }

    pub fn write_token(&self, token: &str) {
        fs::write(self.token_file(), format!("{token}\n")).unwrap();
    }

    pub fn sealing(&self) -> SealingSettings {
        let vault = self.vault.settings(&self.token_file());
        SealingSettings {
            local: Vec::new(),
            vault: Some(vault),
            seal_with: SealWith::Vault,
            require_row_macs: false,
        }
    }

    /// With the local sealing key beside Vault, and this one sealing.
    pub fn both(&self, seal_with: SealWith) -> SealingSettings {
        let local = SealingSettings::only(SealingKey::parse(SEALING_KEY).unwrap()).local;
        SealingSettings { local, seal_with, ..self.sealing() }
    }

    pub fn settings(&self) -> Settings {
        with(self.sealing())
    }

    pub async fn serve(&self) -> TestServer {
        TestServer::on(Arc::clone(&self.store), self.settings(), manual_clock()).await
    }

    pub async fn start(&self, settings: Settings) -> Result<Server, String> {
        let started = Server::with_store(settings, Arc::clone(&self.store), manual_clock()).await;
        started.map_err(|error| error.to_string())
    }

    /// Starts, which must fail and leave the store as it was.
    pub async fn refused(&self, settings: Settings) -> String {
        let state = async || (self.store.keys().await.unwrap(), self.store.sealing_keys().await.unwrap());
        let before = state().await;
        let error = self.start(settings).await.err().expect("it started");
        assert_eq!(state().await, before);
        assert!(!error.contains(TOKEN), "{error}");
        error
    }

    pub fn sealer(&self, sealing: &SealingSettings) -> Sealer {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        Sealer::new(sealing, &self.store, &clock).unwrap()
    }

    /// Moves every key under what seals now, and answers whether all were moved.
    pub async fn reseal(&self, sealing: &SealingSettings) -> bool {
        let all = reseal(&self.store, &self.sealer(sealing)).await.unwrap().keys;
        all.iter().all(|key| matches!(key.outcome, Outcome::Moved))
    }

    /// What the store has of one private key.
    pub async fn sealed(&self) -> Vec<u8> {
        self.store.keys().await.unwrap().keys[0].sealed.clone().unwrap()
    }

    pub fn paths(&self) -> Vec<String> {
        self.vault.seen().into_iter().map(|seen| seen.path.replace("/v1/transit/", "")).collect()
    }
}

/// The settings of the tests with this sealing.
pub fn with(sealing: SealingSettings) -> Settings {
    let mut settings = settings();
    settings.keys.sealing = sealing;
    settings
}
