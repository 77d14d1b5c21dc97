//! Conditional answers: 304 for a client that already has the ETag, and `no-store`.

use axum::{
    Json,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG},
    },
    response::{IntoResponse, Response},
};
use axum_extra::headers::{self, HeaderMapExt, IfNoneMatch};
use serde::Serialize;

use super::error::ApiError;
use crate::snapshot::body::Body;

/// Answers with `body`, or 304 when the client already has it.
pub fn answer(
    body: &Body,
    content_type: HeaderValue,
    cache_control: HeaderValue,
    request: &HeaderMap,
) -> Response {
    let mut response = if has_it(request, &body.etag) {
        // A 304 reports the length of the body it stands for, not its own.
        (
            StatusCode::NOT_MODIFIED,
            [(CONTENT_LENGTH, HeaderValue::from(body.bytes.len()))],
        )
            .into_response()
    } else {
        ([(CONTENT_TYPE, content_type)], body.bytes.clone()).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(ETAG, body.etag.clone());
    headers.insert(CACHE_CONTROL, cache_control);
    response
}

/// Whether the request's `If-None-Match` names `etag`. An unreadable header is ignored.
fn has_it(request: &HeaderMap, etag: &HeaderValue) -> bool {
    let parsed = || etag.to_str().ok()?.parse::<headers::ETag>().ok();
    request
        .typed_get::<IfNoneMatch>()
        .zip(parsed())
        .is_some_and(|(condition, etag)| !condition.precondition_passes(&etag))
}

/// The serialized answer with its ETag. Fails when serializing failed.
pub fn written(written: serde_json::Result<Vec<u8>>) -> Result<Body, ApiError> {
    let bytes = written.map_err(|error| ApiError::unwritable(&error))?;
    Ok(Body::of(bytes.into()))
}

/// An answer that is valid only now and must not be cached.
pub fn no_store(answer: impl Serialize) -> Response {
    (
        [(axum::http::header::CACHE_CONTROL, "no-store")],
        Json(answer),
    )
        .into_response()
}
