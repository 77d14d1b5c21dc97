//! Fetches the whole list of one source: the one place for the time limit, the size limit, paging
//! and redirects. Each [`ListApi`] (`provider/*.rs`) knows the format of its list.

mod anthropic;
mod bedrock;
pub mod client;
mod cloudflare;
mod cohere;
mod details;
mod enrichment;
mod envelope;
pub mod failure;
mod fields;
mod gather;
mod google;
mod mend;
mod ollama;
mod openai;
mod page;
mod paging;
mod progress;
mod recognise;
pub mod redaction;
mod refusal;
mod request;
mod time;
mod value;

use std::time::Duration;

use reqwest::{Response, StatusCode};
use secrecy::ExposeSecret;
use tokio::time::{Instant, timeout_at};

use self::{
    client::Clients,
    details::DetailRequests,
    gather::Gathering,
    page::Page,
    progress::{NoPage, Progress},
    recognise::Recognised,
    request::{date_header, link_header, page_url, read_body},
};
use crate::{
    config::{odd_key::oddity, source::SourceConfig},
    model::{
        fetch::{ErrorKind, FetchError, Fetched},
        listing::{Details, Entry, Listing},
        source::{Kind, Role},
        time::Timestamp,
    },
};

/// Most bytes of a whole listing, decompressed. The largest known list has 7 MB.
const MAX_LISTING_BYTES: usize = 40 * 1024 * 1024;
/// Most bytes read of an error answer.
const MAX_ERROR_BYTES: usize = 64 * 1024;
/// How long to wait for the body of an error answer, which only adds detail.
const ERROR_BODY_LIMIT: Duration = Duration::from_secs(1);
/// Time kept free before the deadline to report how the fetch ended.
const CLOSING_MARGIN: Duration = Duration::from_millis(200);

/// How to request and read the list of one kind of source.
struct ListApi {
    kind: Kind,
    /// Whether a provider's base URL contains the version, so that only `/models` is appended.
    base_has_version: bool,
    /// The path of the list, below the server's root.
    path: &'static str,
    /// The query of the first page, which requests the largest page allowed.
    first_page: &'static [(&'static str, &'static str)],
    /// The header that carries the key, and the prefix of the key in it.
    key_header: &'static str,
    key_prefix: &'static str,
    /// Further headers.
    headers: &'static [(&'static str, &'static str)],
    /// Reads one page of a listing, given its progress so far.
    parse: fn(&[u8], &Progress) -> Result<Page, NoPage>,
    /// The requests to send after the list, given its entries and the known details.
    detail_requests: fn(&[Entry], &Details) -> DetailRequests,
    /// A further list of the same server, fetched after this one as part of the same listing.
    also: Option<&'static ListApi>,
}

/// One fetch of a source.
struct Fetch<'a> {
    clients: &'a Clients,
    source: &'a SourceConfig,
    known: Option<&'a Details>,
    looks_again: bool,
    now: Timestamp,
    /// When the fetch must end.
    deadline: Instant,
}

/// What earlier fetches of a source told of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// The kind in which a source of kind [`Kind::Auto`] last answered; it is tried first.
    pub kind: Option<Kind>,
    /// Whether to look if it is Ollama after all, which may have answered in another kind only because
    /// of a fault.
    pub looks_again: bool,
    /// The details that the source gave beyond its list; without them, only the list is fetched.
    pub details: Option<&'a Details>,
}

/// Fetches the whole list of `source`, of which `known` is known: all pages within `limit`, or an error.
pub async fn fetch(
    clients: &Clients,
    source: &SourceConfig,
    known: Known<'_>,
    limit: Duration,
    now: Timestamp,
) -> Result<Fetched, FetchError> {
    let deadline = Instant::now() + limit;
    let recognised = known.kind;
    let fetch = Fetch {
        clients,
        source,
        known: known.details,
        looks_again: known.looks_again,
        now,
        deadline,
    };
    let fetched = timeout_at(deadline, fetch.run(recognised))
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
        if let (ErrorKind::Unauthorized | ErrorKind::Forbidden, Some(key)) = (error.kind, &source.key)
            && let Some(oddity) = oddity(key.expose_secret())
        {
            error.message = format!("{}; the key {oddity}", error.message);
        }
        error.without_key(source.key.as_ref())
    })
}

