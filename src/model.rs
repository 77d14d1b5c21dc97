//! The plain types that everything else speaks in. No I/O, and nothing of ours is imported.

pub mod attributes;
pub mod closest;
pub mod delivery;
pub mod event;
pub mod fetch;
pub mod glob;
pub mod listing;
pub mod scope;
pub mod settings;
pub mod source;
pub mod state;
pub mod time;
pub mod xml;
