//! Query parameters under `/catalog`.

use std::time::Duration;

use axum::extract::{FromRequestParts, Query};
use serde::Deserialize;

use super::{auth::Caller, catalog::changes::MAX_WAIT, error::ApiError};
use crate::model::event::{EventFilter, EventKind};

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

pub fn wait(text: Option<&str>) -> Result<Duration, ApiError> {
    let Some(text) = text else {
        return Ok(Duration::ZERO);
    };
    text.parse()
        .map(Duration::from_secs)
        .or_else(|_| humantime::parse_duration(text))
        .ok()
        .filter(|wait| *wait <= MAX_WAIT)
        .ok_or_else(|| {
            let message = format!(
                "wait= must be a time of at most {} s, such as 30s.",
                MAX_WAIT.as_secs()
            );
            ApiError::bad("invalid_wait", message)
        })
}
