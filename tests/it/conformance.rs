//! What holds of every kind of source and every preset, each against a mock in its own shape: the
//! settings that switch it on, key, path, paging, what a list may hold, and what is read of an entry.

use std::{collections::BTreeMap, fmt::Write, sync::Arc};

use chrono::TimeDelta;
use model_catalog::{Environment, Flags, PresetStatus, Settings};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

use crate::helpers::{Setup, TestApp};

/// A kind or preset, and what its service does.
#[derive(Clone, Copy)]
struct Subject {
    name: &'static str,
    /// The two variables of a provider; none of an endpoint, which the file names.
    variables: Option<(&'static str, &'static str)>,
    /// What else has to be set.
    further_variables: &'static [(&'static str, &'static str)],
    /// What the base URL has beyond the host.
    base_path: &'static str,
    list_path: &'static str,
    first_query: &'static [(&'static str, &'static str)],
    /// The parameter that asks for the second page of two, and its value there.
    cursor: Option<&'static str>,
    cursor_value: &'static str,
    /// How many further lists it has, which `beside` answers.
    further_lists: usize,
    key_header: &'static str,
    key_prefix: &'static str,
    entry: fn(&str) -> Value,
    /// What is served of an entry beside its names.
    served: fn() -> Value,
    /// A page of entries; not the last one where the flag is set.
    page: fn(Vec<Value>, bool) -> Value,
    refusal: (u16, fn() -> Value),
    /// Answers to requests beside the list's.
    beside: fn(&Request) -> Option<Value>,
}

const COMPATIBLE: Subject = Subject {
    name: "",
    variables: None,
    further_variables: &[],
    base_path: "",
    list_path: "/v1/models",
    first_query: &[],
    cursor: None,
    cursor_value: "the+next/==",
    further_lists: 0,
    key_header: "authorization",
    key_prefix: "Bearer ",
    entry: |id| json!({"id": id, "object": "model", "created": 1_700_000_000, "owned_by": "x"}),
    served: || json!({"created": 1_700_000_000}),
    page: |entries, _| json!({"object": "list", "data": entries}),
    refusal: (
        401,
        || json!({"error": {"message": "Incorrect", "type": "invalid_request_error", "code": "invalid_api_key"}}),
    ),
    beside: |_| None,
};

/// A service whose entries have OpenAI's four fields, as far as is known.
const fn four_fields(
    name: &'static str,
    variables: (&'static str, &'static str),
    base_path: &'static str,
    list_path: &'static str,
) -> Subject {
    Subject {
        name,
        variables: Some(variables),
        base_path,
        list_path,
        ..COMPATIBLE
    }
}

/// Ollama, here and in the cloud.
fn ollama() -> Subject {
    Subject {
        list_path: "/api/tags",
        entry: |id| {
            json!({"name": id, "model": id, "modified_at": "1970-01-01T01:00:07.5+01:00", "size": 5_000_000_000_u64,
                   "digest": format!("digest of {id}"), "details": {"families": null}})
        },
        served: || json!({"created": 7, "context_window": 40_960, "capabilities": ["completion", "tools"]}),
        page: |entries, _| json!({"models": entries}),
        refusal: (401, || json!({"error": "unauthorized"})),
        beside: |request| {
            (request.url.path() == "/api/show").then(|| {
                json!({"license": "…", "details": {}, "capabilities": ["tools", "completion"],
                       "model_info": {"general.architecture": "qwen3", "qwen3.context_length": 40_960, "qwen3.block_count": 5}})
            })
        },
        ..COMPATIBLE
    }
}

