//! The sources' rows: applies the settings, claims fetches, and writes the sources' state.

use serde_json::json;
use sqlx::SqliteConnection;

use super::{
    Store,
    derive::Target,
    details::read_details,
    error::{Result, StoreError},
    events::next_revision,
    state::find_source,
};
use crate::{
    ingest::schedule::{self, ClaimMode},
    model::{
        listing::Details,
        names::Names,
        settings::{Rules, SourceSettings},
        source::{HiddenReason, Kind, Role, SourceName},
        state::SourceState,
        time::Timestamp,
    },
};

/// The exclusive right to fetch one source and commit the result. Others respect it for 30 s, until
/// `next_attempt_at`.
#[derive(Clone, Debug)]
pub struct Claim {
    /// When the claim was made.
    pub at: Timestamp,
    /// The stored details of the source's models.
    pub details: Details,
    /// The last attempt before the claim.
    pub(super) attempted_at: Option<Timestamp>,
    /// When the next attempt was due before the claim.
    pub(super) next_attempt_at: Option<Timestamp>,
}

impl Store {
    /// Claims `source` for one fetch at `now`; none when `mode` does not allow it or another task
    /// or process holds a claim.
    pub async fn claim(
        &self,
        source: &SourceSettings,
        mode: ClaimMode,
        now: Timestamp,
    ) -> Result<Option<Claim>> {
        if source.kind == Kind::Enrichment {
            return self.claim_enrichment(source, now).await;
        }
        let name = source.name.as_str();
        let mut tx = self.begin().await?;
        let Some(before) = find_source(&mut tx, name)
            .await?
            .filter(|before| schedule::may_claim(before, mode, now))
        else {
            return Ok(None);
        };
        let until = now.plus(schedule::CLAIM);
        let claimed = sqlx::query!(
            "UPDATE sources SET attempted_at = ?2, next_attempt_at = ?3
             WHERE name = ?1 AND address = ?4",
            name,
            now,
            until,
            source.address,
        )
        .execute(&mut *tx)
        .await?;
        if claimed.rows_affected() == 0 {
            // A process that started later configured another address.
            return Ok(None);
        }
        let details = read_details(&mut tx, name).await?;
        tx.commit().await?;
        Ok(Some(Claim {
            at: now,
            details,
            attempted_at: before.polling.attempted_at,
            next_attempt_at: before.polling.next_attempt_at,
        }))
    }

