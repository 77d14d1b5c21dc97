//! The catalog as one request sees it: the moment that it asks for, and the headers that every
//! answer about models has.

use std::sync::Arc;

use axum::{
    http::{HeaderMap, HeaderValue, Uri, header::VARY},
    response::Response,
};

use super::{CATALOG_REVISION, conditional, error::ApiError, past};
use crate::{
    Catalog,
    snapshot::{Body, Snapshot},
    store::Moment,
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
}

impl View {
    /// What the request for `uri` sees of the list.
    pub async fn of_list(catalog: Catalog, uri: &Uri) -> Result<Self, ApiError> {
        let moment = past::wanted(uri.query())?;
        let snapshot = match moment {
            Some(moment) => past::snapshot(&catalog, moment).await?.into(),
            None => catalog.snapshot().await,
        };
        Ok(Self {
            catalog,
            snapshot,
            moment,
        })
    }

    /// What the request for `uri` sees of the model that has one of `ids`: an unknown one may have
    /// its provider asked.
    pub async fn of_model(catalog: Catalog, uri: &Uri, ids: &[&str]) -> Result<Self, ApiError> {
        let moment = past::wanted(uri.query())?;
        let snapshot = match moment {
            Some(moment) => past::snapshot(&catalog, moment).await?.into(),
            None => catalog.snapshot_with_any(ids).await,
        };
        Ok(Self {
            catalog,
            snapshot,
            moment,
        })
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
        let mut response = conditional::answer(body, json, cache_control, request);
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
