//! The feeds of changes: Atom and server-sent events.

use std::{collections::VecDeque, convert::Infallible};

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::stream;
use serde::Deserialize;

use super::{
    atom,
    changes::{check_since, parse_since},
};
use crate::{
    api::{
        auth::Caller,
        error::ApiError,
        middleware::CATALOG_REVISION,
        query::{Parameters, filter},
        response,
    },
    catalog::Catalog,
    model::event::{EventFilter, Revision},
    snapshot::body::Body,
    store::error::StoreError,
};

/// Number of revisions in the Atom feed.
const ATOM_REVISIONS: usize = 50;
/// Number of events that a stream reads at a time.
const STREAM_LIMIT: usize = 1000;

/// Parameters of `GET /catalog/changes.atom`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AtomParameters {
    source: Option<String>,
    event: Option<String>,
    model: Option<String>,
}

/// The latest revisions as an Atom feed (RFC 4287).
pub async fn atom(
    caller: Caller,
    State(catalog): State<Catalog>,
    Parameters(parameters): Parameters<AtomParameters>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let filter = filter(
        &caller,
        &catalog.current(),
        parameters.source,
        parameters.event,
        parameters.model.as_deref(),
    )?;
    let store = catalog.store();
    let revision = catalog.current().snapshot.revision;
    let events = store.latest_changes(ATOM_REVISIONS, &filter).await?;
    let revisions = Revision::group(events);
    let revision = revisions
        .last()
        .map_or(revision, |last| last.revision.max(revision));
    let written = atom::atom(&catalog.shared().catalog_id, &revisions).map_err(|error| {
        tracing::error!(%error, "cannot serialize the Atom feed");
        ApiError::internal()
    })?;
    let mut response = response::answer(
        &Body::of(written.into()),
        HeaderValue::from_static("application/atom+xml; charset=utf-8"),
        HeaderValue::from_static("no-cache"),
        &headers,
    );
    response
        .headers_mut()
        .insert(CATALOG_REVISION, revision.into());
    Ok(response)
}

/// Parameters of `GET /catalog/events`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventsParameters {
    since: Option<String>,
    source: Option<String>,
    event: Option<String>,
    model: Option<String>,
}

/// Sends each new revision as a server-sent event whose id is the revision. Starts after the
/// revision in `Last-Event-ID` or `since=`; without either, only future revisions are sent.
pub async fn events(
    caller: Caller,
    State(catalog): State<Catalog>,
    Parameters(parameters): Parameters<EventsParameters>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let filter = filter(
        &caller,
        &catalog.current(),
        parameters.source,
        parameters.event,
        parameters.model.as_deref(),
    )?;
    let last_event_id = headers
        .get("last-event-id")
        .map(|id| id.to_str().unwrap_or("not a text").to_owned());
    let since = match last_event_id.or(parameters.since) {
        Some(text) => parse_since(Some(&text))?,
        None => catalog.current().snapshot.revision,
    };
    let first = catalog
        .store()
        .changes(since, &filter, STREAM_LIMIT)
        .await?;
    check_since(since, &first)?;
    let follower = Follower {
        catalog,
        filter,
        since: first.next,
        last_sent_id: None,
        waiting: Revision::group(first.events).into(),
    };
    let events = stream::unfold(follower, |mut follower| async move {
        match follower.next().await {
            Ok(event) => Some((Ok::<_, Infallible>(event?), follower)),
            Err(error) => {
                // The client reconnects with the last id that it has.
                tracing::error!(%error, "cannot read the changes; closing the event stream");
                None
            }
        }
    });
    Ok(Sse::new(events)
        .keep_alive(KeepAlive::default())
        .into_response())
}

/// Follows the revisions that match a filter.
struct Follower {
    catalog: Catalog,
    filter: EventFilter,
    since: i64,
    /// The last id that the client received.
    last_sent_id: Option<i64>,
    waiting: VecDeque<Revision>,
}

impl Follower {
    /// Waits for the next event; none when the catalog stops. An event without data moves the
    /// client's last id forward, so that it can resume from there.
    async fn next(&mut self) -> Result<Option<Event>, StoreError> {
        let mut revisions = self.catalog.shared().revisions();
        loop {
            if let Some(revision) = self.waiting.pop_front() {
                self.last_sent_id = Some(revision.revision);
                return Ok(event(&revision));
            }
            if self.last_sent_id != Some(self.since) {
                self.last_sent_id = Some(self.since);
                return Ok(Some(Event::default().id(self.since.to_string())));
            }
            let page = self
                .catalog
                .store()
                .changes(self.since, &self.filter, STREAM_LIMIT)
                .await?;
            self.since = page.next;
            self.waiting = Revision::group(page.events).into();
            if !self.waiting.is_empty() || page.has_more || self.last_sent_id != Some(self.since) {
                continue;
            }
            let since = self.since;
            tokio::select! {
                more = revisions.wait_for(|revision| *revision > since) => {
                    if more.is_err() {
                        return Ok(None);
                    }
                }
                () = self.catalog.shared().end_waits.cancelled() => return Ok(None),
            }
        }
    }
}

fn event(revision: &Revision) -> Option<Event> {
    Event::default()
        .id(revision.revision.to_string())
        .event("revision")
        .json_data(revision)
        .inspect_err(|error| tracing::error!(%error, "cannot serialize a revision"))
        .ok()
}
