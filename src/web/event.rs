//! One change as pages show it: what happened to which model, and each field before and after. Pure.

use super::markup::{Time, model_path, value};
use crate::model::event::{ChangeEvent, EventKind};

/// One change.
pub struct EventRow {
    /// `added`, `changed`, …
    pub kind: &'static str,
    /// A sign for it, beside its colour.
    pub sign: &'static str,
    /// What happened, as it reads behind the model's id.
    pub words: String,
    /// The source.
    pub source: String,
    /// The model; none when it happened to all models of the source.
    pub id: Option<String>,
    /// The address of its page.
    pub href: String,
    /// When it happened.
    pub at: Time,
    /// The revision that it belongs to.
    pub revision: i64,
    /// The fields that changed.
    pub fields: Vec<FieldRow>,
}

/// A field that changed.
pub struct FieldRow {
    /// Its name, as answers have it.
    pub name: String,
    /// Its value before.
    pub before: String,
    /// Its value after.
    pub after: String,
}

impl EventRow {
    /// `event`, with links that keep the moment of `query`.
    pub fn of(event: &ChangeEvent, query: &str) -> Self {
        let (sign, words) = match event.event {
            EventKind::Added => ("+", "was listed for the first time".to_owned()),
            EventKind::Changed => ("~", "changed".to_owned()),
            EventKind::Removed => ("−", "is no longer listed".to_owned()),
            EventKind::Returned => ("↩", "is listed again".to_owned()),
            EventKind::Hidden => ("◌", hidden_because(event)),
            EventKind::Shown => ("●", "is shown again".to_owned()),
        };
        let changes = event.field_changes().into_iter();
        Self {
            kind: event.event.as_str(),
            sign,
            words,
            source: event.source.to_string(),
            href: event
                .id
                .as_deref()
                .map_or_else(String::new, |id| format!("{}{query}", model_path(id))),
            id: event.id.clone(),
            at: Time::minute(event.at),
            revision: event.revision,
            fields: changes
                .map(|(name, before, after)| FieldRow {
                    name: name.to_owned(),
                    before: value(&before),
                    after: value(&after),
                })
                .collect(),
        }
    }
}

fn hidden_because(event: &ChangeEvent) -> String {
    match event.reason {
        Some(reason) => format!("is hidden: {}", reason.as_str().replace('_', " ")),
        None => "is hidden".to_owned(),
    }
}
