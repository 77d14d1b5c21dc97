//! The Atom feed of revisions (RFC 4287). Pure.

use askama::Template;
use atom_syndication::{Content, Entry, Feed, Generator, Link, Person, Text};
use serde_json::Value;

use crate::{
    api::error::shortened,
    model::{digest::Digest, event::ChangeEvent, time::Timestamp, xml::xml_text},
};

/// The feed of `revisions` (latest first) of the database with this id.
pub fn atom(catalog_id: &str, revisions: &[Digest]) -> Result<Vec<u8>, atom_syndication::Error> {
    let id = format!("urn:uuid:{}", uuid(catalog_id));
    let time = |at: Timestamp| at.utc().fixed_offset();
    let entries: Vec<Entry> = revisions
        .iter()
        .map(|revision| Entry {
            title: Text::plain(xml_text(&revision.title())),
            id: format!("{id}#{}", revision.revision),
            updated: time(revision.at),
            links: vec![Link {
                href: format!("changes?since={}&limit=1", revision.revision - 1),
                rel: "alternate".to_owned(),
                mime_type: Some("application/json".to_owned()),
                ..Link::default()
            }],
            content: Some(Content {
                value: Some(xml_text(&html(revision))),
                content_type: Some("html".to_owned()),
                ..Content::default()
            }),
            ..Entry::default()
        })
        .collect();
    let feed = Feed {
        title: Text::plain("Changes of the model catalog"),
        id,
        updated: revisions.first().map_or_else(
            || time(Timestamp::from_millis(0)),
            |revision| time(revision.at),
        ),
        authors: vec![Person {
            name: "model-catalog".to_owned(),
            ..Person::default()
        }],
        generator: Some(Generator {
            value: "model-catalog".to_owned(),
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            ..Generator::default()
        }),
        links: vec![Link {
            href: "changes.atom".to_owned(),
            rel: "self".to_owned(),
            ..Link::default()
        }],
        entries,
        ..Feed::default()
    };
    feed.write_to(Vec::new())
}

/// A revision as HTML: the change of each event, up to a number.
#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<ul>{% for event in events %}<li>{{ event.kind }} {% if let Some(id) = event.id %}<code>{{ id }}</code>{% else %}all models of <code>{{ event.source }}</code>{% endif %}{% for change in event.changes %}<br>{{ change }}{% endfor %}</li>{% endfor %}{% if let Some(rest) = rest %}<li>{{ rest }}</li>{% endif %}</ul>"#
)]
struct RevisionHtml<'a> {
    events: Vec<EventHtml<'a>>,
    rest: Option<String>,
}

struct EventHtml<'a> {
    kind: &'static str,
    source: &'a str,
    id: Option<&'a str>,
    /// `context_window: 1000 → 2000`.
    changes: Vec<String>,
}

fn html(revision: &Digest) -> String {
    let page = RevisionHtml {
        events: revision
            .events
            .iter()
            .map(|event| EventHtml {
                kind: event.event.as_str(),
                source: event.source.as_str(),
                id: event.id.as_deref(),
                changes: changes(event),
            })
            .collect(),
        rest: revision.rest(),
    };
    // Writing to a String cannot fail; if it did, the title still names the changes.
    page.render().unwrap_or_else(|_| revision.title())
}

fn changes(event: &ChangeEvent) -> Vec<String> {
    let shown = |value: &Value| match value {
        Value::Null => "nothing".to_owned(),
        // A description may be long.
        Value::String(text) => shortened(text),
        other => shortened(&other.to_string()),
    };
    let changes = event.field_changes().into_iter();
    changes
        .map(|(name, before, after)| format!("{name}: {} → {}", shown(&before), shown(&after)))
        .collect()
}

/// The 32 hexadecimal `digits` in the form of a UUID.
fn uuid(digits: &str) -> String {
    let part = |range: std::ops::Range<usize>| digits.get(range).unwrap_or_default();
    [
        part(0..8),
        part(8..12),
        part(12..16),
        part(16..20),
        part(20..32),
    ]
    .join("-")
}
