//! `/ui/sources`: how each source is doing, in words, colour and shape.

use std::collections::BTreeMap;

use askama::Template;
use axum::response::Response;

use super::{
    chart::AttemptsChart,
    frame::{Frame, write},
    markup::{Time, ago, count, number, span, until},
    visit::{Visit, When},
};
use crate::{
    api::{
        catalog::sources::{self, SourceAnswer},
        error::ApiError,
    },
    model::{
        listing::Skipped,
        source::{Role, SourceName},
        state::Held,
        time::Timestamp,
    },
    snapshot::Snapshot,
    store::charts::Attempt,
};

/// The number of attempts that a chart shows.
const ATTEMPTS: i64 = 60;
/// The number of attempts that the table behind it shows.
const ATTEMPTS_IN_TABLE: usize = 20;
/// The width of the bar of a listing's age, in units of its own.
const AGE_WIDTH: i64 = 100;

#[derive(Template)]
#[template(path = "sources.html")]
struct SourcesPage<'a> {
    frame: Frame,
    cards: Vec<Card>,
    unconfigured: Vec<(String, String)>,
    enrichment: Option<String>,
    database_error: Option<String>,
    /// What came of a refresh that was just asked for.
    outcome: Option<Outcome>,
    is_past: bool,
    has_any: bool,
    revision: &'a str,
}

/// One source.
struct Card {
    name: String,
    /// `openai`, `ollama`, …
    kind: String,
    is_local: bool,
    condition: Condition,
    models: String,
    href: String,
    fetched: Option<Time>,
    fetched_ago: String,
    /// The age of the listing.
    age: Option<Age>,
    next: String,
    failures: i64,
    error: Option<(String, Time)>,
    held: Option<HeldCard>,
    hidden_since: Option<Time>,
    skipped: Option<Skipped>,
    damped: Option<String>,
    /// What is out of the ordinary in the catalog's own work.
    notes: Vec<String>,
    chart: Option<AttemptsChart>,
    attempts: Vec<AttemptRow>,
}

/// The state of a source, as people see it.
struct Condition {
    /// The class of its colour and the name of its state.
    class: &'static str,
    /// A shape, for those who do not see colours.
    shape: &'static str,
    /// What it means.
    words: &'static str,
}

/// The age of a listing, as a part of its time to live.
struct Age {
    width: i64,
    /// Whether it is over.
    is_over: bool,
    words: String,
}

/// A listing that waits to be believed.
struct HeldCard {
    since: Time,
    words: String,
    /// The ids of the models that would go.
    missing: Vec<String>,
    /// How many more would go.
    further: usize,
}

struct AttemptRow {
    at: Time,
    outcome: String,
    duration: String,
    models: String,
    error: String,
}

/// What came of a refresh.
struct Outcome {
    source: String,
    words: &'static str,
}

/// Every source that the caller may see.
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
    let moment = visit.moment();
    let snapshot = visit.snapshot().await?;
    let mut attempts = catalog.store().recent_attempts(moment, ATTEMPTS).await?;
    let (current, in_force) = (catalog.current(), catalog.in_force());
    let sources = sources::list(caller, catalog, &current, &in_force)?;
    let sees_all = caller.scope().has_all_models();
    let mut attempts_at = |name: &SourceName| {
        let mut attempts = attempts.remove(name).unwrap_or_default();
        if !sees_all {
            // How many models the source lists is not for this caller.
            attempts
                .iter_mut()
                .for_each(|attempt| attempt.models = None);
        }
        attempts
    };
    let is_asked = |source: &&SourceAnswer| source.state != "unconfigured" || source.models > 0;
    let cards: Vec<Card> = match when.past {
        None => sources
            .iter()
            .filter(is_asked)
            .map(|source| Card::of(source, attempts_at(source.name), when, now))
            .collect(),
        Some(at) => past_cards(&sources, &snapshot, &mut attempts_at, when, at),
    };
    let is_present = when.past.is_none();
    let unconfigured = sources.iter().filter(|source| !is_asked(source));
    let unconfigured =
        unconfigured.filter_map(|source| Some((source.name.to_string(), source.hint?.to_owned())));
    let enrichment = current.sources.enrichment.as_ref().map(|enrichment| {
        let fetched_at = enrichment.polling.fetched_at;
        let age = fetched_at.map_or_else(|| "never".to_owned(), |at| ago(at, now));
        let error = enrichment.polling.error.as_ref();
        let error = error.map_or_else(String::new, |error| format!(". {}", error.message));
        let models = count(enrichment.models, "model");
        format!(
            "{} describes {models}; last read {age}{error}",
            enrichment.name
        )
    });
    let html = write(&SourcesPage {
        frame: Frame::new(&visit, "Sources", "/ui/sources", snapshot.revision),
        has_any: !cards.is_empty(),
        cards,
        unconfigured: unconfigured.filter(|_| is_present).collect(),
        enrichment: enrichment.filter(|_| is_present && sees_all),
        database_error: catalog
            .database_error()
            .filter(|_| sees_all)
            .map(|error| error.message.clone()),
        outcome: outcome(&visit),
        is_past: !is_present,
        revision: &snapshot.revision.to_string(),
    })?;
    Ok(visit.answer(html))
}

