//! `model-catalog config`: checks the settings without starting, prints an example, or makes a file.

mod origins;

use std::{fmt::Write, process::ExitCode};

use clap::Subcommand;
use serde_json::{Map, Value, json};

use self::origins::Origins;
use super::{
    files::print,
    init::Init,
    text::{printable, table},
};
use crate::config::{
    environment::Environment,
    read::{Flags, Settings},
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
                let origins = Origins::of(&check.flags, environment);
                print(&match check.json {
                    true => format!("{:#}\n", json(&settings, &origins)),
                    false => describe(&settings, &origins)? + &origins.describe(),
                })?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn describe(settings: &Settings, origins: &Origins) -> Result<String, std::fmt::Error> {
    let config = &settings.config;
    let rows = config.sources.iter();
    let rows = rows.map(|source| row(source, origins.of_source(config, source)));
    let names = [
        "SOURCE", "ROLE", "KIND", "BASE URL", "KEY", "TTL", "RULES", "SET BY",
    ];
    let mut text = String::new();
    for (name, value) in values(settings) {
        writeln!(text, "{name}: {value} ({})", origins.of_setting(name))?;
    }
    match config.sources.is_empty() {
        true => writeln!(text, "\nno source is configured")?,
        false => writeln!(text, "\n{}", table(names, rows))?,
    }
    for warning in &settings.warnings {
        writeln!(text, "\nwarning: {}", printable(warning))?;
    }
    Ok(text)
}

/// The settings as JSON; of a secret only whether it is set.
fn json(settings: &Settings, origins: &Origins) -> Value {
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
            "set_by": origins.of_source(config, source),
        })
    };
    let values = values(settings);
    let set_by: Map<String, Value> = values
        .iter()
        .map(|(name, _)| (name.replace(' ', "_"), origins.of_setting(name).into()))
        .collect();
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
        "origins": set_by,
        "set_by": origins,
    })
}

/// A row of the table; of the key only whether there is one.
fn row(source: &SourceConfig, set_by: String) -> [String; 8] {
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
        set_by,
    ]
}

/// The settings besides sources, in words; of secrets only whether they are set.
fn values(settings: &Settings) -> [(&'static str, String); 8] {
    let config = &settings.config;
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
    let set = |is_set: bool| if is_set { "set" } else { "none" }.to_owned();
    let looked_for = match config.discovery_ports.is_empty() {
        true => "not looked for",
        false => "looked for on their usual ports",
    };
    [
        ("listen", settings.listen.clone()),
        ("database", printable(&config.database_url)),
        ("admin key", set(config.admin_key.is_some())),
        ("client keys", names(keys)),
        ("webhooks", names(webhooks.collect())),
        ("watched models", watched.to_string()),
        ("enrichment", set(config.enrichment.is_some())),
        ("local servers", looked_for.to_owned()),
    ]
}
