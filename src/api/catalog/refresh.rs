//! `POST /catalog/refresh`: refreshes one source, or all of them, now.

use axum::{extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use utoipa::{
    ToSchema,
    openapi::schema::{Object, ObjectBuilder, Type},
};

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

/// What has become of each source that was asked.
#[derive(Serialize, ToSchema)]
#[schema(as = Refreshed)]
struct RefreshAnswer<'a> {
    revision: i64,
    sources: Vec<OutcomeAnswer<'a>>,
}

/// What has become of one source.
#[derive(Serialize, ToSchema)]
#[schema(as = Outcome)]
pub struct OutcomeAnswer<'a> {
    name: &'a str,
    /// `busy` when it was asked moments ago, or is not due.
    #[schema(schema_with = outcome_words)]
    outcome: &'static str,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = OutcomeCounts)]
    counts: Option<Counts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<HeldAnswer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorAnswer>,
}

/// How many models changed, by kind of change; nothing unless the outcome is `changed`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the counts are there together or not at all")]
struct OutcomeCounts {
    /// Listed for the first time ever.
    added: Option<i64>,
    /// Listed with other attributes.
    changed: Option<i64>,
    /// No longer listed.
    removed: Option<i64>,
    /// Listed again.
    returned: Option<i64>,
}

/// The words for an outcome.
fn outcome_words() -> Object {
    let words = ["changed", "unchanged", "held", "failed", "busy"];
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(words))
        .build()
}

/// The sizes of a listing that waits for confirmation, and of the stored one.
#[derive(Serialize, ToSchema)]
#[schema(as = HeldListing)]
struct HeldAnswer {
    listed: usize,
    stored: usize,
}

/// Why there is no new listing.
#[derive(Serialize, ToSchema)]
#[schema(as = OutcomeError)]
struct ErrorAnswer {
    kind: &'static str,
    message: String,
}

/// Refreshes one source, or all of them, whatever the schedule says.
///
/// For callers on the same machine, or with the admin key where one is set.
#[utoipa::path(
    post,
    path = "/catalog/refresh",
    tag = "catalog",
    operation_id = "refresh",
    params(
        ("source" = Option<String>, Query, description = "The source to refresh; without it, all of them"),
        ("accept" = Option<bool>, Query, description = "Whether to believe an answer that would be held; needs `source`"),
    ),
    responses(
        (status = 200, description = "What has become of each", body = RefreshAnswer),
        (status = 404, description = "No configured source has that name"),
    )
)]
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
    let sources = outcomes
        .iter()
        .map(|(name, outcome)| OutcomeAnswer::of(name.as_str(), outcome))
        .collect();
    Ok(no_store(RefreshAnswer {
        revision: catalog.current().snapshot.revision,
        sources,
    }))
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
