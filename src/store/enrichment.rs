//! The enrichment's rows: applies its setting, claims it, and commits its data with the changes it
//! causes.

use chrono::TimeDelta;
use serde_json::json;
use sqlx::SqliteConnection;

use super::{
    Store, Write, commit::Attempt, derive::Target, error::Result, events::NextRevision,
    sources::Claim,
};
use crate::{
    ingest::schedule::{self, Backoff},
    model::{
        event::Counts,
        fetch::{Committed, FetchError, Fetched},
        listing::{Details, Entry},
        settings::SourceSettings,
        source::Role,
        state::Polling,
        time::Timestamp,
    },
};

/// Makes `source` the enrichment, or removes it. Deletes the data of any other file. Applying the
/// settings of the sources makes the resulting changes.
pub(super) async fn apply_enrichment(
    connection: &mut SqliteConnection,
    source: Option<&SourceSettings>,
) -> Result<()> {
    let name = source.map_or("", |source| source.name.as_str());
    let address = source.map_or("", |source| source.address.as_str());
    let other = sqlx::query!(
        "DELETE FROM enrichment WHERE name <> ?1 OR address <> ?2",
        name,
        address,
    )
    .execute(&mut *connection)
    .await?;
    if other.rows_affected() > 0 {
        sqlx::query!("DELETE FROM enrichment_models")
            .execute(&mut *connection)
            .await?;
    }
    let Some(source) = source else {
        return Ok(());
    };
    let ttl_secs = source.ttl.num_seconds();
    sqlx::query!(
        "INSERT INTO enrichment (name, address, ttl_secs) VALUES (?1, ?2, ?3)
         ON CONFLICT (name) DO UPDATE SET ttl_secs = excluded.ttl_secs",
        name,
        address,
        ttl_secs,
    )
    .execute(&mut *connection)
    .await?;
    let polling = find_polling(connection, Some(address), None).await?;
    // Another TTL counts from the last success.
    if let Some(next) =
        polling.and_then(|polling| schedule::after_last_success(&polling, source.ttl))
    {
        sqlx::query!("UPDATE enrichment SET next_attempt_at = ?1", next)
            .execute(connection)
            .await?;
    }
    Ok(())
}

