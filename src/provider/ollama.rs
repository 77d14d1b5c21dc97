//! Reads Ollama's own list, `/api/tags`, and the details that `/api/show` adds.
//!
//! Source: ollama/ollama `api/types.go` and recorded answers. The list never pages. Details that
//! the list of an older server lacks are requested once per digest.

use serde_json::{Value, json};

use super::{
    ListApi,
    details::{DetailRequest, DetailRequests},
    envelope::Body,
    page::{AS_IT_IS, EntryReader, Page, PageReader},
    paging,
    progress::{NoPage, Progress},
    time::created,
    value::{positive, tokens, words},
};
use crate::model::{
    attributes::Attributes,
    listing::{Detail, Details, Entry},
    source::Kind,
};

pub(super) const API: ListApi = ListApi {
    kind: Kind::Ollama,
    base_has_version: false,
    path: "api/tags",
    first_page: &[],
    key_header: "authorization",
    key_prefix: "Bearer ",
    headers: &[],
    parse,
    detail_requests,
    also: None,
};

const PAGES: PageReader = PageReader {
    list: "models",
    takes_array: false,
    may_lack_list: |_| false,
    entries: EntryReader {
        ids: &["name", "model"],
        other_ids: &[],
        served_id: AS_IT_IS,
        attributes,
    },
    paging: paging::AFTER,
};

fn parse(body: &[u8], progress: &Progress) -> Result<Page, NoPage> {
    if Body::of(body).envelope()?.object()?.has("data") {
        // llama.cpp answers any list path with its models twice; it is not Ollama.
        let message = "the answer has `data` beside `models`: not Ollama's list";
        return Err(message.to_owned().into());
    }
    PAGES.read(body, progress)
}

fn attributes(entry: &Value) -> Attributes {
    Attributes {
        // Ollama itself does the same at `/v1/models`.
        created: created([&entry["modified_at"]]),
        context_window: tokens(entry, &["/details/context_length"]),
        capabilities: words(entry, &["/capabilities"]),
        ..Attributes::default()
    }
}

/// Returns requests for details that are neither in the list nor known for the model's digest.
fn detail_requests(entries: &[Entry], known: &Details) -> DetailRequests {
    let detail_requests = entries.iter().filter_map(|entry| {
        let is_complete =
            entry.attributes.context_window.is_some() && !entry.attributes.capabilities.is_empty();
        let raw: Value = serde_json::from_str(&entry.raw).unwrap_or_default();
        let digest = raw["digest"].as_str().filter(|digest| !digest.is_empty())?;
        let is_known = known
            .get(&entry.id)
            .is_some_and(|detail| detail.version == digest);
        (!is_complete && !is_known).then(|| detail_request(&entry.id, digest))
    });
    Some(detail_requests.collect())
}

fn detail_request(id: &str, digest: &str) -> DetailRequest {
    let (id, digest) = (id.to_owned(), digest.to_owned());
    DetailRequest {
        path: "api/show",
        body: Some(json!({ "model": id }).to_string()),
        read: Box::new(move |answer| {
            let answer: Value = serde_json::from_slice(answer).ok()?;
            // A proxy may send an error with status 200.
            answer.get("model_info").or(answer.get("details"))?;
            let detail = Detail {
                version: digest.clone(),
                attributes: shown(&answer),
            };
            Some([(id.clone(), detail)].into())
        }),
    }
}

/// The longest version that is believed, in bytes.
const MAX_VERSION_BYTES: usize = 64;

/// The version in `answer` to `/api/version`.
pub(super) fn version(answer: &[u8]) -> Option<String> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let version = answer["version"].as_str()?.trim();
    let is_usable = (1..=MAX_VERSION_BYTES).contains(&version.len())
        && version.bytes().all(|byte| byte.is_ascii_graphic());
    is_usable.then(|| version.to_owned())
}

/// Whether `answer` to `/api/show` is Ollama's: it has the context length under the name of the
/// model's architecture. Imitators have `general.context_length`, or nothing.
pub(super) fn is_shown_by_ollama(answer: &Value) -> bool {
    let architecture = answer["model_info"]["general.architecture"].as_str();
    architecture.is_some_and(|architecture| {
        let length = &answer["model_info"][format!("{architecture}.context_length")];
        architecture != "general" && positive(length).is_some()
    })
}

fn shown(answer: &Value) -> Attributes {
    let architecture = answer["model_info"]["general.architecture"]
        .as_str()
        .unwrap_or_default();
    Attributes {
        context_window: positive(&answer["model_info"][format!("{architecture}.context_length")])
            // LocalAI's field, if read with kind = "ollama".
            .or_else(|| positive(&answer["model_info"]["general.context_length"])),
        capabilities: words(answer, &["/capabilities"]),
        ..Attributes::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(body: &[u8]) -> Result<Page, NoPage> {
        super::parse(body, &Progress::default())
    }

    #[test]
    fn reads_tags() {
        let body = json!({"models": [
            {"name": "mistral:7b", "model": "mistral:7b", "modified_at": "2026-02-03T00:54:07.035483248-05:00",
             "details": {"families": null}},
            {"model": "only-model:latest", "modified_at": ""},
        ]});
        let page = parse(body.to_string().as_bytes()).expect("a page");
        let read: Vec<(&str, i64)> = page
            .entries
            .iter()
            .map(|entry| (entry.id.as_str(), entry.attributes.created))
            .collect();
        assert_eq!(
            read,
            [("mistral:7b", 1_770_098_047), ("only-model:latest", 0)]
        );
        assert_eq!(
            parse(br#"{"models": []}"#).expect("a page"),
            Page::default()
        );
    }

    #[test]
    fn what_is_shown_tells_ollama_from_those_who_imitate_it() {
        let ollama =
            json!({"model_info": {"general.architecture": "llama", "llama.context_length": 8192}});
        let local_ai = json!({"model_info": {"general.architecture": "llama-cpp", "general.context_length": 32_768},
                              "capabilities": ["completion", "tools"]});
        assert!(is_shown_by_ollama(&ollama));
        assert!(!is_shown_by_ollama(&local_ai));
        assert!(!is_shown_by_ollama(&json!({"error": "no"})));
        assert_eq!(shown(&ollama).context_window, Some(8192));
        assert_eq!(shown(&local_ai).context_window, Some(32_768));
    }

    #[test]
    fn leaves_llama_cpp_to_the_other_list_api() {
        parse(br#"{"models": [{"name": "a"}], "data": [{"id": "a"}]}"#).expect_err("not Ollama");
        parse(br#"{"error": "Unexpected endpoint or method. (GET /api/tags)"}"#)
            .expect_err("not Ollama");
    }
}
