//! From what a source said to what is stored of it, and writing the difference: for a listing that
//! has just come, and again for the stored one when the settings have changed.

use std::collections::BTreeMap;

use sqlx::SqliteConnection;

use super::{
    Result,
    enrichment::Enrichment,
    events::record_events,
    models::{list_stored, mark_returned, remove_models, upsert_models},
};
use crate::{
    diff::{Change, Counts, Stored, diff},
    model::{Attributes, Entry, Role},
    rules::Rules,
    time::Timestamp,
};

/// A source and the commit that is made for it.
#[derive(Clone, Copy)]
pub(super) struct Commit<'a> {
    pub(super) role: Role,
    pub(super) name: &'a str,
    /// The revision that it makes, should clients see anything happen.
    pub(super) revision: i64,
    pub(super) at: Timestamp,
    /// The last success before it.
    pub(super) last_seen_at: Option<Timestamp>,
    /// The last success from now on.
    pub(super) fetched_at: Timestamp,
}

impl Commit<'_> {
    /// Stores that the source lists `said`; how many models clients see change.
    pub(super) async fn write(
        &self,
        connection: &mut SqliteConnection,
        stored: &BTreeMap<String, Stored>,
        said: Vec<Entry>,
    ) -> Result<Counts> {
        let listed = derive(connection, self.role, self.name, said).await?;
        let mut changes: Vec<Change<'_>> = diff(stored, &listed);
        let first_seen = mark_returned(connection, self.name, &mut changes).await?;
        let (role, name) = (self.role, self.name);
        let counts = Counts::of(&changes);
        if counts != Counts::default() {
            let (revision, last_seen_at) = (self.revision, self.last_seen_at);
            record_events(connection, revision, name, self.at, last_seen_at, &changes).await?;
        }
        remove_models(connection, role, name, &changes).await?;
        let (at, fetched_at) = (self.at, self.fetched_at);
        upsert_models(
            connection,
            role,
            name,
            at,
            fetched_at,
            &changes,
            &first_seen,
        )
        .await?;
        Ok(counts)
    }

    /// Makes what is stored of the source what it would be, had the last listing come now.
    pub(super) async fn restate(&self, connection: &mut SqliteConnection) -> Result<Counts> {
        let stored = list_stored(connection, self.role, self.name).await?;
        let said = list_said(connection, self.role, self.name).await?;
        self.write(connection, &stored, said).await
    }
}

/// What is to be stored of a source that said `said`.
async fn derive(
    connection: &mut SqliteConnection,
    role: Role,
    name: &str,
    mut said: Vec<Entry>,
) -> Result<Vec<Entry>> {
    let rules = sqlx::query_scalar!("SELECT rules FROM sources WHERE name = ?1", name)
        .fetch_one(&mut *connection)
        .await?;
    let rules: Rules = match rules {
        Some(rules) => serde_json::from_str(&rules)?,
        None => Rules::default(),
    };
    // It speaks of providers: an endpoint may have the name of one.
    if role == Role::Provider
        && let Some(enrichment) = Enrichment::read(connection, name).await?
    {
        for entry in &mut said {
            enrichment.fill(entry);
        }
    }
    Ok(rules.apply(said))
}

/// What the source itself said when it was last heard from.
async fn list_said(
    connection: &mut SqliteConnection,
    role: Role,
    name: &str,
) -> Result<Vec<Entry>> {
    let json = match role {
        Role::Provider => {
            sqlx::query_scalar!(
                r#"SELECT json_group_array(json_array(model_id, json(attributes), raw)) AS "json!: String"
                   FROM cloud_models WHERE provider = ?1 AND alias_of IS NULL"#,
                name,
            )
            .fetch_one(connection)
            .await?
        }
        Role::Endpoint => {
            sqlx::query_scalar!(
                r#"SELECT json_group_array(json_array(model_id, json(attributes), raw)) AS "json!: String"
                   FROM local_models WHERE endpoint = ?1 AND alias_of IS NULL"#,
                name,
            )
            .fetch_one(connection)
            .await?
        }
    };
    let rows: Vec<(String, Attributes, String)> = serde_json::from_str(&json)?;
    Ok(rows
        .into_iter()
        .map(|(id, attributes, raw)| Entry {
            id,
            attributes: attributes.without_enrichment(),
            raw,
            hidden_by: None,
        })
        .collect())
}
