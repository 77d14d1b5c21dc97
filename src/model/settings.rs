//! The settings that the store keeps: everything about a source except its URL and its key.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::{
    glob::Pattern,
    source::{Kind, Role, SourceName},
};

/// The rules of one source. Globs match the source's own ids; `*` also matches `/`. The store keeps
/// the rules as written, so that every process on a database follows the `serve` that started last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rules {
    /// Serves only models that match one of these; empty serves all.
    pub include: Vec<Pattern>,
    /// Hides models that match one of these.
    pub exclude: Vec<Pattern>,
    /// Aliases: new id to the source's own id of the target.
    pub aliases: BTreeMap<String, String>,
}

/// The settings of one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceSettings {
    /// Its name. For a provider, also the prefix of its model ids.
    pub name: SourceName,
    /// Provider or endpoint.
    pub role: Role,
    /// The list API that it speaks; [`Kind::Enrichment`] for the enrichment file.
    pub kind: Kind,
    /// How long its listing is fresh.
    pub ttl: TimeDelta,
    /// How long stale models stay in the list before the source is hidden; none for ever.
    pub max_stale: Option<TimeDelta>,
    /// Identifies its base URL. A hash, because a URL may hold a secret in its path.
    pub address: String,
    /// Which models to serve, and their aliases.
    pub rules: Rules,
}

/// The settings of one webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WebhookSettings {
    /// Its name.
    pub name: SourceName,
    /// Identifies its URL. A hash, because a URL may hold a secret.
    pub address: String,
}

/// The settings of a catalog.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CatalogSettings {
    /// The configured sources.
    pub sources: Vec<SourceSettings>,
    /// Endpoints that discovery may find. Those that the database knows count as configured.
    pub discoverable: Vec<SourceSettings>,
    /// The enrichment file, which fills in the fields that sources omit.
    pub enrichment: Option<SourceSettings>,
    /// The webhooks.
    pub webhooks: Vec<WebhookSettings>,
    /// The whole ids of the watched models.
    pub watched: Vec<String>,
}
