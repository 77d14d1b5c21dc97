//! The list of a snapshot as readers of `GET /v1/models` see it, for the lock file and watched models.

use crate::{
    lock::listed::ListedModel,
    snapshot::{Snapshot, merge::ServedModel},
};

/// The listed model `id` or, where there is none, one whose id differs from it in case only.
pub fn find_listed(snapshot: &Snapshot, id: &str) -> Option<ListedModel> {
    let model = snapshot
        .find(id)
        .or_else(|| snapshot.find_in_any_case(id))?;
    Some(listed(model))
}

/// `model` as a reader sees it.
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
