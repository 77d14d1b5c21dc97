//! Merges the sources' models into one list: order, shared local ids, shadowing.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use crate::model::{
    attributes::Attributes,
    source::{Role, SourceName, source_order},
    state::StoredModel,
};

/// One entry of the list.
#[derive(Clone, Debug)]
pub struct ServedModel {
    /// The whole id: `provider:model_id` for a cloud model.
    pub id: String,
    /// The provider's name; `lb` for a local model.
    pub owned_by: String,
    /// The source rows behind it. Its attributes come from the first one. Never empty.
    pub rows: Vec<Arc<StoredModel>>,
    /// Whether endpoints serve it.
    pub is_local: bool,
    /// The position of its entry in the list's bytes.
    pub entry: Range<usize>,
}

impl ServedModel {
    /// The attributes that clients read.
    pub fn attributes(&self) -> &Attributes {
        &self.rows[0].attributes
    }

    /// The names of its sources.
    pub fn sources(&self) -> impl Iterator<Item = &SourceName> {
        self.rows.iter().map(|row| &row.source)
    }
}

/// The models of all sources as one list.
#[derive(Debug, Default)]
pub struct Merged {
    /// In the list's order: local models by id, then each provider's.
    pub models: Vec<ServedModel>,
    /// Local ids that are not listed because a cloud model has the same id: (endpoint, id).
    pub shadowed: Vec<(SourceName, String)>,
}

impl Merged {
    /// Merges `models`, which are unordered.
    pub fn of(mut models: Vec<Arc<StoredModel>>) -> Self {
        models.sort_by(|a, b| {
            (source_order(a.role, a.source.as_str()), &a.model_id)
                .cmp(&(source_order(b.role, b.source.as_str()), &b.model_id))
        });
        let (local, cloud): (Vec<_>, Vec<_>) = models
            .into_iter()
            .partition(|model| model.role == Role::Endpoint);
        let cloud: Vec<ServedModel> = cloud
            .into_iter()
            .map(|model| ServedModel {
                id: model.whole_id(),
                owned_by: model.source.to_string(),
                rows: vec![model],
                is_local: false,
                entry: 0..0,
            })
            .collect();

        // Endpoints with the same local id share one entry that names them all.
        let mut shared: BTreeMap<String, Vec<Arc<StoredModel>>> = BTreeMap::new();
        for model in local {
            shared
                .entry(model.model_id.clone())
                .or_default()
                .push(model);
        }
        // Each id is listed once: if a local server also has `openai:…`, the cloud model wins.
        let mut shadowed = Vec::new();
        for model in &cloud {
            for local in shared.remove(&model.id).unwrap_or_default() {
                shadowed.push((local.source.clone(), model.id.clone()));
            }
        }
        let local = shared.into_iter().map(|(id, rows)| ServedModel {
            id,
            owned_by: "lb".to_owned(),
            rows,
            is_local: true,
            entry: 0..0,
        });
        Self {
            models: local.chain(cloud).collect(),
            shadowed,
        }
    }
}
