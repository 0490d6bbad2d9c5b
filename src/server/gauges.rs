//! Metrics of the state in memory, read at each scrape.

use super::state::State;
use crate::metrics::MetricsRegistry;

impl State {
    /// Registers the metrics of the keys, rows, revocations, clock, trusted issuers and watching verifiers, and the build.
    pub(super) fn register_metrics(&self, metrics: &mut MetricsRegistry) {
        self.issuers.register_metrics(metrics);
        let state = self.clone();
        metrics.on_scrape(move |scrape| {
            let ages = state.ring.ages();
            let ages = ages.iter().map(|(key_id, algorithm, age)| {
                ([("key_id", key_id.as_str()), ("algorithm", algorithm.name())], age.as_secs())
            });
            scrape.gauges("tokend_key_age_seconds", "Time since each key was made", ages)?;
            let keys = state.ring.usability();
            let usable =
                keys.iter().map(|(key_id, problem)| ([("key_id", key_id.as_str())], problem.is_none()));
            let help = "Whether this replica can use each key as it should";
            scrape.gauges("tokend_key_usable", help, usable)?;
            let lookups = state.ring.lookups();
            let help = "Calls that wait for a look-up of a key in the store";
            scrape.gauge("tokend_key_lookups_waiting", help, lookups.waiting)?;
            let ended = [([("result", "ok")], lookups.succeeded), ([("result", "failed")], lookups.failed)];
            let help = "Look-ups in the store for keys that are not in memory, by result";
            scrape.counters("tokend_key_lookups", help, ended)?;
            let help = "Time since the keys in memory were known to be the store's";
            scrape.gauge("tokend_view_age_seconds", help, state.ring.view_age().as_secs())?;

            let tables =
                [("signing_keys", state.ring.row_counts()), ("clients", state.directory.row_counts())];
            let untrusted = tables.map(|(table, (untrusted, _))| ([("table", table)], untrusted));
            let help = "Stored rows that fail their check and are not used";
            scrape.gauges("tokend_rows_untrusted", help, untrusted)?;
            let unsigned = tables.map(|(table, (_, unsigned))| ([("table", table)], unsigned));
            scrape.gauges("tokend_rows_unsigned", "Stored rows in use without a valid MAC", unsigned)?;

            let live = state.revocations.live();
            let live = live.map(|(kind, count)| ([("target", kind.name())], count));
            let help = "Revocations in memory that have not expired, by what they name";
            scrape.gauges("tokend_revocations", help, live)?;
            let help = "Memory that the revocations take";
            scrape.gauge("tokend_revocations_memory_bytes", help, state.revocations.bytes())?;
            let help = "Time since the revocations in memory were known to be the store's";
            scrape.gauge("tokend_revocations_view_age_seconds", help, state.revocations.age().as_secs())?;

            let help = "Whether the clock is trusted: without, keys do not rotate";
            scrape.gauge("tokend_clock_trusted", help, state.guard.now().is_some())?;
            let help = "Verifiers that watch the trust bundle at this replica";
            scrape.gauge("tokend_verifiers", help, state.verifiers.count())?;
            let build = [([("version", env!("CARGO_PKG_VERSION"))], 1)];
            scrape.gauges("tokend_build_info", "What is running", build)
        });
    }
}
