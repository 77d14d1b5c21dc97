//! The lock file: a TOML record of the models that a project relies on, as they were listed when it
//! was written. No I/O.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::model::time::Timestamp;

/// The only version of the file so far.
const VERSION: i64 = 1;
const HEAD: &str = "\
# The models that are relied on here, as they were listed when this was written.
# `model-catalog lock` writes it; `model-catalog check` says what has changed since.
";

/// One model of the file. Values that its source did not report are absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedModel {
    /// The whole id: `provider:model_id` for a cloud model.
    pub id: String,
    /// Its owner in the list: the provider of a cloud model, `lb` for a local one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owned_by: Option<String>,
    /// Input limit, in tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_window: Option<i64>,
    /// Output limit, in tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<i64>,
    /// When its source last listed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen_at: Option<Timestamp>,
}

impl LockedModel {
    /// A model of which only the id is known.
    pub fn of_id(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            owned_by: None,
            context_window: None,
            max_output_tokens: None,
            last_seen_at: None,
        }
    }
}

/// A parsed lock file.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lockfile {
    version: i64,
    /// The models, sorted by id, without duplicates.
    #[serde(rename = "model", default)]
    models: Vec<LockedModel>,
}

/// The part of a file that is read before its version is known.
#[derive(Deserialize)]
struct Head {
    version: i64,
}

/// Why a lock file cannot be used. One line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockfileError {
    /// It is not TOML, or has the wrong structure.
    #[error("line {line}: {message}")]
    Malformed {
        /// The first wrong line, from 1.
        line: usize,
        /// The problem.
        message: String,
    },
    /// A different version of model-catalog wrote it.
    #[error("`version` is {0} and this model-catalog knows {VERSION}: use the one that wrote it")]
    Version(i64),
    /// It lists no models.
    #[error("it names no model: add one with `model-catalog lock`")]
    Empty,
    /// An id appears twice.
    #[error("`id` {0} stands there twice: keep one")]
    Duplicate(String),
    /// An id that no model can have.
    #[error("`id` {0} holds a control character, as no model's does: correct it")]
    Unusable(String),
}

impl Lockfile {
    /// A file of `models`, whose ids must be distinct.
    pub fn new(mut models: Vec<LockedModel>) -> Self {
        models.sort_by(|a, b| a.id.cmp(&b.id));
        Self {
            version: VERSION,
            models,
        }
    }

    /// The models, sorted by id.
    pub fn models(&self) -> &[LockedModel] {
        &self.models
    }

    /// Parses the text of a lock file.
    pub fn parse(text: &str) -> Result<Self, LockfileError> {
        let malformed = |error: toml::de::Error| {
            let start = error.span().map_or(0, |span| span.start);
            let before = text.get(..start).unwrap_or(text);
            LockfileError::Malformed {
                line: before.matches('\n').count() + 1,
                message: error.message().replace('\n', ", "),
            }
        };
        let Head { version } = toml::from_str(text).map_err(malformed)?;
        if version != VERSION {
            return Err(LockfileError::Version(version));
        }
        let file: Self = toml::from_str(text).map_err(malformed)?;
        if file.models.is_empty() {
            return Err(LockfileError::Empty);
        }
        let mut seen_ids = BTreeSet::new();
        for LockedModel { id, .. } in &file.models {
            if id.chars().any(char::is_control) {
                return Err(LockfileError::Unusable(id.escape_debug().to_string()));
            }
            if !seen_ids.insert(id) {
                return Err(LockfileError::Duplicate(id.clone()));
            }
        }
        Ok(Self::new(file.models))
    }

    /// The file's text. The same models always give the same bytes.
    pub fn to_text(&self) -> Result<String, toml::ser::Error> {
        Ok(format!("{HEAD}{}", toml::to_string(self)?))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn locked(id: &str) -> LockedModel {
        LockedModel {
            id: id.to_owned(),
            owned_by: None,
            context_window: None,
            max_output_tokens: None,
            last_seen_at: None,
        }
    }

    #[test]
    fn is_read_as_it_was_written() {
        let whole = LockedModel {
            owned_by: Some("anthropic".to_owned()),
            context_window: Some(200_000),
            max_output_tokens: Some(64_000),
            last_seen_at: Some("2026-11-23T00:38:37Z".parse().expect("a time")),
            ..locked("anthropic:claude \"a\"")
        };
        let file = Lockfile::new(vec![locked("openai:o"), whole.clone()]);
        let text = file.to_text().expect("TOML");
        assert_eq!(
            text,
            r#"# The models that are relied on here, as they were listed when this was written.
# `model-catalog lock` writes it; `model-catalog check` says what has changed since.
version = 1

[[model]]
id = 'anthropic:claude "a"'
owned_by = "anthropic"
context_window = 200000
max_output_tokens = 64000
last_seen_at = "2026-11-23T00:38:37.000Z"

[[model]]
id = "openai:o"
"#
        );
        assert_eq!(Lockfile::parse(&text), Ok(file));
        assert_eq!(
            Lockfile::new(vec![whole, locked("openai:o")]).to_text(),
            Ok(text),
            "in whatever order they were named"
        );
    }

    #[rstest]
    #[case::no_toml("version = 1\nmodel [", "line 2: ")]
    #[case::no_version("[[model]]\nid = 'x'", "missing field `version`")]
    #[case::other_version("version = 2\nfuture = 1", "`version` is 2")]
    #[case::text_version("version = '1'", "line 1: invalid type")]
    #[case::no_model("version = 1", "names no model")]
    #[case::no_id(
        "version = 1\n\n[[model]]\ncontext_window = 1",
        "line 3: missing field `id`"
    )]
    #[case::misspelt(
        "version = 1\n[[model]]\nid = 'x'\ncontext = 1",
        "line 4: unknown field `context`"
    )]
    #[case::no_time("version = 1\n[[model]]\nid = 'x'\nlast_seen_at = 'soon'", "line 4: ")]
    #[case::twice(
        "version = 1\n[[model]]\nid = 'x'\n[[model]]\nid = 'x'",
        "`id` x stands there twice"
    )]
    #[case::control("version = 1\n[[model]]\nid = \"x\\u001b[1m\"", r"x\u{1b}[1m")]
    fn says_in_one_line_what_cannot_be_used(#[case] text: &str, #[case] expected: &str) {
        let error = Lockfile::parse(text).expect_err("unusable").to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}
