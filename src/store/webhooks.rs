//! How far each webhook's target has been told, and each attempt to tell it.

use std::time::Duration;

use chrono::TimeDelta;
use sqlx::SqliteConnection;

use super::{Store, error::Result};
use crate::model::time::Timestamp;

/// How long a claimed delivery keeps others away: well over its time limit.
const CLAIM: TimeDelta = TimeDelta::seconds(60);
/// How long a target may fail before what is older than that is given up.
pub const GIVE_UP_AFTER: TimeDelta = TimeDelta::days(3);
/// No rule sets a time further ahead: beyond it a clock was wrong.
const FURTHEST: TimeDelta = TimeDelta::hours(25);

/// Where one target stands.
#[derive(Clone, Debug)]
pub struct WebhookState {
    /// The last revision that it was told or does not want.
    pub cursor: i64,
    /// The last alert, likewise.
    pub alert_cursor: i64,
    /// Not before then is it tried again.
    pub next_attempt_at: Option<Timestamp>,
    /// Failures since the last delivery.
    pub consecutive_failures: i64,
    /// It wants no more.
    pub gone_at: Option<Timestamp>,
}

impl WebhookState {
    /// Whether it may be tried at `now`.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.gone_at.is_none()
            && self
                .next_attempt_at
                .is_none_or(|at| at <= now || at.since(now) > FURTHEST)
    }
}

/// What a target is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// A revision.
    Revision(i64),
    /// An alert.
    Alert(i64),
}

impl Told {
    fn revision(self) -> Option<i64> {
        match self {
            Self::Revision(revision) => Some(revision),
            Self::Alert(_) => None,
        }
    }

    fn alert(self) -> Option<i64> {
        match self {
            Self::Revision(_) => None,
            Self::Alert(alert) => Some(alert),
        }
    }
}

/// One attempt to tell a target.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// The target.
    pub webhook: &'a str,
    /// What of.
    pub told: Told,
    /// When it was begun.
    pub at: Timestamp,
    /// How long it took.
    pub duration: Duration,
}

impl Delivery<'_> {
    fn duration_ms(&self) -> i64 {
        i64::try_from(self.duration.as_millis()).unwrap_or(i64::MAX)
    }
}

impl Store {
    /// Makes `names` the configured webhooks. A new one begins after the last revision and alert; one
    /// that was gone is tried again. The names of those that were not configured for so long that
    /// some of what they were not told has been forgotten: they go on from what is kept.
    pub async fn apply_webhooks(&self, names: &[&str]) -> Result<Vec<String>> {
        let names = serde_json::to_string(names)?;
        let mut tx = self.begin().await?;
        sqlx::query!(
            "UPDATE webhooks SET configured = 0
             WHERE configured = 1 AND name NOT IN (SELECT value FROM json_each(?1))",
            names,
        )
        .execute(&mut *tx)
        .await?;
        sqlx::query!(
            "INSERT INTO webhooks (name, configured, cursor, alert_cursor)
             SELECT value, 1, (SELECT COALESCE(MAX(revision), 0) FROM model_events),
                    (SELECT COALESCE(MAX(alert), 0) FROM watch_alerts)
             FROM json_each(?1)
             WHERE true
             ON CONFLICT (name) DO UPDATE SET configured = 1, gone_at = NULL",
            names,
        )
        .execute(&mut *tx)
        .await?;
        let late = sqlx::query_scalar!(
            "UPDATE webhooks SET cursor = (SELECT history_from FROM catalog)
             WHERE configured = 1 AND cursor < (SELECT history_from FROM catalog)
             RETURNING name",
        )
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(late)
    }

    /// Where `webhook` stands; none while it is not configured.
    pub async fn find_webhook(&self, webhook: &str) -> Result<Option<WebhookState>> {
        Ok(sqlx::query_as!(
            WebhookState,
            r#"SELECT cursor,
                      alert_cursor,
                      next_attempt_at AS "next_attempt_at: Timestamp",
                      consecutive_failures,
                      gone_at AS "gone_at: Timestamp"
               FROM webhooks WHERE name = ?1 AND configured = 1"#,
            webhook,
        )
        .fetch_optional(&self.pool)
        .await?)
    }

