//! `POST /ui/sources/{name}/refresh`: the button on a source's card. Whoever may call
//! `POST /catalog/refresh` may press it.

use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use serde::Deserialize;

use super::{address::query, response::redirect, sign_in::check_origin};
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
    headers: HeaderMap,
    State(catalog): State<Catalog>,
    Path(name): Path<String>,
    Parameters(RefreshParameters { accept }): Parameters<RefreshParameters>,
) -> Result<Response, ApiError> {
    // Without an admin key, pages of other programs on this machine count as operators: they have no
    // business with this button.
    check_origin(&headers)?;
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
