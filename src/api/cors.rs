//! CORS: lets browsers hand answers to the web pages that the settings allow. Off by default.

use std::time::Duration;

use axum::{
    Router,
    http::{
        HeaderName, HeaderValue, Method, StatusCode,
        header::{ACCESS_CONTROL_ALLOW_METHODS, ETAG},
    },
    middleware::map_response,
    response::Response,
};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use super::{
    middleware::CATALOG_REVISION,
    models::view::{CATALOG_EMPTY, CATALOG_STALE},
};
use crate::{catalog::Catalog, config::cors::CorsOrigins};

/// How long browsers may remember a preflight's answer.
const MAX_AGE: Duration = Duration::from_secs(3600);

/// Allows the configured pages to read the lists of models in `router`.
pub fn on_lists(router: Router<Catalog>, origins: &CorsOrigins) -> Router<Catalog> {
    match origins {
        CorsOrigins::Any => allow(router, AllowOrigin::any()),
        _ => on_catalog(router, origins),
    }
}

/// Allows the configured pages to read the answers of `router`. `*` allows nothing here.
pub fn on_catalog(router: Router<Catalog>, origins: &CorsOrigins) -> Router<Catalog> {
    let CorsOrigins::Listed(origins) = origins else {
        return router;
    };
    let values = origins
        .iter()
        .filter_map(|origin| HeaderValue::try_from(origin).ok());
    allow(router, AllowOrigin::list(values))
}

fn allow(router: Router<Catalog>, origins: AllowOrigin) -> Router<Catalog> {
    const EXPOSED: [HeaderName; 4] = [ETAG, CATALOG_REVISION, CATALOG_STALE, CATALOG_EMPTY];
    let cors = CorsLayer::new()
        .allow_origin(origins)
        // POST is Ollama's way to ask about a model.
        .allow_methods([Method::GET, Method::HEAD, Method::POST])
        // Keys and the dialects' own headers: `*` would not include `Authorization`.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(EXPOSED)
        .max_age(MAX_AGE);
    router
        .layer(cors)
        .layer(map_response(preflight_without_content))
}

/// Answers a preflight with 204, as most servers do: it has no body.
async fn preflight_without_content(mut response: Response) -> Response {
    if response
        .headers()
        .contains_key(ACCESS_CONTROL_ALLOW_METHODS)
    {
        *response.status_mut() = StatusCode::NO_CONTENT;
    }
    response
}
