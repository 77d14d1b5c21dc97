//! The served list as a reader sees it, from a snapshot or from a running catalog.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::model::{attributes::Attributes, time::Timestamp};

/// One entry of the list.
#[derive(Clone, Debug, Deserialize)]
pub struct ListedModel {
    /// The whole id: `provider:model_id` for a cloud model.
    pub id: String,
    /// The provider of a cloud model.
    pub owned_by: String,
    /// The attributes reported by its source.
    #[serde(flatten)]
    pub attributes: Attributes,
    /// The endpoints that have a local model; empty for a cloud model.
    #[serde(default)]
    pub endpoints: Vec<String>,
}

/// The whole list, with the age of each source's part.
#[derive(Debug)]
pub struct Listed {
    /// Every model that is served.
    pub models: Vec<ListedModel>,
    /// The last success of each source that ever had one, by source name.
    pub fetched_at: BTreeMap<String, Timestamp>,
}

impl Listed {
    /// The model with this whole id.
    pub fn find(&self, id: &str) -> Option<&ListedModel> {
        self.models.iter().find(|model| model.id == id)
    }

    /// The model with this whole id; failing that, one whose id differs only in case.
    pub fn find_in_any_case(&self, id: &str) -> Option<&ListedModel> {
        self.find(id).or_else(|| {
            let id = id.to_lowercase();
            self.models
                .iter()
                .find(|model| model.id.to_lowercase() == id)
        })
    }

    /// When a source last listed `model`: its provider, or the most recent of its endpoints.
    pub fn last_seen_at(&self, model: &ListedModel) -> Option<Timestamp> {
        let fetched_at = |source: &String| self.fetched_at.get(source).copied();
        if model.endpoints.is_empty() {
            fetched_at(&model.owned_by)
        } else {
            model.endpoints.iter().filter_map(fetched_at).max()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_model_was_last_seen_by_its_provider_or_its_newest_endpoint() {
        let models: Vec<ListedModel> = serde_json::from_value(json!([
            {"id": "m", "object": "model", "created": 1, "owned_by": "lb", "endpoints": ["box", "zed", "new"]},
            {"id": "lb:m", "object": "model", "created": 1, "owned_by": "lb"},
            {"id": "x:m", "object": "model", "created": 1, "owned_by": "x", "context_window": 7},
        ]))
        .expect("entries");
        let at = Timestamp::from_millis;
        let fetched_at = [("box", 5), ("zed", 7), ("lb", 9)]
            .map(|(name, millis)| (name.to_owned(), at(millis)))
            .into();
        let listed = Listed { models, fetched_at };
        for (id, expected) in [("m", Some(at(7))), ("lb:m", Some(at(9))), ("x:m", None)] {
            let model = listed.find(id).expect("listed");
            assert_eq!(listed.last_seen_at(model), expected, "{id}");
        }
        assert_eq!(listed.models[2].attributes.context_window, Some(7));
    }

    #[test]
    fn an_id_comes_before_itself_in_another_case() {
        let models = serde_json::from_value(json!([
            {"id": "acme:big", "created": 0, "owned_by": "acme"},
            {"id": "acme:Big", "created": 0, "owned_by": "acme"},
        ]))
        .expect("entries");
        let listed = Listed {
            models,
            fetched_at: BTreeMap::new(),
        };
        for (id, expected) in [
            ("acme:Big", Some("acme:Big")),
            ("acme:big", Some("acme:big")),
            ("ACME:big", Some("acme:big")),
            ("acme:bigger", None),
        ] {
            let found = listed.find_in_any_case(id).map(|model| model.id.as_str());
            assert_eq!(found, expected, "{id}");
        }
    }
}
