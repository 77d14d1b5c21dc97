//! The commands that read something and end: [`Lock`], [`Check`] and [`Providers`]. Each is its arguments and runs
//! with them; an error is that it could not do its work (exit code 2).

mod check;
pub mod demo;
mod lock;
mod origin;
mod providers;
mod report;

use std::io::{self, Write};

use anyhow::{anyhow, bail};

pub use self::check::Check;
pub use self::lock::Lock;
pub use self::origin::Origin;
pub use self::providers::Providers;
pub use self::report::Format;
use crate::{config::secrets::read_text, lock::file::Lockfile};

/// The lock file where none is named.
const DEFAULT_LOCKFILE: &str = "models.lock";
/// The largest lock file, in bytes.
const MAX_LOCKFILE_BYTES: u64 = 16 << 20;

/// The lock file at `path`; none when there is none.
fn read_lockfile(path: &str) -> anyhow::Result<Option<Lockfile>> {
    let text = match read_text(path, MAX_LOCKFILE_BYTES) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(|error| anyhow!("cannot read {path}: {error}"))?,
    };
    let file = Lockfile::parse(&text);
    file.map(Some)
        .map_err(|error| anyhow!("{path} cannot be used: {error}"))
}

/// Writes `text` to standard output. That nobody reads on (`| head`) is no error.
fn print(text: &str) -> anyhow::Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            bail!("cannot write the output: {error}")
        }
        _ => Ok(()),
    }
}
