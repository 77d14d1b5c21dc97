//! What a request for models asks for, by its path, headers and parameters: whose models, which, in
//! whose dialect, which page. Pure.

use axum::http::{HeaderMap, Uri};
use url::form_urlencoded;

use super::error::ApiError;
use crate::{
    dialect::{Dialect, Page, Place, Seen, anthropic::LIFECYCLES},
    model::SourceName,
};

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
pub struct Asked<'a> {
    /// The source whose own list it is; none of the merged list.
    pub base: Option<&'a str>,
    /// One model's id as it came; none of the list.
    pub id: Option<&'a str>,
    /// The dialect that path or headers tell of.
    pub dialect: Option<Dialect>,
}

impl<'a> Asked<'a> {
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

/// The part of a list that a query asks for, in the words of its dialect. What a dialect has no word
/// for is ignored.
#[derive(Debug, Default)]
pub struct Part {
    /// The id that the models stand behind.
    after: Option<String>,
    /// The id that they stand in front of.
    before: Option<String>,
    /// Everything where it is none.
    size: Option<usize>,
    /// Words of [`LIFECYCLES`].
    lifecycles: Vec<String>,
    leaves_out_retired: bool,
}

/// How many models Anthropic and Google have on a page at most, and unless more is asked.
const MAX_SIZE: usize = 1000;
const ANTHROPIC_SIZE: usize = 20;
const GEMINI_SIZE: usize = 50;

impl Part {
    /// What `query` asks for.
    pub fn of(query: Option<&str>, dialect: Dialect) -> Result<Self, ApiError> {
        let query = query.unwrap_or_default().as_bytes();
        let all = |name: &str| -> Vec<String> {
            form_urlencoded::parse(query)
                .filter(|(key, _)| key == name)
                .map(|(_, value)| value.into_owned())
                .collect()
        };
        // As in most servers the last one counts.
        let find = |name: &str| all(name).pop();
        let cursor = |name: &str| find(name).filter(|id| !id.is_empty());
        match dialect {
            Dialect::OpenAi => {
                // Its own list knows no parameter: what is no limit is ignored.
                let size = find("limit").and_then(|limit| limit.parse().ok());
                // Clients of other lists ask for their largest page and mean everything.
                let after = cursor("after");
                let size = size.filter(|size| (1..MAX_SIZE).contains(size) || after.is_some());
                let size = size.filter(|size| *size > 0);
                Ok(Self {
                    after: after.filter(|_| size.is_some()),
                    size,
                    ..Self::default()
                })
            }
            Dialect::Anthropic => {
                let size = match find("limit").map(|limit| limit.parse()) {
                    None => ANTHROPIC_SIZE,
                    Some(Ok(size @ 1..=MAX_SIZE)) => size,
                    Some(_) => {
                        let message = format!("limit= must be a number from 1 to {MAX_SIZE}.");
                        return Err(ApiError::bad("invalid_limit", message));
                    }
                };
                let (after, before) = (cursor("after_id"), cursor("before_id"));
                if after.is_some() && before.is_some() {
                    return Err(ApiError::bad(
                        "invalid_parameter",
                        "after_id= and before_id= exclude each other: give one of them.",
                    ));
                }
                let lifecycles = all("lifecycle[]");
                if !lifecycles
                    .iter()
                    .all(|word| LIFECYCLES.contains(&word.as_str()))
                {
                    return Err(ApiError::bad(
                        "invalid_lifecycle",
                        "lifecycle[]= must be active, deprecated or retired; it may be given several times.",
                    ));
                }
                Ok(Self {
                    after,
                    before,
                    size: Some(size),
                    leaves_out_retired: lifecycles.is_empty(),
                    lifecycles,
                })
            }
            Dialect::Gemini => {
                let size = match find("pageSize").map(|size| size.parse()) {
                    None | Some(Ok(0)) => GEMINI_SIZE,
                    Some(Ok(size)) => MAX_SIZE.min(size),
                    Some(Err(_)) => {
                        return Err(ApiError::bad(
                            "invalid_page_size",
                            "pageSize= must be a whole number from 0.",
                        ));
                    }
                };
                Ok(Self {
                    after: cursor("pageToken"),
                    size: Some(size),
                    ..Self::default()
                })
            }
            Dialect::Ollama => Ok(Self::default()),
        }
    }

    /// Whether it is everything.
    pub fn is_whole(&self) -> bool {
        self.size.is_none()
    }

    /// Whether `model` is wanted. Nobody said of one without a lifecycle that it is about to go.
    pub fn has(&self, model: &Seen) -> bool {
        let lifecycle = model.lifecycle();
        if self.leaves_out_retired {
            return lifecycle != Some("retired");
        }
        let wanted = |lifecycle: &str| self.lifecycles.iter().any(|word| word == lifecycle);
        self.lifecycles.is_empty() || wanted(lifecycle.unwrap_or("active"))
    }

    /// The page of `list`; `place` tells where a cursor's id stands.
    pub fn page<'a>(
        &'a self,
        list: &'a [Seen<'a>],
        place: impl Fn(&'a str) -> Place<'a>,
    ) -> Page<'a> {
        let size = self.size.unwrap_or(usize::MAX);
        match &self.before {
            Some(before) => Page::before(list, place(before), size),
            None => Page::after(list, self.after.as_deref().map(place), size),
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
        assert_eq!(Asked::of(&uri, &headers).dialect, dialect.or(told));
        assert_eq!(
            Asked::of(&uri, &HeaderMap::new()),
            Asked { base, id, dialect }
        );
    }
}
