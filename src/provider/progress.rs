//! What is known of a listing between its pages, and why an answer is none of them. Pure.

use crate::model::fetch::ErrorKind;

/// How the next page is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Next {
    /// The query parameters.
    pub parameters: Parameters,
    /// The field of the answer that says that there is more, for messages.
    pub field: String,
}

/// Query parameters, in order.
pub type Parameters = Vec<(String, String)>;

/// What is known of a listing when one of its pages is read.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// The `Link` headers of the answer.
    pub link: Option<String>,
    /// What the page was asked with beside the parameters of every page; nothing for the first.
    pub asked: Parameters,
    /// Entries of the pages before, those included that were left out.
    pub before: usize,
    /// The number that the first page gave itself.
    pub first_number: Option<i64>,
}

/// Why an answer is no page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct NoPage {
    /// [`ErrorKind::Malformed`], [`ErrorKind::Truncated`] of a list that may be cut short, or
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
