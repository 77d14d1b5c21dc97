//! The catalog for people: pages made on the server, which can be read without JavaScript and ask no other
//! host for anything. A file per page; `templates/` has their HTML, `assets/` the style sheet and the script.
//!
//! Pages show what the routes of `api` answer, to whom they answer it: a key sees the same in both.

mod address;
mod assets;
mod changes;
mod chart;
mod diff;
mod event;
mod frame;
mod markup;
mod model;
mod models;
mod refresh;
mod response;
mod sign_in;
mod sources;
mod visit;

use axum::{
    Router,
    extract::Request,
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri,
        header::{ACCEPT, CONTENT_SECURITY_POLICY},
    },
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use tower_http::compression::CompressionLayer;

use self::{
    address::{SIGN_IN, sign_in_path},
    frame::ErrorPage,
    response::{no_store, redirect},
};
use crate::{
    api::{auth, error::ApiError, method_not_allowed, unknown_route},
    catalog::Catalog,
};

/// Pages load what this service serves, and nothing else. No page may frame them.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);
/// Links to other sites do not tell them which models are looked at.
const REFERRER_POLICY: (HeaderName, HeaderValue) = (
    HeaderName::from_static("referrer-policy"),
    HeaderValue::from_static("same-origin"),
);

/// The page with the buttons that need the admin key.
const BUTTONS: &str = "/ui/sources";

/// The pages of `catalog`.
pub fn pages(catalog: &Catalog) -> Router<Catalog> {
    let guard = || from_fn_with_state(catalog.clone(), auth::guard);
    let guarded = Router::new()
        .route("/ui/models/{*id}", get(model::page))
        .route("/ui/sources", get(sources::page))
        .route("/ui/sources/{name}/refresh", post(refresh::refresh))
        .route("/ui/changes", get(changes::page))
        .route("/ui/diff", get(diff::page))
        .route_layer(guard());
    Router::new()
        // Programs that come here meet no page, whatever their key.
        .route(
            "/",
            get(models::page)
                .layer(guard())
                .layer(from_fn(for_browsers)),
        )
        .merge(guarded)
        .route(SIGN_IN, get(sign_in::page).post(sign_in::sign_in))
        .route("/ui/sign-out", post(sign_in::sign_out))
        .route("/ui/assets/{file}", get(assets::asset))
        .route("/ui", get(home))
        .route("/ui/", get(home))
        .route("/ui/{*rest}", any(no_page))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn(as_pages))
        .layer(CompressionLayer::new())
}

async fn home() -> Response {
    redirect("/")
}

async fn no_page(uri: Uri) -> ApiError {
    let message = format!(
        "There is no page {}: the models are at /, the sources at /ui/sources, the changes at /ui/changes.",
        uri.path()
    );
    ApiError::invalid(StatusCode::NOT_FOUND, "unknown_page", message)
}

/// Lets in who asks for a page. Others get the same answer as for any unknown route.
async fn for_browsers(request: Request, next: Next) -> Response {
    match accepts_html(request.headers()) {
        true => next.run(request).await,
        false => unknown_route(request.uri().clone()).await.into_response(),
    }
}

fn accepts_html(headers: &HeaderMap) -> bool {
    let mut accepted = headers.get_all(ACCEPT).iter();
    accepted.any(|accept| {
        let accept = accept.to_str().unwrap_or_default();
        accept
            .split([',', ';'])
            .any(|kind| kind.trim() == "text/html")
    })
}

/// Errors become pages, and who has no key is asked for one. Adds the headers that all pages have.
async fn as_pages(request: Request, next: Next) -> Response {
    let wants_page = accepts_html(request.headers());
    let wanted = request.uri().clone();
    let needs_admin = !matches!(*request.method(), Method::GET | Method::HEAD);
    let mut response = next.run(request).await;
    if let Some(error) = response.extensions_mut().remove::<ApiError>()
        && wants_page
    {
        response = match error.status() {
            StatusCode::UNAUTHORIZED if needs_admin => {
                redirect(&format!("{SIGN_IN}?next={BUTTONS}&admin=1"))
            }
            StatusCode::UNAUTHORIZED => redirect(&sign_in_path(&wanted)),
            status => (status, no_store(ErrorPage::of(&error).render())).into_response(),
        };
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(REFERRER_POLICY.0, REFERRER_POLICY.1);
    response
}
