//! Google's Gemini API.
//!
//! Sources: the REST reference (`v1beta/models.list`), the official Python SDK 3.4.0, recorded
//! answers. A page is 50 models unless more is asked, 1000 at most; names carry `models/`.

use serde_json::Value;

use super::{
    ListApi, details,
    page::{Envelope, Page},
    value::{text, tokens, words},
};
use crate::model::{attributes::Attributes, source::Kind};

pub(super) const API: ListApi = ListApi {
    kind: Kind::Google,
    base_has_version: false,
    path: "v1beta/models",
    first_page: &[("pageSize", "1000")],
    key_header: "x-goog-api-key",
    key_prefix: "",
    headers: &[],
    parse,
    detail_requests: details::NONE,
    also: None,
};

fn parse(body: &[u8]) -> Result<Page, String> {
    let fields = Envelope::read(body)?.object()?;
    let next = fields
        .cursor("nextPageToken")?
        .map(|token| vec![("pageToken".to_owned(), token)]);
    // proto3 leaves an empty list out: `{}` is a list of nothing, and so is a page in the middle.
    let entries = if fields.is_empty() || next.is_some() {
        fields.list("models")?.unwrap_or_default()
    } else {
        fields.required_list("models")?
    };
    Ok(Page {
        next,
        ..Page::of(&entries, read)
    })
}

fn read(entry: &Value) -> Option<(&str, Attributes)> {
    let name = entry["name"].as_str()?;
    let attributes = Attributes {
        display_name: text(entry, &["/displayName"]),
        description: text(entry, &["/description"]),
        context_window: tokens(entry, &["/inputTokenLimit"]),
        max_output_tokens: tokens(entry, &["/outputTokenLimit"]),
        // Only ever said where it is so.
        capabilities: match entry["thinking"] {
            Value::Bool(true) => vec!["thinking".to_owned()],
            _ => Vec::new(),
        },
        supported_methods: words(entry, &["/supportedGenerationMethods"]),
        ..Attributes::default()
    };
    Some((name.strip_prefix("models/").unwrap_or(name), attributes))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[test]
    fn takes_the_prefix_off_once() {
        let page = parse(
            json!({"models": [
                {"name": "models/gemini-pro", "displayName": "Gemini", "inputTokenLimit": 100, "outputTokenLimit": 1,
                 "description": "It answers.", "thinking": true, "supportedGenerationMethods": ["generateContent", "countTokens"]},
                {"name": "models/models/x"}, {"name": "tunedModels/y"}, {"displayName": "nameless"}, {"name": "models/"},
            ]})
            .to_string()
            .as_bytes(),
        )
        .expect("a page");
        let ids: Vec<&str> = page.entries.iter().map(|entry| entry.id.as_str()).collect();
        assert_eq!(
            (ids, page.skipped),
            (vec!["gemini-pro", "models/x", "tunedModels/y"], 2)
        );
        assert_eq!(
            serde_json::to_value(&page.entries[0].attributes).expect("JSON"),
            json!({"created": 0, "display_name": "Gemini", "context_window": 100, "max_output_tokens": 1,
                "description": "It answers.", "capabilities": ["thinking"], "supported_methods": ["countTokens", "generateContent"]})
        );
    }

    #[rstest]
    #[case(json!({}), 0, None)]
    #[case(json!({"models": [{"name": "models/a"}], "nextPageToken": ""}), 1, None)]
    #[case(json!({"nextPageToken": "t+/=="}), 0, Some("t+/=="))]
    #[case(json!({"models": [{"name": "models/a"}], "nextPageToken": "t"}), 1, Some("t"))]
    #[case(json!({"models": [{"name": "models/a"}], "nextPageToken": 5}), 1, Some("5"))]
    #[case(json!({"models": [{"name": "models/a"}], "nextPageToken": null}), 1, None)]
    fn pages(#[case] body: Value, #[case] models: usize, #[case] token: Option<&str>) {
        let page = parse(body.to_string().as_bytes()).expect("a page");
        let next = token.map(|token| vec![("pageToken".to_owned(), token.to_owned())]);
        assert_eq!((page.entries.len(), page.next), (models, next));
    }

    #[rstest]
    #[case(json!([]))]
    #[case(json!({"data": []}))]
    #[case(json!({"error": {"code": 500}}))]
    #[case(json!({"models": "none"}))]
    #[case(json!({"models": [{"name": "models/a"}], "nextPageToken": ["t"]}))]
    fn not_lists(#[case] body: Value) {
        parse(body.to_string().as_bytes()).expect_err("no list");
    }
}