fn subjects() -> Vec<Subject> {
    vec![
        Subject {
            name: "openai",
            variables: Some(("OPENAI_API_KEY", "OPENAI_BASE_URL")),
            base_path: "/v1",
            entry: |id| json!({"id": id, "object": "model", "created": 7, "owned_by": "system", "shutdown_date": "2027-01-02"}),
            served: || json!({"created": 7, "retires_at": "2027-01-02T00:00:00.000Z"}),
            ..COMPATIBLE
        },
        Subject {
            name: "google",
            variables: Some(("GEMINI_API_KEY", "GOOGLE_GEMINI_BASE_URL")),
            list_path: "/v1beta/models",
            first_query: &[("pageSize", "1000")],
            cursor: Some("pageToken"),
            key_header: "x-goog-api-key",
            key_prefix: "",
            entry: |id| {
                json!({"name": format!("models/{id}"), "version": "1", "displayName": "G", "description": "It answers.",
                       "inputTokenLimit": 100, "outputTokenLimit": 10, "thinking": true, "temperature": 1,
                       "supportedGenerationMethods": ["generateContent", "countTokens"]})
            },
            served: || {
                json!({"created": 0, "display_name": "G", "description": "It answers.", "context_window": 100,
                       "max_output_tokens": 10, "capabilities": ["thinking"],
                       "supported_methods": ["countTokens", "generateContent"]})
            },
            page: |entries, more| match more {
                true => json!({"models": entries, "nextPageToken": "the+next/=="}),
                false => json!({"models": entries}),
            },
            refusal: (400, || {
                json!({"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT",
                       "details": [{"reason": "API_KEY_INVALID"}]}})
            }),
            ..COMPATIBLE
        },
        Subject {
            name: "anthropic",
            variables: Some(("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL")),
            first_query: &[("limit", "1000")],
            cursor: Some("after_id"),
            key_header: "x-api-key",
            key_prefix: "",
            entry: |id| {
                json!({"type": "model", "id": id, "display_name": "C", "created_at": "1970-01-01T00:00:09Z",
                "max_input_tokens": 100, "max_tokens": 10, "line": "opus",
                "lifecycle": "deprecated", "deprecated_at": "2026-10-01T00:00:00Z", "retires_at": null,
                "capabilities": {
                    "pdf_input": {"supported": true}, "batch": {"supported": true}, "citations": {"supported": false},
                    "thinking": {"supported": true, "types": {"adaptive": {"supported": true}, "enabled": {"supported": false}}},
                }})
            },
            served: || {
                json!({"created": 9, "display_name": "C", "context_window": 100, "max_output_tokens": 10,
                       "lifecycle": "deprecated", "deprecated_at": "2026-10-01T00:00:00.000Z",
                       "capabilities": ["batch", "pdf_input", "thinking", "thinking.types.adaptive"]})
            },
            page: |entries, more| json!({"data": entries, "has_more": more, "first_id": "x", "last_id": "the+next/=="}),
            refusal: (
                401,
                || json!({"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}}),
            ),
            ..COMPATIBLE
        },
        Subject {
            name: "azure",
            variables: Some(("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT")),
            list_path: "/openai/v1/models",
            key_header: "api-key",
            key_prefix: "",
            entry: |id| {
                json!({"id": id, "object": "model", "created_at": 7, "status": "succeeded", "lifecycle_status": "preview",
                       "deprecation": {"inference": 1_771_372_800}, "capabilities": {"inference": true, "fine_tune": false}})
            },
            served: || {
                json!({"created": 7, "lifecycle": "preview", "retires_at": "2026-02-18T00:00:00.000Z",
                       "capabilities": ["inference"]})
            },
            refusal: (
                401,
                || json!({"error": {"code": "401", "message": "Access denied"}}),
            ),
            ..COMPATIBLE
        },
        Subject {
            name: "cerebras",
            variables: Some(("CEREBRAS_API_KEY", "CEREBRAS_BASE_URL")),
            entry: |id| json!({"id": id, "object": "model", "created": 0, "owned_by": "Cerebras"}),
            served: || json!({"created": 0}),
            ..COMPATIBLE
        },
        Subject {
            name: "cohere",
            variables: Some(("CO_API_KEY", "CO_API_URL")),
            first_query: &[("page_size", "1000")],
            cursor: Some("page_token"),
            entry: |id| {
                json!({"name": id, "endpoints": ["generate", "chat"], "features": ["tools"], "context_length": 256_000.0,
                       "is_deprecated": true, "finetuned": false, "default_endpoints": []})
            },
            served: || {
                json!({"created": 0, "context_window": 256_000, "capabilities": ["tools"], "lifecycle": "deprecated",
                       "supported_methods": ["chat", "generate"]})
            },
            page: |entries, more| match more {
                true => json!({"models": entries, "next_page_token": "the+next/=="}),
                false => json!({"models": entries}),
            },
            refusal: (401, || json!({"id": "x", "message": "invalid api token"})),
            ..COMPATIBLE
        },
        Subject {
            name: "deepseek",
            variables: Some(("DEEPSEEK_API_KEY", "DEEPSEEK_BASE_URL")),
            list_path: "/models",
            entry: |id| json!({"id": id, "object": "model", "owned_by": "deepseek"}),
            served: || json!({"created": 0}),
            ..COMPATIBLE
        },
        Subject {
            name: "fireworks",
            variables: Some(("FIREWORKS_API_KEY", "FIREWORKS_BASE_URL")),
            base_path: "/inference/v1",
            list_path: "/inference/v1/models",
            entry: |id| {
                json!({"id": id, "object": "model", "created": 7, "owned_by": "fireworks", "kind": "HF_BASE_MODEL",
                       "supports_chat": true, "supports_image_input": false, "supports_tools": true, "context_length": 100})
            },
            served: || json!({"created": 7, "context_window": 100, "capabilities": ["chat", "tools"]}),
            ..COMPATIBLE
        },
        Subject {
            name: "groq",
            variables: Some(("GROQ_API_KEY", "GROQ_BASE_URL")),
            list_path: "/openai/v1/models",
            entry: |id| {
                json!({"id": id, "object": "model", "created": 7, "owned_by": "x", "active": true,
                       "context_window": 100, "max_completion_tokens": 10, "public_apps": null})
            },
            served: || json!({"created": 7, "context_window": 100, "max_output_tokens": 10}),
            ..COMPATIBLE
        },
        Subject {
            name: "huggingface",
            variables: Some(("HF_TOKEN", "HUGGINGFACE_BASE_URL")),
            base_path: "/v1",
            entry: |id| {
                json!({"id": id, "object": "model", "created": 7, "owned_by": "org",
                "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["text"]},
                "providers": [
                    {"provider": "a", "context_length": 100, "pricing": {"input": 1}, "supports_tools": true},
                    {"provider": "b", "context_length": 100, "pricing": {"input": 2}, "supports_tools": true},
                ]})
            },
            served: || {
                json!({"created": 7, "context_window": 100, "capabilities": ["tools"],
                       "input_modalities": ["image", "text"], "output_modalities": ["text"]})
            },
            refusal: (401, || json!({"error": "Invalid username or password."})),
            ..COMPATIBLE
        },
        Subject {
            name: "mistral",
            variables: Some(("MISTRAL_API_KEY", "MISTRAL_BASE_URL")),
            base_path: "/v1",
            entry: |id| {
                json!({"id": id, "object": "model", "created": 7, "owned_by": "mistralai", "name": "M", "description": "It answers.",
                       "max_context_length": 100, "aliases": ["m"], "deprecation": "2026-02-28T12:00:00Z", "type": "base",
                       "capabilities": {"vision": true, "completion_chat": true, "ocr": false}})
            },
            served: || {
                json!({"created": 7, "display_name": "M", "description": "It answers.", "context_window": 100,
                       "retires_at": "2026-02-28T12:00:00.000Z", "capabilities": ["completion_chat", "vision"]})
            },
            refusal: (401, || json!({"detail": "Invalid API Key"})),
            ..COMPATIBLE
        },
        Subject {
            name: "nvidia",
            variables: Some(("NVIDIA_API_KEY", "NVIDIA_BASE_URL")),
            base_path: "/v1",
            entry: |id| json!({"id": id, "object": "model", "created": 735_790_403, "owned_by": "nvidia"}),
            served: || json!({"created": 0}),
            ..COMPATIBLE
        },
        Subject {
            name: "openrouter",
            variables: Some(("OPENROUTER_API_KEY", "OPENROUTER_BASE_URL")),
            base_path: "/api/v1",
            list_path: "/api/v1/models",
            first_query: &[("output_modalities", "all")],
            cursor: Some("offset"),
            entry: |id| {
                json!({"id": id, "canonical_slug": id, "name": "O", "created": 7, "description": "It answers.", "context_length": null,
                       "architecture": {"input_modalities": ["text", "file"], "output_modalities": ["text"], "tokenizer": "x"},
                       "pricing": {"prompt": "0.1", "completion": "-1"}, "supported_parameters": ["tools", "seed"],
                       "top_provider": {"context_length": 100, "max_completion_tokens": 10, "is_moderated": true},
                       "knowledge_cutoff": "2025-09-01", "expiration_date": "2026-04-22"})
            },
            served: || {
                json!({"created": 7, "display_name": "O", "description": "It answers.", "context_window": 100, "max_output_tokens": 10,
                       "input_modalities": ["file", "text"], "output_modalities": ["text"], "capabilities": ["seed", "tools"],
                       "pricing": {"prompt": "0.1", "completion": "-1"}, "knowledge_cutoff": "2025-09-01",
                       "retires_at": "2026-04-22T00:00:00.000Z"})
            },
            page: |entries, more| {
                let next = more.then_some("https://other.invalid/api/v1/models?output_modalities=all&offset=the%2Bnext%2F%3D%3D");
                json!({"data": entries, "total_count": 9, "links": {"next": next}})
            },
            refusal: (
                401,
                || json!({"error": {"code": 401, "message": "Missing Authentication header"}}),
            ),
            ..COMPATIBLE
        },
        Subject {
            name: "perplexity",
            variables: Some(("PERPLEXITY_API_KEY", "PERPLEXITY_BASE_URL")),
            base_path: "/v1",
            entry: |id| {
                json!({"id": id, "object": "model", "created": 0, "owned_by": "x",
                       "pricing": {"input": 10, "output": 50, "unit": "usd_per_1m_tokens"}})
            },
            served: || json!({"created": 0, "pricing": {"input": 10, "output": 50, "unit": "usd_per_1m_tokens"}}),
            refusal: (
                401,
                || json!({"error": {"message": "Invalid API key", "type": "invalid_api_key", "code": 401}}),
            ),
            ..COMPATIBLE
        },
        Subject {
            name: "together",
            variables: Some(("TOGETHER_API_KEY", "TOGETHER_BASE_URL")),
            base_path: "/v1",
            entry: |id| {
                json!({"id": id, "object": "model", "created": 0, "type": "chat", "display_name": "T", "organization": "x",
                       "context_length": 100, "pricing": {"hourly": 0, "input": 0.2}})
            },
            served: || {
                json!({"created": 0, "display_name": "T", "context_window": 100, "capabilities": ["chat"],
                       "pricing": {"hourly": 0, "input": 0.2}})
            },
            page: |entries, _| json!(entries),
            ..COMPATIBLE
        },
        Subject {
            name: "xai",
            variables: Some(("XAI_API_KEY", "XAI_BASE_URL")),
            base_path: "/v1",
            entry: |id| {
                json!({"id": id, "created": 7, "object": "model", "owned_by": "xai", "aliases": ["g"], "context_length": 100,
                       "input_modalities": ["text", "image"], "output_modalities": ["text"], "prompt_text_token_price": 20_000})
            },
            served: || {
                json!({"created": 7, "context_window": 100, "input_modalities": ["image", "text"], "output_modalities": ["text"],
                       "pricing": {"prompt_text_token_price": 20_000}})
            },
            refusal: (
                400,
                || json!({"code": "invalid-argument", "error": "Incorrect API key provided: x."}),
            ),
            ..COMPATIBLE
        },
        four_fields(
            "alibaba",
            ("DASHSCOPE_API_KEY", "ALIBABA_BASE_URL"),
            "/compatible-mode/v1",
            "/compatible-mode/v1/models",
        ),
        Subject {
            entry: |id| {
                json!({"id": id, "object": "model", "created": 7, "owned_by": "x", "name": "B", "context_length": 100,
                       "max_completion_tokens": 10, "input_modalities": ["text"], "output_modalities": ["text"],
                       "pricing": {"prompt": "0.1", "completion": "0.2", "input_cache_read": "0.01"},
                       "supported_features": ["tools"], "supported_sampling_parameters": ["temperature"]})
            },
            served: || {
                json!({"created": 7, "display_name": "B", "context_window": 100, "max_output_tokens": 10,
                       "capabilities": ["tools"], "input_modalities": ["text"], "output_modalities": ["text"],
                       "pricing": {"prompt": "0.1", "completion": "0.2", "input_cache_read": "0.01"}})
            },
            ..four_fields(
                "baseten",
                ("BASETEN_API_KEY", "BASETEN_BASE_URL"),
                "/v1",
                "/v1/models",
            )
        },
        Subject {
            name: "bedrock",
            variables: Some(("AWS_BEARER_TOKEN_BEDROCK", "AWS_ENDPOINT_URL_BEDROCK")),
            list_path: "/foundation-models",
            further_lists: 1,
            entry: |id| {
                json!({"modelId": id, "modelArn": format!("arn:aws:bedrock:us-east-1::foundation-model/{id}"), "modelName": "B",
                       "providerName": "Acme", "inputModalities": ["TEXT", "IMAGE"], "outputModalities": ["TEXT"],
                       "responseStreamingSupported": true, "customizationsSupported": [], "inferenceTypesSupported": ["ON_DEMAND"],
                       "modelLifecycle": {"status": "LEGACY", "startOfLifeTime": "1970-01-01T00:00:07Z",
                                          "legacyTime": "2026-10-01T00:00:00Z", "endOfLifeTime": "2027-04-01T00:00:00Z"}})
            },
            served: || {
                json!({"created": 7, "display_name": "B", "input_modalities": ["image", "text"], "output_modalities": ["text"],
                       "capabilities": ["on_demand", "response_streaming"], "lifecycle": "legacy",
                       "deprecated_at": "2026-10-01T00:00:00.000Z", "retires_at": "2027-04-01T00:00:00.000Z"})
            },
            page: |entries, _| json!({"modelSummaries": entries}),
            refusal: (
                403,
                || json!({"Message": "Authentication failed: Please make sure your API Key is valid."}),
            ),
            beside: |request| {
                (request.url.path() == "/inference-profiles")
                    .then(|| json!({"inferenceProfileSummaries": []}))
            },
            ..COMPATIBLE
        },
        Subject {
            entry: |id| {
                json!({"id": id, "object": "model", "created": 7, "owned_by": "x", "root": id, "parent": null,
                       "context_length": 100, "max_model_len": 200, "max_output_length": 10, "quantization": "fp8",
                       "confidential_compute": true, "input_modalities": ["text"], "output_modalities": ["text"],
                       "supported_features": ["tools"], "pricing": {"prompt": 0.1, "completion": 0.2, "input_cache_read": 0.05}})
            },
            served: || {
                json!({"created": 7, "context_window": 100, "max_output_tokens": 10, "capabilities": ["tools"],
                       "input_modalities": ["text"], "output_modalities": ["text"],
                       "pricing": {"prompt": 0.1, "completion": 0.2, "input_cache_read": 0.05}})
            },
            ..four_fields(
                "chutes",
                ("CHUTES_API_KEY", "CHUTES_BASE_URL"),
                "/v1",
                "/v1/models",
            )
        },
        Subject {
            name: "cloudflare",
            variables: Some(("CLOUDFLARE_API_TOKEN", "CLOUDFLARE_BASE_URL")),
            further_variables: &[("CLOUDFLARE_ACCOUNT_ID", "0a1b")],
            base_path: "/client/v4",
            list_path: "/client/v4/accounts/0a1b/ai/models/search",
            first_query: &[("per_page", "100")],
            cursor: Some("page"),
            cursor_value: "2",
            entry: |id| {
                json!({"id": "86b3e51a-4b05-43fa-a403-0f27821919d2", "source": 1, "name": id, "description": "It answers.",
                       "task": {"id": "c329", "name": "Text Generation", "description": "Models."}, "tags": [],
                       "created_at": "1970-01-01 00:00:07.346",
                       "properties": [{"property_id": "context_window", "value": "100"},
                                      {"property_id": "price", "value": [{"unit": "per M input tokens", "price": 0.1, "currency": "USD"}]},
                                      {"property_id": "function_calling", "value": "true"},
                                      {"property_id": "planned_deprecation_date", "value": "2026-05-30"}]})
            },
            served: || {
                json!({"created": 7, "description": "It answers.", "context_window": 100,
                       "capabilities": ["Text Generation", "function_calling"],
                       "pricing": {"price": [{"unit": "per M input tokens", "price": 0.1, "currency": "USD"}]},
                       "retires_at": "2026-05-30T00:00:00.000Z"})
            },
            page: |entries, more| {
                json!({"success": true, "errors": [], "messages": [], "result": entries,
                       "result_info": {"page": if more { 1 } else { 2 }, "per_page": 100, "total_pages": 2}})
            },
            refusal: (
                401,
                || json!({"success": false, "errors": [{"code": 10000, "message": "Authentication error"}], "messages": [], "result": null}),
            ),
            ..COMPATIBLE
        },
        Subject {
            entry: |id| {
                json!({"id": id, "object": "model", "created": 7, "owned_by": "deepinfra", "root": id, "parent": null,
                       "metadata": {"description": "It answers.", "context_length": 100, "max_tokens": 10, "tags": ["chat", "reasoning"],
                                    "pricing": {"input_tokens": 0.1, "output_tokens": 0.2, "cache_read_tokens": 0.05}}})
            },
            served: || {
                json!({"created": 7, "description": "It answers.", "context_window": 100, "max_output_tokens": 10,
                       "capabilities": ["chat", "reasoning"],
                       "pricing": {"input_tokens": 0.1, "output_tokens": 0.2, "cache_read_tokens": 0.05}})
            },
            ..four_fields(
                "deepinfra",
                ("DEEPINFRA_API_KEY", "DEEPINFRA_BASE_URL"),
                "/v1/openai",
                "/v1/openai/models",
            )
        },
        Subject {
            entry: |id| json!({"id": id, "object": "model", "created": 7, "owned_by": "x", "features": {"tool_use": true}}),
            served: || json!({"created": 7, "capabilities": ["tool_use"]}),
            ..four_fields(
                "featherless",
                ("FEATHERLESS_API_KEY", "FEATHERLESS_BASE_URL"),
                "/v1",
                "/v1/models",
            )
        },
        Subject {
            entry: |id| {
                json!({"id": id, "name": "F", "context_length": 100, "max_completion_tokens": 10,
                       "functionality": {"tool_call": true, "parallel_tool_call": false, "structured_output": true},
                       "pricing": {"input": 0.1, "output": 0.2, "response_time": 0, "unit_type": "TOKEN"},
                       "hugging_face_url": "https://huggingface.co/x", "license": "mit", "policy": null})
            },
            served: || {
                json!({"created": 0, "display_name": "F", "context_window": 100, "max_output_tokens": 10,
                       "capabilities": ["structured_output", "tool_call"],
                       "pricing": {"input": 0.1, "output": 0.2, "response_time": 0, "unit_type": "TOKEN"}})
            },
            ..four_fields(
                "friendli",
                ("FRIENDLI_TOKEN", "FRIENDLI_BASE_URL"),
                "/serverless/v1",
                "/serverless/v1/models",
            )
        },
        four_fields(
            "hyperbolic",
            ("HYPERBOLIC_API_KEY", "HYPERBOLIC_BASE_URL"),
            "/v1",
            "/v1/models",
        ),
        four_fields(
            "inception",
            ("INCEPTION_API_KEY", "INCEPTION_BASE_URL"),
            "/v1",
            "/v1/models",
        ),
        Subject {
            entry: |id| {
                json!({"id": id, "object": "model", "created": 7, "owned_by": "io", "name": "I", "context_window": 100, "max_tokens": 10,
                       "supports_images_input": true, "input_token_price": 1e-7, "output_token_price": 2e-7,
                       "cache_read_token_price": 1e-8, "cache_write_token_price": 1e-8})
            },
            served: || {
                json!({"created": 7, "display_name": "I", "context_window": 100, "max_output_tokens": 10, "capabilities": ["images_input"],
                       "pricing": {"input_token_price": 1e-7, "output_token_price": 2e-7,
                                   "cache_read_token_price": 1e-8, "cache_write_token_price": 1e-8}})
            },
            ..four_fields(
                "io-net",
                ("IOINTELLIGENCE_API_KEY", "IO_NET_BASE_URL"),
                "/api/v1",
                "/api/v1/models",
            )
        },
        Subject {
            entry: |id| {
                json!({"id": id, "name": "L", "created": 7, "description": "It answers.", "family": "x", "context_length": 100,
                       "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["text"], "tokenizer": "x"},
                       "pricing": {"prompt": "0.1", "completion": "0.2"}, "supported_parameters": ["tools"]})
            },
            served: || {
                json!({"created": 7, "display_name": "L", "description": "It answers.", "context_window": 100, "capabilities": ["tools"],
                       "input_modalities": ["image", "text"], "output_modalities": ["text"],
                       "pricing": {"prompt": "0.1", "completion": "0.2"}})
            },
            ..four_fields(
                "llmgateway",
                ("LLMGATEWAY_API_KEY", "LLMGATEWAY_BASE_URL"),
                "/v1",
                "/v1/models",
            )
        },
        Subject {
            refusal: (
                401,
                || json!({"type": "error", "error": {"type": "authentication_error", "message": "login fail (1004)", "http_code": "401"}}),
            ),
            ..four_fields(
                "minimax",
                ("MINIMAX_API_KEY", "MINIMAX_BASE_URL"),
                "/v1",
                "/v1/models",
            )
        },
        Subject {
            entry: |id| {
                json!({"id": id, "object": "model", "created": 7, "owned_by": "moonshot", "context_length": 100,
                       "supports_image_in": true, "supports_video_in": false, "supports_reasoning": true})
            },
            served: || json!({"created": 7, "context_window": 100, "capabilities": ["image_in", "reasoning"]}),
            refusal: (
                401,
                || json!({"error": {"message": "Incorrect API key provided", "type": "incorrect_api_key_error"}}),
            ),
            ..four_fields(
                "moonshot",
                ("MOONSHOT_API_KEY", "MOONSHOT_BASE_URL"),
                "/v1",
                "/v1/models",
            )
        },
        Subject {
            first_query: &[("verbose", "true")],
            entry: |id| {
                json!({"id": id, "object": "model", "created": 7, "owned_by": "system", "name": "N", "context_length": 100,
                       "architecture": {"modality": "text->text"}, "supported_features": ["tools"],
                       "pricing": {"prompt": "0.1", "completion": "0.2"}})
            },
            served: || {
                json!({"created": 7, "display_name": "N", "context_window": 100, "capabilities": ["tools"],
                       "input_modalities": ["text"], "output_modalities": ["text"],
                       "pricing": {"prompt": "0.1", "completion": "0.2"}})
            },
            refusal: (401, || json!({"detail": "Unauthorized"})),
            ..four_fields(
                "nebius",
                ("NEBIUS_API_KEY", "NEBIUS_BASE_URL"),
                "/v1",
                "/v1/models",
            )
        },
        Subject {
            entry: |id| {
                json!({"id": id, "object": "model", "created": 7, "owned_by": "x", "display_name": "N", "title": "n",
                       "description": "It answers.", "context_size": 100, "max_output_tokens": 10,
                       "input_token_price_per_m": 1, "output_token_price_per_m": 2, "model_type": "chat", "status": 1,
                       "features": ["function-calling"], "endpoints": ["chat/completions", "anthropic"],
                       "input_modalities": ["text"], "output_modalities": ["text"]})
            },
            served: || {
                json!({"created": 7, "display_name": "N", "description": "It answers.", "capabilities": ["function-calling"],
                       "context_window": 100, "max_output_tokens": 10,
                       "pricing": {"input_token_price_per_m": 1, "output_token_price_per_m": 2},
                       "supported_methods": ["anthropic", "chat/completions"],
                       "input_modalities": ["text"], "output_modalities": ["text"]})
            },
            ..four_fields(
                "novita",
                ("NOVITA_API_KEY", "NOVITA_BASE_URL"),
                "/openai/v1",
                "/openai/v1/models",
            )
        },
        Subject {
            name: "ollama-cloud",
            variables: Some(("OLLAMA_API_KEY", "OLLAMA_CLOUD_BASE_URL")),
            ..ollama()
        },
        Subject {
            refusal: (
                401,
                || json!({"type": "error", "error": {"type": "AuthError", "message": "Invalid API key."}}),
            ),
            ..four_fields(
                "opencode",
                ("OPENCODE_API_KEY", "OPENCODE_BASE_URL"),
                "/zen/v1",
                "/zen/v1/models",
            )
        },
        four_fields(
            "ovhcloud",
            ("OVHCLOUD_API_KEY", "OVHCLOUD_BASE_URL"),
            "/v1",
            "/v1/models",
        ),
        four_fields(
            "parasail",
            ("PARASAIL_API_KEY", "PARASAIL_BASE_URL"),
            "/v1",
            "/v1/models",
        ),
        Subject {
            entry: |id| {
                json!({"id": id, "object": "model", "created": 7, "owned_by": "x",
                       "architecture": {"input_modalities": ["text"], "output_modalities": ["text"]},
                       "pricing": {"prompt": "0.1", "completion": "0.2"}, "reasoning": {"budget": null}})
            },
            served: || {
                json!({"created": 7, "input_modalities": ["text"], "output_modalities": ["text"],
                       "pricing": {"prompt": "0.1", "completion": "0.2"}})
            },
            ..four_fields("poe", ("POE_API_KEY", "POE_BASE_URL"), "/v1", "/v1/models")
        },
        Subject {
            entry: |id| {
                json!({"id": id, "object": "model", "created": 7, "owned_by": "x", "description": "It answers.",
                       "context_window": 100, "max_output_tokens": 10, "input_price": 1e-7, "output_price": 2e-7,
                       "caching_price": 0, "cached_price": 0, "supports_caching": true, "supports_vision": false,
                       "supports_reasoning": true})
            },
            served: || {
                json!({"created": 7, "description": "It answers.", "context_window": 100, "max_output_tokens": 10,
                       "capabilities": ["caching", "reasoning"],
                       "pricing": {"input_price": 1e-7, "output_price": 2e-7, "caching_price": 0, "cached_price": 0}})
            },
            ..four_fields(
                "requesty",
                ("REQUESTY_API_KEY", "REQUESTY_BASE_URL"),
                "/v1",
                "/v1/models",
            )
        },
        Subject {
            entry: |id| {
                json!({"id": id, "object": "model", "owned_by": "x", "context_length": 100, "max_completion_tokens": 10,
                       "pricing": {"prompt": 1e-7, "completion": 2e-7, "duration_per_hour": 0.0}, "sn_metadata": {}})
            },
            served: || {
                json!({"created": 0, "context_window": 100, "max_output_tokens": 10,
                       "pricing": {"prompt": 1e-7, "completion": 2e-7, "duration_per_hour": 0.0}})
            },
            ..four_fields(
                "sambanova",
                ("SAMBANOVA_API_KEY", "SAMBANOVA_BASE_URL"),
                "/v1",
                "/v1/models",
            )
        },
        four_fields(
            "scaleway",
            ("SCW_SECRET_KEY", "SCALEWAY_BASE_URL"),
            "/v1",
            "/v1/models",
        ),
        Subject {
            refusal: (
                401,
                || json!({"code": 30014, "data": null, "message": "Invalid token"}),
            ),
            ..four_fields(
                "siliconflow",
                ("SILICONFLOW_API_KEY", "SILICONFLOW_BASE_URL"),
                "/v1",
                "/v1/models",
            )
        },
        four_fields(
            "upstage",
            ("UPSTAGE_API_KEY", "UPSTAGE_BASE_URL"),
            "/v1",
            "/v1/models",
        ),
        Subject {
            first_query: &[("type", "all")],
            entry: |id| {
                json!({"id": id, "object": "model", "created": 7, "owned_by": "venice.ai", "type": "text", "context_length": 100,
                       "model_spec": {"name": "V", "description": "It answers.", "availableContextTokens": 100, "maxCompletionTokens": 10,
                                      "capabilities": {"supportsVision": true, "supportsFunctionCalling": false},
                                      "pricing": {"input": {"usd": 0.1}, "output": {"usd": 0.2}}, "privacy": "private",
                                      "traits": [], "beta": false, "offline": false}})
            },
            served: || {
                json!({"created": 7, "display_name": "V", "description": "It answers.", "context_window": 100, "max_output_tokens": 10,
                       "capabilities": ["vision"], "pricing": {"input": {"usd": 0.1}, "output": {"usd": 0.2}}})
            },
            ..four_fields(
                "venice",
                ("VENICE_API_KEY", "VENICE_BASE_URL"),
                "/api/v1",
                "/api/v1/models",
            )
        },
        Subject {
            entry: |id| {
                json!({"id": id, "object": "model", "created": 7, "released": 6, "owned_by": "x", "name": "V", "description": "It answers.",
                       "context_window": 100, "max_tokens": 10, "type": "language", "tags": ["tool-use", "vision"],
                       "pricing": {"input": "0.1", "output": "0.2", "input_cache_read": "0.05"}})
            },
            served: || {
                json!({"created": 7, "display_name": "V", "description": "It answers.", "context_window": 100, "max_output_tokens": 10,
                       "capabilities": ["language", "tool-use", "vision"],
                       "pricing": {"input": "0.1", "output": "0.2", "input_cache_read": "0.05"}})
            },
            ..four_fields(
                "vercel",
                ("AI_GATEWAY_API_KEY", "VERCEL_BASE_URL"),
                "/v1",
                "/v1/models",
            )
        },
        four_fields(
            "wandb",
            ("WANDB_API_KEY", "WANDB_INFERENCE_BASE_URL"),
            "/v1",
            "/v1/models",
        ),
        Subject {
            refusal: (
                401,
                || json!({"error": {"code": "1001", "message": "Authentication failed"}}),
            ),
            ..four_fields(
                "zai",
                ("ZAI_API_KEY", "ZAI_BASE_URL"),
                "/api/paas/v4",
                "/api/paas/v4/models",
            )
        },
        Subject {
            name: "an-ollama",
            ..ollama()
        },
        Subject {
            name: "a-vllm",
            entry: |id| json!({"id": id, "object": "model", "created": 7, "owned_by": "vllm", "root": "/x", "parent": null, "max_model_len": 100}),
            served: || json!({"created": 7, "context_window": 100}),
            refusal: (401, || json!({"error": "Unauthorized"})),
            ..COMPATIBLE
        },
        Subject {
            name: "an-sglang",
            entry: |id| json!({"id": id, "object": "model", "created": 7, "owned_by": "sglang", "root": "x", "parent": null, "max_model_len": 100}),
            served: || json!({"created": 7, "context_window": 100}),
            ..COMPATIBLE
        },
        Subject {
            name: "an-lm-studio",
            entry: |id| json!({"id": id, "object": "model", "owned_by": "organization_owner"}),
            served: || json!({"created": 0, "context_window": 32_768, "capabilities": ["tool_use", "vlm"]}),
            beside: |request| {
                let own = |id: &String| {
                    json!({"id": id, "object": "model", "type": "vlm", "state": "not-loaded", "publisher": "x",
                                      "max_context_length": 32_768, "capabilities": ["tool_use"]})
                };
                let models: Vec<Value> = ids("an-lm-studio").iter().map(own).collect();
                (request.url.path() == "/api/v0/models")
                    .then(|| json!({"object": "list", "data": models}))
            },
            ..COMPATIBLE
        },
        Subject {
            name: "a-llama-cpp",
            entry: |id| {
                json!({"id": id, "object": "model", "created": 7, "owned_by": "llamacpp", "aliases": [], "tags": [],
                       "meta": {"n_ctx_train": 200, "n_ctx": 100, "vocab_type": true},
                       "architecture": {"input_modalities": ["text"], "output_modalities": ["text"]},
                       "status": {"value": "loaded"}})
            },
            served: || {
                json!({"created": 7, "context_window": 100, "max_context_window": 200,
                              "input_modalities": ["text"], "output_modalities": ["text"]})
            },
            page: |entries, _| json!({"models": [{"name": "the same again"}], "object": "list", "data": entries}),
            refusal: (
                401,
                || json!({"error": {"code": 401, "message": "Invalid API Key", "type": "authentication_error"}}),
            ),
            ..COMPATIBLE
        },
        Subject {
            name: "a-localai",
            entry: |id| json!({"id": id, "object": "model"}),
            served: || json!({"created": 0}),
            ..COMPATIBLE
        },
    ]
}

/// The ids of the models of the service `name`: with what real ids hold, and different from those of
/// other local servers.
fn ids(name: &str) -> [String; 2] {
    [format!("org/{name}:a-1"), format!("{name}-b@x")]
}

impl Subject {
    fn key(&self) -> String {
        format!("key+of/{}=", self.name)
    }

    fn whole_id(&self, id: &str) -> String {
        match self.variables {
            Some(_) => format!("{}:{id}", self.name),
            None => id.to_owned(),
        }
    }

    fn is_list(&self, request: &Request) -> bool {
        request.method == "GET" && request.url.path() == self.list_path
    }

    /// The second page if `request` asks for it, otherwise the first. Together they have each model
    /// once, one of them twice, and something that is none.
    fn full_list(&self, request: &Request) -> Value {
        let [first, second] = ids(self.name).map(|id| (self.entry)(&id));
        let mut entries = vec![first.clone(), json!({"object": "model", "size": 7}), first];
        match self.cursor {
            None => {
                entries.push(second);
                (self.page)(entries, false)
            }
            Some(cursor) => match query(request).iter().find(|(name, _)| name == cursor) {
                Some((_, value)) if value == self.cursor_value => (self.page)(vec![second], false),
                _ => (self.page)(entries, true),
            },
        }
    }

    async fn mount(
        self,
        answer: impl Fn(&Request) -> (u16, Value) + Send + Sync + 'static,
    ) -> MockServer {
        let server = MockServer::start().await;
        let answer = move |request: &Request| {
            let (status, body) = match (self.is_list(request), (self.beside)(request)) {
                (true, _) => answer(request),
                (false, Some(body)) => (200, body),
                (false, None) => (404, json!({})),
            };
            ResponseTemplate::new(status).set_body_json(body)
        };
        Mock::given(any()).respond_with(answer).mount(&server).await;
        server
    }
}

fn query(request: &Request) -> Vec<(String, String)> {
    request.url.query_pairs().into_owned().collect()
}

/// A catalog of all subjects, switched on as an operator would: a provider by its two variables, an
/// endpoint by the file.
struct All {
    setup: Setup,
    servers: Vec<(Subject, MockServer)>,
    app: TestApp,
}

impl All {
    async fn start(
        answer: impl Fn(&Subject, &Request) -> (u16, Value) + Send + Sync + 'static,
    ) -> Self {
        Self::of(subjects(), true, answer).await
    }

    /// A catalog of `subjects`; those without keys have public lists.
    async fn of(
        subjects: Vec<Subject>,
        with_keys: bool,
        answer: impl Fn(&Subject, &Request) -> (u16, Value) + Send + Sync + 'static,
    ) -> Self {
        let answer = Arc::new(answer);
        let mut setup = Setup::new().await;
        setup.providers.clear();
        let mut environment = BTreeMap::from([
            ("MODEL_CATALOG_DISCOVER".to_owned(), "false".to_owned()),
            ("DATABASE_URL".to_owned(), setup.database_url()),
            (
                "MODEL_CATALOG_PUBLIC_LISTS".to_owned(),
                (!with_keys).to_string(),
            ),
        ]);
        let (mut servers, mut toml) = (Vec::new(), String::new());
        for subject in subjects {
            let answer = answer.clone();
            let server = subject
                .mount(move |request| answer(&subject, request))
                .await;
            let base_url = format!("{}{}", server.uri(), subject.base_path);
            match subject.variables {
                Some((key, url)) => {
                    if with_keys {
                        environment.insert(key.to_owned(), subject.key());
                    }
                    environment.insert(url.to_owned(), base_url);
                    for (name, value) in subject.further_variables {
                        environment.insert((*name).to_owned(), (*value).to_owned());
                    }
                }
                None => {
                    let (name, key) = (subject.name, subject.key());
                    writeln!(
                        toml,
                        "[endpoints.{name}]\nbase_url = '{base_url}'\napi_key = '{key}'"
                    )
                    .expect("text");
                }
            }
            servers.push((subject, server));
        }
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), toml).expect("written");
        let flags = Flags {
            config: Some(file.path().display().to_string()),
            ..Flags::default()
        };
        let settings = Settings::read(
            &flags,
            &Environment::new(|name| environment.get(name).cloned()),
        )
        .expect("settings");
        assert_eq!(settings.config.sources.len(), servers.len());
        setup.extra = settings.config.sources;
        let app = setup.start_ready().await;
        Self {
            setup,
            servers,
            app,
        }
    }
}

