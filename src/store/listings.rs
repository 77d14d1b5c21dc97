//! Committing what a fetch brought: models, events, the source's state and the fetch's own row in
//! one transaction, made only if the claim still stands.

use std::{collections::BTreeMap, time::Duration};

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::SqliteConnection;

use super::{Claim, Result, Store};
use crate::{
    config::SourceConfig,
    diff::{Change, Event, diff, with_first_created},
    model::{Attributes, Listing, Role},
    provider::{ErrorKind, FetchError, Fetched},
    time::Timestamp,
};

/// How long the rows of `fetches` are kept.
const FETCHES_KEPT: TimeDelta = TimeDelta::days(90);
/// How many rows of `fetches` are kept for a source.
const FETCHES_KEPT_PER_SOURCE: i64 = 10_000;
/// How long an endpoint's stale models are served before it is hidden.
const ENDPOINT_MAX_STALE: TimeDelta = TimeDelta::minutes(5);
/// A provider is hidden when its key was refused this often …
const REFUSALS_TO_HIDE: i64 = 3;
/// … over this time.
const REFUSED_TO_HIDE: TimeDelta = TimeDelta::hours(24);

/// How many models changed, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Listed for the first time ever.
    pub added: i64,
    /// Listed with other attributes.
    pub changed: i64,
    /// No longer listed.
    pub removed: i64,
    /// Listed again.
    pub returned: i64,
}

/// What became of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// Nothing: the claim no longer stood, somebody else has the source.
    Superseded,
    /// Its state was written; no model changed.
    Unchanged,
    /// A new revision was made.
    Changed(Counts),
}

/// One attempt, as the database remembers it.
struct Attempt<'a> {
    claim: &'a Claim,
    role: Role,
    duration: Duration,
}

impl Store {
    /// Commits a whole listing. It was claimed at `claim.at` and took `duration`.
    pub async fn commit_listing(
        &self,
        source: &SourceConfig,
        claim: &Claim,
        fetched: &Fetched,
        duration: Duration,
    ) -> Result<Committed> {
        let attempt = Attempt {
            claim,
            role: source.role,
            duration,
        };
        let (name, now) = (claim.source.as_str(), attempt.ended_at());
        let next = now.plus(source.ttl);
        let kind = fetched.kind.as_str();
        let mut tx = self.begin().await?;

        let Some(was) = read_standing(&mut tx, claim).await? else {
            return Ok(Committed::Superseded);
        };
        sqlx::query!(
            "UPDATE sources
             SET kind = ?2, fetched_at = ?3, next_attempt_at = ?4, consecutive_failures = 0,
                 error_kind = NULL, error_message = NULL, error_since = NULL,
                 refusals = 0, refused_since = NULL, hidden_since = NULL, hidden_reason = NULL
             WHERE name = ?1",
            name,
            kind,
            now,
            next,
        )
        .execute(&mut *tx)
        .await?;

        let stored = list_attributes(&mut tx, source.role, name).await?;
        let mut changes = diff(&stored, &fetched.listing.entries);
        let first_seen = mark_returned(&mut tx, name, &mut changes).await?;
        let counts = Counts::of(&changes);
        let revision = if changes.is_empty() && !was.hidden {
            None
        } else {
            let revision = next_revision(&mut tx).await?;
            if was.hidden {
                record_source_event(&mut tx, revision, name, now, "shown").await?;
            }
            record_events(&mut tx, revision, name, now, &changes).await?;
            remove_models(&mut tx, source.role, name, &changes).await?;
            upsert_models(&mut tx, source.role, name, now, &changes, &first_seen).await?;
            Some(revision)
        };
        if source.role == Role::Provider {
            sqlx::query!(
                "UPDATE cloud_models SET fetched_at = ?2 WHERE provider = ?1",
                name,
                now
            )
            .execute(&mut *tx)
            .await?;
        }
        attempt
            .record_success(&mut tx, &fetched.listing, counts, revision)
            .await?;
        tx.commit().await?;
        Ok(match revision {
            None => Committed::Unchanged,
            Some(_) => Committed::Changed(counts),
        })
    }

