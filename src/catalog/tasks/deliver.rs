//! Delivers revisions and alerts to webhooks, in order and at least once. One task per target, so a
//! dead target delays no other.

use std::{fmt, sync::Arc, time::Duration};

use reqwest::{StatusCode, Url, header::CONTENT_TYPE};
use secrecy::ExposeSecret;
use serde::Serialize;
use standardwebhooks::{
    HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook,
};
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    catalog::{
        health::TaskName,
        shared::Shared,
        supervisor::{Supervised, TaskHandle, TookTooLong},
    },
    config::webhook::WebhookConfig,
    ingest::schedule::Backoff,
    model::{
        delivery::{Delivery, DeliveryId, Undelivered, WebhookState},
        event::{Alert, EventFilter, Revision},
        settings::WebhookSettings,
        time::Timestamp,
    },
    provider::failure::retry_after_header,
    store::error::StoreError,
};

/// Time limit for a target's answer.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Time limit of a step, which may look through many events for the next message.
const LIMIT: Duration = Duration::from_secs(300);
/// The longest sleep: the clock may jump.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
/// How many events a step searches for the next revision to deliver.
const LOOK_AHEAD: usize = 200;
/// The sleep after a database failure.
const SLEEP_AFTER_ERROR: Duration = Duration::from_secs(5);

/// The body of a message.
#[derive(Serialize)]
struct Message<'a, T> {
    r#type: &'static str,
    timestamp: Timestamp,
    data: &'a T,
}

/// The next message.
enum Outgoing {
    Revision(Revision),
    Alert(Alert),
}

impl Outgoing {
    fn delivery_id(&self) -> DeliveryId {
        match self {
            Self::Revision(revision) => DeliveryId::Revision(revision.revision),
            Self::Alert(alert) => DeliveryId::Alert(alert.alert),
        }
    }

    /// The message's id. For a revision, its number, as in every cursor.
    fn id(&self) -> String {
        match self {
            Self::Revision(revision) => revision.revision.to_string(),
            Self::Alert(alert) => format!("watch-{}", alert.alert),
        }
    }

    fn body(&self) -> Result<Vec<u8>, serde_json::Error> {
        match self {
            Self::Revision(revision) => serde_json::to_vec(&Message {
                r#type: "catalog.revision",
                timestamp: revision.at,
                data: revision,
            }),
            Self::Alert(alert) => serde_json::to_vec(&Message {
                r#type: "catalog.watch",
                timestamp: alert.at,
                data: alert,
            }),
        }
    }

    /// The message's name in the log.
    fn name(&self) -> String {
        match self {
            Self::Revision(revision) => format!("revision {}", revision.revision),
            Self::Alert(alert) => format!("alert {}", alert.alert),
        }
    }
}

/// The result of one step.
enum Step {
    /// There may be another message to send at once.
    Again,
    /// Everything is delivered.
    Idle,
    /// Nothing may be sent before then.
    Waits(Timestamp),
    /// The webhook is not configured in the database, or with another URL, or its target is gone.
    Left,
}

/// Delivers to one target until the catalog stops.
pub struct Deliverer {
    shared: Arc<Shared>,
    webhook: WebhookConfig,
    settings: WebhookSettings,
    wake: Arc<Notify>,
}

impl Deliverer {
    /// Starts delivering to `webhook`. The second handle wakes it early.
    pub fn spawn(shared: &Arc<Shared>, webhook: WebhookConfig) -> (TaskHandle, Arc<Notify>) {
        let wake = Arc::new(Notify::new());
        let name = TaskName::Webhook(webhook.name.clone());
        let secrets = vec![webhook.url.clone(), webhook.secret.clone()];
        let deliverer = Arc::new(Self {
            shared: shared.clone(),
            settings: webhook.settings(),
            webhook,
            wake: wake.clone(),
        });
        let handle = shared.supervisor.start(name, secrets, move |supervised| {
            deliverer.clone().run(supervised)
        });
        (handle, wake)
    }

