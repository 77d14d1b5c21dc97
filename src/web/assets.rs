//! The style sheet and the script. Their addresses name their content, so browsers keep them for good.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};

use crate::{api::error::ApiError, api::response, snapshot::body::Body};

const STYLE: &str = include_str!("assets/catalog.css");
const SCRIPT: &str = include_str!("assets/catalog.js");
const ICON: &str = include_str!("assets/icon.svg");

/// A file that pages refer to.
struct Asset {
    name: &'static str,
    content_type: &'static str,
    body: Body,
}

static ASSETS: LazyLock<[Asset; 3]> = LazyLock::new(|| {
    [
        ("catalog.css", "text/css; charset=utf-8", STYLE),
        ("catalog.js", "text/javascript; charset=utf-8", SCRIPT),
        ("icon.svg", "image/svg+xml", ICON),
    ]
    .map(|(name, content_type, text)| Asset {
        name,
        content_type,
        body: Body::kept(text.into()),
    })
});

/// What tells the present content of all assets from that of other versions.
pub fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let all = [STYLE, SCRIPT, ICON].concat();
        let etag = Body::once(all).etag;
        let etag = etag.to_str().unwrap_or_default();
        etag.trim_matches('"').chars().take(12).collect()
    });
    &VERSION
}

/// The asset called `file`.
pub async fn asset(Path(file): Path<String>, headers: HeaderMap) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == file) else {
        let message = "There is no such file: reload the page.";
        return ApiError::invalid(StatusCode::NOT_FOUND, "unknown_file", message).into_response();
    };
    let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
    let content_type = HeaderValue::from_static(asset.content_type);
    let mut response = response::answer(&asset.body, content_type, forever, &headers);
    if response.status() == StatusCode::NOT_MODIFIED {
        response.headers_mut().remove(CONTENT_TYPE);
    }
    debug_assert!(response.headers().contains_key(CACHE_CONTROL));
    response
}
