//! Query parameters below `/catalog`: event filters and durations.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, Query},
    http::{Uri, request::Parts},
};
use chrono::TimeDelta;
use serde::{Deserialize, de::DeserializeOwned};
use url::form_urlencoded;

use super::{auth::Caller, error::ApiError, request::parameters};
use crate::{
    catalog::current::Current,
    model::{
        event::{EventFilter, EventKind},
        time::parse_duration,
    },
};

/// Query parameters below `/catalog`. An unknown one is an error that names it.
pub struct Parameters<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let mut given = form_urlencoded::Serializer::new("/?".to_owned());
        given.extend_pairs(parameters(parts.uri.query()));
        let uri: Uri = given.finish().parse().map_err(|_| {
            ApiError::bad(
                "invalid_parameter",
                "The query string is too long: shorten it.",
            )
        })?;
        let Query(parameters) = Query::try_from_uri(&uri)?;
        Ok(Self(parameters))
    }
}

/// No parameters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoParameters {}

/// Builds the event filter for what `caller` may see of `current`. Fails on an unknown kind of event.
pub fn filter(
    caller: &Caller,
    current: &Current,
    source: Option<String>,
    events: Option<String>,
    model: Option<&str>,
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
    let reader = current.visibility(caller.scope());
    Ok(EventFilter {
        source,
        events,
        models: model.map(|id| reader.keys_of(id)),
        reader: Arc::new(reader),
    })
}

/// Parses the duration in parameter `name`; none when it is absent. The error quotes `example`.
pub fn duration(
    name: &str,
    code: &'static str,
    text: Option<&str>,
    example: &str,
) -> Result<Option<TimeDelta>, ApiError> {
    text.map(|text| {
        parse_duration(text).ok_or_else(|| {
            ApiError::bad(
                code,
                format!("{name}= must be a duration such as {example}."),
            )
        })
    })
    .transpose()
}
