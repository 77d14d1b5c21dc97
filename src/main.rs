//! The binary: its exit code is that of the command.

use std::process::ExitCode;

fn main() -> ExitCode {
    model_catalog::cli::main()
}
