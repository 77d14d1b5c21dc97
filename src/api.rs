//! Every route and layer at a glance. Handlers only choose what to send; `snapshot` makes the
//! bytes.

pub(crate) mod auth;
pub(crate) mod catalog;
mod cors;
pub(crate) mod costly;
mod door;
mod encoding;
pub(crate) mod error;
mod health;
mod metrics;
pub(crate) mod middleware;
pub(crate) mod models;
pub mod openapi;
mod page_request;
pub(crate) mod query;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod session;

use std::net::SocketAddr;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{Method, StatusCode, Uri},
    middleware::{from_fn, from_fn_with_state},
    routing::{MethodRouter, any, get, post},
};
use tower::util::MapRequest;
use tower_http::{catch_panic::CatchPanicLayer, trace::TraceLayer};

use self::{door::Door, error::ApiError, middleware::Common, models::ollama, request::OLLAMA_BASE};
use crate::{catalog::Catalog, model::closest::closest};

/// The longest body of a request about one model, in bytes.
const MAX_SHOW_BYTES: usize = 64 * 1024;

/// Ollama's routes that do something with a model.
const NOT_SERVED: [&str; 12] = [
    "blobs/{digest}",
    "chat",
    "copy",
    "create",
    "delete",
    "embed",
    "embeddings",
    "generate",
    "me",
    "pull",
    "push",
    "signout",
];

/// The service's application on a listener at `listens_on`: all routes, also with a slash too many or
/// without the version, the `pages` for people, and a JSON 404 for unknown routes.
pub fn application(
    catalog: Catalog,
    listens_on: Option<SocketAddr>,
    pages: Router<Catalog>,
) -> Router {
    let common = Common {
        door: Some(Door::new(&catalog, listens_on)),
        catalog: catalog.clone(),
    };
    let answered = || from_fn_with_state(common.clone(), middleware::answered);
    let routes = routes(catalog, pages)
        .merge(openapi::routes())
        .layer(answered());
    let lenient = routes
        .clone()
        .fallback_service(any(unknown_route).layer(answered()));
    // Only what no route matches comes here, so that the others pay nothing for it.
    routes.fallback_service(MapRequest::new(lenient, middleware::with_usual_path))
}

impl Catalog {
    /// The catalog's routes: `/v1/models`, `/v1beta/…`, `/catalog/…`, `/healthz`, `/readyz` and
    /// others. They have no fallback, so you can merge them with your own. `POST /catalog/refresh`
    /// needs the peer's address: serve with `into_make_service_with_connect_info::<SocketAddr>()`.
    pub fn router(&self) -> Router {
        let common = Common {
            catalog: self.clone(),
            door: None,
        };
        // An application that mounts these has pages of its own.
        routes(self.clone(), Router::new()).layer(from_fn_with_state(common, middleware::answered))
    }
}

/// All routes and the `pages`, without what all answers have in common.
fn routes(catalog: Catalog, pages: Router<Catalog>) -> Router {
    // Guards every route except the operator's, which have their own rule, and those that reveal
    // nothing.
    let guard = || from_fn_with_state(catalog.clone(), auth::guard);
    let guarded = |routes: Router<Catalog>| {
        routes
            .route_layer(guard())
            .method_not_allowed_fallback(method_not_allowed)
    };
    let origins = catalog.cors_origins();
    // Outside the guard: a preflight carries no key.
    let refresh = Router::new().route("/catalog/refresh", post(catalog::refresh::refresh));
    cors::on_lists(guarded(list_routes()), origins)
        .merge(cors::on_catalog(guarded(catalog_routes()), origins))
        .merge(refresh.method_not_allowed_fallback(method_not_allowed))
        .merge(pages)
        // Together, since each `layer` costs every request a copy of all that is behind it.
        .layer((
            // Failures are logged once, by the code that knows the cause.
            TraceLayer::new_for_http()
                .make_span_with(middleware::span)
                .on_response(middleware::ended)
                .on_failure(()),
            from_fn(middleware::in_time),
            CatchPanicLayer::custom(middleware::panicked),
        ))
        // Probes call these every few seconds; logging them, let alone as errors, would be noise.
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::metrics).layer(guard()))
        .with_state(catalog)
}

