//! What came of an attempt at a source, for the log and the metrics.

use std::time::Duration;

use super::{RefreshOutcome, Size, Task};
use crate::{
    ingest::guard,
    model::{
        event::{Counts, EventKind},
        fetch::Outcome,
        listing::Skipped,
        source::Role,
        state::SourceState,
    },
};

impl Task {
    /// Logs the unusable entries of the last listing, if they are others than `known`.
    pub(super) fn log_skipped(&self, known: Option<&Skipped>) {
        let provider = &self.source.name;
        let state = self.state();
        let skipped = state.as_ref().and_then(|state| state.skipped.as_ref());
        let Some(skipped) = skipped.filter(|skipped| Some(*skipped) != known) else {
            return;
        };
        let examples = skipped.examples.iter();
        let examples: Vec<String> = examples
            .map(|example| format!("{} ({})", example.what, example.why))
            .collect();
        let (count, examples) = (skipped.count, examples.join("; "));
        tracing::warn!(%provider, skipped = count, "skipped {count} of {provider}'s entries as unusable: {examples}");
    }

    /// Logs that models go back and forth, unless that `was_known`.
    pub(super) fn log_damped(&self, was_known: bool) {
        let provider = &self.source.name;
        let state = self.state();
        let damped = state.as_ref().and_then(|state| state.damped.as_ref());
        if let Some(damped) = damped.filter(|_| !was_known) {
            let (count, examples) = (damped.count, damped.examples.join(", "));
            tracing::warn!(
                %provider, damped = count,
                "{provider} says something else of {count} of its models at each fetch ({examples}): from now on, one change an hour of each is kept"
            );
        }
    }

    /// Counts what came of an attempt that took `duration`.
    pub(super) fn count(&self, outcome: &RefreshOutcome, duration: Duration) {
        let (metrics, source) = (&self.shared.metrics, self.source.name.as_str());
        if let Some(label) = outcome.outcome() {
            metrics.count_fetch(source, label.as_str(), duration);
        }
        match outcome {
            RefreshOutcome::Failed(error) => metrics.count_failure(source, error.kind.as_str()),
            RefreshOutcome::Changed(counts) => {
                for (event, count) in [
                    (EventKind::Added, counts.added),
                    (EventKind::Changed, counts.changed),
                    (EventKind::Removed, counts.removed),
                    (EventKind::Returned, counts.returned),
                ] {
                    metrics.count_events(event.as_str(), u64::try_from(count).unwrap_or(0));
                }
            }
            _ => {}
        }
    }

    /// Logs what came of an attempt at the source, whose state was `before`: one line, with what it
    /// brought and how long it took, the database included.
    pub(super) fn log(
        &self,
        outcome: &RefreshOutcome,
        before: Option<&SourceState>,
        size: Size,
        took: Duration,
    ) {
        let provider = &self.source.name;
        let Size { pages, models } = size;
        let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let polling = before.map(|before| &before.polling);
        let known_error = polling.and_then(|polling| Some(polling.error.as_ref()?.kind));
        let is_first = polling.is_none_or(|polling| polling.fetched_at.is_none());
        let failures = polling.map_or(0, |polling| polling.consecutive_failures);
        let Some(label) = outcome.outcome().map(Outcome::as_str) else {
            return;
        };
        if failures > 0
            && !matches!(
                outcome,
                RefreshOutcome::Failed(_) | RefreshOutcome::StoreFailed(_)
            )
        {
            let times = if failures == 1 { "failure" } else { "failures" };
            tracing::info!(%provider, failures, "{provider} answers again after {failures} {times}");
        }
        match outcome {
            RefreshOutcome::NotDue
            | RefreshOutcome::Stopped
            | RefreshOutcome::Panicked
            | RefreshOutcome::Elsewhere(_) => {}
            RefreshOutcome::Unchanged => {
                tracing::debug!(%provider, outcome = label, pages, models, duration_ms, "{provider} lists the same models as before");
            }
            RefreshOutcome::Changed(counts) if is_first => {
                let added = counts.added;
                tracing::info!(%provider, outcome = label, added, pages, models, duration_ms, "{provider} gave its first list: {added} models");
            }
            RefreshOutcome::Changed(counts) => {
                let Counts {
                    added,
                    changed,
                    removed,
                    returned,
                } = counts;
                tracing::info!(
                    %provider, outcome = label, added, changed, removed, returned, pages, models, duration_ms,
                    "{provider} changed its list: {added} added, {changed} changed, {removed} removed, {returned} returned"
                );
            }
            RefreshOutcome::Held { listed, stored } => {
                let wait = guard::held_retry(self.source.role).num_seconds();
                tracing::warn!(
                    %provider, outcome = label, listed, stored, pages, duration_ms,
                    "{provider} suddenly lists {listed} models instead of {stored}: held until a second listing, in {wait} s, confirms it; POST /catalog/refresh?source={provider}&accept=true accepts it now"
                );
            }
            // A local server that is off is retried every 30 s: warn only the first time.
            RefreshOutcome::Failed(error)
                if self.source.role == Role::Endpoint && known_error == Some(error.kind) =>
            {
                tracing::debug!(%provider, outcome = label, pages, duration_ms, "{provider} still cannot be listed: {error}");
            }
            RefreshOutcome::Failed(error) => {
                let kind = error.kind.as_str();
                tracing::warn!(%provider, outcome = label, error = kind, pages, duration_ms, "{provider} could not be listed ({kind}): {error}");
            }
            RefreshOutcome::StoreFailed(error) => {
                tracing::debug!(%provider, outcome = label, duration_ms, "{provider} was not refreshed: {error}");
            }
        }
    }
}
