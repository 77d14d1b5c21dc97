//! The path, parameters and headers of a request: whose list, which model, which dialect. Pure.

use std::borrow::Cow;

use axum::http::{HeaderMap, Uri};
use percent_encoding::percent_decode_str;
use url::form_urlencoded;

use crate::{model::source::SourceName, snapshot::dialect::Dialect};

/// Path prefix of the provider routes.
const PROVIDER_ROUTES: &str = "/catalog/providers/";
/// The base of Ollama's routes for the merged list.
pub const OLLAMA_BASE: &str = "/ollama";
/// The lists below the root or a provider route, and their dialects; none when the headers decide.
const LISTS: [(&str, Option<Dialect>); 5] = [
    ("v1/models", None),
    ("v1beta/models", Some(Dialect::Gemini)),
    ("v1beta/openai/models", Some(Dialect::OpenAi)),
    ("models", Some(Dialect::OpenAi)),
    ("api/tags", Some(Dialect::Ollama)),
];

/// A parsed path of the model routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelsPath<'a> {
    /// The source of a provider route; none for the merged list.
    pub source: Option<&'a str>,
    /// The model's id as the client sent it; none for the list.
    pub id: Option<&'a str>,
    /// The dialect of the path or the headers.
    pub dialect: Option<Dialect>,
}

impl<'a> ModelsPath<'a> {
    /// Parses `uri` and `headers`. Every field is none for other routes.
    pub fn of(uri: &'a Uri, headers: &HeaderMap) -> Self {
        let path = uri.path();
        let (base, rest) = Base::of(path);
        let source = match base {
            Base::Source(name) => Some(name),
            Base::Root | Base::Ollama => None,
        };
        let found = LISTS.iter().find_map(|(list, dialect)| {
            let tail = rest.strip_prefix(list)?;
            match tail.strip_prefix('/') {
                Some(id) => Some((Some(id), *dialect)),
                None => tail.is_empty().then_some((None, *dialect)),
            }
        });
        let (id, dialect) = found.unwrap_or_else(|| (None, base.dialect(rest)));
        // On other routes these headers may carry a catalog key, and say nothing about the dialect.
        let of_headers = || Dialect::of_headers(headers).filter(|_| rest.starts_with("v1"));
        Self {
            source,
            id,
            dialect: dialect.or_else(of_headers),
        }
    }
}

/// What stands before the routes of a list.
#[derive(Clone, Copy, Debug)]
enum Base<'a> {
    /// Nothing.
    Root,
    /// [`OLLAMA_BASE`].
    Ollama,
    /// The provider route of this source.
    Source(&'a str),
}

impl<'a> Base<'a> {
    /// The base of `path`, and what follows it.
    fn of(path: &'a str) -> (Self, &'a str) {
        if let Some(rest) = path.strip_prefix(PROVIDER_ROUTES) {
            let (name, rest) = rest.split_once('/').unwrap_or((rest, ""));
            if !name.is_empty() {
                return (Self::Source(name), rest);
            }
        }
        match path.strip_prefix(OLLAMA_BASE) {
            Some("") => (Self::Ollama, ""),
            Some(rest) if rest.starts_with('/') => (Self::Ollama, &rest[1..]),
            _ => (Self::Root, path.trim_start_matches('/')),
        }
    }

    /// The dialect of the routes other than lists: Ollama has some.
    fn dialect(self, rest: &str) -> Option<Dialect> {
        let is_ollamas = match self {
            Self::Root => false,
            Self::Ollama => rest.is_empty() || rest.starts_with("api/"),
            Self::Source(_) => rest.starts_with("api/"),
        };
        is_ollamas.then_some(Dialect::Ollama)
    }
}

/// The path of a list, a model or an Ollama's route that `path` probably means: without empty segments or a slash at the
/// end, and with the version that a base URL without `/v1` leaves out. Clients make these from base
/// URLs with a slash too many. An id stays as it is. So does any other path, and below `/catalog` the
/// way to a source: a proxy in front may refuse paths by their prefix.
pub fn usual_path(path: &str) -> String {
    let mut usual = String::new();
    let mut rest = path;
    while !rest.is_empty() {
        rest = rest.trim_start_matches('/');
        let (segment, tail) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let is_list = match segment {
            "models" => !usual.ends_with("/providers"),
            "tags" | "version" | "ps" | "show" => usual.ends_with("/api"),
            _ => false,
        };
        if is_list {
            if usual.starts_with("/catalog") && !path.starts_with(PROVIDER_ROUTES) {
                break;
            }
            if usual.is_empty() {
                usual.push_str("/v1");
            }
            let id = tail.trim_start_matches('/');
            let slash = if id.is_empty() { "" } else { "/" };
            return format!("{usual}/{segment}{slash}{id}");
        }
        usual.push('/');
        usual.push_str(segment);
        rest = tail;
    }
    path.to_owned()
}

