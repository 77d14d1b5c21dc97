//! The catalog as one request sees it, limited by its key, its moment and its filters; and the
//! headers of every answer about models.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, Uri, header::VARY},
    response::Response,
};

use super::past;
use crate::{
    api::{auth::Caller, error::ApiError, middleware::CATALOG_REVISION, response},
    catalog::{Catalog, current::Current},
    model::{
        event::{Moment, Trace},
        names::{ModelKey, Visibility},
        scope::Scope,
        source::{Role, SourceName},
        state::{SourceState, Sources},
    },
    snapshot::{
        Snapshot,
        body::Body,
        merge::ServedModel,
        selection::{BadFilter, Selection},
        view::{ModelView, Place},
    },
};

/// The header that names stale sources.
pub const CATALOG_STALE: HeaderName = HeaderName::from_static("catalog-stale");

/// The headers that an answer about models varies on.
const VARY_ON: HeaderValue = HeaderValue::from_static(
    "accept-encoding, anthropic-version, x-goog-api-client, x-goog-api-key",
);

/// The catalog as one request sees it.
pub struct View {
    catalog: Catalog,
    /// Everything the request may see.
    pub snapshot: Arc<Snapshot>,
    /// The state of the sources.
    sources: Arc<Sources>,
    /// What the request's key may see.
    scope: Arc<Scope>,
    /// The requested moment of the past; none for now.
    moment: Option<Moment>,
    /// The request's filters.
    selection: Selection,
}

