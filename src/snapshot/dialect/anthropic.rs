//! Anthropic's list, as its SDKs of 2026 read it.

use axum::http::StatusCode;
use chrono::SecondsFormat;
use serde_json::{Map, Value, json};

use crate::{model::time::Timestamp, snapshot::view::ModelView};

/// The stages of a model's life that Anthropic's shape has words for.
pub const LIFECYCLES: [&str; 3] = ["active", "deprecated", "retired"];

/// What its SDKs need in every entry.
pub(super) fn standard_fields(model: &ModelView) -> Vec<(&'static str, Value)> {
    let attributes = &model.row.attributes;
    let created = Timestamp::from_millis(attributes.created.saturating_mul(1000));
    let display_name = attributes.display_name.as_deref().unwrap_or(model.id);
    vec![
        ("id", model.id.into()),
        ("type", "model".into()),
        ("display_name", display_name.into()),
        // Where nobody said it the epoch: Anthropic's own convention.
        ("created_at", time(created)),
    ]
}

/// One entry: its standard fields and what else is known.
pub(super) fn entry(model: &ModelView, mut entry: Map<String, Value>) -> Map<String, Value> {
    let attributes = &model.row.attributes;
    let mut say = |name: &str, value: Value| entry.insert(name.to_owned(), value);
    say("max_input_tokens", attributes.context_window.into());
    say("max_tokens", attributes.max_output_tokens.into());
    // Anthropic's are objects with a meaning of their own; a source's words do not make one.
    say("capabilities", Value::Null);
    say(
        "deprecated_at",
        attributes.deprecated_at.map_or(Value::Null, time),
    );
    say(
        "retires_at",
        attributes.retires_at.map_or(Value::Null, time),
    );
    if let Some(lifecycle) = model.lifecycle() {
        say("lifecycle", lifecycle.into());
    }
    entry
}

impl ModelView<'_> {
    /// The stage of its life, where it is one of Anthropic's words.
    pub fn lifecycle(&self) -> Option<&str> {
        let said = self.row.attributes.lifecycle.as_deref();
        said.filter(|word| LIFECYCLES.contains(word))
    }
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
