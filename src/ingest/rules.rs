//! Applies the settings rules to a listing: hides models and adds aliases.

use std::collections::BTreeMap;

use crate::model::{listing::Entry, settings::Rules};

/// The entries to store for `listed`: hidden models carry the rule that hides them, and listed
/// models get their aliases. An alias that is also a listed id is ignored, so the source's own
/// model keeps the name.
pub fn apply(rules: &Rules, mut listed: Vec<Entry>) -> Vec<Entry> {
    for entry in &mut listed {
        entry.hidden_by = hiding_rule(rules, &entry.id);
    }
    if rules.aliases.is_empty() {
        return listed;
    }
    let by_id: BTreeMap<&str, &Entry> = listed
        .iter()
        .map(|entry| (entry.id.as_str(), entry))
        .collect();
    let aliases: Vec<Entry> = rules
        .aliases
        .iter()
        .filter(|(alias, _)| !by_id.contains_key(alias.as_str()))
        .filter_map(|(alias, target)| {
            let target = by_id.get(target.as_str())?;
            let mut entry = Entry {
                id: alias.clone(),
                // An alias is served even if an exclude or include rule hides its target.
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

/// Whether a model `id` would be served if it were listed.
pub fn may_serve(rules: &Rules, id: &str) -> bool {
    rules.aliases.contains_key(id) || hiding_rule(rules, id).is_none()
}

/// The rule that hides the model `id`, as written in the settings; none when it is served.
fn hiding_rule(rules: &Rules, id: &str) -> Option<String> {
    let excluded = rules.exclude.iter().find(|pattern| pattern.matches(id));
    if let Some(pattern) = excluded {
        return Some(format!("exclude = \"{}\"", pattern.as_str()));
    }
    let included =
        rules.include.is_empty() || rules.include.iter().any(|pattern| pattern.matches(id));
    (!included).then(|| "include".to_owned())
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
        apply(&rules(toml), listed.collect())
            .into_iter()
            .map(|entry| (entry.id, entry.hidden_by, entry.attributes.alias_of))
            .collect()
    }

    #[test]
    fn what_a_rule_hides_cannot_be_served() {
        let rules = rules(
            r#"
            include = ["gpt-*", "o1"]
            exclude = ["*-preview"]
            aliases = { best = "gpt-x", "x-preview" = "gpt-x" }
        "#,
        );
        for (id, expected) in [
            ("gpt-x", true),
            ("gpt-x-preview", false),
            ("other", false),
            ("best", true),
            ("x-preview", true),
        ] {
            assert_eq!(may_serve(&rules, id), expected, "{id}");
        }
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
