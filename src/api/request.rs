//! What a request for models asks for, by its path and headers. Pure.

use std::borrow::Cow;

use axum::http::{HeaderMap, Uri};
use percent_encoding::percent_decode_str;

use crate::{model::source::SourceName, snapshot::dialect::Dialect};

/// Where a source's own list begins.
const BASES: &str = "/catalog/providers/";
/// The lists below the root or a base, and the dialect of each; none where the headers tell it.
const LISTS: [(&str, Option<Dialect>); 5] = [
    ("v1/models", None),
    ("v1beta/models", Some(Dialect::Gemini)),
    ("v1beta/openai/models", Some(Dialect::OpenAi)),
    ("models", Some(Dialect::OpenAi)),
    ("api/tags", Some(Dialect::Ollama)),
];

/// What a path asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelsPath<'a> {
    /// The source whose own list it is; none of the merged list.
    pub base: Option<&'a str>,
    /// One model's id as it came; none of the list.
    pub id: Option<&'a str>,
    /// The dialect that path or headers tell of.
    pub dialect: Option<Dialect>,
}

impl<'a> ModelsPath<'a> {
    /// What is asked for with `uri` and `headers`; nothing known is asked for elsewhere.
    pub fn of(uri: &'a Uri, headers: &HeaderMap) -> Self {
        let path = uri.path();
        let (base, rest) = match path.strip_prefix(BASES).and_then(|at| at.split_once('/')) {
            Some((name, rest)) => (Some(name), rest),
            None => (None, path.trim_start_matches('/')),
        };
        let found = LISTS.iter().find_map(|(list, dialect)| {
            let tail = rest.strip_prefix(list)?;
            match tail.strip_prefix('/') {
                Some(id) => Some((Some(id), *dialect)),
                None => tail.is_empty().then_some((None, *dialect)),
            }
        });
        let (id, dialect) = found.unwrap_or_default();
        // Elsewhere those headers may hold a key of this catalog's and tell nothing more.
        let of_headers = || Dialect::of_headers(headers).filter(|_| rest.starts_with("v1"));
        Self {
            base,
            id,
            dialect: dialect.or_else(of_headers),
        }
    }
}

/// The name of a base, where it can be one.
pub fn source_name(text: &str) -> Option<SourceName> {
    percent_encoding::percent_decode_str(text)
        .decode_utf8()
        .ok()?
        .parse()
        .ok()
}

/// The ids that `raw` may mean. Clients send ids raw and percent-encoded, so what came is looked up
/// as it is and then decoded: an id that itself holds `%25` is found either way.
pub fn ids(raw: Option<&str>) -> [Cow<'_, str>; 2] {
    let raw = raw.unwrap_or_default();
    let decoded = percent_decode_str(raw).decode_utf8();
    [Cow::Borrowed(raw), decoded.unwrap_or(Cow::Borrowed(raw))]
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("/v1/models", None, None, None)]
    #[case("/v1/models/openai:a/b", None, Some("openai:a/b"), None)]
    #[case(
        "/v1beta/models/models/x",
        None,
        Some("models/x"),
        Some(Dialect::Gemini)
    )]
    #[case("/v1beta/openai/models", None, None, Some(Dialect::OpenAi))]
    #[case(
        "/v1beta/openai/models/models/x",
        None,
        Some("models/x"),
        Some(Dialect::OpenAi)
    )]
    #[case("/catalog/providers/acme/v1/models", Some("acme"), None, None)]
    #[case(
        "/catalog/providers/acme/v1/models/v1/models",
        Some("acme"),
        Some("v1/models"),
        None
    )]
    #[case(
        "/catalog/providers/acme/models/a%2Fb",
        Some("acme"),
        Some("a%2Fb"),
        Some(Dialect::OpenAi)
    )]
    #[case(
        "/catalog/providers/box/api/tags",
        Some("box"),
        None,
        Some(Dialect::Ollama)
    )]
    #[case("/v1/messages", None, None, None)]
    #[case("/v1/modelsx", None, None, None)]
    #[case("/catalog/sources", None, None, None)]
    #[case("/catalog/providers/", None, None, None)]
    fn paths(
        #[case] path: &str,
        #[case] base: Option<&str>,
        #[case] id: Option<&str>,
        #[case] dialect: Option<Dialect>,
    ) {
        let uri: Uri = path.parse().expect("a path");
        let mut headers = HeaderMap::new();
        headers.insert("anthropic-version", "1".parse().expect("a value"));
        let told = path.contains("/v1/").then_some(Dialect::Anthropic);
        assert_eq!(ModelsPath::of(&uri, &headers).dialect, dialect.or(told));
        assert_eq!(
            ModelsPath::of(&uri, &HeaderMap::new()),
            ModelsPath { base, id, dialect }
        );
    }
}
