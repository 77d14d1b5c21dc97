//! Decisions about what sources answer: which listings are believed, what they change, when the next
//! attempt is due. Pure functions over the types of `model`; [`plan`] strings them together.

pub mod diff;
pub mod enrich;
pub mod guard;
pub mod plan;
pub mod rules;
pub mod schedule;
