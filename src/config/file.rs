//! The TOML file: its tables and its parser. Errors never show values from the file, which may be
//! keys.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use secrecy::SecretString;
use serde::Deserialize;

use super::{
    error::ConfigError,
    secrets::{SecretPlaces, read_text},
    source::SourceConfig,
};
use crate::{
    lock::watch::Watch,
    model::{closest::closest, source::Kind, time::parse_duration},
};

/// The largest configuration file, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// The longest allowed `ttl` and `max_stale`, in days.
pub(super) const LONGEST_TTL: i64 = 365;
/// The longest finite retention of history, in days.
pub(super) const LONGEST_RETENTION: i64 = 36_500;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct File {
    pub(super) listen: Option<String>,
    pub(super) database_url: Option<String>,
    pub(super) discover: Option<bool>,
    pub(super) public_lists: Option<bool>,
    pub(super) cors_origins: Vec<String>,
    pub(super) allowed_hosts: Vec<String>,
    pub(super) admin_key: Option<SecretString>,
    pub(super) keys: Vec<KeyTable>,
    pub(super) enrichment: Option<EnrichmentTable>,
    pub(super) watch: Option<WatchTable>,
    pub(super) keep_events: Option<String>,
    pub(super) keep_fetches: Option<String>,
    pub(super) webhooks: BTreeMap<String, WebhookTable>,
    pub(super) providers: BTreeMap<String, Table>,
    pub(super) endpoints: BTreeMap<String, Table>,
}

/// `[providers.x]` or `[endpoints.x]`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Table {
    pub(super) enabled: Option<bool>,
    pub(super) kind: Option<Kind>,
    pub(super) base_url: Option<String>,
    pub(super) api_key: Option<SecretString>,
    pub(super) api_key_env: Option<String>,
    pub(super) api_key_file: Option<String>,
    pub(super) ttl: Option<String>,
    pub(super) max_stale: Option<String>,
    pub(super) include: Vec<String>,
    pub(super) exclude: Vec<String>,
    pub(super) aliases: BTreeMap<String, String>,
}

impl Table {
    /// The settings that can hold its key.
    pub(super) fn key_places(&self) -> SecretPlaces<'_> {
        SecretPlaces {
            field: "api_key",
            value: &self.api_key,
            variable: &self.api_key_env,
            file: &self.api_key_file,
        }
    }
}

/// One of `[[keys]]`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct KeyTable {
    pub(super) name: String,
    pub(super) key: Option<SecretString>,
    pub(super) key_env: Option<String>,
    pub(super) key_file: Option<String>,
    pub(super) sources: Option<Vec<String>>,
    pub(super) models: Option<Vec<String>>,
}

impl KeyTable {
    /// The settings that can hold the key.
    pub(super) fn places(&self) -> SecretPlaces<'_> {
        SecretPlaces {
            field: "key",
            value: &self.key,
            variable: &self.key_env,
            file: &self.key_file,
        }
    }
}

/// `[enrichment]`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct EnrichmentTable {
    pub(super) url: String,
    pub(super) ttl: Option<String>,
}

impl EnrichmentTable {
    pub(super) fn read(&self) -> Result<SourceConfig, ConfigError> {
        let mut source = SourceConfig::enrichment(&self.url)?;
        if let Some(ttl) = &self.ttl {
            source.ttl = parse_time("ttl of [enrichment]", ttl, LONGEST_TTL)?;
        }
        Ok(source)
    }
}

/// `[watch]`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct WatchTable {
    pub(super) models: Vec<String>,
    pub(super) lockfile: Option<String>,
    pub(super) within: Option<String>,
}

impl WatchTable {
    pub(super) fn read(&self) -> Result<Watch, ConfigError> {
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
        Ok(Watch::from_lockfile(&text, within)?.and(watch)?)
    }
}

/// How close a watched model's retirement may come before it is a problem, by default.
const DEFAULT_WITHIN: TimeDelta = TimeDelta::days(30);

/// `[webhooks.x]`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct WebhookTable {
    pub(super) url: Option<SecretString>,
    pub(super) url_env: Option<String>,
    pub(super) url_file: Option<String>,
    pub(super) secret: Option<SecretString>,
    pub(super) secret_env: Option<String>,
    pub(super) secret_file: Option<String>,
    pub(super) sources: Vec<String>,
    pub(super) events: Vec<String>,
    pub(super) models: Vec<String>,
}

impl WebhookTable {
    /// The settings that can hold its URL.
    pub(super) fn url_places(&self) -> SecretPlaces<'_> {
        SecretPlaces {
            field: "url",
            value: &self.url,
            variable: &self.url_env,
            file: &self.url_file,
        }
    }

    /// The settings that can hold its secret.
    pub(super) fn secret_places(&self) -> SecretPlaces<'_> {
        SecretPlaces {
            field: "secret",
            value: &self.secret,
            variable: &self.secret_env,
            file: &self.secret_file,
        }
    }
}

/// Reads and parses the file at `path`. Fails when it cannot be read, is too large or holds an
/// unusable setting.
pub(super) fn read_file(path: &str) -> Result<File, ConfigError> {
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
            let place = match find_line(&text) {
                Some(line) => format!("{path}:{line}"),
                None => path.to_owned(),
            };
            ConfigError(format!(
                "the configuration file {place} is not usable: {}",
                describe(&error)
            ))
        })
}

/// The line of the first error in `text`, from 1.
fn find_line(text: &str) -> Option<usize> {
    let error = toml::from_str::<File>(text).err()?;
    let start = error.span()?.start.min(text.len());
    let before = text.as_bytes().get(..start)?;
    Some(before.iter().filter(|byte| **byte == b'\n').count() + 1)
}

