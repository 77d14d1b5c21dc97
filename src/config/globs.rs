//! Parsing globs from the settings.

use super::error::ConfigError;
use crate::model::{glob::Pattern, scope::Scope};

/// Parses the `globs` of `setting`. The error does not repeat a glob, which may be a misplaced
/// secret.
pub fn parse_patterns(
    setting: &str,
    globs: &[impl AsRef<str>],
) -> Result<Vec<Pattern>, ConfigError> {
    globs
        .iter()
        .map(|glob| {
            Pattern::try_from(glob.as_ref().to_owned()).map_err(|why| {
                ConfigError(format!("{setting} holds a glob that cannot be used: {why}"))
            })
        })
        .collect()
}

/// Limits `scope` to the models that match one of `globs`, of `setting`.
pub fn limit_models(
    scope: &mut Scope,
    setting: &str,
    globs: &[impl AsRef<str>],
) -> Result<(), ConfigError> {
    let patterns = parse_patterns(setting, globs)?;
    scope
        .set_models(patterns)
        .map_err(|why| ConfigError(format!("{setting} holds too many globs: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_setting_and_not_the_glob() {
        let error = parse_patterns("models of `x`", &["fine", "secret["]).expect_err("refused");
        let message = error.to_string();
        assert!(message.contains("models of `x`"), "{message}");
        assert!(!message.contains("secret"), "{message}");
    }
}
