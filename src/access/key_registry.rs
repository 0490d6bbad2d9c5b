//! Keeping the keys, for those who may.

use std::sync::Arc;

use super::{AdminGrant, TrustedIssuers, TrustedKeyView};
use crate::{
    jose::ImportedKey,
    keys::{ImportTerms, Keeper, KeyError},
    model::{Algorithm, KeyId, KeyRecord, KeyState, UnixTime, VerifiersReady},
};

/// A key as an operator may see it.
#[derive(Debug)]
pub struct KeyView {
    /// The key.
    pub record: KeyRecord,
    /// Which verifiers have it; for a pending key.
    pub verifiers: VerifiersReady,
    /// Why this replica cannot use it as it should.
    pub problem: Option<String>,
}

/// Where a page of keys begins: after this creation time and id.
pub(crate) type PageStart = (UnixTime, KeyId);

/// Shows, makes, takes in, rotates and revokes keys.
#[derive(Debug)]
pub struct KeyRegistry {
    keeper: Arc<Keeper>,
    issuer: String,
    trusted: Arc<TrustedIssuers>,
}

impl KeyRegistry {
    /// Has `keeper` do what is asked, for the server that issues as `issuer`.
    pub const fn new(keeper: Arc<Keeper>, issuer: String, trusted: Arc<TrustedIssuers>) -> Self {
        Self { keeper, issuer, trusted }
    }

    /// The keys of trusted issuers, as this replica holds them.
    pub(crate) fn trusted(&self, _: &AdminGrant) -> Vec<TrustedKeyView> {
        self.trusted.keys()
    }

    /// Up to `limit` keys by creation time and id, after `after`; and whether there are more.
    pub(crate) async fn list(
        &self,
        _: &AdminGrant,
        after: Option<&PageStart>,
        limit: u32,
    ) -> Result<(Vec<KeyView>, bool), KeyError> {
        let (set, reports) = self.keeper.list().await?;
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

    /// Makes a fresh pending key.
    pub(crate) async fn create(
        &self,
        _: &AdminGrant,
        algorithm: Option<Algorithm>,
    ) -> Result<KeyView, KeyError> {
        let record = self.keeper.create(self.keeper.algorithm(algorithm)?).await?;
        Ok(self.changed(record))
    }

    /// Takes in keys from elsewhere.
    pub(crate) async fn import(
        &self,
        _: &AdminGrant,
        keys: &[ImportedKey],
        terms: &ImportTerms,
    ) -> Result<Vec<KeyView>, KeyError> {
        // Whoever names this server's own issuer means what is meant without a name.
        let issuer = terms.issuer.clone().filter(|issuer| *issuer != self.issuer);
        let records = self.keeper.import(keys, &ImportTerms { issuer, ..terms.clone() }).await?;
        Ok(records.into_iter().map(|record| self.changed(record)).collect())
    }

    /// Rotates ahead of time.
    pub(crate) async fn rotate(
        &self,
        _: &AdminGrant,
        algorithm: Option<Algorithm>,
        immediately: bool,
    ) -> Result<Vec<KeyView>, KeyError> {
        let algorithm = self.keeper.algorithm(algorithm)?;
        let records = self.keeper.rotate(algorithm, immediately).await?;
        Ok(records.into_iter().map(|record| self.changed(record)).collect())
    }

    /// Ends a key at once.
    pub(crate) async fn revoke(
        &self,
        grant: &AdminGrant,
        key_id: &KeyId,
        reason: &str,
    ) -> Result<KeyView, KeyError> {
        let record = self.keeper.revoke(key_id, reason, grant.caller()).await?;
        Ok(self.changed(record))
    }

    /// A key that was just changed: nobody can have acknowledged that yet.
    fn changed(&self, record: KeyRecord) -> KeyView {
        self.view(VerifiersReady::default(), record)
    }

    fn view(&self, verifiers: VerifiersReady, record: KeyRecord) -> KeyView {
        let verifiers = if record.state == KeyState::Pending { verifiers } else { VerifiersReady::default() };
        KeyView { verifiers, problem: self.keeper.problem(&record.key_id), record }
    }
}
