//! `POST /catalog/refresh`: refreshes one source, or all of them, now.

use axum::{extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    api::{auth::Operator, error::ApiError, query::Parameters, response::no_store},
    catalog::{Catalog, tasks::refresh::RefreshOutcome},
    model::{event::Counts, fetch::Outcome},
};

/// Parameters of `POST /catalog/refresh`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefreshParameters {
    source: Option<String>,
    #[serde(default)]
    accept: bool,
}

/// An outcome in the answer of `POST /catalog/refresh`.
#[derive(Serialize)]
pub struct OutcomeAnswer<'a> {
    name: &'a str,
    outcome: &'static str,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    counts: Option<Counts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<HeldAnswer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorAnswer>,
}

#[derive(Serialize)]
struct HeldAnswer {
    listed: usize,
    stored: usize,
}

#[derive(Serialize)]
struct ErrorAnswer {
    kind: &'static str,
    message: String,
}

/// Refreshes one source, or all of them, whatever the schedule says.
pub async fn refresh(
    _: Operator,
    State(catalog): State<Catalog>,
    Parameters(parameters): Parameters<RefreshParameters>,
) -> Result<Response, ApiError> {
    let RefreshParameters { source, accept } = parameters;
    if accept && source.is_none() {
        let message = "accept=true needs source=: accept suspicious listings one source at a time.";
        return Err(ApiError::invalid(
            StatusCode::BAD_REQUEST,
            "invalid_parameter",
            message,
        ));
    }
    let Some(outcomes) = catalog.refresh(source.as_deref(), accept).await else {
        let message = "No configured source has that name: GET /catalog/sources lists them.";
        return Err(ApiError::invalid(
            StatusCode::NOT_FOUND,
            "unknown_source",
            message,
        ));
    };
    let sources: Vec<_> = outcomes
        .iter()
        .map(|(name, outcome)| OutcomeAnswer::of(name.as_str(), outcome))
        .collect();
    let answer = json!({ "revision": catalog.current().snapshot.revision, "sources": sources });
    Ok(no_store(answer))
}

impl<'a> OutcomeAnswer<'a> {
    /// The answer for the `outcome` of source `name`.
    fn of(name: &'a str, outcome: &RefreshOutcome) -> Self {
        let failed = Outcome::Failed.as_str();
        let mut answer = Self {
            name,
            outcome: outcome.outcome().map_or("busy", Outcome::as_str),
            counts: None,
            held: None,
            error: None,
        };
        match outcome {
            RefreshOutcome::Elsewhere(why) => {
                answer.error = Some(ErrorAnswer {
                    kind: "configured_elsewhere",
                    message: why.clone(),
                });
            }
            RefreshOutcome::NotDue | RefreshOutcome::Stopped | RefreshOutcome::Unchanged => {}
            RefreshOutcome::Changed(counts) => answer.counts = Some(*counts),
            RefreshOutcome::Held { listed, stored } => {
                answer.held = Some(HeldAnswer {
                    listed: *listed,
                    stored: *stored,
                });
            }
            RefreshOutcome::Failed(error) => {
                answer.error = Some(ErrorAnswer {
                    kind: error.kind.as_str(),
                    message: error.message.clone(),
                });
            }
            RefreshOutcome::StoreFailed(error) => {
                answer.outcome = failed;
                answer.error = Some(ErrorAnswer {
                    kind: "store",
                    message: error.to_string(),
                });
            }
            RefreshOutcome::Panicked => {
                answer.outcome = failed;
                answer.error = Some(ErrorAnswer {
                    kind: "internal",
                    message: "an internal error: see the log of model-catalog".to_owned(),
                });
            }
        }
        answer
    }
}