    /// Commits a failure: the source's state, never its models. The next attempt is `wait` after
    /// the end of this one. An endpoint that has been stale for too long, or a provider whose key
    /// has been refused for too long, is hidden by it.
    pub async fn commit_failure(
        &self,
        source: &SourceConfig,
        claim: &Claim,
        error: &FetchError,
        wait: impl FnOnce(i64) -> TimeDelta,
        duration: Duration,
    ) -> Result<Committed> {
        let attempt = Attempt {
            claim,
            role: source.role,
            duration,
        };
        let (name, now) = (claim.source.as_str(), attempt.ended_at());
        let mut tx = self.begin().await?;

        let Some(was) = read_standing(&mut tx, claim).await? else {
            return Ok(Committed::Superseded);
        };
        let failures = was.consecutive_failures.saturating_add(1);
        let next = now.plus(wait(failures));
        let refused = i64::from(error.kind == ErrorKind::Unauthorized);
        let (refusals, refused_since) = (
            was.refusals.saturating_add(refused),
            was.refused_since.or((refused == 1).then_some(now)),
        );
        let kind = error.kind.as_str();
        sqlx::query!(
            "UPDATE sources
             SET next_attempt_at = ?2, consecutive_failures = ?3, error_kind = ?4,
                 error_message = ?5, error_since = COALESCE(error_since, ?6),
                 refusals = ?7, refused_since = ?8
             WHERE name = ?1",
            name,
            next,
            failures,
            kind,
            error.message,
            claim.at,
            refusals,
            refused_since,
        )
        .execute(&mut *tx)
        .await?;

        let over =
            |since: Option<Timestamp>, limit| since.is_some_and(|since| now.since(since) >= limit);
        let reason = match source.role {
            Role::Endpoint => {
                over(was.fetched_at, source.ttl + ENDPOINT_MAX_STALE).then_some("unreachable")
            }
            Role::Provider => (refusals >= REFUSALS_TO_HIDE
                && over(refused_since, REFUSED_TO_HIDE))
            .then_some("refused"),
        };
        // Without a listing there is nothing to hide.
        let reason = reason.filter(|_| was.fetched_at.is_some() && !was.hidden);
        let mut revision = None;
        if let Some(reason) = reason {
            sqlx::query!(
                "UPDATE sources SET hidden_since = ?2, hidden_reason = ?3 WHERE name = ?1",
                name,
                now,
                reason,
            )
            .execute(&mut *tx)
            .await?;
            let made = next_revision(&mut tx).await?;
            record_source_event(&mut tx, made, name, now, "hidden").await?;
            revision = Some(made);
        }
        attempt.record_failure(&mut tx, error, revision).await?;
        tx.commit().await?;
        Ok(revision.map_or(Committed::Unchanged, |_| {
            Committed::Changed(Counts::default())
        }))
    }
}

impl Counts {
    fn of(changes: &[Change]) -> Self {
        let mut counts = Self::default();
        for change in changes {
            *match change.event {
                Event::Added => &mut counts.added,
                Event::Changed => &mut counts.changed,
                Event::Removed => &mut counts.removed,
                Event::Returned => &mut counts.returned,
            } += 1;
        }
        counts
    }
}

/// What a commit needs to know of the source before it.
struct Standing {
    fetched_at: Option<Timestamp>,
    consecutive_failures: i64,
    refusals: i64,
    refused_since: Option<Timestamp>,
    hidden: bool,
}

/// The source's state, if `claim` still stands.
async fn read_standing(
    connection: &mut SqliteConnection,
    claim: &Claim,
) -> Result<Option<Standing>> {
    let name = claim.source.as_str();
    Ok(sqlx::query_as!(
        Standing,
        r#"SELECT fetched_at AS "fetched_at: Timestamp",
                  consecutive_failures,
                  refusals,
                  refused_since AS "refused_since: Timestamp",
                  hidden_since IS NOT NULL AS "hidden!: bool"
           FROM sources
           WHERE name = ?1 AND attempted_at = ?2 AND configured = 1"#,
        name,
        claim.at,
    )
    .fetch_optional(connection)
    .await?)
}

/// What is stored of a source's models. One row: decoding a row each would take most of the time.
async fn list_attributes(
    connection: &mut SqliteConnection,
    role: Role,
    name: &str,
) -> Result<BTreeMap<String, Attributes>> {
    let json = match role {
        Role::Provider => {
            sqlx::query_scalar!(
                r#"SELECT json_group_object(model_id, json_object(
                       'created', created, 'display_name', display_name,
                       'context_window', context_window, 'max_output_tokens', max_output_tokens
                   )) AS "json!: String"
                   FROM cloud_models WHERE provider = ?1"#,
                name,
            )
            .fetch_one(connection)
            .await?
        }
        Role::Endpoint => {
            sqlx::query_scalar!(
                r#"SELECT json_group_object(model_id, json_object(
                       'created', created, 'display_name', display_name,
                       'context_window', context_window, 'max_output_tokens', max_output_tokens
                   )) AS "json!: String"
                   FROM local_models WHERE endpoint = ?1"#,
                name,
            )
            .fetch_one(connection)
            .await?
        }
    };
    Ok(serde_json::from_str(&json)?)
}