    async fn run(self: Arc<Self>, supervised: Supervised) -> Result<(), TookTooLong> {
        let mut revisions = self.shared.revisions();
        let mut alerted = self.shared.alerted.subscribe();
        loop {
            let now = self.shared.clock.now();
            let sleep = match supervised
                .step(LIMIT, self.step(now, &supervised.stop))
                .await?
            {
                // Goes through the select anyway, so that a stop is noticed between two messages.
                Ok(Step::Again) => Duration::ZERO,
                Ok(Step::Idle | Step::Left) => LONGEST_SLEEP,
                Ok(Step::Waits(until)) => until
                    .since(self.shared.clock.now())
                    .to_std()
                    .unwrap_or_default()
                    .min(LONGEST_SLEEP),
                Err(error) => {
                    let webhook = &self.webhook.name;
                    tracing::warn!(%webhook, "cannot deliver to webhook {webhook}: {error}");
                    SLEEP_AFTER_ERROR
                }
            };
            tokio::select! {
                biased;
                () = supervised.stop.cancelled() => return Ok(()),
                () = self.wake.notified() => {}
                // An error means that the catalog is gone.
                changed = revisions.changed() => if changed.is_err() { return Ok(()) },
                changed = alerted.changed() => if changed.is_err() { return Ok(()) },
                () = tokio::time::sleep(sleep) => {}
            }
        }
    }

    /// Delivers the next message if it is due.
    async fn step(&self, now: Timestamp, stop: &CancellationToken) -> Result<Step, StoreError> {
        let Shared { store, .. } = &*self.shared;
        let Some(state) = store.find_webhook(&self.settings).await? else {
            return Ok(Step::Left);
        };
        let last = self.shared.current.load().snapshot.revision;
        let metrics = &self.shared.metrics;
        metrics.set_webhook_lag(self.webhook.name.as_str(), (last - state.cursor).max(0));
        if state.gone_at.is_some() {
            return Ok(Step::Left);
        }
        if let Some(at) = state.next_attempt_at.filter(|_| !state.is_due(now)) {
            return Ok(Step::Waits(at));
        }
        let Some(next) = self.find_next(&state).await? else {
            metrics.set_webhook_lag(self.webhook.name.as_str(), 0);
            return Ok(Step::Idle);
        };
        if let Some(until) = store.claim_delivery(&self.settings, &state).await? {
            self.deliver(&state, &next, until, stop).await?;
        }
        Ok(Step::Again)
    }

    /// The next message: revisions first, then alerts. Skips those that the webhook filters out.
    async fn find_next(&self, state: &WebhookState) -> Result<Option<Outgoing>, StoreError> {
        let store = &self.shared.store;
        let scope = Arc::new(self.webhook.scope.clone());
        let filter = EventFilter {
            events: self.webhook.events.clone(),
            reader: Arc::new(self.shared.current.load().visibility(scope)),
            ..EventFilter::default()
        };
        let mut since = state.cursor;
        loop {
            let page = store.changes(since, &filter, LOOK_AHEAD).await?;
            if let Some(revision) = Revision::group(page.events).into_iter().next() {
                return Ok(Some(Outgoing::Revision(revision)));
            }
            if page.next > since {
                store
                    .skip_delivery(&self.settings, DeliveryId::Revision(page.next))
                    .await?;
            }
            since = page.next;
            if !page.has_more {
                break;
            }
        }
        let mut cursor = state.alert_cursor;
        while let Some(alert) = store.next_alert(cursor).await? {
            if self.webhook.wants_alert(&alert) {
                return Ok(Some(Outgoing::Alert(alert)));
            }
            cursor = alert.alert;
            let id = DeliveryId::Alert(cursor);
            store.skip_delivery(&self.settings, id).await?;
        }
        Ok(None)
    }

