//! The models, listed or one by one, in the caller's dialect: the merged list, or one source's own
//! list (the provider routes). Serving the merged list in OpenAI's dialect is a pointer read and an
//! ETag comparison: no SQL, no provider, no serializing. Only time travel (`past`) reads the
//! database.

pub mod ollama;
pub mod past;
pub mod provider;
pub mod view;

use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};

use self::{
    ollama::RawOfSources,
    view::{CursorPlace, View, Wanted},
};
use super::{
    error::ApiError,
    page_request::PageRequest,
    request::{ModelsPath, ids},
    response::written,
};
use crate::{
    catalog::Catalog,
    snapshot::{dialect::Dialect, view::ModelView},
};

/// The merged list, now or at a moment of the past.
pub async fn list(
    State(catalog): State<Catalog>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let dialect = dialect(&uri, &headers);
    let page_request = PageRequest::of(uri.query(), dialect)?;
    let now = catalog.now();
    let view = View::of_list(catalog.clone(), &uri, &headers).await?;
    if dialect == Dialect::OpenAi && page_request.is_whole() {
        return Ok(view.answer(&view.list()?, &headers));
    }
    let snapshot = &view.snapshot;
    let models = snapshot.models.iter().map(ModelView::merged);
    let mut models: Vec<ModelView> = models
        .filter(|model| page_request.has(model, now))
        .collect();
    let raw;
    if dialect == Dialect::Ollama {
        raw = RawOfSources::read(&catalog, &view, &models).await?;
        for model in &mut models {
            *model = raw.complete(*model);
        }
    }
    let cursor = match page_request.cursor() {
        Some(cursor) => Some(view.place_of(cursor).await?),
        None => None,
    };
    let page = page_request.page(&models, cursor.as_ref().map(CursorPlace::place));
    Ok(view.answer(&written(dialect.list(&page, view.fields(), now))?, &headers))
}

/// One model of the merged list.
pub async fn retrieve(
    State(catalog): State<Catalog>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let dialect = dialect(&uri, &headers);
    let [raw, decoded] = &ids(ModelsPath::of(&uri, &headers).id);
    let wanted = Wanted::Whole([raw, decoded]);
    let now = catalog.now();
    let view = View::of_model(catalog, &uri, &headers, &wanted).await?;
    let snapshot = &view.snapshot;
    let model = wanted.find(snapshot);
    let model = model.ok_or_else(|| ApiError::no_model(decoded))?;
    let body = match dialect {
        Dialect::OpenAi => snapshot.entry(model.model),
        _ => written(dialect.model(&model, now))?,
    };
    Ok(view.answer(&body, &headers))
}

fn dialect(uri: &Uri, headers: &HeaderMap) -> Dialect {
    ModelsPath::of(uri, headers)
        .dialect
        .unwrap_or(Dialect::OpenAi)
}
