//! The settings of one source.

use chrono::TimeDelta;
use reqwest::{Url, header::HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use super::{
    error::ConfigError,
    globs::parse_patterns,
    url::{fingerprint, is_loopback, parse_base_url},
};
use crate::model::{
    listing::is_usable_id,
    settings::{Rules, SourceSettings},
    source::{Kind, Role, SourceName},
};

/// TTL of a provider's listing: 24 h.
pub const PROVIDER_TTL: TimeDelta = TimeDelta::hours(24);

/// TTL of an endpoint's listing: 30 s.
pub const ENDPOINT_TTL: TimeDelta = TimeDelta::seconds(30);

/// How long an endpoint's stale models stay in the list before it is hidden: 5 minutes.
pub const ENDPOINT_MAX_STALE: TimeDelta = TimeDelta::minutes(5);

/// Fails when no header can carry `key`, which `what` names.
pub(crate) fn check_header(what: &str, key: &str) -> Result<(), ConfigError> {
    match HeaderValue::try_from(key) {
        Ok(_) => Ok(()),
        Err(_) => Err(ConfigError(format!(
            "{what} contains a character that no header can carry (a line break?): copy it again"
        ))),
    }
}

/// One source to fetch.
#[derive(Clone, Debug)]
pub struct SourceConfig {
    /// Its name. For a provider, also the prefix of its model ids.
    pub name: SourceName,
    /// Provider or endpoint.
    pub role: Role,
    /// The list API that it speaks.
    pub kind: Kind,
    /// A provider's base URL as its official SDK takes it, or an endpoint's server root.
    pub(crate) base_url: Url,
    /// Query parameters of its list request, added to those of its kind.
    pub(crate) query: &'static [(&'static str, &'static str)],
    /// Its key. Sent only in a header, and only to the host of `base_url`.
    pub(crate) key: Option<SecretString>,
    /// How long its listing is fresh, from 1 s to 365 days.
    pub ttl: TimeDelta,
    /// How long its models stay in the list after they became stale, before it is hidden. None
    /// never hides it: the default for providers. Endpoints default to 5 minutes.
    pub max_stale: Option<TimeDelta>,
    /// Rules applied to its listing.
    pub(crate) rules: Rules,
    /// Whether discovery found it. Discovery accepts only well-known servers.
    pub(crate) discovered: bool,
}

/// Compares all settings, the key too.
impl PartialEq for SourceConfig {
    fn eq(&self, other: &Self) -> bool {
        let key = |source: &Self| {
            source
                .key
                .as_ref()
                .map(|key| key.expose_secret().to_owned())
        };
        let values = |source: &Self| {
            (
                source.ttl,
                source.max_stale,
                source.discovered,
                source.query,
            )
        };
        self.name == other.name
            && (self.role, self.kind) == (other.role, other.kind)
            && self.base_url == other.base_url
            && values(self) == values(other)
            && self.rules == other.rules
            && key(self) == key(other)
    }
}

impl SourceConfig {
    /// A provider with a TTL of 24 h. `base_url` is as its official SDK takes it: with the version
    /// for OpenAI and compatible services (`https://api.openai.com/v1`), without it for Google and
    /// Anthropic. Fails on a bad name or URL, and on a key that no header can carry.
    pub fn provider(
        name: &str,
        kind: Kind,
        base_url: &str,
        key: Option<&str>,
    ) -> Result<Self, ConfigError> {
        if let Some(key) = key {
            check_header(&format!("the key of {name}"), key)?;
        }
        Ok(Self {
            name: name
                .parse()
                .map_err(|error| ConfigError(format!("{error}")))?,
            role: Role::Provider,
            kind,
            base_url: parse_base_url(&format!("base_url of {name}"), base_url)?,
            query: &[],
            key: key.map(SecretString::from),
            ttl: PROVIDER_TTL,
            max_stale: None,
            rules: Rules::default(),
            discovered: false,
        })
    }

    /// An endpoint with a TTL of 30 s. The catalog detects its list API from its answers.
    /// `base_url` is the server's root; a trailing `/v1` is accepted. Fails on a bad name or URL.
    pub fn endpoint(name: &str, base_url: &str) -> Result<Self, ConfigError> {
        Ok(Self {
            role: Role::Endpoint,
            ttl: ENDPOINT_TTL,
            max_stale: Some(ENDPOINT_MAX_STALE),
            ..Self::provider(name, Kind::Auto, base_url, None)?
        })
    }

    /// Serves only models whose own id matches one of `globs` (`*` also matches `/`). Fails on an
    /// invalid glob.
    pub fn include(mut self, globs: &[impl AsRef<str>]) -> Result<Self, ConfigError> {
        self.rules.include = parse_patterns(&format!("include of `{}`", self.name), globs)?;
        Ok(self)
    }

    /// Hides models whose own id matches one of `globs`. Fails on an invalid glob.
    pub fn exclude(mut self, globs: &[impl AsRef<str>]) -> Result<Self, ConfigError> {
        self.rules.exclude = parse_patterns(&format!("exclude of `{}`", self.name), globs)?;
        Ok(self)
    }

    /// Also serves the model `target` (its own id) as `alias` while `target` is listed. Fails when
    /// `alias` is not a usable id.
    pub fn alias(mut self, alias: &str, target: &str) -> Result<Self, ConfigError> {
        if !is_usable_id(alias) {
            return Err(ConfigError(format!(
                "aliases of `{}`: an alias must be 1 to 512 bytes without control characters",
                self.name
            )));
        }
        self.rules
            .aliases
            .insert(alias.to_owned(), target.to_owned());
        Ok(self)
    }

    /// The enrichment file at `url`, in the form of models.dev or LiteLLM, fetched once in 24 h. It
    /// fills in the context window, output limit, prices and knowledge cutoff that a provider
    /// omits. The host of `url` marks these fields. Fails on a bad URL.
    pub fn enrichment(url: &str) -> Result<Self, ConfigError> {
        let base_url = parse_base_url("url of [enrichment]", url)?;
        let host = base_url.host_str().unwrap_or_default();
        Self::provider(host, Kind::Enrichment, url, None).map_err(|_| {
            ConfigError(format!(
                "url of [enrichment]: its host {host} cannot serve as the enrichment's name: use a host name"
            ))
        })
    }

    /// The endpoint for a discovered loopback port: `localhost-11434`.
    pub(crate) fn discovered(port: u16) -> Result<Self, ConfigError> {
        let name = format!("localhost-{port}");
        Ok(Self {
            discovered: true,
            ..Self::endpoint(&name, &format!("http://127.0.0.1:{port}"))?
        })
    }

    /// The part of its settings that the store keeps.
    pub(crate) fn settings(&self) -> SourceSettings {
        SourceSettings {
            name: self.name.clone(),
            role: self.role,
            kind: self.kind,
            ttl: self.ttl,
            max_stale: self.max_stale,
            address: self.address(),
            rules: self.rules.clone(),
        }
    }

    /// Identifies its base URL. A hash, because a URL may hold a secret in its path.
    pub(crate) fn address(&self) -> String {
        fingerprint(self.base_url.as_str())
    }

    /// Whether its base URL is the loopback port `port`.
    pub(crate) fn is_on_loopback_port(&self, port: u16) -> bool {
        self.base_url.port_or_known_default() == Some(port) && is_loopback(&self.base_url)
    }
}