/// The parameters of `query`. A blank one counts as absent: clients send them for options that their
/// user left empty.
pub fn parameters(query: Option<&str>) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    form_urlencoded::parse(query.unwrap_or_default().as_bytes())
        .filter(|(_, value)| !value.trim().is_empty())
}

/// Parses the source name of a provider route; none when it is not a valid name.
pub fn source_name(text: &str) -> Option<SourceName> {
    percent_encoding::percent_decode_str(text)
        .decode_utf8()
        .ok()?
        .parse()
        .ok()
}

/// The ids that `raw` may mean. Clients send ids raw or percent-encoded, so both readings are
/// looked up, the raw one first: an id that contains `%25` is found either way.
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
    #[case("/v1/models", "/v1/models")]
    #[case("//v1///models//", "/v1/models")]
    #[case("/models", "/v1/models")]
    #[case("/models/", "/v1/models")]
    #[case("/models/a//b/", "/v1/models/a//b/")]
    #[case("/v1//models/openai:a%2Fb", "/v1/models/openai:a%2Fb")]
    #[case("/v1beta/models/models/x", "/v1beta/models/models/x")]
    #[case(
        "/catalog/providers/models//v1/models/",
        "/catalog/providers/models/v1/models"
    )]
    #[case("/catalog/providers/box//api/tags/", "/catalog/providers/box/api/tags")]
    #[case("/ollama//api/version", "/ollama/api/version")]
    #[case("/ollama//v1/models/m:1", "/ollama/v1/models/m:1")]
    #[case("/catalog/providers/box//api/show/", "/catalog/providers/box/api/show")]
    #[case("//catalog/why/x/api/show/", "//catalog/why/x/api/show/")]
    #[case("//catalog/providers/x/v1/models", "//catalog/providers/x/v1/models")]
    #[case("//catalog/models/x/history", "//catalog/models/x/history")]
    #[case("//catalog/why/x/models/y", "//catalog/why/x/models/y")]
    #[case("//catalog/refresh/", "//catalog/refresh/")]
    #[case("/modelsx/", "/modelsx/")]
    #[case("//", "//")]
    #[case("", "")]
    fn usual_paths(#[case] path: &str, #[case] usual: &str) {
        assert_eq!(usual_path(path), usual);
        assert_eq!(usual_path(usual), usual, "it is usual already");
    }

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
    #[case(
        "/catalog/providers/box/api/show",
        Some("box"),
        None,
        Some(Dialect::Ollama)
    )]
    #[case("/catalog/providers/box", Some("box"), None, None)]
    #[case("/catalog/providers/box/", Some("box"), None, None)]
    #[case("/ollama", None, None, Some(Dialect::Ollama))]
    #[case("/ollama/", None, None, Some(Dialect::Ollama))]
    #[case("/ollama/api/tags", None, None, Some(Dialect::Ollama))]
    #[case("/ollama/api/chat", None, None, Some(Dialect::Ollama))]
    #[case("/ollama/v1/models", None, None, None)]
    #[case("/ollama/v1/models/m:1", None, Some("m:1"), None)]
    #[case("/ollamax/api/chat", None, None, None)]
    #[case("/api/chat", None, None, None)]
    #[case("/v1/messages", None, None, None)]
    #[case("/v1/modelsx", None, None, None)]
    #[case("/catalog/sources", None, None, None)]
    #[case("/catalog/providers/", None, None, None)]
    fn paths(
        #[case] path: &str,
        #[case] source: Option<&str>,
        #[case] id: Option<&str>,
        #[case] dialect: Option<Dialect>,
    ) {
        let uri: Uri = path.parse().expect("a path");
        let mut headers = HeaderMap::new();
        headers.insert("anthropic-version", "1".parse().expect("a value"));
        let expected = path.contains("/v1/").then_some(Dialect::Anthropic);
        assert_eq!(ModelsPath::of(&uri, &headers).dialect, dialect.or(expected));
        assert_eq!(
            ModelsPath::of(&uri, &HeaderMap::new()),
            ModelsPath {
                source,
                id,
                dialect
            }
        );
    }
}
