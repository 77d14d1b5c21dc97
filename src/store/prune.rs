//! Deletes history past its retention.

use super::{Store, Write, error::Result};
use crate::model::{delivery::GIVE_UP_AFTER, time::Timestamp};

impl Store {
    /// Deletes attempts before `attempts_from` and, if set, events before `events_from`. Returns
    /// the number of deleted events.
    ///
    /// Each model keeps its first event (when it was first seen), the first one that says when it was
    /// `created`, and its last one before the horizon (the state at that time), so that history from
    /// the horizon on stays exact.
    pub async fn prune(
        &self,
        events_from: Option<Timestamp>,
        attempts_from: Timestamp,
    ) -> Result<u64> {
        let oldest = attempts_from;
        let Write { mut tx, now, .. } = self.begin().await?;
        let gone_from = now.plus(-GIVE_UP_AFTER);
        sqlx::query!("DELETE FROM fetches WHERE started_at < ?1", oldest)
            .execute(&mut *tx)
            .await?;
        sqlx::query!("DELETE FROM webhook_deliveries WHERE at < ?1", oldest)
            .execute(&mut *tx)
            .await?;
        // What a webhook has yet to receive stays.
        sqlx::query!(
            "DELETE FROM watch_alerts
             WHERE at < ?1 AND alert <= (
                 SELECT COALESCE(MIN(alert_cursor), 9223372036854775807)
                 FROM webhooks WHERE configured = 1 AND COALESCE(gone_at > ?2, 1)
             )",
            oldest,
            gone_from,
        )
        .execute(&mut *tx)
        .await?;
        let mut pruned = 0;
        if let Some(oldest) = events_from {
            // The horizon stops at the first younger event, so that a single event with a wrong
            // clock deletes nothing else. Events that a webhook has yet to receive stay.
            let horizon = sqlx::query_scalar!(
                r#"SELECT MIN(
                       COALESCE(
                           (SELECT MIN(revision) - 1 FROM model_events WHERE at > ?1),
                           (SELECT MAX(revision) FROM model_events),
                           0
                       ),
                       (SELECT COALESCE(MIN(cursor), 9223372036854775807)
                        FROM webhooks WHERE configured = 1 AND COALESCE(gone_at > ?2, 1))
                   ) AS "horizon!: i64""#,
                oldest,
                gone_from,
            )
            .fetch_one(&mut *tx)
            .await?;
            pruned = sqlx::query!(
                "DELETE FROM model_events AS e
                 WHERE e.revision < ?1
                   AND EXISTS (
                       SELECT 1 FROM model_events AS later
                       WHERE later.source = e.source AND later.model_id = e.model_id
                         AND later.revision > e.revision AND later.revision <= ?1
                   )
                   AND EXISTS (
                       SELECT 1 FROM model_events AS earlier
                       WHERE earlier.source = e.source AND earlier.model_id = e.model_id
                         AND earlier.revision < e.revision
                   )
                   AND (
                       COALESCE(e.attributes ->> 'created', 0) = 0
                       OR EXISTS (
                           SELECT 1 FROM model_events AS earlier
                           WHERE earlier.source = e.source AND earlier.model_id = e.model_id
                             AND earlier.revision < e.revision
                             AND earlier.attributes ->> 'created' <> 0
                             AND earlier.attributes ->> 'alias_of' IS e.attributes ->> 'alias_of'
                       )
                   )",
                horizon,
            )
            .execute(&mut *tx)
            .await?
            .rows_affected();
            if pruned > 0 {
                sqlx::query!("UPDATE catalog SET history_from = ?1", horizon)
                    .execute(&mut *tx)
                    .await?;
            }
        }
        tx.commit().await?;
        Ok(pruned)
    }
}
