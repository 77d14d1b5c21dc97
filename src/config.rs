//! Every setting of the catalog as a value, checked. [`settings`] reads them from where people put
//! them: flags, the environment, a TOML file.

pub mod environment;
pub mod error;
mod file;
mod globs;
pub mod keys;
mod presets;
pub mod read;
pub mod secrets;
pub mod source;
pub mod url;
pub mod webhook;

use std::{path::Path, str::FromStr, time::Duration};

use chrono::TimeDelta;
use secrecy::SecretString;
use serde::Serialize;
use sqlx::sqlite::SqliteConnectOptions;

use self::{error::ConfigError, keys::ClientKey, source::SourceConfig, webhook::WebhookConfig};
use crate::{
    lock::watch::Watch,
    model::{
        source::{Kind, SourceName},
        time::Clock,
    },
};

/// How long attempts at sources and webhooks are remembered: 90 days.
pub const ATTEMPTS_KEPT: TimeDelta = TimeDelta::days(90);
/// The loopback ports that are looked at: Ollama, LM Studio, vLLM, llama.cpp.
pub const DISCOVERY_PORTS: [u16; 4] = [11434, 1234, 8000, 8080];

/// What a catalog needs to run.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the database is; checked by [`Config::new`].
    pub(crate) database_url: String,
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
    /// Every preset and whether it is on, as the settings had it; empty where nobody read settings.
    pub presets: Vec<PresetStatus>,
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

/// A preset: a well-known provider that needs nothing but its key.
#[derive(Clone, Debug, Serialize)]
pub struct PresetStatus {
    /// Its name.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// Whether it is on.
    pub state: PresetState,
    /// The variables of its key: the first that is set counts, of each also `<VARIABLE>_FILE`.
    pub key_variables: &'static [&'static str],
    /// What else has to be set unless the base URL is moved: of each list one variable.
    pub further_variables: Vec<Vec<&'static str>>,
    /// The variable that moves its base URL.
    pub base_url_variable: &'static str,
    /// Its own base URL, in which `{A|B}` is the value of the variable `A`, otherwise `B`; none where
    /// every account has one of its own.
    pub base_url: Option<&'static str>,
    /// Whether its list answers without a key.
    pub public_list: bool,
    /// What to do so that it is listed, for people; none where it is.
    pub hint: Option<String>,
}

/// Whether a preset is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PresetState {
    /// It is asked with its key.
    On,
    /// It is asked without a key.
    OnWithoutKey,
    /// Nothing of it is set.
    NotSet,
    /// Only a part of it is set: its key or what its base URL needs is missing.
    Incomplete,
    /// The file switches it off.
    Off,
}

/// How long things are kept.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Events; none for ever.
    pub events: Option<TimeDelta>,
    /// Attempts at sources and webhooks.
    pub attempts: TimeDelta,
}
