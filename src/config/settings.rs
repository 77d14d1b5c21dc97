//! Reading the settings: a flag beats the environment, the environment beats the TOML file. The
//! one reader of the environment.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File as FsFile,
    io::Read,
    path::Path,
};

use chrono::TimeDelta;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{Config, ConfigError, DISCOVERY_PORTS, SourceConfig, Unconfigured, parse_base_url};
use crate::{
    model::{Kind, SourceName},
    watch::Watch,
    webhook::WebhookConfig,
};

/// What `serve` was told on the command line.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Flags {
    /// Address to listen on (MODEL_CATALOG_LISTEN, default 127.0.0.1:8484)
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Option<String>,
    /// The SQLite database (DATABASE_URL, default sqlite://catalog.db)
    #[arg(long, value_name = "URL")]
    pub database_url: Option<String>,
    /// TOML file with further settings (MODEL_CATALOG_CONFIG)
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
/// The largest file that holds a key.
const MAX_KEY_BYTES: u64 = 64 << 10;
/// The largest configuration file.
const MAX_FILE_BYTES: u64 = 1 << 20;
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
        // What is no text is not unset: it is refused where it is used.
        Self::new(|name| Some(std::env::var_os(name)?.to_string_lossy().into_owned()))
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
    admin_key: Option<SecretString>,
    watch: Option<WatchTable>,
    keep_events: Option<String>,
    keep_fetches: Option<String>,
    webhooks: BTreeMap<String, WebhookTable>,
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
    max_stale: Option<String>,
}

/// `[watch]`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WatchTable {
    models: Vec<String>,
    lockfile: Option<String>,
    within: Option<String>,
}

impl WatchTable {
    fn read(&self) -> Result<Watch, ConfigError> {
        let within = match &self.within {
            None => DEFAULT_WITHIN,
            Some(within) => parse_time("within of [watch]", within, LONGEST_RETENTION)?,
        };
        let ids: Vec<&str> = self.models.iter().map(String::as_str).collect();
        let watch = Watch::new(&ids, within)?;
        let Some(path) = &self.lockfile else {
            return Ok(watch);
        };
        let text = read_text(path, MAX_FILE_BYTES)
            .map_err(|error| ConfigError(format!("[watch]: cannot read {path}: {error}")))?;
        Watch::from_lockfile(&text, within)?.and(watch)
    }
}

/// How near a watched model's retirement may come.
const DEFAULT_WITHIN: TimeDelta = TimeDelta::days(30);

/// `[webhooks.x]`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WebhookTable {
    url: Option<SecretString>,
    url_env: Option<String>,
    url_file: Option<String>,
    secret: Option<SecretString>,
    secret_env: Option<String>,
    secret_file: Option<String>,
    sources: Vec<String>,
    events: Vec<String>,
    models: Vec<String>,
}

