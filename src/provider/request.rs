//! One request to a source and the body of its answer: URL, headers, key, size limit.

use reqwest::{
    Response, Url,
    header::{CONTENT_TYPE, HeaderValue},
};
use secrecy::ExposeSecret;

use super::{Fetch, ListApi, MAX_LISTING_BYTES};
use crate::{
    config::source::SourceConfig,
    model::{
        fetch::{ErrorKind, FetchError},
        source::{Kind, Role},
    },
};

impl Fetch<'_> {
    /// Sends a GET, or with a `body`, which is JSON, a POST.
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
                    "the key holds a character that no header can carry",
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

/// The body of `response`, of at most `bytes_left`, which it takes off: cut off while streaming,
/// decompressed.
pub(super) async fn read_body(
    mut response: Response,
    bytes_left: &mut usize,
) -> Result<Vec<u8>, FetchError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(FetchError::broken_off)? {
        if body.len() + chunk.len() > *bytes_left {
            let message = format!("the list is larger than {} MiB", MAX_LISTING_BYTES >> 20);
            return Err(FetchError::new(ErrorKind::TooLarge, message));
        }
        body.extend_from_slice(&chunk);
    }
    *bytes_left -= body.len();
    Ok(body)
}

/// `path` below the root of the source's server.
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

/// Where a page of the list is: the first one, or the one that `cursor` asks for.
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
    // A link to the next page may repeat what the first one was asked with.
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
