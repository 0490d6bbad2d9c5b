//! The interface of providers of sealing keys.

use std::{fmt, sync::Arc};

use async_trait::async_trait;

use super::SealingKey;
use crate::{model::SealingKeyId, random::RandomError, store::StoreError};

/// How long to wait for a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// At startup: retry, because the provider may be starting at the same time.
    Start,
    /// One attempt, because a call waits.
    Brief,
}

/// A provider of sealing keys. Its keys are kept in memory: it is called at startup, and for sealing keys that other replicas use later.
#[async_trait]
pub trait SealingProvider: Send + Sync + fmt::Debug {
    /// The settings to look at when a sealing key is missing, as messages name them.
    fn settings(&self) -> &'static str;

    /// The key that seals from now on; generated if there is none yet.
    async fn first(&self, patience: Patience) -> Result<Arc<SealingKey>, SealingError>;

    /// The key with that id, if it belongs to this provider.
    async fn find(
        &self,
        id: SealingKeyId,
        patience: Patience,
    ) -> Result<Option<Arc<SealingKey>>, SealingError>;

    /// Generates a new first key. The former first key still unseals.
    async fn renew(&self) -> Result<Arc<SealingKey>, SealingError>;
}

/// Why a provider returns no sealing key. Its text is for operators and the log.
#[derive(Debug, thiserror::Error)]
pub enum SealingError {
    /// A setting of the provider is wrong, or the provider is unavailable.
    #[error("setting `{setting}`: {problem}")]
    Setting {
        /// The setting to look at.
        setting: &'static str,
        /// The problem.
        problem: String,
    },
    /// A wrapped sealing key does not fit its row.
    #[error(
        "the wrapped sealing key {0} is damaged: unwrapping it does not return this key; restore its row from a backup"
    )]
    Damaged(SealingKeyId),
    /// The store failed, which contains the wrapped sealing keys.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A sealing key cannot be generated.
    #[error(transparent)]
    Random(#[from] RandomError),
}
