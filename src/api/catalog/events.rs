//! `GET /catalog/events`: each new revision as a server-sent event.

use std::{io, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{
        HeaderMap, HeaderValue,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use tokio::{sync::watch, time::timeout};

use super::{
    changes::{page, parse_since},
    pieces::Pieces,
};
use tokio_util::sync::CancellationToken;

use crate::{
    api::{
        auth::Caller,
        error::ApiError,
        query::{Parameters, filter},
    },
    catalog::Catalog,
    model::{
        event::{ChangeEvent, EventFilter},
        time::Timestamp,
    },
    store::changes::Page,
};

/// Number of events that a stream looks ahead, in whole revisions.
const LOOK_AHEAD: usize = 1000;
/// How often a quiet stream shows that it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Parameters of `GET /catalog/events`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventsParameters {
    since: Option<String>,
    source: Option<String>,
    event: Option<String>,
    model: Option<String>,
}

/// Sends each new revision as a server-sent event whose id is the revision.
///
/// Starts after the revision in `Last-Event-ID` or `since=`; without either, only future revisions
/// are sent.
#[utoipa::path(
    get,
    path = "/catalog/events",
    tag = "catalog",
    operation_id = "followEvents",
    params(
        ("since" = Option<i64>, Query, description = "The revision after which to begin", minimum = 0),
        ("Last-Event-ID" = Option<i64>, Header, description = "The same, as clients send it when they connect again", minimum = 0),
        ("source" = Option<String>, Query, description = "Only events of this source"),
        ("event" = Option<String>, Query, description = "Only these kinds, separated by commas: added, changed, removed, returned, hidden, shown", pattern = "^$|^(added|changed|removed|returned|hidden|shown)(,(added|changed|removed|returned|hidden|shown))*$"),
        ("model" = Option<String>, Query, description = "Only events of this model and of its whole source"),
    ),
    responses(
        (status = 200, description = "A stream that does not end by itself", body = String, content_type = "text/event-stream"),
        (status = 410, description = "Some of these events were pruned"),
    )
)]
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
    let first = page(&catalog, since, &filter, LOOK_AHEAD).await?;
    let mut follower = Follower {
        revisions: catalog.shared().revisions(),
        ended: catalog.shared().waits.token(),
        catalog,
        filter,
        since: first.next,
        pieces: None,
        open: None,
        last_sent_id: None,
    };
    follower.follow(first);
    let events = stream::unfold(follower, |mut follower| async {
        match follower.next().await {
            Ok(piece) => Some((Ok(piece?), follower)),
            // The cause is in the log. The client reconnects with the last id that it has.
            Err(_) => Some((Err(io::Error::other("the stream is cut off")), follower)),
        }
    });
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    Ok((headers, Body::from_stream(events)).into_response())
}

/// Follows the revisions that match a filter.
struct Follower {
    catalog: Catalog,
    filter: EventFilter,
    revisions: watch::Receiver<i64>,
    /// Cancelled when the stream is to end.
    ended: CancellationToken,
    /// The revision up to which everything was sent, or is among the pieces.
    since: i64,
    /// The events that are being sent.
    pieces: Option<Pieces>,
    /// The revision whose events are being sent.
    open: Option<i64>,
    /// The last id that the client received.
    last_sent_id: Option<i64>,
}

impl Follower {
    /// The next bytes of the stream; none when the catalog stops.
    async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        loop {
            let Some(pieces) = &mut self.pieces else {
                let since = self.since;
                let more = self.revisions.wait_for(|revision| *revision > since);
                tokio::select! {
                    more = timeout(KEEP_ALIVE, more) => match more {
                        Err(_) => return Ok(Some(Bytes::from_static(b":\n\n"))),
                        Ok(Err(_)) => return Ok(None),
                        Ok(Ok(_)) => {}
                    },
                    () = self.ended.cancelled() => return Ok(None),
                }
                let next = page(&self.catalog, since, &self.filter, LOOK_AHEAD).await?;
                self.follow(next);
                continue;
            };
            if pieces.is_done() {
                self.pieces = None;
                let end = self.end();
                if end.is_empty() {
                    continue;
                }
                return Ok(Some(end));
            }
            let open = self.open;
            let piece = pieces.next(move |events| write(open, events));
            let piece = piece.await?;
            if !piece.is_empty() {
                self.open = self.pieces.as_ref().and_then(Pieces::last_revision);
                self.last_sent_id = self.open;
                return Ok(Some(piece));
            }
        }
    }

    /// Goes on with `page`.
    fn follow(&mut self, page: Page) {
        let store = self.catalog.store();
        let reader = store.read_events(page.since, page.next, &self.filter);
        self.pieces = Some(Pieces::new(self.catalog.clone(), reader));
        self.since = page.next;
    }

    /// What ends the events of a page. An event without data moves the client's last id forward, so
    /// that it can resume from there.
    fn end(&mut self) -> Bytes {
        let mut end = match self.open.take() {
            Some(_) => END.to_owned(),
            None => String::new(),
        };
        if self.last_sent_id != Some(self.since) {
            self.last_sent_id = Some(self.since);
            end.push_str(&format!("id: {}\n\n", self.since));
        }
        end.into()
    }
}

/// What ends an event.
const END: &str = "]}\n\n";

/// What an event says beside the changes.
#[derive(Serialize)]
struct RevisionHead {
    revision: i64,
    at: Timestamp,
}

/// Writes `events` to a stream that is in the middle of the revision `open`, or of none. The last one
/// stays open.
fn write(mut open: Option<i64>, events: &[ChangeEvent]) -> serde_json::Result<Vec<u8>> {
    let mut piece = Vec::new();
    for event in events {
        if open == Some(event.revision) {
            piece.push(b',');
        } else {
            if open.is_some() {
                piece.extend_from_slice(END.as_bytes());
            }
            open = Some(event.revision);
            let begin = format!("id: {}\nevent: revision\ndata: ", event.revision);
            piece.extend_from_slice(begin.as_bytes());
            let head = RevisionHead {
                revision: event.revision,
                at: event.at,
            };
            serde_json::to_writer(&mut piece, &head)?;
            // The end of the object.
            piece.pop();
            piece.extend_from_slice(b",\"events\":[");
        }
        serde_json::to_writer(&mut piece, event)?;
    }
    Ok(piece)
}
