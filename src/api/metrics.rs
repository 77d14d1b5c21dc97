//! `GET /metrics`: counters, and the state of each source.

use axum::{
    extract::State,
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use prometheus_client::metrics::{family::Family, gauge::Gauge};

use super::{auth::Unrestricted, error::ApiError};
use crate::{
    catalog::Catalog,
    log,
    metrics::{Gauges, Labels},
    model::source::Freshness,
};

/// All metrics in the OpenMetrics text format.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "operations",
    operation_id = "getMetrics",
    responses(
        (status = 200, description = "The metrics", body = String, content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8"),
    )
)]
pub async fn metrics(
    _: Unrestricted,
    State(catalog): State<Catalog>,
) -> Result<Response, ApiError> {
    let gauges = gauges(&catalog);
    let text = catalog
        .shared()
        .metrics
        .encode(gauges)
        .map_err(|error| ApiError::unwritable(&error))?;
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(CONTENT_TYPE, content_type)], text).into_response())
}

fn gauges(catalog: &Catalog) -> Gauges {
    let (current, now) = (catalog.current(), catalog.now());
    let verdicts = catalog.verdicts(&current);
    let gauges = Gauges::default();
    let version = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
    gauges.build_info.get_or_create(&version).set(1);
    gauges.revision.set(current.snapshot.revision);
    let size = catalog.store().size_bytes();
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    gauges.database_size_bytes.set(size);
    let watched = i64::try_from(verdicts.len()).unwrap_or(i64::MAX);
    gauges.watched_models.set(watched);
    gauges.log_lines_lost.inc_by(log::lines_lost());
    let overdue = catalog.health().overdue();
    let states = current.sources.states.iter();
    for source in states.filter(|source| source.configured) {
        let labels: Labels = vec![("source", source.name.to_string())];
        let set = |family: &Family<Labels, Gauge>, value| {
            family.get_or_create(&labels).set(value);
        };
        let counts = &current.snapshot.counts;
        set(
            &gauges.models,
            counts.get(&source.name).copied().unwrap_or(0),
        );
        set(
            &gauges.consecutive_failures,
            source.polling.consecutive_failures,
        );
        set(
            &gauges.source_overdue,
            i64::from(overdue.contains_key(&source.name)),
        );
        set(&gauges.source_hidden, i64::from(source.hidden.is_some()));
        set(&gauges.held_listings, i64::from(source.held.is_some()));
        let skipped = source.skipped.as_ref().map_or(0, |skipped| skipped.count);
        set(
            &gauges.skipped_entries,
            i64::try_from(skipped).unwrap_or(i64::MAX),
        );
        let damped = source.damped.as_ref().filter(|damped| damped.until > now);
        let damped = damped.map_or(0, |damped| damped.count);
        set(
            &gauges.damped_models,
            i64::try_from(damped).unwrap_or(i64::MAX),
        );
        let is_stale = source.freshness(now) != Freshness::Fresh;
        set(&gauges.listing_stale, i64::from(is_stale));
        if let Some(fetched_at) = source.polling.fetched_at {
            let age = now.since(fetched_at).num_seconds();
            set(&gauges.listing_age_seconds, age);
            let seconds = fetched_at.unix_seconds();
            set(&gauges.last_success_timestamp_seconds, seconds);
        }
    }
    for verdict in &verdicts {
        for problem in &verdict.problems {
            let labels = vec![
                ("model", verdict.id.clone()),
                ("problem", problem.kind.as_str().to_owned()),
            ];
            gauges.watched_model_problem.get_or_create(&labels).set(1);
        }
    }
    gauges
}
