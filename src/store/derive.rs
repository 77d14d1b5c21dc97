//! Turns raw entries into stored models: writes the changes of a new listing, and derives the
//! models again when the rules or the enrichment change.

use sqlx::SqliteConnection;

use super::{
    error::Result,
    events::{NextRevision, record_events},
    models::{list_first_events, list_raw, list_stored, remove_models, upsert_models},
};
use crate::{
    ingest::{
        diff::{Change, count},
        enrich::Enrichment,
        plan::{Derivation, list_unseen, mark_seen, plan_models},
    },
    model::{event::Counts, source::Role, time::Timestamp},
};

/// The source and revision that changes are written to.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) role: Role,
    pub(super) name: &'a str,
    /// The new revision, if clients see any change.
    pub(super) revision: NextRevision,
    /// The previous success.
    pub(super) last_seen_at: Option<Timestamp>,
    /// The new last success.
    pub(super) fetched_at: Timestamp,
}

impl Target<'_> {
    /// Writes `changes`: their events, and the models' rows.
    pub(super) async fn write(
        &self,
        connection: &mut SqliteConnection,
        changes: &[Change],
    ) -> Result<()> {
        let Self { role, name, .. } = *self;
        record_events(connection, self.revision, name, self.last_seen_at, changes).await?;
        remove_models(connection, role, name, changes).await?;
        let at = self.revision.at;
        upsert_models(connection, role, name, at, self.fetched_at, changes).await
    }

    /// Derives the source's models again from its last raw entries, with the present rules and
    /// enrichment. Returns the changes that clients see.
    pub(super) async fn rederive(&self, connection: &mut SqliteConnection) -> Result<Counts> {
        let stored = list_stored(connection, self.role, self.name).await?;
        let entries = list_raw(connection, self.role, self.name).await?;
        let derivation = read_derivation(connection, self.role, self.name).await?;
        let mut changes = plan_models(&stored, entries, &derivation);
        let firsts = list_first_events(connection, self.name, &list_unseen(&changes)).await?;
        mark_seen(&mut changes, &firsts);
        self.write(connection, &changes).await?;
        Ok(count(&changes))
    }
}

/// Reads the rules and enrichment for a source.
pub(super) async fn read_derivation(
    connection: &mut SqliteConnection,
    role: Role,
    name: &str,
) -> Result<Derivation> {
    let rules = sqlx::query_scalar!("SELECT rules FROM sources WHERE name = ?1", name)
        .fetch_one(&mut *connection)
        .await?;
    Ok(Derivation {
        rules: match rules {
            Some(rules) => serde_json::from_str(&rules)?,
            None => Default::default(),
        },
        // The enrichment covers providers only, but an endpoint may share a provider's name.
        enrichment: match role {
            Role::Provider => read_enrichment(connection, name).await?,
            Role::Endpoint => None,
        },
    })
}

/// The enrichment data for the models of `provider`; none without an enrichment.
async fn read_enrichment(
    connection: &mut SqliteConnection,
    provider: &str,
) -> Result<Option<Enrichment>> {
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
    match row {
        None => Ok(None),
        Some(row) => Ok(Some(Enrichment {
            name: row.name,
            models: serde_json::from_str(&row.models)?,
        })),
    }
}
