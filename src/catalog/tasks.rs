//! The tasks that run beside the requests, one file each.

pub mod deliver;
pub mod discover;
pub mod enrich;
pub mod follow;
pub mod prune;
pub mod refresh;
pub mod watch;
pub mod watchdog;
