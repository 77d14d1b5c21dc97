//! Reading the settings: a flag beats the environment, the environment beats the TOML file. The
//! one reader of the environment.

use std::{collections::BTreeMap, path::Path};

use chrono::TimeDelta;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{Config, ConfigError, DISCOVERY_PORTS, SourceConfig, Unconfigured, parse_base_url};
use crate::model::{Kind, SourceName};

/// What `serve` was told on the command line.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Flags {
    /// Address to listen on [MODEL_CATALOG_LISTEN, default 127.0.0.1:8484]
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Option<String>,
    /// The SQLite database [DATABASE_URL, default sqlite://catalog.db]
    #[arg(long, value_name = "URL")]
    pub database_url: Option<String>,
    /// TOML file with further settings [MODEL_CATALOG_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<String>,
}

/// The settings of the service.
#[derive(Debug)]
pub struct Settings {
    /// `host:port` to listen on.
    pub listen: String,
    /// What the catalog needs.
    pub config: Config,
    /// What the operator should know: one line each.
    pub warnings: Vec<String>,
}

/// Default of `MODEL_CATALOG_LISTEN`.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:8484";
const DEFAULT_DATABASE_URL: &str = "sqlite://catalog.db";

/// The environment: variables that are empty or blank count as unset, the rest is trimmed.
pub struct Environment<'e>(Box<Reader<'e>>);

type Reader<'e> = dyn Fn(&str) -> Option<String> + 'e;

impl<'e> Environment<'e> {
    /// The environment of this process.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one reader of the environment"
    )]
    pub fn of_process() -> Self {
        Self::new(|name| std::env::var(name).ok())
    }

    /// An environment made up by the caller.
    pub fn new(read: impl Fn(&str) -> Option<String> + 'e) -> Self {
        Self(Box::new(read))
    }

    /// The value of `name`.
    pub fn get(&self, name: &str) -> Option<String> {
        (self.0)(name)
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty())
    }
}

/// A provider that needs nothing but its key.
struct WellKnown {
    name: &'static str,
    kind: Kind,
    key_variables: &'static [&'static str],
    base_url_variable: &'static str,
    base_url: &'static str,
}

/// Names, variables and base URLs as the official SDKs have them.
const WELL_KNOWN: [WellKnown; 3] = [
    WellKnown {
        name: "openai",
        kind: Kind::OpenAi,
        key_variables: &["OPENAI_API_KEY"],
        base_url_variable: "OPENAI_BASE_URL",
        base_url: "https://api.openai.com/v1",
    },
    WellKnown {
        name: "google",
        kind: Kind::Google,
        key_variables: &["GOOGLE_API_KEY", "GEMINI_API_KEY"],
        base_url_variable: "GOOGLE_GEMINI_BASE_URL",
        base_url: "https://generativelanguage.googleapis.com",
    },
    WellKnown {
        name: "anthropic",
        kind: Kind::Anthropic,
        key_variables: &["ANTHROPIC_API_KEY"],
        base_url_variable: "ANTHROPIC_BASE_URL",
        base_url: "https://api.anthropic.com",
    },
];

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    listen: Option<String>,
    database_url: Option<String>,
    discover: Option<bool>,
    providers: BTreeMap<String, Table>,
    endpoints: BTreeMap<String, Table>,
}

/// `[providers.x]` or `[endpoints.x]`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Table {
    kind: Option<Kind>,
    base_url: Option<String>,
    api_key: Option<SecretString>,
    api_key_env: Option<String>,
    api_key_file: Option<String>,
    ttl: Option<String>,
}

impl Settings {
    /// Reads the settings from `flags`, `environment` and the TOML file that they name.
    pub fn read(flags: &Flags, environment: &Environment) -> Result<Self, ConfigError> {
        let file = match flags
            .config
            .clone()
            .or_else(|| environment.get("MODEL_CATALOG_CONFIG"))
        {
            Some(path) => read_file(&path)?,
            None => File::default(),
        };
        let listen = flags
            .listen
            .clone()
            .or_else(|| environment.get("MODEL_CATALOG_LISTEN"));
        let database_url = flags
            .database_url
            .clone()
            .or_else(|| environment.get("DATABASE_URL"));
        let database_url = database_url
            .or(file.database_url)
            .unwrap_or_else(|| DEFAULT_DATABASE_URL.to_owned());
        let mut settings = Self {
            listen: listen
                .or(file.listen)
                .unwrap_or_else(|| DEFAULT_LISTEN.to_owned()),
            config: Config::new(&database_url)?,
            warnings: Vec::new(),
        };
        settings.add_providers(file.providers, environment)?;
        settings.add_endpoints(file.endpoints, environment)?;
        if discovers(file.discover, environment)? {
            settings.config.discovery_ports = DISCOVERY_PORTS.to_vec();
        }
        Ok(settings)
    }

