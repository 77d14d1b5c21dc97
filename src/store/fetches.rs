//! `fetches`: a row for each attempt, bounded by number; by age in `prune`.

use std::time::Duration;

use chrono::TimeDelta;
use sqlx::SqliteConnection;

use super::{error::Result, sources::Claim};
use crate::{
    ingest::diff::Counts,
    model::{fetch::FetchError, listing::Listing, source::Role, time::Timestamp},
};

/// How many rows of `fetches` are kept for a source.
const FETCHES_KEPT_PER_SOURCE: i64 = 10_000;
/// One attempt, as the database remembers it.
pub(super) struct Attempt<'a> {
    pub(super) claim: &'a Claim,
    pub(super) role: Role,
    pub(super) duration: Duration,
}

impl Attempt<'_> {
    pub(super) fn ended_at(&self) -> Timestamp {
        self.claim
            .at
            .plus(TimeDelta::from_std(self.duration).unwrap_or_default())
    }

    fn duration_ms(&self) -> i64 {
        i64::try_from(self.duration.as_millis()).unwrap_or(i64::MAX)
    }

    pub(super) async fn record_answer(
        &self,
        connection: &mut SqliteConnection,
        listing: &Listing,
        outcome: &str,
        counts: Counts,
        revision: Option<i64>,
    ) -> Result<()> {
        if revision.is_none() && self.is_routine(connection, None).await? {
            return Ok(());
        }
        let name = self.claim.source.as_str();
        let duration_ms = self.duration_ms();
        let [pages, models, skipped] =
            [listing.pages, listing.entries.len(), listing.skipped.count].map(count);
        sqlx::query!(
            "INSERT INTO fetches (
                 source, started_at, duration_ms, outcome, http_status, pages, models, skipped,
                 added, changed, removed, returned, revision
             ) VALUES (?1, ?2, ?3, ?4, 200, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            name,
            self.claim.at,
            duration_ms,
            outcome,
            pages,
            models,
            skipped,
            counts.added,
            counts.changed,
            counts.removed,
            counts.returned,
            revision,
        )
        .execute(&mut *connection)
        .await?;
        self.prune(connection).await
    }

    pub(super) async fn record_failure(
        &self,
        connection: &mut SqliteConnection,
        error: &FetchError,
        revision: Option<i64>,
    ) -> Result<()> {
        let kind = error.kind.as_str();
        if revision.is_none() && self.is_routine(connection, Some(kind)).await? {
            return Ok(());
        }
        let name = self.claim.source.as_str();
        let duration_ms = self.duration_ms();
        let pages = count(error.pages);
        sqlx::query!(
            "INSERT INTO fetches (
                 source, started_at, duration_ms, outcome, http_status, pages, revision,
                 error_kind, error_message
             ) VALUES (?1, ?2, ?3, 'failed', ?4, ?5, ?6, ?7, ?8)",
            name,
            self.claim.at,
            duration_ms,
            error.http_status,
            pages,
            revision,
            kind,
            error.message,
        )
        .execute(&mut *connection)
        .await?;
        self.prune(connection).await
    }

    /// Whether this is an endpoint that did just what it did last time: asked every 30 s, it
    /// would fill the table.
    async fn is_routine(
        &self,
        connection: &mut SqliteConnection,
        error_kind: Option<&str>,
    ) -> Result<bool> {
        if self.role == Role::Provider {
            return Ok(false);
        }
        let name = self.claim.source.as_str();
        let last = sqlx::query_scalar!(
            "SELECT error_kind FROM fetches WHERE source = ?1 ORDER BY id DESC LIMIT 1",
            name,
        )
        .fetch_optional(connection)
        .await?;
        Ok(last.is_some_and(|last| last.as_deref() == error_kind))
    }

    async fn prune(&self, connection: &mut SqliteConnection) -> Result<()> {
        let name = self.claim.source.as_str();
        sqlx::query!(
            "DELETE FROM fetches
             WHERE source = ?1
               AND id <= (SELECT id FROM fetches WHERE source = ?1
                          ORDER BY id DESC LIMIT 1 OFFSET ?2)",
            name,
            FETCHES_KEPT_PER_SOURCE,
        )
        .execute(connection)
        .await?;
        Ok(())
    }
}

/// A count as SQLite holds it.
pub(super) fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
