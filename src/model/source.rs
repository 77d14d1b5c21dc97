//! Sources: their names, roles and kinds, the freshness of their listings, and why they are hidden.

use std::{borrow::Borrow, fmt, str::FromStr};

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::time::Timestamp;

/// The name of a source: 1 to 64 characters of `a-z 0-9 _ . -`, the first a letter or digit.
///
/// It has no colon, so `name:` in front of a cloud model's id is unambiguous.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, pattern = "^[a-z0-9][a-z0-9_.-]{0,63}$", examples("openai"))]
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

impl Borrow<str> for SourceName {
    fn borrow(&self) -> &str {
        &self.0
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
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A local inference server. Its ids are served as they are, unless they read as another source's.
    Endpoint,
    /// A cloud service. Its ids are served as `name:model_id`.
    Provider,
}

impl Role {
    /// `provider` or `endpoint`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Endpoint => "endpoint",
        }
    }
}

/// The list API that a source speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// OpenAI's API, also used by every compatible provider and server.
    OpenAi,
    /// Google's Gemini API.
    Google,
    /// Anthropic's API.
    Anthropic,
    /// Azure OpenAI's API: like OpenAI's, with another header for the key.
    Azure,
    /// Cohere's API.
    Cohere,
    /// OpenRouter's API: like OpenAI's, with models of every output modality.
    OpenRouter,
    /// Ollama's own `/api/tags`.
    Ollama,
    /// Amazon Bedrock's API: models first, then inference profiles.
    Bedrock,
    /// Cloudflare Workers AI's API.
    Cloudflare,
    /// An endpoint's API that is not known yet. The catalog detects it from the answers.
    Auto,
    /// A file about many providers' models, in the form of models.dev or LiteLLM.
    #[serde(skip)]
    Enrichment,
}

impl Kind {
    /// The name used in settings, the database and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Google => "google",
            Self::Anthropic => "anthropic",
            Self::Azure => "azure",
            Self::Cohere => "cohere",
            Self::OpenRouter => "openrouter",
            Self::Ollama => "ollama",
            Self::Bedrock => "bedrock",
            Self::Cloudflare => "cloudflare",
            Self::Auto => "auto",
            Self::Enrichment => "enrichment",
        }
    }
}

/// The sort key of a source in the list: endpoints first, then openai, google and anthropic, then
/// the other providers by name.
pub fn source_order(role: Role, name: &str) -> (u8, &str) {
    match (role, name) {
        (Role::Endpoint, _) => (0, name),
        (Role::Provider, "openai") => (1, name),
        (Role::Provider, "google") => (2, name),
        (Role::Provider, "anthropic") => (3, name),
        (Role::Provider, _) => (4, name),
    }
}

/// Why a source's models are kept but not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum HiddenReason {
    /// The settings no longer contain the source.
    Unconfigured,
    /// It has been stale for longer than `max_stale`.
    Unreachable,
    /// The source has refused its key for a day.
    Refused,
    /// The source has ended: it answers 410, or its host no longer exists.
    Gone,
}

impl HiddenReason {
    /// The name used in the database and in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unconfigured => "unconfigured",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::Gone => "gone",
        }
    }
}

/// The age of a source's listing against its TTL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Younger than its TTL.
    Fresh,
    /// Older than its TTL.
    Stale,
    /// Never fetched.
    Missing,
}

impl Freshness {
    /// The freshness at `now` of a listing fetched at `fetched_at`. A time more than five minutes
    /// ahead (a clock was set back) counts as stale.
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
