//! Reads the attributes of an entry from any service, by one table of places per meaning
//! ([`places`]). Pure.

use serde_json::{Map, Value};

use self::places::{
    CAPABILITIES, CONTEXT_WINDOW, CREATED, DEPRECATED, DEPRECATED_AT, DESCRIPTION, DISPLAY_NAME,
    ENDING_STATUSES, INPUT_MODALITIES, KNOWLEDGE_CUTOFF, LIFECYCLE, MAX_OUTPUT_TOKENS,
    MAX_TOKENS_IS_A_LIMIT, NVIDIA_CREATED, OUTPUT_MODALITIES, PRICES, RETIRES_AT,
    SUPPORTED_METHODS, TAG_LISTS, TAGS, USE_TYPES,
};
use super::{
    time::{created, time},
    value::{completed, sorted, text, tokens, values, words},
};
use crate::model::attributes::Attributes;

mod places;

/// Reads the attributes of an entry.
pub fn attributes(entry: &Value) -> Attributes {
    let own = Attributes {
        created: Some(created(values(entry, &CREATED)))
            .filter(|created| *created != NVIDIA_CREATED)
            .unwrap_or(0),
        display_name: text(entry, &DISPLAY_NAME),
        description: text(entry, &DESCRIPTION),
        context_window: loaded_context(entry).or_else(|| tokens(entry, &CONTEXT_WINDOW)),
        max_context_window: max_context(entry),
        max_output_tokens: tokens(entry, &MAX_OUTPUT_TOKENS).or_else(|| max_tokens(entry)),
        input_modalities: modalities(entry, &INPUT_MODALITIES, Side::Input),
        output_modalities: modalities(entry, &OUTPUT_MODALITIES, Side::Output),
        capabilities: capabilities(entry),
        supported_methods: words(entry, &SUPPORTED_METHODS),
        pricing: pricing(entry),
        knowledge_cutoff: text(entry, &KNOWLEDGE_CUTOFF),
        lifecycle: lifecycle(entry),
        deprecated_at: values(entry, &DEPRECATED_AT)
            // 1 is a flag, not a date.
            .filter(|value| value.as_i64() != Some(1))
            .find_map(time),
        retires_at: values(entry, &RETIRES_AT).find_map(time),
        ..Attributes::default()
    };
    match shared_fields(&entry["providers"]) {
        None => own,
        Some(shared) => completed(own, &attributes(&shared)),
    }
}

/// Returns the context that LM Studio has loaded a model with: the limit for a call now, like
/// llama.cpp's `meta.n_ctx`. If the model is not loaded, the field may be from the last time.
fn loaded_context(entry: &Value) -> Option<i64> {
    let is_loaded = entry["state"] == "loaded";
    tokens(entry, &["/loaded_context_length"]).filter(|_| is_loaded)
}

/// Returns the maximum beside the context that a server is set to: LM Studio's beside what is loaded,
/// llama.cpp's beside `--ctx-size`.
fn max_context(entry: &Value) -> Option<i64> {
    let (limit, max) = match loaded_context(entry) {
        Some(loaded) => (loaded, "/max_context_length"),
        None => (tokens(entry, &["/meta/n_ctx"])?, "/meta/n_ctx_train"),
    };
    // Some models are set to more than they were trained for.
    tokens(entry, &[max]).filter(|max| *max >= limit)
}

fn max_tokens(entry: &Value) -> Option<i64> {
    let is_limit = values(entry, &MAX_TOKENS_IS_A_LIMIT).any(|value| !value.is_null());
    tokens(entry, &["/max_tokens"]).filter(|_| is_limit)
}

#[derive(Clone, Copy)]
enum Side {
    Input,
    Output,
}

fn modalities(entry: &Value, pointers: &[&str], side: Side) -> Vec<String> {
    let listed: Vec<String> = values(entry, pointers).flat_map(names).collect();
    if !listed.is_empty() {
        return sorted(listed);
    }
    // Nebius' `text+image->text`; Cerebras' has no arrow and covers only the input.
    let both = entry
        .pointer("/architecture/modality")
        .and_then(Value::as_str);
    let (input, output) = both.map_or(("", ""), |both| both.split_once("->").unwrap_or((both, "")));
    let side = match side {
        Side::Input => input,
        Side::Output => output,
    };
    let parts = side
        .split('+')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    sorted(parts.map(ToOwned::to_owned).collect())
}

