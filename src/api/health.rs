//! `/healthz` and `/readyz`, the health checks for load balancers and orchestrators. Anybody may ask,
//! so they name kinds of tasks and nothing else.

use std::time::Instant;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::catalog::Catalog;

/// Whether a restart of the process is needed.
pub async fn alive(State(catalog): State<Catalog>) -> Response {
    match catalog.health().find_problem(Instant::now()) {
        None => Json(json!({"status": "ok"})).into_response(),
        Some(message) => {
            let answer = json!({"status": "failing", "message": message});
            (StatusCode::SERVICE_UNAVAILABLE, Json(answer)).into_response()
        }
    }
}

/// Whether the list can be served, and the kinds of tasks that had to be restarted lately.
pub async fn ready(State(catalog): State<Catalog>) -> Response {
    if !catalog.is_ready() {
        let answer = json!({"status": "starting", "message": "waiting for the first answer of some sources"});
        return (StatusCode::SERVICE_UNAVAILABLE, Json(answer)).into_response();
    }
    let troubled = catalog.health().list_troubled(Instant::now());
    if troubled.is_empty() {
        return Json(json!({"status": "ok"})).into_response();
    }
    Json(json!({"status": "ok", "restarts": troubled})).into_response()
}