/// A client of the first days: four fields, all of them there, of the right types.
#[derive(Deserialize)]
struct OldModel {
    id: String,
    object: String,
    created: u32,
    owned_by: String,
}

#[derive(Deserialize)]
struct OldList {
    object: String,
    data: Vec<OldModel>,
}

#[tokio::test]
async fn every_list_is_read_whole_and_true() {
    let all = All::start(|subject, request| (200, subject.full_list(request))).await;
    let served = all.app.models().await;
    let old: OldList = serde_json::from_slice(&served.body).expect("as a strict client reads it");
    assert_eq!(old.object, "list");
    let expected: usize = all.servers.len() * 2;
    assert_eq!(old.data.len(), expected, "two of each: {:?}", served.ids());
    let list = served.json();
    for (subject, server) in &all.servers {
        let name = subject.name;
        for id in ids(name) {
            let id = subject.whole_id(&id);
            let of_old = old
                .data
                .iter()
                .find(|model| model.id == id)
                .unwrap_or_else(|| panic!("{id} is not listed"));
            let owner = if subject.variables.is_some() {
                name
            } else {
                "lb"
            };
            assert_eq!(
                (of_old.object.as_str(), of_old.owned_by.as_str()),
                ("model", owner),
                "{name}"
            );
            let model = list["data"]
                .as_array()
                .expect("data")
                .iter()
                .find(|model| model["id"] == id)
                .expect("listed");
            assert_eq!(
                u64::from(of_old.created),
                model["created"].as_u64().expect("a number")
            );
            assert_says(subject, model);
        }
        let lists: Vec<Request> = requests(server)
            .await
            .into_iter()
            .filter(|request| subject.is_list(request))
            .collect();
        let first: Vec<(&str, &str)> = subject.first_query.to_vec();
        let mut asked = vec![first.clone()];
        if let Some(cursor) = subject.cursor {
            let second = [(cursor, subject.cursor_value)];
            asked.push(first.into_iter().chain(second).collect());
        }
        let queries: Vec<Vec<(String, String)>> = lists.iter().map(query).collect();
        let queries: Vec<Vec<(&str, &str)>> = queries
            .iter()
            .map(|pairs| {
                let mut pairs: Vec<_> = pairs
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str()))
                    .collect();
                pairs.sort_by_key(|(name, _)| Some(*name) == subject.cursor);
                pairs
            })
            .collect();
        assert_eq!(queries, asked, "{name}");
        let skipped = all
            .setup
            .sql(&format!(
                "SELECT skipped, pages FROM fetches WHERE source = '{name}'"
            ))
            .await;
        assert_eq!(
            skipped,
            [[json!(1), json!(asked.len() + subject.further_lists)]],
            "{name}: one malformed entry is one entry"
        );
    }
    for (subject, server) in &all.servers {
        assert_keys(subject, &requests(server).await);
    }
    // The same again is no change, whatever was asked beside the lists.
    let revision = served.header("catalog-revision").map(ToOwned::to_owned);
    all.setup.advance(TimeDelta::seconds(11));
    for (subject, _) in &all.servers {
        assert_eq!(
            all.app.refresh(subject.name).await["outcome"],
            "unchanged",
            "{}",
            subject.name
        );
    }
    assert_eq!(
        all.app.models().await.header("catalog-revision"),
        revision.as_deref()
    );
    all.app.stop().await;
}

