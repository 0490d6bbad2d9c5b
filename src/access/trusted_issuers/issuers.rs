//! All trusted issuers.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

use super::{KeysUnavailable, RefreshSettings, TrustedIssuer, TrustedIssuerSettings};
use crate::{
    access::jwt::{UnverifiedJwt, VerifiedJwt},
    clock::Clock,
    model::{Algorithm, InvalidToken, UnixTime, foreign_prefix},
};

/// A key of a trusted issuer, for operators.
#[derive(Debug)]
pub struct TrustedKeyView {
    /// The issuer.
    pub issuer: String,
    /// The key's id; empty if there is none.
    pub key_id: String,
    /// The algorithms of the key.
    pub algorithms: Vec<Algorithm>,
    /// Why the key cannot be used.
    pub problem: Option<String>,
}

/// Why a token of a trusted issuer is not accepted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IssuerTokenError {
    #[error(transparent)]
    Refused(#[from] InvalidToken),
    /// The token's key is not in memory; a [fetch](TrustedIssuers::fetch) may find it.
    #[error("the token's key is not among the keys of `{0}` in memory")]
    KeyNotInMemory(String),
    #[error("the keys of the trusted issuer `{0}` are not available")]
    KeysUnavailable(String),
}

/// The trusted issuers.
#[derive(Debug)]
pub struct TrustedIssuers {
    by_name: HashMap<String, Arc<TrustedIssuer>>,
    clock: Arc<dyn Clock>,
}

impl TrustedIssuers {
    /// Trusts `issuers`. No keys are fetched yet.
    pub fn new(issuers: Vec<TrustedIssuerSettings>, refresh: RefreshSettings, clock: Arc<dyn Clock>) -> Self {
        let by_name = issuers.into_iter().map(|settings| {
            (settings.issuer.clone(), TrustedIssuer::new(settings, refresh, Arc::clone(&clock)))
        });
        Self { by_name: by_name.collect(), clock }
    }

    /// The issuer with this name.
    pub(in crate::access) fn find(&self, issuer: &str) -> Option<&Arc<TrustedIssuer>> {
        self.by_name.get(issuer)
    }

    /// The subject of another issuer in this server's tokens: with the configured prefix of that issuer, or else the default one.
    pub(crate) fn local_subject(&self, issuer: &str, subject: &str) -> String {
        let set = self.find(issuer).and_then(|trusted| trusted.settings.subject_prefix.clone());
        set.unwrap_or_else(|| foreign_prefix(issuer)) + subject
    }

    /// Verifies a token of a trusted issuer at `now`, from memory. Returns `None` if the token names no trusted issuer. `is_fetched`
    /// tells whether an issuer's keys were fetched for this token.
    ///
    /// # Errors
    /// When the token is refused, or its key is not available.
    pub(crate) fn verify(
        &self,
        text: &str,
        max_bytes: usize,
        leeway: Duration,
        now: UnixTime,
        is_fetched: impl Fn(&str) -> bool,
    ) -> Result<Option<VerifiedJwt>, IssuerTokenError> {
        let Ok(token) = UnverifiedJwt::parse(text, max_bytes) else { return Ok(None) };
        // Not verified yet: it selects one of the configured issuers.
        let Some(issuer) = token.issuer().map(str::to_owned) else { return Ok(None) };
        let Some(trusted) = self.find(&issuer) else { return Ok(None) };
        let keys = match trusted.keys_with(token.header.key_id.as_deref(), token.header.algorithm) {
            Some(keys) => keys,
            None if !is_fetched(&issuer) => return Err(IssuerTokenError::KeyNotInMemory(issuer)),
            None => trusted.keys_in_memory().ok_or(IssuerTokenError::KeysUnavailable(issuer))?,
        };
        Ok(Some(token.verify(&trusted.settings, &keys, leeway, now)?))
    }

    /// Fetches the issuer's keys unless they were fetched just before, and waits for the result.
    ///
    /// # Errors
    /// When too many calls wait.
    pub(crate) async fn fetch(&self, issuer: &str) -> Result<(), KeysUnavailable> {
        match self.find(issuer) {
            Some(trusted) => trusted.fetch_if_due().await,
            None => Ok(()),
        }
    }

    /// The keys in memory and the keys that cannot be used, by issuer.
    pub(in crate::access) fn keys(&self) -> Vec<TrustedKeyView> {
        let mut views = Vec::<TrustedKeyView>::new();
        for (issuer, trusted) in &self.by_name {
            let view = |key_id: &str, problem: Option<&str>| TrustedKeyView {
                issuer: issuer.clone(),
                key_id: key_id.chars().take(128).collect(),
                algorithms: Vec::new(),
                problem: problem.map(str::to_owned),
            };
            let Some(keys) = trusted.keys_in_memory() else {
                views.push(view("", Some("the issuer's keys cannot be fetched; see the log")));
                continue;
            };
            let first = views.len();
            for (key_id, algorithm) in keys.set.keys() {
                match views.iter_mut().skip(first).find(|view| view.key_id == key_id) {
                    Some(view) => view.algorithms.push(algorithm),
                    None => views.push(TrustedKeyView { algorithms: vec![algorithm], ..view(key_id, None) }),
                }
            }
            views.extend(keys.set.skipped().iter().map(|key| view(&key.key_id, Some(&key.problem))));
        }
        views.sort_by(|one, other| one.issuer.cmp(&other.issuer));
        views
    }

    /// Begins the fetches that are due, and does not wait for them.
    pub fn tend(&self) {
        self.by_name.values().for_each(TrustedIssuer::tend);
    }

    /// Waits until no fetch is in flight.
    pub async fn settled(&self) {
        for issuer in self.by_name.values() {
            issuer.settled().await;
        }
    }
}

impl Collector for TrustedIssuers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        if self.by_name.is_empty() {
            return Ok(());
        }
        let help = "Age of a trusted issuer's keys; absent without keys";
        let name = "tokend_issuer_keys_age_seconds";
        let mut ages = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (issuer, state) in &self.by_name {
            if let Some(keys) = state.keys_in_memory() {
                let age = self.clock.steady().since(keys.fetch_time).as_secs();
                ConstGauge::new(age).encode(ages.encode_family(&[("issuer", issuer.as_str())])?)?;
            }
        }
        let help = "Unusable keys of trusted issuers, with the reason: 1 each";
        let name = "tokend_issuer_skipped_keys";
        let mut skipped = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (issuer, state) in &self.by_name {
            for key in state.keys_in_memory().iter().flat_map(|keys| keys.set.skipped()) {
                let labels =
                    [("issuer", issuer.as_str()), ("key_id", &key.key_id), ("problem", &key.problem)];
                ConstGauge::new(1).encode(skipped.encode_family(&labels)?)?;
            }
        }
        let help = "Fetches of trusted issuers' keys, by result";
        let mut fetches =
            encoder.encode_descriptor("tokend_issuer_fetches", help, None, MetricType::Counter)?;
        for (issuer, state) in &self.by_name {
            let counted = state.fetches();
            for (result, count) in [("ok", &counted.good), ("failed", &counted.failed)] {
                let labels = [("issuer", issuer.as_str()), ("result", result)];
                ConstCounter::new(count.load(Relaxed)).encode(fetches.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