/// Turns `added` into `returned` for models that were listed before; answers when each of them was
/// seen first.
async fn mark_returned<'a>(
    connection: &mut SqliteConnection,
    name: &str,
    changes: &mut [Change<'a>],
) -> Result<BTreeMap<&'a str, String>> {
    #[derive(Deserialize)]
    struct First {
        at: String,
        created: i64,
    }
    let mut added: BTreeMap<&'a str, &mut Change<'a>> = changes
        .iter_mut()
        .filter(|change| change.event == Event::Added)
        .map(|change| (change.model_id, change))
        .collect();
    if added.is_empty() {
        return Ok(BTreeMap::new());
    }
    let ids = serde_json::to_string(&added.keys().collect::<Vec<_>>())?;
    let json = sqlx::query_scalar!(
        r#"SELECT json_group_object(model_id, json_object('at', at, 'created', created)) AS "json!: String"
           FROM (
               -- With a single MIN, SQLite takes the other columns from the row that has it.
               SELECT model_id, MIN(revision), at, attributes ->> 'created' AS created
               FROM model_events
               WHERE source = ?1 AND model_id IN (SELECT value FROM json_each(?2))
               GROUP BY model_id
           )"#,
        name,
        ids,
    )
    .fetch_one(connection)
    .await?;
    let firsts: BTreeMap<String, First> = serde_json::from_str(&json)?;
    let mut first_seen = BTreeMap::new();
    for (id, first) in firsts {
        if let Some(change) = added.get_mut(id.as_str()) {
            change.event = Event::Returned;
            change.attributes = change
                .attributes
                .take()
                .map(|new| with_first_created(new, first.created));
            first_seen.insert(change.model_id, first.at);
        }
    }
    Ok(first_seen)
}

async fn next_revision(connection: &mut SqliteConnection) -> Result<i64> {
    Ok(sqlx::query_scalar!(
        r#"SELECT COALESCE(MAX(revision), 0) + 1 AS "revision!: i64" FROM model_events"#
    )
    .fetch_one(connection)
    .await?)
}

