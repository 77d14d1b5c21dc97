//! Merging the sources' models into one list: order, shared local ids, shadowing.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use crate::model::{
    attributes::Attributes,
    source::{Role, SourceName, source_order},
    state::StoredModel,
};

/// One entry of the list.
#[derive(Clone, Debug)]
pub struct ServedModel {
    /// The whole id: of a cloud model `provider:model_id`.
    pub id: String,
    /// The provider's name; `lb` of a local model.
    pub owned_by: String,
    /// The sources' rows that it stands for; its attributes are those of the first. Never empty.
    pub rows: Vec<Arc<StoredModel>>,
    /// Whether it is served by endpoints.
    pub is_local: bool,
    /// Where its entry stands in the list's bytes.
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

/// The models of all sources as one list.
#[derive(Debug, Default)]
pub struct Merged {
    /// In the list's order: local models by id, then each provider's.
    pub models: Vec<ServedModel>,
    /// Local ids that a cloud model has too, which is the one that is listed: (endpoint, id).
    pub shadowed: Vec<(SourceName, String)>,
}

impl Merged {
    /// The list of `models`, which come in no order.
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

        // The same local id on several endpoints is one entry that names them all.
        let mut shared: BTreeMap<String, Vec<Arc<StoredModel>>> = BTreeMap::new();
        for model in local {
            shared
                .entry(model.model_id.clone())
                .or_default()
                .push(model);
        }
        // An id is listed once: should a local server claim `openai:…`, the cloud model wins.
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
