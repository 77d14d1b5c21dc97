//! Cloudflare Workers AI's list for an account.
//!
//! Sources: the API reference (Model Search), the official TypeScript SDK 4.2.0 (its page is
//! `result_info` with `page` and `per_page`), the model files of Cloudflare's own documentation
//! (the fields of an entry). An entry's `id` is Cloudflare's internal number; calls take its `name`.
//! The largest page size is not documented; public code requests 50 to 500 models.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    ListApi, details, openai,
    page::{AS_IT_IS, EntryReader, Page, PageReader},
    paging::{self, Paging},
    progress::{NoPage, Progress},
    time::{created, time},
    value::{positive, sorted, text},
};
use crate::model::{attributes::Attributes, source::Kind};

pub(super) const API: ListApi = ListApi {
    kind: Kind::Cloudflare,
    base_has_version: false,
    path: "models/search",
    first_page: &[("per_page", "100")],
    parse,
    detail_requests: details::NONE,
    ..openai::API
};

/// The properties that, if true, are capabilities of a model. Others are about its price or
/// requirements (`require_workers_paid`).
const ABILITIES: [&str; 5] = [
    "async_queue",
    "function_calling",
    "lora",
    "reasoning",
    "vision",
];

const PAGES: PageReader = PageReader {
    list: "result",
    takes_array: false,
    may_lack_list: |_| false,
    entries: EntryReader {
        ids: &["name"],
        other_ids: &[],
        served_id: AS_IT_IS,
        attributes,
    },
    paging: Paging {
        count_is_of_page: true,
        ..paging::AFTER
    },
};

fn parse(body: &[u8], progress: &Progress) -> Result<Page, NoPage> {
    PAGES.read(body, progress)
}

fn attributes(entry: &Value) -> Attributes {
    let properties = properties(entry);
    let is_true = |name: &str| {
        properties
            .get(name)
            .is_some_and(|value| **value == true || **value == "true")
    };
    let mut capabilities: Vec<String> = ABILITIES
        .into_iter()
        .filter(|name| is_true(name))
        .map(str::to_owned)
        .collect();
    capabilities.extend(text(entry, &["/task/name"]));
    // Kept as sent: a list of prices with their units and currencies.
    let price = properties.get("price").filter(|price| price.is_array());
    Attributes {
        // `2026-01-28 16:04:39.346`.
        created: created([&entry["created_at"]]),
        description: text(entry, &["/description"]),
        context_window: properties
            .get("context_window")
            .and_then(|size| positive(size)),
        capabilities: sorted(capabilities),
        pricing: price
            .map(|price| Map::from_iter([("price".to_owned(), (*price).clone())]))
            .unwrap_or_default(),
        lifecycle: is_true("beta").then(|| "beta".to_owned()),
        retires_at: properties
            .get("planned_deprecation_date")
            .and_then(|date| time(date)),
        ..Attributes::default()
    }
}

/// Returns `properties`, a list of names and values, by name. The first value of a name counts.
fn properties(entry: &Value) -> BTreeMap<&str, &Value> {
    let list = entry["properties"].as_array().into_iter().flatten();
    list.rev()
        .filter_map(|property| Some((property["property_id"].as_str()?, property.get("value")?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn parsed(body: &Value) -> Result<Page, NoPage> {
        parse(body.to_string().as_bytes(), &Progress::default())
    }

    #[test]
    fn reads_the_properties() {
        let page = parsed(&json!({"success": true, "errors": [], "messages": [], "result": [
            {"id": "86b3e51a", "source": 1, "name": "@cf/acme/big", "description": "It answers.", "tags": [],
             "task": {"id": "c329", "name": "Text Generation", "description": "Family of models."},
             "created_at": "2026-01-28 16:04:39.346", "properties": [
                {"property_id": "context_window", "value": "131072"},
                {"property_id": "price", "value": [{"unit": "per M input tokens", "price": 0.06, "currency": "USD"}]},
                {"property_id": "function_calling", "value": "true"}, {"property_id": "lora", "value": "false"},
                {"property_id": "beta", "value": "true"}, {"property_id": "require_workers_paid", "value": "true"},
                {"property_id": "planned_deprecation_date", "value": "2026-05-30"},
                {"property_id": "context_window", "value": "1"}, {"value": "7"}, 7,
            ]},
            {"name": "bare", "properties": {"context_window": 1}, "created_at": "soon"},
            {"id": "nameless"},
        ]}))
        .expect("a page");
        let ids: Vec<&str> = page.entries.iter().map(|entry| entry.id.as_str()).collect();
        assert_eq!((ids, page.skipped.count), (vec!["@cf/acme/big", "bare"], 1));
        assert_eq!(
            serde_json::to_value(&page.entries[0].attributes).expect("JSON"),
            json!({"created": 1_769_616_279, "description": "It answers.", "context_window": 131_072,
                   "capabilities": ["Text Generation", "function_calling"], "lifecycle": "beta",
                   "pricing": {"price": [{"unit": "per M input tokens", "price": 0.06, "currency": "USD"}]},
                   "retires_at": "2026-05-30T00:00:00.000Z"})
        );
        assert_eq!(page.entries[1].attributes, Attributes::default());
    }

    #[rstest]
    #[case::none(json!(null), None)]
    #[case::pages(json!({"page": 1, "per_page": 100, "total_pages": 2}), Some("2"))]
    #[case::last(json!({"page": 2, "per_page": 100, "total_pages": 2}), None)]
    #[case::count(json!({"page": 1, "per_page": 1, "count": 1, "total_count": 2}), Some("2"))]
    #[case::whole(json!({"page": 1, "per_page": 100, "count": 1, "total_count": 1}), None)]
    #[case::full(json!({"page": 1, "per_page": 1}), Some("2"))]
    #[case::full_by_count(json!({"page": 1, "per_page": 1, "count": 1}), Some("2"))]
    #[case::short(json!({"page": 1, "per_page": 100, "count": 1}), None)]
    #[case::nowhere(json!({"total_count": 1}), None)]
    fn follows_the_pages(#[case] info: Value, #[case] next: Option<&str>) {
        let page =
            parsed(&json!({"result": [{"name": "a"}], "result_info": info})).expect("a page");
        let next = next.map(|page| vec![("page".to_owned(), page.to_owned())]);
        assert_eq!(page.next.map(|page| page.parameters), next);
    }

    #[rstest]
    #[case(json!({"result": [{"name": "a"}], "result_info": {"total_count": 2}}), "cut short")]
    #[case(json!({"success": false, "errors": [{"code": 10000, "message": "Authentication error"}], "result": null}), "Authentication error")]
    #[case(json!({"success": false, "result": []}), "200 with an error")]
    #[case(json!({"data": []}), "`result`")]
    #[case(json!([]), "array")]
    fn not_lists(#[case] body: Value, #[case] expected: &str) {
        let message = parsed(&body).expect_err("no list").message;
        assert!(message.contains(expected), "{message}");
    }
}