/// What the address says of a refresh that has just ended.
fn outcome(visit: &Visit) -> Option<Outcome> {
    let words = match &*visit.parameter("outcome")? {
        "changed" => "has answered with a new list",
        "unchanged" => "has answered, and nothing has changed",
        "held" => "has answered with a suspicious list, which waits",
        "failed" => "could not be asked: the card says why",
        "busy" => "was asked less than 10 s ago, or is being asked",
        _ => return None,
    };
    let source: SourceName = visit.parameter("asked")?.parse().ok()?;
    Some(Outcome {
        source: source.to_string(),
        words,
    })
}

impl Card {
    fn of(source: &SourceAnswer<'_>, attempts: Vec<Attempt>, when: &When, now: Timestamp) -> Self {
        let damped = source.damped.map(|damped| {
            let models = count(i64::try_from(damped.count).unwrap_or(i64::MAX), "model");
            format!(
                "{models} that change back and forth: {}",
                damped.examples.join(", ")
            )
        });
        let overdue = source
            .overdue_since
            .map(|since| format!("It has been due for {}.", span(now.since(since))));
        let restarts = source
            .restarts
            .as_ref()
            .map(|restarts| format!("Its task was restarted {} times.", restarts.count));
        let elsewhere = source.configured_elsewhere.clone();
        Self {
            condition: Condition::of(source),
            fetched: source.fetched_at.map(Time::minute),
            fetched_ago: source
                .fetched_at
                .map_or_else(|| "never".to_owned(), |at| ago(at, now)),
            age: source.fetched_at.zip(source.ttl_secs).map(|(at, ttl)| {
                let age = now.since(at);
                let ttl = ttl.max(1);
                Age {
                    is_over: age.num_seconds() >= ttl,
                    width: (age.num_seconds().clamp(0, ttl) * AGE_WIDTH) / ttl,
                    words: format!(
                        "{} old of {}",
                        span(age),
                        span(chrono::TimeDelta::seconds(ttl))
                    ),
                }
            }),
            next: source
                .next_attempt_at
                .map_or_else(String::new, |at| until(at, now)),
            failures: source.consecutive_failures,
            error: source
                .error
                .map(|error| (error.message.clone(), Time::minute(error.since))),
            held: source.held.as_ref().map(HeldCard::of),
            hidden_since: source.hidden_since.map(Time::minute),
            skipped: source.skipped.cloned(),
            damped,
            notes: [overdue, restarts, elsewhere]
                .into_iter()
                .flatten()
                .collect(),
            ..Self::bare(source, source.models, attempts, when)
        }
    }

    /// The card with what is known of any moment.
    fn bare(source: &SourceAnswer<'_>, models: i64, attempts: Vec<Attempt>, when: &When) -> Self {
        let name = source.name.to_string();
        let rows = attempts.iter().rev().take(ATTEMPTS_IN_TABLE);
        Self {
            href: format!("/{}", when.query_with(&[("provider", &name)])),
            name,
            kind: source.kind.as_str().to_owned(),
            is_local: source.role == Role::Endpoint,
            condition: Condition::THEN,
            models: count(models, "model"),
            fetched: None,
            fetched_ago: String::new(),
            age: None,
            next: String::new(),
            failures: 0,
            error: None,
            held: None,
            hidden_since: None,
            skipped: None,
            damped: None,
            notes: Vec::new(),
            attempts: rows.map(AttemptRow::of).collect(),
            chart: AttemptsChart::of(&attempts),
        }
    }
}

