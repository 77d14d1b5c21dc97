//! The sources' rows: applies the settings, claims fetches, and writes the sources' state.

use std::time::Duration;

use serde_json::json;
use sqlx::SqliteConnection;

use super::{
    BUSY_TIMEOUT, Store, Write,
    derive::Target,
    details::{forget_details, read_details},
    error::{Result, StoreError},
    events::{NextRevision, record_source_event},
    state::find_source,
};
use crate::{
    ingest::{
        reconfigure::{Reconfigured, reconfigure},
        schedule::{self, ClaimMode},
    },
    model::{
        event::EventKind,
        listing::Details,
        names::Names,
        settings::{Rules, SourceSettings},
        source::{Kind, Role, SourceName},
        state::{HiddenReason, SourceState},
        time::Timestamp,
    },
};

/// The exclusive right to fetch one source, as it is configured, and commit the result. Others respect
/// it until its lease ends. Another address or kind ends it at once.
#[derive(Clone, Debug)]
pub struct Claim {
    /// When the claim was made.
    pub at: Timestamp,
    /// Its number: no other claim of the source has it.
    pub(super) number: i64,
    /// The stored details of the source's models.
    pub details: Details,
    /// The last attempt before the claim.
    pub(super) attempted_at: Option<Timestamp>,
    /// When the next attempt was due before the claim.
    pub(super) next_attempt_at: Option<Timestamp>,
}

