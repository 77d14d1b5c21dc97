//! `POST /ui/sources/{name}/refresh`: the button on a source's card. Whoever may call
//! `POST /catalog/refresh` may press it.

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use serde::Deserialize;

use super::{address::query, response::redirect};
use crate::{
    api::{auth::Operator, error::ApiError, query::Parameters},
    catalog::Catalog,
    model::fetch::Outcome,
};

/// Parameters of the button.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefreshParameters {
    /// Whether a suspicious list is believed.
    #[serde(default)]
    accept: bool,
}

/// Asks the source now, and shows its card.
pub async fn refresh(
    _: Operator,
    State(catalog): State<Catalog>,
    Path(name): Path<String>,
    Parameters(RefreshParameters { accept }): Parameters<RefreshParameters>,
) -> Result<Response, ApiError> {
    let Some(outcomes) = catalog.refresh(Some(&name), accept).await else {
        let message = "No setting names this source any more: there is nothing to ask.";
        return Err(ApiError::invalid(
            StatusCode::NOT_FOUND,
            "unknown_source",
            message,
        ));
    };
    let outcome = outcomes.first().and_then(|(_, outcome)| outcome.outcome());
    let outcome = match outcome {
        Some(Outcome::StoreFailed) => Outcome::Failed.as_str(),
        Some(outcome) => outcome.as_str(),
        None => "busy",
    };
    let query = query([("asked", name.as_str()), ("outcome", outcome)]);
    Ok(redirect(&format!("/ui/sources{query}#{name}")))
}
