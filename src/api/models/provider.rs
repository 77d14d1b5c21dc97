//! `/catalog/providers/{name}`: the provider route, a base URL for clients that only support that
//! provider. It serves the source's own list with its own ids, and each entry as the source sent
//! it. For the past, it serves the catalog's fields instead, because raw entries are not kept in
//! the history.

use std::{borrow::Cow, sync::Arc};

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
};

use super::{
    asked::Asked,
    view::{View, Wanted},
};
use crate::{
    api::{
        auth::Caller,
        costly::costly,
        error::ApiError,
        page_request::PageRequest,
        request::{self, ModelsPath, ids},
        response::written,
    },
    catalog::Catalog,
    model::{
        listing::RawEntries,
        source::{Kind, Role},
        state::SourceState,
    },
    snapshot::{
        body::Body,
        dialect::Dialect,
        view::{ModelView, Place},
    },
};

/// One source's own list, with its own ids and each entry as the source has sent it.
///
/// In the source's own shape unless a header says otherwise.
#[utoipa::path(
    get,
    path = "/catalog/providers/{name}/v1/models",
    tag = "sources",
    operation_id = "listOwnModels",
    responses(
        (status = 200, description = "The list"),
        (status = 304, description = "The same as `If-None-Match` names"),
        (status = 404, description = "No configured source has that name"),
        (status = 410, description = "The history of that time was pruned"),
    )
)]
pub async fn models(
    State(catalog): State<Catalog>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let path = ModelsPath::of(&uri, &headers);
    let route = ProviderRoute::find(catalog, &path, &uri, &headers)?;
    let (dialect, id) = (route.dialect, path.id.map(str::to_owned));
    let answer = match id {
        None => route.list(uri, headers).await,
        Some(raw) => route.retrieve(uri, headers, raw).await,
    };
    answer.map_err(|error| error.in_dialect(dialect))
}

/// A source's own routes, for one request.
pub struct ProviderRoute {
    catalog: Catalog,
    /// The source.
    pub source: SourceState,
    dialect: Dialect,
}

