//! The models, listed or one by one, in the caller's dialect: the merged list, or one source's own
//! list (the provider routes). Serving the merged list in OpenAI's dialect is a pointer read and an
//! ETag comparison: no SQL, no provider, no serializing. What has to be made for a request is made off
//! the serving threads; only time travel (`past`) and cursors read the database.

mod asked;
pub mod ollama;
pub mod past;
pub mod provider;
pub mod view;

use std::borrow::Cow;

use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use utoipa::ToSchema;

use self::{
    asked::Asked,
    ollama::RawOfSources,
    view::{CursorPlace, View, Wanted},
};
use super::{
    costly::costly,
    error::ApiError,
    page_request::PageRequest,
    request::{ModelsPath, ids},
    response::written,
};
use crate::{
    catalog::Catalog,
    model::{closest::closest, lifecycle::Stage, time::Timestamp},
    snapshot::{body::Body, dialect::Dialect, view::ModelView},
};

/// The values of `stale=`.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
enum StaleParameter {
    /// As without it.
    Include,
    /// Leave them out.
    Exclude,
}

/// The merged list, now or at a moment of the past.
///
/// With `anthropic-version` it has Anthropic's shape and pages, with one of Google's headers Gemini's.
/// Parameters that the shape does not know are ignored.
#[utoipa::path(
    get,
    path = "/v1/models",
    tag = "models",
    operation_id = "listModels",
    params(
        ("provider" = Option<String>, Query, description = "Only models of these sources, separated by commas", pattern = "^$|^[a-z0-9][a-z0-9_.-]{0,63}$"),
        ("owned_by" = Option<String>, Query, description = "Only models of these owners"),
        ("q" = Option<String>, Query, description = "Only models with one of these texts in their id, name or description"),
        ("capability" = Option<String>, Query, description = "Only models with one of these capabilities"),
        ("modality" = Option<String>, Query, description = "Only models that accept or produce one of these: `image`, `input:audio`, …"),
        ("lifecycle" = Option<String>, Query, description = "Only models in one of these stages of life"),
        ("max_age" = Option<String>, Query, description = "Only models of sources that have answered within this duration", pattern = "^$|^[1-9][0-9]{0,3}(s|m|h|d)$"),
        ("stale" = inline(Option<StaleParameter>), Query, description = "Whether to list models of stale sources"),
        ("fields" = Option<String>, Query, description = "Only these fields of each entry, and its id; in OpenAI's shape"),
        ("at" = Option<Timestamp>, Query, description = "The list as it was at this time"),
        ("revision" = Option<i64>, Query, description = "The list as it was at this revision", minimum = 0),
        ("limit" = Option<i64>, Query, description = "The most models of a page, in the shapes of OpenAI and Anthropic", minimum = 1, maximum = 1000),
        ("after" = Option<String>, Query, description = "The page after this id, in OpenAI's shape"),
        ("after_id" = Option<String>, Query, description = "The page after this id, in Anthropic's shape"),
        ("before_id" = Option<String>, Query, description = "The page before this id, in Anthropic's shape"),
        ("lifecycle[]" = Option<Vec<Stage>>, Query, description = "Only models in these stages of life, in Anthropic's shape"),
        ("pageSize" = Option<i64>, Query, description = "The most models of a page, in Gemini's shape", minimum = 0),
        ("pageToken" = Option<String>, Query, description = "The `nextPageToken` of the page before, in Gemini's shape"),
        ("anthropic-version" = Option<String>, Header, description = "Any value: asks for Anthropic's shape"),
        ("x-goog-api-client" = Option<String>, Header, description = "Any value: asks for Gemini's shape"),
        ("if-none-match" = Option<String>, Header, description = "The `ETag` of an earlier answer"),
    ),
    responses(
        (status = 200, description = "The list"),
        (status = 304, description = "The same as `If-None-Match` names"),
        (status = 410, description = "The history of that time was pruned"),
    )
)]
pub async fn list(
    State(catalog): State<Catalog>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let dialect = dialect(&uri, &headers);
    let page_request = PageRequest::of(uri.query(), dialect)?;
    let now = catalog.now();
    let asked = Asked::for_list(catalog.clone(), &uri, &headers)?;
    let current = asked.current().await;
    let is_whole = dialect == Dialect::OpenAi && page_request.is_whole();
    let is_finished = is_whole && asked.is_of_all_fields();
    let form = move |view: &View| match dialect {
        Dialect::Ollama => RawOfSources::form(view),
        _ => String::new(),
    };
    if let Some(view) = asked.ready(current.as_ref()) {
        if is_finished {
            return Ok(view.answer(&view.snapshot.list, &headers));
        }
        let name = view.answer_name(&form(&view), dialect, &page_request, now);
        if let Some(body) = view.snapshot.cached_body(&name) {
            return Ok(view.answer(&body, &headers));
        }
    }
    let reader = catalog.clone();
    let made = async move {
        let view = asked.make(current).await?;
        if is_finished {
            return Ok(view.answer(&view.snapshot.list, &headers));
        }
        let name = view.answer_name(&form(&view), dialect, &page_request, now);
        if is_whole {
            let list = written(view.snapshot.list_fields(view.fields()))?;
            let body = view.snapshot.keep_body(&name, list);
            return Ok(view.answer(&body, &headers));
        }
        let snapshot = &view.snapshot;
        let models = snapshot.models.iter().map(ModelView::merged);
        let mut models: Vec<ModelView> = models
            .filter(|model| page_request.has(model, now))
            .collect();
        let raw;
        if dialect == Dialect::Ollama {
            raw = RawOfSources::read(&reader, &view, &models).await?;
            for model in &mut models {
                *model = raw.complete(*model);
            }
        }
        let cursor = match page_request.cursor() {
            Some(cursor) => Some(view.place_of(cursor).await?),
            None => None,
        };
        let page = page_request.page(&models, cursor.as_ref().map(CursorPlace::place));
        let page = written(dialect.list(&page, view.fields(), now))?;
        Ok(view.answer(&snapshot.keep_body(&name, page), &headers))
    };
    costly(&catalog, made).await
}

