//! All trusted issuers.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

use super::{RefreshSettings, TrustedIssuer, TrustedIssuerSettings};
use crate::{
    clock::Clock,
    model::{Algorithm, foreign_prefix},
};

/// A key of a trusted issuer, as an operator may see it.
#[derive(Debug)]
pub struct TrustedKeyView {
    /// The issuer.
    pub issuer: String,
    /// The key's id; empty if it has none.
    pub key_id: String,
    /// What it verifies.
    pub algorithms: Vec<Algorithm>,
    /// Why it cannot be used.
    pub problem: Option<String>,
}

/// The issuers whose tokens stand for clients.
#[derive(Debug)]
pub struct TrustedIssuers {
    by_name: HashMap<String, Arc<TrustedIssuer>>,
    clock: Arc<dyn Clock>,
}

impl TrustedIssuers {
    /// Trusts these. No keys are there yet.
    pub fn new(issuers: Vec<TrustedIssuerSettings>, refresh: RefreshSettings, clock: Arc<dyn Clock>) -> Self {
        let by_name = issuers.into_iter().map(|settings| {
            (settings.issuer.clone(), TrustedIssuer::new(settings, refresh, Arc::clone(&clock)))
        });
        Self { by_name: by_name.collect(), clock }
    }

    /// The issuer of this name.
    pub(in crate::access) fn find(&self, issuer: &str) -> Option<&Arc<TrustedIssuer>> {
        self.by_name.get(issuer)
    }

    /// A subject of another issuer, as this issuer's own tokens name it: after the prefix that is set for that issuer, or else after
    /// the default one.
    pub(crate) fn local_subject(&self, issuer: &str, subject: &str) -> String {
        let set = self.find(issuer).and_then(|trusted| trusted.settings.subject_prefix.clone());
        set.unwrap_or_else(|| foreign_prefix(issuer)) + subject
    }

    /// Every key in memory, and those that cannot be used, by issuer.
    pub(in crate::access) fn keys(&self) -> Vec<TrustedKeyView> {
        let mut views = Vec::<TrustedKeyView>::new();
        for (issuer, trusted) in &self.by_name {
            let view = |key_id: &str, problem: Option<&str>| TrustedKeyView {
                issuer: issuer.clone(),
                key_id: key_id.chars().take(128).collect(),
                algorithms: Vec::new(),
                problem: problem.map(str::to_owned),
            };
            let Some(held) = trusted.held() else {
                views.push(view("", Some("the issuer's keys cannot be had; the log says why")));
                continue;
            };
            let first = views.len();
            for (key_id, algorithm) in held.keys.keys() {
                match views.iter_mut().skip(first).find(|view| view.key_id == key_id) {
                    Some(view) => view.algorithms.push(algorithm),
                    None => views.push(TrustedKeyView { algorithms: vec![algorithm], ..view(key_id, None) }),
                }
            }
            views.extend(held.keys.skipped().iter().map(|key| view(&key.key_id, Some(&key.problem))));
        }
        views.sort_by(|one, other| one.issuer.cmp(&other.issuer));
        views
    }

    /// Begins the fetches that are due, and waits for none.
    pub fn tend(&self) {
        self.by_name.values().for_each(TrustedIssuer::tend);
    }

    /// Resolves when no fetch is under way.
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
        let help = "Time since a trusted issuer's keys were fetched; absent while there are none";
        let name = "tokend_issuer_keys_age_seconds";
        let mut ages = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (issuer, state) in &self.by_name {
            if let Some(held) = state.held() {
                let age = self.clock.steady().since(held.time).as_secs();
                ConstGauge::new(age).encode(ages.encode_family(&[("issuer", issuer.as_str())])?)?;
            }
        }
        let help = "Keys of trusted issuers that cannot be used, with the reason: 1 each";
        let name = "tokend_issuer_skipped_keys";
        let mut skipped = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (issuer, state) in &self.by_name {
            for key in state.held().iter().flat_map(|held| held.keys.skipped()) {
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