    /// Moves `webhook` on to `told` without telling it anything.
    pub async fn pass_over(&self, webhook: &str, told: Told) -> Result<()> {
        let (revision, alert) = (told.revision(), told.alert());
        sqlx::query!(
            "UPDATE webhooks
             SET cursor = MAX(cursor, COALESCE(?2, 0)), alert_cursor = MAX(alert_cursor, COALESCE(?3, 0))
             WHERE name = ?1",
            webhook,
            revision,
            alert,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Claims the next delivery to `webhook`, which stands as `state` says; false when somebody
    /// else has it.
    pub async fn claim_delivery(
        &self,
        webhook: &str,
        state: &WebhookState,
        now: Timestamp,
    ) -> Result<bool> {
        let until = now.plus(CLAIM);
        let claimed = sqlx::query!(
            "UPDATE webhooks SET next_attempt_at = ?4
             WHERE name = ?1 AND cursor = ?2 AND alert_cursor = ?5 AND next_attempt_at IS ?3",
            webhook,
            state.cursor,
            state.next_attempt_at,
            until,
            state.alert_cursor,
        )
        .execute(&self.pool)
        .await?;
        Ok(claimed.rows_affected() == 1)
    }

    /// Gives a claimed delivery back unused.
    pub async fn release_delivery(&self, webhook: &str, state: &WebhookState) -> Result<()> {
        sqlx::query!(
            "UPDATE webhooks SET next_attempt_at = ?3
             WHERE name = ?1 AND cursor = ?2 AND alert_cursor = ?4",
            webhook,
            state.cursor,
            state.next_attempt_at,
            state.alert_cursor,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The target was told.
    pub async fn record_delivery(&self, delivery: Delivery<'_>, http_status: u16) -> Result<()> {
        let (revision, alert) = (delivery.told.revision(), delivery.told.alert());
        let mut tx = self.begin().await?;
        sqlx::query!(
            "UPDATE webhooks
             SET cursor = MAX(cursor, COALESCE(?2, 0)),
                 alert_cursor = MAX(alert_cursor, COALESCE(?3, 0)),
                 next_attempt_at = NULL, consecutive_failures = 0, failing_since = NULL
             WHERE name = ?1",
            delivery.webhook,
            revision,
            alert,
        )
        .execute(&mut *tx)
        .await?;
        record(&mut tx, delivery, "delivered", Some(http_status), None).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The target was not told; it is tried again after `wait`, and `gone` says that it wants no
    /// more. After three days of failures what is older than that is given up: the last of it.
    pub async fn record_undelivered(
        &self,
        delivery: Delivery<'_>,
        http_status: Option<u16>,
        error: &str,
        wait: TimeDelta,
        gone: bool,
    ) -> Result<Option<Told>> {
        let ended_at = delivery
            .at
            .plus(TimeDelta::from_std(delivery.duration).unwrap_or_default());
        let next = ended_at.plus(wait);
        let gone_at = gone.then_some(ended_at);
        let mut tx = self.begin().await?;
        let failing_since = sqlx::query_scalar!(
            r#"UPDATE webhooks
               SET next_attempt_at = ?2, consecutive_failures = consecutive_failures + 1,
                   failing_since = COALESCE(failing_since, ?3), gone_at = ?4
               WHERE name = ?1
               RETURNING failing_since AS "failing_since!: Timestamp""#,
            delivery.webhook,
            next,
            delivery.at,
            gone_at,
        )
        .fetch_one(&mut *tx)
        .await?;
        record(&mut tx, delivery, "failed", http_status, Some(error)).await?;
        let mut given_up = None;
        if ended_at.since(failing_since) >= GIVE_UP_AFTER {
            let oldest = ended_at.plus(-GIVE_UP_AFTER);
            let alert = delivery.told.alert();
            let last = sqlx::query_scalar!(
                r#"SELECT CASE
                       -- Up to the first that is younger: see prune.
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
            .fetch_one(&mut *tx)
            .await?;
            given_up = last.and_then(|last| match delivery.told {
                Told::Revision(revision) => (last >= revision).then_some(Told::Revision(last)),
                Told::Alert(alert) => (last >= alert).then_some(Told::Alert(last)),
            });
        }
        if let Some(told) = given_up {
            let (revision, alert) = (told.revision(), told.alert());
            sqlx::query!(
                "UPDATE webhooks
                 SET cursor = MAX(cursor, COALESCE(?2, 0)),
                     alert_cursor = MAX(alert_cursor, COALESCE(?3, 0))
                 WHERE name = ?1",
                delivery.webhook,
                revision,
                alert,
            )
            .execute(&mut *tx)
            .await?;
            let delivery = Delivery { told, ..delivery };
            record(&mut tx, delivery, "given_up", http_status, Some(error)).await?;
        }
        tx.commit().await?;
        Ok(given_up)
    }
}

async fn record(
    connection: &mut SqliteConnection,
    delivery: Delivery<'_>,
    outcome: &str,
    http_status: Option<u16>,
    error: Option<&str>,
) -> Result<()> {
    let duration_ms = delivery.duration_ms();
    let (revision, alert) = (delivery.told.revision(), delivery.told.alert());
    sqlx::query!(
        "INSERT INTO webhook_deliveries (
             webhook, revision, alert, at, duration_ms, outcome, http_status, error
         ) VALUES (?1, ?2, ?8, ?3, ?4, ?5, ?6, ?7)",
        delivery.webhook,
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
