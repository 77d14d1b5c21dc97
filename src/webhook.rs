//! Webhooks as the Standard Webhooks specification has them (<https://www.standardwebhooks.com>): a
//! target and what it wants of changes and alerts. Telling it is `teller`'s.

mod teller;

use std::fmt;

use globset::{Glob, GlobSet, GlobSetBuilder};
use secrecy::SecretString;
use standardwebhooks::Webhook;

pub(crate) use self::teller::Teller;
use crate::{
    config::{ConfigError, parse_target},
    model::SourceName,
    store::{Alert, ChangeEvent, EventKind},
};

/// One target and what it wants.
#[derive(Clone)]
pub struct WebhookConfig {
    /// Its name: in the log and the database, where its URL never is.
    pub name: SourceName,
    url: SecretString,
    secret: SecretString,
    sources: Vec<String>,
    events: Option<Vec<EventKind>>,
    /// Whether it wants alerts of watched models.
    alerts: bool,
    models: Option<GlobSet>,
}

impl fmt::Debug for WebhookConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookConfig")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl WebhookConfig {
    /// A target that wants everything. `secret` is `whsec_` and base64, as the specification has it.
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
            sources: Vec::new(),
            events: None,
            alerts: true,
            models: None,
        })
    }

    /// Wants the events of this source, besides those that were named before.
    pub fn source(mut self, source: &str) -> Self {
        self.sources.push(source.to_owned());
        self
    }

    /// Wants events of this kind, besides those that were named before; `watch` names the alerts of
    /// watched models.
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

    /// Wants the events of models whose whole id matches one of `globs`.
    pub fn models(mut self, globs: &[&str]) -> Result<Self, ConfigError> {
        let mut set = GlobSetBuilder::new();
        for glob in globs {
            set.add(Glob::new(glob).map_err(|error| {
                ConfigError(format!("webhook `{}`: models: {error}", self.name))
            })?);
        }
        let set = set
            .build()
            .map_err(|error| ConfigError(format!("webhook `{}`: models: {error}", self.name)))?;
        self.models = Some(set);
        Ok(self)
    }

    fn wants(&self, event: &ChangeEvent) -> bool {
        let source = self.sources.is_empty()
            || self
                .sources
                .iter()
                .any(|source| source == event.source.as_str());
        // What hides or shows a whole source is about each of its models.
        let model = match (&self.models, &event.id) {
            (Some(globs), Some(id)) => globs.is_match(id),
            _ => true,
        };
        source && model
    }

    fn wants_alert(&self, alert: &Alert) -> bool {
        let of = |source: &String| {
            let rest = alert.id.strip_prefix(source.as_str());
            rest.is_some_and(|rest| rest.starts_with(':'))
        };
        self.alerts
            && (self.sources.is_empty() || self.sources.iter().any(of))
            && self
                .models
                .as_ref()
                .is_none_or(|globs| globs.is_match(&alert.id))
    }
}

/// What `events` calls the alerts of watched models.
const WATCH: &str = "watch";
