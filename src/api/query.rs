//! Query parameters under `/catalog`: event filters and durations.

use axum::extract::{FromRequestParts, Query};
use chrono::TimeDelta;
use serde::Deserialize;

use super::{auth::Caller, error::ApiError};
use crate::model::{
    event::{EventFilter, EventKind},
    time::parse_duration,
};

/// Query parameters under `/catalog`: an unknown one is an error that names it.
#[derive(FromRequestParts)]
#[from_request(via(Query), rejection(ApiError))]
pub struct Parameters<T>(pub T);

/// No parameter at all.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoParameters {}

/// Which events are wanted, of those that `caller` may see.
pub fn filter(
    caller: &Caller,
    source: Option<String>,
    events: Option<String>,
    model: Option<String>,
) -> Result<EventFilter, ApiError> {
    let kind = |text: &str| {
        EventKind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text.trim())
            .ok_or_else(|| {
                ApiError::bad(
                    "invalid_event",
                    "event= must be some of added, changed, removed, returned, hidden and shown, separated by commas.",
                )
            })
    };
    let events = events
        .map(|events| events.split(',').map(kind).collect())
        .transpose()?;
    Ok(EventFilter {
        source,
        events,
        model,
        scope: caller.scope(),
    })
}

/// The duration that the parameter `name` gives, none without one. `example` is part of the error.
pub fn duration(
    name: &str,
    code: &'static str,
    text: Option<&str>,
    example: &str,
) -> Result<Option<TimeDelta>, ApiError> {
    text.map(|text| {
        parse_duration(text).ok_or_else(|| {
            ApiError::bad(code, format!("{name}= must be a time such as {example}."))
        })
    })
    .transpose()
}
