//! The sources' rows: claims fetches, and writes the sources' state.

use std::time::Duration;

use sqlx::SqliteConnection;

use super::{BUSY_TIMEOUT, Store, Write, details::read_details, error::Result, state::find_source};
use crate::{
    ingest::schedule::{self, ClaimMode},
    model::{
        listing::Details,
        settings::SourceSettings,
        source::{HiddenReason, Kind},
        state::SourceState,
        time::Timestamp,
    },
};

/// The exclusive right to fetch one source, as it is configured, and commit the result. Others respect
/// it until its lease ends. Another address or kind ends it at once.
#[derive(Clone, Debug)]
pub struct Claim {
    /// When the claim was made.
    pub at: Timestamp,
    /// Its number: no other claim of the source has it.
    pub(super) number: i64,
    /// The stored details of the source's models.
    pub details: Details,
    /// The last attempt before the claim.
    pub(super) attempted_at: Option<Timestamp>,
    /// When the next attempt was due before the claim.
    pub(super) next_attempt_at: Option<Timestamp>,
}

impl Store {
    /// Claims `source` for one fetch within `limit`; none when `mode` does not allow it, another task
    /// or process holds a claim, or another process has configured the source otherwise.
    pub async fn claim(
        &self,
        source: &SourceSettings,
        mode: ClaimMode,
        limit: Duration,
    ) -> Result<Option<Claim>> {
        let lease = schedule::lease(limit, BUSY_TIMEOUT);
        if source.kind == Kind::Enrichment {
            return self.claim_enrichment(source, lease).await;
        }
        let name = source.name.as_str();
        let Write { mut tx, now, .. } = self.begin().await?;
        let Some(before) = find_source(&mut tx, name)
            .await?
            .filter(|before| before.is_asked_as(source) && schedule::may_claim(before, mode, now))
        else {
            return Ok(None);
        };
        let until = now.plus(lease);
        let number = sqlx::query_scalar!(
            "UPDATE sources
             SET claim = claim + 1, attempted_at = ?2, next_attempt_at = ?3, claimed_until = ?3
             WHERE name = ?1
             RETURNING claim",
            name,
            now,
            until,
        )
        .fetch_one(&mut *tx)
        .await?;
        let details = read_details(&mut tx, name).await?;
        tx.commit().await?;
        Ok(Some(Claim {
            at: now,
            number,
            details,
            attempted_at: before.polling.attempted_at,
            next_attempt_at: before.polling.next_attempt_at,
        }))
    }

    /// Releases an unused `claim`: the source is due again as before.
    pub async fn release(&self, source: &SourceSettings, claim: &Claim) -> Result<()> {
        if source.kind == Kind::Enrichment {
            return self.release_enrichment(claim).await;
        }
        let name = source.name.as_str();
        sqlx::query!(
            "UPDATE sources SET attempted_at = ?3, next_attempt_at = ?4, claimed_until = NULL
             WHERE name = ?1 AND claim = ?2",
            name,
            claim.number,
            claim.attempted_at,
            claim.next_attempt_at,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

/// Writes the state of `source`. `is_listed` means that the stored listing is from its configured
/// address.
pub(super) async fn write_source(
    connection: &mut SqliteConnection,
    source: &SourceState,
    is_listed: bool,
) -> Result<()> {
    let (name, kind) = (source.name.as_str(), source.kind.as_str());
    let polling = &source.polling;
    let error = polling.error.as_ref();
    let (error_kind, error_message, error_since) = (
        error.map(|error| error.kind.as_str()),
        error.map(|error| error.message.as_str()),
        error.map(|error| error.since),
    );
    let held = source.held.as_ref();
    let (held_since, held_models) = (
        held.map(|held| held.since),
        held.and_then(|held| held.models),
    );
    let held_missing = held.and_then(|held| held.missing.as_ref());
    let held_missing = held_missing.map(serde_json::to_string).transpose()?;
    let skipped = source.skipped.as_ref().map(serde_json::to_string);
    let skipped = skipped.transpose()?;
    let damped = source.damped.as_ref().map(serde_json::to_string);
    let damped = damped.transpose()?;
    let hidden_since = source.hidden_since();
    let is_gone = source.is_gone();
    // A source that is gone is unreachable in the column, whose values cannot be extended.
    let hidden_reason = source.hidden.as_ref().map(|hidden| match hidden.reason {
        HiddenReason::Gone => HiddenReason::Unreachable.as_str(),
        reason => reason.as_str(),
    });
    let ending = source.ending.as_ref();
    let (end_sign, end_sign_since) = (
        ending.map(|ending| ending.sign.as_str()),
        ending.map(|ending| ending.since),
    );
    sqlx::query!(
        "UPDATE sources
         SET kind = ?2, fetched_at = ?3, next_attempt_at = ?4, consecutive_failures = ?5,
             error_kind = ?6, error_message = ?7, error_since = ?8,
             refusals = ?9, refused_since = ?10, held_since = ?11, held_models = ?12,
             hidden_since = ?13, hidden_reason = ?14, skipped = ?16, claimed_until = ?17,
             server_version = ?18, end_sign = ?19, end_sign_since = ?20, gone = ?21, damped = ?22,
             held_missing = ?23,
             listed_address = IIF(?15, address, listed_address)
         WHERE name = ?1",
        name,
        kind,
        polling.fetched_at,
        polling.next_attempt_at,
        polling.consecutive_failures,
        error_kind,
        error_message,
        error_since,
        source.refusals,
        source.refused_since,
        held_since,
        held_models,
        hidden_since,
        hidden_reason,
        is_listed,
        skipped,
        polling.claimed_until,
        source.server_version,
        end_sign,
        end_sign_since,
        is_gone,
        damped,
        held_missing,
    )
    .execute(connection)
    .await?;
    Ok(())
}
