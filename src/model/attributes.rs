//! What a source says of one model, as clients read it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::time::Timestamp;

/// What a source said about a model and clients read: the served columns, which are the columns
/// that are compared. A field is absent when the source did not say it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// Unix seconds; 0 where the source said nothing. Keeps its first value.
    pub created: i64,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// What it is, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Tokens that fit into the model's input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_window: Option<i64>,
    /// Tokens that the model can answer at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<i64>,
    /// What it takes, in the source's own words: `text`, `image`, … Sorted, as all lists here are:
    /// some servers give them in another order each time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub input_modalities: Vec<String>,
    /// What it gives.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub output_modalities: Vec<String>,
    /// What it can do, in the source's own words: `vision`, `tools`, `thinking`, …
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// The methods that it can be called with: Google's `generateContent`, …
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub supported_methods: Vec<String>,
    /// Its prices, as the source gives them: fields, units and number formats differ.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub pricing: Map<String, Value>,
    /// Up to when its knowledge goes, as the source writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub knowledge_cutoff: Option<String>,
    /// The stage of its life in the source's own word: `active`, `deprecated`, `retired`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<String>,
    /// Since when it is, or will be, deprecated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated_at: Option<Timestamp>,
    /// When it is to be shut down. A date that has passed does not mean that it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retires_at: Option<Timestamp>,
    /// The source's id of the model that this is another name of, by the settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias_of: Option<String>,
    /// The fields that are not the source's own word, and whose they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub enriched: BTreeMap<String, String>,
}

impl Attributes {
    /// The fields that are there, by name.
    pub fn fields(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(fields)) => fields,
            // Only a map with keys that are no text could not be written.
            _ => Map::default(),
        }
    }

    /// Takes over what `known`, which is the word of `who`, says and `self` does not.
    pub fn fill(&mut self, known: &Self, who: &str) {
        let mut fill = |name: &str, filled: bool| {
            if filled {
                self.enriched.insert(name.to_owned(), who.to_owned());
            }
        };
        fill(
            "context_window",
            fill_in(&mut self.context_window, known.context_window.as_ref()),
        );
        fill(
            "max_output_tokens",
            fill_in(
                &mut self.max_output_tokens,
                known.max_output_tokens.as_ref(),
            ),
        );
        fill(
            "knowledge_cutoff",
            fill_in(&mut self.knowledge_cutoff, known.knowledge_cutoff.as_ref()),
        );
        if self.pricing.is_empty() && !known.pricing.is_empty() {
            self.pricing = known.pricing.clone();
            fill("pricing", true);
        }
    }

    /// What the source itself said.
    pub fn without_enrichment(mut self) -> Self {
        for name in std::mem::take(&mut self.enriched).into_keys() {
            match name.as_str() {
                "context_window" => self.context_window = None,
                "max_output_tokens" => self.max_output_tokens = None,
                "knowledge_cutoff" => self.knowledge_cutoff = None,
                "pricing" => self.pricing = Map::default(),
                _ => {}
            }
        }
        self
    }

    /// The names of the fields in which `self` and `other` differ.
    pub fn differing_fields(&self, other: &Self) -> Vec<String> {
        if self == other {
            return Vec::new();
        }
        let (mine, theirs) = (self.fields(), other.fields());
        let names: BTreeSet<&String> = mine.keys().chain(theirs.keys()).collect();
        names
            .into_iter()
            .filter(|name| mine.get(*name) != theirs.get(*name))
            .cloned()
            .collect()
    }
}

/// Whether `field` was empty and is now what is `known`.
fn fill_in<T: Clone>(field: &mut Option<T>, known: Option<&T>) -> bool {
    if field.is_some() || known.is_none() {
        return false;
    }
    *field = known.cloned();
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enrichment_fills_in_what_is_not_said_and_can_be_taken_away_again() {
        let said = Attributes {
            context_window: Some(1),
            ..Attributes::default()
        };
        let known = Attributes {
            created: 5,
            display_name: Some("X".to_owned()),
            context_window: Some(2),
            max_output_tokens: Some(3),
            knowledge_cutoff: Some("2026".to_owned()),
            pricing: Map::from_iter([("input".to_owned(), 1.into())]),
            ..Attributes::default()
        };
        let mut filled = said.clone();
        filled.fill(&known, "elsewhere");
        let expected = serde_json::json!({
            "created": 0, "context_window": 1, "max_output_tokens": 3, "knowledge_cutoff": "2026",
            "pricing": {"input": 1},
            "enriched": {"knowledge_cutoff": "elsewhere", "max_output_tokens": "elsewhere", "pricing": "elsewhere"},
        });
        assert_eq!(Value::from(filled.fields()), expected);
        assert_eq!(filled.without_enrichment(), said);
    }
}
