//! `model-catalog diff`: what differs between the lists of two times.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::ExitCode,
};

use serde_json::{Map, Value};

use super::{
    changes::what_changed,
    files::print,
    list::{Models, parse_time},
    origin::Origin,
    text::{field, printable},
};
use crate::config::environment::Environment;

/// `model-catalog diff`.
#[derive(Clone, Debug, clap::Args)]
pub struct Diff {
    /// The earlier time or date
    #[arg(value_name = "FROM", value_parser = parse_time)]
    pub from: String,
    /// The later one, by default now
    #[arg(value_name = "TO", value_parser = parse_time)]
    pub to: Option<String>,
    /// Where to read.
    #[command(flatten)]
    pub origin: Origin,
}

impl Diff {
    /// Prints a line for each difference. Exits with code 1 when there are any.
    pub async fn run(&self, environment: &Environment<'_>) -> anyhow::Result<ExitCode> {
        let reader = self.origin.reader(environment)?;
        let path = |at: Option<&str>| match at {
            Some(at) => format!("v1/models?at={at}"),
            None => "v1/models".to_owned(),
        };
        let from: Models = reader.get(&path(Some(&self.from))).await?;
        let to: Models = reader.get(&path(self.to.as_deref())).await?;
        let lines = differences(from, to);
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        print(match text.is_empty() {
            true => "no difference\n",
            false => &text,
        })?;
        Ok(ExitCode::from(u8::from(!lines.is_empty())))
    }
}

/// A line for each model that only one of the lists has (`-`, `+`), or that differs (`~`).
fn differences(from: Models, to: Models) -> Vec<String> {
    let by_id = |models: Models| -> BTreeMap<String, Value> {
        let entries = models.data.into_iter();
        entries.map(|entry| (field(&entry, "id"), entry)).collect()
    };
    let (from, to) = (by_id(from), by_id(to));
    let ids: BTreeSet<&String> = from.keys().chain(to.keys()).collect();
    let line = |id: &String| {
        let shown = printable(id);
        match (from.get(id), to.get(id)) {
            (Some(_), None) => Some(format!("- {shown}")),
            (None, Some(_)) => Some(format!("+ {shown}")),
            (Some(before), Some(after)) if before != after => {
                let names: BTreeSet<&String> = [before, after]
                    .into_iter()
                    .filter_map(Value::as_object)
                    .flat_map(Map::keys)
                    .filter(|name| before[name.as_str()] != after[name.as_str()])
                    .collect();
                let event = serde_json::json!({"changed": names, "before": before, "after": after});
                Some(format!("~ {shown}  {}", printable(&what_changed(&event))))
            }
            _ => None,
        }
    };
    ids.into_iter().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_difference_is_a_line() {
        let models = |data: Value| Models {
            data: data.as_array().expect("entries").clone(),
        };
        let from = models(json!([{"id": "a"}, {"id": "b", "context_window": 1}, {"id": "c"}]));
        let to = models(
            json!([{"id": "b", "context_window": 2, "lifecycle": "x"}, {"id": "c"}, {"id": "d"}]),
        );
        assert_eq!(
            differences(from, to),
            [
                "- a",
                "~ b  context_window 1 → 2, lifecycle unknown → x",
                "+ d"
            ]
        );
    }
}
