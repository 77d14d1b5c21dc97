//! The list under construction: entries are serialized once and then shared.

use super::{
    body::Body,
    dialect::openai::{Entry, HEAD, TAIL},
    merge::ServedModel,
    view::ModelView,
};

/// The bytes of a list, and its models.
#[derive(Default)]
pub struct List {
    bytes: Vec<u8>,
    models: Vec<ServedModel>,
}

impl List {
    /// Appends `model`.
    pub fn push(&mut self, model: ServedModel) -> Result<(), serde_json::Error> {
        self.begin_entry();
        let start = self.bytes.len();
        serde_json::to_writer(&mut self.bytes, &Entry::of(&ModelView::merged(&model)))?;
        self.end_entry(model, start);
        Ok(())
    }

    /// Appends `model` with its serialized entry.
    pub fn push_written(&mut self, model: ServedModel, entry: &[u8]) {
        self.begin_entry();
        let start = self.bytes.len();
        self.bytes.extend_from_slice(entry);
        self.end_entry(model, start);
    }

    fn begin_entry(&mut self) {
        let before = if self.models.is_empty() { HEAD } else { b"," };
        self.bytes.extend_from_slice(before);
    }

    fn end_entry(&mut self, mut model: ServedModel, start: usize) {
        model.entry = start..self.bytes.len();
        self.models.push(model);
    }

    /// The finished list.
    pub fn finish(mut self) -> (Body, Vec<ServedModel>) {
        if self.models.is_empty() {
            self.bytes.extend_from_slice(HEAD);
        }
        self.bytes.extend_from_slice(TAIL);
        (Body::kept(self.bytes.into()), self.models)
    }
}
