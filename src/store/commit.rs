//! Committing what a fetch brought: models, events, the source's state and the fetch's own row in
//! one transaction, made only if the claim still stands.

use std::{collections::BTreeMap, time::Duration};

use chrono::TimeDelta;
use sqlx::SqliteConnection;

use super::{
    Store,
    details::write_details,
    enrichment::Enrichment,
    error::Result,
    events::{next_revision, record_events, record_source_event},
    fetches::{Attempt, count},
    models::{list_stored, mark_returned, remove_models, upsert_models},
    sources::Claim,
};
use crate::{
    config::source::SourceConfig,
    ingest::{
        diff::{Change, Counts, Stored, diff},
        guard,
        rules::Rules,
    },
    model::{
        attributes::Attributes,
        fetch::{ErrorKind, FetchError, Fetched},
        listing::Entry,
        source::Role,
        time::Timestamp,
    },
};

/// What became of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// Nothing: the claim no longer stood, somebody else has the source.
    Superseded,
    /// Its state was written; no model changed.
    Unchanged,
    /// A new revision was made.
    Changed(Counts),
    /// No model: the listing is strange and was not believed.
    Held {
        /// How many models it has.
        listed: usize,
        /// How many are stored, and still served.
        stored: usize,
    },
}

impl Store {
    /// Commits a whole listing. It was claimed at `claim.at` and took `duration`. A strange one
    /// (see [`guard`]) is held unless `accept` is set or the first of them came ten minutes before.
    pub async fn commit_listing(
        &self,
        source: &SourceConfig,
        claim: &Claim,
        fetched: &Fetched,
        accept: bool,
        duration: Duration,
    ) -> Result<Committed> {
        let attempt = Attempt {
            claim,
            role: source.role,
            duration,
        };
        let (name, now) = (claim.source.as_str(), attempt.ended_at());
        let (kind, address) = (fetched.kind.as_str(), source.address());
        let mut tx = self.begin().await?;

        let Some(was) = read_standing(&mut tx, claim).await? else {
            return Ok(Committed::Superseded);
        };
        let next = now.plus(was.ttl());
        let stored = list_stored(&mut tx, source.role, name).await?;
        let listed = fetched.listing.entries.len();
        // Aliases are ours.
        let known = stored
            .values()
            .filter(|model| model.attributes.alias_of.is_none())
            .count();
        // What another address lists is no measure.
        if !accept
            && !was.moved
            && !guard::is_confirmed(was.held_since, now)
            && guard::is_strange(source.role, known, listed)
        {
            // One that is held already stays as it is and is asked again as it was scheduled. A first
            // one in the future is from a clock that was set back.
            let since = was.held_since.filter(|since| *since <= now).unwrap_or(now);
            hold(&mut tx, name, since, listed).await?;
            attempt
                .record_answer(&mut tx, &fetched.listing, "held", Counts::default(), None)
                .await?;
            tx.commit().await?;
            return Ok(Committed::Held {
                listed,
                stored: known,
            });
        }
        sqlx::query!(
            "UPDATE sources
             SET kind = ?2, fetched_at = ?3, next_attempt_at = ?4, consecutive_failures = 0,
                 error_kind = NULL, error_message = NULL, error_since = NULL,
                 refusals = 0, refused_since = NULL, hidden_since = NULL, hidden_reason = NULL,
                 held_since = NULL, held_models = NULL, listed_address = ?5
             WHERE name = ?1",
            name,
            kind,
            now,
            next,
            address,
        )
        .execute(&mut *tx)
        .await?;

        let revision = next_revision(&mut tx).await?;
        let commit = Commit {
            role: source.role,
            name,
            revision,
            at: now,
            last_seen_at: was.fetched_at,
            fetched_at: now,
        };
        if was.hidden {
            record_source_event(&mut tx, revision, name, now, "shown").await?;
        }
        let entries = fetched.listing.entries.clone();
        let counts = commit.write(&mut tx, &stored, entries).await?;
        let made = was.hidden || counts != Counts::default();
        let revision = made.then_some(revision);
        write_details(&mut tx, name, &fetched.listing.details).await?;
        if source.role == Role::Provider {
            sqlx::query!(
                "UPDATE cloud_models SET fetched_at = ?2 WHERE provider = ?1",
                name,
                now
            )
            .execute(&mut *tx)
            .await?;
        }
        let outcome = if revision.is_some() {
            "changed"
        } else {
            "unchanged"
        };
        attempt
            .record_answer(&mut tx, &fetched.listing, outcome, counts, revision)
            .await?;
        tx.commit().await?;
        Ok(match revision {
            None => Committed::Unchanged,
            Some(_) => Committed::Changed(counts),
        })
    }

