//! The enrichment: the file that fills in what sources do not say. When it is asked, what it says,
//! and what that changes.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde_json::json;
use sqlx::SqliteConnection;

use super::{Store, commit::Commit, error::Result, events::next_revision};
use crate::{
    config::source::SourceConfig,
    ingest::{diff::Counts, schedule},
    model::{
        attributes::Attributes, fetch::FetchError, listing::Entry, source::Role, time::Timestamp,
    },
};

/// What an enrichment says, and its name.
pub(super) struct Enrichment {
    name: String,
    /// By the source's own id.
    models: BTreeMap<String, Attributes>,
}

impl Enrichment {
    /// What it says of the models of `provider`; none without an enrichment.
    pub(super) async fn read(
        connection: &mut SqliteConnection,
        provider: &str,
    ) -> Result<Option<Self>> {
        let row = sqlx::query!(
            r#"SELECT name, (
                   SELECT '{' || COALESCE(GROUP_CONCAT(json_quote(model_id) || ':' || attributes), '') || '}'
                   FROM enrichment_models WHERE provider = ?1
               ) AS "models!: String"
               FROM enrichment"#,
            provider,
        )
        .fetch_optional(connection)
        .await?;
        row.map(|row| {
            Ok(Self {
                name: row.name,
                models: serde_json::from_str(&row.models)?,
            })
        })
        .transpose()
    }

    /// Fills in what `entry` does not say.
    pub(super) fn fill(&self, entry: &mut Entry) {
        if let Some(known) = self.models.get(&entry.id) {
            entry.attributes.fill(known, &self.name);
        }
    }
}

impl Store {
    /// Makes `source` the enrichment, or has none. What another file said is forgotten; what that
    /// changes is seen when the settings of the sources are applied.
    pub async fn apply_enrichment(&self, source: Option<&SourceConfig>) -> Result<()> {
        let name = source.map_or("", |source| source.name.as_str());
        let address = source.map(SourceConfig::address).unwrap_or_default();
        let mut tx = self.begin().await?;
        let other = sqlx::query!(
            "DELETE FROM enrichment WHERE name <> ?1 OR address <> ?2",
            name,
            address,
        )
        .execute(&mut *tx)
        .await?;
        if other.rows_affected() > 0 {
            sqlx::query!("DELETE FROM enrichment_models")
                .execute(&mut *tx)
                .await?;
        }
        if let Some(source) = source {
            let ttl_secs = source.ttl.num_seconds();
            sqlx::query!(
                "INSERT INTO enrichment (name, address, ttl_secs) VALUES (?1, ?2, ?3)
                 ON CONFLICT (name) DO UPDATE SET ttl_secs = excluded.ttl_secs",
                name,
                address,
                ttl_secs,
            )
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Claims the enrichment for one fetch, if `source` still is it and nobody else has it.
    pub async fn claim_enrichment(&self, source: &SourceConfig, now: Timestamp) -> Result<bool> {
        let (address, until) = (source.address(), now.plus(schedule::CLAIM));
        let mut tx = self.begin().await?;
        let Some(row) = sqlx::query!(
            r#"SELECT next_attempt_at AS "next_attempt_at: Timestamp" FROM enrichment WHERE address = ?1"#,
            address,
        )
        .fetch_optional(&mut *tx)
        .await?
        else {
            return Ok(false);
        };
        if !schedule::is_due(row.next_attempt_at, source.ttl, now) {
            return Ok(false);
        }
        sqlx::query!(
            "UPDATE enrichment SET attempted_at = ?2, next_attempt_at = ?3 WHERE address = ?1",
            address,
            now,
            until,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Gives the claim made at `at` back unused.
    pub async fn release_enrichment(&self, at: Timestamp) -> Result<()> {
        sqlx::query!(
            "UPDATE enrichment SET next_attempt_at = NULL WHERE attempted_at = ?1",
            at
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Commits what the enrichment, claimed at `claimed_at`, says, and what that changes of every
    /// provider's models, in one revision. None if the claim no longer stands.
    pub async fn commit_enrichment(
        &self,
        source: &SourceConfig,
        claimed_at: Timestamp,
        entries: &[Entry],
        now: Timestamp,
    ) -> Result<Option<Counts>> {
        let next = now.plus(source.ttl);
        let mut tx = self.begin().await?;
        let stands = sqlx::query!(
            "UPDATE enrichment
             SET fetched_at = ?2, next_attempt_at = ?3, consecutive_failures = 0,
                 error_kind = NULL, error_message = NULL, error_since = NULL
             WHERE attempted_at = ?1",
            claimed_at,
            now,
            next,
        )
        .execute(&mut *tx)
        .await?;
        if stands.rows_affected() == 0 {
            return Ok(None);
        }
        let rows: Vec<_> = entries
            .iter()
            .filter_map(|entry| {
                let (provider, id) = entry.id.split_once(':')?;
                Some(json!({"provider": provider, "id": id, "attributes": entry.attributes}))
            })
            .collect();
        let rows = serde_json::to_string(&rows)?;
        sqlx::query!("DELETE FROM enrichment_models")
            .execute(&mut *tx)
            .await?;
        sqlx::query!(
            "INSERT INTO enrichment_models (provider, model_id, attributes)
             SELECT value ->> 'provider', value ->> 'id', value -> 'attributes'
             FROM json_each(?1)
             WHERE true
             ON CONFLICT DO NOTHING",
            rows,
        )
        .execute(&mut *tx)
        .await?;
        let counts = restate_providers(&mut tx, now).await?;
        tx.commit().await?;
        Ok(Some(counts))
    }

    /// Commits a failure of the enrichment, claimed at `claimed_at`: what it said stays.
    pub async fn fail_enrichment(
        &self,
        claimed_at: Timestamp,
        error: &FetchError,
        wait: impl FnOnce(i64) -> TimeDelta,
        now: Timestamp,
    ) -> Result<()> {
        let mut tx = self.begin().await?;
        let failures = sqlx::query_scalar!(
            "SELECT consecutive_failures + 1 FROM enrichment WHERE attempted_at = ?1",
            claimed_at,
        )
        .fetch_optional(&mut *tx)
        .await?;
        let Some(failures) = failures else {
            return Ok(());
        };
        let (next, kind) = (now.plus(wait(failures)), error.kind.as_str());
        sqlx::query!(
            "UPDATE enrichment
             SET next_attempt_at = ?2, consecutive_failures = ?3, error_kind = ?4,
                 error_message = ?5, error_since = COALESCE(error_since, ?1)
             WHERE attempted_at = ?1",
            claimed_at,
            next,
            failures,
            kind,
            error.message,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Makes what is stored of every provider that is served what it would be, had its last listing come
/// now; in one revision. What is hidden is restated when it is shown.
async fn restate_providers(connection: &mut SqliteConnection, now: Timestamp) -> Result<Counts> {
    let revision = next_revision(connection).await?;
    let providers = sqlx::query!(
        r#"SELECT name, fetched_at AS "fetched_at!: Timestamp"
           FROM sources
           WHERE role = 'provider' AND fetched_at IS NOT NULL AND hidden_since IS NULL"#
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut counts = Counts::default();
    for provider in providers {
        let commit = Commit {
            role: Role::Provider,
            name: &provider.name,
            revision,
            at: now,
            last_seen_at: Some(provider.fetched_at),
            fetched_at: provider.fetched_at,
        };
        let made = commit.restate(connection).await?;
        counts.changed += made.changed;
    }
    Ok(counts)
}
