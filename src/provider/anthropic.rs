//! Anthropic's list.
//!
//! Sources: the API reference (`api/models/list`), the official Python SDK 2.12.0, recorded
//! answers. A page is 20 models unless more is asked, 1000 at most; the cursor is a model id.

use serde_json::Value;

use super::{
    ListApi, details,
    page::{Envelope, Page},
    value::{text, time, tokens, unix_seconds, words},
};
use crate::model::{attributes::Attributes, source::Kind};

pub(super) const API: ListApi = ListApi {
    kind: Kind::Anthropic,
    base_has_version: false,
    path: "v1/models",
    first_page: &[("limit", "1000")],
    key_header: "x-api-key",
    key_prefix: "",
    headers: &[("anthropic-version", "2023-06-01")],
    parse,
    detail_requests: details::NONE,
    also: None,
};

fn parse(body: &[u8]) -> Result<Page, String> {
    let fields = Envelope::read(body)?.object()?;
    let mut page = Page::of(&fields.required_list("data")?, read);
    let last = fields.cursor("last_id")?;
    // As the official SDK: a list that does not say whether there is more is followed as long as it
    // names a last id and holds anything.
    let unsaid = || last.is_some() && !page.is_empty();
    if fields.flag("has_more")?.unwrap_or_else(unsaid) {
        // `last_id` has been seen null with `has_more` true: the last entry's id is the same
        // thing. With neither the cursor is empty, which is refused as a repeated one.
        let last = last.or_else(|| Some(page.entries.last()?.id.clone()));
        page.next = Some(vec![("after_id".to_owned(), last.unwrap_or_default())]);
    }
    Ok(page)
}

fn read(entry: &Value) -> Option<(&str, Attributes)> {
    let attributes = Attributes {
        // An unknown release date is the epoch: 0, as everywhere here.
        created: unix_seconds(&entry["created_at"]).unwrap_or(0),
        display_name: text(entry, &["/display_name"]),
        context_window: tokens(entry, &["/max_input_tokens"]),
        max_output_tokens: tokens(entry, &["/max_tokens"]),
        capabilities: words(entry, &["/capabilities"]),
        lifecycle: text(entry, &["/lifecycle"]),
        deprecated_at: time(&entry["deprecated_at"]),
        retires_at: time(&entry["retires_at"]),
        ..Attributes::default()
    };
    Some((entry["id"].as_str()?, attributes))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_old_and_new_entries() {
        let page = parse(
            json!({"has_more": false, "data": [
                {"id": "claude-new", "display_name": "New", "created_at": "2026-02-04T00:00:00Z",
                 "max_input_tokens": 1_000_000, "max_tokens": 128_000, "capabilities": {},
                 "lifecycle": "deprecated", "deprecated_at": "2026-10-01T00:00:00Z", "retires_at": "2027-04-01T01:00:00+01:00"},
                {"id": "claude-old", "display_name": "Old", "created_at": "1970-01-01T00:00:00Z", "max_tokens": null,
                 "lifecycle": "active", "deprecated_at": null, "retires_at": "soon"},
            ]})
            .to_string()
            .as_bytes(),
        )
        .expect("a page");
        let attributes: Vec<Value> = page
            .entries
            .iter()
            .map(|entry| serde_json::to_value(&entry.attributes).expect("JSON"))
            .collect();
        assert_eq!(
            attributes,
            [
                json!({"created": 1_770_163_200, "display_name": "New", "context_window": 1_000_000, "max_output_tokens": 128_000,
                       "lifecycle": "deprecated", "deprecated_at": "2026-10-01T00:00:00.000Z", "retires_at": "2027-04-01T00:00:00.000Z"}),
                json!({"created": 0, "display_name": "Old", "lifecycle": "active"}),
            ]
        );
    }

    #[rstest]
    #[case(json!({"data": [{"id": "a"}], "has_more": true, "last_id": "a"}), Some("a"))]
    #[case(json!({"data": [{"id": "a"}], "has_more": true, "last_id": null}), Some("a"))]
    #[case(json!({"data": [], "has_more": true}), Some(""))]
    #[case(json!({"data": [{"id": "a"}], "has_more": false, "last_id": "a"}), None)]
    #[case(json!({"data": [{"id": "a"}]}), None)]
    // As the official SDK: what does not say that it is all has more where it names a last id.
    #[case(json!({"data": [{"id": "a"}], "last_id": "a"}), Some("a"))]
    #[case(json!({"data": [], "last_id": "a"}), None)]
    #[case(json!({"data": [{"id": "a"}], "has_more": "true", "last_id": "a"}), Some("a"))]
    #[case(json!({"data": [{"id": "a"}], "has_more": 1, "last_id": "a"}), Some("a"))]
    #[case(json!({"data": [{"id": "a"}], "has_more": 0, "last_id": "a"}), None)]
    fn cursors(#[case] body: Value, #[case] cursor: Option<&str>) {
        let page = parse(body.to_string().as_bytes()).expect("a page");
        assert_eq!(
            page.next,
            cursor.map(|id| vec![("after_id".to_owned(), id.to_owned())])
        );
    }

    #[rstest]
    #[case(json!({"data": [{"id": "a"}], "has_more": "perhaps"}))]
    #[case(json!({"data": [{"id": "a"}], "has_more": true, "last_id": {}}))]
    fn what_may_be_cut_short_is_no_list(#[case] body: Value) {
        parse(body.to_string().as_bytes()).expect_err("cannot tell whether that is all");
    }
}
