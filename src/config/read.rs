//! Reading the settings: a flag beats the environment, and the environment beats the TOML file.

mod sources;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use secrecy::{ExposeSecret, SecretString};

use super::{
    Config, DISCOVERY_PORTS,
    cors::CorsOrigins,
    environment::Environment,
    error::ConfigError,
    file::{
        File, KeyTable, LONGEST_RETENTION, LONGEST_TTL, Table, WebhookTable, parse_time, read_file,
    },
    hosts::AllowedHosts,
    keys::{ClientKey, Keys},
    odd_key::oddity,
    proxy::check_proxies,
    secrets::{SecretPlaces, Secrets},
    source::{SourceConfig, check_header},
    webhook::WebhookConfig,
};
use crate::model::source::{Kind, SourceName};

/// The flags of `serve`.
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
    /// How the log is written: human or json (MODEL_CATALOG_LOG_FORMAT, default human on a terminal, else json)
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
}

/// The settings of the service.
#[derive(Debug)]
pub struct Settings {
    /// `host:port` to listen on.
    pub listen: String,
    /// The settings of the catalog itself.
    pub config: Config,
    /// Warnings for the operator, one line each.
    pub warnings: Vec<String>,
}

/// Default of `MODEL_CATALOG_LISTEN`.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:8484";
const DEFAULT_DATABASE_URL: &str = "sqlite://catalog.db";

impl Settings {
    /// Reads the settings from `flags`, `environment` and the TOML file that they name. Fails on
    /// the first setting that cannot be used.
    pub fn read(flags: &Flags, environment: &Environment) -> Result<Self, ConfigError> {
        let path = settings_file(flags, environment);
        let file = match &path {
            Some(path) => read_file(path)?,
            None => File::default(),
        };
        let database_url = database_url(flags.database_url.clone(), environment, file.database_url);
        let mut settings = Self {
            listen: listen_address(flags.listen.clone(), environment, file.listen),
            config: Config::new(&database_url)?,
            warnings: Vec::new(),
        };
        check_proxies(environment)?;
        let mut secrets = Secrets::new(environment);
        settings.config.admin_key =
            secrets
                .read_variables(&["MODEL_CATALOG_ADMIN_KEY"])?
                .or(secrets.read_places(
                    "admin_key",
                    SecretPlaces {
                        field: "admin_key",
                        value: &file.admin_key,
                        variable: &None,
                        file: &None,
                    },
                )?);
        if let Some(key) = settings.config.admin_key.clone() {
            settings.warn_of_odd("the admin key", key.expose_secret());
        }
        settings.config.cors_origins = match environment.get("MODEL_CATALOG_CORS_ORIGINS") {
            Some(listed) => CorsOrigins::parse(&listed.split(',').collect::<Vec<_>>())?,
            None => CorsOrigins::parse(&file.cors_origins)?,
        };
        settings.config.allowed_hosts = match environment.get("MODEL_CATALOG_ALLOWED_HOSTS") {
            Some(listed) => AllowedHosts::parse(&listed.split(',').collect::<Vec<_>>())?,
            None => AllowedHosts::parse(&file.allowed_hosts)?,
        };
        let retention = &mut settings.config.retention;
        if let Some(kept) = &file.keep_events
            && kept.trim() != "forever"
        {
            retention.events = Some(parse_time("keep_events", kept, LONGEST_RETENTION)?);
        }
        if let Some(kept) = &file.keep_fetches {
            retention.attempts = parse_time("keep_fetches", kept, LONGEST_RETENTION)?;
        }
        let public_lists = switch("MODEL_CATALOG_PUBLIC_LISTS", environment)?
            .or(file.public_lists)
            .unwrap_or(false);
        settings.add_providers(file.providers, public_lists, environment, &mut secrets)?;
        settings.add_endpoints(file.endpoints, environment, &mut secrets)?;
        settings.add_webhooks(&file.webhooks, &mut secrets)?;
        settings.add_keys(&file.keys, &mut secrets)?;
        settings.config.enrichment = file.enrichment.map(|table| table.read()).transpose()?;
        settings.config.watch = file.watch.map(|table| table.read()).transpose()?;
        let discovers = switch("MODEL_CATALOG_DISCOVER", environment)?.or(file.discover);
        if discovers.unwrap_or(true) {
            settings.config.discovery_ports = DISCOVERY_PORTS.to_vec();
        }
        if let Some(path) = path.filter(|_| secrets.are_in_file) {
            secrets.check_file(&path);
        }
        settings.warnings.append(&mut secrets.warnings);
        Ok(settings)
    }

    fn add_providers(
        &mut self,
        mut tables: BTreeMap<String, Table>,
        public_lists: bool,
        environment: &Environment,
        secrets: &mut Secrets,
    ) -> Result<(), ConfigError> {
        let take_table = |name: &str| tables.remove(name);
        self.add_presets(take_table, public_lists, environment, secrets)?;
        for (name, table) in tables {
            if table.enabled == Some(false) {
                continue;
            }
            let Some(base_url) = &table.base_url else {
                return Err(ConfigError(format!(
                    "[providers.{name}] has no base_url: set it to the URL in front of /models, such as https://api.example.com/v1"
                )));
            };
            let source =
                SourceConfig::provider(&name, table.kind.unwrap_or(Kind::OpenAi), base_url, None)?;
            let key = secrets.read_places(&name, table.key_places())?;
            self.add(source, key, &table)?;
        }
        Ok(())
    }

