//! The page at `/docs` that shows the OpenAPI document and tries its routes: Swagger UI, whose files are in
//! the binary.

use std::{
    borrow::Cow,
    sync::{Arc, LazyLock},
};

use axum::{
    Router,
    body::Bytes,
    extract::Path,
    http::{
        HeaderName, HeaderValue, StatusCode, Uri,
        header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    },
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use utoipa_swagger_ui::Config;

use crate::api::unknown_route;

/// What the page may load and do. It makes its icons of `data:` images and styles elements by their attribute;
/// everything else comes from the files here, and requests go to this server alone.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
const REFERRER_POLICY: HeaderName = HeaderName::from_static("referrer-policy");

/// How the page is set up. Its addresses are relative, so that it also works below a path of a proxy.
static CONFIG: LazyLock<Arc<Config>> = LazyLock::new(|| {
    let config = Config::from("../openapi.json")
        .use_base_layout()
        .display_request_duration(true)
        // It would send the document's address to a service elsewhere.
        .validator_url("none");
    Arc::new(config)
});

/// The page and its files.
pub fn routes() -> Router {
    Router::new()
        .route("/docs", get(with_slash))
        .route("/docs/", get(page))
        .route("/docs/{*file}", get(named))
}

/// The page's files are beside it.
async fn with_slash() -> Redirect {
    Redirect::permanent("docs/")
}

async fn page(uri: Uri) -> Response {
    file("", uri).await
}

async fn named(Path(name): Path<String>, uri: Uri) -> Response {
    file(&name, uri).await
}

/// One file of the page; an unknown route if it has none of that name.
async fn file(name: &str, uri: Uri) -> Response {
    let found = utoipa_swagger_ui::serve(name, CONFIG.clone())
        .ok()
        .flatten();
    let Some(found) = found else {
        return unknown_route(uri).await.into_response();
    };
    let Ok(content_type) = HeaderValue::try_from(found.content_type) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let headers = [
        (CONTENT_TYPE, content_type),
        // They are other files after an update.
        (CACHE_CONTROL, HeaderValue::from_static("max-age=3600")),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    let bytes = match found.bytes {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => Bytes::from(bytes),
    };
    let mut response = (headers, bytes).into_response();
    if found.gzpipped {
        // In no other form: every browser reads this one, and nothing else asks for these files.
        let gzip = HeaderValue::from_static("gzip");
        response.headers_mut().insert(CONTENT_ENCODING, gzip);
    }
    response
}
