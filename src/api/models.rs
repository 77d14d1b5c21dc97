//! `GET /v1/models` and `GET /v1/models/{id}`: a pointer read and an ETag compared. No SQL, no
//! provider, no serialising; only what was is read from the database (`past`).

use std::borrow::Cow;

use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use percent_encoding::percent_decode_str;

use super::{error::ApiError, view::View};
use crate::Catalog;

const PREFIX: &str = "/v1/models/";

/// The whole list, as it is or as it was.
pub async fn list(
    State(catalog): State<Catalog>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let view = View::of_list(catalog, &uri, &headers).await?;
    Ok(view.answer(&view.list()?, &headers))
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
    let view = View::of_model(catalog, &uri, &headers, &ids).await?;
    let body = ids
        .iter()
        .find_map(|id| view.snapshot.find_model(id))
        .ok_or_else(|| ApiError::no_model(&decoded))?;
    Ok(view.answer(&body, &headers))
}
