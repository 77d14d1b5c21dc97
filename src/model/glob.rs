//! Globs over model ids, for the settings. `*` also matches `/`.

use globset::{Glob, GlobMatcher, GlobSet, GlobSetBuilder};
use serde::{Deserialize, Serialize};

/// A glob over model ids.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(GlobMatcher);

/// An invalid glob. The message does not repeat it: it may be a misplaced secret.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadGlob(globset::ErrorKind);

impl Pattern {
    /// Whether `id` matches.
    pub fn matches(&self, id: &str) -> bool {
        self.0.is_match(id)
    }

    /// The glob as written.
    pub fn as_str(&self) -> &str {
        self.0.glob().glob()
    }
}

impl TryFrom<String> for Pattern {
    type Error = BadGlob;

    fn try_from(text: String) -> Result<Self, BadGlob> {
        Glob::new(&text)
            .map(|glob| Self(glob.compile_matcher()))
            .map_err(|error| BadGlob(error.kind().clone()))
    }
}

/// Globs of which any may match, compared with an id all at once.
#[derive(Clone, Debug, Default)]
pub struct Patterns {
    patterns: Vec<Pattern>,
    set: GlobSet,
}

impl Patterns {
    /// Whether any of them matches `id`.
    pub fn matches(&self, id: &str) -> bool {
        self.set.is_match(id)
    }
}

impl TryFrom<Vec<Pattern>> for Patterns {
    type Error = BadGlob;

    /// Fails when they are too many or too long to be compared at once.
    fn try_from(patterns: Vec<Pattern>) -> Result<Self, BadGlob> {
        let mut builder = GlobSetBuilder::new();
        for Pattern(matcher) in &patterns {
            builder.add(matcher.glob().clone());
        }
        match builder.build() {
            Ok(set) => Ok(Self { patterns, set }),
            Err(error) => Err(BadGlob(error.kind().clone())),
        }
    }
}

impl PartialEq for Patterns {
    fn eq(&self, other: &Self) -> bool {
        self.patterns == other.patterns
    }
}

impl Eq for Patterns {}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.as_str().to_owned()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Pattern {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_ids_are_matched() {
        for (glob, id, expected) in [
            ("openai:gpt-*", "openai:gpt-4o", true),
            ("openai:gpt-*", "xopenai:gpt-4o", false),
            ("openrouter:*", "openrouter:meta/llama:free", true),
            ("gpt-4o", "openai:gpt-4o", false),
            ("{openai,google}:*", "google:g", true),
            ("openai:?", "openai:o1", false),
        ] {
            let pattern = Pattern::try_from(glob.to_owned()).expect("usable");
            assert_eq!(pattern.matches(id), expected, "{glob} {id}");
        }
    }
}
