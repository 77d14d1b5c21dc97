//! The finished answers: the bytes and ETags of `GET /v1/models` and `GET /v1/models/{id}`. Built
//! once per revision from the stored models; handlers only choose and send.

pub mod body;
pub mod dialect;
pub mod encoding;
pub mod fields;
mod list;
pub mod merge;
pub mod page;
pub mod parts;
pub mod remembered;
pub mod retiring;
pub mod selection;
pub mod view;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, OnceLock},
};

use self::{
    body::Body,
    list::List,
    merge::{ServedModel, merge},
    remembered::{Origin, Remembered},
    retiring::Retiring,
};
use crate::model::{names::Names, source::SourceName, state::Content, time::Timestamp};

/// The list at one revision.
#[derive(Debug)]
pub struct Snapshot {
    /// The revision; 0 before the first.
    pub revision: i64,
    /// The whole list.
    pub list: Body,
    /// The models with an announced end, soonest first.
    pub retiring: Vec<Retiring>,
    /// When the stage of life of any of its rows changes, sorted.
    dates: Vec<Timestamp>,
    /// The listed models, in list order.
    pub models: Vec<ServedModel>,
    /// Number of models per source, including hidden sources.
    pub counts: BTreeMap<SourceName, i64>,
    /// What models are called.
    pub names: Names,
    /// The index of each whole id in `models`.
    places: HashMap<String, usize>,
    /// The same index for lower-case ids; built when first needed.
    lower_case_places: OnceLock<HashMap<String, usize>>,
    /// Which snapshot or part this is.
    origin: Origin,
    /// Parts and answers made from it.
    remembered: Arc<Remembered>,
}

impl Snapshot {
    /// Builds the snapshot of `content`. Fails only when serializing fails.
    pub fn build(content: Content) -> Result<Self, serde_json::Error> {
        let known = content.sources.iter().filter(|source| source.is_known);
        let names = Names::new(known.map(|source| (source.name.clone(), source.role)));
        let mut list = List::default();
        for model in merge(content.models, &names) {
            list.push(model)?;
        }
        let (list, models) = list.finish();
        Ok(Self {
            revision: content.revision,
            list,
            retiring: Retiring::list(&models),
            dates: dates(&models),
            names,
            counts: content
                .sources
                .into_iter()
                .map(|source| (source.name, source.models))
                .collect(),
            places: places(&models),
            lower_case_places: OnceLock::new(),
            models,
            origin: Origin::new(),
            remembered: Arc::default(),
        })
    }

    /// The same, with what is made of it `remembered` together with other things.
    pub fn remembered_in(self, remembered: &Arc<Remembered>) -> Self {
        Self {
            remembered: remembered.clone(),
            ..self
        }
    }

    /// The model with this whole id.
    pub fn find(&self, id: &str) -> Option<&ServedModel> {
        self.places.get(id).map(|place| &self.models[*place])
    }

    /// The model with this whole id in any case; the first in the list if several match.
    pub fn find_in_any_case(&self, id: &str) -> Option<&ServedModel> {
        let places = self.lower_case_places.get_or_init(|| {
            let ids = self.models.iter().enumerate().rev();
            ids.map(|(place, model)| (model.id.to_lowercase(), place))
                .collect()
        });
        let place = places.get(&id.to_lowercase())?;
        self.models.get(*place)
    }

    /// The finished entry of `model`, which is one of `models`.
    pub fn entry(&self, model: &ServedModel) -> Body {
        Body::once(self.list.bytes.slice(model.entry.clone()))
    }

    /// Whether the model with this whole id is listed.
    pub fn lists(&self, id: &str) -> bool {
        self.places.contains_key(id)
    }

    /// Number of the announced ends that have passed at `now`. Answers that depend on the time are the same
    /// as long as this is.
    pub fn count_passed(&self, now: Timestamp) -> usize {
        self.dates.partition_point(|at| *at <= now)
    }

    /// The memory that it takes, in bytes: an estimate that is rather too high.
    pub fn weight(&self) -> usize {
        // Parts and lists of the past have rows of their own, with about the same texts as the list.
        let models = self.models.len() * (size_of::<ServedModel>() + 4 * size_of::<String>());
        self.list.weight() + self.list.bytes.len() + models
    }

    /// Number of listed models per source.
    pub fn count_listed(&self) -> BTreeMap<&SourceName, i64> {
        let mut counts = BTreeMap::new();
        for source in self.models.iter().flat_map(ServedModel::sources) {
            *counts.entry(source).or_default() += 1;
        }
        counts
    }
}

/// The announced ends of all rows of `models`, sorted. Each source's own list shows the dates of its own row.
fn dates(models: &[ServedModel]) -> Vec<Timestamp> {
    let rows = models.iter().flat_map(|model| &model.rows);
    let dates = rows.flat_map(|row| [row.attributes.deprecated_at, row.attributes.retires_at]);
    let mut dates: Vec<Timestamp> = dates.flatten().collect();
    dates.sort_unstable();
    dates
}

