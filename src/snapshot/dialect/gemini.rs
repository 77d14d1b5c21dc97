//! The list of Google's Gemini API.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use crate::snapshot::view::ModelView;

/// The field that identifies a model; its clients require no others.
pub(super) fn standard_fields(model: &ModelView) -> Vec<(&'static str, Value)> {
    // Tuned models have another prefix, which Google's own list uses too.
    let name = if model.id.starts_with("tunedModels/") {
        model.id.to_owned()
    } else {
        format!("models/{}", model.id)
    };
    vec![("name", name.into())]
}

/// One entry. Unknown values are absent, as usual in proto3.
pub(super) fn entry(model: &ModelView, mut entry: Map<String, Value>) -> Map<String, Value> {
    let attributes = &model.row.attributes;
    let methods = &attributes.supported_methods;
    let known = [
        (
            "displayName",
            attributes.display_name.as_deref().map(Value::from),
        ),
        (
            "description",
            attributes.description.as_deref().map(Value::from),
        ),
        (
            "inputTokenLimit",
            attributes.context_window.map(Value::from),
        ),
        (
            "outputTokenLimit",
            attributes.max_output_tokens.map(Value::from),
        ),
        (
            "supportedGenerationMethods",
            (!methods.is_empty()).then(|| Value::from(methods.as_slice())),
        ),
    ];
    let known = known
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    entry.extend(known);
    entry
}

/// An error in Google's shape.
pub(super) fn error(status: StatusCode, code: &str, message: &str) -> Value {
    let status_name = match status.as_u16() {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 | 410 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        500.. => "INTERNAL",
        _ => "INVALID_ARGUMENT",
    };
    let detail = json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": code.to_uppercase(),
        "domain": "model-catalog",
    });
    json!({"error": {"code": status.as_u16(), "message": message, "status": status_name, "details": [detail]}})
}
