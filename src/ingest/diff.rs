//! What a listing changes against what is stored: pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{attributes::Attributes, listing::Entry};

/// What happened to a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// Listed for the first time ever.
    Added,
    /// Listed with other attributes.
    Changed,
    /// No longer listed.
    Removed,
    /// Listed again after it had been removed.
    Returned,
}

/// What is stored of a model and compared.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "(Attributes, Option<String>)")]
pub struct Stored {
    /// What clients read of it.
    pub attributes: Attributes,
    /// The rule of the settings that keeps it from being served.
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
pub struct Change<'a> {
    /// The model.
    pub model_id: &'a str,
    /// What clients see happen; none of what a rule of the settings hides.
    pub event: Option<Event>,
    /// The names of the attributes that changed.
    pub changed: Vec<String>,
    /// What is stored of it from now on; none when it is gone.
    pub row: Option<Row<'a>>,
}

/// What is to be stored of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row<'a> {
    /// What clients read of it.
    pub attributes: Attributes,
    /// The entry as the source sent it.
    pub raw: &'a str,
    /// The rule of the settings that keeps it from being served.
    pub hidden_by: Option<&'a str>,
}

impl Change<'_> {
    /// What clients read of it from now on; none where they see it no more.
    pub fn served(&self) -> Option<&Attributes> {
        let row = self.row.as_ref()?;
        row.hidden_by.is_none().then_some(&row.attributes)
    }
}

/// How many models changed, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Listed for the first time ever.
    pub added: i64,
    /// Listed with other attributes.
    pub changed: i64,
    /// No longer listed.
    pub removed: i64,
    /// Listed again.
    pub returned: i64,
}

impl Counts {
    /// Counts `changes`.
    pub fn of(changes: &[Change]) -> Self {
        let mut counts = Self::default();
        for change in changes {
            *match change.event {
                Some(Event::Added) => &mut counts.added,
                Some(Event::Changed) => &mut counts.changed,
                Some(Event::Removed) => &mut counts.removed,
                Some(Event::Returned) => &mut counts.returned,
                None => continue,
            } += 1;
        }
        counts
    }
}

/// The changes from `stored` to `listed`, by model id. `created` keeps its first value: some
/// servers report the time at which they were asked.
pub fn diff<'a>(stored: &'a BTreeMap<String, Stored>, listed: &'a [Entry]) -> Vec<Change<'a>> {
    let listed: BTreeMap<&str, &Entry> = listed
        .iter()
        .map(|entry| (entry.id.as_str(), entry))
        .collect();
    let gone = stored
        .iter()
        .filter(|(id, _)| !listed.contains_key(id.as_str()))
        .map(|(id, old)| Change {
            model_id: id,
            event: old.hidden_by.is_none().then_some(Event::Removed),
            changed: Vec::new(),
            row: None,
        });
    let listed = listed
        .iter()
        .filter_map(|(id, entry)| compare(id, stored.get(*id), entry));
    let mut changes: Vec<Change> = listed.chain(gone).collect();
    changes.sort_by_key(|change| change.model_id);
    changes
}

/// What happens to the model `id`, which is `entry` from now on.
fn compare<'a>(id: &'a str, old: Option<&Stored>, entry: &'a Entry) -> Option<Change<'a>> {
    let attributes = match old {
        None => entry.attributes.clone(),
        // Another name of another model now, or the source's own: another model's time.
        Some(old) if old.attributes.alias_of != entry.attributes.alias_of => {
            entry.attributes.clone()
        }
        Some(old) => with_first_created(entry.attributes.clone(), old.attributes.created),
    };
    let hidden_by = entry.hidden_by.as_deref();
    let was_served = old.is_some_and(|old| old.hidden_by.is_none());
    let (event, changed) = match (was_served, hidden_by) {
        (false, None) => (Some(Event::Added), Vec::new()),
        (true, Some(_)) => (Some(Event::Removed), Vec::new()),
        (true, None) => {
            let changed = old.map(|old| old.attributes.differing_fields(&attributes))?;
            if changed.is_empty() {
                return None;
            }
            (Some(Event::Changed), changed)
        }
        (false, Some(rule)) => {
            let same = |old: &Stored| {
                old.attributes == attributes && old.hidden_by.as_deref() == Some(rule)
            };
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
            raw: &entry.raw,
            hidden_by,
        }),
    })
}

/// `attributes` with the value that `created` had first, where that was known.
pub fn with_first_created(attributes: Attributes, first: i64) -> Attributes {
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
        let changes = diff(&stored, &listed);
        let found: Vec<_> = changes
            .iter()
            .map(|change| {
                (
                    change.model_id,
                    change.event,
                    change.changed.concat(),
                    change.row.as_ref().map(|row| row.raw),
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                ("gone", Some(Event::Removed), String::new(), None),
                (
                    "grown",
                    Some(Event::Changed),
                    "context_window".to_owned(),
                    Some("raw grown")
                ),
                ("new", Some(Event::Added), String::new(), Some("raw new")),
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
        let created: Vec<_> = diff(&stored, &listed)
            .iter()
            .filter_map(|change| Some((change.model_id.to_owned(), change.served()?.created)))
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
        let changes = diff(&stored, &listed);
        let found: Vec<_> = changes
            .iter()
            .map(|change| {
                let stays = change.row.is_some();
                (
                    change.model_id,
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
                ("hidden from now on", Some(Event::Removed), true, false),
                ("shown again", Some(Event::Added), true, true),
            ]
        );
        let counts = Counts::of(&changes);
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
        let changes = diff(&stored, &listed);
        assert_eq!(changes.len(), 1);
        assert_eq!(
            (changes[0].model_id, changes[0].changed.concat()),
            ("unknown", "created".to_owned())
        );
    }
}