/// The merged list, and each source's own.
fn list_routes() -> Router<Catalog> {
    Router::new()
        .route("/v1/models", get(models::list))
        .route("/v1/models/{*id}", get(models::retrieve))
        .route("/v1beta/models", get(models::list))
        .route("/v1beta/models/{*id}", get(models::retrieve))
        .route("/v1beta/openai/models", get(models::list))
        .route("/v1beta/openai/models/{*id}", get(models::retrieve))
        .route(&format!("{OLLAMA_BASE}/v1/models"), get(models::list))
        .route(
            &format!("{OLLAMA_BASE}/v1/models/{{*id}}"),
            get(models::retrieve),
        )
        .merge(ollama_routes(OLLAMA_BASE, get(models::list)))
        .merge(provider_routes())
}

/// The routes of an Ollama server at `base`, whose list is `tags`.
fn ollama_routes(base: &str, tags: MethodRouter<Catalog>) -> Router<Catalog> {
    let show = post(ollama::show).layer(DefaultBodyLimit::max(MAX_SHOW_BYTES));
    let router = Router::new()
        .route(base, get(ollama::root))
        .route(&format!("{base}/"), get(ollama::root))
        .route(&format!("{base}/api/tags"), tags)
        .route(&format!("{base}/api/version"), get(ollama::version))
        .route(&format!("{base}/api/ps"), get(ollama::running))
        .route(&format!("{base}/api/show"), show);
    // Not a wildcard: it would also match the routes above with a slash too many.
    NOT_SERVED.iter().fold(router, |router, route| {
        router.route(&format!("{base}/api/{route}"), any(ollama::not_served))
    })
}

/// What the catalog says of its sources and its history.
fn catalog_routes() -> Router<Catalog> {
    Router::new()
        .route("/catalog/sources", get(catalog::sources::sources))
        .route("/catalog/providers", get(catalog::providers::providers))
        .route("/catalog/changes", get(catalog::changes::changes))
        .route("/catalog/changes.atom", get(catalog::feeds::atom))
        .route("/catalog/events", get(catalog::events::events))
        .route(
            "/catalog/models/{*id}",
            get(catalog::history::model_history),
        )
        .route("/catalog/why/{*id}", get(catalog::why::why))
        .route("/catalog.sqlite", get(catalog::backup::copy))
        .route(
            "/catalog/retirements",
            get(catalog::retirements::retirements),
        )
}

/// The provider routes: each source's own lists.
fn provider_routes() -> Router<Catalog> {
    let lists = [
        "v1/models",
        "v1beta/models",
        "v1beta/openai/models",
        "models",
    ];
    let router = ollama_routes("/catalog/providers/{name}", get(models::provider::models));
    lists.iter().fold(router, |router, list| {
        let list = format!("/catalog/providers/{{name}}/{list}");
        router
            .route(&list, get(models::provider::models))
            .route(&format!("{list}/{{*id}}"), get(models::provider::models))
    })
}

/// What a mistyped path may mean.
const WELL_KNOWN: [&str; 13] = [
    "/v1/models",
    "/v1beta/models",
    "/ollama/api/tags",
    "/catalog/sources",
    "/catalog/providers",
    "/catalog/changes",
    "/catalog/changes.atom",
    "/catalog/events",
    "/catalog/retirements",
    "/catalog.sqlite",
    "/metrics",
    "/healthz",
    "/readyz",
];

/// What a route says that does not exist: the ones that do.
pub async fn unknown_route(uri: Uri) -> ApiError {
    let path = error::shortened(uri.path());
    let meant = match closest(&path, WELL_KNOWN.into_iter()).first() {
        Some(route) => format!("did you mean {route}? T"),
        None => "t".to_owned(),
    };
    let message = format!(
        "No route {path}: {meant}he list is GET /v1/models, a model is GET /v1/models/{{id}}, the sources are GET /catalog/sources, the changes GET /catalog/changes."
    );
    ApiError::invalid(StatusCode::NOT_FOUND, "unknown_route", message)
}

/// What a route says that does not know the method.
pub async fn method_not_allowed(method: Method, uri: Uri) -> ApiError {
    let message = format!(
        "{method} is not allowed on {}: see the Allow header.",
        error::shortened(uri.path())
    );
    ApiError::invalid(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        message,
    )
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, extract::Request};
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_answer() {
        async fn broken() {
            panic!("on purpose")
        }
        let app: Router = Router::new()
            .route("/", get(broken))
            .layer(CatchPanicLayer::custom(middleware::panicked));
        let answer = app
            .oneshot(Request::new(Body::empty()))
            .await
            .expect("an answer");
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer.headers()["content-type"], "application/json");
    }
}
