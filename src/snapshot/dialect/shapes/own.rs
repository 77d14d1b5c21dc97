//! The shapes below a source's base, for the OpenAPI document: what identifies a model, and everything else
//! as the source has sent it.
#![expect(
    dead_code,
    reason = "only their schemas are used: no answer is made from them"
)]

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::ToSchema;

use super::{ListObject, ModelObject, nullable_text};
use crate::model::time::Timestamp;

/// A model in OpenAI's shape, with all fields that its source has sent unless `fields=` leaves them out.
#[derive(ToSchema)]
pub struct OwnModel {
    /// The source's own id.
    id: String,
    object: Option<ModelObject>,
    /// Unix seconds; 0 when the source reports none.
    created: Option<i64>,
    /// As the source has it, or else its name.
    owned_by: Option<String>,
    #[serde(flatten)]
    further: BTreeMap<String, Value>,
}

/// A source's own list in OpenAI's shape. The last three fields are there when a page was asked for.
#[derive(ToSchema)]
pub struct OwnModelList {
    object: ListObject,
    data: Vec<OwnModel>,
    /// Whether there are more models after these.
    has_more: Option<bool>,
    /// The id of the first model; null when there is none.
    #[schema(schema_with = nullable_text)]
    first_id: Option<String>,
    /// The id of the last model, to be sent as `after=`; null when there is none.
    #[schema(schema_with = nullable_text)]
    last_id: Option<String>,
}

/// A model in Anthropic's shape, with all fields that its source has sent.
#[derive(ToSchema)]
pub struct OwnAnthropicModel {
    /// The source's own id.
    id: String,
    r#type: ModelObject,
    /// A name for people; the id when there is none.
    display_name: String,
    /// The epoch when it is unknown.
    created_at: Timestamp,
    #[serde(flatten)]
    further: BTreeMap<String, Value>,
}

/// A page of a source's own list in Anthropic's shape.
#[derive(ToSchema)]
pub struct OwnAnthropicModelList {
    data: Vec<OwnAnthropicModel>,
    /// Whether there are more models in the direction of reading.
    has_more: bool,
    /// The id of the first model, to be sent as `before_id=`.
    #[schema(required = true)]
    first_id: Option<String>,
    /// The id of the last model, to be sent as `after_id=`.
    #[schema(required = true)]
    last_id: Option<String>,
}

/// A model in Gemini's shape, with all fields that its source has sent.
#[derive(ToSchema)]
pub struct OwnGeminiModel {
    /// `models/` and the source's own id.
    name: String,
    #[serde(flatten)]
    further: BTreeMap<String, Value>,
}

/// A page of a source's own list in Gemini's shape.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct OwnGeminiModelList {
    models: Vec<OwnGeminiModel>,
    /// What to send as `pageToken=` for the next page; left out with the last one.
    next_page_token: Option<String>,
}
