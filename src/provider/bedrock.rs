//! Amazon Bedrock's two lists for one region: foundation models, then the inference profiles that
//! Bedrock defines. Many models can only be called by the id of a profile.
//!
//! Sources: the API reference (ListFoundationModels, ListInferenceProfiles,
//! FoundationModelLifecycle) and its note that a Bedrock API key is a bearer token. The first list
//! has no pages; a page of the second has at most 1000 profiles. Its `type` parameter is `typeEquals`
//! in the SDKs. Profiles that a user made are not requested: they stand for models listed here.

use serde_json::Value;

use super::{
    ListApi, details, openai,
    page::{AS_IT_IS, EntryReader, Page, PageReader},
    paging,
    progress::{NoPage, Progress},
    time::{created, time},
    value::{text, words},
};
use crate::model::{attributes::Attributes, source::Kind};

pub(super) const API: ListApi = ListApi {
    kind: Kind::Bedrock,
    base_has_version: false,
    path: "foundation-models",
    parse: parse_models,
    detail_requests: details::NONE,
    also: Some(&PROFILES),
    ..openai::API
};

const PROFILES: ListApi = ListApi {
    kind: Kind::Bedrock,
    base_has_version: false,
    path: "inference-profiles",
    first_page: &[("maxResults", "1000"), ("type", "SYSTEM_DEFINED")],
    parse: parse_profiles,
    detail_requests: details::NONE,
    ..openai::API
};

const MODEL_PAGES: PageReader = reader("modelSummaries", &["modelId"], model_attributes);
const PROFILE_PAGES: PageReader = reader(
    "inferenceProfileSummaries",
    &["inferenceProfileId"],
    profile_attributes,
);

const fn reader(
    list: &'static str,
    ids: &'static [&'static str],
    attributes: fn(&Value) -> Attributes,
) -> PageReader {
    PageReader {
        list,
        takes_array: false,
        may_lack_list: |_| false,
        entries: EntryReader {
            ids,
            other_ids: &[],
            served_id: AS_IT_IS,
            attributes,
        },
        paging: paging::AFTER,
    }
}

fn parse_models(body: &[u8], progress: &Progress) -> Result<Page, NoPage> {
    MODEL_PAGES.read(body, progress)
}

fn parse_profiles(body: &[u8], progress: &Progress) -> Result<Page, NoPage> {
    PROFILE_PAGES.read(body, progress)
}

fn model_attributes(entry: &Value) -> Attributes {
    let lifecycle = &entry["modelLifecycle"];
    let mut capabilities = constants(
        entry,
        &["/customizationsSupported", "/inferenceTypesSupported"],
    );
    if entry["responseStreamingSupported"] == true {
        capabilities.push("response_streaming".to_owned());
    }
    Attributes {
        // "Launch time when the model first becomes available".
        created: created([&lifecycle["startOfLifeTime"]]),
        display_name: text(entry, &["/modelName"]),
        input_modalities: constants(entry, &["/inputModalities"]),
        output_modalities: constants(entry, &["/outputModalities"]),
        capabilities,
        lifecycle: text(lifecycle, &["/status"]).map(|status| status.to_lowercase()),
        deprecated_at: time(&lifecycle["legacyTime"]),
        retires_at: time(&lifecycle["endOfLifeTime"]),
        ..Attributes::default()
    }
}

/// Reads a profile. Its `status` is whether it can be used, not the lifecycle of its models.
fn profile_attributes(entry: &Value) -> Attributes {
    Attributes {
        created: created([&entry["createdAt"]]),
        display_name: text(entry, &["/inferenceProfileName"]),
        description: text(entry, &["/description"]),
        ..Attributes::default()
    }
}

/// Returns the words at `pointers` in lowercase, as other services write them; Bedrock writes them
/// as constants (`TEXT`, `ON_DEMAND`).
fn constants(entry: &Value, pointers: &[&str]) -> Vec<String> {
    let words = words(entry, pointers);
    words.iter().map(|word| word.to_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[test]
    fn models_have_their_lifecycle() {
        let body = json!({"modelSummaries": [
            {"modelId": "acme.big-v1:0", "modelArn": "arn:aws:bedrock:us-east-1::foundation-model/acme.big-v1:0",
             "modelName": "Big", "providerName": "Acme", "inputModalities": ["TEXT", "IMAGE"],
             "outputModalities": ["TEXT"], "responseStreamingSupported": true, "customizationsSupported": ["FINE_TUNING"],
             "inferenceTypesSupported": ["ON_DEMAND", "INFERENCE_PROFILE"],
             "modelLifecycle": {"status": "LEGACY", "startOfLifeTime": "2026-02-04T00:00:00Z",
                                "legacyTime": "2026-10-01T00:00:00.000Z", "endOfLifeTime": 1_806_537_600}},
            {"modelId": "bare", "modelLifecycle": null, "inputModalities": "TEXT", "responseStreamingSupported": false},
            {"modelArn": "nameless"}, {"modelId": 7}, null,
        ]});
        let page = parse_models(body.to_string().as_bytes(), &Progress::default()).expect("a page");
        assert_eq!(
            (page.entries.len(), page.skipped.count, &page.next),
            (2, 3, &None)
        );
        assert_eq!(
            serde_json::to_value(&page.entries[0].attributes).expect("JSON"),
            json!({"created": 1_770_163_200, "display_name": "Big", "input_modalities": ["image", "text"],
                   "output_modalities": ["text"], "lifecycle": "legacy",
                   "capabilities": ["fine_tuning", "inference_profile", "on_demand", "response_streaming"],
                   "deprecated_at": "2026-10-01T00:00:00.000Z", "retires_at": "2027-04-01T00:00:00.000Z"})
        );
        assert_eq!(page.entries[1].attributes, Attributes::default());
    }

    #[test]
    fn profiles_page_by_token() {
        let body = json!({"nextToken": "t+/=", "inferenceProfileSummaries": [
            {"inferenceProfileId": "us.acme.big-v1:0", "inferenceProfileName": "US Big", "description": "Routes.",
             "createdAt": "1970-01-01T00:00:09Z", "status": "ACTIVE", "type": "SYSTEM_DEFINED", "models": [{"modelArn": "x"}]},
        ]});
        let page =
            parse_profiles(body.to_string().as_bytes(), &Progress::default()).expect("a page");
        assert_eq!(page.entries[0].id, "us.acme.big-v1:0");
        assert_eq!(
            serde_json::to_value(&page.entries[0].attributes).expect("JSON"),
            json!({"created": 9, "display_name": "US Big", "description": "Routes."})
        );
        let next = vec![("nextToken".to_owned(), "t+/=".to_owned())];
        assert_eq!(page.next.map(|page| page.parameters), Some(next));
    }

    #[rstest]
    #[case(json!({}))]
    #[case(json!([]))]
    #[case(json!({"Message": "no"}))]
    #[case(json!({"modelSummaries": {}, "inferenceProfileSummaries": {}}))]
    #[case(json!({"inferenceProfileSummaries": [], "nextToken": {}}))]
    fn not_lists(#[case] body: Value) {
        let body = body.to_string();
        parse_models(body.as_bytes(), &Progress::default()).expect_err("no list");
        parse_profiles(body.as_bytes(), &Progress::default()).expect_err("no list");
    }
}
