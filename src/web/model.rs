//! `/ui/models/{id}`: everything known about one model, who said it, and what it was before.

mod facts;
mod snippets;

use askama::Template;
use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};

use self::{
    facts::{Fact, FactValue, facts},
    snippets::{Snippet, snippets},
};
use super::{
    event::EventRow,
    frame::{Frame, write},
    markup::{Time, ago, model_path},
    models::listing::End,
    response::no_store,
    visit::{Visit, When},
};
use crate::{
    api::{
        auth::Caller,
        catalog::why::{WhyAnswer, explain},
        error::ApiError,
        query::filter,
        request::ids,
    },
    catalog::Catalog,
    model::{closest::closest, digest::Digest, state::StoredModel, time::Timestamp},
    snapshot::{Snapshot, merge::ServedModel},
};

const PREFIX: &str = "/ui/models/";
/// The most revisions that the timeline shows.
const REVISIONS: usize = 200;

#[derive(Template)]
#[template(path = "model.html")]
struct ModelPage {
    frame: Frame,
    id: String,
    is_listed: bool,
    /// The display name, if it is not the id.
    name: Option<String>,
    description: Option<String>,
    /// Why it is listed or not; none of the past.
    because: Option<String>,
    closest: Vec<Link>,
    end: Option<End>,
    first_seen: Option<Time>,
    last_seen: Option<String>,
    facts: Vec<Fact>,
    /// The sources that list it.
    sources: Vec<SourceRow>,
    /// Models of other sources with the same id there.
    others: Vec<Link>,
    alias_of: Option<Link>,
    events: Vec<EventRow>,
    raw: Vec<RawEntry>,
    snippets: Vec<Snippet>,
}

/// A link to a model.
struct Link {
    id: String,
    href: String,
}

impl Link {
    fn to(id: &str, when: &When) -> Self {
        Self {
            id: id.to_owned(),
            href: format!("{}{}", model_path(id), when.query()),
        }
    }
}

struct SourceRow {
    name: String,
    own_id: String,
    kind: String,
    fetched: String,
}

/// An entry as its source sent it.
struct RawEntry {
    source: String,
    json: String,
}

/// Everything known about one model.
pub async fn page(visit: Visit) -> Result<Response, ApiError> {
    visit.answer_with(make).await
}

async fn make(visit: Visit) -> Result<Response, ApiError> {
    let Visit {
        catalog,
        caller,
        now,
        when,
        ..
    } = &visit;
    let now = *now;
    let needs_key = catalog.in_force().keys.are_needed();
    let ids = ids(visit.uri.path().strip_prefix(PREFIX));
    let snapshot = visit.snapshot().await?;
    let model = ids.iter().find_map(|id| snapshot.find(id));
    let id = model.map_or(&*ids[1], |model| model.id.as_str());
    let why = explain(caller, catalog, &ids).await?;
    let digests = history(catalog, caller, id, when, &snapshot).await?;
    let is_known = model.is_some() || why.listed || !digests.is_empty();
    let traces = why.sources.iter();
    let last_seen = traces.clone().filter_map(|trace| trace.last_seen_at).max();
    let moment = visit.moment();
    let attributes = model.map(ServedModel::attributes);
    let events = digests.iter().flat_map(|digest| &digest.events);
    let page = ModelPage {
        frame: Frame::new(&visit, id, "", snapshot.revision),
        is_listed: model.is_some(),
        name: attributes
            .and_then(|attributes| attributes.display_name.clone())
            .filter(|name| name != id),
        description: attributes.and_then(|attributes| attributes.description.clone()),
        closest: match (model, when.past) {
            (Some(_), _) => Vec::new(),
            (None, None) => why.closest.iter().map(|id| Link::to(id, when)).collect(),
            (None, Some(_)) => closest(id, snapshot.models.iter().map(|model| model.id.as_str()))
                .into_iter()
                .map(|id| Link::to(id, when))
                .collect(),
        },
        because: because(why, model, when),
        end: model.and_then(|model| End::of(model, moment)),
        first_seen: first_seen(&digests, catalog, model)
            .await?
            .map(Time::minute),
        last_seen: last_seen
            .filter(|_| when.past.is_none())
            .map(|at| ago(at, now)),
        facts: model.map(facts).unwrap_or_default(),
        sources: sources(catalog, model, moment, when),
        others: others(&snapshot, model, when),
        alias_of: model
            .and_then(|model| model.alias_of.as_deref())
            .map(|target| Link::to(target, when)),
        events: events
            .map(|event| EventRow::of(event, &when.query()))
            .collect(),
        raw: match when.past {
            None => raw(catalog, model, &snapshot).await?,
            Some(_) => Vec::new(),
        },
        snippets: model.map_or_else(Vec::new, |model| snippets(model, &visit.headers, needs_key)),
        id: id.to_owned(),
    };
    if !is_known {
        return Ok((StatusCode::NOT_FOUND, no_store(write(&page)?)).into_response());
    }
    Ok(visit.answer(write(&page)?))
}

