//! The lock file and watched models: what is relied on, and what has become of it. Pure.

pub mod file;
pub mod listed;
pub mod verdict;
pub mod watch;
