//! Parts of a snapshot: the models that one key may see, or that a request's filters choose.
//! Unchanged entries are copied as bytes.

use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
};

use super::{
    Snapshot,
    body::Body,
    dates,
    dialect::openai::{HEAD, TAIL},
    fields::write_fields,
    list::List,
    merge::{ServedModel, merge},
    places,
    retiring::Retiring,
};
use crate::model::{names::Names, scope::Scope, state::StoredModel};

/// A rule that selects a part of a snapshot.
pub trait Restriction {
    /// What models are called in the part, given the `names` in the whole.
    fn names(&self, names: &Names) -> Names {
        names.clone()
    }

    /// Whether the part includes `row`, by its `names`.
    fn wants_row(&self, names: &Names, row: &StoredModel) -> bool;

    /// Whether a model of the part may name `alias_of`, another one of its source, as its target.
    fn shows_alias(&self, _names: &Names, _row: &StoredModel, _alias_of: &str) -> bool {
        true
    }

    /// Whether the part includes `model`, given its included rows.
    fn wants_model(&self, _model: &ServedModel) -> bool {
        true
    }
}

impl Restriction for Scope {
    fn names(&self, names: &Names) -> Names {
        names.within(self)
    }

    fn wants_row(&self, names: &Names, row: &StoredModel) -> bool {
        self.shows_alias(names, row, &row.model_id)
    }

    fn shows_alias(&self, names: &Names, row: &StoredModel, alias_of: &str) -> bool {
        self.allows_source(row.source.as_str())
            && (self.has_all_models()
                || self.allows_id(&names.id_of(row.role, &row.source, alias_of)))
    }
}

impl Snapshot {
    /// The part of this snapshot that `restriction` selects: what would be listed if it had only those
    /// rows. Fails only when serializing fails.
    pub fn restrict(&self, restriction: &impl Restriction) -> Result<Self, serde_json::Error> {
        let names = restriction.names(&self.names);
        let seen = |row: &Arc<StoredModel>| {
            if !restriction.wants_row(&names, row) {
                return None;
            }
            let mut row = row.clone();
            if let Some(alias_of) = &row.attributes.alias_of
                && !restriction.shows_alias(&names, &row, alias_of)
            {
                Arc::make_mut(&mut row).attributes.alias_of = None;
            }
            Some(row)
        };
        let rows = self.models.iter().flat_map(|model| &model.rows);
        let mut list = List::default();
        for model in merge(rows.filter_map(seen).collect(), &names) {
            if !restriction.wants_model(&model) {
                continue;
            }
            match self.find(&model.id).filter(|whole| whole.is_same(&model)) {
                Some(whole) => {
                    let entry = whole.entry.clone();
                    list.push_written(model, &self.list.bytes[entry]);
                }
                None => list.push(model)?,
            }
        }
        let (list, models) = list.finish();
        Ok(Self {
            revision: self.revision,
            list,
            retiring: Retiring::list(&models),
            dates: dates(&models),
            counts: self.counts.clone(),
            names,
            places: places(&models),
            lower_case_places: OnceLock::new(),
            models,
            origin: self.origin.of_part(),
            remembered: self.remembered.clone(),
        })
    }

    /// The part called `name`, if it is remembered.
    pub fn cached_part(&self, name: &str) -> Option<Arc<Self>> {
        self.remembered.part(self.origin, name)
    }

    /// The part called `name`, remembered or built with `make`.
    pub fn part(
        &self,
        name: &str,
        make: impl FnOnce() -> Result<Self, serde_json::Error>,
    ) -> Result<Arc<Self>, serde_json::Error> {
        self.remembered.part_or_make(self.origin, name, make)
    }

    /// The body called `name` that was made of this snapshot, if it is remembered.
    pub fn cached_body(&self, name: &str) -> Option<Body> {
        self.remembered.body(self.origin, name)
    }

    /// Remembers `bytes`, called `name`, that were made of this snapshot.
    pub fn keep_body(&self, name: &str, bytes: Vec<u8>) -> Body {
        let body = Body::kept(bytes.into());
        self.remembered.keep_body(self.origin, name, body.clone());
        body
    }

    /// The list with only the `wanted` fields and the id of each entry.
    pub fn list_fields(&self, wanted: &BTreeSet<String>) -> Result<Vec<u8>, serde_json::Error> {
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
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::snapshot::tests::{content, entries, model};

    struct Sources(&'static [&'static str]);

    impl Restriction for Sources {
        fn names(&self, names: &Names) -> Names {
            let mut scope = Scope::default();
            for source in self.0 {
                scope.add_source(source);
            }
            names.within(&scope)
        }

        fn wants_row(&self, _names: &Names, row: &StoredModel) -> bool {
            self.0.contains(&row.source.as_str())
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
        let mut only = content(vec![
            model("google", "g", 2),
            model("zed", "m:7b", 4),
            model("zed", "openai:o", 5),
        ]);
        only.sources
            .retain(|source| ["zed", "google"].contains(&source.name.as_str()));
        let built = Snapshot::build(only).expect("a snapshot");
        assert_eq!(part.list.bytes, built.list.bytes);
        assert_eq!(part.list.etag, built.list.etag);
        assert_eq!(entries(&part)[0]["endpoints"], json!(["zed"]));
        assert!(part.find("openai:o").expect("listed").is_local);
        let entry = part.entry(part.find("google:g").expect("listed"));
        let entry: serde_json::Value = serde_json::from_slice(&entry.bytes).expect("JSON");
        assert_eq!(entry["id"], "google:g");
        let nothing = snapshot().restrict(&Sources(&[])).expect("made");
        assert_eq!(&nothing.list.bytes[..], br#"{"object":"list","data":[]}"#);
    }

    #[test]
    fn fields_are_chosen() {
        let wanted = BTreeSet::from(["created".to_owned(), "owned_by".to_owned()]);
        let list = snapshot().list_fields(&wanted).expect("written");
        let list: serde_json::Value = serde_json::from_slice(&list).expect("JSON");
        assert_eq!(list["object"], "list");
        assert_eq!(
            list["data"][2],
            json!({"id": "openai:o", "created": 1, "owned_by": "openai"})
        );
        let list = snapshot()
            .list_fields(&BTreeSet::default())
            .expect("written");
        let list: serde_json::Value = serde_json::from_slice(&list).expect("JSON");
        assert_eq!(list["data"][0], json!({"id": "m:7b"}));
    }
}
