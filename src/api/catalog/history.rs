//! `GET /catalog/models/{id}/history`: everything that ever happened to one model.

use std::borrow::Cow;

use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};
use percent_encoding::percent_decode_str;
use serde::Serialize;

use crate::{
    api::{
        auth::Caller,
        error::ApiError,
        query::{NoParameters, Parameters},
        response::no_store,
    },
    catalog::Catalog,
    model::{event::ChangeEvent, time::Timestamp},
};

#[derive(Serialize)]
struct HistoryAnswer<'a> {
    id: &'a str,
    /// Whether it is listed now.
    listed: bool,
    first_seen_at: Timestamp,
    /// The last listing that had it.
    last_seen_at: Option<Timestamp>,
    events: &'a [ChangeEvent],
}

const PREFIX: &str = "/catalog/models/";

const SUFFIX: &str = "/history";

/// Everything that ever happened to one model, listed or not. The id comes raw or percent-encoded.
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
            "Under /catalog/models there is /catalog/models/{id}/history.",
        ));
    };
    let decoded = percent_decode_str(raw)
        .decode_utf8()
        .unwrap_or(Cow::Borrowed(raw));
    for id in [raw, decoded.as_ref()] {
        let history = catalog
            .store()
            .find_model_history(id, caller.scope())
            .await?;
        let (Some(first), Some(last)) = (history.events.first(), history.events.last()) else {
            continue;
        };
        return Ok(no_store(HistoryAnswer {
            id,
            listed: history.listed_at.is_some(),
            first_seen_at: first.at,
            last_seen_at: history.listed_at.or(last.last_seen_at),
            events: &history.events,
        }));
    }
    Err(ApiError::no_model(&decoded))
}
