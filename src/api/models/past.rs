//! Time travel: `?at=` and `?revision=` of the model routes.

use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode};

use crate::{
    api::{error::ApiError, request::parameters},
    catalog::Catalog,
    model::{event::Moment, time::Timestamp},
    snapshot::Snapshot,
};

/// The past moment that the query names with `at=` or `revision=`; none for the present. Other
/// parameters are ignored.
pub fn requested_moment(query: Option<&str>) -> Result<Option<Moment>, ApiError> {
    let find = |name: &str| {
        parameters(query)
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    };
    match (find("at"), find("revision")) {
        (None, None) => Ok(None),
        (Some(at), None) => {
            // An unencoded plus sign arrives as a space.
            let time: Timestamp = at.replace(' ', "+").parse().map_err(|_| {
                ApiError::bad(
                    "invalid_time",
                    "at= must be a time such as 2026-11-01T00:00:00Z.",
                )
            })?;
            Ok(Some(Moment::Time(time)))
        }
        (None, Some(revision)) => match revision.parse() {
            Ok(revision @ 0..) => Ok(Some(Moment::Revision(revision))),
            _ => Err(ApiError::bad(
                "invalid_revision",
                "revision= must be a whole number from 0.",
            )),
        },
        (Some(_), Some(_)) => Err(ApiError::bad(
            "invalid_parameter",
            "at= and revision= cannot be combined: use one of them.",
        )),
    }
}

/// How long clients may cache an answer from `moment`.
pub fn cache_control(moment: Moment) -> HeaderValue {
    HeaderValue::from_static(match moment {
        Moment::Revision(_) => "public, max-age=31536000, immutable",
        // A clock that is set back can still add a revision at or before that time.
        Moment::Time(_) => "no-cache",
    })
}

/// Fails when `revision` does not exist yet. Another process may just have made it.
async fn ensure_exists(catalog: &Catalog, revision: i64) -> Result<(), ApiError> {
    if revision <= catalog.current().snapshot.revision {
        return Ok(());
    }
    let head = catalog.store().head().await?;
    if revision > head {
        return Err(ApiError::future_revision(head));
    }
    Ok(())
}

/// The catalog as it was served at `moment`, if it is remembered.
pub fn remembered(catalog: &Catalog, moment: Moment) -> Option<Arc<Snapshot>> {
    match moment {
        Moment::Revision(revision) => catalog.shared().remembered.past(revision),
        Moment::Time(_) => None,
    }
}

/// The catalog as it was served at `moment`. Fails when that is in the future or its history was
/// pruned.
pub async fn snapshot(catalog: &Catalog, moment: Moment) -> Result<Arc<Snapshot>, ApiError> {
    if let Some(snapshot) = remembered(catalog, moment) {
        return Ok(snapshot);
    }
    match moment {
        Moment::Time(time) if time > catalog.now() => {
            return Err(ApiError::bad(
                "future_time",
                "at= is in the future: use a time that has passed.",
            ));
        }
        Moment::Time(_) => {}
        Moment::Revision(revision) => ensure_exists(catalog, revision).await?,
    }
    let past = catalog.store().past(moment).await?;
    // Nothing was listed before the first revision, whatever was pruned since.
    if (1..past.history_from).contains(&past.content.revision) {
        return Err(ApiError::pruned(past.history_from));
    }
    let remembered = &catalog.shared().remembered;
    let snapshot = Snapshot::build(past.content)
        .map_err(|error| ApiError::unwritable(&error))?
        .remembered_in(remembered);
    let snapshot = Arc::new(snapshot);
    if let Moment::Revision(revision) = moment {
        remembered.keep_past(revision, snapshot.clone());
    }
    Ok(snapshot)
}

impl ApiError {
    /// The revision does not exist yet; `last` is the latest one.
    pub fn future_revision(last: i64) -> Self {
        let message = format!(
            "The last revision is {last}: a higher one does not exist yet, or belongs to another database."
        );
        Self::bad("future_revision", message)
    }

    /// The history before revision `history_from` was pruned.
    pub fn pruned(history_from: i64) -> Self {
        let message = format!(
            "History is kept from revision {history_from} (setting keep_events): use that or a later one."
        );
        Self::invalid(StatusCode::GONE, "history_pruned", message)
    }
}