impl Store {
    /// Claims `source` for one fetch within `limit`; none when `mode` does not allow it, another task
    /// or process holds a claim, or another process has configured the source otherwise.
    pub async fn claim(
        &self,
        source: &SourceSettings,
        mode: ClaimMode,
        limit: Duration,
    ) -> Result<Option<Claim>> {
        let lease = schedule::lease(limit, BUSY_TIMEOUT);
        if source.kind == Kind::Enrichment {
            return self.claim_enrichment(source, lease).await;
        }
        let name = source.name.as_str();
        let Write { mut tx, now, .. } = self.begin().await?;
        let Some(before) = find_source(&mut tx, name)
            .await?
            .filter(|before| before.is_asked_as(source) && schedule::may_claim(before, mode, now))
        else {
            return Ok(None);
        };
        let until = now.plus(lease);
        let number = sqlx::query_scalar!(
            "UPDATE sources
             SET claim = claim + 1, attempted_at = ?2, next_attempt_at = ?3, claimed_until = ?3
             WHERE name = ?1
             RETURNING claim",
            name,
            now,
            until,
        )
        .fetch_one(&mut *tx)
        .await?;
        let details = read_details(&mut tx, name).await?;
        tx.commit().await?;
        Ok(Some(Claim {
            at: now,
            number,
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
            "UPDATE sources SET attempted_at = ?3, next_attempt_at = ?4, claimed_until = NULL
             WHERE name = ?1 AND claim = ?2",
            name,
            claim.number,
            claim.attempted_at,
            claim.next_attempt_at,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

/// Makes `sources` the configured ones, in one revision if clients see any change. Hides sources
/// that are no longer configured and shows those that are again.
pub(super) async fn apply_sources(
    connection: &mut SqliteConnection,
    sources: &[&SourceSettings],
    revision: NextRevision,
    now: Timestamp,
) -> Result<()> {
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
    rename_local_models(connection, revision).await?;
    hide_and_show(connection, revision).await
}

/// Adds `source` to the configured ones.
pub(super) async fn add_source(
    connection: &mut SqliteConnection,
    source: &SourceSettings,
    revision: NextRevision,
    now: Timestamp,
) -> Result<()> {
    configure(connection, source, revision, now).await?;
    rename_local_models(connection, revision).await?;
    hide_and_show(connection, revision).await
}

/// Writes the settings of `source`, and what they change in its state. If they add or remove models
/// for clients, the events go into `revision`.
async fn configure(
    connection: &mut SqliteConnection,
    source: &SourceSettings,
    revision: NextRevision,
    now: Timestamp,
) -> Result<()> {
    let name = source.name.as_str();
    let rules = match source.rules == Rules::default() {
        true => None,
        false => Some(serde_json::to_string(&source.rules)?),
    };
    let Some(stored) = find_source(connection, name).await? else {
        return insert(connection, source, rules.as_deref(), revision).await;
    };
    if stored.role != source.role {
        return Err(StoreError::RoleChanged {
            name: name.to_owned(),
            stored: stored.role.as_str().to_owned(),
        });
    }
    let Reconfigured {
        source: state,
        is_another,
        is_shown,
    } = reconfigure(&stored, source, now);
    write_source(connection, &state, false).await?;
    sqlx::query!(
        "UPDATE sources
         SET configured = 1, ttl_secs = ?2, rules = ?3, claim = ?4, attempted_at = ?5, address = ?6,
             configured_kind = ?7,
             -- What another list API gave is no baseline, as if it came from another address.
             listed_address = IIF(configured_kind <> ?7, '', listed_address)
         WHERE name = ?1",
        name,
        state.polling.ttl_secs,
        rules,
        state.claim,
        state.polling.attempted_at,
        source.address,
        source.kind.as_str(),
    )
    .execute(&mut *connection)
    .await?;
    if is_another {
        forget_details(connection, name).await?;
    }
    if is_shown {
        record_source_event(connection, revision, name, EventKind::Shown).await?;
    }
    // The listing that shows a hidden source will derive its models; until then, clients see no
    // change.
    let stays_hidden = state
        .hidden
        .as_ref()
        .is_some_and(|hidden| hidden.reason != HiddenReason::Unconfigured);
    if let Some(fetched_at) = state.polling.fetched_at
        && !stays_hidden
    {
        let target = Target {
            role: source.role,
            name,
            revision,
            last_seen_at: Some(fetched_at),
            fetched_at,
        };
        target.rederive(connection).await?;
    }
    Ok(())
}

/// Adds a `source` that was never configured before.
async fn insert(
    connection: &mut SqliteConnection,
    source: &SourceSettings,
    rules: Option<&str>,
    revision: NextRevision,
) -> Result<()> {
    let (name, role, kind) = (
        source.name.as_str(),
        source.role.as_str(),
        source.kind.as_str(),
    );
    let ttl_secs = source.ttl.num_seconds();
    sqlx::query!(
        "INSERT INTO sources (
             name, role, kind, configured_kind, configured, ttl_secs, address, rules, known_from
         ) VALUES (?1, ?2, ?3, ?3, 1, ?4, ?5, ?6, ?7)",
        name,
        role,
        kind,
        ttl_secs,
        source.address,
        rules,
        revision.number,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Records in `revision` the local models that are called otherwise from then on, because a source is
/// new in it.
async fn rename_local_models(
    connection: &mut SqliteConnection,
    revision: NextRevision,
) -> Result<()> {
    let NextRevision { number, at, .. } = revision;
    let sources = sqlx::query!(
        r#"SELECT name, role, known_from < ?1 AS "is_old!: bool" FROM sources"#,
        number
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
            number,
            at,
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
async fn hide_and_show(connection: &mut SqliteConnection, revision: NextRevision) -> Result<()> {
    let NextRevision { number, at, .. } = revision;
    sqlx::query!(
        "INSERT INTO model_events (revision, source, model_id, at, event)
         SELECT ?2, name, '', ?1, CASE configured WHEN 1 THEN 'shown' ELSE 'hidden' END
         FROM sources
         WHERE (configured = 1 AND hidden_reason = 'unconfigured')
            OR (configured = 0 AND hidden_since IS NULL AND fetched_at IS NOT NULL)",
        at,
        number,
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "UPDATE sources
         SET hidden_since = CASE configured WHEN 1 THEN NULL ELSE ?1 END,
             hidden_reason = CASE configured WHEN 1 THEN NULL ELSE 'unconfigured' END
         WHERE (configured = 1 AND hidden_reason = 'unconfigured')
            OR (configured = 0 AND hidden_since IS NULL AND fetched_at IS NOT NULL)",
        at,
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
    let hidden_reason = source.hidden.as_ref().map(|hidden| hidden.reason.as_str());
    sqlx::query!(
        "UPDATE sources
         SET kind = ?2, fetched_at = ?3, next_attempt_at = ?4, consecutive_failures = ?5,
             error_kind = ?6, error_message = ?7, error_since = ?8,
             refusals = ?9, refused_since = ?10, held_since = ?11, held_models = ?12,
             hidden_since = ?13, hidden_reason = ?14, skipped = ?16, claimed_until = ?17,
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
        polling.claimed_until,
    )
    .execute(connection)
    .await?;
    Ok(())
}
