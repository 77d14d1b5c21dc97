//! The latest revisions in short, for the Atom feed: what each changed, in numbers, and its first events.

use std::collections::BTreeMap;

use super::{
    Store,
    changes::{Place, parameters, seen},
    error::Result,
};
use crate::model::{
    digest::Digest,
    event::{EventFilter, EventKind},
    time::Timestamp,
};

/// The most revisions that a search for visible events looks into.
const MAX_SEARCHED: usize = 200;
/// The most events of a revision that are read to find those that the reader may see.
const MAX_READ: usize = 1000;
/// The most events that one search reads.
const MAX_READ_IN_ALL: usize = 20_000;

impl Store {
    /// The latest `revisions` revisions before `before` with events that match `filter`, latest first, each
    /// with its first `shown` events. For a reader who may not see all models, searches only a few hundred
    /// revisions.
    pub async fn latest_digests(
        &self,
        mut before: i64,
        revisions: usize,
        shown: usize,
        filter: &EventFilter,
    ) -> Result<Vec<Digest>> {
        let mut digests = Vec::new();
        let mut read = 0;
        for _ in 0..MAX_SEARCHED {
            if digests.len() == revisions || read >= MAX_READ_IN_ALL {
                break;
            }
            let Some((revision, at)) = self.find_revision_before(before, filter).await? else {
                break;
            };
            before = revision;
            // Whether SQL alone can count what the caller may see.
            let counts_all = filter.reader.scope().has_all_models() && filter.models.is_none();
            let limit = if counts_all { shown } else { MAX_READ };
            let place = Place::after_revision(revision - 1);
            let events = self.list_events(&place, revision, filter, limit).await?;
            read += events.len();
            let is_cut = !counts_all && events.len() == limit;
            let mut events = seen(events, filter);
            if events.is_empty() {
                continue;
            }
            let counts = match counts_all {
                true => self.count_events(revision, filter).await?,
                false => events.iter().fold(BTreeMap::new(), |mut counts, event| {
                    *counts.entry(event.event).or_default() += 1;
                    counts
                }),
            };
            let mut sources: Vec<String> = events
                .iter()
                .map(|event| event.source.to_string())
                .collect();
            sources.dedup();
            events.truncate(shown);
            digests.push(Digest {
                revision,
                at,
                sources,
                counts,
                is_cut,
                events,
            });
        }
        Ok(digests)
    }

    /// The last revision before `before` with an event that matches `filter`, and its time.
    async fn find_revision_before(
        &self,
        before: i64,
        filter: &EventFilter,
    ) -> Result<Option<(i64, Timestamp)>> {
        let (sources, kinds, models) = parameters(filter)?;
        let found = match models {
            None => sqlx::query!(
                r#"SELECT e.revision AS "revision!: i64", e.at AS "at!: Timestamp"
                   FROM model_events AS e
                   WHERE e.revision < ?1
                     -- The window before the oldest kept revision is incomplete.
                     AND e.revision >= (SELECT history_from FROM catalog)
                     AND (?2 IS NULL OR e.source IN (SELECT value FROM json_each(?2)))
                     AND (?3 IS NULL OR e.event IN (SELECT value FROM json_each(?3)))
                   ORDER BY e.revision DESC LIMIT 1"#,
                before,
                sources,
                kinds,
            )
            .fetch_optional(&self.pool)
            .await?
            .map(|row| (row.revision, row.at)),
            Some(models) => sqlx::query!(
                r#"SELECT e.revision AS "revision!: i64", e.at AS "at!: Timestamp"
                   FROM json_each(?4) AS m CROSS JOIN model_events AS e
                       ON e.source = m.value ->> 'source' AND e.model_id IN (m.value ->> 'model_id', '')
                   WHERE e.revision < ?1
                     AND e.revision >= (SELECT history_from FROM catalog)
                     AND (?2 IS NULL OR e.source IN (SELECT value FROM json_each(?2)))
                     AND (?3 IS NULL OR e.event IN (SELECT value FROM json_each(?3)))
                   ORDER BY e.revision DESC LIMIT 1"#,
                before,
                sources,
                kinds,
                models,
            )
            .fetch_optional(&self.pool)
            .await?
            .map(|row| (row.revision, row.at)),
        };
        Ok(found)
    }

    /// The number of events of `revision` by kind that match the sources and kinds of `filter`.
    async fn count_events(
        &self,
        revision: i64,
        filter: &EventFilter,
    ) -> Result<BTreeMap<EventKind, i64>> {
        let (sources, kinds, _) = parameters(filter)?;
        let json = sqlx::query_scalar!(
            r#"SELECT json_group_object(event, number) AS "json!: String" FROM (
                   SELECT event, COUNT(*) AS number FROM model_events
                   WHERE revision = ?1
                     AND (?2 IS NULL OR source IN (SELECT value FROM json_each(?2)))
                     AND (?3 IS NULL OR event IN (SELECT value FROM json_each(?3)))
                   GROUP BY event
               )"#,
            revision,
            sources,
            kinds,
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(serde_json::from_str(&json)?)
    }
}
