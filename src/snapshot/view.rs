//! One model as one caller sees it, and where it stands in the list.

use serde_json::value::RawValue;

use super::merge::ServedModel;
use crate::model::{
    source::{Role, SourceName, source_order},
    state::StoredModel,
};

/// One model as one caller sees it.
#[derive(Clone, Copy, Debug)]
pub struct ModelView<'a> {
    /// What the caller knows it by: the whole id, or at its source's base the source's own.
    pub id: &'a str,
    /// Whether that is its source's own.
    pub is_own: bool,
    /// What its source says of it.
    pub row: &'a StoredModel,
    /// The entry of the merged list that it belongs to.
    pub model: &'a ServedModel,
    /// The entry as its source sent it in the caller's dialect, where there is such a thing.
    pub raw: Option<&'a RawValue>,
}

impl<'a> ModelView<'a> {
    /// `model` as an entry of the merged list.
    pub fn merged(model: &'a ServedModel) -> Self {
        Self {
            id: &model.id,
            is_own: false,
            row: &model.rows[0],
            model,
            raw: None,
        }
    }

    /// `model` as an entry of `source`'s own list; none where it is not that source's.
    pub fn own(model: &'a ServedModel, source: &SourceName) -> Option<Self> {
        let row = model.rows.iter().find(|row| row.source == *source)?;
        Some(Self {
            id: &row.model_id,
            is_own: true,
            row,
            model,
            raw: None,
        })
    }

    /// Where it stands in the list.
    pub fn place(&self) -> Place<'a> {
        if self.model.is_local {
            Place::local(&self.row.model_id)
        } else {
            Place::cloud(self.row.source.as_str(), &self.row.model_id)
        }
    }
}

/// A place in the order of the list, whether a model stands there or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place<'a> {
    source: (u8, &'a str),
    model_id: &'a str,
}

impl<'a> Place<'a> {
    /// That of a local model: these stand together, whichever endpoints have them.
    pub fn local(id: &'a str) -> Self {
        Self {
            source: source_order(Role::Endpoint, ""),
            model_id: id,
        }
    }

    /// That of a provider's model.
    pub fn cloud(provider: &'a str, model_id: &'a str) -> Self {
        Self {
            source: source_order(Role::Provider, provider),
            model_id,
        }
    }
}
