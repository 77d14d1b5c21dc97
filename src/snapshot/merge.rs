//! Merges the sources' models into one list: names, order, shared local ids.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use crate::model::{
    attributes::Attributes,
    names::Names,
    source::{Role, SourceName, source_order},
    state::StoredModel,
};

/// The owner of every local model.
const LOCAL_OWNER: &str = "lb";

/// One entry of the list.
#[derive(Clone, Debug)]
pub struct ServedModel {
    /// The whole id; see [`Names`].
    pub id: String,
    /// The provider's name; `lb` for a local model.
    pub owned_by: String,
    /// The source rows behind it. Its attributes come from the first one. Never empty.
    pub rows: Vec<Arc<StoredModel>>,
    /// For an alias: the whole id of its target.
    pub alias_of: Option<String>,
    /// Whether endpoints serve it.
    pub is_local: bool,
    /// The position of its entry in the list's bytes.
    pub entry: Range<usize>,
}

impl ServedModel {
    /// The entry `id`, made from `rows`, of which there is at least one.
    fn of(id: String, rows: Vec<Arc<StoredModel>>, names: &Names) -> Self {
        let StoredModel {
            source,
            role,
            attributes,
            ..
        } = &*rows[0];
        let is_local = *role == Role::Endpoint;
        let alias_of = attributes.alias_of.as_ref();
        Self {
            id,
            owned_by: match is_local {
                true => LOCAL_OWNER.to_owned(),
                false => source.to_string(),
            },
            alias_of: alias_of.map(|alias_of| names.id_of(*role, source, alias_of)),
            is_local,
            entry: 0..0,
            rows,
        }
    }

    /// The attributes that clients read.
    pub fn attributes(&self) -> &Attributes {
        &self.rows[0].attributes
    }

    /// Whether the entry of `other`, which has the same id, is the same.
    pub fn is_same(&self, other: &Self) -> bool {
        self.alias_of == other.alias_of
            && self.rows.len() == other.rows.len()
            && self
                .rows
                .iter()
                .zip(&other.rows)
                .all(|(a, b)| Arc::ptr_eq(a, b))
    }

    /// The names of its sources.
    pub fn sources(&self) -> impl Iterator<Item = &SourceName> {
        self.rows.iter().map(|row| &row.source)
    }
}

/// The list's models, made from the rows `models`, which are unordered: local models by id, then each
/// provider's.
pub fn merge(mut models: Vec<Arc<StoredModel>>, names: &Names) -> Vec<ServedModel> {
    models.sort_by(|a, b| {
        (source_order(a.role, a.source.as_str()), &a.model_id)
            .cmp(&(source_order(b.role, b.source.as_str()), &b.model_id))
    });
    let (local, cloud): (Vec<_>, Vec<_>) = models
        .into_iter()
        .partition(|model| model.role == Role::Endpoint);
    let id_of = |model: &StoredModel| names.id_of(model.role, &model.source, &model.model_id);

    // Endpoints with the same local id share one entry that names them all.
    let mut shared: BTreeMap<String, Vec<Arc<StoredModel>>> = BTreeMap::new();
    for model in local {
        shared.entry(id_of(&model)).or_default().push(model);
    }
    let local = shared
        .into_iter()
        .map(|(id, rows)| ServedModel::of(id, rows, names));
    let cloud = cloud
        .into_iter()
        .map(|model| ServedModel::of(id_of(&model), vec![model], names));
    local.chain(cloud).collect()
}
