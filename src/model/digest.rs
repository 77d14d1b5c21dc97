//! A revision in short, for people: what it changed, in numbers, and its first events.

use std::collections::BTreeMap;

use super::{
    event::{ChangeEvent, EventKind},
    time::Timestamp,
};

/// A revision in short.
#[derive(Clone, Debug)]
pub struct Digest {
    /// Its number.
    pub revision: i64,
    /// When it was made.
    pub at: Timestamp,
    /// The sources of its events.
    pub sources: Vec<String>,
    /// The number of its events by kind.
    pub counts: BTreeMap<EventKind, i64>,
    /// Whether it may have more events than were counted.
    pub is_cut: bool,
    /// Its first events.
    pub events: Vec<ChangeEvent>,
}

impl Digest {
    /// A title such as `openai: 2 added, 1 removed`.
    pub fn title(&self) -> String {
        let counts = self.counts.iter();
        let mut counts: Vec<String> = counts
            .map(|(kind, count)| format!("{count} {}", kind.as_str()))
            .collect();
        if self.is_cut {
            counts.push("and more".to_owned());
        }
        format!("{}: {}", self.sources.join(", "), counts.join(", "))
    }

    /// What follows its first events, in words; none when nothing does.
    pub fn rest(&self) -> Option<String> {
        let shown = i64::try_from(self.events.len()).unwrap_or(i64::MAX);
        let rest = self.counts.values().sum::<i64>() - shown;
        match (rest, self.is_cut) {
            (..=0, false) => None,
            (..=0, true) => Some("and more".to_owned()),
            (rest, false) => Some(format!("and {rest} more")),
            (rest, true) => Some(format!("and more than {rest} more")),
        }
    }
}
