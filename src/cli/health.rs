//! `model-catalog health`: whether a running catalog is well, for container health checks.

use std::process::ExitCode;

use anyhow::anyhow;
use serde_json::Value;

use super::{files::print, origin::root_of, reader::Reader};
use crate::{config::url::parse_base_url, provider::client::Clients};

/// `model-catalog health`.
#[derive(Clone, Debug, clap::Args)]
pub struct Health {
    /// The running catalog
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8484")]
    pub url: String,
}

impl Health {
    /// Prints `ok`; fails when the catalog does not answer, or says that it is not well.
    pub async fn run(&self) -> anyhow::Result<ExitCode> {
        let reader = Reader::Running {
            root: root_of(parse_base_url("--url", &self.url)?),
            key: None,
            clients: Clients::new()?,
        };
        let answer: Option<Value> = reader.find("healthz").await?;
        answer.ok_or_else(|| anyhow!("{}", reader.is_no_catalog()))?;
        print("ok\n")?;
        Ok(ExitCode::SUCCESS)
    }
}
