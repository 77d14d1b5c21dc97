//! `model-catalog list`: the models, as `GET /v1/models` lists them.

use std::process::ExitCode;

use serde::Deserialize;
use serde_json::Value;
use url::form_urlencoded;

use super::{
    files::print,
    origin::Origin,
    text::{field, printable, table},
};
use crate::config::environment::Environment;

/// `model-catalog list`.
#[derive(Clone, Debug, clap::Args)]
pub struct List {
    /// Which models.
    #[command(flatten)]
    pub filters: Filters,
    /// The list as it was served at this time (2026-11-01T00:00:00Z) or date
    #[arg(long, value_name = "TIME", conflicts_with = "revision", value_parser = parse_time)]
    pub at: Option<String>,
    /// The list as it was served at this revision
    #[arg(long, value_name = "NUMBER")]
    pub revision: Option<u64>,
    /// Print only the ids, a line each
    #[arg(long, conflicts_with = "json")]
    pub ids: bool,
    /// Print the answer of GET /v1/models instead of a table
    #[arg(long)]
    pub json: bool,
    /// Where to read the list.
    #[command(flatten)]
    pub origin: Origin,
}

/// The filters of the list. Each may be given several times, or with values separated by commas.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Filters {
    /// Only models of this source
    #[arg(long, value_name = "SOURCE")]
    pub provider: Vec<String>,
    /// Only models with this owner; `lb` owns local models
    #[arg(long, value_name = "OWNER")]
    pub owned_by: Vec<String>,
    /// Only models with this text in their id, name or description
    #[arg(short, long, value_name = "TEXT")]
    pub q: Vec<String>,
    /// Only models with this capability, such as tools
    #[arg(long, value_name = "WORD")]
    pub capability: Vec<String>,
    /// Only models that take or give this, such as image or output:image
    #[arg(long, value_name = "WORD")]
    pub modality: Vec<String>,
    /// Only models in this stage: active, deprecated or retired
    #[arg(long, value_name = "STAGE")]
    pub lifecycle: Vec<String>,
}

impl Filters {
    /// Appends them to a query string.
    fn append(&self, query: &mut form_urlencoded::Serializer<'_, String>) {
        for (name, values) in [
            ("provider", &self.provider),
            ("owned_by", &self.owned_by),
            ("q", &self.q),
            ("capability", &self.capability),
            ("modality", &self.modality),
            ("lifecycle", &self.lifecycle),
        ] {
            for value in values {
                query.append_pair(name, value);
            }
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Models {
    pub data: Vec<Value>,
}

impl List {
    /// Prints the list.
    pub async fn run(&self, environment: &Environment<'_>) -> anyhow::Result<ExitCode> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        self.filters.append(&mut query);
        if let Some(at) = &self.at {
            query.append_pair("at", at);
        }
        if let Some(revision) = self.revision {
            query.append_pair("revision", &revision.to_string());
        }
        let path = format!("v1/models?{}", query.finish());
        let answer: Value = self.origin.reader(environment)?.get(&path).await?;
        if self.json {
            print(&format!("{}\n", serde_json::to_string_pretty(&answer)?))?;
            return Ok(ExitCode::SUCCESS);
        }
        let Models { data } = serde_json::from_value(answer)?;
        let text = match self.ids {
            true => data
                .iter()
                .map(|model| format!("{}\n", printable(&field(model, "id"))))
                .collect(),
            false => format!("{}\n", self.table(&data)),
        };
        print(&text)?;
        Ok(ExitCode::SUCCESS)
    }

    fn table(&self, models: &[Value]) -> String {
        if models.is_empty() {
            return "no models: `model-catalog sources` says how each source is doing".to_owned();
        }
        let names = ["MODEL", "NAME", "CONTEXT", "OUTPUT", "LIFECYCLE", "RETIRES"];
        let fields = [
            "id",
            "display_name",
            "context_window",
            "max_output_tokens",
            "lifecycle",
            "retires_at",
        ];
        let rows = models
            .iter()
            .map(|model| fields.map(|name| field(model, name)));
        let count = models.len();
        let models = if count == 1 { "model" } else { "models" };
        format!("{}\n\n{count} {models}", table(names, rows))
    }
}

/// Reads a time or a date as the time that the routes take.
pub(super) fn parse_time(text: &str) -> anyhow::Result<String> {
    let time = match text.parse::<chrono::NaiveDate>() {
        Ok(date) => format!("{date}T00:00:00Z"),
        Err(_) => text.to_owned(),
    };
    let parsed: Result<crate::model::time::Timestamp, _> = time.parse();
    match parsed {
        Ok(_) => Ok(time),
        Err(_) => anyhow::bail!("it must be a time such as 2026-11-01T00:00:00Z, or a date"),
    }
}