/// The revisions up to that of `snapshot` that changed the model, latest first.
async fn history(
    catalog: &Catalog,
    caller: &Caller,
    id: &str,
    when: &When,
    snapshot: &Snapshot,
) -> Result<Vec<Digest>, ApiError> {
    let filter = filter(caller, &catalog.current(), None, None, Some(id))?;
    let before = match when.past {
        Some(_) => snapshot.revision.saturating_add(1),
        None => i64::MAX,
    };
    let store = catalog.store();
    Ok(store.latest_digests(before, REVISIONS, 10, &filter).await?)
}

/// Why the model is listed or not, where the page does not say it anyway.
fn because(why: WhyAnswer, model: Option<&ServedModel>, when: &When) -> Option<String> {
    match when.past {
        Some(_) => model
            .is_none()
            .then(|| "It was not listed then.".to_owned()),
        None => model.is_none().then(|| sentence(&why.because)),
    }
}

/// `clause` with a capital letter and a full stop.
fn sentence(clause: &str) -> String {
    let mut rest = clause.chars();
    match rest.next() {
        // The name of a source stays as it is.
        Some(first) if clause.starts_with("no ") => {
            format!("{}{}.", first.to_uppercase(), rest.as_str())
        }
        _ => format!("{clause}."),
    }
}

async fn first_seen(
    digests: &[Digest],
    catalog: &Catalog,
    model: Option<&ServedModel>,
) -> Result<Option<Timestamp>, ApiError> {
    let Some(model) = model else {
        return Ok(digests.last().map(|first| first.at));
    };
    let cache = &catalog.shared().first_seen;
    let first_seen = cache
        .get(catalog.current().snapshot.revision, catalog.store())
        .await?;
    let seen = |row: &std::sync::Arc<StoredModel>| {
        first_seen.get(&row.source)?.get(&row.model_id).copied()
    };
    Ok(model.rows.iter().filter_map(seen).min())
}

fn sources(
    catalog: &Catalog,
    model: Option<&ServedModel>,
    now: Timestamp,
    when: &When,
) -> Vec<SourceRow> {
    let rows = model.map_or(&[][..], |model| &model.rows);
    let current = catalog.current();
    let row = |row: &std::sync::Arc<StoredModel>| {
        let state = current.find_source(&row.source);
        let fetched_at = state.and_then(|state| state.polling.fetched_at);
        SourceRow {
            name: row.source.to_string(),
            own_id: row.model_id.clone(),
            kind: state.map_or_else(String::new, |state| state.kind.as_str().to_owned()),
            fetched: fetched_at
                .filter(|_| when.past.is_none())
                .map_or_else(String::new, |at| ago(at, now)),
        }
    };
    rows.iter().map(row).collect()
}

/// The models of other sources that have the same id there.
fn others(snapshot: &Snapshot, model: Option<&ServedModel>, when: &When) -> Vec<Link> {
    let Some(model) = model else {
        return Vec::new();
    };
    let own_id = &model.rows[0].model_id;
    let has_it = |other: &&ServedModel| {
        other.id != model.id && other.rows.iter().any(|row| row.model_id == *own_id)
    };
    let others = snapshot.models.iter().filter(has_it);
    others.map(|other| Link::to(&other.id, when)).collect()
}

/// The entries of `model` as its sources sent them.
async fn raw(
    catalog: &Catalog,
    model: Option<&ServedModel>,
    snapshot: &Snapshot,
) -> Result<Vec<RawEntry>, ApiError> {
    let shared = catalog.shared();
    let mut found = Vec::new();
    for row in model.map_or(&[][..], |model| &model.rows) {
        let entries = shared
            .raw
            .get(&row.source, row.role, snapshot.revision, &shared.store)
            .await?;
        if let Some(entry) = entries.find(&row.model_id) {
            found.push(RawEntry {
                source: row.source.to_string(),
                json: indented(entry.get()),
            });
        }
    }
    Ok(found)
}

/// `json` on several lines, with its fields in their order.
fn indented(json: &str) -> String {
    let mut lines = Vec::new();
    let mut writer = serde_json::Serializer::pretty(&mut lines);
    let mut reader = serde_json::Deserializer::from_str(json);
    match serde_transcode::transcode(&mut reader, &mut writer) {
        Ok(()) => String::from_utf8(lines).unwrap_or_else(|_| json.to_owned()),
        Err(_) => json.to_owned(),
    }
}
