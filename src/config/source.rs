//! One source of the settings.

use std::fmt::Write;

use chrono::TimeDelta;
use reqwest::Url;
use secrecy::SecretString;
use sha2::{Digest, Sha256};

use super::{
    error::ConfigError,
    globs::parse_patterns,
    url::{is_loopback, parse_base_url},
};
use crate::model::{
    listing::is_usable_id,
    settings::{Rules, SourceSettings},
    source::{Kind, Role, SourceName},
};

/// How long a provider's listing is fresh: 24 h.
pub const PROVIDER_TTL: TimeDelta = TimeDelta::hours(24);

/// How long an endpoint's listing is fresh: 30 s.
pub const ENDPOINT_TTL: TimeDelta = TimeDelta::seconds(30);

/// How long an endpoint's stale models are served before it is hidden: 5 minutes.
pub const ENDPOINT_MAX_STALE: TimeDelta = TimeDelta::minutes(5);

/// One source to ask.
#[derive(Clone, Debug)]
pub struct SourceConfig {
    /// Its name: of a provider also the prefix of its ids.
    pub name: SourceName,
    /// Provider or endpoint.
    pub role: Role,
    /// The list API that it speaks.
    pub kind: Kind,
    /// Of a provider the base URL as its official SDK has it, of an endpoint the server's root.
    pub(crate) base_url: Url,
    /// What its list is asked with beyond what its kind asks with.
    pub(crate) query: &'static [(&'static str, &'static str)],
    /// Its key; only ever sent in a header to `base_url`'s host.
    pub(crate) key: Option<SecretString>,
    /// How long its listing is fresh, from 1 s to 365 days.
    pub ttl: TimeDelta,
    /// How long its models are served after they have become stale, before it is hidden; none for
    /// ever, which is the default of providers. Endpoints: 5 minutes.
    pub max_stale: Option<TimeDelta>,
    /// What is made of its listing.
    pub(crate) rules: Rules,
    /// Whether discovery found it: then only well-known servers are believed.
    pub(crate) discovered: bool,
}

impl SourceConfig {
    /// A provider with the TTL of providers. `base_url` is as its official SDK has it: with the
    /// version for OpenAI and compatible ones (`https://api.openai.com/v1`), without it for Google
    /// and Anthropic.
    pub fn provider(
        name: &str,
        kind: Kind,
        base_url: &str,
        key: Option<&str>,
    ) -> Result<Self, ConfigError> {
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

    /// An endpoint with the TTL of endpoints, recognised by what it answers. `base_url` is the
    /// server's root; a trailing `/v1` is accepted.
    pub fn endpoint(name: &str, base_url: &str) -> Result<Self, ConfigError> {
        Ok(Self {
            role: Role::Endpoint,
            ttl: ENDPOINT_TTL,
            max_stale: Some(ENDPOINT_MAX_STALE),
            ..Self::provider(name, Kind::Auto, base_url, None)?
        })
    }

    /// Serves only models whose own id matches one of `globs` (`*` also matches `/`).
    pub fn include(mut self, globs: &[impl AsRef<str>]) -> Result<Self, ConfigError> {
        self.rules.include = parse_patterns(&format!("include of `{}`", self.name), globs)?;
        Ok(self)
    }

    /// Does not serve models whose own id matches one of `globs`.
    pub fn exclude(mut self, globs: &[impl AsRef<str>]) -> Result<Self, ConfigError> {
        self.rules.exclude = parse_patterns(&format!("exclude of `{}`", self.name), globs)?;
        Ok(self)
    }

    /// Serves the model `target` (its own id) as `alias` too, while it is listed.
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

    /// The file at `url` in models.dev's form or LiteLLM's, asked once in 24 h. It fills in the context,
    /// output limit, prices and knowledge cut-off that a provider does not say; such fields are marked
    /// with the host of `url`.
    pub fn enrichment(url: &str) -> Result<Self, ConfigError> {
        let base_url = parse_base_url("url of [enrichment]", url)?;
        let host = base_url.host_str().unwrap_or_default();
        Self::provider(host, Kind::Enrichment, url, None).map_err(|_| {
            ConfigError(format!(
                "url of [enrichment]: its host {host} cannot name an enrichment: use a host name"
            ))
        })
    }

    /// The endpoint that discovery looks for on a loopback port: `localhost-11434`.
    pub(crate) fn discovered(port: u16) -> Result<Self, ConfigError> {
        let name = format!("localhost-{port}");
        Ok(Self {
            discovered: true,
            ..Self::endpoint(&name, &format!("http://127.0.0.1:{port}"))?
        })
    }

    /// What the store keeps of it.
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

    /// Identifies where it is asked. A hash: a URL may hold a secret in its path.
    pub(crate) fn address(&self) -> String {
        let digest = Sha256::digest(self.base_url.as_str());
        digest[..16].iter().fold(String::new(), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// Whether this is what answers on the loopback port `port`.
    pub(crate) fn is_on_loopback_port(&self, port: u16) -> bool {
        self.base_url.port_or_known_default() == Some(port) && is_loopback(&self.base_url)
    }
}
