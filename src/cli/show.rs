//! `model-catalog show`: everything that is known of one model, listed or not.

use std::{fmt::Write, process::ExitCode};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    changes::what_changed,
    files::print,
    origin::Origin,
    text::{field, printable, table},
};
use crate::config::environment::Environment;

/// `model-catalog show`.
#[derive(Clone, Debug, clap::Args)]
pub struct Show {
    /// The model's id, as it is listed or was listed
    #[arg(value_name = "ID")]
    pub id: String,
    /// Print one JSON object: the model, its history, and why it is listed or not
    #[arg(long)]
    pub json: bool,
    /// Where to read.
    #[command(flatten)]
    pub origin: Origin,
}

#[derive(Deserialize)]
struct Why {
    listed: bool,
    because: String,
    #[serde(default)]
    closest: Vec<String>,
}

#[derive(Deserialize)]
struct History {
    first_seen_at: String,
    last_seen_at: Option<String>,
    events: Vec<Value>,
}

impl Show {
    /// Prints the model. Exits with code 1 when it is not listed.
    pub async fn run(&self, environment: &Environment<'_>) -> anyhow::Result<ExitCode> {
        let reader = self.origin.reader(environment)?;
        let id = utf8_percent_encode(&self.id, NON_ALPHANUMERIC).to_string();
        let model: Option<Map<String, Value>> = reader.find(&format!("v1/models/{id}")).await?;
        let history: Option<Value> = reader.find(&format!("catalog/models/{id}/history")).await?;
        let why: Value = reader.get(&format!("catalog/why/{id}")).await?;
        let text = if self.json {
            let answer = json!({"model": model, "history": history, "why": why});
            serde_json::to_string_pretty(&answer)?
        } else {
            let history = history.map(serde_json::from_value).transpose()?;
            self.text(
                model.as_ref(),
                history.as_ref(),
                &serde_json::from_value(why)?,
            )?
        };
        print(&format!("{}\n", text.trim_end()))?;
        Ok(ExitCode::from(u8::from(model.is_none())))
    }

    fn text(
        &self,
        model: Option<&Map<String, Value>>,
        history: Option<&History>,
        why: &Why,
    ) -> anyhow::Result<String> {
        let mut text = printable(&self.id);
        let listed = if why.listed { "listed" } else { "not listed" };
        write!(text, ": {listed}, because {}", printable(&why.because))?;
        if !why.closest.is_empty() {
            write!(
                text,
                "\nsimilar ids: {}",
                printable(&why.closest.join(", "))
            )?;
        }
        let known = model.into_iter().flatten();
        let mut rows: Vec<[String; 2]> = known
            .filter(|(name, _)| !["id", "object"].contains(&name.as_str()))
            .map(|(name, value)| [name.clone(), plain(value)])
            .collect();
        if let Some(history) = history {
            rows.push(["first_seen_at".to_owned(), history.first_seen_at.clone()]);
            if let Some(at) = &history.last_seen_at {
                rows.push(["last_seen_at".to_owned(), at.clone()]);
            }
        }
        if !rows.is_empty() {
            write!(text, "\n\n{}", table(["FIELD", "VALUE"], rows))?;
        }
        if let Some(history) = history {
            let rows = history.events.iter().map(|event| {
                [
                    field(event, "at"),
                    field(event, "revision"),
                    field(event, "source"),
                    field(event, "event"),
                    what_changed(event),
                ]
            });
            let names = ["WHEN", "REVISION", "SOURCE", "EVENT", "WHAT"];
            write!(text, "\n\n{}", table(names, rows))?;
        }
        Ok(text)
    }
}

/// A value as text: words without quotes.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) if values.iter().all(Value::is_string) => {
            let words = values.iter().filter_map(Value::as_str);
            words.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}
