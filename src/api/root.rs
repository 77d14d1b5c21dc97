//! `GET /` for people: what this is, and where to look. It says nothing of what the catalog holds.

use axum::{
    http::{
        HeaderMap, HeaderValue, Uri,
        header::{ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};

use super::unknown_route;

const PAGE: &str = include_str!("root.html");

/// The page for browsers. Programs get the same answer as for any unknown route.
pub async fn root(uri: Uri, headers: HeaderMap) -> Response {
    let mut accepted = headers.get_all(ACCEPT).iter();
    let is_browser = accepted.any(|accept| {
        let accept = accept.to_str().unwrap_or_default();
        accept
            .split([',', ';'])
            .any(|kind| kind.trim() == "text/html")
    });
    if !is_browser {
        return unknown_route(uri).await.into_response();
    }
    let headers = [
        (
            CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (
            CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(
                "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            ),
        ),
    ];
    (headers, PAGE).into_response()
}
