//! OpenAI's list: the four standard fields, and what else is known of a model.

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;

use crate::{model::attributes::Attributes, snapshot::view::ModelView};

/// What stands in front of the entries.
pub const HEAD: &[u8] = br#"{"object":"list","data":["#;
/// What stands behind them.
pub const TAIL: &[u8] = b"]}";

/// One entry of the list: OpenAI's fields and ours.
pub struct Entry<'a> {
    id: &'a str,
    owned_by: &'a str,
    /// Who says what is said.
    source: &'a str,
    attributes: &'a Attributes,
    /// The whole id of what it is another name of.
    alias_of: Option<Cow<'a, str>>,
    endpoints: Vec<&'a str>,
}

impl<'a> Entry<'a> {
    /// That of `model`.
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
            alias_of: attributes
                .alias_of
                .as_deref()
                .map(|id| match model.is_local || is_own {
                    true => id.into(),
                    false => format!("{source}:{id}").into(),
                }),
            endpoints: match model.is_local && !is_own {
                true => model.sources().map(AsRef::as_ref).collect(),
                false => Vec::new(),
            },
        }
    }
}

// By hand: a list of a thousand models of the past is written for each request that wants one.
impl Serialize for Entry<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Taken apart so that a new field cannot be forgotten here.
        let Attributes {
            created,
            display_name,
            description,
            context_window,
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
        let mut said = Said {
            map: &mut map,
            entry: self,
            who: BTreeMap::new(),
        };
        said.value("display_name", display_name.as_ref())?;
        said.value("description", description.as_ref())?;
        said.value("context_window", context_window.as_ref())?;
        said.value("max_output_tokens", max_output_tokens.as_ref())?;
        said.list("input_modalities", input_modalities)?;
        said.list("output_modalities", output_modalities)?;
        said.list("capabilities", capabilities)?;
        said.list("supported_methods", supported_methods)?;
        said.value("pricing", (!pricing.is_empty()).then_some(pricing))?;
        said.value("knowledge_cutoff", knowledge_cutoff.as_ref())?;
        said.value("lifecycle", lifecycle.as_ref())?;
        said.value("deprecated_at", deprecated_at.as_ref())?;
        said.value("retires_at", retires_at.as_ref())?;
        let who = said.who;
        if let Some(tokens) = context_window {
            // Clients read either.
            map.serialize_entry("context_length", tokens)?;
        }
        if !who.is_empty() {
            map.serialize_entry("metadata_source", &who)?;
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

/// Writes what somebody said, and remembers who.
struct Said<'a, 'e, 'm, M> {
    map: &'m mut M,
    entry: &'e Entry<'a>,
    who: BTreeMap<&'static str, &'e str>,
}

impl<M: SerializeMap> Said<'_, '_, '_, M> {
    fn value(
        &mut self,
        name: &'static str,
        value: Option<&impl Serialize>,
    ) -> Result<(), M::Error> {
        let Some(value) = value else {
            return Ok(());
        };
        let elsewhere = self.entry.attributes.enriched.get(name);
        let who = elsewhere.map_or(self.entry.source, String::as_str);
        self.who.insert(name, who);
        self.map.serialize_entry(name, value)
    }

    fn list(&mut self, name: &'static str, list: &[String]) -> Result<(), M::Error> {
        self.value(name, (!list.is_empty()).then_some(&list))
    }
}

/// What every client finds in every entry.
pub(super) fn standard_fields(model: &ModelView) -> Vec<(&'static str, Value)> {
    vec![
        ("id", model.id.into()),
        ("object", "model".into()),
        ("created", model.row.attributes.created.into()),
        ("owned_by", model.model.owned_by.as_str().into()),
    ]
}
