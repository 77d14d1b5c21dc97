//! The binary: parses the command line, and runs it.

use std::process::ExitCode;

use clap::Parser;
use model_catalog::cli::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    Cli::parse().run().await
}
