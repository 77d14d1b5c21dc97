//! Files and output of the commands: lock files, and standard output.

use std::io::{self, Write};

use anyhow::{anyhow, bail};

use crate::{config::secrets::read_text, lock::file::Lockfile};

/// The default lock file.
pub(super) const DEFAULT_LOCKFILE: &str = "models.lock";
/// The largest lock file, in bytes.
const MAX_LOCKFILE_BYTES: u64 = 16 << 20;

/// Reads the lock file at `path`; none when it does not exist. Fails when it is unreadable or
/// malformed.
pub(super) fn read_lockfile(path: &str) -> anyhow::Result<Option<Lockfile>> {
    let text = match read_text(path, MAX_LOCKFILE_BYTES) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(|error| anyhow!("cannot read {path}: {error}"))?,
    };
    let file = Lockfile::parse(&text);
    file.map(Some)
        .map_err(|error| anyhow!("{path} cannot be used: {error}"))
}

/// Writes `text` to standard output: its colours on a terminal only, and not there if `NO_COLOR` is set.
/// A closed pipe (`| head`) stays an [`io::Error`], which ends the command without a word.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    let mut output = anstream::stdout();
    let written = output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush());
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            bail!("cannot write the output: {error}")
        }
        written => Ok(written?),
    }
}
