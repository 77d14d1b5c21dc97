//! `/ui/changes`: what has changed, by day; how many models there were; what is about to end.

use std::collections::BTreeMap;

use askama::Template;
use axum::response::Response;
use chrono::{Datelike, NaiveDate, TimeDelta};

use super::{
    address::query,
    chart::CountChart,
    event::EventRow,
    frame::{Frame, write},
    markup::{Time, model_path},
    visit::{Visit, When},
};
use crate::{
    api::{error::ApiError, query::filter},
    catalog::Catalog,
    model::{digest::Digest, source::SourceName, time::Timestamp},
    snapshot::{Snapshot, retiring::Retiring},
};

/// The number of revisions of a page.
const REVISIONS: usize = 50;
/// The number of changes that a revision shows.
const SHOWN: usize = 25;
/// How far the charts go back.
const CHART_SPAN: TimeDelta = TimeDelta::days(90);
/// The number of months that the strip of retirements shows, this one included.
const MONTHS: u32 = 12;

#[derive(Template)]
#[template(path = "changes.html")]
struct ChangesPage {
    frame: Frame,
    days: Vec<Day>,
    /// The next page, with older revisions.
    older: Option<String>,
    charts: Vec<(String, CountChart)>,
    months: Vec<Month>,
    sources: Vec<Choice>,
    kinds: Vec<Choice>,
    is_filtered: bool,
    clear: String,
    /// The Atom feed of the same changes.
    atom: String,
    week_ago: String,
}

/// The changes of one day (UTC).
struct Day {
    date: String,
    revisions: Vec<RevisionRow>,
}

struct RevisionRow {
    revision: i64,
    at: Time,
    title: String,
    events: Vec<EventRow>,
    rest: Option<String>,
}

/// A value of a filter.
struct Choice {
    value: String,
    is_on: bool,
}

/// The models that end in one month.
struct Month {
    label: String,
    models: Vec<Ending>,
}

struct Ending {
    id: String,
    href: String,
    at: Time,
}

/// The latest changes that the caller may see.
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
    let moment = visit.moment();
    let snapshot = visit.snapshot().await?;
    let find = |wanted: &str| {
        let found = visit.parameter(wanted);
        found.map(|value| value.trim().to_owned())
    };
    let (source, kind) = (find("source"), find("event"));
    let current = catalog.current();
    let filter = filter(caller, &current, source.clone(), kind.clone(), None)?;
    let before = match find("before").and_then(|before| before.parse().ok()) {
        Some(before) if when.past.is_some() => snapshot.revision.saturating_add(1).min(before),
        Some(before) => before,
        None if when.past.is_some() => snapshot.revision.saturating_add(1),
        None => i64::MAX,
    };
    let digests = catalog
        .store()
        .latest_digests(before, REVISIONS, SHOWN, &filter)
        .await?;
    let source = source.unwrap_or_default();
    let kind = kind.unwrap_or_default();
    let older = digests.last().filter(|_| digests.len() == REVISIONS);
    let older = older.map(|last| {
        let before = last.revision.to_string();
        let parameters = [
            ("source", &*source),
            ("event", &*kind),
            ("before", &*before),
        ];
        format!("/ui/changes{}", when.query_with(&parameters))
    });
    let scope = caller.scope();
    let names = current.sources.states.iter().map(|source| &source.name);
    let names = names.filter(|name| scope.allows_source(name.as_str()));
    let kinds = crate::model::event::EventKind::ALL.map(|kind| kind.as_str().to_owned());
    let choice = |chosen: &str| {
        let chosen = chosen.to_owned();
        move |value: String| Choice {
            is_on: value == chosen,
            value,
        }
    };
    // How many models there are is not for a caller who may see only some of them.
    let charts = match scope.has_all_models() {
        true => charts(catalog, &snapshot, moment, &source).await?,
        false => Vec::new(),
    };
    let html = write(&ChangesPage {
        frame: Frame::new(&visit, "Changes", "/ui/changes", snapshot.revision),
        days: days(&digests, when),
        older,
        charts,
        months: months(&snapshot.retiring, moment, when),
        is_filtered: !source.is_empty() || !kind.is_empty(),
        sources: names
            .map(ToString::to_string)
            .map(choice(&source))
            .collect(),
        kinds: kinds.into_iter().map(choice(&kind)).collect(),
        clear: format!("/ui/changes{}", when.query()),
        atom: format!(
            "/catalog/changes.atom{}",
            query([("source", &*source), ("event", &*kind)])
        ),
        week_ago: moment.plus(TimeDelta::days(-7)).date().to_string(),
    })?;
    Ok(visit.answer(html))
}

