//! `/catalog/…`: how each source is doing, and asking them now.

use axum::{
    Json,
    extract::State,
    http::header,
    response::{AppendHeaders, IntoResponse, Response},
};
use serde::Serialize;

use crate::{
    api::{
        auth::Caller,
        error::ApiError,
        query::{NoParameters, Parameters},
    },
    catalog::{Catalog, NO_SOURCE, shared::DatabaseError},
    config::Unconfigured,
    model::{
        source::{Freshness, Kind, Role, SourceName},
        state::{EnrichmentState, Held, LastError, SourceState},
        time::Timestamp,
    },
};

#[derive(Serialize)]
struct SourcesAnswer<'a> {
    revision: i64,
    sources: Vec<SourceAnswer<'a>>,
    /// The file that fills in what sources do not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    enrichment: Option<&'a EnrichmentState>,
    /// Why nothing can be stored at present.
    #[serde(skip_serializing_if = "Option::is_none")]
    database_error: Option<&'a DatabaseError>,
    /// What to set, when nothing is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

#[derive(Serialize)]
struct SourceAnswer<'a> {
    name: &'a SourceName,
    kind: Kind,
    role: Role,
    state: &'static str,
    models: i64,
    fetched_at: Option<Timestamp>,
    attempted_at: Option<Timestamp>,
    next_attempt_at: Option<Timestamp>,
    ttl_secs: Option<i64>,
    consecutive_failures: i64,
    error: Option<&'a LastError>,
    hidden_since: Option<Timestamp>,
    held: Option<Held>,
    /// What to set, for a well-known provider that is not configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

impl<'a> SourceAnswer<'a> {
    fn of(source: &'a SourceState, hint: Option<&'a str>, now: Timestamp) -> Self {
        Self {
            name: &source.name,
            kind: source.kind,
            role: source.role,
            state: state_of(source, now),
            models: source.models,
            fetched_at: source.fetched_at,
            attempted_at: source.attempted_at,
            next_attempt_at: source.next_attempt_at.filter(|_| source.configured),
            ttl_secs: Some(source.ttl_secs),
            consecutive_failures: source.consecutive_failures,
            error: source.error.as_ref(),
            hidden_since: source.hidden_since,
            held: source.held.clone(),
            hint,
        }
    }

    fn unconfigured(name: &'a SourceName, kind: Kind, hint: &'a str) -> Self {
        Self {
            name,
            kind,
            role: Role::Provider,
            state: "unconfigured",
            models: 0,
            fetched_at: None,
            attempted_at: None,
            next_attempt_at: None,
            ttl_secs: None,
            consecutive_failures: 0,
            error: None,
            hidden_since: None,
            held: None,
            hint: Some(hint),
        }
    }
}

/// How `source` is doing at `now`, in one word.
pub fn state_of(source: &SourceState, now: Timestamp) -> &'static str {
    match source.freshness(now) {
        _ if !source.configured => "unconfigured",
        _ if source.hidden_since.is_some() => "hidden",
        Freshness::Fresh => "fresh",
        Freshness::Stale => "stale",
        Freshness::Missing => "missing",
    }
}

/// Every source that the caller may see, in the order of the list; then the well-known providers that
/// could be set.
pub async fn sources(
    caller: Caller,
    State(catalog): State<Catalog>,
    Parameters(NoParameters {}): Parameters<NoParameters>,
) -> Result<Response, ApiError> {
    let (scope, now) = (caller.scope(), catalog.now());
    let snapshot = caller.sees(catalog.current())?;
    let unconfigured: Vec<&Unconfigured> = catalog
        .unconfigured()
        .iter()
        .filter(|other| scope.allows_source(other.name.as_str()))
        .collect();
    let hint_for = |name: &SourceName| {
        unconfigured
            .iter()
            .find(|other| other.name == *name)
            .map(|other| other.hint.as_str())
    };
    let mut sources: Vec<SourceAnswer> = snapshot
        .sources
        .iter()
        .map(|source| SourceAnswer::of(source, hint_for(&source.name), now))
        .collect();
    if !scope.has_all_models() {
        for source in &mut sources {
            source.models = snapshot.count_models(source.name);
            if let Some(held) = &mut source.held {
                held.models = None;
            }
        }
    }
    for other in unconfigured {
        if snapshot.find_source(&other.name).is_none() {
            sources.push(SourceAnswer::unconfigured(
                &other.name,
                other.kind,
                &other.hint,
            ));
        }
    }
    let database_error = catalog.database_error();
    let any = snapshot.sources.iter().any(|source| source.configured);
    let answer = SourcesAnswer {
        revision: snapshot.revision,
        sources,
        enrichment: snapshot.enrichment.as_ref(),
        database_error: database_error.as_deref(),
        hint: (!any && scope.is_all()).then_some(NO_SOURCE),
    };
    Ok((
        AppendHeaders([(header::CACHE_CONTROL, "no-store")]),
        Json(answer),
    )
        .into_response())
}
