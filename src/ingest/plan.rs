//! Turns the result of a fetch into everything to be written, as pure functions. Inside its
//! transaction, the store reads the state before, calls one of them and writes the plan.

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
    listing::{Entry, Listing},
    settings::Rules,
    source::Kind,
    state::{Held, Hidden, HiddenReason, SourceState},
    time::Timestamp,
};

/// The stored state of a source before a commit.
#[derive(Clone, Debug)]
pub struct Before {
    /// The source.
    pub source: SourceState,
    /// Its models, by the source's own id, including hidden ones and aliases.
    pub models: BTreeMap<String, Stored>,
}

/// The stored inputs that turn entries into models: the source's rules and the enrichment.
#[derive(Clone, Debug, Default)]
pub struct Derivation {
    /// The source's rules.
    pub rules: Rules,
    /// The enrichment data for its models.
    pub enrichment: Option<Enrichment>,
}

/// Everything that a commit writes.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The source's new state.
    pub source: SourceState,
    /// The event of the whole source: `hidden` or `shown`.
    pub source_event: Option<EventKind>,
    /// The changes of its models. Until [`mark_seen`], returning models are among the added ones.
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
    /// The number of models that clients see change.
    pub fn counts(&self) -> Counts {
        count(&self.changes)
    }

    /// Whether clients see any change, so that the commit makes a revision.
    pub fn makes_revision(&self) -> bool {
        self.source_event.is_some() || self.counts() != Counts::default()
    }

    /// The result of the commit.
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

/// The ids of the models among `changes` that clients did not see before: served from now on, or
/// hidden by a rule.
pub fn list_unseen(changes: &[Change]) -> Vec<&str> {
    changes
        .iter()
        .filter(|change| change.is_unseen())
        .map(|change| change.model_id.as_str())
        .collect()
}

/// Gives the models of [`list_unseen`] what their earlier events say, given what is known of each
/// that has any. Turns `added` into `returned`.
pub fn mark_seen(changes: &mut [Change], firsts: &BTreeMap<String, FirstEvent>) {
    for change in changes.iter_mut().filter(|change| change.is_unseen()) {
        if let Some(first) = firsts.get(&change.model_id) {
            change.mark_seen(first);
        }
    }
}

/// Plans the commit of a listing from the list API of `kind`, fetched at `now`. Holds a suspicious
/// listing, unless `accept` is set or it confirms an earlier one.
pub fn plan_listing(
    before: &Before,
    kind: Kind,
    listing: Listing,
    derivation: &Derivation,
    accept: bool,
    now: Timestamp,
) -> Plan {
    let source = &before.source;
    let listed = listing.entries.len();
    // Aliases are not part of a source's listing.
    let stored = before
        .models
        .values()
        .filter(|model| model.attributes.alias_of.is_none())
        .count();
    let held_since = source.held.as_ref().map(|held| held.since);
    // A listing from another address is no baseline.
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
            skipped: Some(listing.skipped).filter(|skipped| skipped.count > 0),
            ..source.clone()
        },
        source_event: source.hidden.as_ref().map(|_| EventKind::Shown),
        changes: plan_models(&before.models, listing.entries, derivation),
        verdict: Verdict::Listed,
    }
}

/// Holds a suspicious listing. The source did answer, so its failures end; its last success stays.
/// A listing that is already held keeps its date, so that refreshing again confirms nothing. A date
/// in the future comes from a clock that was set back and is replaced.
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

/// The changes that a source's `entries` make to its `stored` models.
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

/// Plans the commit of an attempt that failed at `now`: changes the source's state, never its
/// models. Hides a source that has been stale for longer than `max_stale` or whose key has been
/// refused for too long. `jitter` (0 to 1) shortens the backoff.
pub fn plan_failure(
    source: &SourceState,
    max_stale: Option<TimeDelta>,
    error: &FetchError,
    jitter: f64,
    now: Timestamp,
) -> Plan {
    let backoff = Backoff::of(source.role);
    let mut polling = schedule::after_failure(&source.polling, error, backoff, jitter, now);
    // Attempt again when `max_stale` runs out, even if the source requested a longer wait: only an
    // attempt can hide it.
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
    // A source without a listing has nothing to hide.
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
