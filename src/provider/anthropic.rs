//! Anthropic's list.
//!
//! Sources: the API reference (`api/models/list`), the official Python SDK 2.12.0, recorded
//! answers. A page has 20 models by default and 1000 at most; the cursor is a model id.

use serde_json::Value;

use super::{
    ListApi, details, fields,
    page::{AS_IT_IS, EntryReader, Page, PageReader},
    paging::Paging,
    progress::{NoPage, Progress},
    value::tokens,
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

const PAGES: PageReader = PageReader {
    list: "data",
    takes_array: false,
    may_lack_list: |_| false,
    entries: EntryReader {
        ids: &["id"],
        other_ids: &[],
        served_id: AS_IT_IS,
        attributes,
    },
    paging: Paging {
        after: "after_id",
        // As in the official SDK.
        last_id_says_more: true,
        count_is_of_page: false,
    },
};

fn parse(body: &[u8], progress: &Progress) -> Result<Page, NoPage> {
    PAGES.read(body, progress)
}

/// Reads an entry, which may have OpenAI's fields from a gateway. An unknown release date is the
/// epoch: 0, as everywhere here.
fn attributes(entry: &Value) -> Attributes {
    let common = fields::attributes(entry);
    Attributes {
        context_window: tokens(entry, &["/max_input_tokens"]).or(common.context_window),
        max_output_tokens: tokens(entry, &["/max_tokens"]).or(common.max_output_tokens),
        ..common
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
            page.next.map(|next| next.parameters),
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