impl View {
    /// The list for the request for `uri`, limited to the models that its filters choose.
    pub async fn of_list(
        catalog: Catalog,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Self, ApiError> {
        let selection = Selection::parse(uri.query())?;
        Self::of_selection(catalog, uri, headers, selection).await
    }

    /// The list of `source` for the request for `uri`.
    pub async fn of_source(
        catalog: Catalog,
        uri: &Uri,
        headers: &HeaderMap,
        source: &SourceName,
    ) -> Result<Self, ApiError> {
        let selection = Selection::parse(uri.query())?.of_source(source);
        Self::of_selection(catalog, uri, headers, selection).await
    }

    async fn of_selection(
        catalog: Catalog,
        uri: &Uri,
        headers: &HeaderMap,
        selection: Selection,
    ) -> Result<Self, ApiError> {
        let caller = Caller::of(&catalog, uri, headers)?;
        let moment = past::requested_moment(uri.query())?;
        let scope = caller.scope();
        let current = match (moment, selection.current_only_filter()) {
            (Some(_), Some(name)) => {
                let message = format!(
                    "{name}= applies only to the present: remove it, or remove at= and revision=."
                );
                return Err(BadFilter { name, message }.into());
            }
            (Some(moment), None) => past(&catalog, moment).await?,
            (None, _) => {
                let counts = |source: &SourceName| {
                    scope.allows_source(source.as_str()) && selection.may_choose(source)
                };
                catalog.current_with(counts).await
            }
        };
        let Current { snapshot, sources } = &*current;
        let seen = caller.sees(snapshot)?;
        let seen = match selection.resolve(&sources.states, catalog.now()) {
            None => seen,
            // Cached with the whole snapshot, like the parts per key, so that both share one bound.
            Some(chosen) => snapshot
                .part(
                    &format!("{}?{}", caller.part_name(), chosen.name(&seen.retiring)),
                    || seen.restrict(&chosen),
                )
                .map_err(|error| ApiError::unwritable(&error))?,
        };
        Ok(Self {
            catalog,
            snapshot: seen,
            sources: sources.clone(),
            scope,
            moment,
            selection,
        })
    }

    /// The view for one model. An unknown one may trigger a refresh of its provider.
    pub async fn of_model(
        catalog: Catalog,
        uri: &Uri,
        headers: &HeaderMap,
        wanted: &Wanted<'_>,
    ) -> Result<Self, ApiError> {
        let caller = Caller::of(&catalog, uri, headers)?;
        let moment = past::requested_moment(uri.query())?;
        let scope = caller.scope();
        let current = match moment {
            Some(moment) => past(&catalog, moment).await?,
            None => {
                let lists = |current: &Current| {
                    let seen = caller.sees(&current.snapshot);
                    seen.is_ok_and(|seen| wanted.find(&seen).is_some())
                };
                let keys = |current: &Current| wanted.keys(&current.visibility(scope.clone()));
                catalog.current_with_model(lists, keys).await
            }
        };
        Ok(Self {
            catalog,
            snapshot: caller.sees(&current.snapshot)?,
            sources: current.sources.clone(),
            scope,
            moment,
            selection: Selection::default(),
        })
    }

    /// Where the list goes on after the model that `cursor` names: the place of that model, also when
    /// it is no longer listed. The last source that listed it tells which model that was.
    pub async fn place_of<'a>(&'a self, cursor: &'a str) -> Result<CursorPlace<'a>, ApiError> {
        if let Some(model) = self.snapshot.find(cursor) {
            return Ok(CursorPlace::Listed(model));
        }
        let sources = self.sources.states.iter();
        let sources = sources.map(|source| (&source.name, source.role));
        let reader = Visibility::new(self.scope.clone(), &self.snapshot.names, sources);
        let mut keys = reader.keys_of(cursor);
        // Before a provider took its prefix, the id may have been a local model's.
        keys.extend(reader.local_keys_of(cursor));
        let traces = self.catalog.store().traces(&keys).await?;
        let last_revision = |trace: &Trace| trace.last_event.as_ref().map(|last| last.revision);
        let last = traces
            .into_iter()
            .filter(|trace| trace.last_event.is_some())
            .max_by_key(last_revision)
            .map(|trace| (trace.role, trace.source, trace.model_id));
        let none_had_it = || {
            let key = keys.into_iter().next()?;
            Some((key.role, key.source, key.model_id))
        };
        Ok(match last.or_else(none_had_it) {
            Some((Role::Provider, source, model_id)) => CursorPlace::Cloud(source, model_id),
            _ => CursorPlace::Local(cursor),
        })
    }

    /// The state of the source `name`.
    pub fn find_source(&self, name: &SourceName) -> Option<&SourceState> {
        self.sources.find(name)
    }

    /// The sources behind the answer.
    fn visible_sources(&self) -> impl Iterator<Item = &SourceState> {
        // Includes stale sources that a filter leaves out: their staleness is why the models are
        // absent.
        let is_visible = |source: &&SourceState| {
            self.scope.allows_source(source.name.as_str())
                && self.selection.may_choose(&source.name)
        };
        self.sources.states.iter().filter(is_visible)
    }

    /// OpenAI's list with the requested fields.
    pub fn list(&self) -> Result<Body, ApiError> {
        let fields = &self.selection.fields;
        if fields.is_empty() {
            return Ok(self.snapshot.list.clone());
        }
        self.snapshot
            .list_fields(fields)
            .map_err(|error| ApiError::unwritable(&error))
    }

    /// The requested fields of OpenAI's entries; empty for all.
    pub fn fields(&self) -> &BTreeSet<String> {
        &self.selection.fields
    }

    /// Whether the request is about the past.
    pub fn is_past(&self) -> bool {
        self.moment.is_some()
    }

    /// Answers with `body` and the headers that date it; 304 when the client already has it.
    pub fn answer(&self, body: &Body, request: &HeaderMap) -> Response {
        let cache_control = match self.moment {
            Some(moment) => past::cache_control(moment),
            // An answer that lacks a source must not be cached. Others are revalidated at no cost.
            None if self.visible_sources().any(SourceState::is_missing) => {
                HeaderValue::from_static("no-store")
            }
            None => HeaderValue::from_static("no-cache"),
        };
        let json = HeaderValue::from_static("application/json");
        let mut response = response::answer(body, json, cache_control, request);
        let headers = response.headers_mut();
        headers.insert(VARY, VARY_ON);
        headers.insert(CATALOG_REVISION, self.snapshot.revision.into());
        if self.moment.is_none()
            && let Some(stale) = self.stale()
        {
            headers.insert(CATALOG_STALE, stale);
        }
        response
    }

    /// The names of the stale sources, for a header; none when all are fresh.
    fn stale(&self) -> Option<HeaderValue> {
        let now = self.catalog.now();
        let stale: Vec<&str> = self
            .visible_sources()
            .filter(|source| source.is_stale(now))
            .map(|source| source.name.as_str())
            .collect();
        (!stale.is_empty())
            .then(|| HeaderValue::try_from(stale.join(", ")).ok())
            .flatten()
    }
}

/// The model that a request asks for.
pub enum Wanted<'a> {
    /// The one with any of these whole ids.
    Whole([&'a str; 2]),
    /// The one of this source with any of these ids of its own.
    Own(&'a SourceName, Role, [&'a str; 2]),
}

impl Wanted<'_> {
    /// The wanted model and its view in `snapshot`.
    pub fn find<'s>(&self, snapshot: &'s Snapshot) -> Option<ModelView<'s>> {
        match self {
            Self::Whole(ids) => {
                let mut ids = ids.iter();
                Some(ModelView::merged(ids.find_map(|id| snapshot.find(id))?))
            }
            Self::Own(source, role, ids) => ids.iter().find_map(|id| {
                let model = snapshot.find(&snapshot.names.id_of(*role, source, id))?;
                ModelView::own(model, source).filter(|model| model.id == *id)
            }),
        }
    }

    /// The models that may be meant, of those that `reader` may see.
    fn keys(&self, reader: &Visibility) -> Vec<ModelKey> {
        match self {
            Self::Whole(ids) => ids.iter().flat_map(|id| reader.keys_of(id)).collect(),
            Self::Own(source, role, ids) => {
                let ids = ids.iter().filter(|id| !id.is_empty());
                ids.filter(|id| reader.id_of(*role, source, id).is_some())
                    .map(|id| ModelKey {
                        source: (*source).clone(),
                        role: *role,
                        model_id: (*id).to_owned(),
                    })
                    .collect()
            }
        }
    }
}

/// A model that a cursor names.
pub enum CursorPlace<'a> {
    /// It is listed.
    Listed(&'a ServedModel),
    /// A cloud model that is not listed: its provider, and its id there.
    Cloud(SourceName, String),
    /// A local id that is not listed, or one that no source ever had.
    Local(&'a str),
}

impl CursorPlace<'_> {
    /// The place in the list.
    pub fn place(&self) -> Place<'_> {
        match self {
            Self::Listed(model) => ModelView::merged(model).place(),
            Self::Cloud(provider, model_id) => Place::cloud(provider.as_str(), model_id),
            Self::Local(id) => Place::local(id),
        }
    }
}

/// The catalog as it was served at `moment`, with the present state of its sources.
async fn past(catalog: &Catalog, moment: Moment) -> Result<Arc<Current>, ApiError> {
    Ok(Arc::new(Current {
        snapshot: Arc::new(past::snapshot(catalog, moment).await?),
        sources: catalog.current().sources.clone(),
    }))
}
