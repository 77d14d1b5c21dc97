//! Every setting of the catalog as a value, checked. [`settings`] reads them from where people put
//! them: flags, the environment, a TOML file.

mod file;
mod presets;
mod secrets;
mod settings;

use std::{fmt::Write, path::Path, str::FromStr, time::Duration};

use chrono::TimeDelta;
use reqwest::Url;
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use sqlx::sqlite::SqliteConnectOptions;

pub use self::settings::{DEFAULT_LISTEN, Environment, Flags, Settings};
pub(crate) use self::{
    secrets::read_text,
    settings::{catalog_key, database_url},
};
use crate::{
    globs::Pattern,
    keys::ClientKey,
    model::{Kind, Role, SourceName, is_usable_id},
    rules::Rules,
    store::Retention,
    time::Clock,
    watch::Watch,
    webhook::WebhookConfig,
};

/// How long a provider's listing is fresh: 24 h.
pub const PROVIDER_TTL: TimeDelta = TimeDelta::hours(24);
/// How long an endpoint's listing is fresh: 30 s.
pub const ENDPOINT_TTL: TimeDelta = TimeDelta::seconds(30);
/// How long an endpoint's stale models are served before it is hidden: 5 minutes.
pub const ENDPOINT_MAX_STALE: TimeDelta = TimeDelta::minutes(5);
/// How long attempts at sources and webhooks are remembered: 90 days.
pub const ATTEMPTS_KEPT: TimeDelta = TimeDelta::days(90);
/// The loopback ports that are looked at: Ollama, LM Studio, vLLM, llama.cpp.
pub const DISCOVERY_PORTS: [u16; 4] = [11434, 1234, 8000, 8080];

/// A setting that cannot be used. One line: which one, why, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub(crate) String);

/// What a catalog needs to run.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the database is; made by [`Config::new`].
    pub(crate) database: SqliteConnectOptions,
    /// Whom to ask.
    pub sources: Vec<SourceConfig>,
    /// The file that fills in what sources do not say, made by [`SourceConfig::enrichment`].
    pub enrichment: Option<SourceConfig>,
    /// Whom to tell of changes.
    pub webhooks: Vec<WebhookConfig>,
    /// The models whose fate is told.
    pub watch: Option<Watch>,
    /// How long history is kept.
    pub retention: Retention,
    /// Loopback ports to look at for local servers; none to look at no port.
    pub discovery_ports: Vec<u16>,
    /// Well-known providers that are not configured, and what to set: shown to operators.
    pub unconfigured: Vec<Unconfigured>,
    /// The time limit of one source's whole listing: 10 s.
    pub fetch_timeout: Duration,
    /// How long a client may take to send a request's head or to read on, and how long an idle
    /// connection is kept: 30 s.
    pub client_timeout: Duration,
    /// What callers of `POST /catalog/refresh` have to present as a bearer token. Without one, only
    /// callers on this machine may.
    pub admin_key: Option<SecretString>,
    /// What clients have to present: with any, nothing is told without one, and the admin key counts
    /// as one that may see everything. Without any, whoever reaches the catalog may read it.
    pub keys: Vec<ClientKey>,
    /// The clock; tests move it.
    pub clock: Clock,
}

impl Config {
    /// A catalog in the SQLite file at `database_url` (`sqlite://catalog.db`), without sources.
    pub fn new(database_url: &str) -> Result<Self, ConfigError> {
        let refuse = |why: &str| {
            Err(ConfigError(format!(
                "DATABASE_URL {why}: use sqlite://path/to/catalog.db (a file, created when absent)"
            )))
        };
        if !database_url.starts_with("sqlite:") {
            return refuse("does not name an SQLite database");
        }
        let Ok(database) = SqliteConnectOptions::from_str(database_url) else {
            return refuse("is not a usable SQLite URL");
        };
        let path = database.get_filename();
        if path == Path::new("") {
            return refuse("names no file");
        }
        // What the URL's `:memory:` and `mode=memory` become.
        if path.to_string_lossy().starts_with("file:sqlx-in-memory")
            || database_url.contains("mode=memory")
        {
            return refuse("names a database in memory, which a restart would lose");
        }
        Ok(Self {
            database,
            sources: Vec::new(),
            enrichment: None,
            webhooks: Vec::new(),
            watch: None,
            retention: Retention {
                events: None,
                attempts: ATTEMPTS_KEPT,
            },
            discovery_ports: Vec::new(),
            unconfigured: Vec::new(),
            fetch_timeout: Duration::from_secs(10),
            client_timeout: Duration::from_secs(30),
            admin_key: None,
            keys: Vec::new(),
            clock: Clock::system(),
        })
    }
}

/// A well-known provider without a key.
#[derive(Clone, Debug)]
pub struct Unconfigured {
    /// Its name.
    pub name: SourceName,
    /// Its kind.
    pub kind: Kind,
    /// What to set, for people.
    pub hint: String,
}

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
        self.rules.include = Pattern::list(&format!("include of `{}`", self.name), globs)?;
        Ok(self)
    }

    /// Does not serve models whose own id matches one of `globs`.
    pub fn exclude(mut self, globs: &[impl AsRef<str>]) -> Result<Self, ConfigError> {
        self.rules.exclude = Pattern::list(&format!("exclude of `{}`", self.name), globs)?;
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

/// Whether the host of `url` is this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(domain)) => domain == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback() || address.is_unspecified(),
        Some(url::Host::Ipv6(address)) => address.is_loopback() || address.is_unspecified(),
        None => false,
    }
}

/// A base URL that can be asked. The error does not repeat the URL: it may hold a secret.
pub(crate) fn parse_base_url(setting: &str, text: &str) -> Result<Url, ConfigError> {
    let url = parse_target(setting, text)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(ConfigError(format!(
            "{setting} must not hold a query or fragment: keys travel in headers only"
        )));
    }
    Ok(url)
}

/// A URL that something can be sent to. The error does not repeat it.
pub(crate) fn parse_target(setting: &str, text: &str) -> Result<Url, ConfigError> {
    let refuse = |why: &str| Err(ConfigError(format!("{setting} {why}")));
    let Ok(url) = Url::parse(text.trim()) else {
        return refuse("is not a URL: it must look like https://host/path");
    };
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return refuse("is not an http or https URL: it must look like https://host/path");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("must not hold a user name or password: give the key in its own setting");
    }
    Ok(url)
}