    fn add_providers(
        &mut self,
        mut tables: BTreeMap<String, Table>,
        environment: &Environment,
    ) -> Result<(), ConfigError> {
        for known in WELL_KNOWN {
            let table = tables.remove(known.name).unwrap_or_default();
            let key = self.key_from_environment(known.key_variables, environment)?;
            let key = match key {
                Some(key) => Some(key),
                None => self.key_from_table(known.name, &table, environment)?,
            };
            if key.is_none() && table.base_url.is_none() {
                self.config.unconfigured.push(Unconfigured {
                    name: parse_name(known.name)?,
                    kind: known.kind,
                    hint: format!(
                        "set {} to list its models",
                        known.key_variables.join(" or ")
                    ),
                });
                continue;
            }
            let base_url = match environment.get(known.base_url_variable) {
                Some(url) => parse_base_url(known.base_url_variable, &url)?.into(),
                None => table
                    .base_url
                    .clone()
                    .unwrap_or_else(|| known.base_url.to_owned()),
            };
            let source = SourceConfig::provider(
                known.name,
                table.kind.unwrap_or(known.kind),
                &base_url,
                None,
            )?;
            self.add(source, key, &table)?;
        }
        for (name, table) in tables {
            let Some(base_url) = &table.base_url else {
                return Err(ConfigError(format!(
                    "[providers.{name}] has no base_url: set it to what stands before /models, such as https://api.example.com/v1"
                )));
            };
            let source =
                SourceConfig::provider(&name, table.kind.unwrap_or(Kind::OpenAi), base_url, None)?;
            let key = self.key_from_table(&name, &table, environment)?;
            self.add(source, key, &table)?;
        }
        Ok(())
    }

    fn add_endpoints(
        &mut self,
        mut tables: BTreeMap<String, Table>,
        environment: &Environment,
    ) -> Result<(), ConfigError> {
        let listed = environment
            .get("MODEL_CATALOG_ENDPOINTS")
            .unwrap_or_default();
        for pair in listed
            .split(',')
            .map(str::trim)
            .filter(|pair| !pair.is_empty())
        {
            let Some((name, url)) = pair.split_once('=') else {
                return Err(ConfigError(
                    "MODEL_CATALOG_ENDPOINTS must look like name=http://host:port,name=http://host:port"
                        .to_owned(),
                ));
            };
            tables.entry(name.trim().to_owned()).or_default().base_url =
                Some(url.trim().to_owned());
        }
        for (name, table) in tables {
            let Some(base_url) = &table.base_url else {
                return Err(ConfigError(format!(
                    "[endpoints.{name}] has no base_url: set it to the server's root, such as http://127.0.0.1:8000"
                )));
            };
            let mut source = SourceConfig::endpoint(&name, base_url)?;
            source.kind = table.kind.unwrap_or(source.kind);
            let key = self.key_from_table(&name, &table, environment)?;
            self.add(source, key, &table)?;
        }
        Ok(())
    }

    /// Adds `source` with its key and what `table` says of it.
    fn add(
        &mut self,
        mut source: SourceConfig,
        key: Option<SecretString>,
        table: &Table,
    ) -> Result<(), ConfigError> {
        let name = &source.name;
        if self.config.sources.iter().any(|other| other.name == *name) {
            return Err(ConfigError(format!(
                "a provider and an endpoint are both called `{name}`: rename one"
            )));
        }
        if let Some(key) = &key
            && HeaderValue::try_from(key.expose_secret()).is_err()
        {
            return Err(ConfigError(format!(
                "the key of `{name}` holds a character that no header can carry (a line break?): copy it again"
            )));
        }
        if let Some(ttl) = &table.ttl {
            source.ttl = parse_ttl(ttl).ok_or_else(|| {
                ConfigError(format!(
                    "ttl of `{name}` must be a time from 1s to 365d, such as \"24h\" or \"90s\""
                ))
            })?;
        }
        source.key = key;
        self.config.sources.push(source);
        Ok(())
    }