/// The sources that listed a model at a moment of the past, or were asked before it.
fn past_cards(
    sources: &[SourceAnswer<'_>],
    snapshot: &Snapshot,
    attempts_at: &mut impl FnMut(&SourceName) -> Vec<Attempt>,
    when: &When,
    at: Timestamp,
) -> Vec<Card> {
    let listed: BTreeMap<&SourceName, i64> = snapshot.count_listed();
    let card = |source: &SourceAnswer<'_>| {
        let models = listed.get(source.name).copied().unwrap_or(0);
        let attempts = attempts_at(source.name);
        if models == 0 && attempts.is_empty() {
            return None;
        }
        let answered = attempts
            .iter()
            .rev()
            .find(|attempt| attempt.outcome != "failed");
        let answered = answered.map(|attempt| attempt.started_at);
        let failed = attempts.last().filter(|last| last.outcome == "failed");
        let error = failed.map(|last| {
            let message = last.error.clone().unwrap_or_default();
            (message, Time::minute(last.started_at))
        });
        Some(Card {
            fetched: answered.map(Time::minute),
            fetched_ago: answered.map_or_else(String::new, |answered| {
                format!("{} before", span(at.since(answered)))
            }),
            error,
            ..Card::bare(source, models, attempts, when)
        })
    };
    sources.iter().filter_map(card).collect()
}

impl HeldCard {
    fn of(held: &Held) -> Self {
        let (models, missing) = (held.models, held.missing.as_ref());
        let length = |length: usize| i64::try_from(length).unwrap_or(i64::MAX);
        Self {
            since: Time::minute(held.since),
            words: match (models, missing) {
                (Some(models), Some(missing)) => format!(
                    "The last answer has {} and lacks {} that {} served.",
                    count(models, "model"),
                    number(length(missing.count)),
                    if missing.count == 1 { "is" } else { "are" }
                ),
                _ => "The last answer has far fewer models than are served.".to_owned(),
            },
            missing: missing.map_or_else(Vec::new, |missing| missing.examples.clone()),
            further: missing.map_or(0, |missing| missing.count - missing.examples.len()),
        }
    }
}

impl Condition {
    /// The state at a moment of the past is not kept, and not shown.
    const THEN: Self = Self {
        class: "then",
        shape: "",
        words: "",
    };

    fn of(source: &SourceAnswer<'_>) -> Self {
        let is_failing = source.error.is_some();
        let (class, shape, words) = match source.state {
            _ if source.held.is_some() => ("held", "■", "its last answer waits to be believed"),
            "fresh" if is_failing => ("failing", "▲", "fails, and its last list is still fresh"),
            "fresh" => ("fresh", "●", "its list is fresh"),
            "stale" if is_failing => ("failing", "▲", "fails; its last list is served"),
            "stale" => (
                "stale",
                "◐",
                "its list is older than it should be, and served",
            ),
            "hidden" if is_failing => ("hidden", "○", "it fails, and its models are not served"),
            "hidden" => ("hidden", "○", "its models are not served"),
            "gone" => ("gone", "✕", "has ended"),
            "missing" if is_failing => ("failing", "▲", "has never answered"),
            "missing" => ("missing", "◌", "has not answered yet"),
            _ => ("hidden", "○", "no setting names it any more"),
        };
        Self {
            class,
            shape,
            words,
        }
    }
}

impl AttemptRow {
    fn of(attempt: &Attempt) -> Self {
        Self {
            at: Time::minute(attempt.started_at),
            outcome: attempt.outcome.clone(),
            duration: format!("{} ms", number(attempt.duration_ms)),
            models: attempt.models.map_or_else(String::new, number),
            error: attempt.error.clone().unwrap_or_default(),
        }
    }
}