async fn requests(server: &MockServer) -> Vec<Request> {
    server.received_requests().await.expect("recording is on")
}

/// `model` is served with what `subject` says of it and nothing else.
fn assert_says(subject: &Subject, model: &Value) {
    let mut fields: Map<String, Value> = model.as_object().expect("an object").clone();
    let mut take = |name: &str| fields.remove(name).unwrap_or_default();
    for name in ["id", "object", "owned_by", "endpoints"] {
        take(name);
    }
    let (said_by, context_length) = (take("metadata_source"), take("context_length"));
    assert_eq!(context_length, model["context_window"], "{}", subject.name);
    assert_eq!(
        Value::Object(fields.clone()),
        (subject.served)(),
        "{}",
        subject.name
    );
    let sources: Map<String, Value> = fields
        .keys()
        .filter(|name| *name != "created")
        .map(|name| (name.clone(), json!(subject.name)))
        .collect();
    assert_eq!(
        said_by.as_object().cloned().unwrap_or_default(),
        sources,
        "{}",
        subject.name
    );
}

/// Each request carries the key in the one header, and it is nowhere else.
fn assert_keys(subject: &Subject, requests: &[Request]) {
    let key = subject.key();
    let encoded =
        percent_encoding::utf8_percent_encode(&key, percent_encoding::NON_ALPHANUMERIC).to_string();
    assert!(!requests.is_empty(), "{}", subject.name);
    for request in requests {
        let expected = format!("{}{key}", subject.key_prefix);
        let name = subject.name;
        assert_eq!(
            request.headers[subject.key_header].to_str().expect("text"),
            expected,
            "{name}"
        );
        let holders = request
            .headers
            .values()
            .filter(|value| value.to_str().is_ok_and(|text| text.contains(&key)));
        assert_eq!(holders.count(), 1, "{name}");
        let url = request.url.as_str();
        assert!(
            !url.contains(&key) && !url.contains(&encoded),
            "{name}: {url}"
        );
        assert!(
            !String::from_utf8_lossy(&request.body).contains(&key),
            "{name}"
        );
    }
}

