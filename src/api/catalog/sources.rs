//! `GET /catalog/sources`: the state of each source.

use axum::{extract::State, response::Response};
use serde::Serialize;
use utoipa::{
    ToSchema,
    openapi::schema::{Object, ObjectBuilder, Type},
};

use crate::{
    api::{
        auth::Caller,
        costly::costly,
        error::ApiError,
        query::{NoParameters, Parameters},
        response::no_store,
    },
    catalog::{
        Catalog, InForce, NO_SOURCE, current::Current, health::Restarts, shared::DatabaseError,
    },
    config::Unconfigured,
    model::{
        listing::Skipped,
        source::{Freshness, Kind, Role, SourceName},
        state::{Damped, EnrichmentState, Held, LastError, SourceState},
        time::Timestamp,
    },
};

#[derive(Serialize, ToSchema)]
#[schema(as = Sources)]
struct SourcesAnswer<'a> {
    revision: i64,
    sources: Vec<SourceAnswer<'a>>,
    /// The enrichment file, which fills in the fields that sources omit.
    #[serde(skip_serializing_if = "Option::is_none")]
    enrichment: Option<&'a EnrichmentState>,
    /// Why the database cannot be written at the moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    database_error: Option<&'a DatabaseError>,
    /// What to set when no source is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

/// How one source is doing, as its caller may know it.
#[derive(Serialize, ToSchema)]
#[schema(as = Source)]
pub struct SourceAnswer<'a> {
    /// Its name.
    pub name: &'a SourceName,
    /// Its list API.
    pub kind: Kind,
    /// Provider or endpoint.
    pub role: Role,
    /// Its state in one word; see [`state_of`].
    #[schema(schema_with = state_words)]
    pub state: &'static str,
    /// The number of its models that the caller may see.
    pub models: i64,
    /// The last success.
    #[schema(required = true)]
    pub fetched_at: Option<Timestamp>,
    /// The last attempt.
    #[schema(required = true)]
    pub attempted_at: Option<Timestamp>,
    /// The next scheduled attempt.
    #[schema(required = true)]
    pub next_attempt_at: Option<Timestamp>,
    /// How long a listing is fresh, in seconds.
    #[schema(required = true)]
    pub ttl_secs: Option<i64>,
    /// Failures since the last success.
    pub consecutive_failures: i64,
    /// The error of the last attempt.
    #[schema(required = true)]
    pub error: Option<&'a LastError>,
    /// Since when its models are not served.
    #[schema(required = true)]
    pub hidden_since: Option<Timestamp>,
    /// The suspicious listing that waits for confirmation.
    #[schema(required = true)]
    pub held: Option<Held>,
    /// The unusable entries of the last listing; absent when it had none, and for keys that see
    /// only some models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<&'a Skipped>,
    /// The models whose changes wait, because they go back and forth; absent without any, and for keys
    /// that see only some models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub damped: Option<&'a Damped>,
    /// Why this process does not ask it: another process has configured it otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configured_elsewhere: Option<String>,
    /// Since when it is due, when it was not asked for three of its intervals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overdue_since: Option<Timestamp>,
    /// The restarts of its task, which panicked, hung or ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restarts: Option<Restarts>,
    /// What to set for a well-known provider that is not configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<&'a str>,
}

impl<'a> SourceAnswer<'a> {
    fn of(source: &'a SourceState, models: i64, hint: Option<&'a str>, now: Timestamp) -> Self {
        let polling = &source.polling;
        Self {
            name: &source.name,
            kind: source.kind,
            role: source.role,
            state: state_of(source, now),
            models,
            fetched_at: polling.fetched_at,
            attempted_at: polling.attempted_at,
            next_attempt_at: polling.next_attempt_at.filter(|_| source.configured),
            ttl_secs: Some(polling.ttl_secs),
            consecutive_failures: polling.consecutive_failures,
            error: polling.error.as_ref(),
            hidden_since: source.hidden_since(),
            held: source.held.clone(),
            skipped: source.skipped.as_ref(),
            damped: source.damped.as_ref().filter(|damped| damped.until > now),
            configured_elsewhere: None,
            overdue_since: None,
            restarts: None,
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
            skipped: None,
            damped: None,
            configured_elsewhere: None,
            overdue_since: None,
            restarts: None,
            hint: Some(hint),
        }
    }
}

