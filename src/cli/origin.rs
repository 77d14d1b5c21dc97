//! Where a command reads: `--url` for a running catalog, else the database.

use reqwest::Url;
use serde::Deserialize;

use super::reader::Reader;
use crate::{
    config::{
        Config,
        environment::Environment,
        read::{command_key, database_url},
        url::parse_base_url,
    },
    lock::listed::{Listed, ListedModel},
    model::time::Timestamp,
    provider::client::Clients,
};

/// Where a command reads.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Origin {
    /// Read from a running catalog instead of the database, such as http://127.0.0.1:8484
    #[arg(long, value_name = "URL", conflicts_with = "database_url")]
    pub url: Option<String>,
    /// The SQLite database, opened read-only (DATABASE_URL, default sqlite://catalog.db)
    #[arg(long, value_name = "URL")]
    pub database_url: Option<String>,
}

/// The fields of `GET /v1/models` that `lock` and `check` use.
#[derive(Deserialize)]
struct List {
    data: Vec<ListedModel>,
}

/// The fields of `GET /catalog/sources` that they use.
#[derive(Deserialize)]
struct Sources {
    sources: Vec<Source>,
}

#[derive(Deserialize)]
struct Source {
    name: String,
    fetched_at: Option<Timestamp>,
}

impl Origin {
    /// Where the command reads.
    pub(super) fn reader(&self, environment: &Environment<'_>) -> anyhow::Result<Reader> {
        match &self.url {
            Some(url) => Ok(Reader::Running {
                key: command_key(environment, "MODEL_CATALOG_KEY")?,
                root: root_of(parse_base_url("--url", url)?),
                clients: Clients::new()?,
            }),
            None => {
                let url = database_url(self.database_url.clone(), environment, None);
                Ok(Reader::Database(Config::new(&url)?.database_url))
            }
        }
    }

    /// Reads the whole list.
    pub(super) async fn read(&self, environment: &Environment<'_>) -> anyhow::Result<Listed> {
        let reader = self.reader(environment)?;
        let sources: Sources = reader.get("catalog/sources").await?;
        let list: List = reader.get("v1/models").await?;
        // No catalog lists such ids, and the command will print them.
        if list
            .data
            .iter()
            .any(|model| model.id.contains(char::is_control))
        {
            return Err(reader.is_no_catalog());
        }
        let sources = sources.sources.into_iter();
        Ok(Listed {
            models: list.data,
            fetched_at: sources
                .filter_map(|source| Some((source.name, source.fetched_at?)))
                .collect(),
        })
    }
}

/// The root URL of a catalog's routes: `url` without `/v1`, with a trailing slash.
pub(super) fn root_of(mut url: Url) -> Url {
    let path = url.path().trim_end_matches('/');
    let path = path.strip_suffix("/v1").unwrap_or(path);
    let path = format!("{}/", path.trim_end_matches('/'));
    url.set_path(&path);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_catalog_is_named_with_and_without_its_v1() {
        for (url, expected) in [
            ("http://h:1", "http://h:1/"),
            ("http://h:1/", "http://h:1/"),
            ("http://h:1/v1", "http://h:1/"),
            ("http://h:1/v1/", "http://h:1/"),
            ("https://h/models/v1", "https://h/models/"),
            ("https://h/models//", "https://h/models/"),
        ] {
            assert_eq!(root_of(url.parse().expect("a URL")).as_str(), expected);
        }
    }
}
