//! The catalog as one request sees it: what its key may see, of the moment and the models that it
//! wants; and the headers that every answer about models has.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    http::{HeaderMap, HeaderValue, Uri, header::VARY},
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

/// What an answer about models depends on besides its path.
const VARY_ON: HeaderValue = HeaderValue::from_static(
    "accept-encoding, anthropic-version, x-goog-api-client, x-goog-api-key",
);

/// The catalog as one request sees it.
pub struct View {
    catalog: Catalog,
    /// Everything that it sees.
    pub snapshot: Arc<Snapshot>,
    /// How the sources are doing.
    sources: Arc<Sources>,
    /// What its key may see.
    scope: Arc<Scope>,
    /// The moment of the past that it wants; none for now.
    moment: Option<Moment>,
    /// What it filters.
    selection: Selection,
}

impl View {
    /// What the request for `uri` sees of the list: only what its filters choose.
    pub async fn of_list(
        catalog: Catalog,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Self, ApiError> {
        let selection = Selection::parse(uri.query())?;
        Self::of_selection(catalog, uri, headers, selection).await
    }

    /// What the request for `uri` sees of the list of `source`.
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
        let caller = Caller::of(&catalog, headers)?;
        let moment = past::requested_moment(uri.query())?;
        let scope = caller.scope();
        let current = match (moment, selection.current_only_filter()) {
            (Some(_), Some(name)) => {
                let message =
                    format!("{name}= is about now: leave it out together with at= and revision=.");
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
            // Cached with the whole snapshot, as what the caller sees is: together they have one bound.
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

    /// What the request for `uri` sees of the model that has one of `ids`: an unknown one may trigger a
    /// refresh of its provider.
    pub async fn of_model(
        catalog: Catalog,
        uri: &Uri,
        headers: &HeaderMap,
        ids: &[&str],
    ) -> Result<Self, ApiError> {
        let caller = Caller::of(&catalog, headers)?;
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

    /// The sources that the answer is made of.
    fn visible_sources(&self) -> impl Iterator<Item = &SourceState> {
        // Stale ones that a filter leaves out are among them: that is why their models are not there.
        let is_visible = |source: &&SourceState| {
            self.scope.allows_source(source.name.as_str())
                && self.selection.may_choose(&source.name)
        };
        self.sources.states.iter().filter(is_visible)
    }

    /// OpenAI's list, with the fields that are asked for.
    pub fn list(&self) -> Result<Body, ApiError> {
        let fields = &self.selection.fields;
        if fields.is_empty() {
            return Ok(self.snapshot.list.clone());
        }
        self.snapshot
            .list_fields(fields)
            .map_err(|error| ApiError::unwritable(&error))
    }

    /// The fields of each of OpenAI's entries that are asked for; all where there is none.
    pub fn fields(&self) -> &BTreeSet<String> {
        &self.selection.fields
    }

    /// Whether it is of the past.
    pub fn is_past(&self) -> bool {
        self.moment.is_some()
    }

    /// `body`, made of the snapshot, with the headers that say of when it is; 304 when the client
    /// has it.
    pub fn answer(&self, body: &Body, request: &HeaderMap) -> Response {
        let cache_control = match self.moment {
            Some(moment) => past::cache_control(moment),
            // An answer that lacks a source must not be kept; any other is revalidated for free.
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
            headers.insert("catalog-stale", stale);
        }
        response
    }

    /// The names of the sources that are stale; none where none is.
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

/// The catalog as it was served at `moment`, beside how its sources are doing now.
async fn past(catalog: &Catalog, moment: Moment) -> Result<Arc<Current>, ApiError> {
    Ok(Arc::new(Current {
        snapshot: Arc::new(past::snapshot(catalog, moment).await?),
        sources: catalog.current().sources.clone(),
    }))
}
