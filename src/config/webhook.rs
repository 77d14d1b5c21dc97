//! The settings of one webhook, after the Standard Webhooks specification
//! (<https://www.standardwebhooks.com>). The task in `catalog::tasks::deliver` sends the messages.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use standardwebhooks::Webhook;

use super::{
    error::ConfigError,
    globs::limit_models,
    url::{fingerprint, parse_target},
};
use crate::model::{
    event::{Alert, EventKind},
    scope::Scope,
    settings::WebhookSettings,
    source::SourceName,
};

/// One webhook target and the changes and alerts it receives.
#[derive(Clone)]
pub struct WebhookConfig {
    /// Its name. Logs and the database hold the name, never the URL.
    pub name: SourceName,
    pub(crate) url: SecretString,
    pub(crate) secret: SecretString,
    pub(crate) scope: Scope,
    pub(crate) events: Option<Vec<EventKind>>,
    /// Whether it receives alerts of watched models.
    pub(crate) alerts: bool,
}

impl fmt::Debug for WebhookConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookConfig")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Compares all settings, the secrets too.
impl PartialEq for WebhookConfig {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.url.expose_secret() == other.url.expose_secret()
            && self.secret.expose_secret() == other.secret.expose_secret()
            && self.scope == other.scope
            && self.events == other.events
            && self.alerts == other.alerts
    }
}

impl WebhookConfig {
    /// A target that receives everything. `secret` is `whsec_` followed by base64, as in the
    /// specification. Fails on a bad name, URL or secret.
    pub fn new(name: &str, url: &str, secret: &str) -> Result<Self, ConfigError> {
        let refuse = |why: &str| Err(ConfigError(format!("webhook `{name}`: {why}")));
        let Ok(name_) = name.parse() else {
            return refuse("its name must be 1 to 64 of a-z, 0-9, `_`, `.` and `-`");
        };
        let url = parse_target(&format!("the url of webhook `{name}`"), url)?;
        let enough = Webhook::new(secret).is_ok() && secret.len() >= 24;
        if !enough {
            return refuse(
                "its secret must be `whsec_` and at least 24 characters of base64: make one with `openssl rand -base64 32`",
            );
        }
        Ok(Self {
            name: name_,
            url: String::from(url).into(),
            secret: secret.into(),
            scope: Scope::default(),
            events: None,
            alerts: true,
        })
    }

    /// Limits it to the events of this source and the ones added before.
    pub fn source(mut self, source: &str) -> Self {
        self.scope.add_source(source);
        self
    }

    /// Limits it to events of this kind and the ones added before. `watch` stands for the alerts of
    /// watched models. Fails on an unknown kind.
    pub fn events(mut self, kind: &str) -> Result<Self, ConfigError> {
        let first = self.events.is_none();
        let wanted = self.events.get_or_insert_default();
        if kind == WATCH {
            self.alerts = true;
            return Ok(self);
        }
        let known = EventKind::ALL
            .into_iter()
            .find(|known| known.as_str() == kind);
        let Some(kind) = known else {
            return Err(ConfigError(format!(
                "webhook `{}`: events are added, changed, removed, returned, hidden, shown and watch",
                self.name
            )));
        };
        wanted.push(kind);
        self.alerts &= !first;
        Ok(self)
    }

    /// Limits it to models whose whole id matches one of `globs`. Fails on an invalid glob.
    pub fn models(mut self, globs: &[&str]) -> Result<Self, ConfigError> {
        let setting = format!("webhook `{}`: models", self.name);
        limit_models(&mut self.scope, &setting, globs)?;
        Ok(self)
    }

    /// The part of its settings that the store keeps.
    pub(crate) fn settings(&self) -> WebhookSettings {
        WebhookSettings {
            name: self.name.clone(),
            address: fingerprint(self.url.expose_secret()),
        }
    }

    /// Whether it receives `alert`.
    pub(crate) fn wants_alert(&self, alert: &Alert) -> bool {
        let mut sources = alert.sources.iter();
        self.alerts
            && self.scope.allows_id(&alert.id)
            && (self.scope.sources().is_none()
                || sources.any(|source| self.scope.allows_source(source.as_str())))
    }
}

/// The word in `events` for alerts of watched models.
const WATCH: &str = "watch";