/// Reads one page of a list of `kind`.
pub(crate) fn parse_page(kind: Kind, body: &[u8]) -> Result<Page, String> {
    let read = |api: &ListApi| (api.parse)(body, &Progress::default());
    let api = list_apis(kind, None).0;
    let first = read(api);
    let page = match api.also {
        Some(also) => first.or_else(|_| read(also)),
        None => first,
    };
    page.map_err(|no_page| no_page.message)
}

/// Returns the API of `kind` and, for [`Kind::Auto`], the other one to try.
fn list_apis(kind: Kind, recognised: Option<Kind>) -> (&'static ListApi, Option<&'static ListApi>) {
    match (kind, recognised) {
        (Kind::OpenAi, _) => (&openai::API, None),
        (Kind::Google, _) => (&google::API, None),
        (Kind::Anthropic, _) => (&anthropic::API, None),
        (Kind::Azure, _) => (&openai::AZURE, None),
        (Kind::Cohere, _) => (&cohere::API, None),
        (Kind::OpenRouter, _) => (&openai::OPENROUTER, None),
        (Kind::Ollama, _) => (&ollama::API, None),
        (Kind::Bedrock, _) => (&bedrock::API, None),
        (Kind::Cloudflare, _) => (&cloudflare::API, None),
        (Kind::Enrichment, _) => (&enrichment::API, None),
        (Kind::Auto, Some(Kind::OpenAi)) => (&openai::API, Some(&ollama::API)),
        // Ollama answers `/v1/models` too, but with less detail.
        (Kind::Auto, _) => (&ollama::API, Some(&openai::API)),
    }
}