    /// Releases an unused `claim`: the source is due again as before.
    pub async fn release(&self, source: &SourceSettings, claim: &Claim) -> Result<()> {
        if source.kind == Kind::Enrichment {
            return self.release_enrichment(claim).await;
        }
        let name = source.name.as_str();
        sqlx::query!(
            "UPDATE sources SET attempted_at = ?3, next_attempt_at = ?4
             WHERE name = ?1 AND attempted_at = ?2",
            name,
            claim.at,
            claim.attempted_at,
            claim.next_attempt_at,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

/// Makes `sources` the configured ones, in one revision if clients see any change. Hides sources
/// that are no longer configured and shows those that are again. A changed TTL takes effect. A
/// source is due if its address changed, or if its key was refused more than 30 s ago, because the
/// key may have been replaced.
pub(super) async fn apply_sources(
    connection: &mut SqliteConnection,
    sources: &[&SourceSettings],
    now: Timestamp,
) -> Result<()> {
    let revision = next_revision(connection).await?;
    for source in sources {
        configure(connection, source, revision, now).await?;
    }
    let names: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
    let names = serde_json::to_string(&names)?;
    sqlx::query!(
        "UPDATE sources SET configured = 0
         WHERE configured = 1 AND name NOT IN (SELECT value FROM json_each(?1))",
        names,
    )
    .execute(&mut *connection)
    .await?;
    rename_local_models(connection, revision, now).await?;
    hide_and_show(connection, revision, now).await
}

/// Adds `source` to the configured ones.
pub(super) async fn add_source(
    connection: &mut SqliteConnection,
    source: &SourceSettings,
    now: Timestamp,
) -> Result<()> {
    let revision = next_revision(connection).await?;
    configure(connection, source, revision, now).await?;
    rename_local_models(connection, revision, now).await?;
    hide_and_show(connection, revision, now).await
}

/// Writes the settings of `source`. If they add or remove models for clients, the events go into
/// `revision`.
async fn configure(
    connection: &mut SqliteConnection,
    source: &SourceSettings,
    revision: i64,
    now: Timestamp,
) -> Result<()> {
    let (name, role, kind) = (
        source.name.as_str(),
        source.role.as_str(),
        source.kind.as_str(),
    );
    let ttl_secs = source.ttl.num_seconds();
    let rules = match source.rules == Rules::default() {
        true => None,
        false => Some(serde_json::to_string(&source.rules)?),
    };
    sqlx::query!(
        "INSERT INTO sources (name, role, kind, configured, ttl_secs, address, rules, known_from)
         VALUES (?1, ?2, ?3, 1, ?4, ?6, ?7, ?8)
         ON CONFLICT (name) DO UPDATE
         SET configured = 1,
             ttl_secs = excluded.ttl_secs,
             -- A new address starts without the errors of the old one.
             next_attempt_at = IIF(address <> excluded.address, ?5, next_attempt_at),
             consecutive_failures = IIF(address <> excluded.address, 0, consecutive_failures),
             refusals = IIF(address <> excluded.address, 0, refusals),
             refused_since = IIF(address <> excluded.address, NULL, refused_since),
             held_since = IIF(address <> excluded.address, NULL, held_since),
             held_models = IIF(address <> excluded.address, NULL, held_models),
             end_sign = IIF(address <> excluded.address, NULL, end_sign),
             end_sign_since = IIF(address <> excluded.address, NULL, end_sign_since),
             gone = IIF(address <> excluded.address, 0, gone),
             skipped = IIF(address <> excluded.address, NULL, skipped),
             server_version = IIF(address <> excluded.address, NULL, server_version),
             address = excluded.address,
             rules = excluded.rules,
             -- Keeps the recognised kind of an endpoint.
             kind = CASE excluded.kind WHEN 'auto' THEN kind ELSE excluded.kind END",
        name,
        role,
        kind,
        ttl_secs,
        now,
        source.address,
        rules,
        revision,
    )
    .execute(&mut *connection)
    .await?;
    let Some(stored) = find_source(connection, name).await? else {
        return Err(sqlx::Error::RowNotFound.into());
    };
    if stored.role != source.role {
        return Err(StoreError::RoleChanged {
            name: name.to_owned(),
            stored: stored.role.as_str().to_owned(),
        });
    }
    // The listing that shows a hidden source will derive its models; until then, clients see no
    // change.
    let stays_hidden = stored
        .hidden
        .as_ref()
        .is_some_and(|hidden| hidden.reason != HiddenReason::Unconfigured);
    if let Some(fetched_at) = stored.polling.fetched_at
        && !stays_hidden
    {
        let target = Target {
            role: source.role,
            name,
            revision,
            at: now,
            last_seen_at: Some(fetched_at),
            fetched_at,
        };
        target.rederive(connection).await?;
    }
    if let Some(next) = schedule::next_attempt_after_restart(&stored, now) {
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

/// Records in `revision` the local models that are called otherwise from then on, because a source is
/// new in it.
async fn rename_local_models(
    connection: &mut SqliteConnection,
    revision: i64,
    now: Timestamp,
) -> Result<()> {
    let sources = sqlx::query!(
        r#"SELECT name, role, known_from < ?1 AS "is_old!: bool" FROM sources"#,
        revision
    )
    .fetch_all(&mut *connection)
    .await?;
    if sources.iter().all(|source| source.is_old) {
        return Ok(());
    }
    let names = |with_new: bool| -> Result<Names> {
        let known = sources.iter().filter(|source| source.is_old || with_new);
        let known = known.map(|source| json!([source.name, source.role]));
        let known: Vec<(SourceName, Role)> = serde_json::from_value(known.collect())?;
        Ok(Names::new(known))
    };
    let (before, after) = (names(false)?, names(true)?);
    let models = sqlx::query!(
        "SELECT m.endpoint, m.model_id
         FROM sources AS s CROSS JOIN local_models AS m ON m.endpoint = s.name
         WHERE s.hidden_since IS NULL AND m.hidden_by IS NULL"
    )
    .fetch_all(&mut *connection)
    .await?;
    let renamed = models
        .into_iter()
        .filter(|model| before.is_reserved(&model.model_id) != after.is_reserved(&model.model_id));
    for model in renamed {
        sqlx::query!(
            r#"INSERT INTO model_events (revision, source, model_id, at, event, attributes, changed)
               SELECT ?1, endpoint, model_id, ?2, 'changed', attributes, '["id"]'
               FROM local_models WHERE endpoint = ?3 AND model_id = ?4
               -- A change of the rules may already have recorded one.
               ON CONFLICT DO NOTHING"#,
            revision,
            now,
            model.endpoint,
            model.model_id,
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Hides sources that are no longer configured and shows those that are again, in `revision`. A
/// source without a listing has nothing to hide.
async fn hide_and_show(
    connection: &mut SqliteConnection,
    revision: i64,
    now: Timestamp,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO model_events (revision, source, model_id, at, event, reason)
         SELECT ?2, name, '', ?1, CASE configured WHEN 1 THEN 'shown' ELSE 'hidden' END,
                CASE configured WHEN 0 THEN 'unconfigured' END
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

/// Writes the state of `source`. `is_listed` means that the stored listing is from its configured
/// address.
pub(super) async fn write_source(
    connection: &mut SqliteConnection,
    source: &SourceState,
    is_listed: bool,
) -> Result<()> {
    let (name, kind) = (source.name.as_str(), source.kind.as_str());
    let polling = &source.polling;
    let error = polling.error.as_ref();
    let (error_kind, error_message, error_since) = (
        error.map(|error| error.kind.as_str()),
        error.map(|error| error.message.as_str()),
        error.map(|error| error.since),
    );
    let held = source.held.as_ref();
    let (held_since, held_models) = (
        held.map(|held| held.since),
        held.and_then(|held| held.models),
    );
    let skipped = source.skipped.as_ref().map(serde_json::to_string);
    let skipped = skipped.transpose()?;
    let hidden_since = source.hidden_since();
    let is_gone = source.is_gone();
    // A source that is gone is unreachable in the column, whose values cannot be extended.
    let hidden_reason = source.hidden.as_ref().map(|hidden| match hidden.reason {
        HiddenReason::Gone => HiddenReason::Unreachable.as_str(),
        reason => reason.as_str(),
    });
    let ending = source.ending.as_ref();
    let (end_sign, end_sign_since) = (
        ending.map(|ending| ending.sign.as_str()),
        ending.map(|ending| ending.since),
    );
    sqlx::query!(
        "UPDATE sources
         SET kind = ?2, fetched_at = ?3, next_attempt_at = ?4, consecutive_failures = ?5,
             error_kind = ?6, error_message = ?7, error_since = ?8,
             refusals = ?9, refused_since = ?10, held_since = ?11, held_models = ?12,
             hidden_since = ?13, hidden_reason = ?14, skipped = ?16, server_version = ?17,
             end_sign = ?18, end_sign_since = ?19, gone = ?20,
             listed_address = IIF(?15, address, listed_address)
         WHERE name = ?1",
        name,
        kind,
        polling.fetched_at,
        polling.next_attempt_at,
        polling.consecutive_failures,
        error_kind,
        error_message,
        error_since,
        source.refusals,
        source.refused_since,
        held_since,
        held_models,
        hidden_since,
        hidden_reason,
        is_listed,
        skipped,
        source.server_version,
        end_sign,
        end_sign_since,
        is_gone,
    )
    .execute(connection)
    .await?;
    Ok(())
}
