//! The layers around every handler: the door, time limit, panics, errors in the caller's dialect, the common
//! headers.

use std::{
    any::Any,
    time::{Duration, Instant},
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{
        HeaderName, HeaderValue, Uri,
        header::{self, X_CONTENT_TYPE_OPTIONS},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use tower_http::trace::{DefaultOnResponse, OnResponse};
use tracing::field::Empty;

use super::{
    door::Door,
    error::ApiError,
    request::{ModelsPath, usual_path},
};
use crate::{catalog::Catalog, snapshot::dialect::Dialect};

/// Time limit of a request: well above a refresh, the longest wait for a source.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

const NO_SNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// The header with the id of a request, which its answer repeats.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest id that is repeated, in bytes.
const MAX_REQUEST_ID_BYTES: usize = 128;
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The revision header of every answer.
pub const CATALOG_REVISION: HeaderName = HeaderName::from_static("catalog-revision");

/// A span named after the route, not the path: ids are data, and query strings are never logged.
pub fn span(request: &Request) -> tracing::Span {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("-", MatchedPath::as_str);
    let span = tracing::debug_span!(
        "request",
        http.method = %request.method(),
        http.route = route,
        http.response.status_code = Empty,
        otel.name = Empty,
        otel.kind = Empty,
        request_id = Empty,
        trace_id = Empty,
    );
    if !span.is_disabled() {
        let id = request_id(request);
        if cfg!(feature = "otlp") {
            span.record("otel.kind", "server");
            span.record("otel.name", format!("{} {route}", request.method()));
        }
        #[cfg(feature = "otlp")]
        crate::log::traces::continue_trace(&span, request.headers());
        span.record("request_id", id.as_ref().and_then(|id| id.to_str().ok()));
        span.record("trace_id", trace_id(request));
    }
    span
}

/// Records the status in the `span` of a request, and logs that it has ended.
pub fn ended<B>(response: &axum::http::Response<B>, latency: Duration, span: &tracing::Span) {
    span.record("http.response.status_code", response.status().as_u16());
    DefaultOnResponse::new().on_response(response, latency, span);
}

/// The request's own id, if it is one to repeat: short, and visible ASCII.
fn request_id(request: &Request) -> Option<HeaderValue> {
    let id = request.headers().get(&REQUEST_ID)?;
    let is_usable = (1..=MAX_REQUEST_ID_BYTES).contains(&id.len())
        && id.as_bytes().iter().all(u8::is_ascii_graphic);
    is_usable.then(|| id.clone())
}

/// The trace that the request belongs to, by W3C's `traceparent`: `00-<trace id>-<parent id>-<flags>`.
fn trace_id(request: &Request) -> Option<&str> {
    let header = request.headers().get(&TRACEPARENT)?.to_str().ok()?;
    let id = header.split('-').nth(1)?;
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (id.len() == 32 && id.bytes().all(is_hex) && id.bytes().any(|byte| byte != b'0')).then_some(id)
}

/// Rewrites the path of a request that matches no route to the one it probably means.
pub fn with_usual_path(mut request: Request) -> Request {
    let uri = request.uri();
    let path = usual_path(uri.path());
    let path_and_query = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = path_and_query.parse().ok();
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    request
}

/// What a request for no route is counted as: anybody may invent paths.
const UNKNOWN_ROUTE: &str = "other";

/// What all answers have in common.
#[derive(Clone, Debug)]
pub struct Common {
    /// The catalog that answers.
    pub catalog: Catalog,
    /// Who may come in; anybody if there is none.
    pub door: Option<Door>,
}

/// Asks at the door, puts errors into the caller's dialect, adds the common headers, and counts and times the
/// request. One layer, since each costs every request a copy of those behind it.
pub async fn answered(State(common): State<Common>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let Common { catalog, door } = common;
    let route = request.extensions().get::<MatchedPath>().cloned();
    let id = request_id(&request);
    let dialect = ModelsPath::of(request.uri(), request.headers()).dialect;
    let refused = door.and_then(|door| door.check(&request).err());
    let mut response = match refused {
        None => next.run(request).await,
        Some(error) => error.into_response(),
    };
    if let Some(dialect) = dialect {
        response = in_dialect(dialect, response);
    }
    let headers = response.headers_mut();
    // The latest revision, unless the answer names its own.
    headers
        .entry(CATALOG_REVISION)
        .or_insert_with(|| catalog.current().snapshot.revision.into());
    // Keeps browsers from taking an answer for a page.
    headers.insert(X_CONTENT_TYPE_OPTIONS, NO_SNIFF);
    if let Some(id) = id {
        headers.insert(REQUEST_ID, id);
    }
    let route = route.as_ref().map_or(UNKNOWN_ROUTE, MatchedPath::as_str);
    let status = response.status().as_u16();
    let metrics = &catalog.shared().metrics;
    metrics.count_request(route, status, began.elapsed());
    response
}

pub async fn in_time(request: Request, next: Next) -> Response {
    tokio::time::timeout(REQUEST_TIMEOUT, next.run(request))
        .await
        .unwrap_or_else(|_| ApiError::timeout().into_response())
}

pub fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("unknown");
    tracing::error!(
        panic = message,
        "a request handler panicked: please report this"
    );
    ApiError::internal().into_response()
}

/// Rewrites an error into the caller's `dialect`, when the code that made it did not know it.
fn in_dialect(dialect: Dialect, response: Response) -> Response {
    let error = response.extensions().get::<ApiError>();
    let Some(error) = error.filter(|error| error.dialect.is_none()) else {
        return response;
    };
    let body = error
        .clone()
        .in_dialect(dialect)
        .into_response()
        .into_body();
    // Keeps the headers, such as `Allow`.
    let (mut head, _) = response.into_parts();
    head.headers.remove(header::CONTENT_LENGTH);
    head.extensions.remove::<ApiError>();
    Response::from_parts(head, body)
}
