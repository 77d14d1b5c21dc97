//! Answers with pages: with an ETag, or valid only now, or a way to another page.

use axum::{
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, VARY},
    },
    response::{Html, IntoResponse, Response},
};

use crate::{api::response, snapshot::body::Body};

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
/// Sends the browser to `path`, which is on this server.
pub fn redirect(path: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    // What no header can hold is in no path either.
    let location = HeaderValue::try_from(path).unwrap_or(HeaderValue::from_static("/"));
    let headers = response.headers_mut();
    headers.insert(LOCATION, location);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The `html` of a page that is valid only now.
pub fn no_store(html: String) -> Response {
    ([(CACHE_CONTROL, "no-store")], Html(html)).into_response()
}

/// The `html` of a page, or 304 when the browser has it. The ETag is weak: it stands for the compressed
/// page too.
pub fn answer(html: String, request: &HeaderMap) -> Response {
    let mut body = Body::once(html);
    let weak = body.etag.to_str().map(|etag| format!("W/{etag}"));
    if let Some(weak) = weak.ok().and_then(|weak| HeaderValue::try_from(weak).ok()) {
        body.etag = weak;
    }
    let revalidate = HeaderValue::from_static("no-cache");
    let mut response = response::answer(&body, HTML, revalidate, request);
    let headers = response.headers_mut();
    headers.append(VARY, HeaderValue::from_static("accept"));
    if response.status() == StatusCode::NOT_MODIFIED {
        response.headers_mut().remove(CONTENT_TYPE);
    }
    response
}
