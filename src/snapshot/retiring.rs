//! The models whose end is announced.

use serde::Serialize;

use super::merge::ServedModel;
use crate::model::{source::SourceName, time::Timestamp};

/// A model whose end is announced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Retiring {
    /// Its whole id.
    pub id: String,
    /// Who lists it.
    pub sources: Vec<SourceName>,
    /// The stage of its life in the source's own word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<String>,
    /// Since when it is deprecated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deprecated_at: Option<Timestamp>,
    /// When it is to be shut down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retires_at: Option<Timestamp>,
}

impl Retiring {
    /// Those of `models` whose end is announced.
    pub fn list(models: &[ServedModel]) -> Vec<Self> {
        let mut retiring: Vec<Self> = models.iter().filter_map(Self::of).collect();
        // Stable: those of one day, and those without, stay in the list's order.
        retiring.sort_by_key(|model| (model.retires_at.is_none(), model.retires_at));
        retiring
    }

    /// None where nothing is announced.
    fn of(model: &ServedModel) -> Option<Self> {
        let attributes = model.attributes();
        let ending = matches!(
            attributes.lifecycle.as_deref(),
            Some("deprecated" | "retired")
        );
        let dated = attributes.retires_at.is_some() || attributes.deprecated_at.is_some();
        (ending || dated).then(|| Self {
            id: model.id.clone(),
            sources: model.sources().cloned().collect(),
            lifecycle: attributes.lifecycle.clone(),
            deprecated_at: attributes.deprecated_at,
            retires_at: attributes.retires_at,
        })
    }
}