impl Fetch<'_> {
    async fn run(&self, recognised: Option<Kind>) -> Result<Fetched, FetchError> {
        let (first, second) = list_apis(self.source.kind, recognised);
        let (api, listing) = match (self.list(first).await, second) {
            (Err(error), Some(second)) if error.kind.suggests_another_api() => {
                match self.list(second).await {
                    Ok(listing) => (second, listing),
                    // The first error counts if the server is known to speak the first API, or if
                    // the second only reports that nothing is there.
                    Err(other) => {
                        let known = recognised == Some(first.kind);
                        let is_clearer =
                            other.http_status == Some(404) && error.http_status != Some(404);
                        return Err(if known || is_clearer { error } else { other });
                    }
                }
            }
            (listing, _) => (first, listing?),
        };
        let was_ollama = recognised == Some(Kind::Ollama);
        let (api, listing, is_proven) = match api.kind {
            Kind::OpenAi
                if self.looks_again
                    && self.source.kind == Kind::Auto
                    && recognised == Some(Kind::OpenAi) =>
            {
                match self.find_ollama(&listing).await {
                    Some(tags) => (&ollama::API, tags, true),
                    None => (api, listing, false),
                }
            }
            Kind::Ollama if self.source.kind == Kind::Auto => {
                match self.recognise(&listing, was_ollama).await? {
                    Recognised::Ollama { is_proven } => (api, listing, is_proven),
                    Recognised::Imitator(own) => (&openai::API, own, true),
                }
            }
            _ => (api, listing, false),
        };
        let mut fetched = Fetched {
            kind: api.kind,
            listing,
        };
        // A server that was accepted before may have no model loaded.
        let known = recognised.is_some_and(|kind| kind != Kind::Auto);
        if self.source.discovered
            && !is_proven
            && !is_local_server(&fetched, known)
            && !self.imitates_ollama(&fetched).await
        {
            return Err(FetchError::new(
                ErrorKind::Malformed,
                "the server is not Ollama, vLLM, LM Studio, llama.cpp or a similar server",
            ));
        }
        if let Kind::OpenAi | Kind::Azure | Kind::OpenRouter = api.kind {
            openai::forget_times_of_asking(&mut fetched.listing, self.now);
        }
        let version = self.server_version(api);
        let (version, ()) = tokio::join!(version, self.add_details(api, &mut fetched.listing));
        fetched.listing.server_version = version;
        Ok(fetched)
    }

    /// Fetches all pages of the list of `api`, and of its further list if there is one.
    async fn list(&self, mut api: &'static ListApi) -> Result<Listing, FetchError> {
        let first = api;
        let mut gathering = Gathering::default();
        let mut bytes_left = MAX_LISTING_BYTES;
        loop {
            let pages = gathering.listing.pages;
            let page = self
                .page(api, &mut gathering.progress, &mut bytes_left)
                .await
                .map_err(|error| FetchError { pages, ..error })
                .map_err(|error| match std::ptr::eq(api, first) {
                    true => error,
                    false => error.of_list(api.path),
                })?;
            if gathering.add(page)? {
                continue;
            }
            let Some(also) = api.also else {
                break;
            };
            api = also;
            gathering.begin_another_list();
        }
        let mut listing = gathering.listing;
        listing.sent_at = gathering.progress.sent_at;
        self.mask(&mut listing);
        Ok(listing)
    }

    /// Removes the key from the examples of skipped entries.
    fn mask(&self, listing: &mut Listing) {
        let Some(key) = &self.source.key else {
            return;
        };
        for example in &mut listing.skipped.examples {
            example.what = redaction::redact(&example.what, key);
            example.why = redaction::redact(&example.why, key);
        }
    }

    async fn page(
        &self,
        api: &'static ListApi,
        progress: &mut Progress,
        bytes_left: &mut usize,
    ) -> Result<Page, FetchError> {
        let url = page_url(api, self.source, &progress.asked);
        let response = self.send(api, url, None).await?;
        let status = response.status();
        if !status.is_success() {
            return Err(self.refusal(api, response).await);
        }
        let with_status = |error| FetchError {
            http_status: Some(status.as_u16()),
            ..error
        };
        progress.link = link_header(&response);
        progress.sent_at = progress.sent_at.or_else(|| date_header(&response));
        let large = Some(&self.clients.large);
        let body = read_body(response, bytes_left, large)
            .await
            .map_err(with_status)?;
        (api.parse)(&body, progress)
            .map_err(|no_page| with_status(FetchError::new(no_page.kind, no_page.message)))
    }

    /// Turns an answer without success into an error. Uses as much of the body as arrives in time,
    /// since it helps to explain the error; a body that breaks off or stalls does not matter.
    async fn refusal(&self, api: &ListApi, mut response: Response) -> FetchError {
        let mut body = Vec::new();
        let read = async {
            while let Ok(Some(chunk)) = response.chunk().await {
                body.extend_from_slice(&chunk);
                if body.len() > MAX_ERROR_BYTES {
                    break;
                }
            }
        };
        let until = (Instant::now() + ERROR_BODY_LIMIT).min(self.deadline - CLOSING_MARGIN);
        let _ = timeout_at(until, read).await;
        let status = response.status();
        let mut error = FetchError::from_answer(status, response.headers(), &body, self.now);
        if error.kind == ErrorKind::Unauthorized && self.source.key.is_none() {
            let code = status.as_u16();
            error.message = format!("requires a key ({code}), but no key is set: set one");
        } else if status == StatusCode::NOT_FOUND && self.source.kind == Kind::Enrichment {
            error.message = format!("{}; check url of [enrichment]", error.message);
        } else if status == StatusCode::NOT_FOUND {
            let added = match self.source.role {
                Role::Provider if api.base_has_version => "models",
                _ => api.path,
            };
            error.message = format!(
                "{}; check base_url: /{added} is appended to it",
                error.message
            );
        }
        error
    }
}

/// Returns the owner of the model as its source reports it.
fn owner(entry: &Entry) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Owner {
        owned_by: String,
    }
    let owner: Owner = serde_json::from_str(&entry.raw).ok()?;
    Some(owner.owned_by)
}

/// Whether to accept the listing from a server found on a well-known port: vLLM, llama.cpp or LM
/// Studio must own every model. An empty listing proves nothing and is accepted only from a server
/// that is `known`. (Ollama is recognised in another way: [`recognise`].)
fn is_local_server(fetched: &Fetched, known: bool) -> bool {
    const OWNERS: [&str; 3] = ["vllm", "llamacpp", openai::LM_STUDIO];
    let is_known =
        |entry: &Entry| owner(entry).is_some_and(|owner| OWNERS.contains(&owner.as_str()));
    let entries = &fetched.listing.entries;
    let is_list = fetched.kind == Kind::OpenAi;
    is_list && (known || !entries.is_empty()) && entries.iter().all(is_known)
}
