//! `/`: every model that can be called, found as one types. The server filters, sorts and pages; what is
//! shown is in the address.

pub mod listing;
mod query;

use std::{collections::BTreeMap, sync::Arc};

use askama::Template;
use axum::response::Response;

use self::{
    listing::{Found, Row},
    query::{Column, Query},
};
use super::{
    frame::{Frame, write},
    markup::{count, number},
    visit::{Visit, When},
};
use crate::{
    api::{
        catalog::sources::{self, SourceAnswer},
        error::ApiError,
    },
    model::source::{Role, SourceName},
    snapshot::Snapshot,
};

/// The number of rows of a page.
const ROWS: usize = 100;
/// The most values that a filter offers, the most frequent ones.
const MAX_OPTIONS: usize = 40;

#[derive(Template)]
#[template(path = "models.html")]
struct ModelsPage<'a> {
    frame: Frame,
    query: &'a Query,
    chips: Vec<Chip>,
    capabilities: Vec<Choice>,
    modalities: Vec<Choice>,
    lifecycles: Vec<Choice>,
    contexts: Vec<Choice>,
    columns: Vec<Heading>,
    rows: Vec<Row>,
    /// `700 models`, `12 of 700 models`.
    summary: String,
    previous: Option<String>,
    next: Option<String>,
    /// Without any filter.
    clear: String,
    is_filtered: bool,
    /// What to do when nothing can be listed.
    greeting: Option<Greeting>,
}

/// The models of one source, or of all.
struct Chip {
    name: String,
    count: String,
    href: String,
    is_on: bool,
    is_local: bool,
}

/// A value that a filter offers.
struct Choice {
    value: String,
    label: String,
    is_on: bool,
}

/// The head of a column.
struct Heading {
    label: &'static str,
    /// Sorts by it, or the other way round.
    href: Option<String>,
    /// `ascending`, `descending` or nothing.
    order: &'static str,
    is_number: bool,
}

/// What a catalog without models says.
struct Greeting {
    is_unconfigured: bool,
    hints: Vec<(String, String)>,
    waiting: Vec<(String, String)>,
}

/// Everything callable, as the address says.
pub async fn page(visit: Visit) -> Result<Response, ApiError> {
    visit.answer_with(make).await
}

async fn make(visit: Visit) -> Result<Response, ApiError> {
    let Visit {
        catalog,
        caller,
        when,
        ..
    } = &visit;
    let query = Query::of(&visit.uri)?;
    let snapshot = visit.snapshot().await?;
    let current = catalog.current();
    let first_seen = catalog
        .shared()
        .first_seen
        .get(current.snapshot.revision, catalog.store())
        .await?;
    let moment = visit.moment();
    let found = Found::of(
        &query,
        &snapshot,
        &current.sources.states,
        &first_seen,
        moment,
    )?;
    let total = found.models.len();
    let last_page = total.saturating_sub(1) / ROWS;
    let page = query.page.min(last_page);
    let rows = found.rows(page * ROWS, ROWS, when, moment);
    let in_force = catalog.in_force();
    let sources = sources::list(caller, catalog, &current, &in_force)?;
    let roles: BTreeMap<&SourceName, Role> = sources
        .iter()
        .map(|source| (source.name, source.role))
        .collect();
    let to = |page: usize| Some(query.href(&[("page", &page.to_string())], when));
    let html = write(&ModelsPage {
        frame: Frame::new(&visit, "Models", "/", snapshot.revision),
        chips: chips(&query, &found, &roles, when),
        capabilities: choices(found.capabilities(), &query.capability),
        modalities: choices(found.modalities(), &query.modality),
        lifecycles: named(&["active", "deprecated", "retired"], &query.lifecycle),
        contexts: named(query::CONTEXTS, &query.context),
        columns: headings(&query, when),
        summary: summary(total, &snapshot),
        previous: (page > 0).then(|| to(page - 1)).flatten(),
        next: (page < last_page).then(|| to(page + 1)).flatten(),
        clear: format!("/{}", when.query()),
        is_filtered: query.is_filtered(),
        greeting: (when.past.is_none() && snapshot.models.is_empty()).then(|| greeting(&sources)),
        query: &query,
        rows,
    })?;
    Ok(visit.answer(html))
}