/// The index of each whole id in `models`.
fn places(models: &[ServedModel]) -> HashMap<String, usize> {
    models
        .iter()
        .enumerate()
        .map(|(place, model)| (model.id.clone(), place))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::model::{
        attributes::Attributes,
        source::Role,
        state::{SourceContent, StoredModel},
    };

    const ENDPOINTS: [&str; 2] = ["box", "zed"];
    const PROVIDERS: [&str; 5] = ["acme", "anthropic", "google", "openai", "zzz"];

    pub(super) fn model(source: &str, id: &str, created: i64) -> Arc<StoredModel> {
        Arc::new(StoredModel {
            source: source.parse().expect("a name"),
            role: match ENDPOINTS.contains(&source) {
                true => Role::Endpoint,
                false => Role::Provider,
            },
            model_id: id.to_owned(),
            attributes: Attributes {
                created,
                ..Attributes::default()
            },
        })
    }

    pub(super) fn content(mut models: Vec<Arc<StoredModel>>) -> Content {
        // The order in which the database gives them must not matter.
        models.reverse();
        let source = |role| {
            move |name: &str| SourceContent {
                name: name.parse().expect("a name"),
                role,
                models: 0,
                is_known: true,
            }
        };
        let providers = PROVIDERS.into_iter().map(source(Role::Provider));
        let endpoints = ENDPOINTS.into_iter().map(source(Role::Endpoint));
        Content {
            revision: 7,
            models,
            sources: providers.chain(endpoints).collect(),
        }
    }

    pub(super) fn entries(snapshot: &Snapshot) -> Vec<Value> {
        let list: Value = serde_json::from_slice(&snapshot.list.bytes).expect("JSON");
        assert_eq!(list["object"], "list");
        list["data"].as_array().expect("an array").clone()
    }

    #[test]
    fn merges_in_the_documented_order() {
        let snapshot = Snapshot::build(content(vec![
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
    }

    #[test]
    fn one_local_id_on_two_endpoints_is_one_entry() {
        let snapshot = Snapshot::build(content(vec![
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
    fn a_local_model_cannot_stand_in_for_a_cloud_model() {
        let build = |models, is_known| {
            let mut content = content(models);
            for source in &mut content.sources {
                source.is_known = is_known;
            }
            let entries = entries(&Snapshot::build(content).expect("a snapshot"));
            let id = |entry: &Value| format!("{} of {}", entry["id"], entry["owned_by"]);
            entries.iter().map(id).collect::<Vec<_>>().join(", ")
        };
        let local = model("box", "openai:o", 2);
        assert_eq!(
            build(vec![model("openai", "o", 1), local.clone()], true),
            r#""box:openai:o" of "lb", "openai:o" of "openai""#
        );
        assert_eq!(
            build(vec![local.clone()], true),
            r#""box:openai:o" of "lb""#
        );
        assert_eq!(build(vec![local], false), r#""openai:o" of "lb""#);
    }

    #[test]
    fn ids_are_found_in_any_case() {
        let snapshot = Snapshot::build(content(vec![
            model("openai", "Big", 1),
            model("box", "m:7b", 2),
        ]))
        .expect("a snapshot");
        let find = |id| {
            let model = snapshot.find_in_any_case(id);
            model.map(|model| model.id.as_str())
        };
        assert_eq!(find("OPENAI:big"), Some("openai:Big"));
        assert_eq!(find("openai:bigger"), None);
    }

    #[test]
    fn an_empty_list_is_an_array() {
        let snapshot = Snapshot::build(Content::default()).expect("a snapshot");
        assert_eq!(&snapshot.list.bytes[..], br#"{"object":"list","data":[]}"#);
    }

    #[test]
    fn etags_follow_the_content_alone() {
        let build = |models| Snapshot::build(content(models)).expect("a snapshot");
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
            one.entry(one.find("openai:o").expect("the model")).etag
        );
    }

    /// Also those of a row whose model shows another source's attributes.
    #[test]
    fn the_dates_of_every_row_count() {
        let ending = |source, deprecated_at: Option<i64>, retires_at| {
            let mut row = model(source, "m:7b", 1);
            let attributes = &mut Arc::make_mut(&mut row).attributes;
            attributes.deprecated_at = deprecated_at.map(Timestamp::from_millis);
            attributes.retires_at = Some(Timestamp::from_millis(retires_at));
            row
        };
        let rows = vec![ending("box", None, 30), ending("zed", Some(10), 20)];
        let snapshot = Snapshot::build(content(rows)).expect("a snapshot");
        let passed = [9, 10, 29, 30].map(|at| snapshot.count_passed(Timestamp::from_millis(at)));
        assert_eq!(passed, [0, 1, 2, 3]);
    }

    #[test]
    fn models_share_the_lists_bytes() {
        let snapshot = Snapshot::build(content(vec![model("openai", "o", 1)])).expect("a snapshot");
        let model = snapshot.find("openai:o").expect("the model");
        let body = snapshot.entry(model).bytes;
        assert!(snapshot.list.bytes.as_ptr_range().contains(&body.as_ptr()));
    }
}
