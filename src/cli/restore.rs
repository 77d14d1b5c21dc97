//! `model-catalog restore`: puts a copy in the place of the database, which is kept.

use std::{path::PathBuf, process::ExitCode};

use super::{backup::describe, files::print};
use crate::{
    config::{Config, environment::Environment, read::database_url},
    model::time::Clock,
    store::copies,
};

/// `model-catalog restore`.
#[derive(Clone, Debug, clap::Args)]
pub struct Restore {
    /// The copy, as `backup` wrote it
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The SQLite database to replace (DATABASE_URL, default sqlite://catalog.db)
    #[arg(long, value_name = "URL")]
    pub database_url: Option<String>,
}

impl Restore {
    /// Checks the copy, keeps the database under another name, and puts the copy in its place.
    pub async fn run(&self, environment: &Environment<'_>) -> anyhow::Result<ExitCode> {
        let url = database_url(self.database_url.clone(), environment, None);
        let url = Config::new(&url)?.database_url;
        let restored = copies::restore(&self.file, &url, Clock::system().now()).await?;
        let mut said = format!(
            "restored {} from {}: {}\n",
            restored.database.display(),
            self.file.display(),
            describe(&restored.contents)
        );
        if let Some(kept) = restored.kept {
            said += &format!("the old file is kept as {}\n", kept.display());
        }
        print(&said)?;
        Ok(ExitCode::SUCCESS)
    }
}