    /// The first of `variables`, or of the files that `<variable>_FILE` name, that holds a key.
    fn key_from_environment(
        &mut self,
        variables: &[&str],
        environment: &Environment,
    ) -> Result<Option<SecretString>, ConfigError> {
        for variable in variables {
            if let Some(key) = environment.get(variable) {
                return Ok(Some(key.into()));
            }
            let file_variable = format!("{variable}_FILE");
            if let Some(path) = environment.get(&file_variable) {
                return self.key_from_file(&file_variable, &path).map(Some);
            }
        }
        Ok(None)
    }

    fn key_from_table(
        &mut self,
        name: &str,
        table: &Table,
        environment: &Environment,
    ) -> Result<Option<SecretString>, ConfigError> {
        match (&table.api_key, &table.api_key_env, &table.api_key_file) {
            (None, None, None) => Ok(None),
            (Some(key), None, None) => {
                let key = key.expose_secret().trim();
                Ok((!key.is_empty()).then(|| key.into()))
            }
            (None, Some(variable), None) => match environment.get(variable) {
                Some(key) => Ok(Some(key.into())),
                None => Err(ConfigError(format!(
                    "the key of `{name}` should be in {variable} (api_key_env), which is not set: set it or remove the source"
                ))),
            },
            (None, None, Some(path)) => self
                .key_from_file(&format!("api_key_file of `{name}`"), path)
                .map(Some),
            _ => Err(ConfigError(format!(
                "`{name}` has several keys: keep one of api_key, api_key_env and api_key_file"
            ))),
        }
    }

    fn key_from_file(&mut self, setting: &str, path: &str) -> Result<SecretString, ConfigError> {
        let key = std::fs::read_to_string(path)
            .map_err(|error| ConfigError(format!("{setting}: cannot read {path}: {error}")))?;
        let key = key.trim();
        if key.is_empty() {
            return Err(ConfigError(format!(
                "{setting}: {path} is empty: put the key into it"
            )));
        }
        if others_may_read(Path::new(path)) {
            self.warnings.push(format!(
                "{path} holds a key and every user of this machine may read it: chmod 600 {path}"
            ));
        }
        Ok(key.into())
    }
}

#[cfg(unix)]
fn others_may_read(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn others_may_read(_path: &Path) -> bool {
    false
}

fn read_file(path: &str) -> Result<File, ConfigError> {
    // The parser's own message spans several lines and quotes the file, which may hold a key.
    let text = std::fs::read_to_string(path).map_err(|error| {
        ConfigError(format!(
            "cannot read the configuration file {path}: {error}"
        ))
    })?;
    config::Config::builder()
        .add_source(config::File::from_str(&text, config::FileFormat::Toml))
        .build()
        .and_then(config::Config::try_deserialize)
        .map_err(|error| {
            let message = error.to_string();
            let line = message.lines().next().unwrap_or_default();
            ConfigError(format!(
                "the configuration file {path} is not usable: {line}"
            ))
        })
}

fn discovers(file: Option<bool>, environment: &Environment) -> Result<bool, ConfigError> {
    match environment.get("MODEL_CATALOG_DISCOVER").as_deref() {
        None => Ok(file.unwrap_or(true)),
        Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(_) => Err(ConfigError(
            "MODEL_CATALOG_DISCOVER must be true or false".to_owned(),
        )),
    }
}

fn parse_ttl(text: &str) -> Option<TimeDelta> {
    let ttl = match text.trim().parse() {
        Ok(seconds) => TimeDelta::try_seconds(seconds)?,
        Err(_) => TimeDelta::from_std(humantime::parse_duration(text).ok()?).ok()?,
    };
    (TimeDelta::seconds(1)..=TimeDelta::days(365))
        .contains(&ttl)
        .then_some(ttl)
}

fn parse_name(name: &str) -> Result<SourceName, ConfigError> {
    name.parse()
        .map_err(|error| ConfigError(format!("{error}")))
}
