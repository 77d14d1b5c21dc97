//! Files that describe the models of many providers: models.dev's `api.json` and LiteLLM's
//! `model_prices_and_context_window.json`. Each is read as one page of models with whole ids.
//!
//! Sources: models.dev's schema (`packages/core/src/schema.ts`) and LiteLLM's own file.

use serde_json::{Map, Value};

use super::{
    ListApi, details,
    envelope::{Body, Envelope},
    page::{MAX_DEPTH, Page, is_deeper},
    progress::{NoPage, Progress},
    value::{text, tokens},
};
use crate::model::{
    attributes::Attributes,
    listing::{Entry, is_usable_id},
    source::Kind,
};

pub(super) const API: ListApi = ListApi {
    kind: Kind::Enrichment,
    base_has_version: false,
    path: "",
    first_page: &[],
    key_header: "authorization",
    key_prefix: "Bearer ",
    headers: &[],
    parse,
    detail_requests: details::NONE,
    also: None,
};

/// Their names for providers that have another name here.
const NAMES: [(&str, &str); 18] = [
    ("amazon-bedrock", "bedrock"),
    ("bedrock_converse", "bedrock"),
    ("cloudflare-workers-ai", "cloudflare"),
    ("dashscope", "alibaba"),
    ("featherless_ai", "featherless"),
    ("friendliai", "friendli"),
    ("moonshotai", "moonshot"),
    ("novita-ai", "novita"),
    ("vercel_ai_gateway", "vercel"),
    ("togetherai", "together"),
    ("together_ai", "together"),
    ("fireworks-ai", "fireworks"),
    ("fireworks_ai", "fireworks"),
    ("gemini", "google"),
    ("cohere_chat", "cohere"),
    ("nvidia_nim", "nvidia"),
    ("text-completion-openai", "openai"),
    ("x-ai", "xai"),
];

const UNKNOWN_FORMAT: &str =
    "the file is in neither models.dev's nor LiteLLM's format: check the url of [enrichment]";

fn parse(body: &[u8], _: &Progress) -> Result<Page, NoPage> {
    let mut page = Page::default();
    let unknown = |_| NoPage::from(UNKNOWN_FORMAT.to_owned());
    let body = Body::of(body);
    let fields = body.envelope().and_then(Envelope::object);
    for (name, raw) in fields.map_err(unknown)?.iter() {
        let value: Value = serde_json::from_str(raw.get()).unwrap_or_default();
        if let Some(models) = value["models"].as_object() {
            for (id, model) in models {
                push(&mut page, name, id, model, read_models_dev(model));
            }
        } else if let Some(provider) = value["litellm_provider"].as_str() {
            // Some ids start with the provider.
            let id = name
                .strip_prefix(provider)
                .and_then(|id| id.strip_prefix('/'))
                .unwrap_or(name);
            push(&mut page, provider, id, &value, read_litellm(&value));
        } else {
            page.skipped
                .push(name, "has neither `models` nor `litellm_provider`");
        }
    }
    if page.entries.is_empty() {
        return Err(UNKNOWN_FORMAT.to_owned().into());
    }
    Ok(page)
}

/// Adds a model, unless it has no attributes or no usable id.
fn push(page: &mut Page, provider: &str, id: &str, model: &Value, attributes: Attributes) {
    // A provider's name has no colon: what is before the first one is the provider again.
    let is_usable = is_usable_id(id) && !provider.contains(':') && !is_deeper(model, MAX_DEPTH);
    if attributes == Attributes::default() || !is_usable {
        page.skipped.push(id, "has no known fields or no usable id");
        return;
    }
    let known = NAMES.iter().find(|(name, _)| *name == provider);
    let provider = known.map_or(provider, |(_, name)| name);
    page.entries.push(Entry {
        id: format!("{provider}:{id}"),
        attributes,
        raw: String::new(),
        hidden_by: None,
    });
}

fn read_models_dev(model: &Value) -> Attributes {
    Attributes {
        context_window: tokens(model, &["/limit/context"]),
        max_output_tokens: tokens(model, &["/limit/output"]),
        // Dollars per million tokens.
        pricing: model["cost"].as_object().cloned().unwrap_or_default(),
        knowledge_cutoff: text(model, &["/knowledge"]),
        ..Attributes::default()
    }
}

fn read_litellm(model: &Value) -> Attributes {
    // Dollars per token, second, image, …
    let prices = model.as_object().into_iter().flatten();
    let pricing: Map<String, Value> = prices
        .filter(|(name, value)| name.contains("cost_per_") && value.is_number())
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    Attributes {
        context_window: tokens(model, &["/max_input_tokens"]),
        max_output_tokens: tokens(model, &["/max_output_tokens"]),
        pricing,
        ..Attributes::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(body: &[u8]) -> Result<Page, NoPage> {
        super::parse(body, &Progress::default())
    }

    fn read(body: &Value) -> Vec<(String, Value)> {
        parse(body.to_string().as_bytes())
            .expect("a page")
            .entries
            .into_iter()
            .map(|entry| (entry.id, entry.attributes.fields().into()))
            .collect()
    }

    #[test]
    fn reads_the_form_of_models_dev() {
        let body = json!({
            "openai": {"id": "openai", "name": "OpenAI", "models": {
                "gpt-x": {"id": "gpt-x", "name": "GPT X", "knowledge": "2026-01", "reasoning": true,
                          "limit": {"context": 400_000, "output": 128_000}, "cost": {"input": 1.25, "output": 10}},
                "empty": {"id": "empty"},
            }},
            "togetherai": {"models": {"org/m": {"limit": {"context": 8192, "output": 0}}}},
        });
        assert_eq!(
            read(&body),
            [
                (
                    "openai:gpt-x".to_owned(),
                    json!({"created": 0, "context_window": 400_000, "max_output_tokens": 128_000,
                    "pricing": {"input": 1.25, "output": 10}, "knowledge_cutoff": "2026-01"})
                ),
                (
                    "together:org/m".to_owned(),
                    json!({"created": 0, "context_window": 8192})
                ),
            ]
        );
    }

    #[test]
    fn reads_the_form_of_litellm() {
        let body = json!({
            "sample_spec": {"max_tokens": "set to max output tokens", "litellm_provider": "one of …", "input_cost_per_token": "free"},
            "gemini/gemini-x": {"litellm_provider": "gemini", "max_input_tokens": 1_000_000, "max_output_tokens": 65_536,
                                "input_cost_per_token": 1e-6, "mode": "chat"},
            "gpt-x": {"litellm_provider": "openai", "max_input_tokens": "400000"},
        });
        assert_eq!(
            read(&body),
            [
                (
                    "google:gemini-x".to_owned(),
                    json!({"created": 0, "context_window": 1_000_000, "max_output_tokens": 65_536, "pricing": {"input_cost_per_token": 1e-6}})
                ),
                (
                    "openai:gpt-x".to_owned(),
                    json!({"created": 0, "context_window": 400_000})
                ),
            ]
        );
    }

    #[test]
    fn what_is_neither_is_an_error() {
        for body in ["{}", r#"{"object":"list","data":[]}"#, "[]", "<html>", ""] {
            let message = parse(body.as_bytes()).expect_err(body).message;
            assert!(!message.contains('\n'), "{message}");
        }
    }
}
