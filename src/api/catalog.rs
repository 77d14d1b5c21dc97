//! The routes below `/catalog`, one file each.

pub mod atom;
pub mod backup;
pub mod changes;
pub mod events;
pub mod feeds;
pub mod history;
pub mod pieces;
pub mod providers;
pub mod refresh;
pub mod retirements;
pub mod sources;
pub mod why;
