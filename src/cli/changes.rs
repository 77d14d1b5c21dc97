//! `model-catalog changes`: what changed since a revision, a time, or for how long.

use std::process::ExitCode;

use chrono::TimeDelta;
use serde::Deserialize;
use serde_json::Value;
use url::form_urlencoded;

use super::{
    files::print,
    list::parse_time,
    origin::Origin,
    reader::Reader,
    text::{field, table},
};
use crate::{
    config::environment::Environment,
    model::time::{Clock, parse_duration},
};

/// Events asked for at a time.
const LIMIT: &str = "10000";

/// `model-catalog changes`.
#[derive(Clone, Debug, clap::Args)]
pub struct Changes {
    /// Since when: a duration (7d), a time or date, or a revision
    #[arg(long, value_name = "WHEN", default_value = "7d", value_parser = parse_since)]
    pub since: Since,
    /// Only changes of this source
    #[arg(long, value_name = "SOURCE")]
    pub source: Option<String>,
    /// Only changes of the model with this id
    #[arg(long, value_name = "ID")]
    pub model: Option<String>,
    /// Only some of added, changed, removed, returned, hidden and shown, separated by commas
    #[arg(long, value_name = "KINDS")]
    pub event: Option<String>,
    /// Print each event as JSON, a line each
    #[arg(long)]
    pub json: bool,
    /// Where to read.
    #[command(flatten)]
    pub origin: Origin,
}

/// Where the changes begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Since {
    /// This long ago.
    Ago(TimeDelta),
    /// At this time.
    Time(String),
    /// After this revision.
    Revision(i64),
}

fn parse_since(text: &str) -> anyhow::Result<Since> {
    if let Ok(revision @ 0..) = text.parse() {
        return Ok(Since::Revision(revision));
    }
    if let Some(age) = parse_duration(text) {
        return Ok(Since::Ago(age));
    }
    match parse_time(text) {
        Ok(time) => Ok(Since::Time(time)),
        Err(_) => anyhow::bail!("it must be a duration such as 7d, a time, a date, or a revision"),
    }
}

#[derive(Deserialize)]
struct Page {
    next: i64,
    has_more: bool,
    events: Vec<Value>,
}

impl Changes {
    /// Prints the changes, oldest first.
    pub async fn run(&self, environment: &Environment<'_>) -> anyhow::Result<ExitCode> {
        let reader = self.origin.reader(environment)?;
        let mut since = self.since.revision(&reader).await?;
        let mut events = Vec::new();
        loop {
            let page: Page = reader.get(&self.path(since)).await?;
            events.extend(page.events);
            since = page.next;
            if !page.has_more {
                break;
            }
        }
        let text = if self.json {
            let lines = events.iter().map(|event| format!("{event}\n"));
            lines.collect()
        } else if events.is_empty() {
            "nothing changed\n".to_owned()
        } else {
            let rows = events.iter().map(|event| {
                [
                    field(event, "at"),
                    field(event, "revision"),
                    field(event, "source"),
                    field(event, "event"),
                    field(event, "id"),
                    what_changed(event),
                ]
            });
            let names = ["WHEN", "REVISION", "SOURCE", "EVENT", "MODEL", "WHAT"];
            format!("{}\n", table(names, rows))
        };
        print(&text)?;
        Ok(ExitCode::SUCCESS)
    }

    fn path(&self, since: i64) -> String {
        let mut query = form_urlencoded::Serializer::new("catalog/changes?".to_owned());
        query.append_pair("since", &since.to_string());
        query.append_pair("limit", LIMIT);
        for (name, value) in [
            ("source", &self.source),
            ("model", &self.model),
            ("event", &self.event),
        ] {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        query.finish()
    }
}

impl Since {
    /// The revision after which the changes begin.
    async fn revision(&self, reader: &Reader) -> anyhow::Result<i64> {
        let at = match self {
            Self::Revision(revision) => return Ok(*revision),
            Self::Time(time) => time.clone(),
            Self::Ago(age) => Clock::system().now().plus(-*age).to_string(),
        };
        let mut query = form_urlencoded::Serializer::new("v1/models?".to_owned());
        query.append_pair("at", &at);
        query.append_pair("limit", "1");
        reader.revision(&query.finish()).await
    }
}

/// What changed in an event of a feed: each field with its values before and after.
pub(super) fn what_changed(event: &Value) -> String {
    let changed = event["changed"].as_array().into_iter().flatten();
    let change = |name: &Value| {
        let name = name.as_str().unwrap_or_default();
        let value = |side: &str| match &event[side][name] {
            Value::Null => "unknown".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let (before, after) = (value("before"), value("after"));
        // Neither side has the values of what is no attribute, or is long.
        match before == after || before.len() + after.len() > 80 {
            true => name.to_owned(),
            false => format!("{name} {before} → {after}"),
        }
    };
    changed.map(change).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case("7d", Some(Since::Ago(TimeDelta::days(7))))]
    #[case("42", Some(Since::Revision(42)))]
    #[case("2026-11-01", Some(Since::Time("2026-11-01T00:00:00Z".to_owned())))]
    #[case("2026-11-01T10:00:00Z", Some(Since::Time("2026-11-01T10:00:00Z".to_owned())))]
    #[case("yesterday", None)]
    #[case("-1", None)]
    fn since(#[case] text: &str, #[case] expected: Option<Since>) {
        assert_eq!(parse_since(text).ok(), expected);
    }

    #[test]
    fn what_changed_is_told_with_both_values() {
        let event = json!({"changed": ["context_window", "lifecycle", "description", "id"],
            "before": {"context_window": 1, "description": "a".repeat(50)},
            "after": {"context_window": 2, "lifecycle": "deprecated", "description": "b".repeat(50)}});
        assert_eq!(
            what_changed(&event),
            "context_window 1 → 2, lifecycle unknown → deprecated, description, id"
        );
        assert_eq!(what_changed(&json!({"event": "added"})), "");
    }
}
