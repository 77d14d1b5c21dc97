//! What a list leaves unsaid and its server tells elsewhere: asked after the list, a few at once
//! and for a short time. Whatever becomes of it, the list stands; what was learnt is kept with the
//! source, so that it is asked again only where the server has something new.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};

use super::{
    Fetch, ListApi,
    request::{read_body, root_url},
    value::completed,
};
use crate::model::listing::{Details, Entry, Listing};

/// How long is asked after one list. What has not come by then is asked after the next; a first
/// list is waited for, 2.5 s in all.
const TIME_LIMIT: Duration = Duration::from_secs(2);
/// What the fetch's end leaves of its time.
const MARGIN: Duration = Duration::from_secs(1);
/// How many detail_requests are asked at once.
const AT_ONCE: usize = 4;
/// Most bytes of one answer: Ollama's hold a licence and lists of tensors.
const MAX_ANSWER_BYTES: usize = 2 * 1024 * 1024;

/// One request for details.
pub(super) struct DetailRequest {
    /// Below the server's root.
    pub(super) path: &'static str,
    /// JSON, with which the request is a POST.
    pub(super) body: Option<String>,
    pub(super) read: ReadAnswer,
}

/// What an answer says of which models; none where it is no answer to the detail_request.
type ReadAnswer = Box<dyn Fn(&[u8]) -> Option<Details> + Send + Sync>;

/// What to ask after a list; none where the list says all, so that what was learnt before is of no
/// use either.
pub(super) type DetailRequests = Option<Vec<DetailRequest>>;

/// For list APIs that say all.
pub(super) const NONE: fn(&[Entry], &Details) -> DetailRequests = |_, _| None;

impl Fetch<'_> {
    /// Adds to `listing` what is known of its models beyond it, and what its server now tells.
    pub(super) async fn add_details(&self, api: &'static ListApi, listing: &mut Listing) {
        let Some(known) = self.known else {
            return;
        };
        let Some(mut detail_requests) = (api.detail_requests)(&listing.entries, known) else {
            return;
        };
        let mut details = known.clone();
        // Those that are never answered must not keep the others waiting for ever.
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
                let said = std::mem::take(&mut entry.attributes);
                entry.attributes = completed(said, &detail.attributes);
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
