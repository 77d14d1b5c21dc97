//! `/healthz` and `/readyz`, the health checks for load balancers and orchestrators.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::catalog::Catalog;

pub async fn alive() -> Response {
    Json(json!({"status": "ok"})).into_response()
}

pub async fn ready(State(catalog): State<Catalog>) -> Response {
    if catalog.is_ready() {
        return Json(json!({"status": "ok"})).into_response();
    }
    let answer =
        json!({"status": "starting", "message": "waiting for the first answer of some sources"});
    (StatusCode::SERVICE_UNAVAILABLE, Json(answer)).into_response()
}
