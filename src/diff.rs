//! What a listing changes against what is stored: pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{Attributes, Entry};

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

/// One model's change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// The model.
    pub model_id: &'a str,
    /// What happened.
    pub event: Event,
    /// What clients read of it from now on; none when it is gone.
    pub attributes: Option<Attributes>,
    /// The names of the attributes that changed.
    pub changed: Vec<String>,
    /// The entry as the source sent it; none when it is gone.
    pub raw: Option<&'a str>,
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
                Event::Added => &mut counts.added,
                Event::Changed => &mut counts.changed,
                Event::Removed => &mut counts.removed,
                Event::Returned => &mut counts.returned,
            } += 1;
        }
        counts
    }
}

/// The changes from `stored` to `listed`, by model id. `created` keeps its first value: some
/// servers report the time at which they were asked.
pub fn diff<'a>(stored: &'a BTreeMap<String, Attributes>, listed: &'a [Entry]) -> Vec<Change<'a>> {
    let listed: BTreeMap<&str, &Entry> = listed
        .iter()
        .map(|entry| (entry.id.as_str(), entry))
        .collect();
    let removed = stored
        .keys()
        .filter(|id| !listed.contains_key(id.as_str()))
        .map(|id| Change {
            model_id: id,
            event: Event::Removed,
            attributes: None,
            changed: Vec::new(),
            raw: None,
        });
    let listed = listed.iter().filter_map(|(id, entry)| {
        let (event, attributes, changed) = match stored.get(*id) {
            None => (Event::Added, entry.attributes.clone(), Vec::new()),
            Some(old) => {
                let new = with_first_created(entry.attributes.clone(), old.created);
                let changed = old.differing_fields(&new);
                if changed.is_empty() {
                    return None;
                }
                (Event::Changed, new, changed)
            }
        };
        Some(Change {
            model_id: id,
            event,
            attributes: Some(attributes),
            changed,
            raw: Some(&entry.raw),
        })
    });
    let mut changes: Vec<Change> = listed.chain(removed).collect();
    changes.sort_by_key(|change| change.model_id);
    changes
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

    fn entry(id: &str, attributes: Attributes) -> Entry {
        Entry {
            id: id.to_owned(),
            attributes,
            raw: format!("raw {id}"),
        }
    }

    #[test]
    fn finds_every_kind_of_change() {
        let stored = BTreeMap::from([
            ("gone".to_owned(), attributes(1, None)),
            ("grown".to_owned(), attributes(1, Some(10))),
            ("same".to_owned(), attributes(1, Some(10))),
        ]);
        let listed = [
            entry("same", attributes(1, Some(10))),
            entry("new", attributes(5, None)),
            entry("grown", attributes(1, Some(20))),
        ];
        let changes = diff(&stored, &listed);
        let found: Vec<_> = changes
            .iter()
            .map(|change| {
                (
                    change.model_id,
                    change.event,
                    change.changed.concat(),
                    change.raw,
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                ("gone", Event::Removed, String::new(), None),
                (
                    "grown",
                    Event::Changed,
                    "context_window".to_owned(),
                    Some("raw grown")
                ),
                ("new", Event::Added, String::new(), Some("raw new")),
            ]
        );
    }

    #[test]
    fn created_keeps_its_first_value_unless_it_was_unknown() {
        let stored = BTreeMap::from([
            ("known".to_owned(), attributes(100, None)),
            ("unknown".to_owned(), attributes(0, None)),
        ]);
        let listed = [
            entry("known", attributes(200, None)),
            entry("unknown", attributes(200, None)),
        ];
        let changes = diff(&stored, &listed);
        assert_eq!(changes.len(), 1);
        assert_eq!(
            (changes[0].model_id, changes[0].changed.concat()),
            ("unknown", "created".to_owned())
        );
    }
}
