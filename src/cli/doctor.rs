//! `model-catalog doctor`: looks once at everything that a catalog depends on. Changes nothing.

mod source;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use chrono::TimeDelta;
use futures_util::future::join_all;
use serde::Serialize;
use tempfile::NamedTempFile;

use self::source::ask;
use super::{
    backup::describe,
    files::print,
    text::{printable, table},
};
use crate::{
    config::{
        Config,
        environment::Environment,
        proxy::proxies,
        read::{Flags, Settings},
    },
    model::time::{Clock, Timestamp},
    provider::client::Clients,
    store::{
        copies::{self, Contents},
        error::StoreError,
    },
};

/// How far this machine's clock may be from a source's. Theirs are in whole seconds, and under way while the
/// source is asked.
const CLOCK_TOLERANCE: TimeDelta = TimeDelta::seconds(60);
/// The free space below which a disk is about to be full, in bytes.
const MIN_FREE_BYTES: u64 = 100_000_000;

/// `model-catalog doctor`.
#[derive(Clone, Debug, clap::Args)]
pub struct Doctor {
    /// The SQLite database (DATABASE_URL, default sqlite://catalog.db)
    #[arg(long, value_name = "URL")]
    pub database_url: Option<String>,
    /// TOML file with further settings (MODEL_CATALOG_CONFIG)
    #[arg(long, value_name = "FILE")]
    pub config: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// One thing that was looked at.
#[derive(Serialize)]
struct Check {
    check: String,
    ok: bool,
    message: String,
}

#[derive(Serialize)]
struct Report {
    checks: Vec<Check>,
}

impl Check {
    fn new(check: &str, result: Result<String, String>) -> Self {
        Self {
            check: check.to_owned(),
            ok: result.is_ok(),
            message: result.unwrap_or_else(|problem| problem),
        }
    }
}

impl Doctor {
    /// Prints a line for each thing; the exit code is 1 when something is wrong.
    pub async fn run(&self, environment: &Environment<'_>) -> anyhow::Result<ExitCode> {
        let flags = Flags {
            database_url: self.database_url.clone(),
            config: self.config.clone(),
            ..Flags::default()
        };
        let settings = Settings::read(&flags, environment)?;
        let config = &settings.config;
        let database = copies::path_of(&config.database_url)?;
        let clients = Clients::new()?;
        let proxies = proxies(environment);
        let mut checks = vec![Check::new("settings", summary(config))];
        let warnings = settings.warnings.iter();
        checks.extend(warnings.map(|warning| Check::new("settings", Err(warning.clone()))));
        let stored = stored(&database).await;
        checks.push(Check::new("disk", disk(&database, &stored)));
        checks.push(Check::new("proxy", Ok(proxy(&proxies))));
        checks.push(Check::new("certificates", certificates(&clients)));
        let asked = config
            .sources
            .iter()
            .map(|source| ask(&clients, source, &proxies));
        let asked = join_all(asked).await;
        let clocks: Vec<_> = asked
            .iter()
            .filter_map(|(_, clock)| clock.clone())
            .collect();
        checks.push(Check::new("clock", clock(&stored, &clocks)));
        checks.push(Check::new("database", stored.map(|stored| stored.message)));
        checks.extend(asked.into_iter().map(|(check, _)| check));
        let is_well = checks.iter().all(|check| check.ok);
        print(&match self.json {
            true => serde_json::to_string_pretty(&Report { checks })? + "\n",
            false => text(&checks),
        })?;
        Ok(ExitCode::from(u8::from(!is_well)))
    }
}

fn text(checks: &[Check]) -> String {
    let state = |check: &Check| if check.ok { "ok" } else { "problem" };
    let rows = checks.iter().map(|check| {
        let message = printable(&check.message);
        [state(check).to_owned(), check.check.clone(), message]
    });
    format!("{}\n", table(["STATE", "CHECK", "FOUND"], rows))
}

/// What is configured.
fn summary(config: &Config) -> Result<String, String> {
    let count = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    };
    if config.sources.is_empty() && config.discovery_ports.is_empty() {
        return Err("no source is configured: set a provider's key, such as OPENAI_API_KEY (`model-catalog providers` lists all), or MODEL_CATALOG_ENDPOINTS".to_owned());
    }
    let mut summary = [
        count(config.sources.len(), "source"),
        count(config.keys.len(), "client key"),
        count(config.webhooks.len(), "webhook"),
    ]
    .join(", ");
    if !config.discovery_ports.is_empty() {
        summary += "; local servers are looked for on their usual ports";
    }
    Ok(summary)
}

