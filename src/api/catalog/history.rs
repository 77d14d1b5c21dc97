//! `GET /catalog/models/{id}/history`: every event of one model.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::pieces::JsonEvents;
use crate::{
    api::{
        auth::Caller,
        error::ApiError,
        query::{NoParameters, Parameters},
        request::ids,
    },
    catalog::Catalog,
    model::{
        event::{ChangeEvent, EventFilter},
        time::Timestamp,
    },
};

/// What an answer says beside its events.
#[derive(Serialize, ToSchema)]
#[schema(as = HistoryHead)]
struct HistoryAnswer<'a> {
    id: &'a str,
    /// Whether it is listed now.
    listed: bool,
    first_seen_at: Timestamp,
    /// The last listing that contained it.
    #[schema(required = true)]
    last_seen_at: Option<Timestamp>,
}

/// Everything that happened to one model.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the answer is made in pieces")]
struct History<'a> {
    #[serde(flatten)]
    head: HistoryAnswer<'a>,
    events: Vec<ChangeEvent>,
}

const PREFIX: &str = "/catalog/models/";

const SUFFIX: &str = "/history";

/// Every event of one model, whether or not it is still listed.
#[utoipa::path(
    get,
    path = "/catalog/models/{id}/history",
    tag = "catalog",
    operation_id = "getHistory",
    params(("id" = String, Path, description = "The model's id, raw or percent-encoded")),
    responses(
        (status = 200, description = "Its events", body = History),
        (status = 404, description = "It was never listed"),
    )
)]
pub async fn model_history(
    caller: Caller,
    State(catalog): State<Catalog>,
    uri: Uri,
    Parameters(NoParameters {}): Parameters<NoParameters>,
) -> Result<Response, ApiError> {
    let path = uri.path().strip_prefix(PREFIX).unwrap_or_default();
    let Some(raw) = path.strip_suffix(SUFFIX) else {
        return Err(ApiError::invalid(
            StatusCode::NOT_FOUND,
            "unknown_route",
            "No such route: a model's history is at /catalog/models/{id}/history.",
        ));
    };
    let current = catalog.current();
    let reader = Arc::new(current.visibility(caller.scope()));
    let ids = ids(Some(raw));
    for id in &ids {
        let models = reader.keys_of(id);
        let filter = EventFilter {
            models: Some(models.clone()),
            reader: reader.clone(),
            ..EventFilter::default()
        };
        let store = catalog.store().clone();
        let traces = async move { store.traces(&models).await };
        let traces = catalog.shared().costly.run(traces).await??;
        let first = traces.iter().filter_map(|trace| trace.first_event_at).min();
        let last = traces.iter().filter_map(|trace| trace.last_event.as_ref());
        let last = last.max_by_key(|last| last.revision);
        let (Some(first_seen_at), Some(last)) = (first, last) else {
            continue;
        };
        let listed_at = traces
            .iter()
            .filter(|trace| {
                trace
                    .row
                    .as_ref()
                    .is_some_and(|row| row.hidden_by.is_none())
            })
            .filter_map(|trace| current.find_source(&trace.source))
            .filter(|source| source.hidden.is_none())
            .filter_map(|source| source.polling.fetched_at)
            .max();
        let answer = HistoryAnswer {
            id,
            listed: listed_at.is_some(),
            first_seen_at,
            last_seen_at: listed_at.or(last.last_seen_at),
        };
        let reader = catalog.store().read_events(0, i64::MAX, &filter);
        let mut events = JsonEvents::new(catalog.clone(), reader);
        let first = events.first().await?;
        return events.answer(&answer, first);
    }
    let [_, decoded] = &ids;
    Err(ApiError::no_model(decoded))
}
