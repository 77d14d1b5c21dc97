//! The Atom feed of changes: made once per revision.

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue},
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use super::atom;
use crate::{
    api::{
        auth::Caller,
        costly::costly,
        error::ApiError,
        middleware::CATALOG_REVISION,
        query::{Parameters, filter},
        response,
    },
    catalog::Catalog,
    snapshot::body::Body,
};

/// Number of revisions in the Atom feed.
const REVISIONS: usize = 50;
/// Number of changes that an entry shows.
const SHOWN: usize = 100;

/// Parameters of `GET /catalog/changes.atom`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AtomParameters {
    source: Option<String>,
    event: Option<String>,
    model: Option<String>,
}

/// The latest revisions as an Atom feed (RFC 4287).
#[utoipa::path(
    get,
    path = "/catalog/changes.atom",
    tag = "catalog",
    operation_id = "followAtom",
    params(
        ("source" = Option<String>, Query, description = "Only events of this source"),
        ("event" = Option<String>, Query, description = "Only these kinds, separated by commas: added, changed, removed, returned, hidden, shown", pattern = "^$|^(added|changed|removed|returned|hidden|shown)(,(added|changed|removed|returned|hidden|shown))*$"),
        ("model" = Option<String>, Query, description = "Only events of this model and of its whole source"),
    ),
    responses(
        (status = 200, description = "The feed", body = String, content_type = "application/atom+xml; charset=utf-8"),
        (status = 304, description = "The same as `If-None-Match` names"),
    )
)]
pub async fn atom(
    caller: Caller,
    State(catalog): State<Catalog>,
    Parameters(parameters): Parameters<AtomParameters>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let AtomParameters {
        source,
        event,
        model,
    } = parameters;
    // A line break is in no key's name. What follows names the filter whole.
    let name = format!("{}\n{source:?}\n{event:?}\n{model:?}", caller.part_name());
    let filter = filter(&caller, &catalog.current(), source, event, model.as_deref())?;
    let shared = catalog.shared().clone();
    let made = async move {
        let revision = shared.current.load().snapshot.revision;
        let (revision, feed) = match shared.feeds.find(&name, revision) {
            Some(feed) => (revision, feed),
            None => {
                let digests = shared
                    .store
                    .latest_digests(i64::MAX, REVISIONS, SHOWN, &filter)
                    .await?;
                let written = atom::atom(&shared.catalog_id, &digests).map_err(|error| {
                    tracing::error!(%error, "cannot serialize the Atom feed");
                    ApiError::internal()
                })?;
                let feed = Body::kept(written.into());
                shared.feeds.keep(name, revision, feed.clone());
                // Another process's latest commit may be ahead of our snapshot.
                let latest = digests.first().map_or(0, |latest| latest.revision);
                (latest.max(revision), feed)
            }
        };
        let response = response::answer(
            &feed,
            HeaderValue::from_static("application/atom+xml; charset=utf-8"),
            HeaderValue::from_static("no-cache"),
            &headers,
        );
        Ok(([(CATALOG_REVISION, revision)], response).into_response())
    };
    costly(&catalog, made).await
}
