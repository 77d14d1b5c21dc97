//! `fetches`: a row per attempt. Limited by number here, and by age in `prune`.

use std::time::Duration;

use sqlx::SqliteConnection;

use super::error::Result;
use crate::model::{
    event::Counts,
    fetch::{FetchError, Outcome},
    source::Role,
    time::Timestamp,
};

/// Number of rows kept per source.
const FETCHES_KEPT_PER_SOURCE: i64 = 10_000;

/// One attempt, for its row.
pub(super) struct FetchRow<'a> {
    pub(super) source: &'a str,
    pub(super) role: Role,
    pub(super) started_at: Timestamp,
    pub(super) duration: Duration,
    pub(super) outcome: Outcome,
    /// The size of the listing; none without one.
    pub(super) size: Option<ListingSize>,
    /// Why there was no listing.
    pub(super) error: Option<&'a FetchError>,
    pub(super) counts: Counts,
    pub(super) revision: Option<i64>,
}

/// The size of a listing.
#[derive(Clone, Copy)]
pub(super) struct ListingSize {
    pub(super) pages: usize,
    pub(super) models: usize,
    pub(super) skipped: usize,
}

impl FetchRow<'_> {
    /// Writes the row, unless it is routine.
    pub(super) async fn record(&self, connection: &mut SqliteConnection) -> Result<()> {
        if self.is_routine(connection).await? {
            return Ok(());
        }
        let (size, error) = (self.size, self.error);
        let duration_ms = i64::try_from(self.duration.as_millis()).unwrap_or(i64::MAX);
        let outcome = self.outcome.as_str();
        let http_status = error.map_or(Some(200), |error| error.http_status);
        let pages = count(error.map_or(size.map_or(0, |size| size.pages), |error| error.pages));
        let models = size.map(|size| count(size.models));
        let skipped = size.map(|size| count(size.skipped));
        let error_kind = error.map(|error| error.kind.as_str());
        let error_message = error.map(|error| error.message.as_str());
        sqlx::query!(
            "INSERT INTO fetches (
                 source, started_at, duration_ms, outcome, http_status, pages, models, skipped,
                 added, changed, removed, returned, revision, error_kind, error_message
             ) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
            self.source,
            self.started_at,
            duration_ms,
            outcome,
            http_status,
            pages,
            models,
            skipped,
            self.counts.added,
            self.counts.changed,
            self.counts.removed,
            self.counts.returned,
            self.revision,
            error_kind,
            error_message,
        )
        .execute(&mut *connection)
        .await?;
        self.prune(connection).await
    }

    /// Whether an endpoint got the same outcome as last time. Fetched every 30 s, it would fill the
    /// table.
    async fn is_routine(&self, connection: &mut SqliteConnection) -> Result<bool> {
        if self.role == Role::Provider || self.revision.is_some() {
            return Ok(false);
        }
        let error_kind = self.error.map(|error| error.kind.as_str());
        let last = sqlx::query_scalar!(
            "SELECT error_kind FROM fetches WHERE source = ?1 ORDER BY id DESC LIMIT 1",
            self.source,
        )
        .fetch_optional(connection)
        .await?;
        Ok(last.is_some_and(|last| last.as_deref() == error_kind))
    }

    async fn prune(&self, connection: &mut SqliteConnection) -> Result<()> {
        sqlx::query!(
            "DELETE FROM fetches
             WHERE source = ?1
               AND id <= (SELECT id FROM fetches WHERE source = ?1
                          ORDER BY id DESC LIMIT 1 OFFSET ?2)",
            self.source,
            FETCHES_KEPT_PER_SOURCE,
        )
        .execute(connection)
        .await?;
        Ok(())
    }
}

/// A count as SQLite holds it.
fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
