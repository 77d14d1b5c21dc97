//! Reads OpenAI's list, which every compatible provider and server serves with variations.
//!
//! Sources: the official Python SDK 3.54.0 (`types/model.py`), recorded answers of compatible
//! services, and their SDKs. [`super::fields`] lists the fields that are read. OpenAI itself never
//! pages; services that do use one of the ways that [`super::paging`] follows.

use std::collections::HashMap;

use super::{
    ListApi,
    details::{DetailRequest, DetailRequests},
    fields::attributes,
    page::{AS_IT_IS, EntryReader, Page, PageReader},
    paging,
    progress::{NoPage, Progress},
};
use crate::model::{
    listing::{Detail, Details, Entry, Listing},
    source::Kind,
    time::Timestamp,
};

pub(super) const API: ListApi = ListApi {
    kind: Kind::OpenAi,
    // OpenAI's own convention: the base URL of a provider holds the version.
    base_has_version: true,
    path: "v1/models",
    first_page: &[],
    key_header: "authorization",
    key_prefix: "Bearer ",
    headers: &[],
    parse,
    detail_requests,
    also: None,
};

/// Azure's v1 API differs only in the key's header.
pub(super) const AZURE: ListApi = ListApi {
    kind: Kind::Azure,
    key_header: "api-key",
    key_prefix: "",
    ..API
};

/// OpenRouter lists only models with text output unless a parameter requests the others.
pub(super) const OPENROUTER: ListApi = ListApi {
    kind: Kind::OpenRouter,
    first_page: &[("output_modalities", "all")],
    ..API
};

/// Reads the lists of OpenAI and of compatible services.
const PAGES: PageReader = PageReader {
    list: "data",
    // Together answers without an envelope.
    takes_array: true,
    may_lack_list: |_| false,
    entries: EntryReader {
        ids: &["id"],
        // AIHubMix. Not `name`, which is a display name nearly everywhere.
        other_ids: &["model_id", "model"],
        served_id: AS_IT_IS,
        attributes,
    },
    paging: paging::AFTER,
};

fn parse(body: &[u8], progress: &Progress) -> Result<Page, NoPage> {
    let mut page = PAGES.read(body, progress)?;
    adopt_limits(&mut page);
    Ok(page)
}

/// Gives vLLM's adapters (LoRA), which have no limit of their own, the limit of the model that they
/// run on: their `parent`.
fn adopt_limits(page: &mut Page) {
    let has_limit = |entry: &&Entry| entry.attributes.context_window.is_some();
    let limits: HashMap<String, Option<i64>> = page
        .entries
        .iter()
        .filter(has_limit)
        .map(|entry| (entry.id.clone(), entry.attributes.context_window))
        .collect();
    let without = |entry: &&mut Entry| entry.attributes.context_window.is_none();
    for entry in page.entries.iter_mut().filter(without) {
        if let Some(parent) = parent(entry) {
            entry.attributes.context_window = limits.get(&parent).copied().flatten();
        }
    }
}

/// How far `created` may be from now to count as the time of the request: clocks differ.
const REQUEST_TOLERANCE_SECS: i64 = 300;

/// Makes `created` unknown if it is the time of the request in every entry, as in Mistral's and
/// vLLM's answers. No service creates all its models within five minutes of a request.
pub(super) fn forget_times_of_asking(listing: &mut Listing, now: Timestamp) {
    let now = now.millis().div_euclid(1000);
    let is_now = |entry: &Entry| (entry.attributes.created - now).abs() <= REQUEST_TOLERANCE_SECS;
    if listing.entries.iter().all(is_now) {
        for entry in &mut listing.entries {
            entry.attributes.created = 0;
        }
    }
}

/// The id of the model that an adapter runs on.
fn parent(entry: &Entry) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Adapter {
        parent: String,
    }
    let adapter: Adapter = serde_json::from_str(&entry.raw).ok()?;
    Some(adapter.parent)
}

/// The owner of every model in LM Studio's list, the only attribute there.
pub(super) const LM_STUDIO: &str = "organization_owner";