/// Returns the names in a list of words or objects, the keys of an object, or the parts of a text
/// with commas.
fn names(value: &Value) -> Vec<String> {
    let of_item = |item: &Value| match item {
        Value::String(name) => Some(name.clone()),
        _ => text(item, &["/type", "/modality", "/name"]),
    };
    let names: Vec<String> = match value {
        Value::Array(items) => items.iter().filter_map(of_item).collect(),
        Value::Object(fields) => {
            let present = |value: &Value| !value.is_null() && *value != Value::Bool(false);
            let present = fields.iter().filter(|(_, value)| present(value));
            present.map(|(name, _)| name.clone()).collect()
        }
        Value::String(text) => text.split(',').map(|name| name.trim().to_owned()).collect(),
        _ => Vec::new(),
    };
    names
        .into_iter()
        .filter(|name| !name.trim().is_empty())
        .collect()
}

/// Returns what the model can do, in the service's own words.
fn capabilities(entry: &Value) -> Vec<String> {
    let mut found = words(entry, &CAPABILITIES);
    // AIHubMix: a text with commas.
    let texts = values(entry, &["/features"]).filter(|value| value.is_string());
    found.extend(texts.flat_map(names));
    let uses = entry["type"]
        .as_str()
        .filter(|word| USE_TYPES.contains(word));
    found.extend(uses.map(ToOwned::to_owned));
    let tags = words(entry, &TAG_LISTS).into_iter();
    found.extend(tags.filter(|tag| TAGS.contains(&tag.as_str())));
    // Fireworks, the Hugging Face router, Moonshot, Requesty.
    let flags = entry.as_object().into_iter().flatten();
    found.extend(flags.filter_map(|(name, value)| {
        let name = name.strip_prefix("supports_")?;
        (*value == true && !name.is_empty()).then(|| name.to_owned())
    }));
    // Venice: `supportsFunctionCalling`.
    let of_venice = words(entry, &["/model_spec/capabilities"]).into_iter();
    found.extend(of_venice.map(|name| match name.strip_prefix("supports") {
        Some(name) if !name.is_empty() => snake_case(name),
        _ => name,
    }));
    sorted(found)
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for char in name.chars() {
        if char.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(char.to_lowercase());
    }
    snake
}

fn lifecycle(entry: &Value) -> Option<String> {
    let deprecated = || {
        let mut flags = values(entry, &DEPRECATED);
        flags
            .any(|flag| *flag == true)
            .then(|| "deprecated".to_owned())
    };
    let status = || {
        let status = text(entry, &["/status"])?;
        ENDING_STATUSES
            .contains(&status.to_lowercase().as_str())
            .then_some(status)
    };
    // Groq.
    let inactive = || (entry["active"] == false).then(|| "inactive".to_owned());
    text(entry, &LIFECYCLE)
        .or_else(deprecated)
        .or_else(status)
        .or_else(inactive)
}

/// Returns the prices as sent: the object of prices, and every other price field under its own name:
/// xAI's `…_price` and `…_price_long_context`, Novita's `…_price_per_m`, lists and tiers.
fn pricing(entry: &Value) -> Map<String, Value> {
    let object = values(entry, &PRICES).find_map(Value::as_object);
    let mut pricing = object.cloned().unwrap_or_default();
    let fields = entry.as_object().into_iter().flatten();
    for (name, value) in fields.filter(|(name, value)| is_price(name, value)) {
        pricing.entry(name.clone()).or_insert_with(|| value.clone());
    }
    // xAI: the number of tokens from which the prices for long contexts apply.
    let threshold = &entry["long_context_threshold"];
    if threshold.is_number() && pricing.keys().any(|name| name.ends_with("_long_context")) {
        pricing.insert("long_context_threshold".to_owned(), threshold.clone());
    }
    pricing
}

