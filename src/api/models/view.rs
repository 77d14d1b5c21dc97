//! A request for models, the catalog as it sees it, limited by its key, its moment and its filters, and the
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
        selection::{BadFilter, ResolvedSelection, Selection},
        view::{ModelView, Place},
    },
};

/// The header that names stale sources.
pub const CATALOG_STALE: HeaderName = HeaderName::from_static("catalog-stale");

/// The headers that an answer about models varies on.
const VARY_ON: HeaderValue = HeaderValue::from_static(
    "accept-encoding, anthropic-version, x-goog-api-client, x-goog-api-key",
);

/// A request for models: who asks for what, checked, before anything is read.
pub struct Asked {
    catalog: Catalog,
    caller: Caller,
    /// The requested moment of the past; none for now.
    moment: Option<Moment>,
    selection: Selection,
}

impl Asked {
    /// The request for `uri` for the list, limited to the models that its filters choose.
    pub fn for_list(catalog: Catalog, uri: &Uri, headers: &HeaderMap) -> Result<Self, ApiError> {
        let selection = Selection::parse(uri.query())?;
        Self::for_selection(catalog, uri, headers, selection)
    }

    /// The request for `uri` for the list of `source`.
    pub fn for_source(
        catalog: Catalog,
        uri: &Uri,
        headers: &HeaderMap,
        source: &SourceName,
    ) -> Result<Self, ApiError> {
        let selection = Selection::parse(uri.query())?.of_source(source);
        Self::for_selection(catalog, uri, headers, selection)
    }

    /// The request for `uri` for one model.
    pub fn for_model(catalog: Catalog, uri: &Uri, headers: &HeaderMap) -> Result<Self, ApiError> {
        Self::for_selection(catalog, uri, headers, Selection::default())
    }

    fn for_selection(
        catalog: Catalog,
        uri: &Uri,
        headers: &HeaderMap,
        selection: Selection,
    ) -> Result<Self, ApiError> {
        let caller = Caller::of(&catalog, uri, headers)?;
        let moment = past::requested_moment(uri.query())?;
        if let (Some(_), Some(name)) = (moment, selection.current_only_filter()) {
            let message = format!(
                "{name}= applies only to the present: remove it, or remove at= and revision=."
            );
            return Err(BadFilter { name, message }.into());
        }
        Ok(Self {
            catalog,
            caller,
            moment,
            selection,
        })
    }

    /// Whether it is for whole entries.
    pub fn is_of_all_fields(&self) -> bool {
        self.selection.fields.is_empty()
    }

    /// The present list, once each of its sources has been attempted; none for the past.
    pub async fn current(&self) -> Option<Arc<Current>> {
        if self.moment.is_some() {
            return None;
        }
        let scope = self.caller.scope();
        let counts = |source: &SourceName| {
            scope.allows_source(source.as_str()) && self.selection.may_choose(source)
        };
        Some(self.catalog.current_with(counts).await)
    }

    /// The present list for a request for one model; none for the past. An unknown one may trigger a
    /// refresh of its provider.
    pub async fn current_with(&self, wanted: &Wanted) -> Result<Option<Arc<Current>>, ApiError> {
        if self.moment.is_some() {
            return Ok(None);
        }
        let Self {
            catalog, caller, ..
        } = self;
        let snapshot = catalog.current().snapshot.clone();
        if self.seen_part(&snapshot).is_none() {
            // The model is looked for in what the caller may see.
            let (caller, made) = (
                caller.clone(),
                async move { caller.sees(&snapshot).map(drop) },
            );
            catalog.shared().costly.run(made).await??;
        }
        let lists = |current: &Current| {
            let seen = caller.sees(&current.snapshot);
            seen.is_ok_and(|seen| wanted.find(&seen).is_some())
        };
        let keys = |current: &Current| wanted.keys(&current.visibility(caller.scope()));
        Ok(Some(catalog.current_with_model(lists, keys).await))
    }

    /// What the caller may see of `snapshot`, if it has been made.
    fn seen_part(&self, snapshot: &Arc<Snapshot>) -> Option<Arc<Snapshot>> {
        match self.caller.part_name() {
            name if name.is_empty() => Some(snapshot.clone()),
            name => snapshot.cached_part(&name),
        }
    }

    /// The view, if nothing has to be made for it.
    pub fn ready(&self, current: Option<&Arc<Current>>) -> Option<View> {
        let Current { snapshot, sources } = &**current?;
        let seen = self.seen_part(snapshot)?;
        let snapshot = match self.selection.resolve(&sources.states, self.catalog.now()) {
            None => seen,
            Some(chosen) => snapshot.cached_part(&self.part_name(&chosen, &seen))?,
        };
        Some(self.view(snapshot, sources.clone()))
    }

    /// The view. Reads the past from the database, or makes the part that the request may see. Costly.
    pub async fn make(&self, current: Option<Arc<Current>>) -> Result<View, ApiError> {
        let Self {
            catalog, caller, ..
        } = self;
        let current = match (current, self.moment) {
            (Some(current), None) => current,
            (_, Some(moment)) => past(catalog, moment).await?,
            (None, None) => catalog.current(),
        };
        let Current { snapshot, sources } = &*current;
        let seen = caller.sees(snapshot)?;
        let seen = match self.selection.resolve(&sources.states, catalog.now()) {
            None => seen,
            // Cached with the whole snapshot, like the parts per key, so that both share one bound.
            Some(chosen) => snapshot
                .part(&self.part_name(&chosen, &seen), || seen.restrict(&chosen))
                .map_err(|error| ApiError::unwritable(&error))?,
        };
        Ok(self.view(seen, sources.clone()))
    }

    /// The cache name of the `chosen` part of what the caller has `seen`.
    fn part_name(&self, chosen: &ResolvedSelection, seen: &Snapshot) -> String {
        format!(
            "{}?{}",
            self.caller.part_name(),
            chosen.name(&seen.retiring)
        )
    }

    fn view(&self, snapshot: Arc<Snapshot>, sources: Arc<Sources>) -> View {
        View {
            catalog: self.catalog.clone(),
            snapshot,
            sources,
            scope: self.caller.scope(),
            moment: self.moment,
            selection: self.selection.clone(),
        }
    }
}

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
pub enum Wanted {
    /// The one with any of these whole ids.
    Whole([String; 2]),
    /// The one of this source with any of these ids of its own.
    Own(SourceName, Role, [String; 2]),
}

impl Wanted {
    /// The id to name when there is no such model.
    pub fn id(&self) -> &str {
        match self {
            Self::Whole([_, decoded]) | Self::Own(_, _, [_, decoded]) => decoded,
        }
    }

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
                        source: source.clone(),
                        role: *role,
                        model_id: id.clone(),
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