/// LM Studio's own API has more attributes. It is requested with each list: the request is cheap,
/// and the answer may change with each download.
fn detail_requests(entries: &[Entry], _: &Details) -> DetailRequests {
    let is_lm_studio = |entry: &Entry| super::owner(entry).as_deref() == Some(LM_STUDIO);
    if entries.is_empty() || !entries.iter().all(is_lm_studio) {
        return None;
    }
    Some(vec![DetailRequest {
        path: "api/v0/models",
        body: None,
        read: Box::new(|answer| {
            let page = parse(answer, &Progress::default()).ok()?;
            let details = page.entries.into_iter().map(|entry| {
                let detail = Detail {
                    version: String::new(),
                    attributes: entry.attributes,
                };
                (entry.id, detail)
            });
            Some(details.collect())
        }),
    }])
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn parse(body: &[u8]) -> Result<Page, String> {
        super::parse(body, &Progress::default()).map_err(|no_page| no_page.message)
    }

    fn parsed(body: &Value) -> Result<Page, String> {
        parse(body.to_string().as_bytes())
    }

    fn parameters(page: Page) -> Option<Vec<(String, String)>> {
        page.next.map(|next| next.parameters)
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
            {"id": "azure", "created_at": 5, "display_name": "Azure's", "context_length": 0,
             "lifecycle_status": "preview", "deprecation": {"inference": 1_771_372_800, "fine_tune": 7}},
            {"id": "openai", "created": 1, "shutdown_date": "2026-10-23"},
            {"id": "mistral", "created": 1, "deprecation": "2026-02-28T12:00:00Z"},
            {"id": "openrouter", "created": 1, "expiration_date": "2026-04-22"},
            {"id": "undated", "created": 1, "shutdown_date": null, "deprecation": null, "expiration_date": ""},
        ]}))
        .expect("a page");
        assert_eq!(
            ids(&page),
            [
                "ft:gpt-4o:org::x",
                "llama",
                "bare",
                "odd",
                "azure",
                "openai",
                "mistral",
                "openrouter",
                "undated"
            ]
        );
        assert_eq!((page.skipped.count, &page.next), (0, &None));
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
                json!({"created": 5, "display_name": "Azure's", "lifecycle": "preview", "retires_at": "2026-02-18T00:00:00.000Z"}),
                json!({"created": 1, "retires_at": "2026-10-23T00:00:00.000Z"}),
                json!({"created": 1, "retires_at": "2026-02-28T12:00:00.000Z"}),
                json!({"created": 1, "retires_at": "2026-04-22T00:00:00.000Z"}),
                json!({"created": 1}),
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
        // A text is an entry that says only its id.
        assert_eq!(ids(&page), ["gpt", "x".repeat(512).as_str()]);
        assert_eq!(page.entries[0].raw, r#"{"id":"gpt"}"#);
        assert_eq!((page.skipped.count, page.skipped.examples.len()), (9, 5));
    }

    #[test]
    fn deep_nesting_costs_one_entry() {
        let deep = format!(
            r#"{{"data": [{{"id": "deep", "x": {}{}}}, {{"id": "ok"}}]}}"#,
            "[".repeat(200_000),
            "]".repeat(200_000)
        );
        let page = parse(deep.as_bytes()).expect("a page");
        assert_eq!((ids(&page), page.skipped.count), (vec!["ok"], 1));
    }

    #[test]
    fn what_is_stored_can_be_read_again() {
        let nested = |levels: usize| {
            let (open, close) = ("{\"a\":".repeat(levels), "}".repeat(levels));
            format!(r#"{{"data": [{{"id": "x", "pricing": {open}1{close}}}, {{"id": "ok"}}]}}"#)
        };
        for (levels, models) in [(63, 2), (64, 1), (124, 1), (126, 1), (200, 1)] {
            let page = parse(nested(levels).as_bytes()).expect("a page");
            assert_eq!(page.entries.len(), models, "{levels} levels");
        }
        for price in [
            "2.8000000000000003e-08",
            "8.500000000000001e-08",
            "4.6799999999999996e-07",
        ] {
            let body = format!(r#"{{"data": [{{"id": "x", "pricing": {{"input": {price}}}}}]}}"#);
            let said = &parse(body.as_bytes()).expect("a page").entries[0].attributes;
            let stored = serde_json::to_string(said).expect("JSON");
            assert_eq!(
                *said,
                serde_json::from_str(&stored).expect("attributes"),
                "{stored}"
            );
        }
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
    #[case(json!({"data": [{"id": "a"}], "has_more": false, "next_cursor": "a"}), None)]
    #[case(json!({"data": [{"id": "a"}], "has_more": "true"}), Some(vec![("after", "a")]))]
    #[case(json!({"data": [{"id": "a"}], "links": {"next": ""}}), None)]
    #[case(json!({"data": [{"id": "a"}], "next": null, "next_cursor": null, "nextPageToken": ""}), None)]
    #[case(json!({"data": [{"id": "a"}], "next": "https://x.example/m?page=2"}), Some(vec![("page", "2")]))]
    #[case(json!({"data": [{"id": "a"}], "next_cursor": "c"}), Some(vec![("after", "c")]))]
    #[case(json!({"data": [{"id": "a"}], "has_more": true, "next_cursor": 7}), Some(vec![("after", "7")]))]
    #[case(json!({"data": [{"id": "a"}], "next_page_token": "t"}), Some(vec![("page_token", "t")]))]
    #[case(json!({"data": [{"id": "a"}], "nextPageToken": "t"}), Some(vec![("pageToken", "t")]))]
    #[case(json!({"data": [{"id": "a"}], "pagination": {"page": 1, "perPage": 1, "total": 2, "totalPage": 2}}),
        Some(vec![("page", "2")]))]
    #[case(json!({"data": [{"id": "a"}], "pagination": {"page": 2, "totalPage": 2}}), None)]
    #[case(json!({"data": [{"id": "a"}], "pagination": null}), None)]
    fn next_pages(#[case] body: Value, #[case] expected: Option<Vec<(&str, &str)>>) {
        let expected = expected.map(|pairs| {
            pairs
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect()
        });
        assert_eq!(parameters(parsed(&body).expect("a page")), expected);
    }

    #[rstest]
    #[case(json!([{"error": {"message": "words"}}]))]
    #[case(json!({"data": [{"error": {"message": "words"}}]}))]
    #[case(json!({"error": {"message": "words"}, "data": []}))]
    fn an_error_is_quoted_wherever_it_is(#[case] body: Value) {
        let message = parsed(&body).expect_err("no list");
        assert!(message.ends_with(": words"), "{message}");
    }

    #[rstest]
    #[case(json!({"data": [{"id": "a"}], "has_more": "perhaps"}))]
    #[case(json!({"data": [{"id": "a"}], "next": "page two"}))]
    #[case(json!({"data": [{"id": "a"}], "links": {"next": 2}}))]
    #[case(json!({"data": [{"id": "a"}], "next_cursor": {}}))]
    #[case(json!({"data": [{"id": "a"}], "pagination": {"has_next": true}}))]
    fn what_may_be_cut_short_is_no_list(#[case] body: Value) {
        let message = parsed(&body).expect_err("cannot tell whether that is all");
        assert!(message.contains("cut short"), "{message}");
    }
}
