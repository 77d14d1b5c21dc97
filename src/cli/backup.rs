//! `model-catalog backup`: a consistent copy of the database, also while a service writes.

use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{anyhow, bail};
use tempfile::NamedTempFile;

use super::{files::print, origin::Origin, reader::Reader};
use crate::{
    config::environment::Environment,
    store::copies::{self, Contents},
};

/// `model-catalog backup`.
#[derive(Clone, Debug, clap::Args)]
pub struct Backup {
    /// The file to write
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Replace the file if it exists
    #[arg(long)]
    pub force: bool,
    /// Where to read.
    #[command(flatten)]
    pub origin: Origin,
}

impl Backup {
    /// Writes the copy, for its owner alone, once it is whole and checked.
    pub async fn run(&self, environment: &Environment<'_>) -> anyhow::Result<ExitCode> {
        let file = self.file.display();
        let taken = || anyhow!("{file} exists: name another file, or pass --force to replace it");
        if !self.force && self.file.exists() {
            return Err(taken());
        }
        let folder = self
            .file
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let failed = |error: io::Error| anyhow!("cannot write {file}: {error}");
        let copy = NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).map_err(failed)?;
        match self.origin.reader(environment)? {
            Reader::Database(url) => copies::copy(&url, copy.path()).await?,
            reader => reader.download("catalog.sqlite", copy.as_file()).await?,
        }
        let contents = copies::check(copy.path()).await?;
        copy.as_file().sync_all().map_err(failed)?;
        if self.force {
            copy.persist(&self.file)
                .map_err(|error| failed(error.error))?;
        } else if let Err(error) = copy.persist_noclobber(&self.file) {
            match error.error.kind() {
                io::ErrorKind::AlreadyExists => bail!(taken()),
                _ => bail!(failed(error.error)),
            }
        }
        print(&format!("wrote {file}: {}\n", describe(&contents)))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// What is in a copy, in words.
pub(super) fn describe(contents: &Contents) -> String {
    let revision = match contents.at {
        Some(at) => format!("revision {} of {at}", contents.revision),
        None => "no listing yet".to_owned(),
    };
    format!("{revision}, {} kB", contents.bytes.div_ceil(1000))
}
