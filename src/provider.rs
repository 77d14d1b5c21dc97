//! Asking one source for its whole list: the one place with the time limit, the size limit, paging
//! and redirects. What a list looks like is each dialect's matter (`provider/*.rs`).

mod anthropic;
mod client;
mod error;
mod google;
mod ollama;
mod openai;
mod page;

use std::{collections::HashSet, time::Duration};

use reqwest::{Url, header::HeaderValue};
use secrecy::ExposeSecret;

use self::page::Page;
pub use self::{
    client::Clients,
    error::{ErrorKind, FetchError},
};
use crate::{
    config::SourceConfig,
    model::{Entry, Kind, Listing, Role},
    time::Timestamp,
};

/// Most bytes that a whole listing may have, decompressed. The largest lists known are 2 MB.
const MAX_LISTING_BYTES: usize = 8 * 1024 * 1024;
/// Most bytes read of an answer that is an error.
const MAX_ERROR_BYTES: usize = 64 * 1024;
/// Most pages of one listing.
const MAX_PAGES: usize = 100;

/// How one kind of source is asked and read.
struct Dialect {
    kind: Kind,
    /// Where the list is, below the server's root.
    path: &'static str,
    /// Query of the first page: the largest page that may be asked for.
    first_page: &'static [(&'static str, &'static str)],
    /// The header that carries the key, and what stands in front of the key there.
    key_header: &'static str,
    key_prefix: &'static str,
    /// Further headers.
    headers: &'static [(&'static str, &'static str)],
    /// Reads one page. The error is one line for people.
    parse: fn(&[u8]) -> Result<Page, String>,
}

/// A whole listing and the dialect in which it was given.
#[derive(Debug)]
pub struct Fetched {
    /// Never [`Kind::Auto`].
    pub kind: Kind,
    /// All pages.
    pub listing: Listing,
}

/// Asks `source` for its whole list: all pages within `limit`, or an error. `recognised` is the
/// kind in which a source of kind [`Kind::Auto`] last answered; that is tried first.
pub async fn fetch(
    clients: &Clients,
    source: &SourceConfig,
    recognised: Option<Kind>,
    limit: Duration,
    now: Timestamp,
) -> Result<Fetched, FetchError> {
    let attempt = async {
        let (first, second) = dialects(source.kind, recognised);
        match (fetch_in(first, clients, source, now).await, second) {
            (Err(error), Some(second)) if error.kind.suggests_another_dialect() => {
                let fetched = fetch_in(second, clients, source, now).await;
                // Of a server that is known to speak the first, only the first error counts.
                let known = recognised == Some(first.kind);
                fetched.map_err(|other| if known { error } else { other })
            }
            (fetched, _) => fetched,
        }
    };
    let fetched = tokio::time::timeout(limit, attempt)
        .await
        .unwrap_or_else(|_| {
            let message = format!("no whole list within {} s", limit.as_secs_f32());
            Err(FetchError::new(ErrorKind::Timeout, message))
        });
    fetched.map_err(|mut error| {
        if let (ErrorKind::Tls, Some(problem)) = (error.kind, &clients.tls_problem) {
            error.message = format!(
                "no certificate can be checked ({problem}): install CA certificates (package ca-certificates) and restart"
            );
        }
        error.without_key(source.key.as_ref())
    })
}

/// Reads one page of a list of `kind`.
pub(crate) fn parse_page(kind: Kind, body: &[u8]) -> Result<Page, String> {
    (dialects(kind, None).0.parse)(body)
}

/// The dialect of `kind`, and for an unrecognised endpoint the other one to try.
fn dialects(kind: Kind, recognised: Option<Kind>) -> (&'static Dialect, Option<&'static Dialect>) {
    match (kind, recognised) {
        (Kind::OpenAi, _) => (&openai::DIALECT, None),
        (Kind::Google, _) => (&google::DIALECT, None),
        (Kind::Anthropic, _) => (&anthropic::DIALECT, None),
        (Kind::Ollama, _) => (&ollama::DIALECT, None),
        (Kind::Auto, Some(Kind::OpenAi)) => (&openai::DIALECT, Some(&ollama::DIALECT)),
        // Ollama answers `/v1/models` too, but says less there.
        (Kind::Auto, _) => (&ollama::DIALECT, Some(&openai::DIALECT)),
    }
}

