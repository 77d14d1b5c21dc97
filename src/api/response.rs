//! Answers that clients may have already: 304 for whoever names the ETag.

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

/// `body`, or 304 when the client has it.
pub fn answer(
    body: &Body,
    content_type: HeaderValue,
    cache_control: HeaderValue,
    request: &HeaderMap,
) -> Response {
    let mut response = if has_it(request, &body.etag) {
        // As long as the answer that it stands for, not as its own empty body.
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

/// Whether the request's `If-None-Match` names `etag`. One that cannot be read is ignored.
fn has_it(request: &HeaderMap, etag: &HeaderValue) -> bool {
    let parsed = || etag.to_str().ok()?.parse::<headers::ETag>().ok();
    request
        .typed_get::<IfNoneMatch>()
        .zip(parsed())
        .is_some_and(|(condition, etag)| !condition.precondition_passes(&etag))
}

/// What was written, with its ETag.
pub fn written(written: serde_json::Result<Vec<u8>>) -> Result<Body, ApiError> {
    let bytes = written.map_err(|error| ApiError::unwritable(&error))?;
    Ok(Body::of(bytes.into()))
}

/// An answer about this very moment.
pub fn no_store(answer: impl Serialize) -> Response {
    (
        [(axum::http::header::CACHE_CONTROL, "no-store")],
        Json(answer),
    )
        .into_response()
}