    fn add_endpoints(
        &mut self,
        mut tables: BTreeMap<String, Table>,
        environment: &Environment,
        secrets: &mut Secrets,
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
            if table.enabled == Some(false) {
                continue;
            }
            let Some(base_url) = &table.base_url else {
                return Err(ConfigError(format!(
                    "[endpoints.{name}] has no base_url: set it to the server's root, such as http://127.0.0.1:8000"
                )));
            };
            let mut source = SourceConfig::endpoint(&name, base_url)?;
            source.kind = table.kind.unwrap_or(source.kind);
            let key = secrets.read_places(&name, table.key_places())?;
            self.add(source, key, &table)?;
        }
        Ok(())
    }

    /// Adds `source` with its key and the settings from its `table`.
    pub(super) fn add(
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
        if let Some(key) = &key {
            let what = format!("the key of `{name}`");
            check_header(&what, key.expose_secret())?;
            self.warn_of_odd(&what, key.expose_secret());
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
        source = source.include(&table.include)?.exclude(&table.exclude)?;
        for (alias, target) in &table.aliases {
            source = source.alias(alias, target)?;
        }
        self.config.sources.push(source);
        Ok(())
    }

    /// Warns when `key` was copied with something around it.
    fn warn_of_odd(&mut self, what: &str, key: &str) {
        if let Some(oddity) = oddity(key) {
            self.warnings.push(format!("{what} {oddity}"));
        }
    }

    fn add_webhooks(
        &mut self,
        tables: &BTreeMap<String, WebhookTable>,
        secrets: &mut Secrets,
    ) -> Result<(), ConfigError> {
        for (name, table) in tables {
            let (Some(url), Some(secret)) = (
                secrets.read_places(name, table.url_places())?,
                secrets.read_places(name, table.secret_places())?,
            ) else {
                return Err(ConfigError(format!(
                    "[webhooks.{name}] needs a url and a secret (or url_env, secret_env, url_file, secret_file)"
                )));
            };
            let mut webhook =
                WebhookConfig::new(name, url.expose_secret(), secret.expose_secret())?;
            for source in &table.sources {
                if !self.names(source) {
                    secrets.warnings.push(format!(
                        "webhook `{name}` is limited to `{source}`, but no source has that name: check the spelling"
                    ));
                }
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

    fn add_keys(&mut self, tables: &[KeyTable], secrets: &mut Secrets) -> Result<(), ConfigError> {
        for table in tables {
            let name = table.name.as_str();
            // Checked first: the name may be the key itself, misplaced.
            ClientKey::check_name(name)?;
            let Some(value) = secrets.read_places(name, table.places())? else {
                return Err(ConfigError(format!(
                    "key `{name}` of [[keys]] has no value: set one of key, key_env and key_file"
                )));
            };
            self.warn_of_odd(&format!("key `{name}` of [[keys]]"), value.expose_secret());
            let mut key = ClientKey::new(name, value.expose_secret())?;
            let lists = [("sources", &table.sources), ("models", &table.models)];
            if let Some((field, _)) = lists
                .iter()
                .find(|(_, list)| list.as_ref().is_some_and(Vec::is_empty))
            {
                return Err(ConfigError(format!(
                    "{field} of key `{name}` is empty, so the key would see nothing: name some, or remove the line to allow all"
                )));
            }
            for source in table.sources.iter().flatten() {
                if !self.names(source) {
                    secrets.warnings.push(format!(
                        "key `{name}` may see `{source}`, but no source has that name: check the spelling"
                    ));
                }
                key = key.source(source);
            }
            if let Some(models) = &table.models {
                key = key.models(models)?;
            }
            self.config.keys.push(key);
        }
        Keys::new(self.config.keys.clone(), self.config.admin_key.as_ref()).map(drop)
    }

    /// Whether a configured source is called `name`.
    fn names(&self, name: &str) -> bool {
        self.config
            .sources
            .iter()
            .any(|source| source.name.as_str() == name)
    }
}

/// The path of the settings file, if there is one.
pub(crate) fn settings_file(flags: &Flags, environment: &Environment) -> Option<String> {
    let set = || environment.get("MODEL_CATALOG_CONFIG");
    flags.config.clone().or_else(set)
}

/// The address to listen on from the flag, the environment or the file, in that order.
pub(crate) fn listen_address(
    flag: Option<String>,
    environment: &Environment,
    file: Option<String>,
) -> String {
    flag.or_else(|| environment.get("MODEL_CATALOG_LISTEN"))
        .or(file)
        .unwrap_or_else(|| DEFAULT_LISTEN.to_owned())
}

/// The database URL from the flag, the environment or the file, in that order.
pub(crate) fn database_url(
    flag: Option<String>,
    environment: &Environment,
    file: Option<String>,
) -> String {
    flag.or_else(|| environment.get("DATABASE_URL"))
        .or(file)
        .unwrap_or_else(|| DEFAULT_DATABASE_URL.to_owned())
}

/// The key in `variable` that a command presents to a running catalog. Fails when no header can carry
/// it.
pub(crate) fn command_key(
    environment: &Environment,
    variable: &'static str,
) -> Result<Option<SecretString>, ConfigError> {
    let key = Secrets::new(environment).read_variables(&[variable])?;
    if let Some(key) = &key {
        check_header(variable, key.expose_secret())?;
    }
    Ok(key)
}

/// Reads the variable `name` as true or false; none when it is unset.
fn switch(name: &str, environment: &Environment) -> Result<Option<bool>, ConfigError> {
    match environment.get(name).as_deref() {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(_) => Err(ConfigError(format!("{name} must be true or false"))),
    }
}

fn parse_name(name: &str) -> Result<SourceName, ConfigError> {
    name.parse()
        .map_err(|error| ConfigError(format!("{error}")))
}
