//! What Ollama's command line and other clients of Ollama ask besides lists, below the base of an
//! Ollama source and, for all models, below `/ollama`. The catalog only lists: it runs, loads and
//! pulls no model, and says so.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use axum::{
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::json;

use super::{
    asked::Asked,
    provider::{ProviderRoute, raw_entries},
    view::{View, Wanted},
};
use crate::{
    api::{
        costly::costly,
        error::{ApiError, shortened},
        request::ModelsPath,
        response::{no_store, written},
    },
    catalog::Catalog,
    model::{listing::RawEntries, source::SourceName},
    snapshot::{
        body::Body,
        dialect::{
            Dialect,
            shapes::{OllamaRunning, OllamaShowRequest, OllamaShown, OllamaVersion},
        },
        view::ModelView,
    },
};

/// The version of a server that reports none, and of `/ollama`, which is none: what Ollama itself
/// reports where it was built without a version. Clients that require a version let it pass.
const UNKNOWN_VERSION: &str = "0.0.0";
/// The tag that Ollama adds to a name without one.
const DEFAULT_TAG: &str = ":latest";

/// What Ollama answers at its root.
#[utoipa::path(
    get,
    path = "/ollama",
    tag = "ollama",
    operation_id = "isOllamaRunning",
    responses((status = 200, description = "It runs", body = String))
)]
pub async fn root(
    State(catalog): State<Catalog>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    source_route(catalog, &uri, &headers)?;
    Ok("Ollama is running".into_response())
}

/// The version that the source's server reported last.
#[utoipa::path(
    get,
    path = "/ollama/api/version",
    tag = "ollama",
    operation_id = "getOllamaVersion",
    responses((status = 200, description = "The version", body = OllamaVersion))
)]
pub async fn version(
    State(catalog): State<Catalog>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let route = source_route(catalog, &uri, &headers)?;
    let version = route.and_then(|route| route.source.server_version);
    let version = version.as_deref().unwrap_or(UNKNOWN_VERSION);
    Ok(no_store(json!({ "version": version })))
}

/// The loaded models: none are here.
#[utoipa::path(
    get,
    path = "/ollama/api/ps",
    tag = "ollama",
    operation_id = "listRunning",
    responses((status = 200, description = "No model", body = OllamaRunning))
)]
pub async fn running(
    State(catalog): State<Catalog>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    source_route(catalog, &uri, &headers)?;
    Ok(no_store(json!({ "models": [] })))
}

/// What is known of one model.
#[utoipa::path(
    post,
    path = "/ollama/api/show",
    tag = "ollama",
    operation_id = "showModel",
    request_body = OllamaShowRequest,
    params(("if-none-match" = Option<String>, Header, description = "The `ETag` of an earlier answer")),
    responses(
        (status = 200, description = "The model", body = OllamaShown),
        (status = 304, description = "The same as `If-None-Match` names"),
        (status = 404, description = "No such model is listed"),
        (status = 413, description = "The request is too long"),
    )
)]
pub async fn show(
    State(catalog): State<Catalog>,
    uri: Uri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let route = source_route(catalog.clone(), &uri, &headers)?;
    let body = body.map_err(|rejection| {
        ApiError::invalid(rejection.status(), "invalid_body", rejection.body_text())
    })?;
    let name = requested_model(&body)?;
    // Ollama's own words: some clients look for them.
    let message = format!("model '{}' not found", shortened(&name));
    let missing = ApiError::invalid(StatusCode::NOT_FOUND, "model_not_found", message);
    let with_tag = format!("{name}{DEFAULT_TAG}");
    let ids = [name, with_tag];
    let now = catalog.now();
    let write = move |model: &ModelView| Dialect::show(model, now);
    if let Some(route) = route {
        return route.answer_one(uri, headers, ids, write, missing).await;
    }
    let wanted = Wanted::Whole(ids);
    let asked = Asked::for_model(catalog.clone(), &uri, &headers)?;
    let current = asked.current_with(&wanted).await?;
    let reader = catalog.clone();
    let made = async move {
        let view = asked.make(current).await?;
        let model = wanted.find(&view.snapshot).ok_or(missing)?;
        let raw = RawOfSources::read(&reader, &view, &[model]).await?;
        let body = written(write(&raw.complete(model)))?;
        Ok(view.answer(&Body::once(body), &headers))
    };
    costly(&catalog, made).await
}

/// Ollama's routes that do something with a model: chat, generate, pull and so on.
pub async fn not_served(
    State(catalog): State<Catalog>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    source_route(catalog, &uri, &headers)?;
    // Not a 404: many clients pull a model when they read one.
    let message = format!(
        "{method} {} is not served: this is a catalog, which lists models and does not run, load, pull or change them. Send it to the Ollama server itself, or to a gateway.",
        shortened(uri.path())
    );
    Err(ApiError::invalid(
        StatusCode::NOT_IMPLEMENTED,
        "not_implemented",
        message,
    ))
}

/// The source whose routes the request is about, which must be an Ollama; none for all models.
fn source_route(
    catalog: Catalog,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Option<ProviderRoute>, ApiError> {
    let path = ModelsPath {
        dialect: Some(Dialect::Ollama),
        ..ModelsPath::of(uri, headers)
    };
    path.source
        .map(|_| ProviderRoute::find(catalog, &path, uri, headers))
        .transpose()
}

/// The entries of Ollama sources as they sent them, for the merged list.
pub struct RawOfSources<'a>(HashMap<&'a SourceName, Arc<RawEntries>>);

impl<'a> RawOfSources<'a> {
    /// Reads the entries of the sources of `models` that are Ollamas.
    pub async fn read(
        catalog: &Catalog,
        view: &View,
        models: &[ModelView<'a>],
    ) -> Result<Self, ApiError> {
        let sources: HashSet<&SourceName> = models.iter().map(|model| &model.row.source).collect();
        let mut entries = HashMap::new();
        for name in sources {
            if let Some(source) = view.find_source(name)
                && let Some(raw) = raw_entries(catalog, view, source, Dialect::Ollama).await?
            {
                entries.insert(name, raw);
            }
        }
        Ok(Self(entries))
    }

    /// For a cache name: which sources of `view` have such entries.
    pub fn form(view: &View) -> String {
        let sources = view.sources.states.iter();
        let raw = sources.filter(|source| Dialect::Ollama.is_native_to(source.kind));
        let names: Vec<&str> = raw.map(|source| source.name.as_str()).collect();
        names.join(",")
    }

    /// `model` with its entry as its source sent it.
    pub fn complete<'m>(&'m self, model: ModelView<'m>) -> ModelView<'m> {
        let raw = self.0.get(&model.row.source);
        let raw = raw.and_then(|raw| raw.find(&model.row.model_id));
        ModelView { raw, ..model }
    }
}

/// The name in the body of a request: `model`, or `name` of older clients.
fn requested_model(body: &[u8]) -> Result<String, ApiError> {
    #[derive(Deserialize)]
    struct Request {
        #[serde(default)]
        model: String,
        #[serde(default)]
        name: String,
    }
    let request: Request = serde_json::from_slice(body).map_err(|_| {
        let message = r#"The body must be JSON such as {"model": "llama3.2"}."#;
        ApiError::bad("invalid_body", message)
    })?;
    let names = [request.model, request.name];
    let name = names.into_iter().find(|name| !name.trim().is_empty());
    name.map(|name| name.trim().to_owned()).ok_or_else(|| {
        let message = "model is required";
        ApiError::bad("invalid_body", message)
    })
}
