//! Google's Gemini API.
//!
//! Sources: the REST reference (`v1beta/models.list`), the official Python SDK 3.4.0, recorded
//! answers. A page has 50 models by default and 1000 at most; names start with `models/`.

use serde_json::Value;

use super::{
    ListApi, details,
    page::{EntryReader, Page, PageReader},
    paging,
    progress::{NoPage, Progress},
    time::created,
    value::{text, tokens, values, words},
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

const PAGES: PageReader = PageReader {
    list: "models",
    takes_array: false,
    // proto3 omits empty lists: `{}` is an empty list, and a page in the middle may be empty too.
    may_lack_list: |fields| {
        let beside = fields.beside("");
        let token = beside.get("nextPageToken");
        fields.is_empty() || token.is_some_and(|token| !token.is_null() && token != "")
    },
    entries: EntryReader {
        ids: &["name"],
        other_ids: &[],
        served_id: |name| name.strip_prefix("models/").unwrap_or(name),
        attributes,
    },
    paging: paging::AFTER,
};

fn parse(body: &[u8], progress: &Progress) -> Result<Page, NoPage> {
    PAGES.read(body, progress)
}

fn attributes(entry: &Value) -> Attributes {
    Attributes {
        created: created(values(entry, &["/created", "/createTime"])),
        display_name: text(entry, &["/displayName"]),
        description: text(entry, &["/description"]),
        context_window: tokens(entry, &["/inputTokenLimit"]),
        max_output_tokens: tokens(entry, &["/outputTokenLimit"]),
        // Only present when true.
        capabilities: match entry["thinking"] {
            Value::Bool(true) => vec!["thinking".to_owned()],
            _ => Vec::new(),
        },
        supported_methods: words(entry, &["/supportedGenerationMethods"]),
        ..Attributes::default()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn parse(body: &[u8]) -> Result<Page, NoPage> {
        super::parse(body, &Progress::default())
    }

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
            (ids, page.skipped.count),
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
        let asked = page.next.map(|next| next.parameters);
        assert_eq!((page.entries.len(), asked), (models, next));
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