async fn record_source_event(
    connection: &mut SqliteConnection,
    revision: i64,
    name: &str,
    at: Timestamp,
    event: &str,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO model_events (revision, source, model_id, at, event) VALUES (?1, ?2, '', ?3, ?4)",
        revision,
        name,
        at,
        event,
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn record_events(
    connection: &mut SqliteConnection,
    revision: i64,
    name: &str,
    at: Timestamp,
    changes: &[Change<'_>],
) -> Result<()> {
    let rows: Vec<_> = changes
        .iter()
        .map(|change| {
            json!({
                "id": change.model_id, "event": change.event, "attributes": change.attributes,
                "changed": (change.event == Event::Changed).then_some(&change.changed),
            })
        })
        .collect();
    let rows = serde_json::to_string(&rows)?;
    sqlx::query!(
        "INSERT INTO model_events (revision, source, model_id, at, event, attributes, changed)
         SELECT ?1, ?2, value ->> 'id', ?3, value ->> 'event', value ->> 'attributes', value ->> 'changed'
         FROM json_each(?4)",
        revision,
        name,
        at,
        rows,
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn remove_models(
    connection: &mut SqliteConnection,
    role: Role,
    name: &str,
    changes: &[Change<'_>],
) -> Result<()> {
    let ids: Vec<&str> = changes
        .iter()
        .filter(|change| change.event == Event::Removed)
        .map(|change| change.model_id)
        .collect();
    if ids.is_empty() {
        return Ok(());
    }
    let ids = serde_json::to_string(&ids)?;
    match role {
        Role::Provider => {
            sqlx::query!(
                "DELETE FROM cloud_models
                 WHERE provider = ?1 AND model_id IN (SELECT value FROM json_each(?2))",
                name,
                ids,
            )
            .execute(connection)
            .await?
        }
        Role::Endpoint => {
            sqlx::query!(
                "DELETE FROM local_models
                 WHERE endpoint = ?1 AND model_id IN (SELECT value FROM json_each(?2))",
                name,
                ids,
            )
            .execute(connection)
            .await?
        }
    };
    Ok(())
}

/// One statement for all rows, however many.
async fn upsert_models(
    connection: &mut SqliteConnection,
    role: Role,
    name: &str,
    now: Timestamp,
    changes: &[Change<'_>],
    first_seen: &BTreeMap<&str, String>,
) -> Result<()> {
    let rows: Vec<_> = changes
        .iter()
        .filter_map(|change| {
            let attributes = change.attributes.as_ref()?;
            Some(json!({
                "id": change.model_id, "attributes": attributes, "raw": change.raw,
                "first_seen_at": first_seen.get(change.model_id),
            }))
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let rows = serde_json::to_string(&rows)?;
    match role {
        Role::Provider => {
            sqlx::query!(
                "INSERT INTO cloud_models (
                     provider, model_id, created, display_name, context_window,
                     max_output_tokens, first_seen_at, fetched_at, raw
                 )
                 SELECT ?1, value ->> 'id', value ->> '$.attributes.created',
                        value ->> '$.attributes.display_name', value ->> '$.attributes.context_window',
                        value ->> '$.attributes.max_output_tokens',
                        COALESCE(value ->> 'first_seen_at', ?2), ?2, value ->> 'raw'
                 FROM json_each(?3)
                 WHERE true
                 ON CONFLICT (provider, model_id) DO UPDATE
                 SET created = excluded.created,
                     display_name = excluded.display_name,
                     context_window = excluded.context_window,
                     max_output_tokens = excluded.max_output_tokens,
                     raw = excluded.raw",
                name,
                now,
                rows,
            )
            .execute(connection)
            .await?
        }
        Role::Endpoint => {
            sqlx::query!(
                "INSERT INTO local_models (
                     endpoint, model_id, created, display_name, context_window,
                     max_output_tokens, first_seen_at, raw
                 )
                 SELECT ?1, value ->> 'id', value ->> '$.attributes.created',
                        value ->> '$.attributes.display_name', value ->> '$.attributes.context_window',
                        value ->> '$.attributes.max_output_tokens',
                        COALESCE(value ->> 'first_seen_at', ?2), value ->> 'raw'
                 FROM json_each(?3)
                 WHERE true
                 ON CONFLICT (endpoint, model_id) DO UPDATE
                 SET created = excluded.created,
                     display_name = excluded.display_name,
                     context_window = excluded.context_window,
                     max_output_tokens = excluded.max_output_tokens,
                     raw = excluded.raw",
                name,
                now,
                rows,
            )
            .execute(connection)
            .await?
        }
    };
    Ok(())
}

impl Attempt<'_> {
    fn ended_at(&self) -> Timestamp {
        self.claim
            .at
            .plus(TimeDelta::from_std(self.duration).unwrap_or_default())
    }

    fn duration_ms(&self) -> i64 {
        i64::try_from(self.duration.as_millis()).unwrap_or(i64::MAX)
    }

    async fn record_success(
        &self,
        connection: &mut SqliteConnection,
        listing: &Listing,
        counts: Counts,
        revision: Option<i64>,
    ) -> Result<()> {
        let outcome = if revision.is_some() {
            "changed"
        } else {
            "unchanged"
        };
        if revision.is_none() && self.is_routine(connection, None).await? {
            return Ok(());
        }
        let name = self.claim.source.as_str();
        let duration_ms = self.duration_ms();
        let [pages, models, skipped] = [listing.pages, listing.entries.len(), listing.skipped]
            .map(|count| i64::try_from(count).unwrap_or(i64::MAX));
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

    async fn record_failure(
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
        let pages = i64::try_from(error.pages).unwrap_or(i64::MAX);
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
        let oldest = self.claim.at.plus(-FETCHES_KEPT);
        sqlx::query!(
            "DELETE FROM fetches
             WHERE source = ?1
               AND (started_at < ?2
                    OR id <= (SELECT id FROM fetches WHERE source = ?1
                              ORDER BY id DESC LIMIT 1 OFFSET ?3))",
            name,
            oldest,
            FETCHES_KEPT_PER_SOURCE,
        )
        .execute(connection)
        .await?;
        Ok(())
    }
}
