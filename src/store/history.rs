//! Time travel: the catalog as it was served at a revision or a time, from `model_events`.

use std::sync::Arc;

use super::{Store, error::Result};
use crate::model::{
    attributes::Attributes,
    event::Moment,
    source::{Role, SourceName},
    state::{Content, StoredModel},
};

/// The catalog as it was served at one moment.
#[derive(Clone, Debug)]
pub struct Past {
    /// The models.
    pub content: Content,
    /// The first revision with complete history; 0 when nothing was ever pruned.
    pub history_from: i64,
}

impl Store {
    /// The catalog as it was served at `moment`. A future revision gives the present catalog.
    pub async fn past(&self, moment: Moment) -> Result<Past> {
        let (revision, time) = match moment {
            Moment::Revision(revision) => (Some(revision), None),
            Moment::Time(time) => (None, Some(time)),
        };
        let row = sqlx::query!(
            r#"WITH wanted AS MATERIALIZED (
                   SELECT COALESCE(
                       ?1, (SELECT MAX(revision) FROM model_events WHERE at <= ?2), 0
                   ) AS revision
               ),
               -- The last event of each model, and of each source (model_id empty). With a single
               -- MAX, SQLite takes the other columns from the row with the maximum.
               latest AS MATERIALIZED (
                   SELECT source, model_id, MAX(revision) AS revision, event
                   FROM model_events
                   WHERE revision <= (SELECT revision FROM wanted)
                   GROUP BY source, model_id
               )
               SELECT (SELECT revision FROM wanted) AS "revision!: i64",
                      (SELECT history_from FROM catalog) AS "history_from!: i64",
                      -- Past lists do not serve the number of models.
                      (SELECT json_group_array(json_object(
                           'name', name, 'role', role, 'models', 0,
                           'is_known', known_from <= (SELECT revision FROM wanted)
                       )) FROM sources) AS "sources!: String",
                      -- Attributes are already JSON; parsing them here would dominate the cost.
                      (SELECT '[' || COALESCE(GROUP_CONCAT(
                           '[' || json_quote(e.source) || ',' || json_quote(s.role) || ','
                               || json_quote(e.model_id) || ',' || e.attributes || ']'
                       ), '') || ']'
                       FROM latest AS l
                           CROSS JOIN model_events AS e
                               ON e.revision = l.revision AND e.source = l.source AND e.model_id = l.model_id
                           CROSS JOIN sources AS s ON s.name = e.source
                       WHERE l.model_id <> '' AND l.event <> 'removed' AND l.source NOT IN (
                           SELECT source FROM latest WHERE model_id = '' AND event = 'hidden'
                       )) AS "models!: String""#,
            revision,
            time,
        )
        .fetch_one(&self.pool)
        .await?;
        let rows: Vec<(SourceName, Role, String, Attributes)> = serde_json::from_str(&row.models)?;
        let models = rows
            .into_iter()
            .map(|(source, role, model_id, attributes)| {
                Arc::new(StoredModel {
                    source,
                    role,
                    model_id,
                    attributes,
                })
            });
        Ok(Past {
            content: Content {
                revision: row.revision,
                models: models.collect(),
                sources: serde_json::from_str(&row.sources)?,
            },
            history_from: row.history_from,
        })
    }
}
