//! Details that a server has outside its list: requested after the list, a few at once and for a
//! short time. If the requests fail, the list still counts. The details are stored with the source,
//! so that they are requested again only if the server has something new.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};

use super::{
    Fetch, ListApi,
    request::{read_body, root_url},
    value::completed,
};
use crate::model::listing::{Details, Entry, Listing};

/// How long to request details after one list. Missing ones are requested after the next list. The
/// limit is short because requests wait for a first list, for at most 2.5 s.
const TIME_LIMIT: Duration = Duration::from_secs(2);
/// Time kept free before the deadline of the fetch.
const MARGIN: Duration = Duration::from_secs(1);
/// How many requests run at once.
const AT_ONCE: usize = 4;
/// Most bytes of one answer: Ollama's contain a licence and lists of tensors.
const MAX_ANSWER_BYTES: usize = 2 * 1024 * 1024;

/// One request for details.
pub(super) struct DetailRequest {
    /// Below the server's root.
    pub(super) path: &'static str,
    /// A JSON body, which makes the request a POST.
    pub(super) body: Option<String>,
    pub(super) read: ReadAnswer,
}

/// Reads the details in an answer, by model; none if it does not answer the request.
type ReadAnswer = Box<dyn Fn(&[u8]) -> Option<Details> + Send + Sync>;

/// The requests to send after a list; none if the list is complete, so that stored details are not
/// needed either.
pub(super) type DetailRequests = Option<Vec<DetailRequest>>;

/// For list APIs whose lists are complete.
pub(super) const NONE: fn(&[Entry], &Details) -> DetailRequests = |_, _| None;

impl Fetch<'_> {
    /// Adds the known details of its models to `listing`, and those that the server now returns.
    pub(super) async fn add_details(&self, api: &'static ListApi, listing: &mut Listing) {
        let Some(known) = self.known else {
            return;
        };
        let Some(mut detail_requests) = (api.detail_requests)(&listing.entries, known) else {
            return;
        };
        let mut details = known.clone();
        // Requests that are never answered must not hold up the others forever.
        fastrand::shuffle(&mut detail_requests);
        let mut answers = stream::iter(detail_requests)
            .map(|detail_request| self.fetch_detail(api, detail_request))
            .buffer_unordered(AT_ONCE);
        let until = (Instant::now() + TIME_LIMIT).min(self.deadline - MARGIN);
        while let Ok(Some(answer)) = timeout_at(until, answers.next()).await {
            details.extend(answer.unwrap_or_default());
        }
        drop(answers);
        for entry in &mut listing.entries {
            if let Some((id, detail)) = details.remove_entry(&entry.id) {
                let listed = std::mem::take(&mut entry.attributes);
                entry.attributes = completed(listed, &detail.attributes);
                listing.details.insert(id, detail);
            }
        }
    }

    async fn fetch_detail(
        &self,
        api: &'static ListApi,
        detail_request: DetailRequest,
    ) -> Option<Details> {
        let url = root_url(self.source, detail_request.path);
        let response = self.send(api, url, detail_request.body).await.ok()?;
        if !response.status().is_success() {
            return None;
        }
        let mut bytes_left = MAX_ANSWER_BYTES;
        let body = read_body(response, &mut bytes_left, None).await.ok()?;
        (detail_request.read)(&body)
    }
}
