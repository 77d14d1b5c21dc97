//! The decisions about what a source said: pure, no I/O.

pub mod diff;
pub mod guard;
pub mod rules;
pub mod schedule;
