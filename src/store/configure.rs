//! Applies the settings of the sources: what is configured, and what that changes for clients.

use serde_json::json;
use sqlx::SqliteConnection;

use super::{
    derive::Target,
    details::forget_details,
    error::{Result, StoreError},
    events::{NextRevision, record_source_event},
    sources::write_source,
    state::find_source,
};
use crate::{
    ingest::{
        plan::SourceEvent,
        reconfigure::{Reconfigured, reconfigure},
    },
    model::{
        names::Names,
        settings::{Rules, SourceSettings},
        source::{HiddenReason, Role, SourceName},
        time::Timestamp,
    },
};

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
    // What is under way at one that is no longer configured will not count, and was no attempt.
    sqlx::query!(
        "UPDATE sources
         SET configured = 0,
             claim = claim + (claimed_until IS NOT NULL),
             attempted_at = IIF(claimed_until IS NULL, attempted_at, NULL),
             next_attempt_at = IIF(claimed_until IS NULL, next_attempt_at, NULL),
             claimed_until = NULL
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
        record_source_event(connection, revision, name, SourceEvent::Shown).await?;
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
        "INSERT INTO model_events (revision, source, model_id, at, event, reason)
         SELECT ?2, name, '', ?1, CASE configured WHEN 1 THEN 'shown' ELSE 'hidden' END,
                CASE configured WHEN 0 THEN 'unconfigured' END
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