/// Where a setting says that a secret is: at most one of the three.
struct SecretPlaces<'a> {
    /// `api_key`, `url` or `secret`: the other two are `…_env` and `…_file`.
    field: &'static str,
    value: &'a Option<SecretString>,
    variable: &'a Option<String>,
    file: &'a Option<String>,
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
        let database_url = database_url(flags.database_url.clone(), environment, file.database_url);
        let mut settings = Self {
            listen: listen
                .or(file.listen)
                .unwrap_or_else(|| DEFAULT_LISTEN.to_owned()),
            config: Config::new(&database_url)?,
            warnings: Vec::new(),
        };
        settings.config.admin_key = settings
            .key_from_environment(&["MODEL_CATALOG_ADMIN_KEY"], environment)?
            .or(file.admin_key);
        let retention = &mut settings.config.retention;
        if let Some(kept) = &file.keep_events
            && kept.trim() != "forever"
        {
            retention.events = Some(parse_time("keep_events", kept, LONGEST_RETENTION)?);
        }
        if let Some(kept) = &file.keep_fetches {
            retention.attempts = parse_time("keep_fetches", kept, LONGEST_RETENTION)?;
        }
        settings.add_providers(file.providers, environment)?;
        settings.add_endpoints(file.endpoints, environment)?;
        settings.add_webhooks(&file.webhooks, environment)?;
        settings.config.watch = file.watch.map(|table| table.read()).transpose()?;
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
                if environment.get(known.base_url_variable).is_some() {
                    self.warnings.push(format!(
                        "{} is set and no key is: {} is not listed; set {}",
                        known.base_url_variable,
                        known.name,
                        known.key_variables.join(" or ")
                    ));
                }
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
        let mut named = BTreeSet::new();
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
            if !named.insert(name.trim()) {
                return Err(ConfigError(format!(
                    "MODEL_CATALOG_ENDPOINTS names `{}` twice: give each endpoint a name of its own",
                    name.trim()
                )));
            }
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
            source.ttl = parse_time(&format!("ttl of `{name}`"), ttl, LONGEST_TTL)?;
        }
        if let Some(max_stale) = &table.max_stale {
            source.max_stale = Some(parse_time(
                &format!("max_stale of `{name}`"),
                max_stale,
                LONGEST_TTL,
            )?);
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
        let places = SecretPlaces {
            field: "api_key",
            value: &table.api_key,
            variable: &table.api_key_env,
            file: &table.api_key_file,
        };
        self.secret(name, places, environment)
    }

    fn secret(
        &mut self,
        name: &str,
        places: SecretPlaces<'_>,
        environment: &Environment,
    ) -> Result<Option<SecretString>, ConfigError> {
        let field = places.field;
        match (places.value, places.variable, places.file) {
            (None, None, None) => Ok(None),
            (Some(key), None, None) => {
                let key = key.expose_secret().trim();
                Ok((!key.is_empty()).then(|| key.into()))
            }
            (None, Some(variable), None) => {
                match self.key_from_environment(&[variable], environment)? {
                    Some(key) => Ok(Some(key)),
                    // By mistake the key itself may stand there: only what looks like a variable is
                    // repeated.
                    None => Err(ConfigError(format!(
                        "{field}_env of `{name}` names a variable that is not set{}: set it, or remove what needs it",
                        if looks_like_a_variable(variable) {
                            format!(" ({variable})")
                        } else {
                            String::new()
                        }
                    ))),
                }
            }
            (None, None, Some(path)) => self
                .key_from_file(&format!("{field}_file of `{name}`"), path)
                .map(Some),
            _ => Err(ConfigError(format!(
                "`{name}` has several keys: keep one of {field}, {field}_env and {field}_file"
            ))),
        }
    }

    fn add_webhooks(
        &mut self,
        tables: &BTreeMap<String, WebhookTable>,
        environment: &Environment,
    ) -> Result<(), ConfigError> {
        for (name, table) in tables {
            let url = SecretPlaces {
                field: "url",
                value: &table.url,
                variable: &table.url_env,
                file: &table.url_file,
            };
            let secret = SecretPlaces {
                field: "secret",
                value: &table.secret,
                variable: &table.secret_env,
                file: &table.secret_file,
            };
            let (Some(url), Some(secret)) = (
                self.secret(name, url, environment)?,
                self.secret(name, secret, environment)?,
            ) else {
                return Err(ConfigError(format!(
                    "[webhooks.{name}] needs a url and a secret (or url_env, secret_env, url_file, secret_file)"
                )));
            };
            let mut webhook =
                WebhookConfig::new(name, url.expose_secret(), secret.expose_secret())?;
            for source in &table.sources {
                webhook = webhook.source(source);
            }
            for event in &table.events {
                webhook = webhook.events(event)?;
            }
            if !table.models.is_empty() {
                let globs: Vec<&str> = table.models.iter().map(String::as_str).collect();
                webhook = webhook.models(&globs)?;
            }
            self.config.webhooks.push(webhook);
        }
        Ok(())
    }

    fn key_from_file(&mut self, setting: &str, path: &str) -> Result<SecretString, ConfigError> {
        // By mistake the key itself may stand where its file should: the path is not repeated.
        let key = read_text(path, MAX_KEY_BYTES).map_err(|error| {
            ConfigError(format!(
                "{setting}: the file that it names cannot be read ({error}): check the path"
            ))
        })?;
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

/// The URL of the database, from its flag, the environment or the file.
pub(crate) fn database_url(
    flag: Option<String>,
    environment: &Environment,
    file: Option<String>,
) -> String {
    flag.or_else(|| environment.get("DATABASE_URL"))
        .or(file)
        .unwrap_or_else(|| DEFAULT_DATABASE_URL.to_owned())
}

/// The file at `path`, of at most `limit` bytes: it may be a device without end.
pub(crate) fn read_text(path: &str, limit: u64) -> std::io::Result<String> {
    let mut text = String::new();
    FsFile::open(path)?
        .take(limit + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > limit {
        return Err(std::io::Error::other(format!(
            "it is larger than {} KiB",
            limit >> 10
        )));
    }
    Ok(text)
}

fn looks_like_a_variable(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
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
    let text = read_text(path, MAX_FILE_BYTES).map_err(|error| {
        ConfigError(format!(
            "cannot read the configuration file {path}: {error}"
        ))
    })?;
    config::Config::builder()
        .add_source(config::File::from_str(&text, config::FileFormat::Toml))
        .build()
        .and_then(config::Config::try_deserialize)
        .map_err(|error| {
            ConfigError(format!(
                "the configuration file {path} is not usable: {}",
                describe(&error)
            ))
        })
}

/// `error` without any value of the file: one in the wrong place may be a key.
fn describe(error: &config::ConfigError) -> String {
    use config::ConfigError::{At, FileParse, Message, Type};
    let named = |key: &Option<String>| key.clone().unwrap_or_else(|| "a setting".to_owned());
    let first_line = |text: String| text.lines().next().unwrap_or_default().to_owned();
    match error {
        Type { key, expected, .. } => {
            format!(
                "{} has a value of the wrong type (expected: {expected})",
                named(key)
            )
        }
        // A field's name, and those that there are.
        Message(text) if text.starts_with("unknown field") => first_line(text.clone()),
        At { error, key, .. } => match &**error {
            Message(text) if text.starts_with("unknown field") => {
                format!("{}: {}", named(key), first_line(text.clone()))
            }
            _ if key.as_ref().is_some_and(|key| key.ends_with(".kind")) => {
                format!("{} has a value that cannot be used: {KINDS}", named(key))
            }
            _ => format!("{} has a value that cannot be used", named(key)),
        },
        // Where it is, on the first line; the lines after it are the file's.
        FileParse { cause, .. } => first_line(cause.to_string()),
        _ => format!("a setting has a value that cannot be used; {KINDS}"),
    }
}

const KINDS: &str = "kind is openai, google, anthropic or ollama";

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

/// The longest time that a listing may be fresh or stale, in days.
const LONGEST_TTL: i64 = 365;
/// The longest time that history may be kept, in days, short of for ever.
const LONGEST_RETENTION: i64 = 36_500;

fn parse_time(setting: &str, text: &str, longest_days: i64) -> Result<TimeDelta, ConfigError> {
    let text = text.trim();
    let time = match text.parse() {
        Ok(seconds) => TimeDelta::try_seconds(seconds),
        Err(_) => humantime::parse_duration(text)
            .ok()
            .and_then(|time| TimeDelta::from_std(time).ok()),
    };
    time.filter(|time| (TimeDelta::seconds(1)..=TimeDelta::days(longest_days)).contains(time))
        .ok_or_else(|| {
            ConfigError(format!(
                "{setting} must be a time from 1s to {longest_days}d, such as \"24h\" or \"90s\""
            ))
        })
}

fn parse_name(name: &str) -> Result<SourceName, ConfigError> {
    name.parse()
        .map_err(|error| ConfigError(format!("{error}")))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use rstest::rstest;

    use super::*;
    use crate::model::Role;

    /// The settings from `variables` and a file with `toml` in it.
    fn read(variables: &[(&str, &str)], toml: Option<&str>) -> Result<Settings, ConfigError> {
        let file = toml.map(|toml| {
            let file = tempfile::NamedTempFile::new().expect("a file");
            std::fs::write(file.path(), toml).expect("written");
            file
        });
        let flags = Flags {
            config: file.as_ref().map(|file| file.path().display().to_string()),
            ..Flags::default()
        };
        let get = |name: &str| {
            let (_, value) = variables.iter().find(|(variable, _)| *variable == name)?;
            Some((*value).to_owned())
        };
        Settings::read(&flags, &Environment::new(get))
    }

    /// Each source on a line: name, role, kind, URL, key, TTL in seconds.
    fn sources(settings: &Settings) -> String {
        let mut text = String::new();
        for source in &settings.config.sources {
            let key = source.key.as_ref().map_or("-", |key| key.expose_secret());
            let SourceConfig {
                name,
                role,
                kind,
                base_url,
                ttl,
                ..
            } = source;
            let _ = writeln!(
                text,
                "{name} {} {} {base_url} {key} {}",
                role.as_str(),
                kind.as_str(),
                ttl.num_seconds()
            );
        }
        text
    }

    #[test]
    fn nothing_set_is_all_defaults() {
        let settings = read(&[("OPENAI_API_KEY", "  ")], None).expect("settings");
        assert_eq!(settings.listen, "127.0.0.1:8484");
        assert_eq!(
            settings.config.database.get_filename(),
            Path::new("catalog.db")
        );
        assert_eq!(settings.config.discovery_ports, DISCOVERY_PORTS);
        assert_eq!(sources(&settings), "", "a blank variable is unset");
        assert_eq!(settings.config.unconfigured.len(), 3);
    }

    #[test]
    fn the_environment_alone_is_enough() {
        let settings = read(
            &[
                ("OPENAI_API_KEY", " sk-o\n"),
                ("GOOGLE_API_KEY", "g1"),
                ("GEMINI_API_KEY", "g2"),
                ("ANTHROPIC_API_KEY", "a"),
                ("ANTHROPIC_BASE_URL", "https://proxy.example/anthropic/"),
                (
                    "MODEL_CATALOG_ENDPOINTS",
                    "box=http://10.0.0.7:8000/v1, ollama=http://h:11434,",
                ),
                ("MODEL_CATALOG_DISCOVER", "false"),
                ("MODEL_CATALOG_LISTEN", "0.0.0.0:80"),
                ("DATABASE_URL", "sqlite:///var/lib/mc/catalog.db"),
            ],
            None,
        )
        .expect("settings");
        assert_eq!(
            sources(&settings),
            "openai provider openai https://api.openai.com/v1 sk-o 86400\n\
             google provider google https://generativelanguage.googleapis.com/ g1 86400\n\
             anthropic provider anthropic https://proxy.example/anthropic/ a 86400\n\
             box endpoint auto http://10.0.0.7:8000/v1 - 30\n\
             ollama endpoint auto http://h:11434/ - 30\n"
        );
        assert_eq!(settings.listen, "0.0.0.0:80");
        assert!(settings.config.discovery_ports.is_empty());
        assert!(settings.config.unconfigured.is_empty());
    }

    #[test]
    fn the_file_adds_sources_and_the_environment_beats_it() {
        let key_file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(key_file.path(), "from-a-file\n").expect("written");
        let toml = format!(
            r#"
            listen = "127.0.0.1:1"
            database_url = "sqlite://file.db"
            discover = false
            [providers.openai]
            api_key = "in the file"
            ttl = "1h"
            [providers.google]
            api_key_env = "MY_GOOGLE"
            [providers.mistral]
            base_url = "https://api.mistral.ai/v1"
            api_key_file = "{}"
            [endpoints.box]
            base_url = "http://box:8000"
            kind = "openai"
            ttl = "90"
            "#,
            key_file.path().display()
        );
        let environment = [
            ("OPENAI_API_KEY", "in the environment"),
            ("MY_GOOGLE", "mine"),
            ("DATABASE_URL", "sqlite://env.db"),
        ];
        let settings = read(&environment, Some(&toml)).expect("settings");
        assert_eq!(
            sources(&settings),
            "openai provider openai https://api.openai.com/v1 in the environment 3600\n\
             google provider google https://generativelanguage.googleapis.com/ mine 86400\n\
             mistral provider openai https://api.mistral.ai/v1 from-a-file 86400\n\
             box endpoint openai http://box:8000/ - 90\n"
        );
        assert_eq!(settings.listen, "127.0.0.1:1");
        assert_eq!(settings.config.database.get_filename(), Path::new("env.db"));
        assert!(settings.config.discovery_ports.is_empty());
        assert!(
            settings
                .config
                .sources
                .iter()
                .any(|source| source.role == Role::Endpoint)
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_key_file_that_others_may_read_is_warned_of() {
        use std::os::unix::fs::PermissionsExt;
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "k").expect("written");
        let path = file.path().display().to_string();
        for (mode, warnings) in [(0o600, 0), (0o644, 1)] {
            std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode))
                .expect("set");
            let settings = read(&[("OPENAI_API_KEY_FILE", &path)], None).expect("settings");
            assert_eq!(settings.warnings.len(), warnings, "{mode:o}");
            assert!(sources(&settings).contains(" k "));
        }
    }

    #[rstest]
    #[case::no_url(&[], "[providers.x]\napi_key = 'secret'", "[providers.x] has no base_url")]
    #[case::unknown_field(&[], "[providers.x]\nbase_ulr = 'secret'", "base_ulr")]
    #[case::two_keys(&[], "[providers.openai]\napi_key = 'secret'\napi_key_env = 'X'", "several keys")]
    #[case::unset_variable(&[], "[providers.openai]\napi_key_env = 'NOT_SET'", "NOT_SET")]
    #[case::bad_ttl(&[], "[endpoints.x]\nbase_url = 'http://x'\nttl = '0s'", "ttl of `x`")]
    #[case::bad_name(&[], "[endpoints.'x y']\nbase_url = 'http://x'", "`x y`")]
    #[case::both_roles(&[], "[endpoints.x]\nbase_url='http://x'\n[providers.x]\nbase_url='http://x'", "both called `x`")]
    #[case::not_toml(&[], "= secret", "is not usable")]
    #[case::wrong_type(&[], "[providers.x]\napi_key = ['secret']", "is not usable")]
    #[case::key_instead_of_a_table(&[], "[providers]\nopenai = 'secret'", "providers.openai")]
    #[case::key_instead_of_all_tables(&[], "providers = 'secret'", "providers")]
    #[case::key_as_kind(&[], "[providers.openai]\napi_key = 'k'\nkind = 'secret'", "kind")]
    #[case::key_as_variable(&[], "[providers.openai]\napi_key_env = 'sk-secret'", "api_key_env")]
    #[case::key_as_alphanumeric_variable(&[], "[providers.openai]\napi_key_env = 'AIzasecret1'", "api_key_env")]
    #[case::key_as_file(&[], "[providers.openai]\napi_key_file = 'sk-secret'", "api_key_file")]
    #[case::key_as_file_variable(&[("OPENAI_API_KEY_FILE", "sk-secret")], "", "OPENAI_API_KEY_FILE")]
    #[case::key_as_switch(&[], "discover = 'secret'", "discover")]
    #[case::webhook_without_url(&[], "[webhooks.x]\nsecret = 'whsec_c2VjcmV0c2VjcmV0c2VjcmV0'", "[webhooks.x] needs a url")]
    #[case::webhook_weak(&[], "[webhooks.x]\nurl = 'http://x/secret'\nsecret = 'c2VjcmV0'", "webhook `x`: its secret")]
    #[case::webhook_no_base64(&[], "[webhooks.x]\nurl = 'http://x/'\nsecret = 'whsec_secret!secret!secret!secret!'", "webhook `x`: its secret")]
    #[case::webhook_url(&[], "[webhooks.x]\nurl = 'secret'\nsecret = 'whsec_c2VjcmV0c2VjcmV0c2VjcmV0'", "the url of webhook `x`")]
    #[case::webhook_event(&[], "[webhooks.x]\nurl = 'http://x/'\nsecret = 'whsec_c2VjcmV0c2VjcmV0c2VjcmV0'\nevents = ['gone']", "events are added")]
    #[case::webhook_glob(&[], "[webhooks.x]\nurl = 'http://x/'\nsecret = 'whsec_c2VjcmV0c2VjcmV0c2VjcmV0'\nmodels = ['[']", "webhook `x`: models")]
    #[case::bad_retention(&[], "keep_events = 'a while'", "keep_events")]
    #[case::bad_kind(&[], "[providers.x]\nkind = 'bard'", "kind is openai, google, anthropic or ollama")]
    #[case::endpoint_twice(&[("MODEL_CATALOG_ENDPOINTS", "a=http://x,b=http://x,a=http://y")], "", "`a` twice")]
    #[case::key_without_end(&[("OPENAI_API_KEY_FILE", "/dev/zero")], "", "OPENAI_API_KEY_FILE")]
    #[case::memory(&[("DATABASE_URL", "sqlite://x.db?mode=memory")], "", "DATABASE_URL")]
    #[case::url_with_a_key(&[("OPENAI_API_KEY", "k"), ("OPENAI_BASE_URL", "https://h/?key=secret")], "", "OPENAI_BASE_URL must not hold a query")]
    #[case::url_with_a_password(&[("OPENAI_API_KEY", "k"), ("OPENAI_BASE_URL", "https://u:secret@h/")], "", "OPENAI_BASE_URL must not hold a user")]
    #[case::not_http(&[("OPENAI_API_KEY", "k"), ("OPENAI_BASE_URL", "ftp://secret/")], "", "OPENAI_BASE_URL is not an http")]
    #[case::two_line_key(&[("OPENAI_API_KEY", "sec\nret")], "", "key of `openai`")]
    #[case::endpoints(&[("MODEL_CATALOG_ENDPOINTS", "http://secret")], "", "MODEL_CATALOG_ENDPOINTS")]
    fn refuses_with_one_line_that_names_the_setting(
        #[case] variables: &[(&str, &str)],
        #[case] toml: &str,
        #[case] expected: &str,
    ) {
        let message = read(variables, Some(toml))
            .expect_err("refused")
            .to_string();
        assert!(message.contains(expected), "{message}");
        // The name of a setting, not a value.
        let values = message
            .replace("secret_", "")
            .replace("its secret", "")
            .replace("a secret", "");
        assert!(
            !message.contains('\n') && !values.contains("secret") && !values.contains("c2VjcmV0"),
            "{message}"
        );
    }

    #[test]
    fn an_api_key_env_may_come_from_a_file_too() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "k\n").expect("written");
        let path = file.path().display().to_string();
        let toml = "[providers.x]\nbase_url = 'http://x'\napi_key_env = 'X_KEY'";
        let settings = read(&[("X_KEY_FILE", &path)], Some(toml)).expect("settings");
        assert!(sources(&settings).contains(" k "), "{}", sources(&settings));
    }

    #[test]
    fn a_base_url_without_a_key_is_told() {
        let settings = read(&[("OPENAI_BASE_URL", "http://x/v1")], None).expect("settings");
        assert!(settings.config.sources.is_empty());
        assert!(
            settings.warnings[0].contains("OPENAI_API_KEY"),
            "{:?}",
            settings.warnings
        );
    }

    #[test]
    fn an_admin_key_comes_from_anywhere() {
        let of = |settings: Settings| {
            settings
                .config
                .admin_key
                .map(|key| key.expose_secret().to_owned())
        };
        let toml = Some("admin_key = 'file'");
        assert_eq!(
            of(read(&[], toml).expect("settings")).as_deref(),
            Some("file")
        );
        let variables = [("MODEL_CATALOG_ADMIN_KEY", "variable")];
        assert_eq!(
            of(read(&variables, toml).expect("settings")).as_deref(),
            Some("variable")
        );
        assert_eq!(of(read(&[], None).expect("settings")), None);
    }

    #[test]
    fn flags_beat_the_environment() {
        let flags = Flags {
            listen: Some("127.0.0.1:2".to_owned()),
            database_url: Some("sqlite://flag.db".to_owned()),
            config: None,
        };
        let environment = Environment::new(|_| Some("sqlite://env.db".to_owned()));
        let error = Settings::read(&flags, &environment)
            .expect_err("a configuration file from the environment");
        assert!(error.to_string().contains("sqlite://env.db"), "{error}");
        let environment = Environment::new(|name| {
            matches!(name, "DATABASE_URL" | "MODEL_CATALOG_LISTEN")
                .then(|| "sqlite://env.db".to_owned())
        });
        let settings = Settings::read(&flags, &environment).expect("settings");
        assert_eq!(settings.listen, "127.0.0.1:2");
        assert_eq!(
            settings.config.database.get_filename(),
            Path::new("flag.db")
        );
    }
}
