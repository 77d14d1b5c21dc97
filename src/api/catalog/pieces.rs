//! Answers with events, made and sent in pieces: a revision or a model's history may have tens of
//! thousands. The next piece is made when the client has taken the one before.

use std::io;

use axum::{
    body::{Body, Bytes},
    http::{
        HeaderValue,
        header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, stream};
use serde::Serialize;

use crate::{
    api::error::ApiError, catalog::Catalog, model::event::ChangeEvent, store::changes::EventReader,
};

/// The number of events in a piece.
const PIECE: usize = 250;
/// The size of a piece, about, in KiB.
const PIECE_KIB: u32 = 256;
/// What ends an answer.
const TAIL: &[u8] = b"]}";

/// Events in pieces.
pub struct Pieces {
    catalog: Catalog,
    reader: EventReader,
    last_revision: Option<i64>,
}

impl Pieces {
    /// The events that `reader` reads.
    pub fn new(catalog: Catalog, reader: EventReader) -> Self {
        Self {
            catalog,
            reader,
            last_revision: None,
        }
    }

    /// Whether the last piece has been made.
    pub fn is_done(&self) -> bool {
        self.reader.is_done
    }

    /// The revision of the last event that was written.
    pub fn last_revision(&self) -> Option<i64> {
        self.last_revision
    }

    /// Makes the next piece: what `write` makes of its events, which may be none.
    pub async fn next(
        &mut self,
        write: impl FnOnce(&[ChangeEvent]) -> serde_json::Result<Vec<u8>> + Send + 'static,
    ) -> Result<Bytes, ApiError> {
        let costly = &self.catalog.shared().costly;
        let room = costly.room(PIECE_KIB).await?;
        let mut reader = self.reader.clone();
        let made = costly.run(async move {
            let events = reader.read(PIECE).await?;
            let last = events.last().map(|event| event.revision);
            let piece = write(&events).map_err(|error| ApiError::unwritable(&error))?;
            Ok::<_, ApiError>((reader, last, piece))
        });
        let (reader, last, piece) = made.await??;
        self.reader = reader;
        self.last_revision = last.or(self.last_revision);
        Ok(match piece.is_empty() {
            true => Bytes::new(),
            false => room.fill(piece.into()),
        })
    }
}

/// The `events` of a JSON answer.
pub struct JsonEvents {
    pieces: Pieces,
    is_begun: bool,
}

impl JsonEvents {
    /// The events that `reader` reads.
    pub fn new(catalog: Catalog, reader: EventReader) -> Self {
        Self {
            pieces: Pieces::new(catalog, reader),
            is_begun: false,
        }
    }

    /// The first piece with an event; empty when there is none.
    pub async fn first(&mut self) -> Result<Bytes, ApiError> {
        loop {
            let piece = self.next().await?;
            if !piece.is_empty() || self.pieces.is_done() {
                return Ok(piece);
            }
        }
    }

    async fn next(&mut self) -> Result<Bytes, ApiError> {
        let mut separator = if self.is_begun { "," } else { "" };
        let write = move |events: &[ChangeEvent]| {
            let mut piece = Vec::new();
            for event in events {
                piece.extend_from_slice(std::mem::replace(&mut separator, ",").as_bytes());
                serde_json::to_writer(&mut piece, event)?;
            }
            Ok(piece)
        };
        let piece = self.pieces.next(write).await?;
        self.is_begun |= !piece.is_empty();
        Ok(piece)
    }

    /// The answer: the fields of `head`, and the events, of which `first` is the first piece.
    pub fn answer(self, head: &impl Serialize, first: Bytes) -> Result<Response, ApiError> {
        let mut begin = serde_json::to_vec(head).map_err(|error| ApiError::unwritable(&error))?;
        // The end of the object.
        begin.pop();
        begin.extend_from_slice(b",\"events\":[");
        let length = begin.len() + first.len() + TAIL.len();
        let is_whole = self.pieces.is_done();
        let rest = stream::unfold(Some(self), |events| async {
            let mut events = events?;
            if events.pieces.is_done() {
                return Some((Ok(Bytes::from_static(TAIL)), None));
            }
            match events.next().await {
                Ok(piece) => Some((Ok(piece), Some(events))),
                // The cause is in the log. The client sees that the answer is cut off.
                Err(_) => Some((Err(io::Error::other("the answer is cut off")), None)),
            }
        });
        let begin = stream::iter([Ok(Bytes::from(begin)), Ok(first)]);
        let headers = [
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        let body = Body::from_stream(begin.chain(rest));
        let mut response = (headers, body).into_response();
        if is_whole {
            let length = HeaderValue::from(length);
            response.headers_mut().insert(CONTENT_LENGTH, length);
        }
        Ok(response)
    }
}
