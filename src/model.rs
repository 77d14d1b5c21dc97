//! The plain types that everything else speaks of: sources, models, listings. No I/O.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::time::Timestamp;

/// The name of a source: 1 to 64 characters of `a-z 0-9 _ . -`, the first a letter or digit.
///
/// It has no colon, so `name:` in front of a cloud model's id is unambiguous.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SourceName(String);

impl SourceName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A source name that breaks the rule of [`SourceName`].
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` cannot name a source: use 1 to 64 of a-z, 0-9, `_`, `.` and `-`, starting with a letter or digit"
)]
pub struct BadSourceName(String);

impl FromStr for SourceName {
    type Err = BadSourceName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let usable = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let good = text.bytes().next().is_some_and(usable)
            && text.len() <= 64
            && text
                .bytes()
                .all(|byte| usable(byte) || b"_.-".contains(&byte));
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadSourceName(text.to_owned()))
        }
    }
}

impl TryFrom<String> for SourceName {
    type Error = BadSourceName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl AsRef<str> for SourceName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl From<SourceName> for String {
    fn from(name: SourceName) -> Self {
        name.0
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a source is a cloud service or a local inference server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A local inference server. Its ids are served as they are.
    Endpoint,
    /// A cloud service. Its ids are served as `name:model_id`.
    Provider,
}

impl Role {
    /// What clients call the model `id` of the source `name`.
    pub fn whole_id(self, name: &SourceName, id: &str) -> String {
        match self {
            Self::Endpoint => id.to_owned(),
            Self::Provider => format!("{name}:{id}"),
        }
    }

    /// `provider` or `endpoint`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Endpoint => "endpoint",
        }
    }
}

/// The list API that a source speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// OpenAI's, and that of every compatible provider and server.
    OpenAi,
    /// Google's Gemini API.
    Google,
    /// Anthropic's.
    Anthropic,
    /// Azure OpenAI's: OpenAI's with another header for the key.
    Azure,
    /// Cohere's.
    Cohere,
    /// OpenRouter's: OpenAI's, asked for models of every output.
    OpenRouter,
    /// Ollama's own `/api/tags`.
    Ollama,
    /// An endpoint's, not known yet: recognised by what it answers.
    Auto,
    /// A file that describes many providers' models: models.dev's form, or LiteLLM's.
    #[serde(skip)]
    Enrichment,
}

impl Kind {
    /// The name used in configuration, database and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Google => "google",
            Self::Anthropic => "anthropic",
            Self::Azure => "azure",
            Self::Cohere => "cohere",
            Self::OpenRouter => "openrouter",
            Self::Ollama => "ollama",
            Self::Auto => "auto",
            Self::Enrichment => "enrichment",
        }
    }
}

/// Where a source stands in the list: endpoints first, then openai, google, anthropic, then the
/// other providers by name. Sort by it.
pub fn source_order(role: Role, name: &str) -> (u8, &str) {
    match (role, name) {
        (Role::Endpoint, _) => (0, name),
        (Role::Provider, "openai") => (1, name),
        (Role::Provider, "google") => (2, name),
        (Role::Provider, "anthropic") => (3, name),
        (Role::Provider, _) => (4, name),
    }
}

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

/// The longest usable model id, in bytes.
const MAX_ID_BYTES: usize = 512;

/// Whether a model can be listed under `id`.
pub fn is_usable_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= MAX_ID_BYTES && !id.chars().any(char::is_control)
}

/// One model as a source listed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The id as the source gave it (Google's without its leading `models/`).
    pub id: String,
    /// What clients read.
    pub attributes: Attributes,
    /// The entry as the source sent it, JSON.
    pub raw: String,
    /// The rule of the settings that keeps it from being served.
    pub hidden_by: Option<String>,
}

/// What a source told of one model beyond its list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detail {
    /// What it is true of (Ollama's digest); empty where that is not told.
    pub version: String,
    /// What was learnt. The list's own word comes first.
    pub attributes: Attributes,
}

/// What a source told of its models beyond its list, by model id.
pub type Details = BTreeMap<String, Detail>;

/// What one source said at one time, all pages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The models, each id once, in the source's order.
    pub entries: Vec<Entry>,
    /// Malformed entries that were left out.
    pub skipped: usize,
    /// Pages read.
    pub pages: usize,
    /// What is known of the models beyond the list; the entries say it too.
    pub details: Details,
}

/// The age of a source's listing against its TTL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Younger than its TTL.
    Fresh,
    /// Older than its TTL.
    Stale,
    /// Never obtained.
    Missing,
}

impl Freshness {
    /// The freshness at `now` of a listing fetched at `fetched_at`. One that claims to be from
    /// more than five minutes ahead (a clock was set back) is stale.
    pub fn of(fetched_at: Option<Timestamp>, ttl: TimeDelta, now: Timestamp) -> Self {
        match fetched_at {
            None => Self::Missing,
            Some(at) if now.since(at) < ttl && at.since(now) <= TimeDelta::minutes(5) => {
                Self::Fresh
            }
            Some(_) => Self::Stale,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

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

    #[rstest]
    #[case("openai", true)]
    #[case("0box.lan-2_x", true)]
    #[case("", false)]
    #[case("-x", false)]
    #[case("OpenAI", false)]
    #[case("a:b", false)]
    #[case("a/b", false)]
    fn source_names(#[case] text: &str, #[case] good: bool) {
        assert_eq!(text.parse::<SourceName>().is_ok(), good);
        assert!("x".repeat(64).parse::<SourceName>().is_ok());
        assert!("x".repeat(65).parse::<SourceName>().is_err());
    }

    #[rstest]
    #[case::never(None, Freshness::Missing)]
    #[case::just_now(Some(0), Freshness::Fresh)]
    #[case::last_moment(Some(-59_999), Freshness::Fresh)]
    #[case::expired(Some(-60_000), Freshness::Stale)]
    #[case::a_little_ahead(Some(300_000), Freshness::Fresh)]
    #[case::far_ahead(Some(300_001), Freshness::Stale)]
    fn freshness(#[case] fetched_ms: Option<i64>, #[case] expected: Freshness) {
        let now = Timestamp::from_millis(1_800_000_000_000);
        let fetched_at = fetched_ms.map(|ms| now.plus(TimeDelta::milliseconds(ms)));
        assert_eq!(
            Freshness::of(fetched_at, TimeDelta::seconds(60), now),
            expected
        );
    }
}
