//! The results of a fetch: a whole listing, or the reason why there is none.

use std::{error::Error, fmt, time::Duration};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{event::Counts, listing::Listing, source::Kind};

/// A whole listing, and the list API that it came from.
#[derive(Debug)]
pub struct Fetched {
    /// The list API; never [`Kind::Auto`].
    pub kind: Kind,
    /// The listing, from all pages.
    pub listing: Listing,
}

/// The kind of a failed fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The whole list did not arrive within the time limit.
    Timeout,
    /// No connection: refused, reset, or the host name does not resolve.
    Unreachable,
    /// The TLS handshake failed.
    Tls,
    /// The source refused the key: 401, Google's 400 `API_KEY_INVALID` or xAI's 400.
    Unauthorized,
    /// 403: the key is valid but lacks permission.
    Forbidden,
    /// 429.
    RateLimited,
    /// 5xx.
    Unavailable,
    /// Another 4xx.
    Rejected,
    /// A redirect that is not followed: to another host, or a loop.
    Redirected,
    /// The answer is not a model list.
    Malformed,
    /// The list is incomplete: the answer broke off, or its paging is inconsistent.
    Truncated,
    /// The answer exceeds the size limit of a list.
    TooLarge,
}

impl ErrorKind {
    /// The name used in the database, in answers and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::Tls => "tls",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::RateLimited => "rate_limited",
            Self::Unavailable => "unavailable",
            Self::Rejected => "rejected",
            Self::Redirected => "redirected",
            Self::Malformed => "malformed",
            Self::Truncated => "truncated",
            Self::TooLarge => "too_large",
        }
    }

    /// Whether a server answered with something other than this API's list, so that another list
    /// API is worth trying.
    pub(crate) fn suggests_another_api(self) -> bool {
        matches!(
            self,
            Self::Unauthorized
                | Self::Forbidden
                | Self::Rejected
                | Self::Redirected
                | Self::Malformed
        )
    }
}

/// A failed fetch. Its `Display` is one line: what happened and, if known, what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchError {
    /// The kind of failure.
    pub kind: ErrorKind,
    /// One line for the operator, without any key.
    pub message: String,
    /// The HTTP status; none without an answer.
    pub http_status: Option<u16>,
    /// The wait that the source requested.
    pub retry_after: Option<Duration>,
    /// Whole pages read before the failure.
    pub pages: usize,
    /// Whether the host name does not exist, which is not the same as a resolver that does not
    /// answer.
    pub has_no_host: bool,
}

impl FetchError {
    /// What it says of the end of its source, if it does.
    pub fn end_sign(&self) -> Option<EndSign> {
        match self.http_status {
            // On a later page, it is about the cursor.
            Some(410) if self.pages == 0 => Some(EndSign::Gone),
            _ => self.has_no_host.then_some(EndSign::NoHost),
        }
    }
}

/// How a failure says that its source has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndSign {
    /// The list answers 410 Gone.
    Gone,
    /// The host name does not exist.
    NoHost,
}

impl EndSign {
    /// The name used in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::NoHost => "no_host",
        }
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for FetchError {}

/// The outcome of an attempt at a source. Rows, metrics, logs and answers all use these names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The listing has the same models as before.
    Unchanged,
    /// The listing made a new revision.
    Changed,
    /// The listing is suspicious and waits for confirmation.
    Held,
    /// The fetch failed.
    Failed,
    /// The database failed.
    StoreFailed,
}

impl Outcome {
    /// The name of the outcome.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Changed => "changed",
            Self::Held => "held",
            Self::Failed => "failed",
            Self::StoreFailed => "store_failed",
        }
    }
}

/// The result of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Committed {
    /// Nothing was written: the claim is no longer valid, and another task or process has the
    /// source.
    Superseded,
    /// The listing has the same models as before.
    Unchanged,
    /// The listing made a revision.
    Changed(Counts),
    /// The listing is suspicious: the stored models stay.
    Held {
        /// Models in the suspicious listing.
        listed: usize,
        /// Models that are stored, and still served.
        stored: usize,
    },
    /// The attempt failed: the source's state changed, its models stay.
    Failed(FetchError),
}

impl Committed {
    /// The outcome's name. A superseded result counts as unchanged.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Superseded | Self::Unchanged => Outcome::Unchanged,
            Self::Changed(_) => Outcome::Changed,
            Self::Held { .. } => Outcome::Held,
            Self::Failed(_) => Outcome::Failed,
        }
    }
}
