//! Parts of a snapshot: the models that one key may see, or that a request's filters choose.
//! Unchanged entries are copied as bytes. A part is cached in its snapshot and dropped with it.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, OnceLock},
};

use quick_cache::{Weighter, sync::Cache};

use super::{
    Snapshot,
    body::Body,
    dialect::openai::{HEAD, TAIL},
    fields::write_fields,
    list::List,
    merge::ServedModel,
    places,
    retiring::Retiring,
};
use crate::model::{scope::Scope, source::SourceName, state::StoredModel};

/// The most parts cached per snapshot.
const MAX_PARTS: usize = 256;
/// The approximate memory limit of these parts, in bytes.
const PARTS_BYTES: u64 = 64 << 20;
/// The longest cached part name, in bytes.
const MAX_NAME_BYTES: usize = 1024;

/// A rule that selects a part of a snapshot.
pub trait Restriction {
    /// Whether the part includes the row of `source` for the model with this whole id.
    fn wants_row(&self, source: &SourceName, id: &str) -> bool;

    /// Whether a model of `source` may name the model with this whole id as its alias target.
    fn shows_alias(&self, _source: &SourceName, _id: &str) -> bool {
        true
    }

    /// Whether the part includes `model`, given its included rows.
    fn wants_model(&self, _model: &ServedModel) -> bool {
        true
    }
}

impl Restriction for Scope {
    fn wants_row(&self, source: &SourceName, id: &str) -> bool {
        self.allows(source, id)
    }

    fn shows_alias(&self, source: &SourceName, id: &str) -> bool {
        self.allows(source, id)
    }
}

/// A cache of parts by name. Most snapshots have none.
#[derive(Default)]
pub struct PartCache(OnceLock<Cache<String, Arc<Snapshot>, BySize>>);

impl PartCache {
    fn cache(&self) -> &Cache<String, Arc<Snapshot>, BySize> {
        self.0
            .get_or_init(|| Cache::with_weighter(MAX_PARTS, PARTS_BYTES, BySize))
    }
}

impl fmt::Debug for PartCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let len = self.0.get().map_or(0, Cache::len);
        f.debug_struct("PartCache").field("len", &len).finish()
    }
}

/// Weighs parts by their approximate memory, in bytes.
#[derive(Clone, Copy, Debug)]
struct BySize;

impl Weighter<String, Arc<Snapshot>> for BySize {
    fn weight(&self, name: &String, part: &Arc<Snapshot>) -> u64 {
        let models = part.models.len() * (size_of::<ServedModel>() + 4 * size_of::<String>());
        let bytes = (name.len() + part.list.bytes.len() + models) as u64;
        bytes.max(PARTS_BYTES / MAX_PARTS as u64)
    }
}

impl Snapshot {
    /// The part of this snapshot that `restriction` selects. Fails only when serializing fails.
    pub fn restrict(&self, restriction: &impl Restriction) -> Result<Self, serde_json::Error> {
        let mut list = List::default();
        for model in &self.models {
            let wants = |source: &SourceName| restriction.wants_row(source, &model.id);
            let wanted = model.sources().filter(|source| wants(source)).count();
            let shows_alias = |row: &StoredModel| {
                row.attributes.alias_of.as_ref().is_none_or(|id| {
                    let id = row.role.whole_id(&row.source, id);
                    restriction.shows_alias(&row.source, &id)
                })
            };
            let is_whole = model.rows.iter().all(|row| shows_alias(row));
            if wanted == model.rows.len() && is_whole {
                if restriction.wants_model(model) {
                    list.push_written(model.clone(), &self.list.bytes[model.entry.clone()]);
                }
            } else if wanted > 0 {
                let mut part = model.clone();
                part.rows.retain(|row| wants(&row.source));
                for row in &mut part.rows {
                    if !shows_alias(row) {
                        Arc::make_mut(row).attributes.alias_of = None;
                    }
                }
                if restriction.wants_model(&part) {
                    list.push(part)?;
                }
            }
        }
        let (list, models) = list.finish();
        Ok(Self {
            revision: self.revision,
            list,
            shadowed: self
                .shadowed
                .iter()
                .filter(|(source, id)| restriction.wants_row(source, id))
                .cloned()
                .collect(),
            retiring: Retiring::list(&models),
            counts: self.counts.clone(),
            providers: self.providers.clone(),
            places: places(&models),
            lower_case_places: OnceLock::new(),
            models,
            parts: PartCache::default(),
        })
    }

