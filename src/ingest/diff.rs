//! The differences between a listing and the stored models.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{
    attributes::Attributes,
    event::{Counts, EventKind},
    listing::Entry,
};

/// The stored data of a model that is compared.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "(Attributes, Option<String>)")]
pub struct Stored {
    /// The attributes that clients read.
    pub attributes: Attributes,
    /// The settings rule that hides it; none when it is served.
    pub hidden_by: Option<String>,
}

impl From<(Attributes, Option<String>)> for Stored {
    fn from((attributes, hidden_by): (Attributes, Option<String>)) -> Self {
        Self {
            attributes,
            hidden_by,
        }
    }
}

/// One model's change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The model.
    pub model_id: String,
    /// The event that clients see; none while a settings rule hides the model.
    pub event: Option<EventKind>,
    /// The names of the attributes that changed.
    pub changed: Vec<String>,
    /// The new row; none when the model is gone.
    pub row: Option<Row>,
    /// When clients first saw the model; none unless that was before this change.
    pub first_seen_at: Option<String>,
}

/// The data to store for a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The attributes that clients read.
    pub attributes: Attributes,
    /// The entry as the source sent it.
    pub raw: String,
    /// The settings rule that hides it; none when it is served.
    pub hidden_by: Option<String>,
}

/// What the earlier events of a model say.
#[derive(Clone, Debug, Deserialize)]
pub struct FirstEvent {
    /// When the first one happened.
    pub at: String,
    /// Each `created` (Unix seconds) that was said, the first one first, with the model that it was an
    /// alias of then.
    pub created: Vec<(Option<String>, i64)>,
}

impl Change {
    /// The new attributes for clients; none when clients no longer see the model.
    pub fn served(&self) -> Option<&Attributes> {
        let row = self.row.as_ref()?;
        row.hidden_by.is_none().then_some(&row.attributes)
    }

    /// Whether clients did not see the model before: it is served from now on, or hidden by a rule.
    pub fn is_unseen(&self) -> bool {
        self.row.is_some() && matches!(self.event, Some(EventKind::Added) | None)
    }

    /// Keeps what `first`, the earlier events of the model, say. `added` becomes `returned`.
    pub fn mark_seen(&mut self, first: &FirstEvent) {
        if self.event == Some(EventKind::Added) {
            self.event = Some(EventKind::Returned);
        }
        if let Some(row) = &mut self.row {
            let mut said = first.created.iter();
            let said = said.find(|(alias_of, _)| *alias_of == row.attributes.alias_of);
            let new = std::mem::take(&mut row.attributes);
            row.attributes = with_first_created(new, said.map_or(0, |(_, created)| *created));
        }
        self.first_seen_at = Some(first.at.clone());
    }
}

/// Counts `changes` by the events that clients see.
pub fn count(changes: &[Change]) -> Counts {
    let mut counts = Counts::default();
    for change in changes {
        *match change.event {
            Some(EventKind::Added) => &mut counts.added,
            Some(EventKind::Changed) => &mut counts.changed,
            Some(EventKind::Removed) => &mut counts.removed,
            Some(EventKind::Returned) => &mut counts.returned,
            Some(EventKind::Hidden | EventKind::Shown) | None => continue,
        } += 1;
    }
    counts
}

/// The changes from `stored` to `listed`, sorted by model id. `created` keeps its first value,
/// because some servers report the time of the request.
pub fn diff(stored: &BTreeMap<String, Stored>, listed: Vec<Entry>) -> Vec<Change> {
    // If an id is listed twice, the last entry wins.
    let listed: BTreeMap<String, Entry> = listed
        .into_iter()
        .map(|entry| (entry.id.clone(), entry))
        .collect();
    let mut changes: Vec<Change> = stored
        .iter()
        .filter(|(id, _)| !listed.contains_key(*id))
        .map(|(id, old)| Change {
            model_id: id.clone(),
            event: old.hidden_by.is_none().then_some(EventKind::Removed),
            changed: Vec::new(),
            row: None,
            first_seen_at: None,
        })
        .collect();
    changes.extend(listed.into_iter().filter_map(|(id, entry)| {
        let old = stored.get(&id);
        compare(id, old, entry)
    }));
    changes.sort_by(|a, b| a.model_id.cmp(&b.model_id));
    changes
}

/// The change of the model `id` to `entry`; none when nothing changes.
fn compare(id: String, old: Option<&Stored>, entry: Entry) -> Option<Change> {
    let attributes = match old {
        // A new model, an alias with a new target, or an alias that became the source's own model.
        // In each case, the entry's own `created` counts.
        Some(old) if old.attributes.alias_of == entry.attributes.alias_of => {
            with_first_created(entry.attributes, old.attributes.created)
        }
        _ => entry.attributes,
    };
    let was_served = old.is_some_and(|old| old.hidden_by.is_none());
    let (event, changed) = match (was_served, &entry.hidden_by) {
        (false, None) => (Some(EventKind::Added), Vec::new()),
        (true, Some(_)) => (Some(EventKind::Removed), Vec::new()),
        (true, None) => {
            let changed = old.map(|old| old.attributes.differing_fields(&attributes))?;
            if changed.is_empty() {
                return None;
            }
            (Some(EventKind::Changed), changed)
        }
        (false, Some(rule)) => {
            let same =
                |old: &Stored| old.attributes == attributes && old.hidden_by.as_ref() == Some(rule);
            if old.is_some_and(same) {
                return None;
            }
            (None, Vec::new())
        }
    };
    Some(Change {
        model_id: id,
        event,
        changed,
        row: Some(Row {
            attributes,
            raw: entry.raw,
            hidden_by: entry.hidden_by,
        }),
        first_seen_at: None,
    })
}

