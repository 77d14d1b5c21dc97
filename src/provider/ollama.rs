//! Ollama's own list, `/api/tags`.
//!
//! Source: ollama/ollama `api/types.go` and recorded answers. It never pages.

use serde_json::Value;

use super::{
    Dialect,
    page::{Envelope, Page, unix_seconds},
};
use crate::model::{Attributes, Kind};

pub(super) const DIALECT: Dialect = Dialect {
    kind: Kind::Ollama,
    path: "api/tags",
    first_page: &[],
    key_header: "authorization",
    key_prefix: "Bearer ",
    headers: &[],
    parse,
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
        ..Attributes::default()
    };
    Some((id, attributes))
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
    fn leaves_llama_cpp_to_the_other_dialect() {
        parse(br#"{"models": [{"name": "a"}], "data": [{"id": "a"}]}"#).expect_err("not Ollama");
        parse(br#"{"error": "Unexpected endpoint or method. (GET /api/tags)"}"#)
            .expect_err("not Ollama");
    }
}
