//! `GET /v1/models` and `GET /v1/models/{id}`: a pointer read and an ETag compared. No SQL, no
//! provider, no serialising; only what was is read from the database (`past`).

use std::borrow::Cow;

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, Uri, header::VARY},
    response::Response,
};
use percent_encoding::percent_decode_str;

use super::{CATALOG_REVISION, conditional, error::ApiError, past};
use crate::{
    Catalog,
    snapshot::{Body, Snapshot},
};

const PREFIX: &str = "/v1/models/";

/// The whole list, as it is or as it was.
pub async fn list(
    State(catalog): State<Catalog>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    if let Some(moment) = past::wanted(uri.query())? {
        let snapshot = past::snapshot(&catalog, moment).await?;
        return Ok(answer(
            &snapshot,
            &snapshot.list,
            past::cache_control(moment),
            &headers,
        ));
    }
    let snapshot = catalog.snapshot().await;
    Ok(current_answer(
        &catalog,
        &snapshot,
        &snapshot.list,
        &headers,
    ))
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
    let find = |snapshot: &Snapshot| {
        ids.iter()
            .find_map(|id| snapshot.find_model(id))
            .ok_or_else(|| ApiError::no_model(&decoded))
    };
    if let Some(moment) = past::wanted(uri.query())? {
        let snapshot = past::snapshot(&catalog, moment).await?;
        let body = find(&snapshot)?;
        return Ok(answer(
            &snapshot,
            &body,
            past::cache_control(moment),
            &headers,
        ));
    }
    let snapshot = catalog.snapshot_with_any(&ids).await;
    let body = find(&snapshot)?;
    Ok(current_answer(&catalog, &snapshot, &body, &headers))
}

/// `body` of the catalog as it is, with the headers that say how fresh it is.
fn current_answer(
    catalog: &Catalog,
    snapshot: &Snapshot,
    body: &Body,
    request: &HeaderMap,
) -> Response {
    // An answer that lacks a source must not be kept; any other is revalidated for free.
    let missing = snapshot.list_missing().next().is_some();
    let cache_control = HeaderValue::from_static(if missing { "no-store" } else { "no-cache" });
    let mut response = answer(snapshot, body, cache_control, request);
    let stale: Vec<&str> = snapshot
        .list_stale(catalog.now())
        .map(AsRef::as_ref)
        .collect();
    if !stale.is_empty()
        && let Ok(stale) = HeaderValue::try_from(stale.join(", "))
    {
        response.headers_mut().insert("catalog-stale", stale);
    }
    response
}

/// `body` of `snapshot`, or 304 when the client has it.
fn answer(
    snapshot: &Snapshot,
    body: &Body,
    cache_control: HeaderValue,
    request: &HeaderMap,
) -> Response {
    let json = HeaderValue::from_static("application/json");
    let mut response = conditional::answer(body, json, cache_control, request);
    let headers = response.headers_mut();
    headers.insert(
        VARY,
        HeaderValue::from_static("accept-encoding, anthropic-version"),
    );
    headers.insert(CATALOG_REVISION, snapshot.revision.into());
    response
}
