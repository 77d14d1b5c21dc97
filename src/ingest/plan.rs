//! Turns the result of a fetch into everything to be written, as pure functions. Inside its
//! transaction, the store reads the state before, calls one of them and writes the plan.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;

use super::{
    damping::{self, Earlier},
    diff::{Change, FirstEvent, Stored, count, diff},
    enrich::Enrichment,
    guard, rules,
    schedule::{self, Backoff},
};
use crate::model::{
    event::Counts,
    fetch::{Committed, ErrorKind, FetchError},
    listing::{Entry, Listing, excerpt},
    settings::Rules,
    source::{HiddenReason, Kind, Role},
    state::{Held, Hidden, Missing, SourceState},
    time::Timestamp,
};

/// The most ids of missing models that a held listing keeps.
const MAX_MISSING: usize = 100;

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
    /// The event of the whole source.
    pub source_event: Option<SourceEvent>,
    /// The changes of its models. Until [`mark_seen`], returning models are among the added ones.
    pub changes: Vec<Change>,
    verdict: Verdict,
}

/// An event of a whole source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceEvent {
    /// Its models are not served any more.
    Hidden(HiddenReason),
    /// Its models are served again.
    Shown,
}

#[derive(Clone, Debug)]
enum Verdict {
    Listed,
    Held { listed: usize, stored: usize },
    Failed(FetchError),
}

impl Plan {
    /// Puts off the changes of models that go back and forth, given the `earlier` events of each
    /// changed model.
    pub fn damp(&mut self, earlier: &BTreeMap<String, Vec<Earlier>>, now: Timestamp) {
        let damped = damping::damp(&mut self.changes, earlier, now);
        // A model that goes back and forth is now and then as it is stored.
        let known = self.source.damped.take().filter(|known| known.until > now);
        self.source.damped = damped.or(known);
    }

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
    // A listing from another address is no baseline.
    if !accept
        && !source.moved
        && !guard::is_confirmed(source.role, held_since(source), now)
        && guard::is_suspicious(source.role, stored, listed)
    {
        let missing = find_missing(&before.models, &listing);
        return hold(source, missing, listed, stored, now);
    }
    Plan {
        source: SourceState {
            kind,
            moved: false,
            polling: schedule::after_success(&source.polling, now),
            refusals: 0,
            refused_since: None,
            held: None,
            ending: None,
            hidden: None,
            skipped: Some(listing.skipped).filter(|skipped| skipped.count > 0),
            server_version: server_version(source, kind, listing.server_version),
            ..source.clone()
        },
        source_event: source.hidden.as_ref().map(|_| SourceEvent::Shown),
        changes: plan_models(&before.models, listing.entries, derivation),
        verdict: Verdict::Listed,
    }
}

/// The version of a server of `kind` after a listing that came with `reported`. A request for the
/// version may fail while the list arrives.
fn server_version(source: &SourceState, kind: Kind, reported: Option<String>) -> Option<String> {
    let known = || source.server_version.clone();
    reported.or_else(|| known().filter(|_| kind == Kind::Ollama && !source.moved))
}

/// Holds a suspicious listing. The source did answer, so its failures end; its last success stays.
/// A listing that is already held keeps its date, so that refreshing again confirms nothing. A date
/// in the future comes from a clock that was set back and is replaced.
fn hold(
    source: &SourceState,
    missing: Missing,
    listed: usize,
    stored: usize,
    now: Timestamp,
) -> Plan {
    let since = held_since(source)
        .filter(|since| *since <= now)
        .unwrap_or(now);
    let mut source = SourceState {
        refusals: 0,
        refused_since: None,
        ending: None,
        held: Some(Held {
            since,
            models: Some(i64::try_from(listed).unwrap_or(i64::MAX)),
            missing: Some(missing),
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

/// Since when a listing of `source` is held; none when none is.
fn held_since(source: &SourceState) -> Option<Timestamp> {
    source.held.as_ref().map(|held| held.since)
}

/// The models among `stored` that are served and that `listing` lacks.
fn find_missing(stored: &BTreeMap<String, Stored>, listing: &Listing) -> Missing {
    let listed: BTreeSet<&str> = listing.entries.iter().map(|entry| &*entry.id).collect();
    let is_missing = |(id, model): &(&String, &Stored)| {
        model.hidden_by.is_none()
            && model.attributes.alias_of.is_none()
            && !listed.contains(id.as_str())
    };
    let missing = stored.iter().filter(is_missing).map(|(id, _)| id);
    Missing {
        count: missing.clone().count(),
        examples: missing.take(MAX_MISSING).map(|id| excerpt(id)).collect(),
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
/// models. Hides a source that has been stale for longer than `max_stale`, whose key has been refused
/// for too long, or which has ended. `jitter` (0 to 1) shortens the backoff.
pub fn plan_failure(
    source: &SourceState,
    max_stale: Option<TimeDelta>,
    error: &FetchError,
    jitter: f64,
    now: Timestamp,
) -> Plan {
    let ending = match source.role {
        Role::Provider => guard::ending(source.ending.as_ref(), error, now),
        // An endpoint comes and goes with its machine.
        Role::Endpoint => None,
    };
    let ends_now = !source.is_gone() && guard::has_ended(ending.as_ref(), error, now);
    let is_gone = source.is_gone() || ends_now;
    let (backoff, jitter) = match is_gone {
        true => (&Backoff::GONE, 0.0),
        false => (Backoff::of(source.role), jitter),
    };
    let mut polling = schedule::after_failure(&source.polling, error, backoff, jitter, now);
    // Attempt again when `max_stale` runs out, even if the source requested a longer wait: only an
    // attempt can hide it.
    let unreachable_from = polling
        .fetched_at
        .and_then(|at| guard::unreachable_from(at, polling.ttl(), max_stale));
    if let Some(from) = unreachable_from.filter(|from| *from > now && !is_gone) {
        polling.next_attempt_at = polling.next_attempt_at.map(|next| next.min(from));
    }
    let is_refused = error.kind == ErrorKind::Unauthorized;
    let refusals = source.refusals.saturating_add(i64::from(is_refused));
    let refused_since = source.refused_since.or(is_refused.then_some(now));

    let is_unreachable = unreachable_from.is_some_and(|from| from <= now);
    let is_refused_for_good =
        refused_since.is_some_and(|since| guard::is_refused_for_good(refusals, since, now));
    let reason = if is_unreachable {
        Some(HiddenReason::Unreachable)
    } else {
        is_refused_for_good.then_some(HiddenReason::Refused)
    };
    // A source without a listing has nothing to hide. That it has ended is said of each.
    let reason = match ends_now {
        true => Some(HiddenReason::Gone),
        false => reason.filter(|_| polling.fetched_at.is_some() && source.hidden.is_none()),
    };
    let hidden = reason.map(|reason| Hidden {
        since: source.hidden_since().unwrap_or(now),
        reason,
    });
    Plan {
        source_event: reason.map(SourceEvent::Hidden),
        source: SourceState {
            polling,
            refusals,
            refused_since,
            ending,
            hidden: hidden.or_else(|| source.hidden.clone()),
            ..source.clone()
        },
        changes: Vec::new(),
        verdict: Verdict::Failed(error.clone()),
    }
}

#[cfg(test)]
mod tests;