/// `attributes` with `created` set to its `first` value, if that was known.
fn with_first_created(attributes: Attributes, first: i64) -> Attributes {
    let created = if first == 0 {
        attributes.created
    } else {
        first
    };
    Attributes {
        created,
        ..attributes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(created: i64, context_window: Option<i64>) -> Attributes {
        Attributes {
            created,
            context_window,
            ..Attributes::default()
        }
    }

    fn entry(id: &str, attributes: Attributes, hidden_by: Option<&str>) -> Entry {
        Entry {
            id: id.to_owned(),
            attributes,
            raw: format!("raw {id}"),
            hidden_by: hidden_by.map(Into::into),
        }
    }

    fn stored(rows: &[(&str, Attributes, Option<&str>)]) -> BTreeMap<String, Stored> {
        rows.iter()
            .map(|(id, attributes, hidden_by)| {
                let row = Stored {
                    attributes: attributes.clone(),
                    hidden_by: hidden_by.map(Into::into),
                };
                ((*id).to_owned(), row)
            })
            .collect()
    }

    #[test]
    fn finds_every_kind_of_change() {
        let stored = stored(&[
            ("gone", attributes(1, None), None),
            ("grown", attributes(1, Some(10)), None),
            ("same", attributes(1, Some(10)), None),
        ]);
        let listed = [
            entry("same", attributes(1, Some(10)), None),
            entry("new", attributes(5, None), None),
            entry("grown", attributes(1, Some(20)), None),
        ];
        let changes = diff(&stored, listed.into());
        let found: Vec<_> = changes
            .iter()
            .map(|change| {
                (
                    change.model_id.as_str(),
                    change.event,
                    change.changed.concat(),
                    change.row.as_ref().map(|row| row.raw.as_str()),
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                ("gone", Some(EventKind::Removed), String::new(), None),
                (
                    "grown",
                    Some(EventKind::Changed),
                    "context_window".to_owned(),
                    Some("raw grown")
                ),
                (
                    "new",
                    Some(EventKind::Added),
                    String::new(),
                    Some("raw new")
                ),
            ]
        );
    }

    #[test]
    fn another_name_of_another_model_has_that_models_time() {
        let alias = |target: Option<&str>, created| Attributes {
            alias_of: target.map(Into::into),
            ..attributes(created, None)
        };
        let stored = stored(&[
            ("moved", alias(Some("old"), 100), None),
            ("own now", alias(Some("old"), 100), None),
            ("same", alias(Some("old"), 100), None),
        ]);
        let listed = [
            entry("moved", alias(Some("new"), 200), None),
            entry("own now", alias(None, 0), None),
            entry("same", alias(Some("old"), 300), None),
        ];
        let created: Vec<_> = diff(&stored, listed.into())
            .iter()
            .filter_map(|change| Some((change.model_id.clone(), change.served()?.created)))
            .collect();
        assert_eq!(
            created,
            [("moved".to_owned(), 200), ("own now".to_owned(), 0)]
        );
    }

    #[test]
    fn what_a_rule_hides_is_stored_and_nobody_sees_it_happen() {
        let rule = Some("exclude");
        let stored = stored(&[
            ("hidden and gone", attributes(1, None), rule),
            ("hidden and grown", attributes(1, None), rule),
            ("hidden from now on", attributes(1, None), None),
            ("hidden still", attributes(1, None), rule),
            ("shown again", attributes(1, None), rule),
        ]);
        let listed = [
            entry("hidden and grown", attributes(1, Some(2)), rule),
            entry("hidden and new", attributes(1, None), rule),
            entry("hidden from now on", attributes(1, None), rule),
            entry("hidden still", attributes(1, None), rule),
            entry("shown again", attributes(1, None), None),
        ];
        let changes = diff(&stored, listed.into());
        let found: Vec<_> = changes
            .iter()
            .map(|change| {
                let stays = change.row.is_some();
                (
                    change.model_id.as_str(),
                    change.event,
                    stays,
                    change.served().is_some(),
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                ("hidden and gone", None, false, false),
                ("hidden and grown", None, true, false),
                ("hidden and new", None, true, false),
                ("hidden from now on", Some(EventKind::Removed), true, false),
                ("shown again", Some(EventKind::Added), true, true),
            ]
        );
        let counts = count(&changes);
        assert_eq!((counts.added, counts.removed, counts.changed), (1, 1, 0));
    }

    #[test]
    fn created_keeps_its_first_value_unless_it_was_unknown() {
        let stored = stored(&[
            ("known", attributes(100, None), None),
            ("unknown", attributes(0, None), None),
        ]);
        let listed = [
            entry("known", attributes(200, None), None),
            entry("unknown", attributes(200, None), None),
        ];
        let changes = diff(&stored, listed.into());
        assert_eq!(changes.len(), 1);
        assert_eq!(
            (changes[0].model_id.as_str(), changes[0].changed.concat()),
            ("unknown", "created".to_owned())
        );
    }
}
