//! `GET /catalog/changes`: the events after a revision.

use std::time::Duration;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;

use super::pieces::JsonEvents;
use crate::{
    api::{
        auth::Caller,
        error::ApiError,
        middleware::CATALOG_REVISION,
        query::{Parameters, filter},
    },
    catalog::Catalog,
    model::{
        event::{ChangeEvent, EventFilter},
        time::parse_duration,
    },
    store::changes::Page,
};

/// Default page size, in events.
const DEFAULT_LIMIT: usize = 250;
/// Largest page size, in events.
const MAX_LIMIT: usize = 10_000;
/// The most pages in a row without an event that the caller may see.
const MAX_EMPTY_PAGES: usize = 100;
/// The longest wait for a change, below the time limit of a request.
const MAX_WAIT: Duration = Duration::from_secs(50);

/// Parameters of `GET /catalog/changes`.
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

/// What an answer says beside its events.
#[derive(Serialize, ToSchema)]
#[schema(as = ChangesHead)]
struct ChangesAnswer {
    /// The last revision.
    revision: i64,
    /// The cursor for the next page.
    next: i64,
    has_more: bool,
}

/// A page of events.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the answer is made in pieces")]
struct Changes {
    #[serde(flatten)]
    head: ChangesAnswer,
    events: Vec<ChangeEvent>,
}

/// The events after a revision. With `wait=`, waits until there are any.
#[utoipa::path(
    get,
    path = "/catalog/changes",
    tag = "catalog",
    operation_id = "listChanges",
    params(
        ("since" = Option<i64>, Query, description = "The revision after which to begin; 0 for everything that is kept", minimum = 0),
        ("limit" = Option<i64>, Query, description = "The most events of a page, unless its first revision has more", minimum = 1, maximum = 10_000),
        ("wait" = Option<String>, Query, description = "How long to wait for a change, at most 50 s, such as `30s`", pattern = "^$|^([1-9]|[1-4][0-9])s$"),
        ("source" = Option<String>, Query, description = "Only events of this source"),
        ("event" = Option<String>, Query, description = "Only these kinds, separated by commas: added, changed, removed, returned, hidden, shown", pattern = "^$|^(added|changed|removed|returned|hidden|shown)(,(added|changed|removed|returned|hidden|shown))*$"),
        ("model" = Option<String>, Query, description = "Only events of this model and of its whole source"),
    ),
    responses(
        (status = 200, description = "A page of events", body = Changes),
        (status = 410, description = "Some of these events were pruned"),
    )
)]
pub async fn changes(
    caller: Caller,
    State(catalog): State<Catalog>,
    Parameters(parameters): Parameters<ChangesParameters>,
) -> Result<Response, ApiError> {
    let filter = filter(
        &caller,
        &catalog.current(),
        parameters.source,
        parameters.event,
        parameters.model.as_deref(),
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
    let ended = catalog.shared().waits.token();
    let mut revisions = catalog.shared().revisions();
    let mut since = parse_since(parameters.since.as_deref())?;
    let mut empty_pages = 0;
    loop {
        let page = page(&catalog, since, &filter, limit).await?;
        since = page.next;
        let reader = catalog.store().read_events(page.since, page.next, &filter);
        let mut events = JsonEvents::new(catalog.clone(), reader);
        let first = events.first().await?;
        if first.is_empty() {
            let waits = async {
                tokio::select! {
                    more = revisions.wait_for(|revision| *revision > since) => more.is_ok(),
                    () = ended.cancelled() => false,
                }
            };
            empty_pages += 1;
            let goes_on = match page.has_more {
                // Outside of what the caller may see.
                true => empty_pages < MAX_EMPTY_PAGES,
                false => timeout_at(deadline, waits).await.unwrap_or(false),
            };
            if goes_on {
                continue;
            }
        }
        // Another process's latest commit may be ahead of our snapshot.
        let revision = catalog.current().snapshot.revision.max(page.next);
        let answer = ChangesAnswer {
            revision,
            next: page.next,
            has_more: page.has_more,
        };
        let answer = events.answer(&answer, first)?;
        return Ok(([(CATALOG_REVISION, revision)], answer).into_response());
    }
}

/// The page after `since`. Fails when it is not all there any more, or not yet.
pub async fn page(
    catalog: &Catalog,
    since: i64,
    filter: &EventFilter,
    limit: usize,
) -> Result<Page, ApiError> {
    let (store, filter) = (catalog.store().clone(), filter.clone());
    let found = catalog
        .shared()
        .costly
        .run(async move { store.find_page(since, &filter, limit).await });
    let page = found.await??;
    check_since(&page)?;
    Ok(page)
}

/// The revision of `since=`; 0 without one. Fails when it is not a whole number from 0.
pub fn parse_since(text: Option<&str>) -> Result<i64, ApiError> {
    match text.map(str::parse) {
        None => Ok(0),
        Some(Ok(since @ 0..)) => Ok(since),
        Some(_) => Err(ApiError::bad(
            "invalid_revision",
            "since= must be a revision: a whole number from 0.",
        )),
    }
}

/// Fails when some events of `page` were pruned, or do not exist yet.
fn check_since(page: &Page) -> Result<(), ApiError> {
    if page.since > page.head {
        return Err(ApiError::future_revision(page.head));
    }
    // From 0 a reader gets everything that is kept. From a revision within the pruned part it would
    // miss events.
    if (1..page.history_from - 1).contains(&page.since) {
        return Err(ApiError::pruned(page.history_from));
    }
    Ok(())
}

fn wait(text: Option<&str>) -> Result<Duration, ApiError> {
    let refuse = || {
        let message = format!(
            "wait= must be a duration of at most {} s, such as 30s.",
            MAX_WAIT.as_secs()
        );
        ApiError::bad("invalid_wait", message)
    };
    let Some(text) = text else {
        return Ok(Duration::ZERO);
    };
    parse_duration(text)
        .and_then(|wait| wait.to_std().ok())
        .filter(|wait| *wait <= MAX_WAIT)
        .ok_or_else(refuse)
}
