//! `GET /metrics`.

use axum::{
    extract::State,
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};

use super::{auth::Unrestricted, error::ApiError};
use crate::catalog::Catalog;

pub async fn metrics(
    _: Unrestricted,
    State(catalog): State<Catalog>,
) -> Result<Response, ApiError> {
    let (snapshot, now) = (catalog.current(), catalog.now());
    let failed = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, "the metrics cannot be written");
        ApiError::internal()
    };
    let verdicts = catalog
        .watched()
        .verdicts(&snapshot, now)
        .map_err(|error| failed(&error))?;
    let text = catalog
        .shared()
        .metrics
        .encode(&snapshot, &verdicts, now)
        .map_err(|error| failed(&error))?;
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(CONTENT_TYPE, content_type)], text).into_response())
}
