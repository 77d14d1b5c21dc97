//! `GET /catalog/why/{id}`: why a model is listed or not. Answers for any id.

use std::borrow::Cow;

use axum::{extract::State, http::Uri, response::Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::sources::{state_of, state_words};
use crate::{
    api::{
        auth::Caller,
        costly::costly,
        error::ApiError,
        query::{NoParameters, Parameters},
        request::ids,
        response::no_store,
    },
    catalog::Catalog,
    model::{
        closest::closest,
        event::{EventKind, Trace},
        names::Visibility,
        source::{Role, SourceName},
        state::{Held, LastError, SourceState},
        time::Timestamp,
    },
    snapshot::{Snapshot, merge::ServedModel},
};

const PREFIX: &str = "/catalog/why/";

/// Why a model is listed or not.
#[derive(Serialize, ToSchema)]
#[schema(as = Why)]
pub struct WhyAnswer {
    id: String,
    /// Whether it is listed.
    pub listed: bool,
    /// The reason, as a sentence.
    pub because: String,
    revision: i64,
    /// The sources that know the model or whose prefix the id carries.
    pub sources: Vec<SourceTrace>,
    /// Similar listed ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub closest: Vec<String>,
}

/// One source's knowledge of the model.
#[derive(Serialize, ToSchema)]
pub struct SourceTrace {
    name: SourceName,
    role: Role,
    /// The same word as in `/catalog/sources`.
    #[schema(schema_with = state_words)]
    state: &'static str,
    /// The model's id at the source.
    model_id: String,
    /// Whether the source's last listing contains it.
    known: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    alias_of: Option<String>,
    /// The settings rule that hides it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hidden_by: Option<String>,
    #[schema(required = true)]
    first_seen_at: Option<Timestamp>,
    /// The last listing that contained it.
    #[schema(required = true)]
    pub last_seen_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    removed_in_revision: Option<i64>,
    #[schema(required = true)]
    fetched_at: Option<Timestamp>,
    #[schema(required = true)]
    hidden_since: Option<Timestamp>,
    #[schema(required = true)]
    error: Option<LastError>,
    #[schema(required = true)]
    held: Option<Held>,
    /// Why the source's last listing has it, but it cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<String>,
}

impl SourceTrace {
    fn of(trace: &Trace, source: &SourceState, now: Timestamp) -> Self {
        let row = trace.row.as_ref();
        let removed = trace
            .last_event
            .as_ref()
            .filter(|last| row.is_none() && last.event == EventKind::Removed);
        Self {
            name: trace.source.clone(),
            role: trace.role,
            state: state_of(source, now),
            model_id: trace.model_id.clone(),
            known: row.is_some(),
            alias_of: row.and_then(|row| row.alias_of.clone()),
            hidden_by: row.and_then(|row| row.hidden_by.clone()),
            first_seen_at: row.map(|row| row.first_seen_at).or(trace.first_event_at),
            last_seen_at: match (row, removed) {
                (Some(_), _) => source.polling.fetched_at,
                (None, Some(last)) => last.last_seen_at.or(Some(last.at)),
                (None, None) => None,
            },
            removed_in_revision: removed.map(|last| last.revision),
            fetched_at: source.polling.fetched_at,
            hidden_since: source.hidden_since(),
            error: source.polling.error.clone(),
            held: source.held.clone(),
            skipped: skipped_reason(trace, source),
        }
    }

    /// Removes everything about models that `reader` may not see.
    fn restrict(&mut self, reader: &Visibility) {
        let is_seen = |id: &String| reader.id_of(self.role, &self.name, id).is_some();
        self.alias_of = self.alias_of.take().filter(is_seen);
        if let Some(held) = &mut self.held {
            held.restrict();
        }
    }

    /// Why this source does not serve it, as a clause. The most likely cause has the smallest
    /// number.
    fn reason(&self) -> (u8, String) {
        let name = &self.name;
        let error = self.error.as_ref().map_or_else(String::new, |error| {
            format!(" (last error: {})", error.message)
        });
        if let Some(rule) = &self.hidden_by {
            return (
                0,
                format!(
                    "{name} lists it, and {rule} in the settings of {name} keeps it from being served"
                ),
            );
        }
        if let Some(why) = &self.skipped {
            return (0, format!("{name} lists it, but it cannot be used: {why}"));
        }
        if self.known && self.state == "unconfigured" {
            return (
                1,
                format!("{name} listed it, and no setting names {name} any more"),
            );
        }
        if self.known {
            return (
                1,
                format!("{name} listed it when it last answered, and has been hidden since{error}"),
            );
        }
        if let (Some(revision), Some(at)) = (self.removed_in_revision, self.last_seen_at) {
            return (
                2,
                format!("{name} listed it until {at} and not since (revision {revision})"),
            );
        }
        if self.fetched_at.is_none() {
            return (3, format!("{name} has never answered{error}"));
        }
        (4, format!("{name} has never listed it{error}"))
    }
}

/// Why the entry was skipped in the source's last listing.
fn skipped_reason(trace: &Trace, source: &SourceState) -> Option<String> {
    let skipped = source.skipped.as_ref().filter(|_| source.configured)?;
    skipped.find_reason(&trace.model_id).map(str::to_owned)
}

/// Why a model is listed or not, for any id.
#[utoipa::path(
    get,
    path = "/catalog/why/{id}",
    tag = "catalog",
    operation_id = "explain",
    params(("id" = String, Path, description = "Any id, raw or percent-encoded")),
    responses((status = 200, description = "The reason, and what each source knows", body = WhyAnswer))
)]
pub async fn why(
    caller: Caller,
    State(catalog): State<Catalog>,
    uri: Uri,
    Parameters(NoParameters {}): Parameters<NoParameters>,
) -> Result<Response, ApiError> {
    let answering = catalog.clone();
    let made = async move {
        let ids = ids(uri.path().strip_prefix(PREFIX));
        Ok(no_store(explain(&caller, &answering, &ids).await?))
    };
    costly(&catalog, made).await
}

