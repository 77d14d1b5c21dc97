//! `GET /v1/models` and `GET /v1/models/{id}`: a pointer read and an ETag compared. No SQL, no
//! provider, no serialising.

use std::borrow::Cow;

use axum::{
    extract::State,
    http::{
        HeaderMap, HeaderValue, StatusCode, Uri,
        header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, VARY},
    },
    response::{IntoResponse, Response},
};
use axum_extra::headers::{self, HeaderMapExt, IfNoneMatch};
use percent_encoding::percent_decode_str;

use super::error::ApiError;
use crate::{
    Catalog,
    snapshot::{Body, Snapshot},
};

const PREFIX: &str = "/v1/models/";

/// The whole list.
pub async fn list(State(catalog): State<Catalog>, headers: HeaderMap) -> Response {
    let snapshot = catalog.snapshot().await;
    answer(&catalog, &snapshot, &snapshot.list, &headers)
}

/// One model. Clients send ids raw and percent-encoded, so the path is looked up as it came and
/// then decoded: an id that itself holds `%25` is found either way.
pub async fn retrieve(
    State(catalog): State<Catalog>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let raw = uri.path().strip_prefix(PREFIX).unwrap_or_default();
    let decoded = percent_decode_str(raw)
        .decode_utf8()
        .unwrap_or(Cow::Borrowed(raw));
    let ids = [raw, decoded.as_ref()];
    let snapshot = catalog.snapshot_with_any(&ids).await;
    match ids.iter().find_map(|id| snapshot.find_model(id)) {
        Some(body) => Ok(answer(&catalog, &snapshot, body, &headers)),
        None => Err(ApiError::no_model(&decoded)),
    }
}

/// `body` with the headers that say how fresh it is, or 304 when the client has it.
fn answer(catalog: &Catalog, snapshot: &Snapshot, body: &Body, request: &HeaderMap) -> Response {
    // An answer that lacks a source must not be kept; any other is revalidated for free.
    let missing = snapshot.list_missing().next().is_some();
    let mut response = if has_it(request, &body.etag) {
        // As long as the answer that it stands for, not as its own empty body.
        (
            StatusCode::NOT_MODIFIED,
            [(CONTENT_LENGTH, HeaderValue::from(body.bytes.len()))],
        )
            .into_response()
    } else {
        ([(CONTENT_TYPE, "application/json")], body.bytes.clone()).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(ETAG, body.etag.clone());
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static(if missing { "no-store" } else { "no-cache" }),
    );
    headers.insert(
        VARY,
        HeaderValue::from_static("accept-encoding, anthropic-version"),
    );
    headers.insert("catalog-revision", snapshot.revision.into());
    let stale: Vec<&str> = snapshot
        .list_stale(catalog.now())
        .map(AsRef::as_ref)
        .collect();
    if !stale.is_empty()
        && let Ok(stale) = HeaderValue::try_from(stale.join(", "))
    {
        headers.insert("catalog-stale", stale);
    }
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
