//! Metrics of clients and call classes.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use super::{Admission, CallClass, ResultClass};
use crate::metrics::MetricsRegistry;

impl Admission {
    /// Registers calls and tokens by client, and the calls of each class that run and wait.
    pub fn register_metrics(&self, metrics: &mut MetricsRegistry) {
        let traffic = Arc::clone(&self.traffic);
        metrics.on_scrape(move |scrape| {
            let clients = traffic.series();
            let calls = clients.iter().flat_map(|(client_id, counts)| {
                ResultClass::ALL.map(|class| {
                    let labels = [("client_id", client_id.as_str()), ("result", class.name())];
                    (labels, counts.calls(class).load(Relaxed))
                })
            });
            let help =
                "Calls by client and result; clients beyond 1,000, and deleted clients, share a series";
            scrape.counters("tokend_client_calls", help, calls.filter(|(_, count)| *count > 0))?;
            let tokens = clients.iter().map(|(client_id, counts)| {
                ([("client_id", client_id.as_str())], counts.tokens.load(Relaxed))
            });
            let help = "Issued tokens by client; clients beyond 1,000, and deleted clients, share a series";
            scrape.counters("tokend_client_tokens_issued", help, tokens.filter(|(_, count)| *count > 0))
        });
        let limits = Arc::clone(&self.limits);
        metrics.on_scrape(move |scrape| {
            let classes = CallClass::ALL.map(|class| ([("lane", class.name())], limits.of(class).counts()));
            let running = classes.map(|(lane, (running, _, _))| (lane, running));
            scrape.gauges("tokend_lane_busy", "Running calls by class", running)?;
            let waiting = classes.map(|(lane, (_, waiting, _))| (lane, waiting));
            scrape.gauges("tokend_lane_waiting", "Calls that wait for a permit, by class", waiting)?;
            let refused = classes.map(|(lane, (_, _, refused))| (lane, refused));
            let help = "Calls that were refused because the queue of their class was full, by class";
            scrape.counters("tokend_lane_refused", help, refused)
        });
    }
}
