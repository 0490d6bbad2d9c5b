//! Administers keys.

use std::sync::Arc;

use super::{AdminGrant, TrustedIssuers, TrustedKeyView};
use crate::{
    jose::ImportedKey,
    keys::{ImportTerms, KeyError, KeyManager},
    model::{Algorithm, KeyId, KeyRecord, KeyState, UnixTime, VerifiersReady},
};

/// A key, for operators.
#[derive(Debug)]
pub struct KeyView {
    /// The key.
    pub record: KeyRecord,
    /// The verifiers that have a pending key.
    pub verifiers: VerifiersReady,
    /// Why this replica cannot use the key.
    pub problem: Option<String>,
}

/// The creation time and id of the last key of the page before.
pub(crate) type PageStart = (UnixTime, KeyId);

/// Lists, creates, imports, rotates and revokes keys.
#[derive(Debug)]
pub struct KeyRegistry {
    key_manager: Arc<KeyManager>,
    issuer: String,
    trusted: Arc<TrustedIssuers>,
}

impl KeyRegistry {
    /// Administers the keys of `key_manager`, for the server with this issuer.
    pub const fn new(key_manager: Arc<KeyManager>, issuer: String, trusted: Arc<TrustedIssuers>) -> Self {
        Self { key_manager, issuer, trusted }
    }

    /// The keys of trusted issuers in this replica's memory.
    pub(crate) fn trusted(&self, _: &AdminGrant) -> Vec<TrustedKeyView> {
        self.trusted.keys()
    }

    /// Lists up to `limit` keys by creation time and id, after `after`; and whether there are more.
    pub(crate) async fn list(
        &self,
        _: &AdminGrant,
        after: Option<&PageStart>,
        limit: u32,
    ) -> Result<(Vec<KeyView>, bool), KeyError> {
        let (set, reports) = self.key_manager.list().await?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let is_after = |record: &KeyRecord| {
            after.is_none_or(|(time, key_id)| (record.create_time, &record.key_id) > (*time, key_id))
        };
        let mut rest = set.keys.into_iter().filter(is_after);
        let page: Vec<KeyView> = rest
            .by_ref()
            .take(limit)
            .map(|record| self.view(VerifiersReady::count(&reports, record.publish_sequence), record))
            .collect();
        Ok((page, rest.next().is_some()))
    }

    /// Creates a pending key.
    pub(crate) async fn create(
        &self,
        _: &AdminGrant,
        algorithm: Option<Algorithm>,
    ) -> Result<KeyView, KeyError> {
        let record = self.key_manager.create(self.key_manager.algorithm(algorithm)?).await?;
        Ok(self.changed(record))
    }

    pub(crate) async fn import(
        &self,
        _: &AdminGrant,
        keys: &[ImportedKey],
        terms: &ImportTerms,
    ) -> Result<Vec<KeyView>, KeyError> {
        // This server's own issuer is the default.
        let issuer = terms.issuer.clone().filter(|issuer| *issuer != self.issuer);
        let records = self.key_manager.import(keys, &ImportTerms { issuer, ..terms.clone() }).await?;
        Ok(records.into_iter().map(|record| self.changed(record)).collect())
    }

    /// Rotates the active key ahead of its schedule.
    pub(crate) async fn rotate(
        &self,
        _: &AdminGrant,
        algorithm: Option<Algorithm>,
        immediately: bool,
    ) -> Result<Vec<KeyView>, KeyError> {
        let algorithm = self.key_manager.algorithm(algorithm)?;
        let records = self.key_manager.rotate(algorithm, immediately).await?;
        Ok(records.into_iter().map(|record| self.changed(record)).collect())
    }

    pub(crate) async fn revoke(
        &self,
        grant: &AdminGrant,
        key_id: &KeyId,
        reason: &str,
    ) -> Result<KeyView, KeyError> {
        let record = self.key_manager.revoke(key_id, reason, grant.caller_id().as_str()).await?;
        Ok(self.changed(record))
    }

    /// A key after a change, which no verifier has acknowledged yet.
    fn changed(&self, record: KeyRecord) -> KeyView {
        self.view(VerifiersReady::default(), record)
    }

    fn view(&self, verifiers: VerifiersReady, record: KeyRecord) -> KeyView {
        let verifiers = if record.state == KeyState::Pending { verifiers } else { VerifiersReady::default() };
        KeyView { verifiers, problem: self.key_manager.problem(&record.key_id), record }
    }
}