impl Store {
    /// Claims the enrichment for one fetch; none if `source` was replaced or another task or
    /// process holds the claim.
    pub(super) async fn claim_enrichment(
        &self,
        source: &SourceSettings,
        lease: TimeDelta,
    ) -> Result<Option<Claim>> {
        let Write { mut tx, now, .. } = self.begin().await?;
        let Some(polling) = find_polling(&mut tx, Some(&source.address), None).await? else {
            return Ok(None);
        };
        if !schedule::is_due(&polling, now) {
            return Ok(None);
        }
        let until = now.plus(lease);
        sqlx::query!(
            "UPDATE enrichment SET attempted_at = ?2, next_attempt_at = ?3 WHERE address = ?1",
            source.address,
            now,
            until,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(Some(Claim {
            at: now,
            number: 0,
            attempted_at: polling.attempted_at,
            next_attempt_at: polling.next_attempt_at,
            details: Details::new(),
        }))
    }

    /// Releases an unused claim of the enrichment.
    pub(super) async fn release_enrichment(&self, claim: &Claim) -> Result<()> {
        sqlx::query!(
            "UPDATE enrichment SET attempted_at = ?2, next_attempt_at = ?3 WHERE attempted_at = ?1",
            claim.at,
            claim.attempted_at,
            claim.next_attempt_at,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Commits the enrichment's data and the changes it causes to every provider's models, in one
    /// revision. A failure keeps the previous data.
    pub(super) async fn commit_enrichment(
        &self,
        source: &SourceSettings,
        claim: &Claim,
        result: std::result::Result<Fetched, FetchError>,
        attempt: Attempt,
    ) -> Result<Committed> {
        let Write {
            mut tx,
            now,
            revision,
        } = self.begin().await?;
        let now = attempt.ended_at(claim, now);
        let Some(polling) = find_polling(&mut tx, Some(&source.address), Some(claim.at)).await?
        else {
            return Ok(Committed::Superseded);
        };
        let (polling, committed) = match result {
            Err(error) => {
                let backoff = Backoff::of(Role::Provider);
                let jitter = attempt.jitter;
                let polling = schedule::after_failure(&polling, &error, backoff, jitter, now);
                (polling, Committed::Failed(error))
            }
            Ok(fetched) => {
                replace_models(&mut tx, &fetched.listing.entries).await?;
                let counts = rederive_providers(&mut tx, revision).await?;
                let committed = match counts == Counts::default() {
                    true => Committed::Unchanged,
                    false => Committed::Changed(counts),
                };
                (schedule::after_success(&polling, now), committed)
            }
        };
        let error = polling.error.as_ref();
        let (kind, message, since) = (
            error.map(|error| error.kind.as_str()),
            error.map(|error| error.message.as_str()),
            error.map(|error| error.since),
        );
        sqlx::query!(
            "UPDATE enrichment
             SET fetched_at = ?2, next_attempt_at = ?3, consecutive_failures = ?4,
                 error_kind = ?5, error_message = ?6, error_since = ?7
             WHERE attempted_at = ?1",
            claim.at,
            polling.fetched_at,
            polling.next_attempt_at,
            polling.consecutive_failures,
            kind,
            message,
            since,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(committed)
    }
}

/// The enrichment's polling state, if its address and last attempt match.
async fn find_polling(
    connection: &mut SqliteConnection,
    address: Option<&str>,
    attempted_at: Option<Timestamp>,
) -> Result<Option<Polling>> {
    let json = sqlx::query_scalar!(
        r#"SELECT json_object(
                      'ttl_secs', ttl_secs, 'fetched_at', fetched_at, 'attempted_at', attempted_at,
                      'next_attempt_at', next_attempt_at,
                      'consecutive_failures', consecutive_failures,
                      'error', CASE WHEN error_kind IS NOT NULL THEN json_object(
                          'kind', error_kind, 'message', error_message, 'since', error_since
                      ) END
                  ) AS "json!: String"
           FROM enrichment
           WHERE (?1 IS NULL OR address = ?1) AND (?2 IS NULL OR attempted_at = ?2)"#,
        address,
        attempted_at,
    )
    .fetch_optional(connection)
    .await?;
    Ok(json.map(|json| serde_json::from_str(&json)).transpose()?)
}

/// Replaces the enrichment's data with `entries`, whose ids are whole ids of providers' models.
async fn replace_models(connection: &mut SqliteConnection, entries: &[Entry]) -> Result<()> {
    let rows: Vec<_> = entries
        .iter()
        .filter_map(|entry| {
            let (provider, id) = entry.id.split_once(':')?;
            Some(json!({"provider": provider, "id": id, "attributes": entry.attributes}))
        })
        .collect();
    let rows = serde_json::to_string(&rows)?;
    sqlx::query!("DELETE FROM enrichment_models")
        .execute(&mut *connection)
        .await?;
    sqlx::query!(
        "INSERT INTO enrichment_models (provider, model_id, attributes)
         SELECT value ->> 'provider', value ->> 'id', value -> 'attributes'
         FROM json_each(?1)
         WHERE true
         ON CONFLICT DO NOTHING",
        rows,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Derives the models of every visible provider again, in one revision. A hidden provider's models
/// are derived when it is shown.
async fn rederive_providers(
    connection: &mut SqliteConnection,
    revision: NextRevision,
) -> Result<Counts> {
    let providers = sqlx::query!(
        r#"SELECT name, fetched_at AS "fetched_at!: Timestamp"
           FROM sources
           WHERE role = 'provider' AND fetched_at IS NOT NULL AND hidden_since IS NULL"#
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut counts = Counts::default();
    for provider in providers {
        let target = Target {
            role: Role::Provider,
            name: &provider.name,
            revision,
            last_seen_at: Some(provider.fetched_at),
            fetched_at: provider.fetched_at,
        };
        let made = target.rederive(connection).await?;
        counts.changed += made.changed;
    }
    Ok(counts)
}
