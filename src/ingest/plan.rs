//! From what a source answered to everything that is to be written, as pure functions. The store
//! reads what stands before, calls one of them inside its transaction, and writes the plan.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::{
    diff::{Change, FirstEvent, Stored, count, diff},
    enrich::Enrichment,
    guard, rules,
    schedule::{self, Backoff},
};
use crate::model::{
    event::{Counts, EventKind},
    fetch::{Committed, ErrorKind, FetchError},
    listing::Entry,
    settings::Rules,
    source::Kind,
    state::{Held, Hidden, HiddenReason, SourceState},
    time::Timestamp,
};

/// What is stored of a source before a commit.
#[derive(Clone, Debug)]
pub struct Before {
    /// The source.
    pub source: SourceState,
    /// Its models, by the source's own id; hidden ones and aliases included.
    pub models: BTreeMap<String, Stored>,
}

/// What makes models of entries: the rules of the source and the enrichment, as stored.
#[derive(Clone, Debug, Default)]
pub struct Derivation {
    /// The source's rules.
    pub rules: Rules,
    /// What others say of its models.
    pub enrichment: Option<Enrichment>,
}

/// Everything that a commit writes.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The source from now on.
    pub source: SourceState,
    /// What happens to the whole source: `hidden` or `shown`.
    pub source_event: Option<EventKind>,
    /// What happens to its models. Models that were listed before are among the added ones until
    /// [`Plan::mark_returned`].
    pub changes: Vec<Change>,
    verdict: Verdict,
}

#[derive(Clone, Debug)]
enum Verdict {
    Listed,
    Held { listed: usize, stored: usize },
    Failed(FetchError),
}

impl Plan {
    /// The ids of the models that are listed and were not before.
    pub fn list_added(&self) -> Vec<&str> {
        list_added(&self.changes)
    }

    /// Tells models that return from new ones, by the first event of each that has any.
    pub fn mark_returned(&mut self, firsts: BTreeMap<String, FirstEvent>) {
        mark_returned(&mut self.changes, firsts);
    }

    /// How many models clients see change.
    pub fn counts(&self) -> Counts {
        count(&self.changes)
    }

    /// Whether clients see anything change: then the commit makes a revision.
    pub fn makes_revision(&self) -> bool {
        self.source_event.is_some() || self.counts() != Counts::default()
    }

    /// What the commit comes to.
    pub fn outcome(&self) -> Committed {
        match &self.verdict {
            Verdict::Held { listed, stored } => Committed::Held {
                listed: *listed,
                stored: *stored,
            },
            Verdict::Failed(error) => Committed::Failed(error.clone()),
            Verdict::Listed if self.makes_revision() => Committed::Changed(self.counts()),
            Verdict::Listed => Committed::Unchanged,
        }
    }
}

/// The ids of `changes` that are listed and were not before.
pub fn list_added(changes: &[Change]) -> Vec<&str> {
    changes
        .iter()
        .filter(|change| change.event == Some(EventKind::Added))
        .map(|change| change.model_id.as_str())
        .collect()
}

/// Tells models that return from new ones, by the first event of each that has any.
pub fn mark_returned(changes: &mut [Change], mut firsts: BTreeMap<String, FirstEvent>) {
    for change in changes {
        if change.event == Some(EventKind::Added)
            && let Some(first) = firsts.remove(&change.model_id)
        {
            change.mark_returned(first);
        }
    }
}

/// What becomes of a listing in the list API of `kind` that ended at `now`. A suspicious one is held
/// unless `accept` is set or it is the second.
pub fn plan_listing(
    before: &Before,
    kind: Kind,
    entries: Vec<Entry>,
    derivation: &Derivation,
    accept: bool,
    now: Timestamp,
) -> Plan {
    let source = &before.source;
    let listed = entries.len();
    // Aliases are ours.
    let stored = before
        .models
        .values()
        .filter(|model| model.attributes.alias_of.is_none())
        .count();
    let held_since = source.held.as_ref().map(|held| held.since);
    // A listing from another address is no measure.
    if !accept
        && !source.moved
        && !guard::is_confirmed(source.role, held_since, now)
        && guard::is_suspicious(source.role, stored, listed)
    {
        return hold(source, held_since, listed, stored, now);
    }
    Plan {
        source: SourceState {
            kind,
            moved: false,
            polling: schedule::after_success(&source.polling, now),
            refusals: 0,
            refused_since: None,
            held: None,
            hidden: None,
            ..source.clone()
        },
        source_event: source.hidden.as_ref().map(|_| EventKind::Shown),
        changes: plan_models(&before.models, entries, derivation),
        verdict: Verdict::Listed,
    }
}

