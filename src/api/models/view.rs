//! The catalog as one request sees it: what its key may see, of the moment and the models that it
//! asks for; and the headers that every answer about models has.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    http::{HeaderMap, HeaderValue, Uri, header::VARY},
    response::Response,
};

use super::past;
use crate::{
    api::{auth::Caller, error::ApiError, middleware::CATALOG_REVISION, response},
    catalog::Catalog,
    model::{event::Moment, source::SourceName},
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
    /// The moment of the past that it asked for; none for now.
    moment: Option<Moment>,
    /// What it asks for.
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
        let moment = past::wanted(uri.query())?;
        let scope = caller.scope();
        let snapshot = match (moment, selection.of_now()) {
            (Some(_), Some(name)) => {
                let message =
                    format!("{name}= is about now: leave it out together with at= and revision=.");
                return Err(BadFilter { name, message }.into());
            }
            (Some(moment), None) => past::snapshot(&catalog, moment).await?.into(),
            (None, _) => {
                let counts = |source: &SourceName| {
                    scope.allows_source(source.as_str()) && selection.may_choose(source)
                };
                catalog.snapshot(counts).await
            }
        };
        let seen = caller.sees(snapshot.clone())?;
        let seen = match selection.resolve(&seen.sources, catalog.now()) {
            None => seen,
            // Kept with the whole snapshot, as what the caller sees is: together they have one bound.
            Some(chosen) => snapshot
                .part(&format!("{}?{}", caller.part_name(), chosen.name()), || {
                    seen.only(&chosen)
                })
                .map_err(|error| ApiError::unwritable(&error))?,
        };
        Ok(Self {
            catalog,
            snapshot: seen,
            moment,
            selection,
        })
    }

    /// What the request for `uri` sees of the model that has one of `ids`: an unknown one may have
    /// its provider asked.
    pub async fn of_model(
        catalog: Catalog,
        uri: &Uri,
        headers: &HeaderMap,
        ids: &[&str],
    ) -> Result<Self, ApiError> {
        let caller = Caller::of(&catalog, headers)?;
        let moment = past::wanted(uri.query())?;
        let snapshot = match moment {
            Some(moment) => past::snapshot(&catalog, moment).await?.into(),
            None => catalog.snapshot_with_any(ids, &caller.scope()).await,
        };
        Ok(Self {
            catalog,
            snapshot: caller.sees(snapshot)?,
            moment,
            selection: Selection::default(),
        })
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
            None if self.snapshot.list_missing().next().is_some() => {
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
        let stale: Vec<&str> = self
            .snapshot
            .list_stale(self.catalog.now())
            .map(AsRef::as_ref)
            .collect();
        (!stale.is_empty())
            .then(|| HeaderValue::try_from(stale.join(", ")).ok())
            .flatten()
    }
}