/// What serde says of an unknown field, with the known one that was probably meant.
fn suggest(unknown: &str) -> String {
    let mut names = unknown.split('`').skip(1).step_by(2);
    let field = names.next().unwrap_or_default();
    let known: Vec<&str> = names.collect();
    match closest(field, known.iter().copied()).first() {
        Some(meant) => format!(
            "unknown field `{field}`, did you mean `{meant}`? It may be one of {}",
            known.join(", ")
        ),
        None => unknown.to_owned(),
    }
}

/// Describes `error` without any value from the file: a misplaced value may be a key.
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
        // Names the unknown field and the fields that exist.
        Message(text) if text.starts_with("unknown field") => suggest(&first_line(text.clone())),
        At { error, key, .. } => match &**error {
            Message(text) if text.starts_with("unknown field") => {
                let unknown = suggest(&first_line(text.clone()));
                format!("{}: {unknown}", named(key))
            }
            _ if key.as_ref().is_some_and(|key| key.ends_with(".kind")) => {
                format!("{} has a value that cannot be used: {KINDS}", named(key))
            }
            _ => format!("{} has a value that cannot be used", named(key)),
        },
        // The first line gives the position; the lines after it quote the file.
        FileParse { cause, .. } => first_line(cause.to_string()),
        _ => format!("a setting has a value that cannot be used; {KINDS}"),
    }
}

const KINDS: &str =
    "kind is openai, google, anthropic, azure, cohere, openrouter, ollama, bedrock or cloudflare";

/// Parses `text` as a duration from 1 s to `longest_days`. The error names `setting`.
pub(super) fn parse_time(
    setting: &str,
    text: &str,
    longest_days: i64,
) -> Result<TimeDelta, ConfigError> {
    parse_duration(text)
        .filter(|time| (TimeDelta::seconds(1)..=TimeDelta::days(longest_days)).contains(time))
        .ok_or_else(|| {
            ConfigError(format!(
                "{setting} must be a duration from 1s to {longest_days}d, such as \"24h\" or \"90s\""
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every setting of every table, as `[table]` and its fields.
    const TABLES: [(&str, &[&str]); 7] = [
        (
            "",
            &[
                "listen",
                "database_url",
                "discover",
                "public_lists",
                "cors_origins",
                "allowed_hosts",
                "admin_key",
                "keep_events",
                "keep_fetches",
            ],
        ),
        ("[providers.x]", TABLE),
        ("[endpoints.x]", TABLE),
        (
            "[[keys]]",
            &["name", "key", "key_env", "key_file", "sources", "models"],
        ),
        ("[enrichment]", &["url", "ttl"]),
        ("[watch]", &["models", "lockfile", "within"]),
        (
            "[webhooks.x]",
            &[
                "url",
                "url_env",
                "url_file",
                "secret",
                "secret_env",
                "secret_file",
                "sources",
                "events",
                "models",
            ],
        ),
    ];
    const TABLE: &[&str] = &[
        "enabled",
        "kind",
        "base_url",
        "api_key",
        "api_key_env",
        "api_key_file",
        "ttl",
        "max_stale",
        "include",
        "exclude",
        "aliases",
    ];

    #[test]
    fn the_documentation_has_every_setting_and_no_other() {
        let docs = include_str!("../../docs/settings.md");
        for (table, fields) in TABLES {
            let table = if table.is_empty() {
                "at the top"
            } else {
                table
            };
            let row = docs.lines().find_map(|line| {
                let (tables, settings) = line.strip_prefix("| ")?.split_once(" | ")?;
                tables.contains(table).then_some(settings)
            });
            let row = row.unwrap_or_else(|| panic!("no row for {table}"));
            let settings = row.split(['|', '(']).next().unwrap_or_default();
            let documented: Vec<&str> = settings.split('`').skip(1).step_by(2).collect();
            assert_eq!(documented, *fields, "{table}");
        }
    }

    fn error_of(text: &str) -> String {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("settings.toml");
        std::fs::write(&path, text).expect("written");
        let read = read_file(path.to_str().expect("text"));
        read.err().expect("refused").to_string()
    }

    #[test]
    fn a_typo_in_any_setting_is_named_with_its_line_and_what_was_meant() {
        for (table, fields) in TABLES {
            for field in fields {
                let (first, rest) = field.split_at(1);
                let (second, rest) = rest.split_at(1);
                for typo in [
                    format!("{field}s"),
                    format!("{first}{second}{second}{rest}"),
                    format!("{second}{first}{rest}"),
                    format!("{first}{rest}"),
                ] {
                    if fields.contains(&typo.as_str()) || typo == *field {
                        continue;
                    }
                    let error = error_of(&format!("# settings\n\n{table}\n{typo} = 's3cret'\n"));
                    let meant = format!("unknown field `{typo}`, did you mean `{field}`?");
                    assert!(error.contains(&meant), "{table} {typo}: {error}");
                    assert!(error.contains("settings.toml:4 is not usable"), "{error}");
                    assert!(
                        !error.contains("s3cret") && !error.contains('\n'),
                        "{error}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_value_of_the_wrong_type_is_named_with_its_line() {
        for (text, expected) in [
            (
                "listen = '127.0.0.1:1'\ndiscover = 'perhaps'\n",
                ":2 is not usable: discover ",
            ),
            (
                "[providers.x]\n\napi_key = ['s3cret']\n",
                ":3 is not usable: ",
            ),
            ("[providers.x]\nkind = 's3cret'\n", ":2 is not usable: "),
            ("listen = \n= s3cret\n", ":1 is not usable: "),
        ] {
            let error = error_of(text);
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
