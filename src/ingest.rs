//! Decisions about fetched listings: which ones to accept, what they change, and when to fetch
//! again. Pure functions over the types of `model`; [`plan`] combines them.

pub mod damping;
pub mod diff;
pub mod enrich;
pub mod guard;
pub mod plan;
pub mod reconfigure;
pub mod rules;
pub mod schedule;
