//! The registry behind `/metrics`.
//!
//! One per proxy and not one per process, so that tests may run many. The exporter's histograms keep every
//! sample until somebody looks (metrics-rs#467: 67 to 700 MiB while nobody scraped), so [`Registry::upkeep`]
//! must be called every few seconds.

use std::sync::Arc;

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::names::{self, Kind, Metric};

/// Where metrics are kept.
#[derive(Clone)]
pub struct Registry {
    recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
}

/// A millisecond to ten seconds: what a queue and a backend take.
const SECONDS: [f64; 14] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0];

impl Registry {
    /// An empty registry that knows every metric's description.
    pub fn new() -> Registry {
        let recorder =
            PrometheusBuilder::new().set_buckets(&SECONDS).expect("the buckets are not empty").build_recorder();
        for metric in names::ALL {
            let (name, tells) = (metric.name.into(), metric.tells.into());
            match metric.kind {
                Kind::Counter => recorder.describe_counter(name, None, tells),
                Kind::Gauge => recorder.describe_gauge(name, None, tells),
                Kind::Histogram => recorder.describe_histogram(name, None, tells),
            }
        }
        Registry { handle: recorder.handle(), recorder: Arc::new(recorder) }
    }

    /// A counter with these values of its labels, in the table's order.
    pub fn counter(&self, metric: Metric, values: &[&str]) -> Counter {
        self.recorder.register_counter(&key(metric, values), &METADATA)
    }

    /// A gauge with these values of its labels.
    pub fn gauge(&self, metric: Metric, values: &[&str]) -> Gauge {
        self.recorder.register_gauge(&key(metric, values), &METADATA)
    }

    /// A histogram with these values of its labels.
    pub fn histogram(&self, metric: Metric, values: &[&str]) -> Histogram {
        self.recorder.register_histogram(&key(metric, values), &METADATA)
    }

    /// Everything, as Prometheus reads it.
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Fold samples into their buckets.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

impl Default for Registry {
    fn default() -> Self {
        Registry::new()
    }
}

const METADATA: Metadata<'static> = Metadata::new("sluss", Level::INFO, None);

fn key(metric: Metric, values: &[&str]) -> Key {
    debug_assert_eq!(metric.labels.len(), values.len(), "{}", metric.name);
    let labels = metric.labels.iter().zip(values);
    Key::from_parts(metric.name, labels.map(|(name, value)| Label::new(*name, value.to_string())).collect::<Vec<_>>())
}
