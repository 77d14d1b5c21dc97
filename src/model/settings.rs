//! What the store keeps of the settings: everything about a source but its URL and its key.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::{
    glob::Pattern,
    source::{Kind, Role, SourceName},
};

/// The rules of one source. Globs are matched against the source's own ids; `*` also matches `/`.
/// They are stored as they are written, so that every process on a database follows those of the
/// `serve` that started last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rules {
    /// Only models that match one of these are served; all where there is none.
    pub include: Vec<Pattern>,
    /// Models that match one of these are not served.
    pub exclude: Vec<Pattern>,
    /// Further names: new id to the source's own id that it stands for.
    pub aliases: BTreeMap<String, String>,
}

/// The settings of one source.
#[derive(Clone, Debug)]
pub struct SourceSettings {
    /// Its name: of a provider also the prefix of its ids.
    pub name: SourceName,
    /// Provider or endpoint.
    pub role: Role,
    /// The list API that it speaks; [`Kind::Enrichment`] for the enrichment file.
    pub kind: Kind,
    /// How long its listing is fresh.
    pub ttl: TimeDelta,
    /// How long stale models are served before the source is hidden; none for ever.
    pub max_stale: Option<TimeDelta>,
    /// Identifies its base URL. A hash: a URL may hold a secret in its path.
    pub address: String,
    /// Which models are served, and under which further names.
    pub rules: Rules,
}

/// The settings of a catalog.
#[derive(Clone, Debug, Default)]
pub struct CatalogSettings {
    /// The configured sources.
    pub sources: Vec<SourceSettings>,
    /// Endpoints that discovery may find: configured too where the database knows them.
    pub discoverable: Vec<SourceSettings>,
    /// The file that fills in what sources leave out.
    pub enrichment: Option<SourceSettings>,
    /// The names of the webhooks.
    pub webhooks: Vec<String>,
    /// The whole ids of the watched models.
    pub watched: Vec<String>,
}
