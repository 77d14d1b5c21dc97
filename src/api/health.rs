//! `/healthz` and `/readyz`, the health checks for load balancers and orchestrators. Anybody may ask,
//! so they name kinds of tasks and nothing else.

use std::{collections::BTreeMap, time::Instant};

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::{
    ToSchema,
    openapi::schema::{Object, ObjectBuilder, Type},
};

use crate::catalog::Catalog;

/// What a probe is told.
#[derive(Serialize, ToSchema)]
struct Health {
    /// `ok`, or what is the matter in one word.
    #[schema(schema_with = status_words)]
    status: &'static str,
    /// What is the matter; none when all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// How often each kind of task had to be restarted lately; left out when none had.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    restarts: BTreeMap<&'static str, u64>,
}

const OK: Health = Health {
    status: "ok",
    message: None,
    restarts: BTreeMap::new(),
};

fn status_words() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(["ok", "failing", "starting"]))
        .build()
}

/// Whether a restart of the process is needed.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "operations",
    operation_id = "isAlive",
    security(()),
    responses(
        (status = 200, description = "The service can do its work", body = Health),
        (status = 503, description = "It cannot: restart it", body = Health),
    )
)]
pub async fn alive(State(catalog): State<Catalog>) -> Response {
    match catalog.health().find_problem(Instant::now()) {
        None => Json(OK).into_response(),
        Some(message) => {
            let answer = Health {
                status: "failing",
                message: Some(message),
                ..OK
            };
            (StatusCode::SERVICE_UNAVAILABLE, Json(answer)).into_response()
        }
    }
}

/// Whether the list can be served, and the kinds of tasks that had to be restarted lately.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operations",
    operation_id = "isReady",
    security(()),
    responses(
        (status = 200, description = "Every source has answered or failed once", body = Health),
        (status = 503, description = "Some are still awaited", body = Health),
    )
)]
pub async fn ready(State(catalog): State<Catalog>) -> Response {
    if !catalog.is_ready() {
        let answer = Health {
            status: "starting",
            message: Some("waiting for the first answer of some sources".to_owned()),
            ..OK
        };
        return (StatusCode::SERVICE_UNAVAILABLE, Json(answer)).into_response();
    }
    let restarts = catalog.health().list_troubled(Instant::now());
    Json(Health { restarts, ..OK }).into_response()
}
