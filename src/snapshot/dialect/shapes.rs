//! The shapes of the four lists, for the OpenAPI document (`own` has those below a source's base). The dialects beside this file write their
//! entries by hand, or pass on what a source has sent; a test holds their answers against these.
#![expect(
    dead_code,
    reason = "only their schemas are used: no answer is made from them"
)]

pub mod errors;
pub mod own;

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::{
    ToSchema,
    openapi::schema::{AnyOfBuilder, Object, Schema, Type},
};

use crate::model::{lifecycle::Stage, source::SourceName, time::Timestamp};

/// What an object is, in OpenAI's shape.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum ListObject {
    /// A list.
    List,
}

/// What an object is, in OpenAI's and Anthropic's shape.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum ModelObject {
    /// A model.
    Model,
}

/// A model, with OpenAI's four fields and what its source says of it. What nobody says is left out.
#[derive(ToSchema)]
pub struct Model {
    /// What to call it by: `provider:model_id` for a cloud model, its own id for a local one.
    id: String,
    object: ModelObject,
    /// Unix seconds; 0 when the source reports none.
    created: i64,
    /// The provider of a cloud model; `lb` for a model on your own servers.
    owned_by: String,
    #[serde(flatten)]
    known: Known,
}

/// A model with only the fields that `fields=` asks for, and its id.
#[derive(ToSchema)]
pub struct ModelFields {
    /// What to call it by.
    id: String,
    object: Option<ModelObject>,
    /// Unix seconds; 0 when the source reports none.
    created: Option<i64>,
    /// The provider of a cloud model; `lb` for a model on your own servers.
    owned_by: Option<String>,
    #[serde(flatten)]
    known: Known,
}

/// What a source says of a model.
#[derive(ToSchema)]
pub struct Known {
    /// A name for people.
    display_name: Option<String>,
    /// A description for people.
    description: Option<String>,
    /// Input limit, in tokens.
    context_window: Option<i64>,
    /// The same as `context_window`: clients read either name.
    context_length: Option<i64>,
    /// What `context_window` could be set to, in tokens.
    max_context_window: Option<i64>,
    /// Output limit, in tokens.
    max_output_tokens: Option<i64>,
    /// Accepted input, in the source's own words: `text`, `image`, …
    #[schema(min_items = 1)]
    input_modalities: Option<Vec<String>>,
    /// Produced output, in the source's own words.
    #[schema(min_items = 1)]
    output_modalities: Option<Vec<String>>,
    /// Capabilities, in the source's own words: `vision`, `tools`, `thinking`, …
    #[schema(min_items = 1)]
    capabilities: Option<Vec<String>>,
    /// The methods it can be called with.
    #[schema(min_items = 1)]
    supported_methods: Option<Vec<String>>,
    /// Its prices as the source reports them. Fields, units and number formats differ.
    pricing: Option<BTreeMap<String, Value>>,
    /// The date where its training data ends, as the source writes it.
    knowledge_cutoff: Option<String>,
    /// Its stage of life, in the source's own word: `active`, `deprecated`, `retired`, …
    lifecycle: Option<String>,
    /// When it was or will be deprecated.
    deprecated_at: Option<Timestamp>,
    /// When it will be shut down.
    retires_at: Option<Timestamp>,
    /// Who said each of these fields: the name of a source or of the enrichment.
    metadata_source: Option<BTreeMap<String, String>>,
    /// For an alias: the id of its target.
    alias_of: Option<String>,
    /// The local servers that have the model.
    #[schema(min_items = 1)]
    endpoints: Option<Vec<SourceName>>,
}

/// The list in OpenAI's shape. The last three fields are there when a page was asked for.
#[derive(ToSchema)]
pub struct ModelList {
    object: ListObject,
    data: Vec<Model>,
    /// Whether there are more models after these.
    has_more: Option<bool>,
    /// The id of the first model; null when there is none.
    #[schema(schema_with = nullable_text)]
    first_id: Option<String>,
    /// The id of the last model, to be sent as `after=`; null when there is none.
    #[schema(schema_with = nullable_text)]
    last_id: Option<String>,
}

/// The list in OpenAI's shape with only the fields that `fields=` asks for.
#[derive(ToSchema)]
pub struct ModelFieldsList {
    object: ListObject,
    data: Vec<ModelFields>,
    /// Whether there are more models after these.
    has_more: Option<bool>,
    /// The id of the first model; null when there is none.
    #[schema(schema_with = nullable_text)]
    first_id: Option<String>,
    /// The id of the last model, to be sent as `after=`; null when there is none.
    #[schema(schema_with = nullable_text)]
    last_id: Option<String>,
}

