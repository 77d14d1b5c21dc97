//! The binary: parses the command line and runs the command.

use std::process::ExitCode;

use clap::Parser;
use model_catalog::cli::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    Cli::parse().run().await
}
