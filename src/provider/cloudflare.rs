//! Cloudflare Workers AI's list of an account.
//!
//! Sources: the API reference (Model Search), the official TypeScript SDK 4.2.0 (its page is
//! `result_info` with `page` and `per_page`), the model files of Cloudflare's own documentation (what
//! an entry holds). An entry's `id` is a number of Cloudflare's own; calls take its `name`. How many
//! models a page may have is not documented; 50 to 500 are asked for in public code.

use std::collections::BTreeMap;

use chrono::NaiveDateTime;
use serde_json::{Map, Value};

use super::{
    ListApi, details, openai,
    page::{Envelope, Fields, Page, cut_short},
    value::{integer, positive, sorted, text, time, unix_seconds},
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

/// The properties of a model that say what it can do, where they are true. Others say what it costs
/// or wants (`require_workers_paid`).
const ABILITIES: [&str; 5] = [
    "async_queue",
    "function_calling",
    "lora",
    "reasoning",
    "vision",
];

fn parse(body: &[u8]) -> Result<Page, String> {
    let fields = Envelope::read(body)?.object()?;
    if fields.flag("success")? == Some(false) {
        let errors = fields.value("errors");
        let words = text(&errors, &["/0/message"]).unwrap_or_default();
        return Err(format!("the answer says that it failed: {words}"));
    }
    let mut page = Page::of(&fields.required_list("result")?, read);
    page.next = next_page(&fields, &page)?.map(|page| vec![("page".to_owned(), page.to_string())]);
    Ok(page)
}

/// The number of the next page by `result_info`. A wrong guess is no danger: an empty page is the last
/// one, and a list that gives the same page again is refused for its repeated cursor.
fn next_page(fields: &Fields, page: &Page) -> Result<Option<i64>, String> {
    let info = fields.value("result_info");
    let unreadable = || cut_short("result_info");
    if info.is_null() || page.is_empty() {
        return Ok(None);
    }
    let number = |name: &str| match &info[name] {
        Value::Null => Ok(None),
        value => integer(value).map(Some).ok_or_else(unreadable),
    };
    let (per_page, count) = (number("per_page")?, number("count")?);
    let current = number("page")?;
    let has_more = match (current, number("total_pages")?, number("total_count")?) {
        (Some(current), Some(pages), _) => current < pages,
        (Some(current), None, Some(total)) => {
            per_page.is_some_and(|size| current.saturating_mul(size) < total)
        }
        (Some(_), None, None) => per_page.is_some() && per_page == count,
        // It does not say which page this is.
        (None, pages, total) => {
            let listed = i64::try_from(page.entries.len() + page.skipped).unwrap_or(i64::MAX);
            if pages.is_some_and(|pages| pages > 1) || total.is_some_and(|total| total > listed) {
                return Err(unreadable());
            }
            false
        }
    };
    Ok(current
        .filter(|_| has_more)
        .map(|page| page.saturating_add(1)))
}

fn read(entry: &Value) -> Option<(&str, Attributes)> {
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
    // As it is given: a list of prices with their units and currencies.
    let price = properties.get("price").filter(|price| price.is_array());
    let attributes = Attributes {
        created: created(&entry["created_at"]),
        description: text(entry, &["/description"]),
        context_window: properties
            .get("context_window")
            .and_then(|size| tokens(size)),
        capabilities: sorted(capabilities),
        pricing: price
            .map(|price| Map::from_iter([("price".to_owned(), (*price).clone())]))
            .unwrap_or_default(),
        lifecycle: is_true("beta").then(|| "beta".to_owned()),
        retires_at: properties
            .get("planned_deprecation_date")
            .and_then(|date| time(date)),
        ..Attributes::default()
    };
    Some((entry["name"].as_str()?, attributes))
}

/// `properties`, a list of names and values, by name; the first of a name stands.
fn properties(entry: &Value) -> BTreeMap<&str, &Value> {
    let list = entry["properties"].as_array().into_iter().flatten();
    list.rev()
        .filter_map(|property| Some((property["property_id"].as_str()?, property.get("value")?)))
        .collect()
}

/// Every value is a text, numbers too.
fn tokens(value: &Value) -> Option<i64> {
    let number = |text: &str| text.parse().ok().filter(|tokens| *tokens > 0);
    positive(value).or_else(|| value.as_str().and_then(number))
}

/// `2026-01-28 16:04:39.346`, which has no zone: taken as UTC.
fn created(value: &Value) -> i64 {
    let without_zone = |text: &str| {
        let time = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").ok()?;
        Some(time.and_utc().timestamp())
    };
    value
        .as_str()
        .and_then(without_zone)
        .or_else(|| unix_seconds(value))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn parsed(body: &Value) -> Result<Page, String> {
        parse(body.to_string().as_bytes())
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
        assert_eq!((ids, page.skipped), (vec!["@cf/acme/big", "bare"], 1));
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
    #[case::full(json!({"page": 1, "per_page": 1, "count": 1}), Some("2"))]
    #[case::short(json!({"page": 1, "per_page": 100, "count": 1}), None)]
    #[case::nowhere(json!({"total_count": 1}), None)]
    fn follows_the_pages(#[case] info: Value, #[case] next: Option<&str>) {
        let page =
            parsed(&json!({"result": [{"name": "a"}], "result_info": info})).expect("a page");
        let next = next.map(|page| vec![("page".to_owned(), page.to_owned())]);
        assert_eq!(page.next, next);
        let empty = parsed(&json!({"result": [], "result_info": info})).expect("a page");
        assert_eq!(empty.next, None);
    }

    #[rstest]
    #[case(json!({"result": [{"name": "a"}], "result_info": {"page": "one"}}), "cut short")]
    #[case(json!({"result": [{"name": "a"}], "result_info": {"total_pages": 2}}), "cut short")]
    #[case(json!({"result": [{"name": "a"}], "result_info": {"total_count": 2}}), "cut short")]
    #[case(json!({"success": false, "errors": [{"code": 10000, "message": "Authentication error"}], "result": null}), "Authentication error")]
    #[case(json!({"success": false, "result": []}), "failed")]
    #[case(json!({"data": []}), "`result`")]
    #[case(json!([]), "array")]
    fn not_lists(#[case] body: Value, #[case] expected: &str) {
        let message = parsed(&body).expect_err("no list");
        assert!(message.contains(expected), "{message}");
    }
}