    /// The part called `name`, from the cache or built with `make`.
    pub fn part(
        &self,
        name: &str,
        make: impl FnOnce() -> Result<Self, serde_json::Error>,
    ) -> Result<Arc<Self>, serde_json::Error> {
        let make = || make().map(Arc::new);
        if name.len() > MAX_NAME_BYTES {
            return make();
        }
        self.parts.cache().get_or_insert_with(name, make)
    }

    /// The list with only the `wanted` fields and the id of each entry.
    pub fn list_fields(&self, wanted: &BTreeSet<String>) -> Result<Body, serde_json::Error> {
        let mut list = Vec::new();
        for model in &self.models {
            list.extend_from_slice(if list.is_empty() { HEAD } else { b"," });
            let entry = &self.list.bytes[model.entry.clone()];
            write_fields(entry, wanted, &mut list)?;
        }
        if list.is_empty() {
            list.extend_from_slice(HEAD);
        }
        list.extend_from_slice(TAIL);
        Ok(Body::of(list.into()))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use serde_json::json;

    use super::*;
    use crate::snapshot::tests::{content, entries, model};

    struct Sources(&'static [&'static str]);

    impl Restriction for Sources {
        fn wants_row(&self, source: &SourceName, _id: &str) -> bool {
            self.0.contains(&source.as_str())
        }
    }

    fn snapshot() -> Snapshot {
        Snapshot::build(content(vec![
            model("openai", "o", 1),
            model("google", "g", 2),
            model("box", "m:7b", 3),
            model("zed", "m:7b", 4),
            model("zed", "openai:o", 5),
        ]))
        .expect("a snapshot")
    }

    #[test]
    fn a_part_is_what_would_be_built_of_its_rows() {
        let part = snapshot()
            .restrict(&Sources(&["zed", "google"]))
            .expect("made");
        let built = Snapshot::build(content(vec![
            model("google", "g", 2),
            model("zed", "m:7b", 4),
        ]))
        .expect("a snapshot");
        assert_eq!(part.list.bytes, built.list.bytes);
        assert_eq!(part.list.etag, built.list.etag);
        assert_eq!(entries(&part)[0]["endpoints"], json!(["zed"]));
        assert!(part.find("openai:o").is_none());
        let entry = part.find_entry("google:g").expect("listed");
        let entry: serde_json::Value = serde_json::from_slice(&entry.bytes).expect("JSON");
        assert_eq!(entry["id"], "google:g");
        assert_eq!(part.shadowed.len(), 1);
        assert!(
            snapshot()
                .restrict(&Sources(&["box"]))
                .expect("made")
                .shadowed
                .is_empty()
        );
        let nothing = snapshot().restrict(&Sources(&[])).expect("made");
        assert_eq!(&nothing.list.bytes[..], br#"{"object":"list","data":[]}"#);
    }

    #[test]
    fn a_part_is_made_once() {
        let snapshot = snapshot();
        let made = Cell::new(0);
        let get = |name: &str| {
            let make = || {
                made.set(made.get() + 1);
                snapshot.restrict(&Sources(&["zed"]))
            };
            snapshot.part(name, make).expect("made");
            made.get()
        };
        assert_eq!([get("a"), get("a"), get("b"), get("a")], [1, 1, 2, 2]);
        let long = "x".repeat(MAX_NAME_BYTES + 1);
        assert_eq!([get(&long), get(&long)], [3, 4], "too long to be kept");
        for number in 0..2 * MAX_PARTS {
            get(&number.to_string());
        }
        let kept = snapshot.parts.cache().len();
        assert!((1..=MAX_PARTS).contains(&kept), "{kept}");
    }

    #[test]
    fn fields_are_chosen() {
        let wanted = BTreeSet::from(["created".to_owned(), "owned_by".to_owned()]);
        let list = snapshot().list_fields(&wanted).expect("written");
        let list: serde_json::Value = serde_json::from_slice(&list.bytes).expect("JSON");
        assert_eq!(list["object"], "list");
        assert_eq!(
            list["data"][1],
            json!({"id": "openai:o", "created": 1, "owned_by": "openai"})
        );
        let list = snapshot()
            .list_fields(&BTreeSet::default())
            .expect("written");
        let list: serde_json::Value = serde_json::from_slice(&list.bytes).expect("JSON");
        assert_eq!(list["data"][0], json!({"id": "m:7b"}));
    }
}
