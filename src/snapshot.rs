//! The answers, finished: what `GET /v1/models` and `GET /v1/models/{id}` send, as bytes with
//! their ETags. Built purely from a [`State`]; handlers only choose and send.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use self::{
    body::Body,
    dialect::openai::HEAD,
    merge::{List, ServedModel},
    parts::Parts,
    retiring::Retiring,
};
use crate::model::{
    source::{Freshness, Role, SourceName, source_order},
    state::{EnrichmentState, SourceState, State, StoredModel},
    time::Timestamp,
};

pub mod body;
pub mod dialect;
pub mod fields;
pub mod merge;
pub mod page;
pub mod parts;
pub mod retiring;
pub mod selection;
pub mod view;

/// Everything that is served at one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// The last revision; 0 before the first.
    pub revision: i64,
    /// The whole list.
    pub list: Body,
    /// Every source ever configured, in the order of the list.
    pub sources: Vec<SourceState>,
    /// The file that fills in what sources do not say.
    pub enrichment: Option<EnrichmentState>,
    /// Local ids that are not listed because a cloud model has the same: (endpoint, id).
    pub shadowed: Vec<(SourceName, String)>,
    /// The models whose end is announced, the next one first.
    pub retiring: Vec<Retiring>,
    /// What is listed, in the list's order.
    pub models: Vec<ServedModel>,
    /// Where each whole id stands among `models`.
    places: HashMap<String, usize>,
    /// What has been made of parts of it.
    parts: Parts,
}

impl Snapshot {
    /// The snapshot of `state`.
    pub fn build(mut state: State) -> Result<Self, serde_json::Error> {
        state.sources.sort_by(|a, b| {
            source_order(a.role, a.name.as_str()).cmp(&source_order(b.role, b.name.as_str()))
        });
        let place: HashMap<&SourceName, usize> = state
            .sources
            .iter()
            .enumerate()
            .map(|(place, source)| (&source.name, place))
            .collect();
        state
            .models
            .sort_by_cached_key(|model| (place.get(&model.source), model.model_id.clone()));
        let is_local = |model: &Arc<StoredModel>| {
            place
                .get(&model.source)
                .is_some_and(|place| state.sources[*place].role == Role::Endpoint)
        };
        let (local, cloud): (Vec<_>, Vec<_>) = state.models.into_iter().partition(is_local);
        let cloud: Vec<(String, Arc<StoredModel>)> = cloud
            .into_iter()
            .map(|model| (format!("{}:{}", model.source, model.model_id), model))
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
        for (id, _) in &cloud {
            for model in shared.remove(id).unwrap_or_default() {
                shadowed.push((model.source.clone(), id.clone()));
            }
        }

        let mut list = List::default();
        for (id, rows) in shared {
            list.push(ServedModel {
                id,
                owned_by: "lb".to_owned(),
                rows,
                is_local: true,
                entry: 0..0,
            })?;
        }
        for (id, model) in cloud {
            list.push(ServedModel {
                id,
                owned_by: model.source.to_string(),
                rows: vec![model],
                is_local: false,
                entry: 0..0,
            })?;
        }
        let (list, models) = list.finish();
        Ok(Self {
            revision: state.revision,
            list,
            sources: state.sources,
            enrichment: state.enrichment,
            shadowed,
            retiring: Retiring::list(&models),
            places: Self::places(&models),
            models,
            parts: Parts::default(),
        })
    }

    fn places(models: &[ServedModel]) -> HashMap<String, usize> {
        models
            .iter()
            .enumerate()
            .map(|(place, model)| (model.id.clone(), place))
            .collect()
    }

    /// The model with this whole id.
    pub fn find(&self, id: &str) -> Option<&ServedModel> {
        self.places.get(id).map(|place| &self.models[*place])
    }

    /// The entry of the model with this whole id.
    pub fn find_model(&self, id: &str) -> Option<Body> {
        let range = self.find(id)?.entry.clone();
        Some(Body::of(self.list.bytes.slice(range)))
    }

    /// Whether the model with this whole id is listed.
    pub fn lists(&self, id: &str) -> bool {
        self.places.contains_key(id)
    }

    /// How many of the listed models `source` has.
    pub fn count_models(&self, source: &SourceName) -> i64 {
        let rows = self.models.iter().flat_map(|model| &model.rows);
        let count = rows.filter(|row| row.source == *source).count();
        i64::try_from(count).unwrap_or(i64::MAX)
    }

    /// The state of the source `name`.
    pub fn find_source(&self, name: &SourceName) -> Option<&SourceState> {
        self.sources.iter().find(|source| source.name == *name)
    }

    /// The served sources whose listing is stale at `now`.
    pub fn list_stale(&self, now: Timestamp) -> impl Iterator<Item = &SourceName> {
        self.sources
            .iter()
            .filter(move |source| {
                source.configured
                    && source.hidden_since.is_none()
                    && source.freshness(now) == Freshness::Stale
            })
            .map(|source| &source.name)
    }

