//! The state of a listing between its pages, and the error for an answer that is no page. Pure.

use crate::model::{fetch::ErrorKind, time::Timestamp};

/// How to request the next page.
#[derive(Clone, Debug, PartialEq)]
pub struct Next {
    /// The query parameters.
    pub parameters: Parameters,
    /// The field of the answer that led to the next page, for messages.
    pub field: String,
}

/// Query parameters, in order.
pub type Parameters = Vec<(String, String)>;

/// The state of a listing when one of its pages is read.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// The `Link` headers of the answer.
    pub link: Option<String>,
    /// The `Date` of the first answer.
    pub sent_at: Option<Timestamp>,
    /// The parameters of this page's request beside those of every page; empty for the first page.
    pub asked: Parameters,
    /// The number of entries on the earlier pages, skipped ones included.
    pub before: usize,
    /// The first page's own number.
    pub first_number: Option<i64>,
}

/// Why an answer is not a page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct NoPage {
    /// [`ErrorKind::Malformed`], [`ErrorKind::Truncated`] for a list that may be cut short, or
    /// [`ErrorKind::TooLarge`].
    pub kind: ErrorKind,
    /// One line for people.
    pub message: String,
}

impl From<String> for NoPage {
    fn from(message: String) -> Self {
        let kind = ErrorKind::Malformed;
        Self { kind, message }
    }
}