/// The database as it was found.
struct Stored {
    message: String,
    /// None before the first start.
    contents: Option<Contents>,
}

async fn stored(database: &Path) -> Result<Stored, String> {
    let name = database.display();
    match copies::check(database).await {
        Ok(contents) => Ok(Stored {
            message: format!("{name}: {}, whole", describe(&contents)),
            contents: Some(contents),
        }),
        Err(StoreError::NoCopy { .. }) => match NamedTempFile::new_in(folder_of(database)) {
            Ok(_) => Ok(Stored {
                message: format!("{name} does not exist yet; the first start will create it"),
                contents: None,
            }),
            Err(error) => Err(format!(
                "{name} does not exist, and it cannot be created: {error}; set DATABASE_URL to a file in a folder that can be written"
            )),
        },
        Err(StoreError::BadCopy { cause, .. }) => Err(format!(
            "{name} cannot be used ({cause}): put a backup in its place with `model-catalog restore FILE`, or set DATABASE_URL to another file"
        )),
        Err(error) => Err(error.to_string()),
    }
}

fn folder_of(database: &Path) -> PathBuf {
    match database.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// The space beside the database. A backup, and a migration now and then, need as much as it has.
fn disk(database: &Path, stored: &Result<Stored, String>) -> Result<String, String> {
    let folder = folder_of(database);
    let name = folder.display();
    let status = rustix::fs::statvfs(&folder).map_err(|error| {
        format!("the folder {name} cannot be read ({error}): create it, or set DATABASE_URL")
    })?;
    let free = status.f_bavail.saturating_mul(status.f_frsize);
    let contents = stored
        .as_ref()
        .ok()
        .and_then(|stored| stored.contents.as_ref());
    let needed = contents
        .map_or(0, |contents| contents.bytes)
        .max(MIN_FREE_BYTES);
    let free_megabytes = free / 1_000_000;
    if free < needed {
        return Err(format!(
            "only {free_megabytes} MB are free in {name}: make room for {} MB",
            needed / 1_000_000
        ));
    }
    Ok(format!("{free_megabytes} MB are free in {name}"))
}

fn proxy(proxies: &[(&str, String)]) -> String {
    if proxies.is_empty() {
        return "none".to_owned();
    }
    let proxies: Vec<_> = proxies
        .iter()
        .map(|(name, host)| format!("{name}: {host}"))
        .collect();
    format!(
        "{}; not for endpoints, nor for addresses of this machine or without TLS",
        proxies.join(", ")
    )
}

fn certificates(clients: &Clients) -> Result<String, String> {
    match &clients.tls_problem {
        None => Ok("the system's CA certificates were found".to_owned()),
        Some(problem) => Err(format!(
            "no certificate can be checked ({problem}): install CA certificates (package ca-certificates), or point SSL_CERT_FILE at them"
        )),
    }
}

fn clock(stored: &Result<Stored, String>, ahead: &[(String, TimeDelta)]) -> Result<String, String> {
    let now = Clock::system().now();
    let contents = stored
        .as_ref()
        .ok()
        .and_then(|stored| stored.contents.as_ref());
    let last: Option<Timestamp> = contents.and_then(|contents| contents.at);
    if let Some(last) = last.filter(|last| *last > now) {
        return Err(format!(
            "it shows {now}, but the last revision was made at {last}: set the clock (NTP)"
        ));
    }
    let Some((name, by)) = ahead.iter().max_by_key(|(_, by)| by.abs()) else {
        return Ok("no source said what time it is".to_owned());
    };
    if by.abs() <= CLOCK_TOLERANCE {
        return Ok(format!("agrees with that of {}", count_of(ahead.len())));
    }
    let direction = if *by > TimeDelta::zero() {
        "ahead of"
    } else {
        "behind"
    };
    Err(format!(
        "it is {} s {direction} the clock of {name}: set the clock (NTP)",
        by.abs().num_seconds()
    ))
}

fn count_of(sources: usize) -> String {
    match sources {
        1 => "one source".to_owned(),
        sources => format!("{sources} sources"),
    }
}
