//! Conditional answers, compressed ones, and `no-store`.

use axum::{
    Json,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
            VARY,
        },
    },
    response::{IntoResponse, Response},
};
use axum_extra::headers::{HeaderMapExt, IfNoneMatch};
use serde::Serialize;

use super::{encoding, error::ApiError};
use crate::snapshot::body::Body;

/// The number of headers that most answers have, so that none has to make room.
const HEADERS: usize = 12;

/// Answers with `body`, in the form that the client likes best of those that are ready, or with 304 when the
/// client already has it in any form.
pub fn answer(
    body: &Body,
    content_type: HeaderValue,
    cache_control: HeaderValue,
    request: &HeaderMap,
) -> Response {
    let mut response = match held(request, body) {
        Some(etag) => {
            let mut response = StatusCode::NOT_MODIFIED.into_response();
            let headers = response.headers_mut();
            headers.reserve(HEADERS);
            // A 304 reports the length of the body it stands for, not its own.
            if etag == body.etag {
                headers.insert(CONTENT_LENGTH, HeaderValue::from(body.bytes.len()));
            }
            headers.insert(ETAG, etag);
            response
        }
        None => {
            let ready = encoding::choose(body, request);
            let (bytes, etag) = match &ready {
                Some((form, bytes)) => (*bytes, &form.etag),
                None => (&body.bytes, &body.etag),
            };
            let mut response = bytes.clone().into_response();
            let headers = response.headers_mut();
            headers.reserve(HEADERS);
            headers.insert(CONTENT_TYPE, content_type);
            headers.insert(ETAG, etag.clone());
            if let Some((form, _)) = ready {
                let name = HeaderValue::from_static(form.encoding.name());
                headers.insert(CONTENT_ENCODING, name);
            }
            response
        }
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, cache_control);
    if !body.encoded().is_empty() {
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    }
    response
}

/// The ETag of the form of `body` that the request's `If-None-Match` names. An unreadable header is
/// ignored.
fn held(request: &HeaderMap, body: &Body) -> Option<HeaderValue> {
    let condition = request.get(IF_NONE_MATCH)?;
    let own = [&body.etag];
    let forms = body.encoded().iter().map(|form| &form.etag);
    let mut etags = own.into_iter().chain(forms);
    // Nearly every client names the one that it has, as it got it.
    if let Some(etag) = etags.clone().find(|etag| *etag == condition) {
        return Some(etag.clone());
    }
    let condition: IfNoneMatch = request.typed_get()?;
    etags
        .find(|etag| {
            let etag = etag.to_str().ok().and_then(|etag| etag.parse().ok());
            etag.is_some_and(|etag| !condition.precondition_passes(&etag))
        })
        .cloned()
}

/// The serialized answer. Fails when serializing failed.
pub fn written(written: serde_json::Result<Vec<u8>>) -> Result<Vec<u8>, ApiError> {
    written.map_err(|error| ApiError::unwritable(&error))
}

/// An answer that is valid only now and must not be cached.
pub fn no_store(answer: impl Serialize) -> Response {
    (
        [(axum::http::header::CACHE_CONTROL, "no-store")],
        Json(answer),
    )
        .into_response()
}
