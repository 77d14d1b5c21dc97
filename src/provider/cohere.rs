//! Cohere's list.
//!
//! Source: the official Python SDK 7.3.1 (`models.list`). A page has 20 models by default and 1000
//! at most. `name` is the id; there is no creation date.

use serde_json::Value;

use super::{
    ListApi, details, fields, openai,
    page::{AS_IT_IS, EntryReader, Page, PageReader},
    paging,
    progress::{NoPage, Progress},
};
use crate::model::{attributes::Attributes, source::Kind};

pub(super) const API: ListApi = ListApi {
    kind: Kind::Cohere,
    first_page: &[("page_size", "1000")],
    parse,
    detail_requests: details::NONE,
    ..openai::API
};

const PAGES: PageReader = PageReader {
    list: "models",
    takes_array: false,
    may_lack_list: |_| false,
    entries: EntryReader {
        ids: &["name"],
        other_ids: &[],
        served_id: AS_IT_IS,
        attributes,
    },
    paging: paging::AFTER,
};

fn parse(body: &[u8], progress: &Progress) -> Result<Page, NoPage> {
    PAGES.read(body, progress)
}

fn attributes(entry: &Value) -> Attributes {
    Attributes {
        display_name: None,
        ..fields::attributes(entry)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(body: &[u8]) -> Result<Page, NoPage> {
        super::parse(body, &Progress::default())
    }

    #[test]
    fn reads_what_it_said() {
        let body = json!({"next_page_token": "t", "models": [
            {"name": "command-x", "endpoints": ["generate", "chat"], "features": ["tools", "json_mode"],
             "context_length": 256_000.0, "is_deprecated": true, "finetuned": false},
            {"name": "embed-x", "context_length": 0.0, "is_deprecated": false},
            {"id": "nameless"},
        ]});
        let page = parse(body.to_string().as_bytes()).expect("a page");
        assert_eq!((page.entries.len(), page.skipped.count), (2, 1));
        assert_eq!(
            page.next.map(|next| next.parameters),
            Some(vec![("page_token".to_owned(), "t".to_owned())])
        );
        assert_eq!(
            serde_json::to_value(&page.entries[0].attributes).expect("JSON"),
            json!({"created": 0, "context_window": 256_000, "lifecycle": "deprecated",
                   "supported_methods": ["chat", "generate"], "capabilities": ["json_mode", "tools"]})
        );
        assert_eq!(page.entries[1].attributes, Attributes::default());
    }

    #[test]
    fn other_lists_are_not_its_own() {
        parse(br#"{"data": [{"id": "a"}]}"#).expect_err("OpenAI's");
        parse(br#"{"models": [], "next_page_token": {}}"#).expect_err("cut short");
    }
}