    /// Commits a failure: the source's state, never its models. The next attempt is `wait` after
    /// the end of this one. An endpoint that has been stale for too long, or a provider whose key
    /// has been refused for too long, is hidden by it.
    pub async fn commit_failure(
        &self,
        source: &SourceConfig,
        claim: &Claim,
        error: &FetchError,
        wait: impl FnOnce(i64) -> TimeDelta,
        duration: Duration,
    ) -> Result<Committed> {
        let attempt = Attempt {
            claim,
            role: source.role,
            duration,
        };
        let (name, now) = (claim.source.as_str(), attempt.ended_at());
        let mut tx = self.begin().await?;

        let Some(was) = read_standing(&mut tx, claim).await? else {
            return Ok(Committed::Superseded);
        };
        let failures = was.consecutive_failures.saturating_add(1);
        // However long the source wants to be left alone, its stale models are not served longer
        // for it.
        let gone_at = was
            .fetched_at
            .and_then(|at| guard::gone_at(at, was.ttl(), source.max_stale));
        let next = now.plus(wait(failures));
        let next = gone_at
            .filter(|gone_at| *gone_at > now)
            .map_or(next, |gone_at| next.min(gone_at));
        let refused = i64::from(error.kind == ErrorKind::Unauthorized);
        let (refusals, refused_since) = (
            was.refusals.saturating_add(refused),
            was.refused_since.or((refused == 1).then_some(now)),
        );
        let kind = error.kind.as_str();
        sqlx::query!(
            "UPDATE sources
             SET next_attempt_at = ?2, consecutive_failures = ?3, error_kind = ?4,
                 error_message = ?5, error_since = COALESCE(error_since, ?6),
                 refusals = ?7, refused_since = ?8
             WHERE name = ?1",
            name,
            next,
            failures,
            kind,
            error.message,
            claim.at,
            refusals,
            refused_since,
        )
        .execute(&mut *tx)
        .await?;

        let is_refused = |since: &Timestamp| guard::is_refused_for_good(refusals, *since, now);
        let gone = gone_at.filter(|at| *at <= now).map(|_| "unreachable");
        let reason = gone.or_else(|| refused_since.filter(is_refused).map(|_| "refused"));
        // Without a listing there is nothing to hide.
        let reason = reason.filter(|_| was.fetched_at.is_some() && !was.hidden);
        let mut revision = None;
        if let Some(reason) = reason {
            sqlx::query!(
                "UPDATE sources SET hidden_since = ?2, hidden_reason = ?3 WHERE name = ?1",
                name,
                now,
                reason,
            )
            .execute(&mut *tx)
            .await?;
            let made = next_revision(&mut tx).await?;
            record_source_event(&mut tx, made, name, now, "hidden").await?;
            revision = Some(made);
        }
        attempt.record_failure(&mut tx, error, revision).await?;
        tx.commit().await?;
        Ok(revision.map_or(Committed::Unchanged, |_| {
            Committed::Changed(Counts::default())
        }))
    }
}

/// What a commit needs to know of the source before it.
struct Standing {
    ttl_secs: i64,
    /// Whether the stored listing is from another address.
    moved: bool,
    fetched_at: Option<Timestamp>,
    consecutive_failures: i64,
    refusals: i64,
    refused_since: Option<Timestamp>,
    hidden: bool,
    held_since: Option<Timestamp>,
}

impl Standing {
    fn ttl(&self) -> TimeDelta {
        TimeDelta::try_seconds(self.ttl_secs).unwrap_or(TimeDelta::MAX)
    }
}

/// The source's state, if `claim` still stands.
async fn read_standing(
    connection: &mut SqliteConnection,
    claim: &Claim,
) -> Result<Option<Standing>> {
    let name = claim.source.as_str();
    Ok(sqlx::query_as!(
        Standing,
        r#"SELECT ttl_secs,
                  COALESCE(listed_address <> address, 0) AS "moved!: bool",
                  fetched_at AS "fetched_at: Timestamp",
                  consecutive_failures,
                  refusals,
                  refused_since AS "refused_since: Timestamp",
                  hidden_since IS NOT NULL AS "hidden!: bool",
                  held_since AS "held_since: Timestamp"
           FROM sources
           WHERE name = ?1 AND attempted_at = ?2 AND configured = 1"#,
        name,
        claim.at,
    )
    .fetch_optional(connection)
    .await?)
}

