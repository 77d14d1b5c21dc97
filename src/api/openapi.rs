//! The OpenAPI 3.1 document, gathered from what the handlers say of themselves, and its route. `bases`
//! has what one handler answers elsewhere too, `answers` what many answers have in common.

mod answers;
mod bases;
pub mod docs;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use axum::{
    Router,
    http::{HeaderMap, HeaderValue},
    response::Response,
    routing::get,
};
use utoipa::{
    Modify, OpenApi,
    openapi::security::{
        ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
    },
};

use self::{answers::Answers, bases::Bases};
use super::{catalog, health, metrics, models, response};
use crate::snapshot::{
    body::Body,
    dialect::shapes::{self, errors, own},
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "model-catalog",
        description = "One durable list of every model you can call. Errors have the shape of the caller's dialect, otherwise OpenAI's. \
            Every answer names its revision (`Catalog-Revision`). Keys are asked for where some are set.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    paths(
        models::list,
        models::retrieve,
        models::provider::models,
        models::ollama::root,
        models::ollama::version,
        models::ollama::running,
        models::ollama::show,
        catalog::sources::sources,
        catalog::providers::providers,
        catalog::changes::changes,
        catalog::feeds::atom,
        catalog::events::events,
        catalog::history::model_history,
        catalog::why::why,
        catalog::retirements::retirements,
        catalog::refresh::refresh,
        catalog::backup::copy,
        metrics::metrics,
        health::alive,
        health::ready,
        document,
    ),
    components(schemas(
        shapes::ModelList,
        shapes::ModelFieldsList,
        shapes::AnthropicModelList,
        shapes::GeminiModelList,
        shapes::OllamaModelList,
        own::OwnModelList,
        own::OwnAnthropicModelList,
        own::OwnGeminiModelList,
        errors::Error,
        errors::AnthropicError,
        errors::GeminiError,
        errors::OllamaError,
    )),
    tags(
        (name = "models", description = "The merged list, in the shapes of OpenAI, Anthropic and Gemini"),
        (name = "sources", description = "Each source's own list, under its own ids"),
        (name = "ollama", description = "What clients of Ollama ask"),
        (name = "catalog", description = "The sources, and what has changed"),
        (name = "operations", description = "For whoever runs it"),
    ),
    modifiers(&Keys, &Bases, &Answers),
)]
struct Document;

/// The ways to send a key.
struct Keys;

impl Modify for Keys {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let header = |name: &str| SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new(name)));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        for (name, header_name) in [
            ("anthropic", "x-api-key"),
            ("google", "x-goog-api-key"),
            ("azure", "api-key"),
        ] {
            components.add_security_scheme(name, header(header_name));
        }
        // The empty one: no key is needed where none is set.
        let any = ["bearer", "anthropic", "google", "azure"];
        let any = any.map(|name| SecurityRequirement::new(name, Vec::<String>::new()));
        document.security = Some([vec![SecurityRequirement::default()], any.to_vec()].concat());
    }
}

/// The document as it is served and kept in `docs/openapi.json`.
static DOCUMENT: LazyLock<Body> = LazyLock::new(|| {
    // It is made of text and numbers alone, which can always be written; a test reads it.
    let mut text = Document::openapi().to_pretty_json().unwrap_or_default();
    text.push('\n');
    Body::kept(text.into())
});

/// The document, for the command that prints it.
pub fn text() -> &'static [u8] {
    &DOCUMENT.bytes
}

/// The document that this is.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "operations",
    operation_id = "getDocument",
    security(()),
    params(("if-none-match" = Option<String>, Header, description = "The `ETag` of an earlier answer")),
    responses(
        (status = 200, description = "The document", body = Object),
        (status = 304, description = "The same as `If-None-Match` names"),
    )
)]
pub async fn document(headers: HeaderMap) -> Response {
    let json = HeaderValue::from_static("application/json");
    response::answer(
        &DOCUMENT,
        json,
        HeaderValue::from_static("no-cache"),
        &headers,
    )
}

/// The routes of the document and of the page that shows it. They say nothing of what the catalog holds, so
/// anybody may ask. Not among the routes that an application mounts into its own, which may have a
/// document of its own.
pub fn routes() -> Router {
    Router::new()
        .route("/openapi.json", get(document))
        .merge(docs::routes())
}
