//! The models with an announced end.

use serde::Serialize;
use utoipa::ToSchema;

use super::merge::ServedModel;
use crate::model::{lifecycle::Stage, source::SourceName, time::Timestamp};

/// A model with an announced end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Retiring {
    /// Its whole id.
    pub id: String,
    /// The sources that list it.
    pub sources: Vec<SourceName>,
    /// Its lifecycle stage, in the source's own word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<String>,
    /// When it was or will be deprecated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deprecated_at: Option<Timestamp>,
    /// When it will be shut down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retires_at: Option<Timestamp>,
}

impl Retiring {
    /// The `models` with an announced end, soonest first; those without a date come last.
    pub fn list(models: &[ServedModel]) -> Vec<Self> {
        let mut retiring: Vec<Self> = models.iter().filter_map(Self::of).collect();
        // A stable sort keeps models with the same date, or none, in list order.
        retiring.sort_by_key(|model| (model.retires_at.is_none(), model.retires_at));
        retiring
    }

    /// None when no end is announced.
    fn of(model: &ServedModel) -> Option<Self> {
        let attributes = model.attributes();
        let ending = Stage::of_word(attributes) > Some(Stage::Active);
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
