//! Merging the sources' models into one list: order, shared local ids, shadowing.

use std::{ops::Range, sync::Arc};

use super::{
    body::Body,
    dialect::openai::{Entry, HEAD},
    view::Seen,
};
use crate::model::{attributes::Attributes, source::SourceName, state::StoredModel};

/// One entry of the list.
#[derive(Clone, Debug)]
pub struct ServedModel {
    /// The whole id: of a cloud model `provider:model_id`.
    pub id: String,
    /// The provider's name; `lb` of a local model.
    pub owned_by: String,
    /// The sources' rows that it stands for; what it says is what the first of them says. Never
    /// empty.
    pub rows: Vec<Arc<StoredModel>>,
    /// Whether it is served by endpoints.
    pub is_local: bool,
    /// Its entry's place in the list's bytes.
    pub entry: Range<usize>,
}

impl ServedModel {
    /// What clients read.
    pub fn attributes(&self) -> &Attributes {
        &self.rows[0].attributes
    }

    /// The names of its sources.
    pub fn sources(&self) -> impl Iterator<Item = &SourceName> {
        self.rows.iter().map(|row| &row.source)
    }
}

/// The list while it is written: entries are written once and then shared.
#[derive(Default)]
pub struct List {
    bytes: Vec<u8>,
    models: Vec<ServedModel>,
}

pub const TAIL: &[u8] = b"]}";

impl List {
    pub fn push(&mut self, model: ServedModel) -> Result<(), serde_json::Error> {
        let entry = serde_json::to_vec(&Entry::of(&Seen::merged(&model)))?;
        self.push_written(model, &entry);
        Ok(())
    }

    pub fn push_written(&mut self, mut model: ServedModel, entry: &[u8]) {
        let before = if self.models.is_empty() { HEAD } else { b"," };
        self.bytes.extend_from_slice(before);
        let start = self.bytes.len();
        self.bytes.extend_from_slice(entry);
        model.entry = start..self.bytes.len();
        self.models.push(model);
    }

    pub fn finish(mut self) -> (Body, Vec<ServedModel>) {
        if self.models.is_empty() {
            self.bytes.extend_from_slice(HEAD);
        }
        self.bytes.extend_from_slice(TAIL);
        (Body::of(self.bytes.into()), self.models)
    }
}
