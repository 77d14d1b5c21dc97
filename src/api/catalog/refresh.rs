//! `POST /catalog/refresh`: asks one source, or all, now.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{AppendHeaders, IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    api::{auth::Operator, error::ApiError, query::Parameters},
    catalog::{Catalog, tasks::refresh::RefreshOutcome},
    ingest::diff::Counts,
};

/// Of `POST /catalog/refresh`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefreshParameters {
    source: Option<String>,
    #[serde(default)]
    accept: bool,
}

/// An outcome as `POST /catalog/refresh` answers it.
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

/// Asks one source, or all, now.
pub async fn refresh(
    _: Operator,
    State(catalog): State<Catalog>,
    Parameters(parameters): Parameters<RefreshParameters>,
) -> Result<Response, ApiError> {
    let RefreshParameters { source, accept } = parameters;
    if accept && source.is_none() {
        let message =
            "accept=true needs source=: believing a strange answer is decided for each source.";
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
        .map(|(name, outcome)| outcome.answer(name.as_str()))
        .collect();
    let answer = json!({ "revision": catalog.current().revision, "sources": sources });
    Ok((
        AppendHeaders([(header::CACHE_CONTROL, "no-store")]),
        Json(answer),
    )
        .into_response())
}

impl RefreshOutcome {
    /// This outcome of the source `name`.
    pub fn answer<'a>(&self, name: &'a str) -> OutcomeAnswer<'a> {
        let plain = |outcome| OutcomeAnswer {
            name,
            outcome,
            counts: None,
            held: None,
            error: None,
        };
        let failed = |kind, message| OutcomeAnswer {
            error: Some(ErrorAnswer { kind, message }),
            ..plain("failed")
        };
        match self {
            Self::NotDue | Self::Stopped => plain("busy"),
            Self::Unchanged => plain("unchanged"),
            Self::Changed(counts) => OutcomeAnswer {
                counts: Some(*counts),
                ..plain("changed")
            },
            Self::Held { listed, stored } => OutcomeAnswer {
                held: Some(HeldAnswer {
                    listed: *listed,
                    stored: *stored,
                }),
                ..plain("held")
            },
            Self::Failed(error) => failed(error.kind.as_str(), error.message.clone()),
            Self::StoreFailed(error) => failed("store", error.to_string()),
            Self::Panicked => failed("internal", "a bug: the log says more".to_owned()),
        }
    }
}
