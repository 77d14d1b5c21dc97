//! A source's entries as it sent them: what its own list is made of.

use std::collections::HashMap;

use serde_json::value::RawValue;

use super::{Store, error::Result};
use crate::model::source::{Role, SourceName};

/// The entries of one source as it sent them.
#[derive(Debug)]
pub struct Sent {
    /// The last revision when they were read.
    pub revision: i64,
    /// By the source's own id.
    entries: HashMap<String, Box<RawValue>>,
}

impl Sent {
    /// The entry of the model with this id at the source.
    pub fn find(&self, model_id: &str) -> Option<&RawValue> {
        self.entries.get(model_id).map(AsRef::as_ref)
    }
}

impl Store {
    /// Reads the served entries of the source `name`, without aliases, which it did not send. One row: they are JSON already.
    pub async fn load_sent(&self, role: Role, name: &SourceName) -> Result<Sent> {
        let name = name.as_str();
        let (revision, entries) = match role {
            Role::Provider => {
                let row = sqlx::query!(
                    r#"SELECT
                        (SELECT COALESCE(MAX(revision), 0) FROM model_events) AS "revision!: i64",
                        (SELECT '{' || COALESCE(GROUP_CONCAT(json_quote(model_id) || ':' || raw), '') || '}'
                         FROM cloud_models
                         WHERE provider = ?1 AND hidden_by IS NULL AND alias_of IS NULL) AS "entries!: String""#,
                    name,
                )
                .fetch_one(&self.pool)
                .await?;
                (row.revision, row.entries)
            }
            Role::Endpoint => {
                let row = sqlx::query!(
                    r#"SELECT
                        (SELECT COALESCE(MAX(revision), 0) FROM model_events) AS "revision!: i64",
                        (SELECT '{' || COALESCE(GROUP_CONCAT(json_quote(model_id) || ':' || raw), '') || '}'
                         FROM local_models
                         WHERE endpoint = ?1 AND hidden_by IS NULL AND alias_of IS NULL) AS "entries!: String""#,
                    name,
                )
                .fetch_one(&self.pool)
                .await?;
                (row.revision, row.entries)
            }
        };
        Ok(Sent {
            revision,
            entries: serde_json::from_str(&entries)?,
        })
    }
}
