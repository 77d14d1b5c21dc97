//! What the settings make of a source's listing before it is compared and stored: which models are
//! not served, and under which further names some are. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{glob::Pattern, listing::Entry};

/// The rules of one source. Globs are matched against the source's own ids; `*` also matches `/`.
/// They are kept in the database as they are written, so that every process on it follows those of
/// the `serve` that started last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rules {
    /// Only models that match one of these are served; all where there is none.
    pub(crate) include: Vec<Pattern>,
    /// Models that match one of these are not served.
    pub(crate) exclude: Vec<Pattern>,
    /// Further names: new id to the id of the source's own that it stands for.
    pub(crate) aliases: BTreeMap<String, String>,
}

impl Rules {
    /// `listed` as it is to be stored: with the rule that hides each hidden model, and with the
    /// aliases of those that are listed. An alias that is itself a listed id stands for nothing: the
    /// source's own model has the name.
    pub fn apply(&self, mut listed: Vec<Entry>) -> Vec<Entry> {
        for entry in &mut listed {
            entry.hidden_by = self.hides(&entry.id);
        }
        if self.aliases.is_empty() {
            return listed;
        }
        let by_id: BTreeMap<&str, &Entry> = listed
            .iter()
            .map(|entry| (entry.id.as_str(), entry))
            .collect();
        let aliases: Vec<Entry> = self
            .aliases
            .iter()
            .filter(|(alias, _)| !by_id.contains_key(alias.as_str()))
            .filter_map(|(alias, target)| {
                let target = by_id.get(target.as_str())?;
                let mut entry = Entry {
                    id: alias.clone(),
                    // Also of a model that is hidden under its own name.
                    hidden_by: None,
                    ..(*target).clone()
                };
                entry.attributes.alias_of = Some(target.id.clone());
                Some(entry)
            })
            .collect();
        listed.extend(aliases);
        listed
    }

    /// The rule that hides the model `id`, as the settings have it.
    fn hides(&self, id: &str) -> Option<String> {
        let excluded = self.exclude.iter().find(|pattern| pattern.matches(id));
        if let Some(pattern) = excluded {
            return Some(format!("exclude = \"{}\"", pattern.as_str()));
        }
        let included =
            self.include.is_empty() || self.include.iter().any(|pattern| pattern.matches(id));
        (!included).then(|| "include".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::attributes::Attributes;

    fn rules(toml: &str) -> Rules {
        toml::from_str(toml).expect("rules")
    }

    fn applied(toml: &str, ids: &[&str]) -> Vec<(String, Option<String>, Option<String>)> {
        let listed = ids.iter().map(|id| Entry {
            id: (*id).to_owned(),
            attributes: Attributes::default(),
            raw: "{}".to_owned(),
            hidden_by: None,
        });
        rules(toml)
            .apply(listed.collect())
            .into_iter()
            .map(|entry| (entry.id, entry.hidden_by, entry.attributes.alias_of))
            .collect()
    }

    fn row(
        id: &str,
        hidden_by: Option<&str>,
        alias_of: Option<&str>,
    ) -> (String, Option<String>, Option<String>) {
        (
            id.to_owned(),
            hidden_by.map(Into::into),
            alias_of.map(Into::into),
        )
    }

    #[test]
    fn without_rules_everything_is_served() {
        assert_eq!(
            applied("", &["a", "b"]),
            [row("a", None, None), row("b", None, None)]
        );
    }

    #[test]
    fn globs_choose_and_exclude_wins() {
        assert_eq!(
            applied(
                "include = ['gpt-*', 'org/*']\nexclude = ['*-preview']",
                &["gpt-4", "gpt-4-preview", "org/team/model", "whisper"],
            ),
            [
                row("gpt-4", None, None),
                row("gpt-4-preview", Some("exclude = \"*-preview\""), None),
                row("org/team/model", None, None),
                row("whisper", Some("include"), None),
            ]
        );
    }

    #[test]
    fn an_alias_stands_for_what_is_listed_even_where_that_is_hidden() {
        assert_eq!(
            applied(
                "exclude = ['gpt-4o']\naliases = { best = 'gpt-4o', own = 'gpt-4o', lost = 'gone' }",
                &["gpt-4o", "own"],
            ),
            [
                row("gpt-4o", Some("exclude = \"gpt-4o\""), None),
                row("own", None, None),
                row("best", None, Some("gpt-4o")),
            ]
        );
    }

    #[test]
    fn they_are_stored_as_they_are_written() {
        let rules = rules("include = ['a*']\nexclude = ['b[12]']\naliases = { x = 'y' }");
        let json = serde_json::to_string(&rules).expect("JSON");
        assert_eq!(
            json,
            r#"{"include":["a*"],"exclude":["b[12]"],"aliases":{"x":"y"}}"#
        );
        assert_eq!(serde_json::from_str::<Rules>(&json).expect("rules"), rules);
    }
}