/// Explains the model whose id is the raw or the decoded one of these. Costly.
pub async fn explain(
    caller: &Caller,
    catalog: &Catalog,
    [raw, decoded]: &[Cow<'_, str>; 2],
) -> Result<WhyAnswer, ApiError> {
    let now = catalog.now();
    let current = catalog.current();
    let reader = current.visibility(caller.scope());
    let snapshot = caller.sees(&current.snapshot)?;
    // Same rule as for the model itself: the raw id if it is listed, else the decoded one.
    let id: &str = if snapshot.lists(raw) { raw } else { decoded };
    let traces = catalog.store().traces(&reader.keys_of(id)).await?;
    let sources: Vec<SourceTrace> = traces
        .iter()
        .filter_map(|trace| {
            let source = current.find_source(&trace.source)?;
            let mut known = SourceTrace::of(trace, source, now);
            // Leaves out endpoints that never had it.
            let had_it = trace.row.is_some() || trace.last_event.is_some();
            if trace.role == Role::Endpoint && !had_it && known.skipped.is_none() {
                return None;
            }
            if !reader.scope().has_all_models() {
                known.restrict(&reader);
            }
            Some(known)
        })
        .collect();
    let listed = snapshot.lists(id);
    let ids = || snapshot.models.iter().map(|model| model.id.as_str());
    Ok(WhyAnswer {
        id: id.to_owned(),
        listed,
        because: because(catalog, &reader, &snapshot, id, &sources),
        revision: snapshot.revision,
        closest: match listed {
            true => Vec::new(),
            false => closest(id, ids()).into_iter().map(str::to_owned).collect(),
        },
        sources,
    })
}

/// The reason in one sentence.
fn because(
    catalog: &Catalog,
    reader: &Visibility,
    snapshot: &Snapshot,
    id: &str,
    sources: &[SourceTrace],
) -> String {
    if let Some(model) = snapshot.find(id) {
        let names: Vec<&str> = model.sources().map(AsRef::as_ref).collect();
        return format!("{} lists it", names.join(", "));
    }
    let reason = sources.iter().map(SourceTrace::reason).min();
    let mut because = reason.map_or_else(|| unknown(catalog, reader, id), |(_, reason)| reason);
    // A local model with the id of a cloud model, and therefore with another name in the list.
    let is_renamed = |model: &&ServedModel| model.is_local && model.rows[0].model_id == id;
    if let Some(model) = snapshot.models.iter().find(is_renamed) {
        let names: Vec<&str> = model.sources().map(AsRef::as_ref).collect();
        because = format!(
            "{because}; {} has a model of its own with this id, listed as {}",
            names.join(", "),
            model.id
        );
    }
    because
}

/// Why no source knows `id`.
fn unknown(catalog: &Catalog, reader: &Visibility, id: &str) -> String {
    let has_prefix = |name: &SourceName| {
        let rest = id.strip_prefix(name.as_str());
        rest.is_some_and(|rest| rest.starts_with(':'))
            && reader.scope().allows_source(name.as_str())
    };
    let in_force = catalog.in_force();
    let mut unconfigured = in_force.unconfigured.iter();
    match unconfigured.find(|other| has_prefix(&other.name)) {
        Some(other) => format!("{} is not configured: {}", other.name, other.hint),
        None => "no source has ever listed it".to_owned(),
    }
}
