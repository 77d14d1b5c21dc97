//! What `GET /metrics` tells, in the OpenMetrics text format. What is counted is a field here; what
//! is known is read from the snapshot when it is asked for.

use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::{lock::verdict::Verdict, model::time::Timestamp, snapshot::Snapshot};

type Labels = Vec<(&'static str, String)>;

/// The counters.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Attempts at sources in this process, by outcome.
    fetches: Family<Labels, Counter>,
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

    /// Everything, as text.
    pub fn encode(
        &self,
        snapshot: &Snapshot,
        verdicts: &[Verdict],
        now: Timestamp,
    ) -> Result<String, std::fmt::Error> {
        let mut registry = Registry::with_prefix("model_catalog");
        registry.register(
            "fetches",
            "Attempts at sources in this process, by outcome",
            self.fetches.clone(),
        );
        let revision = Gauge::<i64>::default();
        revision.set(snapshot.revision);
        registry.register("revision", "The last revision", revision);

        let [models, age, failures, stale, hidden] =
            std::array::from_fn(|_| Family::<Labels, Gauge>::default());
        for source in snapshot.sources.iter().filter(|source| source.configured) {
            let labels = vec![("source", source.name.to_string())];
            let set = |family: &Family<Labels, Gauge>, value| {
                family.get_or_create(&labels).set(value);
            };
            set(&models, source.models);
            set(&failures, source.consecutive_failures);
            set(&hidden, i64::from(source.hidden_since.is_some()));
            set(
                &stale,
                i64::from(source.freshness(now) != crate::model::source::Freshness::Fresh),
            );
            if let Some(fetched_at) = source.fetched_at {
                set(&age, now.since(fetched_at).num_seconds());
            }
        }
        registry.register("models", "Models that a source lists", models);
        registry.register(
            "listing_age_seconds",
            "How long ago a source last gave its list",
            age,
        );
        registry.register(
            "consecutive_failures",
            "Failures since a source's last success",
            failures,
        );
        registry.register(
            "listing_stale",
            "1 where a source's listing is stale or missing",
            stale,
        );
        registry.register(
            "source_hidden",
            "1 where a source's models are not served",
            hidden,
        );

        let problems = Family::<Labels, Gauge>::default();
        for verdict in verdicts {
            for problem in &verdict.problems {
                let labels = vec![
                    ("model", verdict.id.clone()),
                    ("problem", problem.kind.as_str().to_owned()),
                ];
                problems.get_or_create(&labels).set(1);
            }
        }
        registry.register(
            "watched_model_problem",
            "1 where something is wrong with a watched model",
            problems,
        );
        let mut text = String::new();
        encode(&mut text, &registry)?;
        Ok(text)
    }
}
