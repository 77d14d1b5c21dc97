//! Globs over model ids, as settings have them. `*` also matches `/`.

use globset::{Glob, GlobMatcher};
use serde::{Deserialize, Serialize};

use crate::config::error::ConfigError;

/// A glob over ids.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(GlobMatcher);

impl Pattern {
    /// The patterns of `setting`. The error does not repeat them: they may be anything by mistake.
    pub fn list(setting: &str, globs: &[impl AsRef<str>]) -> Result<Vec<Self>, ConfigError> {
        globs
            .iter()
            .map(|glob| {
                Self::try_from(glob.as_ref().to_owned()).map_err(|error| {
                    let why = error.kind();
                    ConfigError(format!("{setting} holds a glob that cannot be used: {why}"))
                })
            })
            .collect()
    }

    /// Whether `id` matches.
    pub fn matches(&self, id: &str) -> bool {
        self.0.is_match(id)
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        self.0.glob().glob()
    }
}

impl TryFrom<String> for Pattern {
    type Error = globset::Error;

    fn try_from(text: String) -> Result<Self, globset::Error> {
        Glob::new(&text).map(|glob| Self(glob.compile_matcher()))
    }
}

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
            let patterns = Pattern::list("models", &[glob]).expect("usable");
            assert_eq!(patterns[0].matches(id), expected, "{glob} {id}");
        }
    }

    #[test]
    fn an_error_names_the_setting_and_not_the_glob() {
        let error = Pattern::list("models of `x`", &["fine", "secret["]).expect_err("refused");
        let message = error.to_string();
        assert!(message.contains("models of `x`"), "{message}");
        assert!(!message.contains("secret"), "{message}");
    }
}
