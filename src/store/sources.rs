//! The sources' rows: applying the settings to them, and claiming a fetch.

use sqlx::SqliteConnection;

use super::{
    Store,
    commit::Commit,
    error::{Result, StoreError},
    events::next_revision,
};
use crate::{
    config::source::SourceConfig,
    ingest::{
        rules::Rules,
        schedule::{self, ClaimMode, Schedule},
    },
    model::{source::SourceName, time::Timestamp},
};

/// The right to fetch one source and commit the result. Others respect it until
/// `next_attempt_at`, 30 s after it was made.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The source.
    pub source: SourceName,
    /// When it was claimed.
    pub at: Timestamp,
    before: Schedule,
}

impl Store {
    /// Makes `sources` the configured ones: the last `serve` that started wins. A source that is
    /// no longer configured is hidden, one that is again is shown; a changed TTL takes effect. A
    /// source whose address has changed is due, and so is one whose key was refused more than 30 s
    /// ago: the key may have been replaced.
    pub async fn apply_settings(&self, sources: &[SourceConfig], now: Timestamp) -> Result<()> {
        let mut tx = self.begin().await?;
        let revision = next_revision(&mut tx).await?;
        for source in sources {
            configure(&mut tx, source, revision, now).await?;
        }
        let names: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
        let names = serde_json::to_string(&names)?;
        sqlx::query!(
            "UPDATE sources SET configured = 0
             WHERE configured = 1 AND name NOT IN (SELECT value FROM json_each(?1))",
            names,
        )
        .execute(&mut *tx)
        .await?;
        hide_and_show(&mut tx, revision, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Adds one source (a discovered endpoint) to the configured ones.
    pub async fn add_source(&self, source: &SourceConfig, now: Timestamp) -> Result<()> {
        let mut tx = self.begin().await?;
        let revision = next_revision(&mut tx).await?;
        configure(&mut tx, source, revision, now).await?;
        hide_and_show(&mut tx, revision, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The names of every source that was ever configured.
    pub async fn list_source_names(&self) -> Result<Vec<String>> {
        Ok(sqlx::query_scalar!("SELECT name FROM sources")
            .fetch_all(&self.pool)
            .await?)
    }

    /// Claims `source` for one fetch, if it may be asked at `now`; none when it may not or when
    /// somebody else has it.
    pub async fn claim(
        &self,
        source: &SourceConfig,
        mode: ClaimMode,
        now: Timestamp,
    ) -> Result<Option<Claim>> {
        let name = source.name.as_str();
        let mut tx = self.begin().await?;
        let before = read_schedule(&mut tx, name).await?;
        if !before.may_claim(mode, now) {
            return Ok(None);
        }
        let until = now.plus(schedule::CLAIM);
        let address = source.address();
        let claimed = sqlx::query!(
            "UPDATE sources SET attempted_at = ?2, next_attempt_at = ?3
             WHERE name = ?1 AND address = ?4",
            name,
            now,
            until,
            address,
        )
        .execute(&mut *tx)
        .await?;
        if claimed.rows_affected() == 0 {
            // A process that started later has it asked elsewhere.
            return Ok(None);
        }
        tx.commit().await?;
        Ok(Some(Claim {
            source: source.name.clone(),
            at: now,
            before,
        }))
    }

    /// Gives `claim` back unused: the source is due again as it was before.
    pub async fn release(&self, claim: &Claim) -> Result<()> {
        let name = claim.source.as_str();
        sqlx::query!(
            "UPDATE sources SET attempted_at = ?3, next_attempt_at = ?4
             WHERE name = ?1 AND attempted_at = ?2",
            name,
            claim.at,
            claim.before.attempted_at,
            claim.before.next_attempt_at,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

/// Writes what the settings say of `source`, in `revision` should clients see models come or go by
/// it.
async fn configure(
    connection: &mut SqliteConnection,
    source: &SourceConfig,
    revision: i64,
    now: Timestamp,
) -> Result<()> {
    let (name, role, kind) = (
        source.name.as_str(),
        source.role.as_str(),
        source.kind.as_str(),
    );
    let ttl_secs = source.ttl.num_seconds();
    let address = source.address();
    let rules = match source.rules == Rules::default() {
        true => None,
        false => Some(serde_json::to_string(&source.rules)?),
    };
    sqlx::query!(
        "INSERT INTO sources (name, role, kind, configured, ttl_secs, address, rules)
         VALUES (?1, ?2, ?3, 1, ?4, ?6, ?7)
         ON CONFLICT (name) DO UPDATE
         SET configured = 1,
             ttl_secs = excluded.ttl_secs,
             -- How things went elsewhere says nothing of a new address.
             next_attempt_at = IIF(address <> excluded.address, ?5, next_attempt_at),
             consecutive_failures = IIF(address <> excluded.address, 0, consecutive_failures),
             refusals = IIF(address <> excluded.address, 0, refusals),
             refused_since = IIF(address <> excluded.address, NULL, refused_since),
             held_since = IIF(address <> excluded.address, NULL, held_since),
             held_models = IIF(address <> excluded.address, NULL, held_models),
             address = excluded.address,
             rules = excluded.rules,
             -- What an endpoint was recognised as stands.
             kind = CASE excluded.kind WHEN 'auto' THEN kind ELSE excluded.kind END",
        name,
        role,
        kind,
        ttl_secs,
        now,
        address,
        rules,
    )
    .execute(&mut *connection)
    .await?;
    let stored = sqlx::query!(
        r#"SELECT role, COALESCE(hidden_reason IN ('unreachable', 'refused'), 0) AS "stays_hidden!: bool"
           FROM sources WHERE name = ?1"#,
        name
    )
    .fetch_one(&mut *connection)
    .await?;
    if stored.role != role {
        return Err(StoreError::RoleChanged {
            name: name.to_owned(),
            stored: stored.role,
        });
    }
    let schedule = read_schedule(connection, name).await?;
    // What stays hidden is restated by the listing that shows it: until then nobody sees a change.
    if let Some(fetched_at) = schedule.fetched_at
        && !stored.stays_hidden
    {
        let commit = Commit {
            role: source.role,
            name,
            revision,
            at: now,
            last_seen_at: Some(fetched_at),
            fetched_at,
        };
        commit.restate(connection).await?;
    }
    if let Some(next) = schedule.next_attempt_after_restart(now) {
        sqlx::query!(
            "UPDATE sources SET next_attempt_at = ?2 WHERE name = ?1",
            name,
            next
        )
        .execute(connection)
        .await?;
    }
    Ok(())
}

/// Hides the sources that are no longer configured and shows those that are again, in `revision`. A source without a listing has nothing to hide.
async fn hide_and_show(
    connection: &mut SqliteConnection,
    revision: i64,
    now: Timestamp,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO model_events (revision, source, model_id, at, event)
         SELECT ?2, name, '', ?1, CASE configured WHEN 1 THEN 'shown' ELSE 'hidden' END
         FROM sources
         WHERE (configured = 1 AND hidden_reason = 'unconfigured')
            OR (configured = 0 AND hidden_since IS NULL AND fetched_at IS NOT NULL)",
        now,
        revision,
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "UPDATE sources
         SET hidden_since = CASE configured WHEN 1 THEN NULL ELSE ?1 END,
             hidden_reason = CASE configured WHEN 1 THEN NULL ELSE 'unconfigured' END
         WHERE (configured = 1 AND hidden_reason = 'unconfigured')
            OR (configured = 0 AND hidden_since IS NULL AND fetched_at IS NOT NULL)",
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn read_schedule(connection: &mut SqliteConnection, name: &str) -> Result<Schedule> {
    Ok(sqlx::query_as!(
        Schedule,
        r#"SELECT configured AS "configured: bool",
                  ttl_secs,
                  COALESCE(listed_address <> address, 0) AS "moved!: bool",
                  fetched_at AS "fetched_at: Timestamp",
                  attempted_at AS "attempted_at: Timestamp",
                  next_attempt_at AS "next_attempt_at: Timestamp",
                  consecutive_failures,
                  held_since IS NOT NULL AS "held!: bool",
                  COALESCE(error_kind = 'unauthorized', 0) AS "unauthorized!: bool"
           FROM sources WHERE name = ?1"#,
        name,
    )
    .fetch_one(connection)
    .await?)
}
