//! Which list API an endpoint of no given kind speaks. Many servers answer Ollama's `/api/tags` with
//! names that no call takes (KoboldCpp, LocalAI, Lemonade, Docker Model Runner); their ids are those of
//! `/v1/models`. Ollama's own are the same at both.

use serde_json::{Value, json};

use super::{
    Fetch, ollama, openai,
    request::{read_body, root_url},
};
use crate::model::{
    fetch::{FetchError, Fetched},
    listing::Listing,
    source::Kind,
};

/// Most bytes of an answer that is looked at for a proof.
const MAX_PROOF_BYTES: usize = 256 * 1024;

/// What a server is that answered Ollama's list.
pub(super) enum Recognised {
    /// Ollama, by the rule of [`Fetch::recognise`].
    Ollama {
        /// Whether it proved it; otherwise there was no other list to go by.
        is_proven: bool,
    },
    /// Another server: its own list counts.
    Imitator(Listing),
}

impl Fetch<'_> {
    /// What the server is that has answered `tags` as its list at `/api/tags`.
    ///
    /// It is Ollama if its list at `/v1/models` has one of the same ids (or both are empty), and if its
    /// root says so, or its `/api/version` and its `/api/show` are Ollama's. Otherwise the list of
    /// `/v1/models` counts. A server that lists nothing there is taken at its word, and one that `was_ollama`
    /// stays so while the proof cannot be had: a server that is being restarted has not changed.
    pub(super) async fn recognise(
        &self,
        tags: &Listing,
        was_ollama: bool,
    ) -> Result<Recognised, FetchError> {
        let own = match self.list(&openai::API).await {
            Ok(own) if !own.entries.is_empty() || tags.entries.is_empty() => own,
            Err(error) if !error.kind.suggests_another_api() && !was_ollama => return Err(error),
            _ => {
                let is_proven = was_ollama || self.says_ollama(tags).await == Some(true);
                return Ok(Recognised::Ollama { is_proven });
            }
        };
        if agree(tags, &own) && self.says_ollama(tags).await.unwrap_or(was_ollama) {
            return Ok(Recognised::Ollama { is_proven: true });
        }
        Ok(Recognised::Imitator(own))
    }

    /// Whether the server proves to be Ollama by its root, or by its version and what it shows of a
    /// model; none where it does not answer.
    async fn says_ollama(&self, tags: &Listing) -> Option<bool> {
        if self.ask("", None).await?.starts_with(b"Ollama is running") {
            return Some(true);
        }
        let version = json_of(&self.ask("api/version", None).await?);
        let (Some(first), true) = (tags.entries.first(), version["version"].is_string()) else {
            return Some(false);
        };
        let question = json!({ "model": first.id }).to_string();
        let shown = json_of(&self.ask("api/show", Some(question)).await?);
        Some(ollama::is_shown_by_ollama(&shown))
    }

    /// The body of the answer to a request that proves something: empty where the server refuses it,
    /// none where it gives no answer, or one that says that it is in trouble.
    async fn ask(&self, path: &str, body: Option<String>) -> Option<Vec<u8>> {
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
        // A page that is larger is no proof.
        Some(
            read_body(response, &mut bytes_left, None)
                .await
                .map_or_else(|_| Vec::new(), |body| body.to_vec()),
        )
    }

    /// Whether the server that gave `fetched`, an OpenAI list, imitates Ollama beside it, which only
    /// servers of local models do.
    pub(super) async fn imitates_ollama(&self, fetched: &Fetched) -> bool {
        let tags = async || self.list(&ollama::API).await;
        fetched.kind == Kind::OpenAi && tags().await.is_ok_and(|tags| !tags.entries.is_empty())
    }
}

/// Whether the two lists of a server are of the same models.
fn agree(tags: &Listing, own: &Listing) -> bool {
    let is_tagged = |id: &str| tags.entries.iter().any(|entry| entry.id == id);
    match (tags.entries.is_empty(), own.entries.is_empty()) {
        (true, true) => true,
        // One that is being pulled or removed may be in one of them only.
        _ => own.entries.iter().any(|entry| is_tagged(&entry.id)),
    }
}

fn json_of(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_default()
}
