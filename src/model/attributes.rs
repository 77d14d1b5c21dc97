//! The attributes of one model, as clients read them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::time::Timestamp;

/// The attributes of a model that clients read: the columns that are served and compared.
/// Attributes that the source does not report are absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attributes {
    /// Unix seconds; 0 when the source reports none. Keeps its first value.
    pub created: i64,
    /// A human-readable name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// A human-readable description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Input limit, in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_window: Option<i64>,
    /// What `context_window` could be set to, in tokens; none unless it is set to a limit of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_context_window: Option<i64>,
    /// Output limit, in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<i64>,
    /// Accepted input, in the source's own words: `text`, `image`, … Sorted, like all lists here:
    /// some servers change the order with each answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub input_modalities: Vec<String>,
    /// Produced output, in the source's own words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub output_modalities: Vec<String>,
    /// Capabilities, in the source's own words: `vision`, `tools`, `thinking`, …
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// The methods it can be called with: Google's `generateContent`, …
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub supported_methods: Vec<String>,
    /// Its prices as the source reports them. Fields, units and number formats differ.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = BTreeMap<String, Value>)]
    pub pricing: Map<String, Value>,
    /// The date where its training data ends, as the source writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub knowledge_cutoff: Option<String>,
    /// Its lifecycle stage, in the source's own word: `active`, `deprecated`, `retired`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<String>,
    /// When it was or will be deprecated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated_at: Option<Timestamp>,
    /// When it will be shut down. A past date does not mean that it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retires_at: Option<Timestamp>,
    /// For an alias from the settings: the source's own id of its target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias_of: Option<String>,
    /// The fields that did not come from the source, with the name of the enrichment that filled
    /// them in.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub enriched: BTreeMap<String, String>,
}

impl Attributes {
    /// The present attributes, by field name.
    pub fn fields(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(fields)) => fields,
            // Serializing fails only for maps with keys that are not text; this has none.
            _ => Map::default(),
        }
    }

    /// Fills in missing attributes from `known` and marks them with the name `origin`.
    pub fn fill(&mut self, known: &Self, origin: &str) {
        let mut fill = |name: &str, filled: bool| {
            if filled {
                self.enriched.insert(name.to_owned(), origin.to_owned());
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

    /// These attributes without the filled-in ones.
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

    /// The names of the fields that differ between `self` and `other`.
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

/// Sets an empty `field` to `known`; returns whether it did.
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
        let reported = Attributes {
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
        let mut filled = reported.clone();
        filled.fill(&known, "elsewhere");
        let expected = serde_json::json!({
            "created": 0, "context_window": 1, "max_output_tokens": 3, "knowledge_cutoff": "2026",
            "pricing": {"input": 1},
            "enriched": {"knowledge_cutoff": "elsewhere", "max_output_tokens": "elsewhere", "pricing": "elsewhere"},
        });
        assert_eq!(Value::from(filled.fields()), expected);
        assert_eq!(filled.without_enrichment(), reported);
    }
}
