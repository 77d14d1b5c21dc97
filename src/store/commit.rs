//! Commits the result of a fetch in one transaction, if its claim is still valid: reads the stored
//! state, calls `ingest::plan` and writes the plan.

use std::time::Duration;

use chrono::TimeDelta;
use sqlx::SqliteConnection;

use super::{
    Store, Write,
    derive::{Target, read_derivation},
    details::write_details,
    error::Result,
    events::record_source_event,
    fetches::{FetchRow, ListingSize},
    models::{list_first_events, list_last_events, list_stored},
    sources::{Claim, write_source},
    state::find_source,
};
use crate::{
    ingest::{
        damping::list_changed,
        plan::{Before, SourceEvent, list_unseen, mark_seen, plan_failure, plan_listing},
    },
    model::{
        fetch::{Committed, FetchError, Fetched},
        settings::SourceSettings,
        source::{Kind, Role},
        time::Timestamp,
    },
};

/// Details of an attempt, besides its result.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// Whether to accept a suspicious listing at once.
    pub accept: bool,
    /// How long it took.
    pub duration: Duration,
    /// From 0 to 1: shortens the backoff by up to half.
    pub jitter: f64,
}

impl Attempt {
    /// When the fetch ended, by the clock that now shows `now`. Not `now` itself: since then, the
    /// commit may have waited for the write lock.
    pub(super) fn ended_at(&self, claim: &Claim, now: Timestamp) -> Timestamp {
        let duration = TimeDelta::from_std(self.duration).unwrap_or_default();
        claim.at.plus(duration).min(now)
    }
}

impl Store {
    /// Commits the result of fetching `source`: a listing with its models, events and state, or a
    /// failure, which only changes the state. Atomic. Writes nothing when `claim` is no longer
    /// valid.
    pub async fn commit(
        &self,
        source: &SourceSettings,
        claim: &Claim,
        result: std::result::Result<Fetched, FetchError>,
        attempt: Attempt,
    ) -> Result<Committed> {
        if source.kind == Kind::Enrichment {
            return self.commit_enrichment(source, claim, result, attempt).await;
        }
        let name = source.name.as_str();
        let Write {
            mut tx,
            now,
            revision,
        } = self.begin().await?;
        let ended_at = attempt.ended_at(claim, now);
        let Some(mut before) = find_source(&mut tx, name)
            .await?
            .filter(|before| before.configured && before.claim == claim.number)
        else {
            return Ok(Committed::Superseded);
        };
        before.polling.claimed_until = None;
        let last_seen_at = before.polling.fetched_at;
        let size = result.as_ref().ok().map(|fetched| ListingSize {
            pages: fetched.listing.pages,
            models: fetched.listing.entries.len(),
            skipped: fetched.listing.skipped.count,
        });
        let mut details = None;
        let mut plan = match result {
            Err(error) => plan_failure(&before, source.max_stale, &error, attempt.jitter, ended_at),
            Ok(Fetched { kind, mut listing }) => {
                details = Some(std::mem::take(&mut listing.details));
                let before = Before {
                    models: list_stored(&mut tx, source.role, name).await?,
                    source: before,
                };
                let derivation = read_derivation(&mut tx, source.role, name).await?;
                let mut plan = plan_listing(
                    &before,
                    kind,
                    listing,
                    &derivation,
                    attempt.accept,
                    ended_at,
                );
                // Who accepts a listing takes it at its word; so does who gives the source another
                // address.
                if attempt.accept || before.source.moved {
                    plan.source.damped = None;
                } else {
                    let changed = list_changed(&plan.changes);
                    let earlier = list_last_events(&mut tx, name, &changed).await?;
                    plan.damp(&earlier, revision.at);
                }
                plan
            }
        };
        let firsts = list_first_events(&mut tx, name, &list_unseen(&plan.changes)).await?;
        mark_seen(&mut plan.changes, &firsts);
        let outcome = plan.outcome();
        let is_listed = matches!(outcome, Committed::Unchanged | Committed::Changed(_));
        if let Some(event) = plan.source_event {
            // As the event says, unless it was hidden before it ended.
            if let (SourceEvent::Hidden(_), Some(hidden)) = (event, &mut plan.source.hidden)
                && hidden.since == ended_at
            {
                hidden.since = revision.at;
            }
            record_source_event(&mut tx, revision, name, event).await?;
        }
        write_source(&mut tx, &plan.source, is_listed).await?;
        if is_listed {
            let target = Target {
                role: source.role,
                name,
                revision,
                last_seen_at,
                fetched_at: ended_at,
            };
            target.write(&mut tx, &plan.changes).await?;
            touch_models(&mut tx, source.role, name, ended_at).await?;
            if let Some(details) = details {
                write_details(&mut tx, name, &details).await?;
            }
        }
        let row = FetchRow {
            source: name,
            role: source.role,
            started_at: claim.at,
            duration: attempt.duration,
            outcome: outcome.outcome(),
            size,
            error: match &outcome {
                Committed::Failed(error) => Some(error),
                _ => None,
            },
            counts: plan.counts(),
            revision: plan.makes_revision().then_some(revision.number),
        };
        row.record(&mut tx).await?;
        tx.commit().await?;
        Ok(outcome)
    }
}

/// Sets the fetch time of every model of a provider to its last success.
async fn touch_models(
    connection: &mut SqliteConnection,
    role: Role,
    name: &str,
    now: Timestamp,
) -> Result<()> {
    if role == Role::Provider {
        sqlx::query!(
            "UPDATE cloud_models SET fetched_at = ?2 WHERE provider = ?1",
            name,
            now
        )
        .execute(connection)
        .await?;
    }
    Ok(())
}
