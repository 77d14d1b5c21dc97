//! The progress of each webhook's target, and its delivery attempts.

use chrono::TimeDelta;
use sqlx::SqliteConnection;

use super::{Store, Write, error::Result};
use crate::model::{
    delivery::{Delivery, DeliveryId, GIVE_UP_AFTER, Undelivered, WebhookState},
    settings::WebhookSettings,
    time::Timestamp,
};

/// How long a claim of a delivery keeps others away: well above its time limit.
const CLAIM: TimeDelta = TimeDelta::seconds(60);

/// Makes `webhooks` the configured ones. A new one starts after the last revision and alert. A webhook
/// that was gone is retried, and one with another URL starts without the failures of the old one. Returns the webhooks that were unconfigured for so long that
/// some of their events were pruned; they continue with the oldest kept ones.
pub(super) async fn apply_webhooks(
    connection: &mut SqliteConnection,
    webhooks: &[WebhookSettings],
) -> Result<Vec<String>> {
    let webhooks = serde_json::to_string(webhooks)?;
    sqlx::query!(
        "UPDATE webhooks SET configured = 0
         WHERE configured = 1 AND name NOT IN (SELECT value ->> 'name' FROM json_each(?1))",
        webhooks,
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "INSERT INTO webhooks (name, address, configured, cursor, alert_cursor)
         SELECT value ->> 'name', value ->> 'address', 1, (SELECT COALESCE(MAX(revision), 0) FROM model_events),
                (SELECT COALESCE(MAX(alert), 0) FROM watch_alerts)
         FROM json_each(?1)
         WHERE true
         ON CONFLICT (name) DO UPDATE
         SET configured = 1, gone_at = NULL,
             next_attempt_at = IIF(address IS excluded.address, next_attempt_at, NULL),
             consecutive_failures = IIF(address IS excluded.address, consecutive_failures, 0),
             failing_since = IIF(address IS excluded.address, failing_since, NULL),
             address = excluded.address",
        webhooks,
    )
    .execute(&mut *connection)
    .await?;
    let late = sqlx::query_scalar!(
        "UPDATE webhooks SET cursor = (SELECT history_from FROM catalog)
         WHERE configured = 1 AND cursor < (SELECT history_from FROM catalog)
         RETURNING name",
    )
    .fetch_all(connection)
    .await?;
    Ok(late)
}

impl Store {
    /// The progress of `webhook`; none while it is not configured with this address.
    pub async fn find_webhook(&self, webhook: &WebhookSettings) -> Result<Option<WebhookState>> {
        let name = webhook.name.as_str();
        Ok(sqlx::query_as!(
            WebhookState,
            r#"SELECT cursor,
                      alert_cursor,
                      attempted_at AS "attempted_at: Timestamp",
                      next_attempt_at AS "next_attempt_at: Timestamp",
                      consecutive_failures,
                      gone_at AS "gone_at: Timestamp"
               FROM webhooks WHERE name = ?1 AND address = ?2 AND configured = 1"#,
            name,
            webhook.address,
        )
        .fetch_optional(&self.pool)
        .await?)
    }

