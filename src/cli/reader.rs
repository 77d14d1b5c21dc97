//! Asks a catalog for a command: a running one over HTTP, or the same routes on the database alone.

use std::time::Duration;

use anyhow::anyhow;
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, header::HOST},
};
use bytes::{Bytes, BytesMut};
use reqwest::{StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use tokio::io::AsyncWriteExt;
use tower::ServiceExt;

use super::text::printable;
use crate::{
    api::{application, middleware::CATALOG_REVISION},
    catalog::Catalog,
    config::odd_key::oddity,
    provider::client::Clients,
    store::read_only,
};

/// Time limit for each answer of a running catalog.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The largest answer that is read, in bytes: far above any real one.
const MAX_ANSWER_BYTES: usize = 256 << 20;

/// Where a command reads.
pub(super) enum Reader {
    /// A running catalog.
    Running {
        /// The URL of its routes, with a slash at the end.
        root: Url,
        /// The key that it is asked with.
        key: Option<SecretString>,
        /// The HTTP clients.
        clients: Clients,
    },
    /// The database at this URL, opened read-only.
    Database(String),
}

/// One answer.
struct Answer {
    status: StatusCode,
    /// The revision that it is about.
    revision: Option<i64>,
    body: Bytes,
}

/// An error of one of the catalog's own routes.
#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorText,
}

#[derive(Deserialize)]
struct ErrorText {
    message: String,
}

impl Reader {
    /// The JSON of `path`, which begins without a slash.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let found = self.find(path).await?;
        found.ok_or_else(|| self.is_no_catalog())
    }

    /// The same; none when there is no such thing (404).
    pub async fn find<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<Option<T>> {
        match self.ask(path).await? {
            Some(answer) => Ok(Some(self.parse(&answer)?)),
            None => Ok(None),
        }
    }

    /// The revision that the answer of `path` is about.
    pub async fn revision(&self, path: &str) -> anyhow::Result<i64> {
        let answer = self.ask(path).await?;
        answer
            .and_then(|answer| answer.revision)
            .ok_or_else(|| self.is_no_catalog())
    }

    async fn ask(&self, path: &str) -> anyhow::Result<Option<Answer>> {
        let answer = match self {
            Self::Database(url) => of_database(url, path).await?,
            Self::Running { root, key, clients } => {
                let request = clients.of_url(root).get(format!("{root}{path}"));
                send(root, key.as_ref(), request).await?
            }
        };
        self.check(answer)
    }

    /// Posts to `path` of a running catalog, with `key`; none when there is no such thing (404).
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        key: Option<&SecretString>,
    ) -> anyhow::Result<Option<T>> {
        let Self::Running { root, clients, .. } = self else {
            return Err(anyhow!(
                "only a running catalog can do this: pass --url, such as --url http://127.0.0.1:8484"
            ));
        };
        let request = clients.of_url(root).post(format!("{root}{path}"));
        match self.check(send(root, key, request).await?)? {
            Some(answer) => Ok(Some(self.parse(&answer)?)),
            None => Ok(None),
        }
    }

    /// Writes the answer of `path` of a running catalog to `file`.
    pub async fn download(&self, path: &str, file: &std::fs::File) -> anyhow::Result<()> {
        let Self::Running { root, key, clients } = self else {
            return Err(anyhow!("only a running catalog can do this: pass --url"));
        };
        let request = clients.of_url(root).get(format!("{root}{path}"));
        let mut response = start(root, key.as_ref(), request).await?;
        if !response.status().is_success() {
            let answer = whole(root, response).await?;
            return match self.check(answer)? {
                Some(_) => Ok(()),
                None => Err(self.is_no_catalog()),
            };
        }
        let mut file = tokio::fs::File::from_std(file.try_clone()?);
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| unreachable(root, error))?
        {
            file.write_all(&chunk)
                .await
                .map_err(|error| anyhow!("cannot write the answer of {root}: {error}"))?;
        }
        file.flush()
            .await
            .map_err(|error| anyhow!("cannot write the answer of {root}: {error}"))
    }

    fn parse<T: DeserializeOwned>(&self, answer: &Answer) -> anyhow::Result<T> {
        serde_json::from_slice(&answer.body).map_err(|_| self.is_no_catalog())
    }

    /// The error that what was asked is no catalog of this version.
    pub fn is_no_catalog(&self) -> anyhow::Error {
        match self {
            Self::Running { root, .. } => {
                anyhow!("the server at {root} is not a model-catalog: correct --url")
            }
            Self::Database(_) => {
                anyhow!("the database gives no answer: it is a fault of model-catalog")
            }
        }
    }

    /// `answer`, if it is a success; none when there is no such thing.
    fn check(&self, answer: Answer) -> anyhow::Result<Option<Answer>> {
        let status = answer.status;
        if status.is_success() {
            return Ok(Some(answer));
        }
        let error = serde_json::from_slice::<ErrorBody>(&answer.body);
        match (self, error) {
            (_, Ok(_)) if status == StatusCode::NOT_FOUND => Ok(None),
            (Self::Running { root, key, .. }, _) if status == StatusCode::UNAUTHORIZED => {
                let oddity = key.as_ref().and_then(|key| oddity(key.expose_secret()));
                let hint = oddity.map_or_else(String::new, |oddity| format!("; the key {oddity}"));
                Err(anyhow!(
                    "the catalog at {root} requires a valid key: set MODEL_CATALOG_KEY to one of its [[keys]]{hint}"
                ))
            }
            (_, Ok(body)) => Err(anyhow!("{}", printable(&body.error.message))),
            (Self::Running { root, .. }, Err(_)) if status != StatusCode::NOT_FOUND => {
                Err(anyhow!(
                    "the server at {root} answered {}: see its log, or correct --url",
                    status.as_u16()
                ))
            }
            _ => Err(self.is_no_catalog()),
        }
    }
}

