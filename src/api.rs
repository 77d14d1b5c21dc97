//! Every route and layer in one look. Handlers choose what to send; what is sent was made in
//! `snapshot`.

mod asked;
mod bases;
mod caller;
mod catalog;
mod changes;
mod conditional;
mod copy;
mod error;
mod feed;
mod models;
mod operator;
mod past;
mod view;
mod why;

use std::{any::Any, time::Duration};

use axum::{
    Json, Router,
    extract::{MatchedPath, Request, State},
    http::{HeaderName, Method, StatusCode, Uri, header::CONTENT_TYPE},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::json;
use tower_http::{catch_panic::CatchPanicLayer, trace::TraceLayer};

use self::{caller::Unrestricted, error::ApiError};
use crate::Catalog;

/// How long a request may take: well over the longest wait for a source, which is a refresh.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// The header that every answer has.
const CATALOG_REVISION: HeaderName = HeaderName::from_static("catalog-revision");

/// The service's application: all routes, and a JSON 404 for the rest.
pub fn application(catalog: Catalog) -> Router {
    router(catalog.clone())
        .fallback(unknown_route)
        .layer(middleware::from_fn(error::in_callers_dialect))
        .layer(middleware::map_response_with_state(catalog, with_revision))
}

/// All routes, to be mounted.
pub fn router(catalog: Catalog) -> Router {
    // In front of everything but what has its own rule (an operator's) and what tells nothing.
    let guard = || middleware::from_fn_with_state(catalog.clone(), caller::guard);
    Router::new()
        .route("/v1/models", get(models::list))
        .route("/v1/models/{*id}", get(models::retrieve))
        .route("/v1beta/models", get(models::list))
        .route("/v1beta/models/{*id}", get(models::retrieve))
        .route("/v1beta/openai/models", get(models::list))
        .route("/v1beta/openai/models/{*id}", get(models::retrieve))
        .merge(bases())
        .route("/catalog/sources", get(catalog::sources))
        .route("/catalog/changes", get(changes::changes))
        .route("/catalog/changes.atom", get(feed::atom))
        .route("/catalog/events", get(feed::events))
        .route("/catalog/models/{*id}", get(changes::model_history))
        .route("/catalog/why/{*id}", get(why::why))
        .route("/catalog.sqlite", get(copy::copy))
        .route("/catalog/retirements", get(changes::retirements))
        .route_layer(guard())
        .route("/catalog/refresh", post(catalog::refresh))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn(in_time))
        // What fails is logged once, where it is known why.
        .layer(
            TraceLayer::new_for_http()
                .make_span_with(span)
                .on_failure(()),
        )
        // Asked every few seconds by machines: not worth a line, least of all one of an error.
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics).layer(guard()))
        .layer(middleware::from_fn(error::in_callers_dialect))
        .layer(middleware::map_response_with_state(
            catalog.clone(),
            with_revision,
        ))
        .with_state(catalog)
}

/// The lists below a source's base.
fn bases() -> Router<Catalog> {
    let lists = [
        "v1/models",
        "v1beta/models",
        "v1beta/openai/models",
        "models",
    ];
    let router = Router::new().route("/catalog/providers/{name}/api/tags", get(bases::models));
    lists.iter().fold(router, |router, list| {
        let list = format!("/catalog/providers/{{name}}/{list}");
        router
            .route(&list, get(bases::models))
            .route(&format!("{list}/{{*id}}"), get(bases::models))
    })
}

/// Names the route, not the path: ids are data, and query strings are never logged.
fn span(request: &Request) -> tracing::Span {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("-", MatchedPath::as_str);
    tracing::debug_span!("request", http.method = %request.method(), http.route = route)
}

/// The revision that an answer is of; where the answer does not say, the last one.
async fn with_revision(State(catalog): State<Catalog>, mut response: Response) -> Response {
    response
        .headers_mut()
        .entry(CATALOG_REVISION)
        .or_insert_with(|| catalog.current().revision.into());
    response
}

async fn in_time(request: Request, next: Next) -> Response {
    tokio::time::timeout(REQUEST_TIMEOUT, next.run(request))
        .await
        .unwrap_or_else(|_| ApiError::timeout().into_response())
}

async fn alive() -> Response {
    Json(json!({"status": "ok"})).into_response()
}

async fn ready(State(catalog): State<Catalog>) -> Response {
    if catalog.is_ready() {
        return Json(json!({"status": "ok"})).into_response();
    }
    let answer = json!({"status": "starting", "message": "some sources have not answered for the first time"});
    (StatusCode::SERVICE_UNAVAILABLE, Json(answer)).into_response()
}

async fn metrics(_: Unrestricted, State(catalog): State<Catalog>) -> Result<Response, ApiError> {
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

async fn unknown_route(uri: Uri) -> ApiError {
    let message = format!(
        "No route {}: the list is GET /v1/models, a model is GET /v1/models/{{id}}, the sources are GET /catalog/sources, the changes GET /catalog/changes.",
        error::shortened(uri.path())
    );
    ApiError::invalid(StatusCode::NOT_FOUND, "unknown_route", message)
}

async fn method_not_allowed(method: Method, uri: Uri) -> ApiError {
    let message = format!(
        "{method} is not possible on {}: see the Allow header.",
        error::shortened(uri.path())
    );
    ApiError::invalid(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        message,
    )
}

fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let what = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("unknown");
    tracing::error!(
        panic = what,
        "a request handler panicked: please report this"
    );
    ApiError::internal().into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_answer() {
        async fn broken() {
            panic!("on purpose")
        }
        let app: Router = Router::new()
            .route("/", get(broken))
            .layer(CatchPanicLayer::custom(panicked));
        let answer = app
            .oneshot(Request::new(Body::empty()))
            .await
            .expect("an answer");
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer.headers()["content-type"], "application/json");
    }
}
