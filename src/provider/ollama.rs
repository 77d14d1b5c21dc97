//! Ollama's own list, `/api/tags`, and what `/api/show` adds to it.
//!
//! Source: ollama/ollama `api/types.go` and recorded answers. It never pages. What the list of an
//! older server does not say of a model is asked once per digest.

use serde_json::{Value, json};

use super::{
    ListApi,
    details::{DetailRequest, DetailRequests},
    page::{Envelope, Page},
    value::{positive, tokens, unix_seconds, words},
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

fn parse(body: &[u8]) -> Result<Page, String> {
    let fields = Envelope::read(body)?.object()?;
    if fields.has("data") {
        // llama.cpp's answer to any list path holds its models twice; it is not Ollama.
        return Err("the answer has `data` beside `models`: not Ollama's list".to_owned());
    }
    Ok(Page::of(&fields.required_list("models")?, read))
}

fn read(entry: &Value) -> Option<(&str, Attributes)> {
    let id = entry["name"].as_str().or_else(|| entry["model"].as_str())?;
    let attributes = Attributes {
        // As Ollama itself answers at `/v1/models`.
        created: unix_seconds(&entry["modified_at"]).unwrap_or(0),
        context_window: tokens(entry, &["/details/context_length"]),
        capabilities: words(entry, &["/capabilities"]),
        ..Attributes::default()
    };
    Some((id, attributes))
}

/// Asks for what neither the list says nor is known of the model's digest.
fn detail_requests(entries: &[Entry], known: &Details) -> DetailRequests {
    let detail_requests = entries.iter().filter_map(|entry| {
        let says_all =
            entry.attributes.context_window.is_some() && !entry.attributes.capabilities.is_empty();
        let raw: Value = serde_json::from_str(&entry.raw).unwrap_or_default();
        let digest = raw["digest"].as_str().filter(|digest| !digest.is_empty())?;
        let is_known = known
            .get(&entry.id)
            .is_some_and(|detail| detail.version == digest);
        (!says_all && !is_known).then(|| detail_request(&entry.id, digest))
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
            // An error may come with 200 through a proxy.
            answer.get("model_info").or(answer.get("details"))?;
            let detail = Detail {
                version: digest.clone(),
                attributes: shown(&answer),
            };
            Some([(id.clone(), detail)].into())
        }),
    }
}

fn shown(answer: &Value) -> Attributes {
    let architecture = answer["model_info"]["general.architecture"]
        .as_str()
        .unwrap_or_default();
    Attributes {
        context_window: positive(&answer["model_info"][format!("{architecture}.context_length")]),
        capabilities: words(answer, &["/capabilities"]),
        ..Attributes::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
    fn leaves_llama_cpp_to_the_other_list_api() {
        parse(br#"{"models": [{"name": "a"}], "data": [{"id": "a"}]}"#).expect_err("not Ollama");
        parse(br#"{"error": "Unexpected endpoint or method. (GET /api/tags)"}"#)
            .expect_err("not Ollama");
    }
}
