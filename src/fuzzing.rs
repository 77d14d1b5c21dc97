//! Entry points for fuzzing: the parsers of all outside input, with assertions about their results.
//! The targets below `fuzz/` and a test on stable Rust share these functions.

use reqwest::{
    StatusCode,
    header::{HeaderMap, HeaderValue, RETRY_AFTER},
};
use secrecy::SecretString;

use crate::{
    config::{
        environment::Environment,
        read::{Flags, Settings},
    },
    model::{source::Kind, time::Timestamp},
    provider,
};

/// Parses `body` as one page of a list of `kind` and returns its number of models. Panics when a
/// result breaks an invariant.
pub fn page(kind: Kind, body: &[u8]) -> usize {
    let Ok(page) = provider::parse_page(kind, body) else {
        return 0;
    };
    for entry in &page.entries {
        assert!(
            !entry.id.is_empty() && entry.id.len() <= 512,
            "an unusable id"
        );
        assert!(
            !entry.id.chars().any(char::is_control),
            "a control character in an id"
        );
        assert!(
            serde_json::from_str::<serde_json::Value>(&entry.raw).is_ok(),
            "raw is no JSON"
        );
        let attributes = &entry.attributes;
        assert!(
            (0..4_102_444_800).contains(&attributes.created),
            "a time that is not of our era"
        );
        assert!(
            attributes.context_window.is_none_or(|tokens| tokens > 0),
            "no number of tokens"
        );
        assert!(
            attributes.max_output_tokens.is_none_or(|tokens| tokens > 0),
            "no number of tokens"
        );
    }
    page.entries.len()
}

/// Parses `body` as an error answer with `status` and, as far as a header can hold it, as its
/// `Retry-After`. Panics when a result breaks an invariant.
pub fn error(status: u16, body: &[u8]) {
    const KEY: &str = "sk-secret/+key";
    let Ok(status) = StatusCode::from_u16(status) else {
        return;
    };
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(body) {
        headers.insert(RETRY_AFTER, value);
    }
    let now = Timestamp::from_millis(1_800_000_000_000);
    let key = SecretString::from(KEY);
    let error = crate::model::fetch::FetchError::from_answer(status, &headers, body, now)
        .without_key(Some(&key));
    assert!(error.message.len() <= 310, "a message without end");
    assert!(
        !error.message.chars().any(char::is_control),
        "a message of several lines"
    );
    assert!(!error.message.contains(KEY), "a key in a message");
}

/// Parses `text` as a configuration file. Panics when an error is not one line.
pub fn configuration(text: &str) {
    let Ok(file) = tempfile::NamedTempFile::new() else {
        return;
    };
    if std::fs::write(file.path(), text).is_err() {
        return;
    }
    let flags = Flags {
        config: Some(file.path().display().to_string()),
        ..Flags::default()
    };
    if let Err(error) = Settings::read(&flags, &Environment::new(|_| None)) {
        assert!(
            !error.to_string().contains('\n'),
            "an error of several lines"
        );
    }
}
