//! A setting that cannot be used.

/// A setting that cannot be used. One line: which one, why, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub(crate) String);
