//! `/ui/diff`: what differs between the models of two days.

use askama::Template;
use axum::response::Response;
use chrono::TimeDelta;
use serde_json::{Map, Value};

use super::{
    address::query,
    event::FieldRow,
    frame::{Frame, write},
    markup::{count, model_path, value},
    visit::{Visit, parse},
};
use crate::{
    api::error::ApiError,
    model::time::Timestamp,
    snapshot::{Snapshot, merge::ServedModel},
};

/// The most models of a kind that the page shows.
const SHOWN: usize = 500;

#[derive(Template)]
#[template(path = "diff.html")]
struct DiffPage {
    frame: Frame,
    from: String,
    to: String,
    /// The models that only one of the lists has.
    groups: Vec<Group>,
    changed: Vec<ChangedRow>,
    changed_count: String,
    is_same: bool,
}

/// Models that only one of the lists has.
struct Group {
    title: &'static str,
    kind: &'static str,
    sign: &'static str,
    count: String,
    models: Vec<(String, String)>,
    is_cut: bool,
}

/// A model that both have, but not the same.
struct ChangedRow {
    id: String,
    href: String,
    fields: Vec<FieldRow>,
}

/// What differs between two days; between a week ago and now if the address does not say.
pub async fn page(visit: Visit) -> Result<Response, ApiError> {
    visit.answer_with(make).await
}

async fn make(visit: Visit) -> Result<Response, ApiError> {
    let now = visit.now;
    let moment = |wanted: &str, default: Timestamp| -> Result<Timestamp, ApiError> {
        let text = visit.parameter(wanted);
        text.map_or(Ok(default), |text| parse(&text, now))
    };
    let to = moment("to", visit.moment())?;
    let from = moment("from", to.plus(TimeDelta::days(-7)))?;
    let (from, to) = (from.min(to), from.max(to));
    let past = |at: Timestamp| (at < now).then_some(at);
    let before = visit.snapshot_at(past(from)).await?;
    let after = visit.snapshot_at(past(to)).await?;
    let added = ("Only in the later list", "added", "+");
    let removed = ("Only in the earlier list", "removed", "−");
    let query_at = |at: Timestamp| match past(at) {
        Some(at) => query([("at", at.to_string().as_str())]),
        None => String::new(),
    };
    let (then, later) = (query_at(from), query_at(to));
    let groups = [
        Group::of(added, &only(&after, &before), &later),
        Group::of(removed, &only(&before, &after), &then),
    ];
    let groups: Vec<Group> = groups.into_iter().flatten().collect();
    let both = after
        .models
        .iter()
        .filter_map(|model| Some((before.find(&model.id)?, model)));
    let (mut changed, mut changed_count) = (Vec::new(), 0);
    for (was, is) in both.filter(|(was, is)| differs(was, is)) {
        changed_count += 1;
        if changed.len() < SHOWN {
            changed.push(ChangedRow::of(was, is, &later));
        }
    }
    let page = DiffPage {
        // It is about two moments, neither of which is the one of other pages.
        frame: Frame::new(&visit, "What differs", "/ui/changes", after.revision).without_date(),
        from: from.date().to_string(),
        to: to.date().to_string(),
        is_same: groups.is_empty() && changed.is_empty(),
        groups,
        changed_count: count(changed_count, "model"),
        changed,
    };
    Ok(visit.answer(write(&page)?))
}

/// The models of `one` that `other` does not have.
fn only<'a>(one: &'a Snapshot, other: &Snapshot) -> Vec<&'a ServedModel> {
    let models = one.models.iter();
    models.filter(|model| !other.lists(&model.id)).collect()
}

/// Whether a model is not the same in both lists.
fn differs(was: &ServedModel, is: &ServedModel) -> bool {
    was.attributes() != is.attributes() || !was.sources().eq(is.sources())
}

impl Group {
    /// None without models.
    fn of(
        (title, kind, sign): (&'static str, &'static str, &'static str),
        models: &[&ServedModel],
        query: &str,
    ) -> Option<Self> {
        let shown = models.iter().take(SHOWN);
        (!models.is_empty()).then(|| Self {
            title,
            kind,
            sign,
            count: count(i64::try_from(models.len()).unwrap_or(i64::MAX), "model"),
            models: shown
                .map(|model| {
                    (
                        model.id.clone(),
                        format!("{}{query}", model_path(&model.id)),
                    )
                })
                .collect(),
            is_cut: models.len() > SHOWN,
        })
    }
}

impl ChangedRow {
    fn of(before: &ServedModel, after: &ServedModel, query: &str) -> Self {
        let names = before.attributes().differing_fields(after.attributes());
        let (was, is) = (before.attributes().fields(), after.attributes().fields());
        let text = |fields: &Map<String, Value>, name: &String| {
            value(fields.get(name).unwrap_or(&Value::Null))
        };
        let mut fields: Vec<FieldRow> = names
            .iter()
            .map(|name| FieldRow {
                name: name.clone(),
                before: text(&was, name),
                after: text(&is, name),
            })
            .collect();
        if !before.sources().eq(after.sources()) {
            fields.push(FieldRow {
                name: "sources".to_owned(),
                before: super::markup::names(before.sources()),
                after: super::markup::names(after.sources()),
            });
        }
        Self {
            id: after.id.clone(),
            href: format!("{}{query}", model_path(&after.id)),
            fields,
        }
    }
}