/// Writes that a strange answer with `listed` models was not believed; the first came at `since`. The source did answer, so
/// its failures are over; `fetched_at` stays.
async fn hold(
    connection: &mut SqliteConnection,
    name: &str,
    since: Timestamp,
    listed: usize,
) -> Result<()> {
    let next = since.plus(guard::HELD_RETRY);
    let listed = count(listed);
    sqlx::query!(
        "UPDATE sources
         SET next_attempt_at = ?2, held_since = ?3, held_models = ?4, consecutive_failures = 0,
             error_kind = NULL, error_message = NULL, error_since = NULL,
             refusals = 0, refused_since = NULL
         WHERE name = ?1",
        name,
        next,
        since,
        listed,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A source and the commit that is made for it.
#[derive(Clone, Copy)]
pub(super) struct Commit<'a> {
    pub(super) role: Role,
    pub(super) name: &'a str,
    /// The revision that it makes, should clients see anything happen.
    pub(super) revision: i64,
    pub(super) at: Timestamp,
    /// The last success before it.
    pub(super) last_seen_at: Option<Timestamp>,
    /// The last success from now on.
    pub(super) fetched_at: Timestamp,
}

impl Commit<'_> {
    /// Stores that the source lists `said`; how many models clients see change.
    pub(super) async fn write(
        &self,
        connection: &mut SqliteConnection,
        stored: &BTreeMap<String, Stored>,
        said: Vec<Entry>,
    ) -> Result<Counts> {
        let listed = derive(connection, self.role, self.name, said).await?;
        let mut changes: Vec<Change<'_>> = diff(stored, &listed);
        let first_seen = mark_returned(connection, self.name, &mut changes).await?;
        let (role, name) = (self.role, self.name);
        let counts = Counts::of(&changes);
        if counts != Counts::default() {
            let (revision, last_seen_at) = (self.revision, self.last_seen_at);
            record_events(connection, revision, name, self.at, last_seen_at, &changes).await?;
        }
        remove_models(connection, role, name, &changes).await?;
        let (at, fetched_at) = (self.at, self.fetched_at);
        upsert_models(
            connection,
            role,
            name,
            at,
            fetched_at,
            &changes,
            &first_seen,
        )
        .await?;
        Ok(counts)
    }

    /// Makes what is stored of the source what it would be, had the last listing come now.
    pub(super) async fn restate(&self, connection: &mut SqliteConnection) -> Result<Counts> {
        let stored = list_stored(connection, self.role, self.name).await?;
        let said = list_said(connection, self.role, self.name).await?;
        self.write(connection, &stored, said).await
    }
}

/// What is to be stored of a source that said `said`.
async fn derive(
    connection: &mut SqliteConnection,
    role: Role,
    name: &str,
    mut said: Vec<Entry>,
) -> Result<Vec<Entry>> {
    let rules = sqlx::query_scalar!("SELECT rules FROM sources WHERE name = ?1", name)
        .fetch_one(&mut *connection)
        .await?;
    let rules: Rules = match rules {
        Some(rules) => serde_json::from_str(&rules)?,
        None => Rules::default(),
    };
    // It speaks of providers: an endpoint may have the name of one.
    if role == Role::Provider
        && let Some(enrichment) = Enrichment::read(connection, name).await?
    {
        for entry in &mut said {
            enrichment.fill(entry);
        }
    }
    Ok(rules.apply(said))
}

/// What the source itself said when it was last heard from.
async fn list_said(
    connection: &mut SqliteConnection,
    role: Role,
    name: &str,
) -> Result<Vec<Entry>> {
    let json = match role {
        Role::Provider => {
            sqlx::query_scalar!(
                r#"SELECT json_group_array(json_array(model_id, json(attributes), raw)) AS "json!: String"
                   FROM cloud_models WHERE provider = ?1 AND alias_of IS NULL"#,
                name,
            )
            .fetch_one(connection)
            .await?
        }
        Role::Endpoint => {
            sqlx::query_scalar!(
                r#"SELECT json_group_array(json_array(model_id, json(attributes), raw)) AS "json!: String"
                   FROM local_models WHERE endpoint = ?1 AND alias_of IS NULL"#,
                name,
            )
            .fetch_one(connection)
            .await?
        }
    };
    let rows: Vec<(String, Attributes, String)> = serde_json::from_str(&json)?;
    Ok(rows
        .into_iter()
        .map(|(id, attributes, raw)| Entry {
            id,
            attributes: attributes.without_enrichment(),
            raw,
            hidden_by: None,
        })
        .collect())
}
