//! Scopes: the sources and models that a key may see, or that a webhook receives. Pure.

use std::collections::BTreeSet;

use super::{glob::Pattern, source::SourceName};

/// A set of sources and models; everything by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// The names of its sources; none for all.
    sources: Option<BTreeSet<String>>,
    /// Globs over whole ids; none for all.
    models: Option<Vec<Pattern>>,
}

impl Scope {
    /// The scope of everything.
    pub const ALL: Self = Self {
        sources: None,
        models: None,
    };

    /// Limits it to this source and the ones added before.
    pub fn add_source(&mut self, source: &str) {
        self.sources
            .get_or_insert_default()
            .insert(source.to_owned());
    }

    /// Limits it to models that match one of `patterns`.
    pub fn set_models(&mut self, patterns: Vec<Pattern>) {
        self.models = Some(patterns);
    }

    /// Whether it includes everything.
    pub fn is_all(&self) -> bool {
        *self == Self::ALL
    }

    /// The names of its sources; none for all.
    pub fn sources(&self) -> Option<&BTreeSet<String>> {
        self.sources.as_ref()
    }

    /// Whether it includes all models of its sources.
    pub fn has_all_models(&self) -> bool {
        self.models.is_none()
    }

    /// Whether it includes `source`.
    pub fn allows_source(&self, source: &str) -> bool {
        self.sources
            .as_ref()
            .is_none_or(|sources| sources.contains(source))
    }

    /// Whether it includes models with this whole id.
    pub fn allows_id(&self, id: &str) -> bool {
        self.models
            .as_ref()
            .is_none_or(|patterns| patterns.iter().any(|pattern| pattern.matches(id)))
    }

    /// Whether it includes the model of `source` with this whole id.
    pub fn allows(&self, source: &SourceName, id: &str) -> bool {
        self.allows_source(source.as_str()) && self.allows_id(id)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::model::event::ChangeEvent;

    fn scope(sources: &[&str], globs: &[&str]) -> Scope {
        let mut scope = Scope::default();
        for source in sources {
            scope.add_source(source);
        }
        if !globs.is_empty() {
            let pattern = |glob: &&str| Pattern::try_from((*glob).to_owned()).expect("usable");
            scope.set_models(globs.iter().map(pattern).collect());
        }
        scope
    }

    #[rstest]
    #[case::all(&[], &[], "openai", Some("openai:a"), true)]
    #[case::source(&["box", "openai"], &[], "openai", Some("openai:a"), true)]
    #[case::other_source(&["box"], &[], "openai", Some("openai:a"), false)]
    #[case::a_prefix_is_another_name(&["open"], &[], "openai", Some("openai:a"), false)]
    #[case::model(&[], &["x", "openai:*"], "openai", Some("openai:a"), true)]
    #[case::other_model(&[], &["openai:b"], "openai", Some("openai:a"), false)]
    #[case::both(&["openai"], &["openai:a"], "openai", Some("openai:a"), true)]
    #[case::one_of_two(&["openai"], &["box:*"], "openai", Some("openai:a"), false)]
    #[case::whole_source(&["openai"], &["openai:b"], "openai", None, true)]
    #[case::other_whole_source(&["box"], &["openai:*"], "openai", None, false)]
    fn allows(
        #[case] sources: &[&str],
        #[case] globs: &[&str],
        #[case] source: &str,
        #[case] id: Option<&str>,
        #[case] expected: bool,
    ) {
        let event: ChangeEvent = serde_json::from_value(json!({
            "revision": 1, "at": "2026-11-23T00:00:00.000Z", "source": source,
            "event": if id.is_some() { "added" } else { "hidden" }, "id": id,
        }))
        .expect("an event");
        assert_eq!(event.is_in(&scope(sources, globs)), expected);
    }

    #[test]
    fn only_the_default_is_everything() {
        assert!(Scope::default().is_all());
        assert!(!scope(&["x"], &[]).is_all());
        assert!(!scope(&[], &["*"]).is_all(), "a glob is a restriction");
    }
}