/// A model in Anthropic's shape.
#[derive(ToSchema)]
pub struct AnthropicModel {
    /// What to call it by.
    id: String,
    r#type: ModelObject,
    /// A name for people; the id when there is none.
    display_name: String,
    /// The epoch when it is unknown, which is Anthropic's own convention.
    created_at: Timestamp,
    /// Input limit, in tokens.
    #[schema(required = true)]
    max_input_tokens: Option<i64>,
    /// Output limit, in tokens.
    #[schema(required = true)]
    max_tokens: Option<i64>,
    /// Null: the words of other sources do not map to Anthropic's.
    #[schema(required = true, value_type = Option<Object>)]
    capabilities: (),
    /// When it was or will be deprecated.
    #[schema(required = true)]
    deprecated_at: Option<Timestamp>,
    /// When it will be shut down.
    #[schema(required = true)]
    retires_at: Option<Timestamp>,
    /// Its stage of life, if anything is said of it.
    lifecycle: Option<Stage>,
}

/// A page in Anthropic's shape.
#[derive(ToSchema)]
pub struct AnthropicModelList {
    data: Vec<AnthropicModel>,
    /// Whether there are more models in the direction of reading.
    has_more: bool,
    /// The id of the first model, to be sent as `before_id=`.
    #[schema(required = true)]
    first_id: Option<String>,
    /// The id of the last model, to be sent as `after_id=`.
    #[schema(required = true)]
    last_id: Option<String>,
}

/// A model in Gemini's shape.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct GeminiModel {
    /// `models/` and what to call it by.
    name: String,
    /// A name for people.
    display_name: Option<String>,
    /// A description for people.
    description: Option<String>,
    /// Input limit, in tokens.
    input_token_limit: Option<i64>,
    /// Output limit, in tokens.
    output_token_limit: Option<i64>,
    /// The methods it can be called with.
    #[schema(min_items = 1)]
    supported_generation_methods: Option<Vec<String>>,
}

/// A page in Gemini's shape.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct GeminiModelList {
    models: Vec<GeminiModel>,
    /// What to send as `pageToken=` for the next page; left out with the last one.
    next_page_token: Option<String>,
}

/// A model in Ollama's shape, with further fields if an Ollama has sent it.
#[derive(ToSchema)]
pub struct OllamaModel {
    /// What to call it by.
    name: String,
    /// The same as `name`.
    model: String,
    /// When it was made, if that is known.
    modified_at: Option<String>,
    /// Changes when anything that is known of the model does.
    digest: String,
    /// The provider's own id of a cloud model.
    remote_model: Option<String>,
    /// Its capabilities, in Ollama's words where they are known.
    capabilities: Option<Vec<String>>,
    #[serde(flatten)]
    further: BTreeMap<String, Value>,
}

/// The list in Ollama's shape.
#[derive(ToSchema)]
pub struct OllamaModelList {
    models: Vec<OllamaModel>,
}

/// What is known of one model, in Ollama's shape.
#[derive(ToSchema)]
pub struct OllamaShown {
    /// As an Ollama has sent them.
    details: Option<BTreeMap<String, Value>>,
    /// When it was made, if that is known.
    modified_at: Option<String>,
    /// The provider's own id of a cloud model.
    remote_model: Option<String>,
    /// The host that runs it, for a model that an Ollama does not run itself.
    remote_host: Option<String>,
    /// Lengths in tokens, by the name of the architecture.
    model_info: BTreeMap<String, Value>,
    /// Its capabilities, in Ollama's words where they are known.
    capabilities: Vec<String>,
}

/// The version of an Ollama.
#[derive(ToSchema)]
pub struct OllamaVersion {
    /// `0.0.0` when it is not known.
    version: String,
}

/// The models that are loaded: none.
#[derive(ToSchema)]
pub struct OllamaRunning {
    #[schema(max_items = 0)]
    models: Vec<OllamaModel>,
}

/// The model to show.
#[derive(ToSchema)]
pub struct OllamaShowRequest {
    /// Its name, with or without `:latest`.
    #[schema(min_length = 1, pattern = "\\S")]
    model: String,
}

/// Text, or null even where the field may be left out.
fn nullable_text() -> Schema {
    let [text, null] = [Type::String, Type::Null].map(Object::with_type);
    Schema::AnyOf(AnyOfBuilder::new().item(text).item(null).build())
}