impl ProviderRoute {
    /// Finds the provider route of `path`. Fails unless the source is configured and visible to the
    /// caller.
    pub fn find(
        catalog: Catalog,
        path: &ModelsPath,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Self, ApiError> {
        let scope = Caller::of(&catalog, uri, headers)?.scope();
        let name = path
            .source
            .and_then(request::source_name)
            .filter(|name| scope.allows_source(name.as_str()));
        let current = catalog.current();
        let source = name
            .and_then(|name| current.find_source(&name))
            .filter(|source| source.configured)
            .cloned()
            .ok_or_else(unknown)?;
        let dialect = path.dialect.unwrap_or(Dialect::of_kind(source.kind));
        // A client that probes for an Ollama server must not detect one here.
        if dialect == Dialect::Ollama && source.kind != Kind::Ollama {
            let message = format!(
                "{} is not an Ollama server: its list is at v1/models.",
                source.name
            );
            return Err(ApiError::invalid(
                StatusCode::NOT_FOUND,
                "unknown_route",
                message,
            ));
        }
        Ok(Self {
            catalog,
            source,
            dialect,
        })
    }

    async fn list(self, uri: Uri, headers: HeaderMap) -> Result<Response, ApiError> {
        let page_request = PageRequest::of(uri.query(), self.dialect)?;
        let catalog = self.catalog.clone();
        let now = catalog.now();
        let asked = Asked::for_source(catalog.clone(), &uri, &headers, &self.source.name)?;
        let current = asked.current().await;
        // Of its kind depends whether entries are served as the source sent them.
        let form = format!("{} {:?}", self.source.name, self.source.kind);
        if let Some(view) = asked.ready(current.as_ref()) {
            let name = view.answer_name(&form, self.dialect, &page_request, now);
            if let Some(body) = view.snapshot.cached_body(&name) {
                return Ok(view.answer(&body, &headers));
            }
        }
        let made = async move {
            let view = asked.make(current).await?;
            let name = view.answer_name(&form, self.dialect, &page_request, now);
            let raw_entries = self.raw_entries(&view).await?;
            let models = view.snapshot.models.iter();
            let mut models: Vec<ModelView> = models
                .filter_map(|model| ModelView::own(model, &self.source.name))
                .map(|model| self.with_raw(model, raw_entries.as_deref()))
                .filter(|model| page_request.has(model, now))
                .collect();
            // In the order of the source's own ids, whatever the models are called in the merged list.
            models.sort_by(|a, b| a.place().cmp(&b.place()));
            let page = page_request.page(&models, page_request.cursor().map(|id| self.place(id)));
            let page = written(self.dialect.list(&page, view.fields(), now))?;
            Ok(view.answer(&view.snapshot.keep_body(&name, page), &headers))
        };
        costly(&catalog, made).await
    }

    async fn retrieve(
        self,
        uri: Uri,
        headers: HeaderMap,
        raw: String,
    ) -> Result<Response, ApiError> {
        let ids = ids(Some(&raw)).map(Cow::into_owned);
        let missing = ApiError::no_model(&ids[1]);
        let (dialect, now) = (self.dialect, self.catalog.now());
        let write = move |model: &ModelView| dialect.model(model, now);
        self.answer_one(uri, headers, ids, write, missing).await
    }

    /// The answer that `write` makes of the first of `ids` that the source has; `missing` if it has none.
    pub async fn answer_one(
        self,
        uri: Uri,
        headers: HeaderMap,
        ids: [String; 2],
        write: impl FnOnce(&ModelView) -> serde_json::Result<Vec<u8>> + Send + 'static,
        missing: ApiError,
    ) -> Result<Response, ApiError> {
        let SourceState { name, role, .. } = &self.source;
        let wanted = Wanted::Own(name.clone(), *role, ids);
        let catalog = self.catalog.clone();
        let asked = Asked::for_model(catalog.clone(), &uri, &headers)?;
        let current = asked.current_with(&wanted).await?;
        let made = async move {
            let view = asked.make(current).await?;
            let raw_entries = self.raw_entries(&view).await?;
            let model = wanted.find(&view.snapshot).ok_or(missing)?;
            let body = written(write(&self.with_raw(model, raw_entries.as_deref())))?;
            Ok(view.answer(&Body::once(body), &headers))
        };
        costly(&catalog, made).await
    }

    async fn raw_entries(&self, view: &View) -> Result<Option<Arc<RawEntries>>, ApiError> {
        raw_entries(&self.catalog, view, &self.source, self.dialect).await
    }

    fn with_raw<'a>(&self, model: ModelView<'a>, raw: Option<&'a RawEntries>) -> ModelView<'a> {
        let raw = raw.and_then(|raw| raw.find(&model.row.model_id));
        ModelView { raw, ..model }
    }

    /// The place of the source's own `id` in the list.
    fn place<'a>(&'a self, id: &'a str) -> Place<'a> {
        match self.source.role {
            Role::Provider => Place::cloud(self.source.name.as_str(), id),
            Role::Endpoint => Place::local(id),
        }
    }
}

/// The entries as `source` sent them; none for the past or when they are not in `dialect`.
pub async fn raw_entries(
    catalog: &Catalog,
    view: &View,
    source: &SourceState,
    dialect: Dialect,
) -> Result<Option<Arc<RawEntries>>, ApiError> {
    if view.is_past() || !dialect.is_native_to(source.kind) {
        return Ok(None);
    }
    let shared = catalog.shared();
    let revision = view.snapshot.revision;
    let SourceState { name, role, .. } = source;
    let raw = shared.raw.get(name, *role, revision, &shared.store).await?;
    Ok(Some(raw))
}

fn unknown() -> ApiError {
    let message = "No configured source has that name: GET /catalog/sources lists them.";
    ApiError::invalid(StatusCode::NOT_FOUND, "unknown_source", message)
}