/// The answer that a service on the database at `url` would give for `path`.
async fn of_database(url: &str, path: &str) -> anyhow::Result<Answer> {
    read_only::read(url, async |store| {
        let catalog = Catalog::of_stored(store.clone()).await?;
        let request = Request::get(format!("/{path}"))
            .header(HOST, "localhost")
            .body(Body::empty())?;
        // The router has no error of its own.
        let Ok(response) = application(catalog, None, Router::new())
            .oneshot(request)
            .await;
        let (parts, body) = response.into_parts();
        Ok(Answer {
            status: parts.status,
            revision: revision(&parts.headers),
            body: axum::body::to_bytes(body, MAX_ANSWER_BYTES).await?,
        })
    })
    .await
}

/// The answer of the catalog at `root` to `request` with `key`.
async fn send(
    root: &Url,
    key: Option<&SecretString>,
    request: reqwest::RequestBuilder,
) -> anyhow::Result<Answer> {
    let request = request.timeout(TIMEOUT);
    whole(root, start(root, key, request).await?).await
}

/// Sends `request` to the catalog at `root`, with `key`.
async fn start(
    root: &Url,
    key: Option<&SecretString>,
    mut request: reqwest::RequestBuilder,
) -> anyhow::Result<reqwest::Response> {
    if let Some(key) = key {
        request = request.bearer_auth(key.expose_secret());
    }
    let sent = request.send().await;
    sent.map_err(|error| unreachable(root, error))
}

/// Reads the whole answer of the catalog at `root`.
async fn whole(root: &Url, mut response: reqwest::Response) -> anyhow::Result<Answer> {
    let (status, revision) = (response.status(), revision(response.headers()));
    let mut body = BytesMut::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| unreachable(root, error))?
    {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER_BYTES {
            return Err(anyhow!("the answer of {root} is too large: correct --url"));
        }
    }
    Ok(Answer {
        status,
        revision,
        body: body.freeze(),
    })
}

fn unreachable(root: &Url, error: reqwest::Error) -> anyhow::Error {
    let cause = anyhow::Error::from(error.without_url());
    let cause = cause.root_cause();
    anyhow!("cannot reach the catalog at {root}: {cause}; start it, or correct --url")
}

fn revision(headers: &HeaderMap) -> Option<i64> {
    headers.get(CATALOG_REVISION)?.to_str().ok()?.parse().ok()
}
