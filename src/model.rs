//! The plain types that all other modules share. No I/O, and no imports from the rest of the crate.

pub mod attributes;
pub mod closest;
pub mod delivery;
pub mod digest;
pub mod event;
pub mod fetch;
pub mod glob;
pub mod lifecycle;
pub mod listing;
pub mod names;
pub mod scope;
pub mod settings;
pub mod source;
pub mod state;
pub mod time;
pub mod xml;