async fn fetch_in(
    dialect: &'static Dialect,
    clients: &Clients,
    source: &SourceConfig,
    now: Timestamp,
) -> Result<Fetched, FetchError> {
    let mut listing = Listing::default();
    let mut known = HashSet::new();
    let mut cursors = HashSet::new();
    let mut cursor = Vec::new();
    let mut bytes_left = MAX_LISTING_BYTES;
    loop {
        let pages = listing.pages;
        let page = async {
            let url = page_url(dialect, source, &cursor);
            let body = get(dialect, clients, source, url, bytes_left, now).await?;
            bytes_left -= body.len();
            (dialect.parse)(&body).map_err(|message| FetchError::new(ErrorKind::Malformed, message))
        }
        .await
        .map_err(|error| FetchError { pages, ..error })?;
        listing.pages += 1;
        listing.skipped += page.skipped;
        // Some services list an id twice; the first stands.
        listing.entries.extend(
            page.entries
                .into_iter()
                .filter(|entry| known.insert(entry.id.clone())),
        );

        let fail = |kind, message: &str| {
            Err(FetchError {
                pages: pages + 1,
                ..FetchError::new(kind, message)
            })
        };
        let Some(next) = page.next else {
            if listing.entries.is_empty() && listing.skipped > 0 {
                return fail(ErrorKind::Malformed, "no entry of the list has a usable id");
            }
            break;
        };
        if next.iter().all(|(_, value)| value.is_empty()) || !cursors.insert(next.clone()) {
            return fail(
                ErrorKind::Truncated,
                "the list says that there is more, but its cursor leads nowhere new",
            );
        }
        if listing.pages == MAX_PAGES {
            return fail(
                ErrorKind::Truncated,
                "the list does not end within 100 pages",
            );
        }
        cursor = next;
    }
    if source.discovered && !is_local_server(dialect, &listing) {
        return Err(FetchError::new(
            ErrorKind::Malformed,
            "what answers is none of vLLM, LM Studio and llama.cpp",
        ));
    }
    Ok(Fetched {
        kind: dialect.kind,
        listing,
    })
}

/// Whether the listing is one that a server found on a well-known port is believed: Ollama's, or
/// one in which every model is owned by vLLM, llama.cpp or LM Studio.
fn is_local_server(dialect: &Dialect, listing: &Listing) -> bool {
    #[derive(serde::Deserialize)]
    struct Owner {
        owned_by: String,
    }
    const OWNERS: [&str; 3] = ["vllm", "llamacpp", "organization_owner"];
    let is_known = |entry: &Entry| {
        serde_json::from_str::<Owner>(&entry.raw)
            .is_ok_and(|owner| OWNERS.contains(&owner.owned_by.as_str()))
    };
    dialect.kind == Kind::Ollama
        || (!listing.entries.is_empty() && listing.entries.iter().all(is_known))
}

fn page_url(dialect: &Dialect, source: &SourceConfig, cursor: &[(String, String)]) -> Url {
    let mut url = source.base_url.clone();
    let base = url.path().trim_end_matches('/');
    let path = match (source.role, dialect.kind) {
        // OpenAI's own convention: the base URL of a provider holds the version.
        (Role::Provider, Kind::OpenAi) => format!("{base}/models"),
        _ => {
            let root = base
                .strip_suffix("/v1")
                .or_else(|| base.strip_suffix("/v1beta"))
                .unwrap_or(base);
            format!("{root}/{}", dialect.path)
        }
    };
    url.set_path(&path);
    if !(dialect.first_page.is_empty() && cursor.is_empty()) {
        url.query_pairs_mut()
            .extend_pairs(dialect.first_page)
            .extend_pairs(cursor);
    }
    url
}

/// One page's body: at most `limit` bytes, decompressed, cut off while streaming.
async fn get(
    dialect: &Dialect,
    clients: &Clients,
    source: &SourceConfig,
    url: Url,
    limit: usize,
    now: Timestamp,
) -> Result<Vec<u8>, FetchError> {
    let mut request = clients.of(source).get(url);
    for (name, value) in dialect.headers {
        request = request.header(*name, *value);
    }
    if let Some(key) = &source.key {
        let value = format!("{}{}", dialect.key_prefix, key.expose_secret());
        let mut value = HeaderValue::try_from(value).map_err(|_| {
            FetchError::new(
                ErrorKind::Unauthorized,
                "the key holds a character that no header can carry",
            )
        })?;
        value.set_sensitive(true);
        request = request.header(dialect.key_header, value);
    }
    let mut response = request.send().await.map_err(FetchError::from_transport)?;
    let status = response.status();
    if !status.is_success() {
        // What of the body can be had helps to say why; that it breaks off does not matter.
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ERROR_BYTES {
                break;
            }
        }
        return Err(FetchError::from_answer(
            status,
            response.headers(),
            &body,
            now,
        ));
    }
    let with_status = |error| FetchError {
        http_status: Some(status.as_u16()),
        ..error
    };
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| with_status(FetchError::broken_off(error)))?
    {
        if body.len() + chunk.len() > limit {
            let message = format!("the list is larger than {} MiB", MAX_LISTING_BYTES >> 20);
            return Err(with_status(FetchError::new(ErrorKind::TooLarge, message)));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
