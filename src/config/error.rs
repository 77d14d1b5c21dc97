//! The error for settings that cannot be used.

use crate::lock::watch::BadWatch;

/// A setting that cannot be used. One line: which setting, why, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub(crate) String);

impl From<BadWatch> for ConfigError {
    fn from(error: BadWatch) -> Self {
        Self(error.to_string())
    }
}
