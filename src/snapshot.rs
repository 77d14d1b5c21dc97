//! The answers, finished: what `GET /v1/models` and `GET /v1/models/{id}` send, as bytes with
//! their ETags. Built purely from a [`State`]; handlers only choose and send.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
};

use axum::http::HeaderValue;
use bytes::Bytes;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{
    model::{Attributes, Freshness, Role, SourceName, source_order},
    store::{SourceState, State, StoredModel},
    time::Timestamp,
};

/// Finished bytes and their strong ETag, made from the content.
#[derive(Clone, Debug)]
pub struct Body {
    /// JSON.
    pub bytes: Bytes,
    /// `"…"`.
    pub etag: HeaderValue,
}

/// Everything that is served at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The last revision; 0 before the first.
    pub revision: i64,
    /// The whole list.
    pub list: Body,
    /// Every source ever configured, in the order of the list.
    pub sources: Vec<SourceState>,
    /// Local ids that are not listed because a cloud model has the same: (endpoint, id).
    pub shadowed: Vec<(SourceName, String)>,
    /// The models whose end is announced, the next one first.
    pub retiring: Vec<Retiring>,
    /// Where each model's entry stands in the list.
    models: HashMap<String, Range<usize>>,
}

/// A model whose end is announced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Retiring {
    /// Its whole id.
    pub id: String,
    /// Who lists it.
    pub sources: Vec<SourceName>,
    /// The stage of its life in the source's own word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<String>,
    /// Since when it is deprecated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deprecated_at: Option<Timestamp>,
    /// When it is to be shut down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retires_at: Option<Timestamp>,
}

impl Retiring {
    /// None where nothing is announced.
    fn of(id: &str, sources: Vec<SourceName>, attributes: &Attributes) -> Option<Self> {
        let ending = matches!(
            attributes.lifecycle.as_deref(),
            Some("deprecated" | "retired")
        );
        let dated = attributes.retires_at.is_some() || attributes.deprecated_at.is_some();
        (ending || dated).then(|| Self {
            id: id.to_owned(),
            sources,
            lifecycle: attributes.lifecycle.clone(),
            deprecated_at: attributes.deprecated_at,
            retires_at: attributes.retires_at,
        })
    }
}

/// One entry of the list: OpenAI's fields and ours.
#[derive(Serialize)]
struct Entry<'a> {
    id: &'a str,
    object: &'static str,
    owned_by: &'a str,
    #[serde(flatten)]
    attributes: &'a Attributes,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    endpoints: Vec<&'a str>,
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
        let is_local = |model: &&StoredModel| {
            place
                .get(&model.source)
                .is_some_and(|place| state.sources[*place].role == Role::Endpoint)
        };
        let (local, cloud): (Vec<_>, Vec<_>) = state.models.iter().partition(is_local);
        let cloud: Vec<(String, &StoredModel)> = cloud
            .into_iter()
            .map(|model| (format!("{}:{}", model.source, model.model_id), model))
            .collect();

        // The same local id on several endpoints is one entry that names them all; what it says
        // is what the first of them says.
        let mut shared: BTreeMap<&str, Vec<&StoredModel>> = BTreeMap::new();
        for model in local {
            shared.entry(&model.model_id).or_default().push(model);
        }
        // An id is listed once: should a local server claim `openai:…`, the cloud model wins.
        let mut shadowed = Vec::new();
        for (id, _) in &cloud {
            for model in shared.remove(id.as_str()).unwrap_or_default() {
                shadowed.push((model.source.clone(), id.clone()));
            }
        }

        let mut list = List::default();
        let mut retiring = Vec::new();
        for (id, models) in &shared {
            let sources = models.iter().map(|model| model.source.clone()).collect();
            retiring.extend(Retiring::of(id, sources, &models[0].attributes));
            let endpoints = models.iter().map(|model| model.source.as_str()).collect();
            list.push(id, "lb", &models[0].attributes, endpoints)?;
        }
        for (id, model) in &cloud {
            let sources = vec![model.source.clone()];
            retiring.extend(Retiring::of(id, sources, &model.attributes));
            list.push(id, model.source.as_str(), &model.attributes, Vec::new())?;
        }
        // Stable: those of one day, and those without, stay in the list's order.
        retiring.sort_by_key(|model| (model.retires_at.is_none(), model.retires_at));
        let (list, models) = list.finish();
        Ok(Self {
            revision: state.revision,
            list,
            sources: state.sources,
            shadowed,
            retiring,
            models,
        })
    }

    /// The entry of the model with this whole id.
    pub fn find_model(&self, id: &str) -> Option<Body> {
        let range = self.models.get(id)?.clone();
        Some(Body::of(self.list.bytes.slice(range)))
    }

    /// Whether the model with this whole id is listed.
    pub fn lists(&self, id: &str) -> bool {
        self.models.contains_key(id)
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

/// The list while it is written: entries are written once and then shared.
#[derive(Default)]
struct List {
    bytes: Vec<u8>,
    entries: HashMap<String, Range<usize>>,
}

const HEAD: &[u8] = br#"{"object":"list","data":["#;
const TAIL: &[u8] = b"]}";

impl List {
    fn push(
        &mut self,
        id: &str,
        owned_by: &str,
        attributes: &Attributes,
        endpoints: Vec<&str>,
    ) -> Result<(), serde_json::Error> {
        let entry = Entry {
            id,
            object: "model",
            owned_by,
            attributes,
            endpoints,
        };
        let before = if self.entries.is_empty() { HEAD } else { b"," };
        self.bytes.extend_from_slice(before);
        let start = self.bytes.len();
        serde_json::to_writer(&mut self.bytes, &entry)?;
        self.entries.insert(id.to_owned(), start..self.bytes.len());
        Ok(())
    }

    fn finish(mut self) -> (Body, HashMap<String, Range<usize>>) {
        if self.entries.is_empty() {
            self.bytes.extend_from_slice(HEAD);
        }
        self.bytes.extend_from_slice(TAIL);
        (Body::of(self.bytes.into()), self.entries)
    }
}

impl Body {
    /// `bytes` with their ETag.
    pub fn of(bytes: Bytes) -> Self {
        use std::fmt::Write;
        let mut etag = String::from("\"");
        for byte in &Sha256::digest(&bytes)[..16] {
            // Writing to a String cannot fail.
            let _ = write!(etag, "{byte:02x}");
        }
        etag.push('"');
        let etag = HeaderValue::try_from(etag).unwrap_or(HeaderValue::from_static("\"\""));
        Self { bytes, etag }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn source(name: &str, role: Role) -> SourceState {
        SourceState {
            fetched_at: Some(Timestamp::from_millis(0)),
            ..SourceState::of_past(name.parse().expect("a name"), role)
        }
    }

    fn model(source: &str, id: &str, created: i64) -> StoredModel {
        StoredModel {
            source: source.parse().expect("a name"),
            model_id: id.to_owned(),
            attributes: Attributes {
                created,
                ..Attributes::default()
            },
        }
    }

    fn state(mut models: Vec<StoredModel>) -> State {
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
        }
    }

    fn entries(snapshot: &Snapshot) -> Vec<Value> {
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
