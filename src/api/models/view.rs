//! The catalog as one request sees it, limited by its key, its moment and its filters; and the headers of every
//! answer about models.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, header::VARY},
    response::Response,
};

use super::past;
use crate::{
    api::{error::ApiError, middleware::CATALOG_REVISION, page_request::PageRequest, response},
    catalog::Catalog,
    model::{
        event::{Moment, Trace},
        names::{ModelKey, Visibility},
        scope::Scope,
        source::{Role, SourceName},
        state::{SourceState, Sources},
        time::Timestamp,
    },
    snapshot::{
        Snapshot,
        body::Body,
        dialect::Dialect,
        merge::ServedModel,
        selection::Selection,
        view::{ModelView, Place},
    },
};

/// The header that names stale sources.
pub const CATALOG_STALE: HeaderName = HeaderName::from_static("catalog-stale");

/// The header that says why a list is empty.
pub const CATALOG_EMPTY: HeaderName = HeaderName::from_static("catalog-empty");

/// The headers that an answer about models varies on.
const VARY_ON: HeaderValue = HeaderValue::from_static(
    "accept-encoding, anthropic-version, x-goog-api-client, x-goog-api-key",
);

/// The catalog as one request sees it.
pub struct View {
    pub(super) catalog: Catalog,
    /// Everything the request may see.
    pub snapshot: Arc<Snapshot>,
    /// The state of the sources.
    pub(super) sources: Arc<Sources>,
    /// What the request's key may see.
    pub(super) scope: Arc<Scope>,
    /// The requested moment of the past; none for now.
    pub(super) moment: Option<Moment>,
    /// The request's filters.
    pub(super) selection: Selection,
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

    /// A cache name of the answer in `dialect` to `page_request`, asked for at `now`, from the entries in
    /// `form`. What depends on time is the number of passed dates.
    pub fn answer_name(
        &self,
        form: &str,
        dialect: Dialect,
        page_request: &PageRequest,
        now: Timestamp,
    ) -> String {
        let passed = self.snapshot.count_passed(now);
        let fields = &self.selection.fields;
        // `Debug` is derived, so a new field of a request is part of the name.
        format!("{form} {dialect:?} {page_request:?} {fields:?} {passed}")
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
        if self.snapshot.models.is_empty() {
            headers.insert(CATALOG_EMPTY, HeaderValue::from_static(self.why_empty()));
        }
        response
    }

    /// Why the view has no model, and where to look.
    fn why_empty(&self) -> &'static str {
        let states = &self.sources.states;
        let is_filtered = self.selection.resolve(states, self.catalog.now()).is_some();
        let configured: Vec<&SourceState> = self
            .visible_sources()
            .filter(|source| source.configured)
            .collect();
        if self.is_past() {
            "nothing was listed then: see /catalog/changes"
        } else if is_filtered {
            "no model matches the filters: see /v1/models without them"
        } else if configured.is_empty() && self.scope.is_all() {
            "no source is configured: set a provider's key, see /catalog/providers"
        } else if configured.is_empty() {
            "this key sees no source that is configured: see /catalog/sources"
        } else if configured.iter().all(|source| source.is_missing()) {
            "no source has answered yet: see /catalog/sources"
        } else {
            "no source lists a model that this key may see: see /catalog/sources"
        }
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
#[derive(Clone)]
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
    pub fn keys(&self, reader: &Visibility) -> Vec<ModelKey> {
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
