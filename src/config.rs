//! Every setting of the catalog as a checked value. [`read`] fills them in from flags, the
//! environment and a TOML file.

pub mod cors;
pub mod environment;
pub mod error;
mod file;
mod globs;
pub mod hosts;
pub mod keys;
pub mod odd_key;
mod presets;
pub mod proxy;
pub mod read;
pub mod secrets;
pub mod source;
pub mod url;
pub mod webhook;

use std::{fmt, path::Path, str::FromStr, sync::Arc, time::Duration};

use chrono::TimeDelta;
use secrecy::SecretString;
use serde::Serialize;
use sqlx::sqlite::SqliteConnectOptions;
use utoipa::ToSchema;

use self::{
    cors::CorsOrigins, error::ConfigError, hosts::AllowedHosts, keys::ClientKey,
    source::SourceConfig, webhook::WebhookConfig,
};
use crate::{
    lock::watch::Watch,
    model::{
        source::{Kind, SourceName},
        time::Clock,
    },
};

/// How long attempts at sources and webhooks are kept: 90 days.
pub const ATTEMPTS_KEPT: TimeDelta = TimeDelta::days(90);
/// The loopback ports that discovery probes: Ollama, LM Studio, vLLM, llama.cpp.
pub const DISCOVERY_PORTS: [u16; 4] = [11434, 1234, 8000, 8080];

/// What a catalog needs to run.
#[derive(Clone, Debug)]
pub struct Config {
    /// URL of the SQLite database, checked by [`Config::new`].
    pub(crate) database_url: String,
    /// The sources to fetch.
    pub sources: Vec<SourceConfig>,
    /// The enrichment file, which fills in the fields that sources omit. See
    /// [`SourceConfig::enrichment`].
    pub enrichment: Option<SourceConfig>,
    /// The webhooks that receive changes and alerts.
    pub webhooks: Vec<WebhookConfig>,
    /// The watched models: the catalog raises an alert when one becomes a problem.
    pub watch: Option<Watch>,
    /// How long history is kept.
    pub retention: Retention,
    /// Loopback ports to probe for local servers; empty turns discovery off.
    pub discovery_ports: Vec<u16>,
    /// Well-known providers that are not configured, each with a hint for the operator.
    pub unconfigured: Vec<Unconfigured>,
    /// Every preset and its state according to the settings; empty when the settings were built in
    /// code.
    pub presets: Vec<PresetStatus>,
    /// Time limit for fetching one source's whole listing: 10 s. At most 10 minutes.
    pub fetch_timeout: Duration,
    /// How long a client may take to send a request's head or to read the answer, and how long an
    /// idle connection stays open: 30 s.
    pub client_timeout: Duration,
    /// Bearer token that callers of `POST /catalog/refresh` must present. Without one, only callers
    /// on this machine may refresh.
    pub admin_key: Option<SecretString>,
    /// The client keys. With at least one, every request must present a key; the admin key counts
    /// as one that sees everything. Without any, reading is open to every caller.
    pub keys: Vec<ClientKey>,
    /// The web pages that may read the catalog from a browser.
    pub cors_origins: CorsOrigins,
    /// The public names under which a catalog without keys may be asked when it listens on a loopback
    /// address.
    pub allowed_hosts: AllowedHosts,
    /// The clock. Tests advance it.
    pub clock: Clock,
    /// For tests: called with a task's name before each of its steps; a panic in it is the task's.
    #[doc(hidden)]
    pub on_step: OnStep,
}

/// What a test calls before each step of a task.
#[doc(hidden)]
#[derive(Clone, Default)]
pub struct OnStep(Option<Arc<StepHook>>);

type StepHook = dyn Fn(&str) + Send + Sync;

impl OnStep {
    /// Calls `hook` with the name of the task.
    pub fn new(hook: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(hook)))
    }

    pub(crate) fn call(&self, task: &impl fmt::Display) {
        if let Some(hook) = &self.0 {
            hook(&task.to_string());
        }
    }
}

impl fmt::Debug for OnStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnStep").finish_non_exhaustive()
    }
}

impl Config {
    /// A catalog in the SQLite file at `database_url` (`sqlite://catalog.db`), without sources.
    /// Fails when the URL names no SQLite file.
    pub fn new(database_url: &str) -> Result<Self, ConfigError> {
        let refuse = |why: &str| {
            Err(ConfigError(format!(
                "DATABASE_URL {why}: use sqlite://path/to/catalog.db (a file, created when absent)"
            )))
        };
        if !database_url.starts_with("sqlite:") {
            return refuse("does not name a SQLite database");
        }
        let Ok(database) = SqliteConnectOptions::from_str(database_url) else {
            return refuse("is not a usable SQLite URL");
        };
        let path = database.get_filename();
        if path == Path::new("") {
            return refuse("names no file");
        }
        // sqlx turns `:memory:` and `mode=memory` into this file name.
        if path.to_string_lossy().starts_with("file:sqlx-in-memory")
            || database_url.contains("mode=memory")
        {
            return refuse("names an in-memory database, which a restart would lose");
        }
        Ok(Self {
            database_url: database_url.to_owned(),
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
            presets: Vec::new(),
            fetch_timeout: Duration::from_secs(10),
            client_timeout: Duration::from_secs(30),
            admin_key: None,
            keys: Vec::new(),
            cors_origins: CorsOrigins::None,
            allowed_hosts: AllowedHosts::default(),
            clock: Clock::system(),
            on_step: OnStep::default(),
        })
    }
}

/// A well-known provider that is not configured.
#[derive(Clone, Debug)]
pub struct Unconfigured {
    /// Its name.
    pub name: SourceName,
    /// Its kind.
    pub kind: Kind,
    /// The variable to set, as a sentence for the operator.
    pub hint: String,
}

/// A preset: a well-known provider that only needs a key.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PresetStatus {
    /// Its name.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// Whether it is on.
    pub state: PresetState,
    /// The variables that may hold its key, each also as `<VARIABLE>_FILE`. The first one that is
    /// set wins.
    pub key_variables: &'static [&'static str],
    /// Further variables that must be set unless the base URL is overridden: one of each list.
    pub further_variables: Vec<Vec<&'static str>>,
    /// The variable that overrides its base URL.
    pub base_url_variable: &'static str,
    /// Its default base URL. `{A|B}` stands for the value of variable `A`, or of `B` when `A` is
    /// unset. None when every account has its own URL.
    #[schema(required = true)]
    pub base_url: Option<&'static str>,
    /// Whether its list is readable without a key.
    pub public_list: bool,
    /// How to turn it on, as a sentence for the operator; none when it is on.
    #[schema(required = true)]
    pub hint: Option<String>,
}

/// Whether a preset is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PresetState {
    /// It is fetched with its key.
    On,
    /// It is fetched without a key.
    OnWithoutKey,
    /// None of its variables is set.
    NotSet,
    /// Only part of it is set: its key or a variable of its base URL is missing.
    Incomplete,
    /// The settings file turns it off.
    Off,
}

/// How long history is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Events; none keeps them forever.
    pub events: Option<TimeDelta>,
    /// Attempts at sources and webhooks.
    pub attempts: TimeDelta,
}
