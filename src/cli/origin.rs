//! Reads the list for a command, from the database or from a running catalog.

use std::time::Duration;

use anyhow::anyhow;
use reqwest::{StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::{
    catalog::listed::listed,
    config::{
        Config,
        environment::Environment,
        odd_key::oddity,
        read::{catalog_key, database_url},
        url::parse_base_url,
    },
    lock::listed::{Listed, ListedModel},
    model::time::Timestamp,
    provider::client::Clients,
    snapshot::Snapshot,
    store::read_only::read_state,
};

/// Time limit for each of the catalog's two answers.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The largest answer that is read, in bytes: far above any real one.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// Where a command reads the list.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Origin {
    /// Read from a running catalog instead of the database, such as http://127.0.0.1:8484
    #[arg(long, value_name = "URL", conflicts_with = "database_url")]
    pub url: Option<String>,
    /// The SQLite database, opened read-only (DATABASE_URL, default sqlite://catalog.db)
    #[arg(long, value_name = "URL")]
    pub database_url: Option<String>,
}

/// The fields of `GET /catalog/sources` that the commands use.
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
    pub(super) async fn read(&self, environment: &Environment<'_>) -> anyhow::Result<Listed> {
        match &self.url {
            Some(url) => {
                let key = catalog_key(environment)?;
                fetch(&root_of(parse_base_url("--url", url)?), key.as_ref()).await
            }
            None => {
                let url = database_url(self.database_url.clone(), environment, None);
                read_database(&url).await
            }
        }
    }
}

/// Builds the same list that a service on this database would serve.
async fn read_database(url: &str) -> anyhow::Result<Listed> {
    let state = read_state(&Config::new(url)?.database_url).await?;
    let snapshot = Snapshot::build(state.content.unwrap_or_default())?;
    let sources = state.sources.states.into_iter();
    Ok(Listed {
        models: snapshot.models.iter().map(listed).collect(),
        fetched_at: sources
            .filter_map(|source| Some((source.name.to_string(), source.polling.fetched_at?)))
            .collect(),
    })
}

async fn fetch(root: &Url, key: Option<&SecretString>) -> anyhow::Result<Listed> {
    let clients = Clients::new()?;
    let sources: Sources =
        serde_json::from_slice(&get(&clients, root, key, "catalog/sources").await?)
            .map_err(|_| not_a_catalog(root))?;
    let models = ListedModel::parse_list(&get(&clients, root, key, "v1/models").await?)
        .map_err(|_| not_a_catalog(root))?;
    // No catalog lists such ids, and the command will print them.
    if models
        .iter()
        .any(|model| model.id.contains(char::is_control))
    {
        return Err(not_a_catalog(root));
    }
    let sources = sources.sources.into_iter();
    Ok(Listed {
        models,
        fetched_at: sources
            .filter_map(|source| Some((source.name, source.fetched_at?)))
            .collect(),
    })
}

async fn get(
    clients: &Clients,
    root: &Url,
    key: Option<&SecretString>,
    path: &str,
) -> anyhow::Result<bytes::Bytes> {
    let url = format!("{root}{path}");
    let mut request = clients.of_url(root).get(&url).timeout(TIMEOUT);
    if let Some(key) = key {
        request = request.bearer_auth(key.expose_secret());
    }
    let unreachable = |error: reqwest::Error| {
        let cause = anyhow::Error::from(error.without_url());
        let cause = cause.root_cause();
        anyhow!("cannot reach the catalog at {root}: {cause}; start it, or correct --url")
    };
    let mut response = request.send().await.map_err(unreachable)?;
    let status = response.status();
    if status == StatusCode::NOT_FOUND {
        return Err(not_a_catalog(root));
    }
    if status == StatusCode::UNAUTHORIZED {
        let oddity = key.and_then(|key| oddity(key.expose_secret()));
        let hint = oddity.map_or_else(String::new, |oddity| format!("; the key {oddity}"));
        return Err(anyhow!(
            "the catalog at {root} requires a valid key: set MODEL_CATALOG_KEY to one of its [[keys]]{hint}"
        ));
    }
    if !status.is_success() {
        return Err(anyhow!(
            "{url} answered {}: see the log of the catalog, or correct --url",
            status.as_u16()
        ));
    }
    let mut body = bytes::BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER_BYTES {
            return Err(not_a_catalog(root));
        }
    }
    Ok(body.freeze())
}

fn not_a_catalog(root: &Url) -> anyhow::Error {
    anyhow!("the server at {root} is not a model-catalog: correct --url")
}

/// The root URL of a catalog's routes: `url` without `/v1`, with a trailing slash.
fn root_of(mut url: Url) -> Url {
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
