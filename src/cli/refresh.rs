//! `model-catalog refresh`: makes a running catalog fetch its sources now.

use std::process::ExitCode;

use futures_util::{StreamExt, stream::FuturesUnordered};
use serde::Deserialize;
use serde_json::Value;
use url::form_urlencoded;

use super::{
    files::print,
    origin::root_of,
    reader::Reader,
    text::{field, printable},
};
use crate::{
    config::{environment::Environment, read::command_key, url::parse_base_url},
    provider::client::Clients,
};

/// `model-catalog refresh`.
#[derive(Clone, Debug, clap::Args)]
pub struct Refresh {
    /// The source, by default all of them
    #[arg(value_name = "SOURCE")]
    pub source: Option<String>,
    /// Accept a listing at once that looks like a mistake of its source
    #[arg(long, requires = "source")]
    pub accept: bool,
    /// The running catalog. MODEL_CATALOG_ADMIN_KEY is sent to it
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8484")]
    pub url: String,
}

#[derive(Deserialize)]
struct Answer {
    sources: Vec<Value>,
}

impl Refresh {
    /// Prints a line for each source as soon as it has answered. Exits with code 1 when one of them
    /// failed.
    pub async fn run(&self, environment: &Environment<'_>) -> anyhow::Result<ExitCode> {
        let key = command_key(environment, "MODEL_CATALOG_ADMIN_KEY")?;
        let reader = Reader::Running {
            root: root_of(parse_base_url("--url", &self.url)?),
            key: key.clone(),
            clients: Clients::new()?,
        };
        let names = match &self.source {
            Some(source) => vec![Some(source.clone())],
            None => configured(&reader).await,
        };
        let mut asked: FuturesUnordered<_> = names
            .iter()
            .map(|name| {
                let path = self.path(name.as_deref());
                let (reader, key) = (&reader, key.as_ref());
                async move { reader.post::<Answer>(&path, key).await }
            })
            .collect();
        let mut has_failed = false;
        while let Some(answer) = asked.next().await {
            let Some(Answer { sources }) = answer? else {
                anyhow::bail!(
                    "no configured source has that name: `model-catalog sources` lists them"
                );
            };
            for source in &sources {
                print(&line(source))?;
                has_failed |= source["outcome"] == "failed";
            }
        }
        Ok(ExitCode::from(u8::from(has_failed)))
    }

    /// The route that refreshes `source`, or every source.
    fn path(&self, source: Option<&str>) -> String {
        let mut query = form_urlencoded::Serializer::new("catalog/refresh?".to_owned());
        if let Some(source) = source {
            query.append_pair("source", source);
        }
        if self.accept {
            query.append_pair("accept", "true");
        }
        query.finish()
    }
}

/// The names of the configured sources, to be asked one by one; a single none, which means all at once,
/// from a catalog that does not tell them without a client's key.
async fn configured(reader: &Reader) -> Vec<Option<String>> {
    let Ok(Answer { sources }) = reader.get("catalog/sources").await else {
        return vec![None];
    };
    let configured = sources
        .iter()
        .filter(|source| source["state"] != "unconfigured");
    let names: Vec<_> = configured
        .filter_map(|source| Some(Some(source["name"].as_str()?.to_owned())))
        .collect();
    match names.is_empty() {
        true => vec![None],
        false => names,
    }
}

/// A line about the outcome at one source.
fn line(source: &Value) -> String {
    let (name, outcome) = (field(source, "name"), field(source, "outcome"));
    let counts = &source["counts"];
    let details: Vec<String> = ["added", "changed", "removed", "returned"]
        .into_iter()
        .filter(|kind| counts[*kind].as_i64().is_some_and(|count| count > 0))
        .map(|kind| format!("{} {kind}", counts[kind]))
        .chain(source["error"]["message"].as_str().map(str::to_owned))
        .collect();
    let outcome = match outcome.as_str() {
        "busy" => "not asked: it was a moment ago, or another process is asking it",
        other => other,
    };
    let details = match details.is_empty() {
        true => String::new(),
        false => format!(": {}", details.join(", ")),
    };
    printable(&format!("{name}: {outcome}{details}")) + "\n"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_outcome_is_a_line() {
        let counts = json!({"added": 2, "changed": 0, "removed": 1, "returned": 0});
        for (source, expected) in [
            (
                json!({"name": "a", "outcome": "unchanged"}),
                "a: unchanged\n",
            ),
            (
                json!({"name": "a", "outcome": "changed", "counts": counts}),
                "a: changed: 2 added, 1 removed\n",
            ),
            (
                json!({"name": "a", "outcome": "failed", "error": {"message": "no\u{7}"}}),
                "a: failed: no\\u{7}\n",
            ),
        ] {
            assert_eq!(line(&source), expected);
        }
    }
}