/// How many models there are, and which of them these are.
fn summary(total: usize, snapshot: &Arc<Snapshot>) -> String {
    let length = |length: usize| i64::try_from(length).unwrap_or(i64::MAX);
    let all = length(snapshot.models.len());
    match length(total) {
        found if found == all => count(all, "model"),
        found => format!("{} of {}", number(found), count(all, "model")),
    }
}

/// All models, and each source's, local ones first.
fn chips(
    query: &Query,
    found: &Found,
    roles: &BTreeMap<&SourceName, Role>,
    when: &When,
) -> Vec<Chip> {
    let all = Chip {
        name: "all".to_owned(),
        count: number(found.of_all_sources),
        href: query.href(&[("provider", "")], when),
        is_on: query.provider.is_empty(),
        is_local: false,
    };
    let mut chips: Vec<Chip> = found
        .by_source
        .iter()
        .map(|(name, count)| Chip {
            name: name.to_string(),
            count: number(*count),
            href: query.href(&[("provider", name.as_str())], when),
            is_on: query.provider == name.as_str(),
            is_local: roles.get(name) == Some(&Role::Endpoint),
        })
        .collect();
    chips.sort_by_key(|chip| !chip.is_local);
    chips.insert(0, all);
    chips
}

/// The most frequent of `counts`, and the one that was chosen.
fn choices(counts: BTreeMap<String, usize>, chosen: &str) -> Vec<Choice> {
    let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(value, count)| (value != chosen, std::cmp::Reverse(*count)));
    counts.truncate(MAX_OPTIONS);
    counts.sort();
    let is_other = !chosen.is_empty() && counts.iter().all(|(value, _)| value != chosen);
    let other = is_other.then(|| Choice {
        label: chosen.to_owned(),
        is_on: true,
        value: chosen.to_owned(),
    });
    let counts = counts.into_iter().map(|(value, count)| Choice {
        label: format!("{value} ({count})"),
        is_on: value == chosen,
        value,
    });
    counts.chain(other).collect()
}

fn named(values: &[&str], chosen: &str) -> Vec<Choice> {
    let is_other = !chosen.is_empty() && !values.contains(&chosen);
    let other = is_other.then_some(chosen);
    values
        .iter()
        .copied()
        .chain(other)
        .map(|value| Choice {
            value: value.to_owned(),
            label: value.to_owned(),
            is_on: value == chosen,
        })
        .collect()
}

fn headings(query: &Query, when: &When) -> Vec<Heading> {
    let heading = |column: &Column| {
        let (sort, is_descending) = query.order();
        let is_on = !query.is_in_list_order() && sort == *column;
        // The largest limit and the latest day are what one looks for first.
        let descends = match is_on {
            true => !is_descending,
            false => column.begins_with_largest(),
        };
        let sign = if descends { "-" } else { "" };
        Heading {
            label: column.label(),
            href: column
                .is_sortable()
                .then(|| query.href(&[("sort", &format!("{sign}{}", column.name()))], when)),
            order: match (is_on, is_descending) {
                (false, _) => "",
                (true, false) => "ascending",
                (true, true) => "descending",
            },
            is_number: column.is_number(),
        }
    };
    Column::ALL.iter().map(heading).collect()
}

/// What to set, or what is waited for.
fn greeting(sources: &[SourceAnswer<'_>]) -> Greeting {
    let hints = sources.iter().filter_map(|source| {
        let hint = source.hint.filter(|_| source.state == "unconfigured")?;
        Some((source.name.to_string(), hint.to_owned()))
    });
    let configured = sources
        .iter()
        .filter(|source| source.state != "unconfigured");
    Greeting {
        is_unconfigured: !sources::is_any_configured(sources),
        hints: hints.collect(),
        waiting: configured
            .map(|source| {
                let error = source.error.map(|error| error.message.clone());
                let words = error.unwrap_or_else(|| {
                    let words = match source.state {
                        "missing" => "has not answered yet",
                        _ => "lists no model that you may see",
                    };
                    words.to_owned()
                });
                (source.name.to_string(), words)
            })
            .collect(),
    }
}
