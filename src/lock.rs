//! The lock file and watched models: the models that a project relies on, and their problems. Pure.

pub mod file;
pub mod listed;
pub mod verdict;
pub mod watch;