    /// Advances `webhook` past `id` without a delivery.
    pub async fn skip_delivery(&self, webhook: &WebhookSettings, id: DeliveryId) -> Result<()> {
        let name = webhook.name.as_str();
        let (revision, alert) = (id.revision(), id.alert());
        sqlx::query!(
            "UPDATE webhooks
             SET cursor = MAX(cursor, COALESCE(?2, 0)), alert_cursor = MAX(alert_cursor, COALESCE(?3, 0))
             WHERE name = ?1 AND address = ?4",
            name,
            revision,
            alert,
            webhook.address,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Claims the next delivery to `webhook`, whose state is `state`. Returns until when; none when
    /// another task or process holds the claim.
    pub async fn claim_delivery(
        &self,
        webhook: &WebhookSettings,
        state: &WebhookState,
    ) -> Result<Option<Timestamp>> {
        let name = webhook.name.as_str();
        let Write { mut tx, now, .. } = self.begin().await?;
        let until = now.plus(CLAIM);
        let claimed = sqlx::query!(
            "UPDATE webhooks SET next_attempt_at = ?4, attempted_at = ?7
             WHERE name = ?1 AND address = ?6 AND cursor = ?2 AND alert_cursor = ?5
               AND next_attempt_at IS ?3",
            name,
            state.cursor,
            state.next_attempt_at,
            until,
            state.alert_cursor,
            webhook.address,
            now,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok((claimed.rows_affected() == 1).then_some(until))
    }

    /// Releases an unused claim, which lasts until `claimed_until`.
    pub async fn release_delivery(
        &self,
        webhook: &WebhookSettings,
        state: &WebhookState,
        claimed_until: Timestamp,
    ) -> Result<()> {
        let name = webhook.name.as_str();
        sqlx::query!(
            "UPDATE webhooks SET next_attempt_at = ?3
             WHERE name = ?1 AND address = ?2 AND next_attempt_at = ?4",
            name,
            webhook.address,
            state.next_attempt_at,
            claimed_until,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Commits an attempt: the HTTP status, or why it failed. After three days of failures, gives
    /// up older messages and returns the last of them. Writes nothing when the claim is no longer
    /// valid: the webhook has another URL by now, or another process delivers.
    pub async fn commit_delivery(
        &self,
        delivery: Delivery<'_>,
        result: std::result::Result<u16, &Undelivered>,
    ) -> Result<Option<DeliveryId>> {
        let Write { mut tx, .. } = self.begin().await?;
        let name = delivery.webhook.name.as_str();
        let stands = sqlx::query_scalar!(
            r#"SELECT EXISTS (
                   SELECT 1 FROM webhooks WHERE name = ?1 AND address = ?2 AND next_attempt_at = ?3
               ) AS "stands!: bool""#,
            name,
            delivery.webhook.address,
            delivery.claimed_until,
        )
        .fetch_one(&mut *tx)
        .await?;
        if !stands {
            return Ok(None);
        }
        let given_up = match result {
            Ok(http_status) => {
                advance(&mut tx, delivery).await?;
                sqlx::query!(
                    "UPDATE webhooks
                     SET next_attempt_at = NULL, consecutive_failures = 0, failing_since = NULL
                     WHERE name = ?1",
                    name,
                )
                .execute(&mut *tx)
                .await?;
                record(&mut tx, delivery, "delivered", Some(http_status), None).await?;
                None
            }
            Err(failure) => record_failure(&mut tx, delivery, failure).await?,
        };
        tx.commit().await?;
        Ok(given_up)
    }
}

/// Advances the webhook past the message of `delivery`.
async fn advance(connection: &mut SqliteConnection, delivery: Delivery<'_>) -> Result<()> {
    let (revision, alert) = (delivery.id.revision(), delivery.id.alert());
    let name = delivery.webhook.name.as_str();
    sqlx::query!(
        "UPDATE webhooks
         SET cursor = MAX(cursor, COALESCE(?2, 0)), alert_cursor = MAX(alert_cursor, COALESCE(?3, 0))
         WHERE name = ?1",
        name,
        revision,
        alert,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Records a failed attempt. Returns the last message that it gave up, if any.
async fn record_failure(
    connection: &mut SqliteConnection,
    delivery: Delivery<'_>,
    failure: &Undelivered,
) -> Result<Option<DeliveryId>> {
    let ended_at = delivery
        .at
        .plus(TimeDelta::from_std(delivery.duration).unwrap_or_default());
    let next = ended_at.plus(failure.wait);
    let gone_at = failure.is_gone.then_some(ended_at);
    let name = delivery.webhook.name.as_str();
    let failing_since = sqlx::query_scalar!(
        r#"UPDATE webhooks
           SET next_attempt_at = ?2, consecutive_failures = consecutive_failures + 1,
               failing_since = COALESCE(failing_since, ?3), gone_at = ?4
           WHERE name = ?1
           RETURNING failing_since AS "failing_since!: Timestamp""#,
        name,
        next,
        delivery.at,
        gone_at,
    )
    .fetch_one(&mut *connection)
    .await?;
    let (http_status, message) = (failure.http_status, Some(failure.message.as_str()));
    record(connection, delivery, "failed", http_status, message).await?;
    if ended_at.since(failing_since) < GIVE_UP_AFTER {
        return Ok(None);
    }
    let oldest = ended_at.plus(-GIVE_UP_AFTER);
    let alert = delivery.id.alert();
    let last = sqlx::query_scalar!(
        r#"SELECT CASE
               -- Stops at the first younger row: see prune.
               WHEN ?1 IS NULL THEN COALESCE(
                   (SELECT MIN(revision) - 1 FROM model_events WHERE at > ?2),
                   (SELECT MAX(revision) FROM model_events)
               )
               ELSE COALESCE(
                   (SELECT MIN(alert) - 1 FROM watch_alerts WHERE at > ?2),
                   (SELECT MAX(alert) FROM watch_alerts)
               )
           END AS "last: i64""#,
        alert,
        oldest,
    )
    .fetch_one(&mut *connection)
    .await?;
    let given_up = last.and_then(|last| match delivery.id {
        DeliveryId::Revision(revision) => (last >= revision).then_some(DeliveryId::Revision(last)),
        DeliveryId::Alert(alert) => (last >= alert).then_some(DeliveryId::Alert(last)),
    });
    if let Some(id) = given_up {
        let delivery = Delivery { id, ..delivery };
        advance(connection, delivery).await?;
        record(connection, delivery, "given_up", http_status, message).await?;
    }
    Ok(given_up)
}

/// Records one attempt.
async fn record(
    connection: &mut SqliteConnection,
    delivery: Delivery<'_>,
    outcome: &str,
    http_status: Option<u16>,
    error: Option<&str>,
) -> Result<()> {
    let duration_ms = i64::try_from(delivery.duration.as_millis()).unwrap_or(i64::MAX);
    let (revision, alert) = (delivery.id.revision(), delivery.id.alert());
    let name = delivery.webhook.name.as_str();
    sqlx::query!(
        "INSERT INTO webhook_deliveries (
             webhook, revision, alert, at, duration_ms, outcome, http_status, error
         ) VALUES (?1, ?2, ?8, ?3, ?4, ?5, ?6, ?7)",
        name,
        revision,
        delivery.at,
        duration_ms,
        outcome,
        http_status,
        error,
        alert,
    )
    .execute(&mut *connection)
    .await?;
    Ok(())
}
