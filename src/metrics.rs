//! The metrics of `GET /metrics`, in the OpenMetrics text format. One field per metric; its doc
//! comment is the help text.

use std::{
    collections::HashSet,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::{Family, MetricConstructor},
        gauge::Gauge,
        histogram::Histogram,
    },
    registry::{Metric, Registry},
};

/// The labels of a metric.
pub type Labels = Vec<(&'static str, String)>;

/// The labels of a counted request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    route: &'static str,
    status: u16,
}

/// The labels of a timed request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RouteLabel {
    route: &'static str,
}

/// Histograms of seconds, with these upper bounds of their buckets.
#[derive(Clone, Debug)]
pub struct Seconds(&'static [f64]);

impl MetricConstructor<Histogram> for Seconds {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

/// From a list that is ready to one that is asked for at every provider.
const REQUEST_BUCKETS: Seconds = Seconds(&[0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0]);
/// Up to the time limit of a fetch.
const FETCH_BUCKETS: Seconds = Seconds(&[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]);

/// Declares a struct of metrics and registers each field under its name, with its doc comment as
/// the help text.
macro_rules! metrics {
    ($(#[$outer:meta])* $name:ident { $(#[doc = $help:literal] $field:ident: $type:ty $(= $value:expr)?,)+ }) => {
        $(#[$outer])*
        #[derive(Clone, Debug)]
        pub struct $name {
            $(#[doc = $help] pub $field: $type,)+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: metrics!(@value $($value)?),)+ }
            }
        }

        impl $name {
            fn register(self, registry: &mut Registry) {
                $(register(registry, stringify!($field), $help, self.$field);)+
            }
        }
    };
    (@value) => { Default::default() };
    (@value $value:expr) => { $value };
}

metrics! {
    /// Counted in this process.
    Counted {
        /// Attempts at sources in this process, by outcome
        fetches: Family<Labels, Counter>,
        /// Failed attempts at sources in this process, by kind of error
        fetch_failures: Family<Labels, Counter>,
        /// How long attempts at sources took in this process
        fetch_duration_seconds: Family<Labels, Histogram, Seconds> = Family::new_with_constructor(FETCH_BUCKETS),
        /// Models that this process saw come, change, go and return
        model_events: Family<Labels, Counter>,
        /// Requests that this process answered
        http_requests: Family<RequestLabels, Counter>,
        /// How long this process took to begin an answer
        http_request_duration_seconds: Family<RouteLabel, Histogram, Seconds> = Family::new_with_constructor(REQUEST_BUCKETS),
        /// How often this process read its settings again, by outcome
        config_reloads: Family<Labels, Counter>,
        /// When this process last read settings that it could use, in Unix time
        config_last_success_timestamp_seconds: Gauge,
        /// How often this process made the list anew
        snapshot_builds: Counter,
        /// Restarts of a background task that panicked, hung or ended
        task_restarts: Family<Labels, Counter>,
        /// Revisions that a webhook has yet to receive or skip
        webhook_lag_revisions: Family<Labels, Gauge>,
    }
}

metrics! {
    /// Sampled at the time of a scrape.
    Gauges {
        /// 1, with the version of the service
        build_info: Family<Labels, Gauge>,
        /// The last revision
        revision: Gauge,
        /// Models that a source lists
        models: Family<Labels, Gauge>,
        /// How long ago a source last gave its list
        listing_age_seconds: Family<Labels, Gauge>,
        /// When a source last gave its list, in Unix time
        last_success_timestamp_seconds: Family<Labels, Gauge>,
        /// Models of a source whose changes wait, because they go back and forth
        damped_models: Family<Labels, Gauge>,
        /// Failures since a source's last success
        consecutive_failures: Family<Labels, Gauge>,
        /// 1 where a source's listing is stale or missing
        listing_stale: Family<Labels, Gauge>,
        /// 1 where a source's last answer is held until another confirms it
        held_listings: Family<Labels, Gauge>,
        /// 1 where a source is due and was not asked for three of its intervals
        source_overdue: Family<Labels, Gauge>,
        /// 1 where a source's models are not served
        source_hidden: Family<Labels, Gauge>,
        /// Entries of a source's last listing that could not be used
        skipped_entries: Family<Labels, Gauge>,
        /// Size of the database with its log
        database_size_bytes: Gauge,
        /// Lines of the log that could not be written
        log_lines_lost: Counter,
        /// Models that are watched
        watched_models: Gauge,
        /// 1 where something is wrong with a watched model
        watched_model_problem: Family<Labels, Gauge>,
    }
}

fn register(registry: &mut Registry, name: &str, help: &str, metric: impl Metric) {
    registry.register(name, help.trim(), metric);
}

/// The metrics of a process.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    counted: Counted,
    /// The names of the routes that were asked for. There are as many as the router has.
    routes: Arc<RwLock<HashSet<&'static str>>>,
}

impl Metrics {
    /// Counts an attempt at `source` that took `duration`.
    pub fn count_fetch(&self, source: &str, outcome: &'static str, duration: Duration) {
        let of_source = vec![("source", source.to_owned())];
        let durations = &self.counted.fetch_duration_seconds;
        durations
            .get_or_create(&of_source)
            .observe(duration.as_secs_f64());
        let labels = [of_source, vec![("outcome", outcome.to_owned())]].concat();
        self.counted.fetches.get_or_create(&labels).inc();
    }

    /// Counts an error of `source`.
    pub fn count_failure(&self, source: &str, kind: &'static str) {
        let labels = vec![("source", source.to_owned()), ("kind", kind.to_owned())];
        self.counted.fetch_failures.get_or_create(&labels).inc();
    }

    /// Counts `count` models that an `event` was about.
    pub fn count_events(&self, event: &'static str, count: u64) {
        let labels = vec![("event", event.to_owned())];
        self.counted
            .model_events
            .get_or_create(&labels)
            .inc_by(count);
    }

    /// Counts an answer to a request for `route`, begun after `duration`.
    pub fn count_request(&self, route: &str, status: u16, duration: Duration) {
        let route = self.route(route);
        let counted = &self.counted;
        let labels = RequestLabels { route, status };
        counted.http_requests.get_or_create(&labels).inc();
        let durations = &counted.http_request_duration_seconds;
        durations
            .get_or_create(&RouteLabel { route })
            .observe(duration.as_secs_f64());
    }

    /// The same name for the life of the process.
    fn route(&self, name: &str) -> &'static str {
        let known = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(route) = known.get(name) {
            return route;
        }
        drop(known);
        let route: &'static str = String::leak(name.to_owned());
        let mut known = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(route);
        route
    }

    /// Counts settings that were read again.
    pub fn count_reload(&self, outcome: &'static str) {
        let labels = vec![("outcome", outcome.to_owned())];
        self.counted.config_reloads.get_or_create(&labels).inc();
    }

    /// Says that the settings in force were read in the second `seconds` of Unix time.
    pub fn set_settings_read(&self, seconds: i64) {
        let last = &self.counted.config_last_success_timestamp_seconds;
        last.set(seconds);
    }

    /// Counts a snapshot that was built.
    pub fn count_build(&self) {
        self.counted.snapshot_builds.inc();
    }

    /// Counts a restart of `task`.
    pub fn count_restart(&self, task: &str) {
        let labels = vec![("task", task.to_owned())];
        self.counted.task_restarts.get_or_create(&labels).inc();
    }

    /// Says that `webhook` has yet to receive or skip `revisions`.
    pub fn set_webhook_lag(&self, webhook: &str, revisions: i64) {
        let labels = vec![("webhook", webhook.to_owned())];
        let lag = &self.counted.webhook_lag_revisions;
        lag.get_or_create(&labels).set(revisions);
    }

    /// Encodes these metrics and `gauges` as text.
    pub fn encode(&self, gauges: Gauges) -> Result<String, std::fmt::Error> {
        let mut registry = Registry::with_prefix("model_catalog");
        self.counted.clone().register(&mut registry);
        gauges.register(&mut registry);
        let mut text = String::new();
        encode(&mut text, &registry)?;
        Ok(text)
    }
}
