//! Where sealing keys come from.

use std::{fmt, sync::Arc};

use async_trait::async_trait;

use super::SealingKey;
use crate::{model::SealingKeyId, random::RandomError, store::StoreError};

/// How long a provider may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Nothing is served yet: it is worth waiting for a provider that comes up at the same time.
    Start,
    /// Somebody waits: one attempt.
    Brief,
}

/// Gives out sealing keys. What it gave out once is kept in memory: it is asked at the start, and for the sealing keys
/// that others bring into use later.
#[async_trait]
pub trait SealingProvider: Send + Sync + fmt::Debug {
    /// The settings to look at when a sealing key is missing, as messages name them.
    fn settings(&self) -> &'static str;

    /// The key that seals from now on; made if there is none yet.
    async fn first(&self, patience: Patience) -> Result<Arc<SealingKey>, SealingError>;

    /// The key of that id, if it is one of this provider's.
    async fn find(
        &self,
        id: SealingKeyId,
        patience: Patience,
    ) -> Result<Option<Arc<SealingKey>>, SealingError>;

    /// A fresh key in the place of the first, which still opens what it sealed.
    async fn renew(&self) -> Result<Arc<SealingKey>, SealingError>;
}

/// Why a provider gives no sealing key. Its text is for operators and the log.
#[derive(Debug, thiserror::Error)]
pub enum SealingError {
    /// The provider cannot be used as it is set up.
    #[error("setting `{setting}`: {problem}")]
    Setting {
        /// The setting to look at.
        setting: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// A wrapped sealing key is not what its row says.
    #[error("the wrapped sealing key {0} is damaged: what comes of unwrapping it is another key, or none")]
    Damaged(SealingKeyId),
    /// The store, where wrapped sealing keys are, failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No sealing key can be made.
    #[error(transparent)]
    Random(#[from] RandomError),
}