#[tokio::test]
async fn an_empty_list_is_a_list() {
    let all = All::start(|subject, _| (200, (subject.page)(Vec::new(), false))).await;
    for (subject, _) in &all.servers {
        let source = all.app.source(subject.name).await;
        assert_eq!(
            (&source["state"], &source["models"], &source["error"]),
            (&json!("fresh"), &json!(0), &Value::Null),
            "{}",
            subject.name
        );
    }
    all.app.stop().await;
}

#[tokio::test]
async fn a_refused_key_is_named_so() {
    let all = All::start(|subject, _| (subject.refusal.0, (subject.refusal.1)())).await;
    for (subject, _) in &all.servers {
        let source = all.app.source(subject.name).await;
        assert_eq!(
            source["error"]["kind"], "unauthorized",
            "{}: {source}",
            subject.name
        );
        assert!(
            !source.to_string().contains(&subject.key()),
            "{}",
            subject.name
        );
    }
    all.app.stop().await;
}

/// Also a body that says the same with success, or something else that is no list.
#[tokio::test]
async fn what_is_no_list_is_a_failure() {
    let all = All::start(|_, _| (200, json!({"error": "no"}))).await;
    for (subject, _) in &all.servers {
        let source = all.app.source(subject.name).await;
        assert_eq!(
            source["error"]["kind"], "malformed",
            "{}: {source}",
            subject.name
        );
    }
    all.app.stop().await;
}

