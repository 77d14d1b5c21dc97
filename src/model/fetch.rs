//! What asking a source came to: a whole listing, or why there is none.

use std::{error::Error, fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::{event::Counts, listing::Listing, source::Kind};

/// A whole listing and the list API that gave it.
#[derive(Debug)]
pub struct Fetched {
    /// Never [`Kind::Auto`].
    pub kind: Kind,
    /// All pages.
    pub listing: Listing,
}

/// What kind of failure it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// No whole list within the time limit.
    Timeout,
    /// No connection: refused, reset, or the name has no address.
    Unreachable,
    /// The TLS handshake failed.
    Tls,
    /// The key was refused: 401, Google's 400 `API_KEY_INVALID` or xAI's 400.
    Unauthorized,
    /// 403: the key is real but may not do this.
    Forbidden,
    /// 429.
    RateLimited,
    /// 5xx.
    Unavailable,
    /// Another 4xx.
    Rejected,
    /// A redirect that is not followed: to another host, or in a loop.
    Redirected,
    /// The answer is not a model list.
    Malformed,
    /// A list that stopped short: broken off, or its paging is at fault.
    Truncated,
    /// More bytes than a list may have.
    TooLarge,
}

impl ErrorKind {
    /// The name used in the database, answers and logs.
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

    /// Whether a server was there and answered something that is not this API's list, so that
    /// trying another list API makes sense.
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

/// A failed fetch. Its `Display` is one line: what happened and, where we know, what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchError {
    /// What kind of failure it was.
    pub kind: ErrorKind,
    /// One line for people, without any key.
    pub message: String,
    /// The HTTP status, where an answer came.
    pub http_status: Option<u16>,
    /// How long the source asked us to wait.
    pub retry_after: Option<Duration>,
    /// Whole pages that had been read before.
    pub pages: usize,
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for FetchError {}

/// What an attempt at a source came to. The one set of names for rows, metrics, logs and answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The same models as before.
    Unchanged,
    /// A new revision.
    Changed,
    /// A suspicious listing that waits for confirmation.
    Held,
    /// No listing.
    Failed,
    /// The database failed.
    StoreFailed,
}

impl Outcome {
    /// The name.
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

/// What a commit did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Committed {
    /// Nothing: the claim no longer stood, another task or process has the source.
    Superseded,
    /// A listing with the same models as before.
    Unchanged,
    /// A listing that made a revision.
    Changed(Counts),
    /// A suspicious listing: the stored models stay.
    Held {
        /// How many models it has.
        listed: usize,
        /// How many are stored, and still served.
        stored: usize,
    },
    /// A failure: the source's state was written, and its models stay.
    Failed(FetchError),
}

impl Committed {
    /// The outcome's name. A superseded result changes nothing.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Superseded | Self::Unchanged => Outcome::Unchanged,
            Self::Changed(_) => Outcome::Changed,
            Self::Held { .. } => Outcome::Held,
            Self::Failed(_) => Outcome::Failed,
        }
    }
}
