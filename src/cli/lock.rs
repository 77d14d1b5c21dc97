//! `model-catalog lock`: writes the lock file atomically.

use std::{
    collections::BTreeSet,
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use anyhow::{anyhow, bail};

use super::{
    files::{DEFAULT_LOCKFILE, print, read_lockfile},
    origin::Origin,
};
use crate::{
    config::environment::Environment,
    lock::{
        file::{LockedModel, Lockfile},
        listed::{Listed, ListedModel},
    },
    log,
    model::closest::closest,
};

/// `model-catalog lock`.
#[derive(Clone, Debug, clap::Args)]
pub struct Lock {
    /// Ids of the models to lock, as listed; by default, the models already in the file
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// The lock file to replace
    #[arg(long, value_name = "FILE", default_value = DEFAULT_LOCKFILE)]
    pub output: String,
    /// Where to read the list.
    #[command(flatten)]
    pub origin: Origin,
}

impl Lock {
    /// Writes the file. Exits with code 1, without writing, when a model is not listed.
    pub async fn run(&self, environment: &Environment<'_>) -> anyhow::Result<ExitCode> {
        let ids = self.ids()?;
        let listed = self.origin.read(environment).await?;
        let mut found = Vec::new();
        let mut unlisted = Vec::new();
        for id in &ids {
            match listed.find(id) {
                Some(model) => found.push(lock(model, &listed)),
                None => unlisted.push(id),
            }
        }
        if !unlisted.is_empty() {
            for id in unlisted {
                log::say(&format!(
                    "model-catalog: {} is not listed{}",
                    id.escape_debug(),
                    suggest(id, &listed)
                ));
            }
            log::say(&format!("model-catalog: {} was not written", self.output));
            return Ok(ExitCode::from(1));
        }
        let count = found.len();
        let text = Lockfile::new(found).to_text()?;
        replace(Path::new(&self.output), &text)
            .map_err(|error| anyhow!("cannot write {}: {error}", self.output))?;
        let models = if count == 1 { "model" } else { "models" };
        print(&format!("{}: {count} {models}\n", self.output))?;
        Ok(ExitCode::SUCCESS)
    }

    /// The ids to lock, without duplicates. Fails when there are none.
    fn ids(&self) -> anyhow::Result<BTreeSet<String>> {
        if !self.ids.is_empty() {
            return Ok(self.ids.iter().cloned().collect());
        }
        let Some(file) = read_lockfile(&self.output)? else {
            bail!(
                "there is no {}, so there are no models to lock again: name models, such as openai:gpt-4o",
                self.output
            );
        };
        Ok(file.models().iter().map(|model| model.id.clone()).collect())
    }
}

fn lock(model: &ListedModel, listed: &Listed) -> LockedModel {
    LockedModel {
        id: model.id.clone(),
        owned_by: Some(model.owned_by.clone()),
        context_window: model.attributes.context_window,
        max_output_tokens: model.attributes.max_output_tokens,
        last_seen_at: listed.last_seen_at(model),
    }
}

/// Suggests ids similar to `id`, as the end of a sentence.
fn suggest(id: &str, listed: &Listed) -> String {
    let close = closest(id, listed.models.iter().map(|model| model.id.as_str()));
    if close.is_empty() {
        "; GET /v1/models lists the ids".to_owned()
    } else {
        format!("; similar ids: {}", close.join(", "))
    }
}

/// Replaces the file at `path` atomically: a concurrent reader sees the old text or the new one.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let mut file = new_file_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// A temporary file with the permissions of any new file, because the lock file will be committed.
fn new_file_in(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.prefix(".models.lock.").tempfile_in(folder)
}
