//! Anthropic's list, as read by its SDKs of 2026.

use axum::http::StatusCode;
use chrono::SecondsFormat;
use serde_json::{Map, Value, json};

use crate::{
    model::{lifecycle::Stage, time::Timestamp},
    snapshot::view::ModelView,
};

/// The fields that its SDKs require in every entry.
pub(super) fn standard_fields(model: &ModelView) -> Vec<(&'static str, Value)> {
    let attributes = &model.row.attributes;
    let created = Timestamp::from_millis(attributes.created.saturating_mul(1000));
    let display_name = attributes.display_name.as_deref().unwrap_or(model.id);
    vec![
        ("id", model.id.into()),
        ("type", "model".into()),
        ("display_name", display_name.into()),
        // An unknown time becomes the epoch, which is Anthropic's own convention.
        ("created_at", time(created)),
    ]
}

/// One entry: its standard fields and the other values known at `now`.
pub(super) fn entry(
    model: &ModelView,
    mut entry: Map<String, Value>,
    now: Timestamp,
) -> Map<String, Value> {
    let attributes = &model.row.attributes;
    let mut set = |name: &str, value: Value| entry.insert(name.to_owned(), value);
    set("max_input_tokens", attributes.context_window.into());
    set("max_tokens", attributes.max_output_tokens.into());
    // Anthropic's capabilities are objects with fixed meanings; a source's words do not map to
    // them.
    set("capabilities", Value::Null);
    set(
        "deprecated_at",
        attributes.deprecated_at.map_or(Value::Null, time),
    );
    set(
        "retires_at",
        attributes.retires_at.map_or(Value::Null, time),
    );
    if let Some(stage) = Stage::known(attributes, now) {
        set("lifecycle", stage.as_str().into());
    }
    entry
}

fn time(time: Timestamp) -> Value {
    time.utc()
        .to_rfc3339_opts(SecondsFormat::AutoSi, true)
        .into()
}

/// An error in Anthropic's shape.
pub(super) fn error(status: StatusCode, code: &str, message: &str) -> Value {
    let kind = match status.as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    };
    json!({
        "type": "error",
        "error": {"type": kind, "message": message, "details": {"error_code": code}},
        "request_id": null,
    })
}
