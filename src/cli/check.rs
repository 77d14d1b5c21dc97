//! `model-catalog check`: what has become of the models of a lock file.

use std::process::ExitCode;

use anyhow::{Context, bail};
use chrono::TimeDelta;

use super::{
    files::{DEFAULT_LOCKFILE, print, read_lockfile},
    origin::Origin,
    report::{Format, Report},
};
use crate::{
    config::environment::Environment,
    lock::verdict::verdict,
    model::time::{Clock, parse_duration},
};

/// `model-catalog check`.
#[derive(Clone, Debug, clap::Args)]
pub struct Check {
    /// The lock file
    #[arg(value_name = "FILE", default_value = DEFAULT_LOCKFILE)]
    pub file: String,
    /// How soon a retirement is a problem
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = parse_time)]
    pub within: TimeDelta,
    /// What to print
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Where the list is read.
    #[command(flatten)]
    pub origin: Origin,
}

impl Check {
    /// Prints the report; exit code 1 when a model has a problem.
    pub async fn run(&self, environment: &Environment<'_>) -> anyhow::Result<ExitCode> {
        let Some(file) = read_lockfile(&self.file)? else {
            bail!(
                "there is no {}: write it with `model-catalog lock`, or name the lock file",
                self.file
            );
        };
        let listed = self.origin.read(environment).await?;
        let now = Clock::system().now();
        let models = file.models().iter();
        let report = Report {
            checked_at: now,
            verdicts: models
                .map(|locked| {
                    verdict(
                        locked,
                        listed.find_in_any_case(&locked.id),
                        now,
                        self.within,
                    )
                })
                .collect(),
        };
        print(&report.render(self.format)?)?;
        Ok(ExitCode::from(if report.is_ok() { 0 } else { 1 }))
    }
}

fn parse_time(text: &str) -> anyhow::Result<TimeDelta> {
    parse_duration(text).context("it must be a time such as 30d or 86400 (seconds)")
}