/// The revisions of `digests` by day.
fn days(digests: &[Digest], when: &When) -> Vec<Day> {
    let mut days: Vec<Day> = Vec::new();
    for digest in digests {
        let events = digest.events.iter();
        let row = RevisionRow {
            revision: digest.revision,
            at: Time::minute(digest.at),
            title: digest.title(),
            events: events
                .map(|event| EventRow::of(event, &when.query()))
                .collect(),
            rest: digest.rest(),
        };
        let date = digest.at.utc().format("%A, %-d %B %Y (UTC)").to_string();
        match days.last_mut() {
            Some(day) if day.date == date => day.revisions.push(row),
            _ => days.push(Day {
                date,
                revisions: vec![row],
            }),
        }
    }
    days
}

/// How many models each source had over the last months, the sources of `snapshot` first.
async fn charts(
    catalog: &Catalog,
    snapshot: &Snapshot,
    until: Timestamp,
    source: &str,
) -> Result<Vec<(String, CountChart)>, ApiError> {
    let from = until.plus(-CHART_SPAN);
    let changes = catalog.store().daily_changes(from, until).await?;
    let listed: BTreeMap<&SourceName, i64> = snapshot.count_listed();
    let none = BTreeMap::new();
    let is_wanted = |name: &SourceName| source.is_empty() || name.as_str() == source;
    let charts = listed
        .iter()
        .filter(|(name, _)| is_wanted(name))
        .map(|(name, count)| {
            let changes = changes.get(*name).unwrap_or(&none);
            (
                name.to_string(),
                CountChart::of(*count, changes, from.date(), until),
            )
        });
    Ok(charts.collect())
}

/// The models that end in each of the next months.
fn months(retiring: &[Retiring], now: Timestamp, when: &When) -> Vec<Month> {
    let first = now.date().with_day(1).unwrap_or(now.date());
    let month = |place: u32| -> Option<Month> {
        let begin = first.checked_add_months(chrono::Months::new(place))?;
        let in_it = |at: NaiveDate| (at.year(), at.month()) == (begin.year(), begin.month());
        let ends = retiring.iter().filter_map(|model| {
            let at = model.retires_at.filter(|at| in_it(at.date()))?;
            Some(Ending {
                id: model.id.clone(),
                href: format!("{}{}", model_path(&model.id), when.query()),
                at: Time::date(at),
            })
        });
        Some(Month {
            label: begin.format("%b %Y").to_string(),
            models: ends.collect(),
        })
    };
    let months: Vec<Month> = (0..MONTHS).filter_map(month).collect();
    match months.iter().all(|month| month.models.is_empty()) {
        true => Vec::new(),
        false => months,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retirements_are_in_their_month() {
        let ends = |id: &str, at: &str| Retiring {
            id: id.to_owned(),
            sources: Vec::new(),
            lifecycle: None,
            deprecated_at: None,
            retires_at: Some(at.parse().expect("a time")),
        };
        let retiring = [
            ends("past", "2026-10-31T23:00:00Z"),
            ends("now", "2026-11-30T23:00:00Z"),
            ends("next", "2026-12-01T00:00:00Z"),
            ends("far", "2027-11-01T00:00:00Z"),
        ];
        let now = "2026-11-27T08:00:00Z".parse().expect("a time");
        let when = When {
            text: String::new(),
            past: None,
        };
        let months = months(&retiring, now, &when);
        let found: Vec<String> = months
            .iter()
            .filter(|month| !month.models.is_empty())
            .map(|month| format!("{}: {}", month.label, month.models[0].id))
            .collect();
        assert_eq!(found, ["Nov 2026: now", "Dec 2026: next"]);
        assert_eq!(months.len(), 12);
        assert!(super::months(&retiring[..1], now, &when).is_empty());
    }
}
