//! `/catalog/providers/{name}`: a base URL for clients that know one provider only and take nothing
//! but that. Below it is the source's own list, with its own ids, each entry as it was sent. Of the
//! past there is what the catalog tells of a model: what was sent then is not kept.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
};

use super::view::View;
use crate::{
    api::{
        auth::Caller,
        error::ApiError,
        page_request::Part,
        request::{self, Asked, ids},
        response::written,
    },
    catalog::Catalog,
    model::{
        source::{Kind, Role},
        state::SourceState,
    },
    snapshot::{
        body::Body,
        dialect::Dialect,
        view::{Place, Seen},
    },
    store::raw::Sent,
};

/// The list of one source, or one model of it.
pub async fn models(
    State(catalog): State<Catalog>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let asked = Asked::of(&uri, &headers);
    let base = Base::find(catalog, &asked, &headers)?;
    let dialect = base.dialect;
    let answer = match asked.id {
        None => base.list(&uri, &headers).await,
        Some(raw) => base.retrieve(&uri, &headers, raw).await,
    };
    let (view, body) = answer.map_err(|error| error.in_dialect(dialect))?;
    Ok(view.answer(&body, &headers))
}

struct Base {
    catalog: Catalog,
    source: SourceState,
    dialect: Dialect,
}

impl Base {
    /// The base that is `asked` for: that of a source which the settings name and the caller may see.
    fn find(catalog: Catalog, asked: &Asked, headers: &HeaderMap) -> Result<Self, ApiError> {
        let scope = Caller::of(&catalog, headers)?.scope();
        let name = asked
            .base
            .and_then(request::source_name)
            .filter(|name| scope.allows_source(name.as_str()));
        let snapshot = catalog.current();
        let source = name
            .and_then(|name| snapshot.find_source(&name))
            .filter(|source| source.configured)
            .cloned()
            .ok_or_else(unknown)?;
        let dialect = asked.dialect.unwrap_or(Dialect::of_kind(source.kind));
        // Who looks for an Ollama must not believe that one is found.
        if dialect == Dialect::Ollama && source.kind != Kind::Ollama {
            let message = format!("{} is no Ollama: its list is at v1/models.", source.name);
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

    async fn list(&self, uri: &Uri, headers: &HeaderMap) -> Result<(View, Body), ApiError> {
        let part = Part::of(uri.query(), self.dialect)?;
        let view = View::of_source(self.catalog.clone(), uri, headers, &self.source.name).await?;
        let sent = self.sent(&view).await?;
        let models = view.snapshot.models.iter();
        let models: Vec<Seen> = models
            .filter_map(|model| Seen::own(model, &self.source.name))
            .map(|model| self.with_sent(model, sent.as_deref()))
            .filter(|model| part.has(model))
            .collect();
        let page = part.page(&models, |id| self.place(id));
        let body = written(self.dialect.list(&page, view.fields()))?;
        Ok((view, body))
    }

    async fn retrieve(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
        raw: &str,
    ) -> Result<(View, Body), ApiError> {
        let name = &self.source.name;
        let [raw, decoded] = ids(Some(raw));
        let whole = [&raw, &decoded].map(|id| match self.source.role {
            Role::Provider => format!("{name}:{id}"),
            Role::Endpoint => id.to_string(),
        });
        let whole = [whole[0].as_str(), whole[1].as_str()];
        let view = View::of_model(self.catalog.clone(), uri, headers, &whole).await?;
        let sent = self.sent(&view).await?;
        let model = whole
            .iter()
            .find_map(|id| Seen::own(view.snapshot.find(id)?, name))
            .ok_or_else(|| ApiError::no_model(&decoded))?;
        let body = written(self.dialect.model(&self.with_sent(model, sent.as_deref())))?;
        Ok((view, body))
    }

    /// What the source sent, where that is in the caller's dialect and of now.
    async fn sent(&self, view: &View) -> Result<Option<Arc<Sent>>, ApiError> {
        if view.is_past() || !self.dialect.is_sent_by(self.source.kind) {
            return Ok(None);
        }
        let shared = self.catalog.shared();
        let revision = view.snapshot.revision;
        let sent = shared
            .sent
            .of(&self.source, revision, &shared.store)
            .await?;
        Ok(Some(sent))
    }

    fn with_sent<'a>(&self, model: Seen<'a>, sent: Option<&'a Sent>) -> Seen<'a> {
        let sent = sent.and_then(|sent| sent.find(&model.row.model_id));
        Seen { sent, ..model }
    }

    /// Where the source's own `id` stands.
    fn place<'a>(&'a self, id: &'a str) -> Place<'a> {
        match self.source.role {
            Role::Provider => Place::cloud(self.source.name.as_str(), id),
            Role::Endpoint => Place::local(id),
        }
    }
}

fn unknown() -> ApiError {
    let message = "No configured source has that name: GET /catalog/sources lists them.";
    ApiError::invalid(StatusCode::NOT_FOUND, "unknown_source", message)
}
