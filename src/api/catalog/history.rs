//! `GET /catalog/models/{id}/history`: every event of one model.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};
use serde::Serialize;

use crate::{
    api::{
        auth::Caller,
        error::ApiError,
        query::{NoParameters, Parameters},
        request::ids,
        response::no_store,
    },
    catalog::Catalog,
    model::{
        event::{ChangeEvent, EventFilter},
        time::Timestamp,
    },
};

#[derive(Serialize)]
struct HistoryAnswer<'a> {
    id: &'a str,
    /// Whether it is listed now.
    listed: bool,
    first_seen_at: Timestamp,
    /// The last listing that contained it.
    last_seen_at: Option<Timestamp>,
    events: &'a [ChangeEvent],
}

const PREFIX: &str = "/catalog/models/";

const SUFFIX: &str = "/history";

/// Every event of one model, whether or not it is still listed. The id may be raw or
/// percent-encoded.
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
        let store = catalog.store();
        let events = store.changes(0, &filter, usize::MAX).await?.events;
        let mut own = events.iter().filter(|event| event.id.is_some());
        let Some(first) = own.next() else {
            continue;
        };
        let last = own.next_back().unwrap_or(first);
        let listed_at = store
            .traces(&models)
            .await?
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
        return Ok(no_store(HistoryAnswer {
            id,
            listed: listed_at.is_some(),
            first_seen_at: first.at,
            last_seen_at: listed_at.or(last.last_seen_at),
            events: &events,
        }));
    }
    let [_, decoded] = &ids;
    Err(ApiError::no_model(decoded))
}
