//! `model-catalog sources`: how each source is doing, as `GET /catalog/sources` says.

use std::process::ExitCode;

use serde::Deserialize;
use serde_json::Value;

use super::{
    files::print,
    origin::Origin,
    text::{field, table},
};
use crate::config::environment::Environment;

/// `model-catalog sources`.
#[derive(Clone, Debug, clap::Args)]
pub struct Sources {
    /// Print the answer of GET /catalog/sources instead of a table
    #[arg(long)]
    pub json: bool,
    /// Where to read.
    #[command(flatten)]
    pub origin: Origin,
}

#[derive(Deserialize)]
struct Answer {
    sources: Vec<Value>,
}

impl Sources {
    /// Prints the sources that were ever configured.
    pub async fn run(&self, environment: &Environment<'_>) -> anyhow::Result<ExitCode> {
        let reader = self.origin.reader(environment)?;
        let answer: Value = reader.get("catalog/sources").await?;
        let text = match self.json {
            true => serde_json::to_string_pretty(&answer)?,
            false => text(serde_json::from_value(answer)?),
        };
        print(&format!("{text}\n"))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn text(Answer { sources }: Answer) -> String {
    // A running catalog also names the presets that are not configured.
    let known: Vec<&Value> = sources
        .iter()
        .filter(|source| source["state"] != "unconfigured" || !source["fetched_at"].is_null())
        .collect();
    if known.is_empty() {
        return "no source was ever configured: `model-catalog providers` lists what a key switches on"
            .to_owned();
    }
    let rows = known.iter().map(|source| {
        [
            field(source, "name"),
            field(source, "role"),
            field(source, "kind"),
            field(source, "state"),
            field(source, "models"),
            field(source, "fetched_at"),
            field(&source["error"], "message"),
        ]
    });
    let names = [
        "SOURCE", "ROLE", "KIND", "STATE", "MODELS", "FETCHED", "ERROR",
    ];
    table(names, rows)
}
