//! Metrics: the registry, the counters and histograms that components hold, and what they are read with at a scrape.
//!
//! A component registers its metrics when it is made. It increments the handles that [`MetricsRegistry::counter`] and
//! [`MetricsRegistry::counters`] return, each with one atomic addition; what it knows anyway, a closure reads at each scrape
//! ([`MetricsRegistry::on_scrape`]).

use std::{
    array, fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

pub use prometheus_client::metrics::counter::Counter;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, MetricEncoder, NoLabelSet, text},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::{Registry, Unit},
};

/// All metrics of the process.
#[derive(Debug, Default)]
pub struct MetricsRegistry(Registry);

impl MetricsRegistry {
    /// Registers a counter without labels.
    pub fn counter(&mut self, name: &'static str, help: &'static str) -> Counter {
        let counter = Counter::default();
        let registered = counter.clone();
        self.on_scrape(move |scrape| scrape.counter(name, help, registered.get()));
        counter
    }

    /// Registers a counter for each value of a label. All are exposed from the start: a rate needs a first value.
    pub fn counters<const N: usize>(
        &mut self,
        name: &'static str,
        help: &'static str,
        label: &'static str,
        values: [&'static str; N],
    ) -> [Counter; N] {
        let counters: [Counter; N] = array::from_fn(|_| Counter::default());
        let registered = counters.clone();
        self.on_scrape(move |scrape| {
            let series = values.iter().zip(&registered);
            scrape.counters(name, help, series.map(|(value, counter)| ([(label, *value)], counter.get())))
        });
        counters
    }

    /// Registers metrics whose values `write` reads at each scrape.
    pub fn on_scrape(&mut self, write: impl Fn(&mut Scrape<'_>) -> fmt::Result + Send + Sync + 'static) {
        self.0.register_collector(Box::new(OnScrape(write)));
    }

    /// Writes all metrics in the OpenMetrics text format.
    ///
    /// # Errors
    /// When a value cannot be written.
    pub fn write(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.0)?;
        Ok(text)
    }
}

struct OnScrape<F>(F);

impl<F> fmt::Debug for OnScrape<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnScrape")
    }
}

impl<F: Fn(&mut Scrape<'_>) -> fmt::Result + Send + Sync + 'static> Collector for OnScrape<F> {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        (self.0)(&mut Scrape(encoder))
    }
}

/// Writes metrics at a scrape. Each metric is written once, with all its series.
#[derive(Debug)]
pub struct Scrape<'a>(DescriptorEncoder<'a>);

impl Scrape<'_> {
    /// Writes a counter without labels.
    pub fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        ConstCounter::new(value).encode(self.0.encode_descriptor(name, help, None, MetricType::Counter)?)
    }

    /// Writes a counter for each label set.
    pub fn counters<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in series {
            ConstCounter::new(value).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    /// Writes a gauge without labels.
    pub fn gauge(&mut self, name: &str, help: &str, value: impl TryInto<i64>) -> fmt::Result {
        gauge(value).encode(self.0.encode_descriptor(name, help, None, MetricType::Gauge)?)
    }

    /// Writes a gauge for each label set.
    pub fn gauges<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (L, impl TryInto<i64>)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in series {
            gauge(value).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    /// Writes a histogram for each label set, without those that are empty. The exposed name ends in `_seconds`.
    pub fn durations<'d, L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (L, &'d Durations)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
        for (labels, durations) in series.into_iter().filter(|(_, durations)| !durations.is_empty()) {
            durations.encode(&mut family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

fn gauge(value: impl TryInto<i64>) -> ConstGauge<i64> {
    ConstGauge::new(value.try_into().unwrap_or(i64::MAX))
}

/// Upper bounds of the buckets in seconds: from 50 us, for a cached verification, to 10 s, the longest call.
pub const SECONDS: [f64; 15] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 2.5, 10.0,
];

/// A histogram of durations, made of plain atomics: the one of `prometheus-client` takes a lock for each observation, which
/// every call of every method would share. A scrape may see an observation in part.
#[derive(Debug, Default)]
pub struct Durations {
    buckets: [AtomicU64; SECONDS.len() + 1],
    nanoseconds: AtomicU64,
}

impl Durations {
    /// Adds a duration.
    pub fn observe(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = SECONDS.partition_point(|bound| *bound < seconds);
        if let Some(count) = self.buckets.get(bucket) {
            count.fetch_add(1, Relaxed);
        }
        self.nanoseconds.fetch_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Number of durations.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|count| count.load(Relaxed)).sum()
    }

    /// Whether it has no durations.
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// Writes it in the exposition format.
    pub fn encode(&self, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
        let bounds = SECONDS.iter().copied().chain([f64::INFINITY]);
        let counts: Vec<(f64, u64)> =
            bounds.zip(&self.buckets).map(|(bound, count)| (bound, count.load(Relaxed))).collect();
        let total = counts.iter().map(|(_, count)| count).sum();
        #[expect(clippy::cast_precision_loss, reason = "a sum of seconds for a graph")]
        let sum = self.nanoseconds.load(Relaxed) as f64 / 1e9;
        encoder.encode_histogram::<NoLabelSet>(sum, total, &counts, None)
    }
}
