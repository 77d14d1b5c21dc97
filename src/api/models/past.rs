//! Time travel: `?at=` and `?revision=` of the model routes.

use axum::http::{HeaderValue, StatusCode};
use url::form_urlencoded;

use crate::{
    api::error::ApiError,
    catalog::Catalog,
    model::{
        event::{EventFilter, Moment},
        time::Timestamp,
    },
    snapshot::Snapshot,
};

/// The moment that the query asks for; none where it asks for no past one. Other parameters are
/// ignored.
pub fn requested_moment(query: Option<&str>) -> Result<Option<Moment>, ApiError> {
    let find = |name: &str| {
        form_urlencoded::parse(query?.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    };
    match (find("at"), find("revision")) {
        (None, None) => Ok(None),
        (Some(at), None) => {
            // A plus sign that was not encoded came as a space.
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
            "at= and revision= exclude each other: give one of them.",
        )),
    }
}

/// What may be kept of an answer from `moment`.
pub fn cache_control(moment: Moment) -> HeaderValue {
    HeaderValue::from_static(match moment {
        Moment::Revision(_) => "public, max-age=31536000, immutable",
        // Until the next change a time may come to have another answer: clocks are set back.
        Moment::Time(_) => "no-cache",
    })
}

/// Refuses a `revision` that is not made yet, by this process or by another a moment ago.
async fn ensure_exists(catalog: &Catalog, revision: i64) -> Result<(), ApiError> {
    if revision <= catalog.current().snapshot.revision {
        return Ok(());
    }
    let everything = EventFilter::default();
    let page = catalog.store().changes(revision, &everything, 1).await?;
    let head = page.head;
    if revision > head {
        return Err(ApiError::future_revision(head));
    }
    Ok(())
}

/// The catalog as it was served at `moment`.
pub async fn snapshot(catalog: &Catalog, moment: Moment) -> Result<Snapshot, ApiError> {
    match moment {
        Moment::Time(time) if time > catalog.now() => {
            return Err(ApiError::bad(
                "future_time",
                "at= is in the future: what will be listed then is not known.",
            ));
        }
        Moment::Time(_) => {}
        Moment::Revision(revision) => ensure_exists(catalog, revision).await?,
    }
    let past = catalog.store().past(moment).await?;
    // Before the first revision there was nothing, whatever has been deleted since.
    if (1..past.history_from).contains(&past.content.revision) {
        return Err(ApiError::pruned(past.history_from));
    }
    Snapshot::build(past.content).map_err(|error| ApiError::unwritable(&error))
}

impl ApiError {
    /// The revision is not made yet; `last` is the last one.
    pub fn future_revision(last: i64) -> Self {
        let message = format!(
            "The last revision is {last}: a higher one is not made yet, or is of another database."
        );
        Self::bad("future_revision", message)
    }

    /// What was before the revision `history_from` is not kept.
    pub fn pruned(history_from: i64) -> Self {
        let message = format!(
            "History is kept from revision {history_from} (setting keep_events): ask for that or a later one."
        );
        Self::invalid(StatusCode::GONE, "history_pruned", message)
    }
}