/// The words that [`state_of`] has.
pub fn state_words() -> Object {
    let words = [
        "fresh",
        "stale",
        "missing",
        "hidden",
        "gone",
        "unconfigured",
    ];
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(words))
        .build()
}

/// The state of `source` at `now`, in one word.
pub fn state_of(source: &SourceState, now: Timestamp) -> &'static str {
    match source.freshness(now) {
        _ if !source.configured => "unconfigured",
        _ if source.is_gone() => "gone",
        _ if source.hidden.is_some() => "hidden",
        Freshness::Fresh => "fresh",
        Freshness::Stale => "stale",
        Freshness::Missing => "missing",
    }
}

/// How each source is doing, in list order, followed by well-known providers that are not configured.
#[utoipa::path(
    get,
    path = "/catalog/sources",
    tag = "catalog",
    operation_id = "listSources",
    responses((status = 200, description = "The sources that the caller may see", body = SourcesAnswer))
)]
pub async fn sources(
    caller: Caller,
    State(catalog): State<Catalog>,
    Parameters(NoParameters {}): Parameters<NoParameters>,
) -> Result<Response, ApiError> {
    if caller.scope().has_all_models() {
        return answer(&caller, &catalog);
    }
    // The models that the caller may see are counted.
    let made = {
        let catalog = catalog.clone();
        async move { answer(&caller, &catalog) }
    };
    costly(&catalog, made).await
}

fn answer(caller: &Caller, catalog: &Catalog) -> Result<Response, ApiError> {
    let (current, in_force) = (catalog.current(), catalog.in_force());
    let sources = list(caller, catalog, &current, &in_force)?;
    let database_error = catalog.database_error();
    let has_none = caller.scope().is_all() && !is_any_configured(&sources);
    Ok(no_store(SourcesAnswer {
        revision: current.snapshot.revision,
        sources,
        enrichment: current.sources.enrichment.as_ref(),
        database_error: database_error.as_deref(),
        hint: has_none.then_some(NO_SOURCE),
    }))
}

/// Whether the settings have any of `sources`.
pub fn is_any_configured(sources: &[SourceAnswer<'_>]) -> bool {
    sources.iter().any(|source| source.state != "unconfigured")
}

/// How each source of `current` is doing that the `caller` may see, in list order, and then the
/// well-known providers that are not configured. Costly for callers who see only some models.
pub fn list<'a>(
    caller: &Caller,
    catalog: &Catalog,
    current: &'a Current,
    in_force: &'a InForce,
) -> Result<Vec<SourceAnswer<'a>>, ApiError> {
    let (scope, now) = (caller.scope(), catalog.now());
    let unconfigured: Vec<&Unconfigured> = in_force
        .unconfigured
        .iter()
        .filter(|other| scope.allows_source(other.name.as_str()))
        .collect();
    let hint_for = |name: &SourceName| {
        unconfigured
            .iter()
            .find(|other| other.name == *name)
            .map(|other| other.hint.as_str())
    };
    let (health, counts) = (catalog.health(), &current.snapshot.counts);
    let overdue = health.overdue();
    let states = current.sources.states.iter();
    let mut sources: Vec<SourceAnswer> = states
        .filter(|source| scope.allows_source(source.name.as_str()))
        .map(|source| {
            let models = counts.get(&source.name).copied().unwrap_or(0);
            SourceAnswer {
                configured_elsewhere: catalog.elsewhere(source),
                overdue_since: overdue.get(&source.name).copied(),
                restarts: health.of_source(&source.name),
                ..SourceAnswer::of(source, models, hint_for(&source.name), now)
            }
        })
        .collect();
    if !scope.has_all_models() {
        let seen = caller.sees(&current.snapshot)?;
        let listed = seen.count_listed();
        for source in &mut sources {
            source.models = listed.get(source.name).copied().unwrap_or(0);
            source.skipped = None;
            source.damped = None;
            if let Some(restarts) = &mut source.restarts {
                restarts.message = None;
            }
            if let Some(held) = &mut source.held {
                held.restrict();
            }
        }
    }
    for other in unconfigured {
        if current.find_source(&other.name).is_none() {
            sources.push(SourceAnswer::unconfigured(
                &other.name,
                other.kind,
                &other.hint,
            ));
        }
    }
    Ok(sources)
}
