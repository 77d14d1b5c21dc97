//! Sends one request to a source and reads the body of its answer: URL, headers, key, size limit.

use std::{ops::Deref, sync::Arc};

use chrono::{DateTime, Utc};
use reqwest::{
    Response, Url,
    header::{CONTENT_TYPE, DATE, HeaderValue, LINK},
};
use secrecy::ExposeSecret;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Fetch, ListApi, MAX_LISTING_BYTES};
use crate::{
    config::source::SourceConfig,
    model::{
        fetch::{ErrorKind, FetchError},
        source::{Kind, Role},
        time::Timestamp,
    },
};

/// An answer above this size is a large one.
const LARGE_BYTES: usize = 8 * 1024 * 1024;

impl Fetch<'_> {
    /// Sends a GET, or a POST if there is a `body` (JSON).
    pub(super) async fn send(
        &self,
        api: &ListApi,
        url: Url,
        body: Option<String>,
    ) -> Result<Response, FetchError> {
        let host = format!(
            "{}:{}",
            url.host_str().unwrap_or_default(),
            url.port_or_known_default().unwrap_or_default()
        );
        let client = self.clients.of(self.source);
        let mut request = match body {
            None => client.get(url),
            Some(body) => client
                .post(url)
                .header(CONTENT_TYPE, "application/json")
                .body(body),
        };
        for (name, value) in api.headers {
            request = request.header(*name, *value);
        }
        if let Some(key) = &self.source.key {
            let value = format!("{}{}", api.key_prefix, key.expose_secret());
            let mut value = HeaderValue::try_from(value).map_err(|_| {
                FetchError::new(
                    ErrorKind::Unauthorized,
                    "the key has a character that is not allowed in a header",
                )
            })?;
            value.set_sensitive(true);
            request = request.header(api.key_header, value);
        }
        request
            .send()
            .await
            .map_err(|error| FetchError::from_transport(error, &host))
    }
}

/// The bytes of an answer. As long as those of a large one are held, no other large one is read.
pub(super) struct ReadBody {
    bytes: Vec<u8>,
    _turn: Option<OwnedSemaphorePermit>,
}

impl Deref for ReadBody {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads the body of `response`, decompressed, and subtracts its size from `bytes_left`; stops with
/// an error as soon as it exceeds that. A large body waits for its turn at `large`, so that several
/// cannot fill the memory.
pub(super) async fn read_body(
    mut response: Response,
    bytes_left: &mut usize,
    large: Option<&Arc<Semaphore>>,
) -> Result<ReadBody, FetchError> {
    let (mut bytes, mut turn) = (Vec::new(), None);
    while let Some(chunk) = response.chunk().await.map_err(FetchError::broken_off)? {
        let length = bytes.len() + chunk.len();
        if length > *bytes_left {
            let message = format!("the list is larger than {} MiB", MAX_LISTING_BYTES >> 20);
            return Err(FetchError::new(ErrorKind::TooLarge, message));
        }
        if let (true, None, Some(large)) = (length > LARGE_BYTES, &turn, large) {
            // The semaphore is never closed.
            turn = large.clone().acquire_owned().await.ok();
        }
        bytes.extend_from_slice(&chunk);
    }
    *bytes_left -= bytes.len();
    Ok(ReadBody { bytes, _turn: turn })
}

/// Returns the `Link` headers of `response`, joined.
pub(super) fn link_header(response: &Response) -> Option<String> {
    let headers = response.headers().get_all(LINK).iter();
    let links: Vec<&str> = headers.filter_map(|link| link.to_str().ok()).collect();
    (!links.is_empty()).then(|| links.join(", "))
}

/// The `Date` of the answer.
pub(super) fn date_header(response: &Response) -> Option<Timestamp> {
    let date = response.headers().get(DATE)?.to_str().ok()?;
    let date = httpdate::parse_http_date(date).ok()?;
    Some(DateTime::<Utc>::from(date).into())
}

/// Returns the URL of `path` below the root of the source's server.
pub(super) fn root_url(source: &SourceConfig, path: &str) -> Url {
    let mut url = source.base_url.clone();
    let base = url.path().trim_end_matches('/');
    let root = base
        .strip_suffix("/v1")
        .or_else(|| base.strip_suffix("/v1beta"))
        .unwrap_or(base);
    url.set_path(&format!("{root}/{path}"));
    url
}

/// Returns the URL of a page of the list: the first one, or the one that `cursor` requests.
pub(super) fn page_url(api: &ListApi, source: &SourceConfig, cursor: &[(String, String)]) -> Url {
    let mut url = if api.kind == Kind::Enrichment {
        // One file.
        source.base_url.clone()
    } else if source.role == Role::Provider && api.base_has_version {
        let mut url = source.base_url.clone();
        url.set_path(&format!("{}/models", url.path().trim_end_matches('/')));
        url
    } else {
        root_url(source, api.path)
    };
    // A link to the next page may repeat parameters of the first one.
    let first_page = api
        .first_page
        .iter()
        .chain(source.query)
        .filter(|(name, _)| cursor.iter().all(|(other, _)| other != name));
    let pairs: Vec<(&str, &str)> = first_page
        .copied()
        .chain(
            cursor
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        )
        .collect();
    if !pairs.is_empty() {
        url.query_pairs_mut().extend_pairs(pairs);
    }
    url
}