    /// Sends `next`, which is claimed until `claimed_until`, and commits the result.
    async fn deliver(
        &self,
        state: &WebhookState,
        next: &Outgoing,
        claimed_until: Timestamp,
        stop: &CancellationToken,
    ) -> Result<(), StoreError> {
        let now = self.shared.clock.now();
        let store = &self.shared.store;
        let webhook = &self.webhook.name;
        let began = Instant::now();
        let result = tokio::select! {
            biased;
            () = stop.cancelled() => {
                // The message may have arrived. It will be sent again under the same id.
                let release = store.release_delivery(&self.settings, state, claimed_until);
                return release.await;
            }
            result = self.send(next, now) => result,
        };
        let delivery = Delivery {
            webhook: &self.settings,
            claimed_until,
            id: next.delivery_id(),
            at: now,
            duration: began.elapsed(),
        };
        let failure = match result {
            Ok(status) => {
                tracing::debug!(%webhook, "delivered {} to webhook {webhook}", next.name());
                store.commit_delivery(delivery, Ok(status.as_u16())).await?;
                return Ok(());
            }
            Err(failure) => failure,
        };
        let failures = state.consecutive_failures.saturating_add(1);
        let failure = Undelivered {
            http_status: failure.http_status.map(|status| status.as_u16()),
            message: failure.message,
            wait: Backoff::WEBHOOK.wait(failures, failure.retry_after, fastrand::f64()),
            is_gone: failure.http_status == Some(StatusCode::GONE),
        };
        let given_up = store.commit_delivery(delivery, Err(&failure)).await?;
        if failure.is_gone {
            tracing::warn!(%webhook, "webhook {webhook} answered 410 Gone: no deliveries until a restart");
        } else if state.consecutive_failures == 0 {
            tracing::warn!(%webhook, "cannot deliver {} to webhook {webhook}: {}; retrying for three days", next.name(), failure.message);
        }
        if let Some(last) = given_up {
            tracing::error!(%webhook, "webhook {webhook} has failed for three days: gave up older messages, up to {last:?}");
        }
        Ok(())
    }

    async fn send(&self, next: &Outgoing, now: Timestamp) -> Result<StatusCode, Failure> {
        let body = next.body().map_err(Failure::ours)?;
        let id = next.id();
        let timestamp = now.millis() / 1000;
        let signature = Webhook::new(self.webhook.secret.expose_secret())
            .and_then(|signer| signer.sign(&id, timestamp, &body))
            .map_err(Failure::ours)?;
        let url = Url::parse(self.webhook.url.expose_secret()).map_err(Failure::ours)?;
        let response = self
            .shared
            .clients
            .of_webhook(&url)
            .post(url)
            .timeout(TIMEOUT)
            .header(CONTENT_TYPE, "application/json")
            .header(HEADER_WEBHOOK_ID, id)
            .header(HEADER_WEBHOOK_TIMESTAMP, timestamp)
            .header(HEADER_WEBHOOK_SIGNATURE, signature)
            .body(body)
            .send()
            .await
            .map_err(Failure::no_answer)?;
        let status = response.status();
        if status.is_success() {
            return Ok(status);
        }
        Err(Failure {
            http_status: Some(status),
            message: format!("the target answered {}", status.as_u16()),
            retry_after: retry_after_header(response.headers(), now),
        })
    }
}

/// Why a delivery failed.
struct Failure {
    http_status: Option<StatusCode>,
    /// One line, without the target's URL.
    message: String,
    retry_after: Option<Duration>,
}

impl Failure {
    fn no_answer(error: reqwest::Error) -> Self {
        let message = if error.is_timeout() {
            format!("no answer within {} s", TIMEOUT.as_secs())
        } else if error.is_connect() {
            "no connection: check its url and the network".to_owned()
        } else {
            format!("no answer: {}", error.without_url())
        };
        Self {
            http_status: None,
            message,
            retry_after: None,
        }
    }

    fn ours(error: impl fmt::Display) -> Self {
        Self {
            http_status: None,
            message: format!("cannot build the message: {error}"),
            retry_after: None,
        }
    }
}
