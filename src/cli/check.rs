//! `model-catalog check`: reports what changed about the models of a lock file.

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
    /// How close a retirement must be to count as a problem
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = parse_time)]
    pub within: TimeDelta,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Where to read the list.
    #[command(flatten)]
    pub origin: Origin,
}

impl Check {
    /// Prints the report; exit code 1 when a model has a problem.
    pub async fn run(&self, environment: &Environment<'_>) -> anyhow::Result<ExitCode> {
        let Some(file) = read_lockfile(&self.file)? else {
            bail!(
                "there is no {}: write it with `model-catalog lock`, or pass another lock file",
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
    parse_duration(text).context("it must be a duration such as 30d or 86400 (seconds)")
}
