//! `model-catalog config`: checks the settings without starting, prints an example, or makes a file.

use std::{fmt::Write, process::ExitCode};

use clap::Subcommand;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    files::print,
    init::Init,
    text::{printable, table},
};
use crate::config::{
    Config,
    environment::Environment,
    read::{Flags, Settings, settings_file},
    source::SourceConfig,
};

/// The settings file with every setting, commented out.
pub(super) const EXAMPLE: &str = include_str!("example.toml");

/// `model-catalog config`.
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigCommand {
    /// Check the settings and print what is in force, without any secret
    #[command(
        after_help = "Example, before a running catalog reads the file:\n  model-catalog config check --config model-catalog.toml"
    )]
    Check(Check),
    /// Ask a few questions and write a settings file
    #[command(after_help = "Example:\n  model-catalog config init model-catalog.toml")]
    Init(Init),
    /// Print a settings file with every setting, commented out
    #[command(after_help = "Example:\n  model-catalog config example > model-catalog.toml")]
    Example,
}

/// `model-catalog config check`.
#[derive(Clone, Debug, clap::Args)]
pub struct Check {
    #[command(flatten)]
    flags: Flags,
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
}

impl ConfigCommand {
    /// Prints the example, or the settings; fails on the first that cannot be used.
    pub fn run(&self, environment: &Environment<'_>) -> anyhow::Result<ExitCode> {
        match self {
            Self::Example => print(EXAMPLE)?,
            Self::Init(init) => return init.run(),
            Self::Check(check) => {
                let settings = Settings::read(&check.flags, environment)?;
                let set_by = SetBy::of(&check.flags, environment);
                print(&match check.json {
                    true => format!("{:#}\n", json(&settings, &set_by)),
                    false => describe(&settings)? + &set_by.describe(),
                })?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn describe(settings: &Settings) -> Result<String, std::fmt::Error> {
    let config = &settings.config;
    let rows = config.sources.iter().map(source);
    let names = ["SOURCE", "ROLE", "KIND", "BASE URL", "KEY", "TTL", "RULES"];
    let mut text = format!("listen: {}\n", settings.listen);
    writeln!(text, "database: {}", printable(&config.database_url))?;
    writeln!(text, "{}", others(config))?;
    match config.sources.is_empty() {
        true => writeln!(text, "\nno source is configured")?,
        false => writeln!(text, "\n{}", table(names, rows))?,
    }
    for warning in &settings.warnings {
        writeln!(text, "\nwarning: {}", printable(warning))?;
    }
    Ok(text)
}

/// Where the settings came from: a flag beats the environment, which beats the file.
#[derive(Debug, Serialize)]
struct SetBy {
    flags: Vec<&'static str>,
    /// The variables that were read.
    environment: Vec<String>,
    file: Option<String>,
}

impl SetBy {
    fn of(flags: &Flags, environment: &Environment<'_>) -> Self {
        let file = settings_file(flags, environment);
        let set = [
            ("--listen", flags.listen.is_some()),
            ("--database-url", flags.database_url.is_some()),
            ("--config", flags.config.is_some()),
            ("--log-format", flags.log_format.is_some()),
        ];
        let flags = set.iter().filter(|(_, is_set)| *is_set);
        Self {
            flags: flags.map(|(name, _)| *name).collect(),
            environment: environment.used(),
            file,
        }
    }

    fn describe(&self) -> String {
        let file = self
            .file
            .as_ref()
            .map_or_else(String::new, |path| printable(path));
        let said = [
            ("flags", self.flags.join(", ")),
            ("environment", self.environment.join(", ")),
            ("file", file),
        ];
        let said = said.iter().filter(|(_, what)| !what.is_empty());
        let said: Vec<String> = said
            .map(|(place, what)| format!("  {place}: {what}"))
            .collect();
        match said.is_empty() {
            true => {
                "\nall of it is the default: no flag, variable or file says anything\n".to_owned()
            }
            false => format!(
                "\nset by (the first that sets something counts; the rest is the default):\n{}\n",
                said.join("\n")
            ),
        }
    }
}

/// The settings as JSON; of a secret only whether it is set.
fn json(settings: &Settings, set_by: &SetBy) -> Value {
    let config = &settings.config;
    let source = |source: &SourceConfig| {
        json!({
            "name": source.name,
            "role": source.role,
            "kind": source.kind,
            "base_url": source.base_url.to_string(),
            "key_is_set": source.key.is_some(),
            "ttl_secs": source.ttl.num_seconds(),
            "max_stale_secs": source.max_stale.map(|time| time.num_seconds()),
            "rules": source.rules,
        })
    };
    let watched: Vec<&str> = config.watch.iter().flat_map(|watch| watch.ids()).collect();
    let keys = config.keys.iter().map(|key| key.name.to_string());
    let webhooks = config
        .webhooks
        .iter()
        .map(|webhook| webhook.name.to_string());
    json!({
        "listen": settings.listen,
        "database_url": config.database_url,
        "sources": config.sources.iter().map(source).collect::<Vec<_>>(),
        "admin_key_is_set": config.admin_key.is_some(),
        "client_keys": keys.collect::<Vec<_>>(),
        "webhooks": webhooks.collect::<Vec<_>>(),
        "watched_models": watched,
        "enrichment_is_set": config.enrichment.is_some(),
        "discovery_ports": config.discovery_ports,
        "warnings": settings.warnings,
        "set_by": set_by,
    })
}

/// A row of the table; of the key only whether there is one.
fn source(source: &SourceConfig) -> [String; 7] {
    let rules = &source.rules;
    let rules = [
        ("include", rules.include.len()),
        ("exclude", rules.exclude.len()),
        ("aliases", rules.aliases.len()),
    ];
    let rules = rules.iter().filter(|(_, count)| *count > 0);
    let rules: Vec<String> = rules
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    [
        source.name.to_string(),
        source.role.as_str().to_owned(),
        source.kind.as_str().to_owned(),
        source.base_url.to_string(),
        if source.key.is_some() { "set" } else { "none" }.to_owned(),
        source.ttl.to_std().map_or_else(
            |_| String::new(),
            |ttl| humantime::format_duration(ttl).to_string(),
        ),
        rules.join(", "),
    ]
}

/// The names of what is configured besides sources.
fn others(config: &Config) -> String {
    let names = |names: Vec<String>| match names.is_empty() {
        true => "none".to_owned(),
        false => names.join(", "),
    };
    let keys = config.keys.iter().map(|key| key.name.to_string()).collect();
    let webhooks = config
        .webhooks
        .iter()
        .map(|webhook| webhook.name.to_string());
    let watched = config.watch.as_ref().map_or(0, |watch| watch.ids().count());
    let set = |is_set: bool| if is_set { "set" } else { "none" };
    [
        format!("admin key: {}", set(config.admin_key.is_some())),
        format!("client keys: {}", names(keys)),
        format!("webhooks: {}", names(webhooks.collect())),
        format!("watched models: {watched}"),
        format!("enrichment: {}", set(config.enrichment.is_some())),
        format!(
            "local servers: {}",
            match config.discovery_ports.is_empty() {
                true => "not looked for",
                false => "looked for on their usual ports",
            }
        ),
    ]
    .join("\n")
}
