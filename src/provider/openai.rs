//! OpenAI's list, which every compatible provider and server speaks with variations.
//!
//! Sources: the official Python SDK 3.54.0 (`types/model.py`), recorded answers of compatible
//! services, the SDKs of those. What is read of an entry is one table of places per meaning, whoever
//! it is from ([`attributes`]). OpenAI itself never pages; services that do say so in one of the ways
//! that [`next`] follows, OpenRouter's `links.next` and `has_more` with `after` among them.

use serde_json::{Map, Value};

use super::{
    ListApi,
    details::{DetailRequest, DetailRequests},
    page::{Envelope, Fields, Page, Parameters, cut_short},
    value::{completed, integer, sorted, text, time, tokens, values, words},
};
use crate::model::{
    attributes::Attributes,
    listing::{Detail, Details, Entry},
    source::Kind,
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

/// Azure's v1 API: only the key travels otherwise.
pub(super) const AZURE: ListApi = ListApi {
    kind: Kind::Azure,
    key_header: "api-key",
    key_prefix: "",
    ..API
};

/// OpenRouter lists only what answers in text unless asked for more.
pub(super) const OPENROUTER: ListApi = ListApi {
    kind: Kind::OpenRouter,
    first_page: &[("output_modalities", "all")],
    ..API
};

fn parse(body: &[u8]) -> Result<Page, String> {
    match Envelope::read(body)? {
        // Together answers without an envelope.
        Envelope::Array(entries) => Ok(Page::of(&entries, read)),
        Envelope::Object(fields) => {
            let mut page = Page::of(&fields.required_list("data")?, read);
            page.next = next(&fields, &page)?;
            Ok(page)
        }
    }
}

/// The fields in which compatible services give the cursor of the next page, and the parameter that
/// takes it: Together (`/v2/supported-models`), Cohere, Fireworks (its account API).
const CURSORS: [(&str, &str); 3] = [
    ("next_cursor", "after"),
    ("next_page_token", "page_token"),
    ("nextPageToken", "pageToken"),
];

/// The parameters of the next page. A wrong guess is no danger: a list that gives the same page
/// again is refused for its repeated cursor.
fn next(fields: &Fields, page: &Page) -> Result<Option<Parameters>, String> {
    let more = fields.flag("has_more")?;
    if more == Some(false) {
        return Ok(None);
    }
    for (name, link) in [
        ("links", &fields.value("links")["next"]),
        ("next", &fields.value("next")),
    ] {
        match link {
            Value::Null => {}
            Value::String(link) if link.is_empty() => {}
            Value::String(link) => return query_of(link).map(Some).ok_or_else(|| cut_short(name)),
            _ => return Err(cut_short(name)),
        }
    }
    for (name, parameter) in CURSORS {
        if let Some(cursor) = fields.cursor(name)? {
            return Ok(Some(vec![(parameter.to_owned(), cursor)]));
        }
    }
    if let Some(number) = next_number(&fields.value("pagination"))? {
        return Ok(Some(vec![("page".to_owned(), number.to_string())]));
    }
    if more.is_none() {
        return Ok(None);
    }
    // An empty cursor is refused as a repeated one: a list that says there is more and not where.
    let last = fields
        .cursor("last_id")?
        .or_else(|| Some(page.entries.last()?.id.clone()));
    Ok(Some(vec![("after".to_owned(), last.unwrap_or_default())]))
}

/// The query of a link to the next page. Absolute or relative, only its query counts: the host
/// stays the configured one.
fn query_of(link: &str) -> Option<Parameters> {
    let (_, query) = link.split_once('?')?;
    let url = reqwest::Url::parse(&format!("http://link.invalid/?{query}")).ok()?;
    Some(url.query_pairs().into_owned().collect())
}

/// The number of the page after this one by GPUStack's `pagination`.
fn next_number(pagination: &Value) -> Result<Option<i64>, String> {
    if pagination.is_null() {
        return Ok(None);
    }
    let number = |name: &str| integer(&pagination[name]).ok_or_else(|| cut_short("pagination"));
    let (page, last) = (number("page")?, number("totalPage")?);
    Ok((page < last).then(|| page.saturating_add(1)))
}

fn read(entry: &Value) -> Option<(&str, Attributes)> {
    Some((entry["id"].as_str()?, attributes(entry)))
}

/// `created` of every model of NVIDIA's: nobody said when.
const NVIDIA_CREATED: i64 = 735_790_403;

/// What an entry says, wherever the services have put it.
pub(super) fn attributes(entry: &Value) -> Attributes {
    let said = Attributes {
        // Azure calls it `created_at`.
        created: values(entry, &["/created", "/created_at"])
            .find_map(integer)
            .filter(|created| *created != NVIDIA_CREATED)
            .unwrap_or(0),
        display_name: text(entry, &["/display_name", "/name"]),
        description: text(entry, &["/description"]),
        context_window: tokens(
            entry,
            &[
                // OpenRouter, Together, Fireworks, Cohere, xAI.
                "/context_length",
                // Groq.
                "/context_window",
                // Mistral, LM Studio.
                "/max_context_length",
                // vLLM, SGLang.
                "/max_model_len",
                // llama.cpp: what is configured, and what the model was trained for.
                "/meta/n_ctx",
                "/meta/n_ctx_train",
                "/top_provider/context_length",
            ],
        ),
        // Groq; OpenRouter.
        max_output_tokens: tokens(
            entry,
            &[
                "/max_completion_tokens",
                "/top_provider/max_completion_tokens",
            ],
        ),
        // OpenRouter, the Hugging Face router, llama.cpp; xAI, LocalAI.
        input_modalities: words(
            entry,
            &["/architecture/input_modalities", "/input_modalities"],
        ),
        output_modalities: words(
            entry,
            &["/architecture/output_modalities", "/output_modalities"],
        ),
        capabilities: capabilities(entry),
        // Cohere.
        supported_methods: words(entry, &["/endpoints"]),
        pricing: pricing(entry),
        knowledge_cutoff: text(entry, &["/knowledge_cutoff"]),
        // Azure; Cohere.
        lifecycle: text(entry, &["/lifecycle_status", "/lifecycle"])
            .or_else(|| (entry["is_deprecated"] == true).then(|| "deprecated".to_owned())),
        deprecated_at: time(&entry["deprecated_at"]),
        // OpenAI; OpenRouter; Mistral; Azure.
        retires_at: values(
            entry,
            &[
                "/shutdown_date",
                "/expiration_date",
                "/deprecation",
                "/deprecation/inference",
                "/retires_at",
            ],
        )
        .find_map(time),
        ..Attributes::default()
    };
    match agreed(&entry["providers"]) {
        None => said,
        Some(agreed) => completed(said, &attributes(&agreed)),
    }
}

/// The words of `type` that say what a model is for: Together's and LM Studio's. Others' `type` says
/// something else (`model`, `base`, `fine-tuned`).
const USES: [&str; 13] = [
    "audio",
    "chat",
    "code",
    "embedding",
    "embeddings",
    "image",
    "language",
    "llm",
    "moderation",
    "rerank",
    "transcribe",
    "video",
    "vlm",
];

/// What the model can do, in the service's own words.
fn capabilities(entry: &Value) -> Vec<String> {
    // Mistral, Azure, LM Studio, LocalAI; OpenRouter; Cohere.
    let mut found = words(
        entry,
        &["/capabilities", "/supported_parameters", "/features"],
    );
    let uses = entry["type"].as_str().filter(|word| USES.contains(word));
    found.extend(uses.map(ToOwned::to_owned));
    // Fireworks, the Hugging Face router.
    let flags = entry.as_object().into_iter().flatten();
    found.extend(flags.filter_map(|(name, value)| {
        let name = name.strip_prefix("supports_")?;
        (*value == true && !name.is_empty()).then(|| name.to_owned())
    }));
    sorted(found)
}

/// The prices as they are given: an object, or xAI's fields `…_price`.
fn pricing(entry: &Value) -> Map<String, Value> {
    if let Value::Object(pricing) = &entry["pricing"] {
        return pricing.clone();
    }
    let fields = entry.as_object().into_iter().flatten();
    fields
        .filter(|(name, value)| name.ends_with("_price") && value.is_number())
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// What all of the Hugging Face router's providers of one model say alike. Where they differ, or one
/// of them says nothing, nothing is true of the model.
fn agreed(providers: &Value) -> Option<Value> {
    let (first, others) = providers.as_array()?.split_first()?;
    let agreed = first.as_object()?.iter().filter(|(name, value)| {
        others
            .iter()
            .all(|other| other.get(name.as_str()) == Some(value))
    });
    // No deeper: a provider has no providers.
    let agreed = agreed.filter(|(name, _)| *name != "providers");
    Some(Value::Object(
        agreed
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    ))
}

/// Who owns every model of LM Studio's list, which says nothing else of it.
pub(super) const LM_STUDIO: &str = "organization_owner";

/// LM Studio's own API says more. Cheap, and it may say something else after each download: it is
/// asked with each list.
fn detail_requests(entries: &[Entry], _: &Details) -> DetailRequests {
    let is_lm_studio = |entry: &Entry| super::owner(entry).as_deref() == Some(LM_STUDIO);
    if entries.is_empty() || !entries.iter().all(is_lm_studio) {
        return None;
    }
    Some(vec![DetailRequest {
        path: "api/v0/models",
        body: None,
        read: Box::new(|answer| {
            let page = parse(answer).ok()?;
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
        assert_eq!(parsed(&body).expect("a page").next, expected);
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
