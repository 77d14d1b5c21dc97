//! The integration tests: one binary, one real server per test (a file database in a temporary
//! directory, a mock server per source, port 0). A file per behaviour; `helpers` is the harness.

mod advice;
mod bases;
mod binary;
mod cases;
mod choosing;
mod clients;
mod commands;
mod conformance;
mod contract;
mod cors;
mod crashes;
mod details;
mod dialects;
mod discovery;
mod disk;
mod door;
mod embedding;
mod endings;
mod enrichment;
mod fault_server;
mod faults;
mod feeds;
mod files;
mod freshness;
mod fuzz;
mod helpers;
mod history;
mod identity;
mod keys;
mod layout;
mod lock;
#[cfg(target_os = "linux")]
mod logging;
mod ollama;
mod payloads;
mod providers;
mod reference;
mod refreshing;
mod rules;
mod running;
mod store;
mod supervision;
mod watch;
mod webhooks;
mod why;
