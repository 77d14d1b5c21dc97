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
        event::Moment,
        scope::Scope,
        source::SourceName,
        state::{SourceState, Sources},
    },
    snapshot::{
        Snapshot,
        body::Body,
        selection::{BadFilter, Selection},
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
                .part(&format!("{}?{}", caller.part_name(), chosen.name()), || {
                    seen.restrict(&chosen)
                })
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

    /// The view for one model with any of `ids`. An unknown id may trigger a refresh of its
    /// provider.
    pub async fn of_model(
        catalog: Catalog,
        uri: &Uri,
        headers: &HeaderMap,
        ids: &[&str],
    ) -> Result<Self, ApiError> {
        let caller = Caller::of(&catalog, uri, headers)?;
        let moment = past::requested_moment(uri.query())?;
        let scope = caller.scope();
        let current = match moment {
            Some(moment) => past(&catalog, moment).await?,
            None => catalog.current_with_any(ids, &scope).await,
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

/// The catalog as it was served at `moment`, with the present state of its sources.
async fn past(catalog: &Catalog, moment: Moment) -> Result<Arc<Current>, ApiError> {
    Ok(Arc::new(Current {
        snapshot: Arc::new(past::snapshot(catalog, moment).await?),
        sources: catalog.current().sources.clone(),
    }))
}
