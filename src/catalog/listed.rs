//! Converts served models to the form that the lock file and watched models use.

use crate::{
    lock::listed::ListedModel,
    snapshot::{Snapshot, merge::ServedModel},
};

/// The listed model `id`; failing that, one whose id differs only in case.
pub fn find_listed(snapshot: &Snapshot, id: &str) -> Option<ListedModel> {
    let model = snapshot
        .find(id)
        .or_else(|| snapshot.find_in_any_case(id))?;
    Some(listed(model))
}

/// Converts `model`.
pub fn listed(model: &ServedModel) -> ListedModel {
    ListedModel {
        id: model.id.clone(),
        owned_by: model.owned_by.clone(),
        attributes: model.attributes().clone(),
        endpoints: match model.is_local {
            true => model.sources().map(ToString::to_string).collect(),
            false => Vec::new(),
        },
    }
}
