//! Ollama's `/api/tags`.

use serde_json::Value;

use crate::{model::time::Timestamp, snapshot::view::ModelView};

/// The fields of every entry. Values that the server does not report are absent.
pub(super) fn standard_fields(model: &ModelView) -> Vec<(&'static str, Value)> {
    let mut fields = vec![("name", model.id.into()), ("model", model.id.into())];
    let created = model.row.attributes.created;
    if created > 0 {
        let modified = Timestamp::from_millis(created.saturating_mul(1000));
        fields.push(("modified_at", modified.to_string().into()));
    }
    fields
}
