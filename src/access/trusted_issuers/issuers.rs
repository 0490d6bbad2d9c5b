//! All trusted issuers.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use super::{KeysUnavailable, RefreshSettings, TrustedIssuer, TrustedIssuerSettings};
use crate::{
    access::jwt::{UnverifiedJwt, VerifiedJwt},
    clock::Clock,
    metrics::MetricsRegistry,
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

    /// Registers the age of each issuer's keys, the keys that cannot be used, and the fetches.
    pub fn register_metrics(self: &Arc<Self>, metrics: &mut MetricsRegistry) {
        if self.by_name.is_empty() {
            return;
        }
        let issuers = Arc::clone(self);
        metrics.on_scrape(move |scrape| {
            let keys = || {
                let states = issuers.by_name.iter();
                states.filter_map(|(issuer, state)| Some((issuer.as_str(), state.keys_in_memory()?)))
            };
            let now = issuers.clock.steady();
            let ages =
                keys().map(|(issuer, keys)| ([("issuer", issuer)], now.since(keys.fetch_time).as_secs()));
            let help = "Age of a trusted issuer's keys; absent without keys";
            scrape.gauges("tokend_issuer_keys_age_seconds", help, ages)?;
            let skipped = keys().flat_map(|(issuer, keys)| {
                let labels = keys.set.skipped().iter().map(|key| {
                    [
                        ("issuer", issuer.to_owned()),
                        ("key_id", key.key_id.clone()),
                        ("problem", key.problem.clone()),
                    ]
                });
                labels.map(|labels| (labels, 1)).collect::<Vec<_>>()
            });
            let help = "Unusable keys of trusted issuers, with the reason: 1 each";
            scrape.gauges("tokend_issuer_skipped_keys", help, skipped)?;
            let fetches = issuers.by_name.iter().flat_map(|(issuer, state)| {
                let fetches = state.fetches();
                [("ok", &fetches.good), ("failed", &fetches.failed)].map(|(result, count)| {
                    ([("issuer", issuer.as_str()), ("result", result)], count.load(Relaxed))
                })
            });
            scrape.counters("tokend_issuer_fetches", "Fetches of trusted issuers' keys, by result", fetches)
        });
    }
}