    /// The configured sources that have never given a listing.
    pub fn list_missing(&self) -> impl Iterator<Item = &SourceName> {
        self.sources
            .iter()
            .filter(|source| source.configured && source.fetched_at.is_none())
            .map(|source| &source.name)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::attributes::Attributes;

    fn source(name: &str, role: Role) -> SourceState {
        SourceState {
            fetched_at: Some(Timestamp::from_millis(0)),
            ..SourceState::of_past(name.parse().expect("a name"), role)
        }
    }

    pub(super) fn model(source: &str, id: &str, created: i64) -> Arc<StoredModel> {
        Arc::new(StoredModel {
            source: source.parse().expect("a name"),
            model_id: id.to_owned(),
            attributes: Attributes {
                created,
                ..Attributes::default()
            },
        })
    }

    pub(super) fn state(mut models: Vec<Arc<StoredModel>>) -> State {
        // The order in which the database gives them must not matter.
        models.reverse();
        let provider = |name| source(name, Role::Provider);
        let endpoint = |name| source(name, Role::Endpoint);
        State {
            revision: 7,
            sources: vec![
                provider("anthropic"),
                endpoint("zed"),
                provider("acme"),
                provider("google"),
                endpoint("box"),
                provider("openai"),
                provider("zzz"),
            ],
            models,
            enrichment: None,
        }
    }

    pub(super) fn entries(snapshot: &Snapshot) -> Vec<Value> {
        let list: Value = serde_json::from_slice(&snapshot.list.bytes).expect("JSON");
        assert_eq!(list["object"], "list");
        list["data"].as_array().expect("an array").clone()
    }

    #[test]
    fn merges_in_the_documented_order() {
        let snapshot = Snapshot::build(state(vec![
            model("anthropic", "c", 1),
            model("zzz", "z", 1),
            model("acme", "a", 1),
            model("google", "g", 1),
            model("openai", "o2", 1),
            model("openai", "o1", 1),
            model("zed", "a-first", 1),
            model("box", "b-second", 1),
        ]))
        .expect("a snapshot");
        let ids: Vec<String> = entries(&snapshot)
            .iter()
            .map(|entry| entry["id"].as_str().expect("id").to_owned())
            .collect();
        assert_eq!(
            ids,
            [
                "a-first",
                "b-second",
                "openai:o1",
                "openai:o2",
                "google:g",
                "anthropic:c",
                "acme:a",
                "zzz:z"
            ]
        );
        let sources: Vec<&str> = snapshot
            .sources
            .iter()
            .map(|source| source.name.as_str())
            .collect();
        assert_eq!(
            sources,
            ["box", "zed", "openai", "google", "anthropic", "acme", "zzz"]
        );
    }

    #[test]
    fn one_local_id_on_two_endpoints_is_one_entry() {
        let snapshot = Snapshot::build(state(vec![
            model("zed", "m:7b", 2),
            model("box", "m:7b", 1),
        ]))
        .expect("a snapshot");
        assert_eq!(
            entries(&snapshot),
            [
                json!({"id": "m:7b", "object": "model", "created": 1, "owned_by": "lb", "endpoints": ["box", "zed"]})
            ]
        );
    }

    #[test]
    fn a_cloud_model_wins_over_a_local_claim() {
        let snapshot = Snapshot::build(state(vec![
            model("openai", "o", 1),
            model("box", "openai:o", 2),
        ]))
        .expect("a snapshot");
        let entries = entries(&snapshot);
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0]["owned_by"], "openai");
        assert_eq!(
            snapshot.shadowed,
            [("box".parse().expect("a name"), "openai:o".to_owned())]
        );
    }

    #[test]
    fn an_empty_list_is_an_array() {
        let snapshot = Snapshot::build(State::default()).expect("a snapshot");
        assert_eq!(&snapshot.list.bytes[..], br#"{"object":"list","data":[]}"#);
    }

    #[test]
    fn etags_follow_the_content_alone() {
        let build = |models| Snapshot::build(state(models)).expect("a snapshot");
        let one = build(vec![model("openai", "o", 1)]);
        assert_eq!(
            one.list.etag,
            build(vec![model("openai", "o", 1)]).list.etag
        );
        assert_ne!(
            one.list.etag,
            build(vec![model("openai", "o", 2)]).list.etag
        );
        assert_ne!(
            one.list.etag,
            one.find_model("openai:o").expect("the model").etag
        );
    }

    #[test]
    fn models_share_the_lists_bytes() {
        let snapshot = Snapshot::build(state(vec![model("openai", "o", 1)])).expect("a snapshot");
        let body = &snapshot.find_model("openai:o").expect("the model").bytes;
        assert!(snapshot.list.bytes.as_ptr_range().contains(&body.as_ptr()));
        assert!(snapshot.find_model("o").is_none());
    }
}
