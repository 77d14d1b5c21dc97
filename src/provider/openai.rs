//! OpenAI's list, which every compatible provider and server speaks with variations.
//!
//! Sources: the official Python SDK 3.54.0 (`types/model.py`), recorded answers of compatible
//! services. OpenAI itself never pages; services that do say so with `has_more` (next page:
//! `after`) or with OpenRouter's `links.next`.

use serde_json::Value;

use super::{
    Dialect,
    page::{Envelope, Fields, Page, integer, text, tokens},
};
use crate::model::{Attributes, Kind};

pub(super) const DIALECT: Dialect = Dialect {
    kind: Kind::OpenAi,
    path: "v1/models",
    first_page: &[],
    key_header: "authorization",
    key_prefix: "Bearer ",
    headers: &[],
    parse,
};

fn parse(body: &[u8]) -> Result<Page, String> {
    match Envelope::read(body)? {
        // Together answers without an envelope.
        Envelope::Array(entries) => Ok(Page::of(&entries, read)),
        Envelope::Object(fields) => {
            let mut page = Page::of(&fields.required_list("data")?, read);
            page.next = next(&fields, &page);
            Ok(page)
        }
    }
}

fn next(fields: &Fields, page: &Page) -> Option<Vec<(String, String)>> {
    if let Some(link) = fields.value("links")["next"].as_str() {
        // Absolute or relative, only its query counts: the host stays the configured one.
        let (_, query) = link.split_once('?').unwrap_or((link, ""));
        let pairs = reqwest::Url::parse(&format!("http://link.invalid/?{query}")).ok()?;
        return Some(pairs.query_pairs().into_owned().collect());
    }
    if fields.value("has_more") != Value::Bool(true) {
        return None;
    }
    // An empty cursor is refused as a repeated one: a list that says there is more and not where.
    let last = fields
        .text("last_id")
        .or_else(|| Some(page.entries.last()?.id.clone()));
    Some(vec![("after".to_owned(), last.unwrap_or_default())])
}

fn read(entry: &Value) -> Option<(&str, Attributes)> {
    let attributes = Attributes {
        // Azure calls it `created_at`.
        created: integer(&entry["created"])
            .or_else(|| integer(&entry["created_at"]))
            .unwrap_or(0),
        display_name: text(entry, &["display_name", "name"]),
        // OpenRouter and others; Groq; vLLM and SGLang.
        context_window: tokens(
            entry,
            &["context_length", "context_window", "max_model_len"],
        ),
        // Groq.
        max_output_tokens: tokens(entry, &["max_completion_tokens"]),
    };
    Some((entry["id"].as_str()?, attributes))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn parsed(body: &Value) -> Result<Page, String> {
        parse(body.to_string().as_bytes())
    }

    fn ids(page: &Page) -> Vec<&str> {
        page.entries.iter().map(|entry| entry.id.as_str()).collect()
    }

    #[test]
    fn reads_what_it_said_and_nothing_else() {
        let page = parsed(&json!({"object": "list", "data": [
            {"id": "ft:gpt-4o:org::x", "object": "model", "created": 1_700_000_000, "owned_by": "user-1"},
            {"id": "llama", "created": 1.7e9, "context_window": 131_072, "max_completion_tokens": 8192.0},
            {"id": "bare"},
            {"id": "odd", "created": "yesterday", "context_length": "big", "name": 7},
            {"id": "azure", "created_at": 5, "display_name": "Azure's", "context_length": 0},
        ]}))
        .expect("a page");
        assert_eq!(
            ids(&page),
            ["ft:gpt-4o:org::x", "llama", "bare", "odd", "azure"]
        );
        assert_eq!((page.skipped, &page.next), (0, &None));
        let attributes: Vec<Value> = page
            .entries
            .iter()
            .map(|entry| serde_json::to_value(&entry.attributes).expect("JSON"))
            .collect();
        assert_eq!(
            attributes,
            [
                json!({"created": 1_700_000_000}),
                json!({"created": 1_700_000_000, "context_window": 131_072, "max_output_tokens": 8192}),
                json!({"created": 0}),
                json!({"created": 0}),
                json!({"created": 5, "display_name": "Azure's"}),
            ]
        );
        assert_eq!(page.entries[2].raw, r#"{"id":"bare"}"#);
    }

    #[test]
    fn skips_and_counts_what_is_no_model() {
        let long = "x".repeat(513);
        let page = parsed(&json!({"data": [
            null, 7, "gpt", [], {}, {"id": null}, {"id": 7}, {"id": ""}, {"id": "a\u{7}b"}, {"id": long},
            {"id": "x".repeat(512)},
        ]}))
        .expect("a page");
        assert_eq!((page.entries.len(), page.skipped), (1, 10));
    }

    #[test]
    fn deep_nesting_costs_one_entry() {
        let deep = format!(
            r#"{{"data": [{{"id": "deep", "x": {}{}}}, {{"id": "ok"}}]}}"#,
            "[".repeat(200_000),
            "]".repeat(200_000)
        );
        let page = parse(deep.as_bytes()).expect("a page");
        assert_eq!((ids(&page), page.skipped), (vec!["ok"], 1));
    }

    #[rstest]
    #[case::bom(b"\xEF\xBB\xBF{\"data\": [{\"id\": \"a\"}]}", 1)]
    #[case::bare_array(b" [{\"id\": \"a\"}]", 1)]
    #[case::no_models(b"{\"data\": []}", 0)]
    #[case::ollama_without_models(b"{\"object\":\"list\",\"data\":null}", 0)]
    #[case::llama_cpp_says_all_twice(
        b"{\"models\": [{\"name\": \"a\"}], \"data\": [{\"id\": \"a\"}]}",
        1
    )]
    fn envelopes(#[case] body: &[u8], #[case] models: usize) {
        assert_eq!(parse(body).expect("a page").entries.len(), models);
    }

    #[rstest]
    #[case(b"")]
    #[case(b"null")]
    #[case(b"<html>")]
    #[case(b"{}")]
    #[case(b"{\"data\": {}}")]
    #[case(b"{\"data\": [{\"id\": \"a\"}")]
    #[case(b"{\"data\": [{\"id\": \"\xFF\"}]}")]
    #[case(b"{\"error\": \"Unexpected endpoint or method\"}")]
    fn not_lists(#[case] body: &[u8]) {
        let message = parse(body).expect_err("no list");
        assert!(!message.contains('\n'), "{message}");
    }

    #[rstest]
    #[case(json!({"data": [{"id": "a"}], "links": {"next": null}}), None)]
    #[case(json!({"data": [{"id": "a"}], "links": {"next": "https://x.example/m?offset=5&limit=5"}}),
        Some(vec![("offset", "5"), ("limit", "5")]))]
    #[case(json!({"data": [{"id": "a"}], "links": {"next": "/m?offset=a%2Fb"}}), Some(vec![("offset", "a/b")]))]
    #[case(json!({"data": [{"id": "a"}], "has_more": true}), Some(vec![("after", "a")]))]
    #[case(json!({"data": [{"id": "a"}], "has_more": true, "last_id": "b"}), Some(vec![("after", "b")]))]
    #[case(json!({"data": [], "has_more": true}), Some(vec![("after", "")]))]
    #[case(json!({"data": [{"id": "a"}], "has_more": false, "last_id": "a"}), None)]
    fn next_pages(#[case] body: Value, #[case] expected: Option<Vec<(&str, &str)>>) {
        let expected = expected.map(|pairs| {
            pairs
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect()
        });
        assert_eq!(parsed(&body).expect("a page").next, expected);
    }
}
