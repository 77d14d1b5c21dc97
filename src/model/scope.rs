//! Scopes: the sources and models that a key may see, or that a webhook receives. Pure.

use std::collections::BTreeSet;

use super::glob::{BadGlob, Pattern, Patterns};

/// A set of sources and models; everything by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// The names of its sources; none for all.
    sources: Option<BTreeSet<String>>,
    /// Globs over whole ids; none for all.
    models: Option<Patterns>,
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

    /// Limits it to models that match one of `patterns`. Fails when those are too many.
    pub fn set_models(&mut self, patterns: Vec<Pattern>) -> Result<(), BadGlob> {
        self.models = Some(patterns.try_into()?);
        Ok(())
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
            .is_none_or(|patterns| patterns.matches(id))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn scope(sources: &[&str], globs: &[&str]) -> Scope {
        let mut scope = Scope::default();
        for source in sources {
            scope.add_source(source);
        }
        if !globs.is_empty() {
            let pattern = |glob: &&str| Pattern::try_from((*glob).to_owned()).expect("usable");
            let set = scope.set_models(globs.iter().map(pattern).collect());
            set.expect("few globs");
        }
        scope
    }

    #[rstest]
    #[case::all(&[], &[], "openai", "openai:a", true)]
    #[case::source(&["box", "openai"], &[], "openai", "openai:a", true)]
    #[case::other_source(&["box"], &[], "openai", "openai:a", false)]
    #[case::a_prefix_is_another_name(&["open"], &[], "openai", "openai:a", false)]
    #[case::model(&[], &["x", "openai:*"], "openai", "openai:a", true)]
    #[case::other_model(&[], &["openai:b"], "openai", "openai:a", false)]
    #[case::both(&["openai"], &["openai:a"], "openai", "openai:a", true)]
    #[case::one_of_two(&["openai"], &["box:*"], "openai", "openai:a", false)]
    fn allows(
        #[case] sources: &[&str],
        #[case] globs: &[&str],
        #[case] source: &str,
        #[case] id: &str,
        #[case] expected: bool,
    ) {
        let scope = scope(sources, globs);
        assert_eq!(scope.allows_source(source) && scope.allows_id(id), expected);
    }

    #[test]
    fn only_the_default_is_everything() {
        assert!(Scope::default().is_all());
        assert!(!scope(&["x"], &[]).is_all());
        assert!(!scope(&[], &["*"]).is_all(), "a glob is a restriction");
    }
}