/// The presets by name, as the settings have them where nothing is set.
fn presets() -> Vec<PresetStatus> {
    let nothing = Environment::new(|_| None);
    let settings = Settings::read(&Flags::default(), &nothing).expect("settings");
    settings.config.presets
}

#[tokio::test]
async fn a_public_list_is_asked_without_a_key() {
    let public: Vec<&str> = presets()
        .iter()
        .filter(|preset| preset.public_list)
        .map(|preset| preset.name)
        .collect();
    let mut subjects = subjects();
    subjects.retain(|subject| public.contains(&subject.name));
    assert_eq!(subjects.len(), public.len(), "each is tested");
    let all = All::of(subjects, false, |subject, request| {
        (200, subject.full_list(request))
    })
    .await;
    for (subject, server) in &all.servers {
        let source = all.app.source(subject.name).await;
        assert_eq!(source["models"], 2, "{source}");
        for request in requests(server).await {
            let headers = request.headers;
            assert!(!headers.contains_key(subject.key_header), "{headers:?}");
        }
    }
    all.app.stop().await;
}

/// Bedrock's two lists are one listing: all of both, or a failure.
#[tokio::test]
async fn bedrock_lists_its_models_and_then_its_profiles() {
    let subject = |beside| {
        let bedrock = subjects()
            .into_iter()
            .find(|subject| subject.name == "bedrock");
        vec![Subject {
            beside,
            ..bedrock.expect("a subject")
        }]
    };
    let whole = subject(|request| {
        if request.url.path() != "/inference-profiles" {
            return None;
        }
        let query = query(request);
        let has = |name: &str, value: &str| query.contains(&(name.to_owned(), value.to_owned()));
        assert!(
            has("type", "SYSTEM_DEFINED") && has("maxResults", "1000"),
            "{query:?}"
        );
        let profile = |id: &str| {
            json!({"inferenceProfileId": id, "inferenceProfileName": id, "createdAt": "1970-01-01T00:00:09Z",
                                        "status": "ACTIVE", "type": "SYSTEM_DEFINED", "models": [{"modelArn": "arn:x"}]})
        };
        Some(match has("nextToken", "the+next/==") {
            false => {
                json!({"inferenceProfileSummaries": [profile("us.acme.big-v1:0")], "nextToken": "the+next/=="})
            }
            true => json!({"inferenceProfileSummaries": [profile("eu.acme.big-v1:0")]}),
        })
    });
    let all = All::of(whole, true, |subject, request| {
        (200, subject.full_list(request))
    })
    .await;
    let ids = all.app.models().await.ids();
    assert_eq!(
        ids,
        [
            "bedrock:bedrock-b@x",
            "bedrock:eu.acme.big-v1:0",
            "bedrock:org/bedrock:a-1",
            "bedrock:us.acme.big-v1:0"
        ]
    );
    let (_, server) = &all.servers[0];
    assert_keys(&all.servers[0].0, &requests(server).await);
    all.app.stop().await;

    let half = subject(|_| None);
    let all = All::of(half, true, |subject, request| {
        (200, subject.full_list(request))
    })
    .await;
    let source = all.app.source("bedrock").await;
    assert_eq!(
        (&source["models"], &source["state"]),
        (&json!(0), &json!("missing")),
        "{source}"
    );
    all.app.stop().await;
}

/// A preset that is tested has a row in the documentation, see below.
#[test]
fn every_preset_is_tested() {
    let subjects = subjects();
    for preset in presets() {
        let subject = subjects.iter().find(|subject| subject.name == preset.name);
        let (key, url) = subject
            .and_then(|subject| subject.variables)
            .unwrap_or_else(|| panic!("{} has no subject", preset.name));
        assert!(preset.key_variables.contains(&key), "{key}");
        assert_eq!(preset.base_url_variable, url);
    }
}

/// A preset that is documented is tested; that what is set is documented, a test beside it says.
#[test]
fn every_documented_preset_is_tested() {
    let page = include_str!("../../docs/providers.md");
    let (_, page) = page.split_once("## Presets").expect("the section");
    let (table, _) = page.split_once("Of two key variables").expect("its end");
    let rows: Vec<&str> = table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    assert!(!rows.is_empty());
    for row in rows {
        let tested = subjects()
            .iter()
            .any(|subject| row.starts_with(&format!("| `{}` |", subject.name)));
        assert!(tested, "{row}");
    }
}