/// The source did answer, so its failures are over; its last success stays. A listing that is held
/// already is not held anew, so that asking again confirms nothing; one in the future is from a
/// clock that was set back.
fn hold(
    source: &SourceState,
    held_since: Option<Timestamp>,
    listed: usize,
    stored: usize,
    now: Timestamp,
) -> Plan {
    let since = held_since.filter(|since| *since <= now).unwrap_or(now);
    let mut source = SourceState {
        refusals: 0,
        refused_since: None,
        held: Some(Held {
            since,
            models: Some(i64::try_from(listed).unwrap_or(i64::MAX)),
        }),
        ..source.clone()
    };
    source.polling.next_attempt_at = Some(since.plus(guard::held_retry(source.role)));
    source.polling.consecutive_failures = 0;
    source.polling.error = None;
    Plan {
        source,
        source_event: None,
        changes: Vec::new(),
        verdict: Verdict::Held { listed, stored },
    }
}

/// What a source's `entries` change of its `stored` models.
pub fn plan_models(
    stored: &BTreeMap<String, Stored>,
    mut entries: Vec<Entry>,
    derivation: &Derivation,
) -> Vec<Change> {
    if let Some(enrichment) = &derivation.enrichment {
        for entry in &mut entries {
            enrichment.fill(entry);
        }
    }
    diff(stored, rules::apply(&derivation.rules, entries))
}

/// What becomes of an attempt that failed at `now`: the source's state changes, never its models. A
/// source that has been stale for longer than `max_stale`, or whose key has been refused for too long,
/// is hidden by it. `jitter` (0 to 1) shortens the backoff.
pub fn plan_failure(
    source: &SourceState,
    max_stale: Option<TimeDelta>,
    error: &FetchError,
    jitter: f64,
    now: Timestamp,
) -> Plan {
    let backoff = Backoff::of(source.role);
    let mut polling = schedule::after_failure(&source.polling, error, backoff, jitter, now);
    // However long the source wants to be left alone, its stale models are not served longer for it.
    let gone_at = polling
        .fetched_at
        .and_then(|at| guard::gone_at(at, polling.ttl(), max_stale));
    if let Some(gone_at) = gone_at.filter(|gone_at| *gone_at > now) {
        polling.next_attempt_at = polling.next_attempt_at.map(|next| next.min(gone_at));
    }
    let is_refused = error.kind == ErrorKind::Unauthorized;
    let refusals = source.refusals.saturating_add(i64::from(is_refused));
    let refused_since = source.refused_since.or(is_refused.then_some(now));

    let is_gone = gone_at.is_some_and(|at| at <= now);
    let is_refused_for_good =
        refused_since.is_some_and(|since| guard::is_refused_for_good(refusals, since, now));
    let reason = if is_gone {
        Some(HiddenReason::Unreachable)
    } else {
        is_refused_for_good.then_some(HiddenReason::Refused)
    };
    // Without a listing there is nothing to hide.
    let reason = reason.filter(|_| polling.fetched_at.is_some() && source.hidden.is_none());
    let hidden = reason.map(|reason| Hidden { since: now, reason });
    Plan {
        source_event: hidden.as_ref().map(|_| EventKind::Hidden),
        source: SourceState {
            polling,
            refusals,
            refused_since,
            hidden: hidden.or_else(|| source.hidden.clone()),
            ..source.clone()
        },
        changes: Vec::new(),
        verdict: Verdict::Failed(error.clone()),
    }
}

#[cfg(test)]
mod tests;
