//! Recognises the list API of an endpoint without a configured kind. Many servers answer Ollama's
//! `/api/tags` with names that no call accepts (KoboldCpp, LocalAI, Lemonade, Docker Model Runner);
//! their ids are those of `/v1/models`. Ollama has the same ids at both. Also asks an Ollama for its
//! version.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::{
    CLOSING_MARGIN, Fetch, ListApi, ollama, openai,
    redaction::redact,
    request::{read_body, root_url},
};
use crate::model::{
    fetch::{FetchError, Fetched},
    listing::Listing,
    source::Kind,
};

/// How long to wait for the version of a server. Requests wait for a first list.
const VERSION_LIMIT: Duration = Duration::from_secs(1);
/// The most bytes of an answer that counts as a proof.
const MAX_PROOF_BYTES: usize = 256 * 1024;

/// The time limit for finding out that a server is Ollama after all.
const LOOK_LIMIT: Duration = Duration::from_secs(2);

/// The kind of a server that answered with Ollama's list.
pub(super) enum Recognised {
    /// Ollama, by the rule of [`Fetch::recognise`].
    Ollama {
        /// Whether that is proven; otherwise there was no other list to use.
        is_proven: bool,
    },
    /// Another server: its own list counts.
    Imitator(Listing),
}

impl Fetch<'_> {
    /// Recognises the server that answered with `tags` at `/api/tags`.
    ///
    /// It is Ollama if its list at `/v1/models` shares an id with `tags` (or both are empty), and
    /// if its root is Ollama's, or both its `/api/version` and its `/api/show` are. Otherwise the
    /// list of `/v1/models` counts. A server that lists nothing there counts as Ollama, and one
    /// that `was_ollama` stays so while no proof is available: a restarting server has not changed.
    pub(super) async fn recognise(
        &self,
        tags: &Listing,
        was_ollama: bool,
    ) -> Result<Recognised, FetchError> {
        let own = match self.list(&openai::API).await {
            Ok(own) if !own.entries.is_empty() || tags.entries.is_empty() => own,
            Err(error) if !error.kind.suggests_another_api() && !was_ollama => return Err(error),
            _ => {
                let is_proven = was_ollama || self.proves_ollama(tags).await == Some(true);
                return Ok(Recognised::Ollama { is_proven });
            }
        };
        if agree(tags, &own) && self.proves_ollama(tags).await.unwrap_or(was_ollama) {
            return Ok(Recognised::Ollama { is_proven: true });
        }
        Ok(Recognised::Imitator(own))
    }

    /// Ollama's list, if the server that lists `own` as OpenAI's API does is Ollama. Takes 2 s at most: it
    /// must not cost the list.
    pub(super) async fn find_ollama(&self, own: &Listing) -> Option<Listing> {
        let find = async {
            let tags = self.list(&ollama::API).await.ok()?;
            let is_ollama = agree(&tags, own) && self.proves_ollama(&tags).await == Some(true);
            is_ollama.then_some(tags)
        };
        let until = (Instant::now() + LOOK_LIMIT).min(self.deadline - CLOSING_MARGIN);
        timeout_at(until, find).await.ok().flatten()
    }

    /// Whether the server proves to be Ollama by its root, or by its `/api/version` and its
    /// `/api/show` of a model; none if it does not answer.
    async fn proves_ollama(&self, tags: &Listing) -> Option<bool> {
        if self
            .probe("", None)
            .await?
            .starts_with(b"Ollama is running")
        {
            return Some(true);
        }
        let version = ollama::version(&self.probe("api/version", None).await?);
        let (Some(first), Some(_)) = (tags.entries.first(), version) else {
            return Some(false);
        };
        let body = json!({ "model": first.id }).to_string();
        let shown = json_of(&self.probe("api/show", Some(body)).await?);
        Some(ollama::is_shown_by_ollama(&shown))
    }

    /// The version that an Ollama reports: clients that are given its base ask for it.
    pub(super) async fn server_version(&self, api: &'static ListApi) -> Option<String> {
        // Without known details, only the list is fetched.
        self.known.filter(|_| api.kind == Kind::Ollama)?;
        let until = (Instant::now() + VERSION_LIMIT).min(self.deadline - CLOSING_MARGIN);
        let answer = timeout_at(until, self.probe("api/version", None))
            .await
            .ok()??;
        let version = ollama::version(&answer)?;
        Some(match &self.source.key {
            Some(key) => redact(&version, key),
            None => version,
        })
    }

    /// Requests `path` for a proof. Returns the body of the answer: empty if the server refuses the
    /// request, none if there is no answer or a server error.
    async fn probe(&self, path: &str, body: Option<String>) -> Option<Vec<u8>> {
        let url = root_url(self.source, path);
        let response = self.send(&ollama::API, url, body).await.ok()?;
        let status = response.status();
        if status.is_server_error() {
            return None;
        }
        if !status.is_success() {
            return Some(Vec::new());
        }
        let mut bytes_left = MAX_PROOF_BYTES;
        // A larger answer is no proof.
        Some(
            read_body(response, &mut bytes_left, None)
                .await
                .map_or_else(|_| Vec::new(), |body| body.to_vec()),
        )
    }

    /// Whether `fetched` is an OpenAI list from a server that also imitates Ollama, which only
    /// servers of local models do.
    pub(super) async fn imitates_ollama(&self, fetched: &Fetched) -> bool {
        let tags = async || self.list(&ollama::API).await;
        fetched.kind == Kind::OpenAi && tags().await.is_ok_and(|tags| !tags.entries.is_empty())
    }
}

/// Whether the two lists of a server hold the same models.
fn agree(tags: &Listing, own: &Listing) -> bool {
    let is_tagged = |id: &str| tags.entries.iter().any(|entry| entry.id == id);
    match (tags.entries.is_empty(), own.entries.is_empty()) {
        (true, true) => true,
        // A model that is being pulled or removed may be in only one of them.
        _ => own.entries.iter().any(|entry| is_tagged(&entry.id)),
    }
}

fn json_of(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_default()
}
