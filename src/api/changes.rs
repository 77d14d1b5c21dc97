//! `/catalog/changes` and its relatives: what changed since a revision, one model's history, and
//! what is going to be retired.

use std::{borrow::Cow, time::Duration};

use axum::{
    Json,
    extract::State,
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
};
use chrono::TimeDelta;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};

use super::{
    CATALOG_REVISION,
    caller::Caller,
    catalog::{NoParameters, Parameters},
    error::ApiError,
    past,
};
use crate::{
    Catalog,
    snapshot::Retiring,
    store::{ChangeEvent, EventFilter, EventKind},
    time::Timestamp,
};

/// How many events a page has unless something else is asked for.
const DEFAULT_LIMIT: usize = 250;
/// The most that may be asked for.
const MAX_LIMIT: usize = 10_000;
/// The longest wait for a change: less than a request may take.
const MAX_WAIT: Duration = Duration::from_secs(50);

/// Of `GET /catalog/changes`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangesParameters {
    since: Option<String>,
    limit: Option<String>,
    wait: Option<String>,
    source: Option<String>,
    event: Option<String>,
    model: Option<String>,
}

#[derive(Serialize)]
struct ChangesAnswer {
    /// The last revision.
    revision: i64,
    /// The cursor of the next page.
    next: i64,
    has_more: bool,
    events: Vec<ChangeEvent>,
}

/// The events after a revision; with `wait=` as soon as there are any.
pub async fn changes(
    caller: Caller,
    State(catalog): State<Catalog>,
    Parameters(parameters): Parameters<ChangesParameters>,
) -> Result<Response, ApiError> {
    let filter = filter(
        &caller,
        parameters.source,
        parameters.event,
        parameters.model,
    )?;
    let limit = match parameters.limit.as_deref().map(str::parse) {
        None => DEFAULT_LIMIT,
        Some(Ok(limit @ 1..=MAX_LIMIT)) => limit,
        Some(_) => {
            let message = format!("limit= must be a number from 1 to {MAX_LIMIT}.");
            return Err(ApiError::bad("invalid_limit", message));
        }
    };
    let wait = wait(parameters.wait.as_deref())?;
    let deadline = Instant::now() + wait;
    let mut revisions = catalog.shared().revisions();
    let mut since = since(&catalog, parameters.since.as_deref()).await?;
    loop {
        let page = catalog.store().list_changes(since, &filter, limit).await?;
        since = page.next;
        let more = async {
            tokio::select! {
                more = revisions.wait_for(|revision| *revision > since) => more.is_ok(),
                () = catalog.shared().end_waits.cancelled() => false,
            }
        };
        if page.events.is_empty()
            && !page.has_more
            && timeout_at(deadline, more).await.unwrap_or(false)
        {
            continue;
        }
        // What another process has just committed may be ahead of our snapshot.
        let revision = catalog.current().revision.max(page.next);
        let answer = ChangesAnswer {
            revision,
            next: page.next,
            has_more: page.has_more,
            events: page.events,
        };
        return Ok(([(CATALOG_REVISION, revision)], no_store(answer)).into_response());
    }
}

/// Where to begin: 0 unless said otherwise.
pub async fn since(catalog: &Catalog, text: Option<&str>) -> Result<i64, ApiError> {
    let since = match text.map(str::parse) {
        None => return Ok(0),
        Some(Ok(since @ 0..)) => since,
        Some(_) => {
            return Err(ApiError::bad(
                "invalid_revision",
                "since= must be a revision: a whole number from 0.",
            ));
        }
    };
    past::is_made(catalog, since).await?;
    // From the beginning all that is kept is told; from in between it would have holes.
    let history_from = catalog.store().history_from().await?;
    if (1..history_from - 1).contains(&since) {
        return Err(ApiError::pruned(history_from));
    }
    Ok(since)
}

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

fn wait(text: Option<&str>) -> Result<Duration, ApiError> {
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

/// Of `GET /catalog/retirements`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetirementsParameters {
    within: Option<String>,
}

#[derive(Serialize)]
struct RetirementsAnswer<'a> {
    revision: i64,
    models: Vec<&'a Retiring>,
}

/// The listed models whose end is announced, the next one first; with `within=` those that have no
/// date or one before the end of that time.
pub async fn retirements(
    caller: Caller,
    State(catalog): State<Catalog>,
    Parameters(RetirementsParameters { within }): Parameters<RetirementsParameters>,
) -> Result<Response, ApiError> {
    let within = within
        .map(|text| {
            let time = humantime::parse_duration(&text).ok();
            time.and_then(|time| TimeDelta::from_std(time).ok())
                .ok_or_else(|| {
                    ApiError::bad("invalid_parameter", "within= must be a time such as 90d.")
                })
        })
        .transpose()?;
    let snapshot = caller.sees(catalog.current())?;
    let until = within.map(|within| catalog.now().plus(within));
    let soon = |model: &&Retiring| match (model.retires_at, until) {
        (Some(at), Some(until)) => at <= until,
        _ => true,
    };
    Ok(no_store(RetirementsAnswer {
        revision: snapshot.revision,
        models: snapshot.retiring.iter().filter(soon).collect(),
    }))
}

/// An answer about this very moment.
fn no_store(answer: impl Serialize) -> Response {
    (
        [(axum::http::header::CACHE_CONTROL, "no-store")],
        Json(answer),
    )
        .into_response()
}