/// Whether a field of an entry is a price. An object of prices does not count: it only holds them.
fn is_price(name: &str, value: &Value) -> bool {
    let mut parts = name.split('_');
    let is_named = parts.any(|part| ["price", "prices", "pricing", "pricings"].contains(&part));
    let is_flag = name.starts_with("supports_") || value.is_boolean();
    let is_place = ["pricing", "pricings"].contains(&name) && value.is_object();
    let has_value = match value {
        Value::Null => false,
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    };
    is_named && has_value && !is_flag && !is_place
}

/// Returns the fields that all of the Hugging Face router's providers of a model share. A field that
/// differs, or that one provider lacks, is not true of the model.
fn shared_fields(providers: &Value) -> Option<Value> {
    let (first, others) = providers.as_array()?.split_first()?;
    let shared = first.as_object()?.iter().filter(|(name, value)| {
        others
            .iter()
            .all(|other| other.get(name.as_str()) == Some(value))
    });
    // No deeper: a provider has no providers.
    let shared = shared.filter(|(name, _)| *name != "providers");
    Some(Value::Object(
        shared
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    ))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn said(entry: &Value) -> Value {
        Value::Object(attributes(entry).fields())
    }

    /// `value` at `pointer` in an entry.
    fn at(pointer: &str, value: Value) -> Value {
        let names: Vec<&str> = pointer.split('/').skip(1).collect();
        names
            .into_iter()
            .rev()
            .fold(value, |value, name| json!({ name: value }))
    }

    #[test]
    fn every_place_of_a_table_is_read() {
        for place in CONTEXT_WINDOW {
            assert_eq!(
                said(&at(place, json!("77")))["context_window"],
                77,
                "{place}"
            );
        }
        for place in MAX_OUTPUT_TOKENS {
            assert_eq!(
                said(&at(place, json!(77)))["max_output_tokens"],
                77,
                "{place}"
            );
        }
        for place in RETIRES_AT {
            let entry = at(place, json!("2027-03-31"));
            assert_eq!(
                said(&entry)["retires_at"],
                "2027-03-31T00:00:00.000Z",
                "{place}"
            );
        }
        for place in DEPRECATED {
            assert_eq!(
                said(&at(place, json!(true)))["lifecycle"],
                "deprecated",
                "{place}"
            );
        }
        for place in PRICES {
            let entry = at(place, json!({"input": 1}));
            assert_eq!(said(&entry)["pricing"], json!({"input": 1}), "{place}");
        }
        for place in CAPABILITIES {
            let entry = at(place, json!(["tools"]));
            assert_eq!(said(&entry)["capabilities"], json!(["tools"]), "{place}");
        }
    }

    #[rstest]
    #[case::a_default(json!({"max_tokens": 4096}), json!(null))]
    #[case::anthropic(json!({"max_tokens": 4096, "max_input_tokens": 9}), json!(4096))]
    #[case::vercel(json!({"max_tokens": 4096, "released": 1_700_000_000}), json!(4096))]
    #[case::io_net(json!({"max_tokens": 4096, "input_token_price": 0.1}), json!(4096))]
    fn a_bare_max_tokens_counts_where_it_is_a_limit(#[case] entry: Value, #[case] expected: Value) {
        assert_eq!(said(&entry)["max_output_tokens"], expected);
    }

    #[rstest]
    #[case(json!({"input_modalities": {"text": {"formats": ["plain"]}, "image": {}, "audio": null}}), json!(["image", "text"]), json!(null))]
    #[case(json!({"input_modalities": [{"type": "text"}, {"modality": "image"}]}), json!(["image", "text"]), json!(null))]
    #[case(json!({"input_modalities": "text,image", "output_modalities": "text"}), json!(["image", "text"]), json!(["text"]))]
    #[case(json!({"modalities": {"input": ["text"], "output": ["image"]}}), json!(["text"]), json!(["image"]))]
    #[case(json!({"architecture": {"modality": "text+image->text"}}), json!(["image", "text"]), json!(["text"]))]
    #[case(json!({"architecture": {"modality": "text+image"}}), json!(["image", "text"]), json!(null))]
    #[case(json!({"architecture": {"modality": "text->text", "input_modalities": ["file"]}}), json!(["file"]), json!(["text"]))]
    fn modalities_of_any_shape(#[case] entry: Value, #[case] input: Value, #[case] output: Value) {
        let said = said(&entry);
        assert_eq!(
            (&said["input_modalities"], &said["output_modalities"]),
            (&input, &output)
        );
    }

    #[rstest]
    #[case::tags(json!({"tags": ["tool-use", "vision", "my favourite"]}), json!(["tool-use", "vision"]))]
    #[case::text(json!({"features": "thinking, tools"}), json!(["thinking", "tools"]))]
    #[case::sampling(json!({"supported_sampling_parameters": ["temperature"]}), json!(null))]
    #[case::friendli(json!({"functionality": {"tool_call": true, "structured_output": false}}), json!(["tool_call"]))]
    #[case::venice(
        json!({"model_spec": {"capabilities": {"supportsFunctionCalling": true, "supportsVision": false, "optimizedForCode": true}}}),
        json!(["function_calling", "optimizedForCode"])
    )]
    fn capabilities_of_any_shape(#[case] entry: Value, #[case] expected: Value) {
        assert_eq!(said(&entry)["capabilities"], expected);
    }

    #[rstest]
    #[case(json!({"status": "deprecated"}), json!("deprecated"))]
    #[case(json!({"status": "Retired"}), json!("Retired"))]
    #[case(json!({"status": "succeeded"}), json!(null))]
    #[case(json!({"status": 1}), json!(null))]
    #[case(json!({"status": {"value": "loaded"}}), json!(null))]
    #[case(json!({"deprecated": false, "active": true}), json!(null))]
    #[case(json!({"active": false}), json!("inactive"))]
    #[case(json!({"modelLifecycle": {"status": "LEGACY"}}), json!("LEGACY"))]
    #[case(json!({"lifecycle": "beta", "deprecated": true}), json!("beta"))]
    fn the_stage_of_its_life(#[case] entry: Value, #[case] expected: Value) {
        assert_eq!(said(&entry)["lifecycle"], expected);
    }

    #[rstest]
    #[case::xai(
        json!({"a_price": 1, "a_price_long_context": 2, "long_context_threshold": 9, "context_length": 1}),
        json!({"a_price": 1, "a_price_long_context": 2, "long_context_threshold": 9})
    )]
    #[case::a_list_beside(
        json!({"image_price": 6, "pricing": [{"price_per_image": 4}]}),
        json!({"image_price": 6, "pricing": [{"price_per_image": 4}]})
    )]
    #[case::novita(json!({"input_token_price_per_m": 3, "output_token_price_per_m": "4"}), json!({"input_token_price_per_m": 3, "output_token_price_per_m": "4"}))]
    #[case::zenmux(json!({"pricings": {"prompt": [{"value": 1}]}}), json!({"prompt": [{"value": 1}]}))]
    #[case::tiers(json!({"pricing": {"input": 1}, "pricing_tiers": [{"cost": 1}]}), json!({"input": 1, "pricing_tiers": [{"cost": 1}]}))]
    #[case::nothing(json!({"supports_price_lists": true, "pricing": null, "x_price": "", "long_context_threshold": 9}), json!(null))]
    fn prices_in_every_place(#[case] entry: Value, #[case] expected: Value) {
        assert_eq!(said(&entry)["pricing"], expected);
    }

    #[test]
    fn what_a_call_meets_now_is_the_limit() {
        let lm_studio = |state: &str| json!({"max_context_length": 100, "loaded_context_length": 10, "state": state});
        let limits = |entry: &Value| {
            let said = said(entry);
            (
                said["context_window"].clone(),
                said["max_context_window"].clone(),
            )
        };
        assert_eq!(limits(&lm_studio("loaded")), (json!(10), json!(100)));
        assert_eq!(limits(&lm_studio("not-loaded")), (json!(100), Value::Null));
        let llama_cpp = json!({"meta": {"n_ctx_train": 200, "n_ctx": 100}});
        assert_eq!(limits(&llama_cpp), (json!(100), json!(200)));
        let llama_cpp = json!({"meta": {"n_ctx_train": 200}});
        assert_eq!(limits(&llama_cpp), (json!(200), Value::Null));
        let llama_cpp = json!({"meta": {"n_ctx_train": 200, "n_ctx": 300}});
        assert_eq!(limits(&llama_cpp), (json!(300), Value::Null));
    }
}
