//! `/catalog/changes` and its relatives: what changed since a revision, one model's history, and
//! what is going to be retired.

use std::time::Duration;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};

use crate::{
    api::{
        auth::Caller,
        error::ApiError,
        middleware::CATALOG_REVISION,
        models::past,
        query::{Parameters, filter, wait},
        response::no_store,
    },
    catalog::Catalog,
    model::event::ChangeEvent,
};

/// How many events a page has unless something else is asked for.
const DEFAULT_LIMIT: usize = 250;
/// The most that may be asked for.
const MAX_LIMIT: usize = 10_000;
/// The longest wait for a change: less than a request may take.
pub const MAX_WAIT: Duration = Duration::from_secs(50);

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
