//! The metrics of `GET /metrics`, in the OpenMetrics text format. One field per metric; its doc
//! comment is the help text.

use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Metric, Registry},
};

/// The labels of a metric.
pub type Labels = Vec<(&'static str, String)>;

/// Declares a struct of metrics and registers each field under its name, with its doc comment as
/// the help text.
macro_rules! metrics {
    ($(#[$outer:meta])* $name:ident { $(#[doc = $help:literal] $field:ident: $type:ty,)+ }) => {
        $(#[$outer])*
        #[derive(Clone, Debug, Default)]
        pub struct $name {
            $(#[doc = $help] pub $field: $type,)+
        }

        impl $name {
            fn register(self, registry: &mut Registry) {
                $(register(registry, stringify!($field), $help, self.$field);)+
            }
        }
    };
}

metrics! {
    /// Counted in this process.
    Metrics {
        /// Attempts at sources in this process, by outcome
        fetches: Family<Labels, Counter>,
        /// Restarts of a background task that panicked, hung or ended
        task_restarts: Family<Labels, Counter>,
    }
}

metrics! {
    /// Sampled at the time of a scrape.
    Gauges {
        /// The last revision
        revision: Gauge,
        /// Models that a source lists
        models: Family<Labels, Gauge>,
        /// How long ago a source last gave its list
        listing_age_seconds: Family<Labels, Gauge>,
        /// Failures since a source's last success
        consecutive_failures: Family<Labels, Gauge>,
        /// 1 where a source's listing is stale or missing
        listing_stale: Family<Labels, Gauge>,
        /// 1 where a source is due and was not asked for three of its intervals
        source_overdue: Family<Labels, Gauge>,
        /// 1 where a source's models are not served
        source_hidden: Family<Labels, Gauge>,
        /// Entries of a source's last listing that could not be used
        skipped_entries: Family<Labels, Gauge>,
        /// Lines of the log that could not be written
        log_lines_lost: Counter,
        /// 1 where something is wrong with a watched model
        watched_model_problem: Family<Labels, Gauge>,
    }
}

fn register(registry: &mut Registry, name: &str, help: &str, metric: impl Metric) {
    registry.register(name, help.trim(), metric);
}

impl Metrics {
    /// Counts an attempt at `source`.
    pub fn count_fetch(&self, source: &str, outcome: &'static str) {
        let labels = vec![
            ("source", source.to_owned()),
            ("outcome", outcome.to_owned()),
        ];
        self.fetches.get_or_create(&labels).inc();
    }

    /// Counts a restart of `task`.
    pub fn count_restart(&self, task: &str) {
        let labels = vec![("task", task.to_owned())];
        self.task_restarts.get_or_create(&labels).inc();
    }

    /// Encodes these metrics and `gauges` as text.
    pub fn encode(&self, gauges: Gauges) -> Result<String, std::fmt::Error> {
        let mut registry = Registry::with_prefix("model_catalog");
        self.clone().register(&mut registry);
        gauges.register(&mut registry);
        let mut text = String::new();
        encode(&mut text, &registry)?;
        Ok(text)
    }
}
