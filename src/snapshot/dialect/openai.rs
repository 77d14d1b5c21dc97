//! OpenAI's list: the four standard fields, and everything else known about a model.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;

use crate::{model::attributes::Attributes, snapshot::view::ModelView};

/// The bytes before the entries.
pub const HEAD: &[u8] = br#"{"object":"list","data":["#;
/// The bytes after the entries.
pub const TAIL: &[u8] = b"]}";

/// One entry of the list, with OpenAI's fields and ours.
pub struct Entry<'a> {
    id: &'a str,
    owned_by: &'a str,
    /// The name of the source that reported the values.
    source: &'a str,
    attributes: &'a Attributes,
    /// For an alias: the id of its target.
    alias_of: Option<&'a str>,
    endpoints: Vec<&'a str>,
}

impl<'a> Entry<'a> {
    /// The entry of `model`.
    pub fn of(model: &ModelView<'a>) -> Self {
        let ModelView {
            id,
            is_own,
            row,
            model,
            ..
        } = *model;
        let (source, attributes) = (row.source.as_str(), &row.attributes);
        Self {
            id,
            owned_by: &model.owned_by,
            source,
            attributes,
            alias_of: match is_own {
                true => attributes.alias_of.as_deref(),
                false => model.alias_of.as_deref(),
            },
            endpoints: match model.is_local && !is_own {
                true => model.sources().map(AsRef::as_ref).collect(),
                false => Vec::new(),
            },
        }
    }
}

// Written by hand for speed: each request for a past list serializes a thousand models or more.
impl Serialize for Entry<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Destructured so that a new field cannot be forgotten here.
        let Attributes {
            created,
            display_name,
            description,
            context_window,
            max_context_window,
            max_output_tokens,
            input_modalities,
            output_modalities,
            capabilities,
            supported_methods,
            pricing,
            knowledge_cutoff,
            lifecycle,
            deprecated_at,
            retires_at,
            alias_of: _,
            enriched: _,
        } = self.attributes;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", self.id)?;
        map.serialize_entry("object", "model")?;
        map.serialize_entry("created", created)?;
        map.serialize_entry("owned_by", self.owned_by)?;
        let mut values = KnownValues {
            map: &mut map,
            entry: self,
            origins: BTreeMap::new(),
        };
        values.value("display_name", display_name.as_ref())?;
        values.value("description", description.as_ref())?;
        values.value("context_window", context_window.as_ref())?;
        values.value("max_context_window", max_context_window.as_ref())?;
        values.value("max_output_tokens", max_output_tokens.as_ref())?;
        values.list("input_modalities", input_modalities)?;
        values.list("output_modalities", output_modalities)?;
        values.list("capabilities", capabilities)?;
        values.list("supported_methods", supported_methods)?;
        values.value("pricing", (!pricing.is_empty()).then_some(pricing))?;
        values.value("knowledge_cutoff", knowledge_cutoff.as_ref())?;
        values.value("lifecycle", lifecycle.as_ref())?;
        values.value("deprecated_at", deprecated_at.as_ref())?;
        values.value("retires_at", retires_at.as_ref())?;
        let origins = values.origins;
        if let Some(tokens) = context_window {
            // Clients read either name.
            map.serialize_entry("context_length", tokens)?;
        }
        if !origins.is_empty() {
            map.serialize_entry("metadata_source", &origins)?;
        }
        if let Some(alias_of) = &self.alias_of {
            map.serialize_entry("alias_of", alias_of)?;
        }
        if !self.endpoints.is_empty() {
            map.serialize_entry("endpoints", &self.endpoints)?;
        }
        map.end()
    }
}

/// Writes known values and records the origin of each one.
struct KnownValues<'a, 'e, 'm, M> {
    map: &'m mut M,
    entry: &'e Entry<'a>,
    origins: BTreeMap<&'static str, &'e str>,
}

impl<M: SerializeMap> KnownValues<'_, '_, '_, M> {
    fn value(
        &mut self,
        name: &'static str,
        value: Option<&impl Serialize>,
    ) -> Result<(), M::Error> {
        let Some(value) = value else {
            return Ok(());
        };
        let elsewhere = self.entry.attributes.enriched.get(name);
        let origin = elsewhere.map_or(self.entry.source, String::as_str);
        self.origins.insert(name, origin);
        self.map.serialize_entry(name, value)
    }

    fn list(&mut self, name: &'static str, list: &[String]) -> Result<(), M::Error> {
        self.value(name, (!list.is_empty()).then_some(&list))
    }
}

/// The fields that every client expects in every entry.
pub(super) fn standard_fields(model: &ModelView) -> Vec<(&'static str, Value)> {
    vec![
        ("id", model.id.into()),
        ("object", "model".into()),
        ("created", model.row.attributes.created.into()),
        ("owned_by", model.model.owned_by.as_str().into()),
    ]
}
