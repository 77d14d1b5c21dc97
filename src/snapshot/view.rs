//! One model as one caller sees it, and its place in the list.

use serde_json::value::RawValue;

use super::merge::ServedModel;
use crate::model::{
    source::{Role, SourceName, source_order},
    state::StoredModel,
};

/// One model as one caller sees it.
#[derive(Clone, Copy, Debug)]
pub struct ModelView<'a> {
    /// The id for the caller: the whole id, or the source's own id on a provider route.
    pub id: &'a str,
    /// Whether `id` is the source's own id.
    pub is_own: bool,
    /// The stored row of its source.
    pub row: &'a StoredModel,
    /// Its entry in the merged list.
    pub model: &'a ServedModel,
    /// The raw entry from its source, if it is in the caller's dialect.
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

    /// `model` as an entry of `source`'s own list; none when `source` does not have it.
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

    /// Its place in the list.
    pub fn place(&self) -> Place<'a> {
        if self.model.is_local {
            Place::local(self.id)
        } else {
            Place::cloud(self.row.source.as_str(), &self.row.model_id)
        }
    }
}

/// A place in the list order, whether or not a model is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place<'a> {
    source: (u8, &'a str),
    model_id: &'a str,
}

impl<'a> Place<'a> {
    /// The place of a local model, by the id that its list has. Local models come together, whatever
    /// their endpoints.
    pub fn local(id: &'a str) -> Self {
        Self {
            source: source_order(Role::Endpoint, ""),
            model_id: id,
        }
    }

    /// The place of a provider's model.
    pub fn cloud(provider: &'a str, model_id: &'a str) -> Self {
        Self {
            source: source_order(Role::Provider, provider),
            model_id,
        }
    }
}