/// One model of the merged list.
///
/// With `anthropic-version` it has Anthropic's shape, with one of Google's headers Gemini's.
#[utoipa::path(
    get,
    path = "/v1/models/{id}",
    tag = "models",
    operation_id = "getModel",
    params(
        ("id" = String, Path, description = "The model's id, raw or percent-encoded"),
        ("at" = Option<Timestamp>, Query, description = "The model as it was at this time"),
        ("revision" = Option<i64>, Query, description = "The model as it was at this revision", minimum = 0),
        ("anthropic-version" = Option<String>, Header, description = "Any value: asks for Anthropic's shape"),
        ("x-goog-api-client" = Option<String>, Header, description = "Any value: asks for Gemini's shape"),
        ("if-none-match" = Option<String>, Header, description = "The `ETag` of an earlier answer"),
    ),
    responses(
        (status = 200, description = "The model"),
        (status = 304, description = "The same as `If-None-Match` names"),
        (status = 404, description = "No such model is listed"),
        (status = 410, description = "The history of that time was pruned"),
    )
)]
pub async fn retrieve(
    State(catalog): State<Catalog>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let dialect = dialect(&uri, &headers);
    let now = catalog.now();
    let wanted = Wanted::Whole(ids(ModelsPath::of(&uri, &headers).id).map(Cow::into_owned));
    let asked = Asked::for_model(catalog.clone(), &uri, &headers)?;
    let current = asked.current_with(&wanted).await?;
    let answer = move |wanted: &Wanted, view: &View| {
        let snapshot = &view.snapshot;
        let model = wanted.find(snapshot)?;
        let body = match dialect {
            Dialect::OpenAi => Ok(snapshot.entry(model.model)),
            _ => written(dialect.model(&model, now)).map(Body::once),
        };
        Some(body.map(|body| view.answer(&body, &headers)))
    };
    let (wanted, view, answered) = match asked.ready(current.as_ref()) {
        Some(view) => {
            let answered = answer(&wanted, &view);
            (wanted, view, answered)
        }
        None => {
            let made = async move {
                let view = asked.make(current).await?;
                let answered = answer(&wanted, &view);
                Ok::<_, ApiError>((wanted, view, answered))
            };
            catalog.shared().costly.run(made).await??
        }
    };
    match answered {
        Some(answered) => answered,
        None => Err(no_model(wanted.id(), &view).await),
    }
}

/// The 404 of the model `id`, with ids that the `view` has and that resemble it. To find those is worth no
/// waiting: while others have costly requests, there are none.
async fn no_model(id: &str, view: &View) -> ApiError {
    let (wanted, snapshot) = (id.to_owned(), view.snapshot.clone());
    let compared = async move {
        let ids = snapshot.models.iter().map(|model| model.id.as_str());
        let closest = closest(&wanted, ids).into_iter();
        closest.map(str::to_owned).collect::<Vec<_>>()
    };
    let compared = view.catalog.shared().costly.run_if_idle(compared).await;
    ApiError::no_model(id).and_closest(id, &compared.unwrap_or_default())
}

fn dialect(uri: &Uri, headers: &HeaderMap) -> Dialect {
    ModelsPath::of(uri, headers)
        .dialect
        .unwrap_or(Dialect::OpenAi)
}
