//! Reading what was: the catalog at a revision or a time, the changes since a revision, the history
//! of one model. Everything comes from `model_events`.

use std::{path::Path, sync::Arc};

use sqlx::{Connection, SqliteConnection};

use super::{
    Store,
    changes::{Changes, MAX_EMPTY_PAGES, MAX_LATEST_FACTOR, ModelHistory, kinds},
    error::Result,
};
use crate::model::{
    event::{ChangeEvent, EventFilter, Moment},
    scope::Scope,
    source::{Role, SourceName},
    state::StoredModel,
    time::Timestamp,
};

/// What was served at some moment.
#[derive(Clone, Debug)]
pub struct Past {
    /// The revision; 0 before the first.
    pub revision: i64,
    /// The first revision that can still be told exactly.
    pub history_from: i64,
    /// The models of all sources that were not hidden, in no order.
    pub models: Vec<Arc<StoredModel>>,
    /// Every source ever configured.
    pub sources: Vec<(SourceName, Role)>,
}

impl Store {
    /// What was served at `moment`.
    pub async fn load_past(&self, moment: Moment) -> Result<Past> {
        let (revision, time) = match moment {
            Moment::Revision(revision) => (Some(revision), None),
            Moment::Time(time) => (None, Some(time)),
        };
        let row = sqlx::query!(
            r#"WITH wanted AS MATERIALIZED (
                   SELECT COALESCE(
                       ?1, (SELECT MAX(revision) FROM model_events WHERE at <= ?2), 0
                   ) AS revision
               ),
               -- The last event of each model, and of each source (model_id empty). With a single
               -- MAX, SQLite takes the other columns from the row that has it.
               latest AS MATERIALIZED (
                   SELECT source, model_id, MAX(revision) AS revision, event
                   FROM model_events
                   WHERE revision <= (SELECT revision FROM wanted)
                   GROUP BY source, model_id
               )
               SELECT (SELECT revision FROM wanted) AS "revision!: i64",
                      (SELECT history_from FROM catalog) AS "history_from!: i64",
                      (SELECT json_group_array(json_array(name, role)) FROM sources) AS "sources!: String",
                      -- Attributes are JSON already: parsing them here would take most of the time.
                      (SELECT '[' || COALESCE(GROUP_CONCAT(
                           '[' || json_quote(e.source) || ',' || json_quote(e.model_id) || ','
                               || e.attributes || ']'
                       ), '') || ']'
                       FROM latest AS l CROSS JOIN model_events AS e
                           ON e.revision = l.revision AND e.source = l.source AND e.model_id = l.model_id
                       WHERE l.model_id <> '' AND l.event <> 'removed' AND l.source NOT IN (
                           SELECT source FROM latest WHERE model_id = '' AND event = 'hidden'
                       )) AS "models!: String""#,
            revision,
            time,
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(Past {
            revision: row.revision,
            history_from: row.history_from,
            sources: serde_json::from_str(&row.sources)?,
            models: StoredModel::parse_rows(&row.models)?,
        })
    }

    /// The last revision; 0 before the first.
    pub async fn last_revision(&self) -> Result<i64> {
        Ok(sqlx::query_scalar!(
            r#"SELECT COALESCE(MAX(revision), 0) AS "revision!: i64" FROM model_events"#
        )
        .fetch_one(&self.pool)
        .await?)
    }

    /// Writes a consistent copy of the whole database to `path`, which must not exist. On a connection
    /// of its own: it may take long.
    pub async fn copy_to(&self, path: &Path) -> Result<()> {
        let mut connection = SqliteConnection::connect_with(&self.options).await?;
        sqlx::query("VACUUM INTO ?1")
            .bind(path.to_string_lossy())
            .execute(&mut connection)
            .await?;
        connection.close().await?;
        Ok(())
    }

    /// The first revision that can still be told exactly; 0 where nothing was ever pruned.
    pub async fn history_from(&self) -> Result<i64> {
        Ok(sqlx::query_scalar!("SELECT history_from FROM catalog")
            .fetch_one(&self.pool)
            .await?)
    }

    /// What tells this database from every other.
    pub async fn catalog_id(&self) -> Result<String> {
        Ok(sqlx::query_scalar!("SELECT id FROM catalog")
            .fetch_one(&self.pool)
            .await?)
    }

    /// The events after the revision `since` that `filter` wants: about `limit` of them, no revision
    /// in part. A revision of more than `limit` events comes whole. Where there are very many that the
    /// filter's scope has not, a page without events says where to go on.
    pub async fn list_changes(
        &self,
        mut since: i64,
        filter: &EventFilter,
        limit: usize,
    ) -> Result<Changes> {
        for _ in 1..MAX_EMPTY_PAGES {
            let page = self.read_changes(since, filter, limit).await?;
            if !page.events.is_empty() || !page.has_more {
                return Ok(page);
            }
            since = page.next;
        }
        self.read_changes(since, filter, limit).await
    }

    /// One page. What is not in the filter's scope is left out of it, and does not move where it ends.
    async fn read_changes(
        &self,
        since: i64,
        filter: &EventFilter,
        limit: usize,
    ) -> Result<Changes> {
        let mut page = self.read_all_changes(since, filter, limit).await?;
        filter.scope.restrict(&mut page.events);
        Ok(page)
    }

    async fn read_all_changes(
        &self,
        since: i64,
        filter: &EventFilter,
        limit: usize,
    ) -> Result<Changes> {
        // Read first: what is committed in between is beyond it or among the events.
        let head = self.last_revision().await?;
        // What is kept of the time before is told in one piece: in part it would be no state that ever was.
        let history_from = self.history_from().await?;
        if since < history_from {
            let events = self
                .list_events(since, history_from, filter, usize::MAX)
                .await?;
            return Ok(Changes {
                events,
                next: history_from,
                has_more: head > history_from,
            });
        }
        let one_more = limit.saturating_add(1);
        let mut events = self.list_events(since, i64::MAX, filter, one_more).await?;
        if events.len() <= limit {
            let last = events.last().map_or(since, |event| event.revision);
            return Ok(Changes {
                events,
                next: last.max(head),
                has_more: false,
            });
        }
        // The last revision may go on behind the limit: it is left for the next page, unless it is
        // all that there is.
        let cut = events.last().map_or(since, |event| event.revision);
        events.retain(|event| event.revision < cut);
        if events.is_empty() {
            events = self.list_events(since, cut, filter, usize::MAX).await?;
        }
        let next = events.last().map_or(since, |event| event.revision);
        Ok(Changes {
            events,
            next,
            has_more: true,
        })
    }

    /// The events of the last `revisions` revisions that `filter` wants, oldest first. What it wants of
    /// models is looked for among the last few thousand revisions only.
    pub async fn list_latest_changes(
        &self,
        revisions: usize,
        filter: &EventFilter,
    ) -> Result<Vec<ChangeEvent>> {
        let mut looked_at = revisions;
        loop {
            let (oldest, found) = self.find_latest_revisions(looked_at, filter).await?;
            let Some(oldest) = oldest else {
                return Ok(Vec::new());
            };
            let mut events = self
                .list_events(oldest - 1, i64::MAX, filter, usize::MAX)
                .await?;
            filter.scope.restrict(&mut events);
            let mut kept: Vec<i64> = events.iter().map(|event| event.revision).collect();
            kept.dedup();
            if kept.len() >= revisions
                || found < looked_at
                || looked_at >= revisions * MAX_LATEST_FACTOR
            {
                let first = kept.len().saturating_sub(revisions);
                let first = kept.get(first).copied().unwrap_or_default();
                events.retain(|event| event.revision >= first);
                return Ok(events);
            }
            looked_at *= 4;
        }
    }

    /// The oldest of the last `revisions` revisions with events of the kinds and sources that `filter`
    /// wants, and how many there are.
    async fn find_latest_revisions(
        &self,
        revisions: usize,
        filter: &EventFilter,
    ) -> Result<(Option<i64>, usize)> {
        let (sources, kinds) = (filter.sources()?, kinds(filter)?);
        let revisions = i64::try_from(revisions).unwrap_or(i64::MAX);
        let row = sqlx::query!(
            r#"SELECT MIN(revision) AS "oldest: i64", COUNT(*) AS "found!: i64" FROM (
                   SELECT DISTINCT revision FROM model_events
                   WHERE (?1 IS NULL OR source IN (SELECT value FROM json_each(?1)))
                     AND (?2 IS NULL OR event IN (SELECT value FROM json_each(?2)))
                     -- What is kept of the time before is not what happened.
                     AND revision >= (SELECT history_from FROM catalog)
                   ORDER BY revision DESC LIMIT ?3
               )"#,
            sources,
            kinds,
            revisions,
        )
        .fetch_one(&self.pool)
        .await?;
        Ok((row.oldest, usize::try_from(row.found).unwrap_or_default()))
    }

    /// Everything of `scope` that ever happened to the model with the whole id `id`.
    pub async fn find_model_history(&self, id: &str, scope: Arc<Scope>) -> Result<ModelHistory> {
        let filter = EventFilter {
            model: Some(id.to_owned()),
            scope,
            ..EventFilter::default()
        };
        let mut events = self.list_events(0, i64::MAX, &filter, usize::MAX).await?;
        filter.scope.restrict(&mut events);
        let sources = filter.sources()?;
        let listed_at = sqlx::query_scalar!(
            r#"SELECT MAX(s.fetched_at) AS "at: Timestamp"
               FROM sources AS s
               WHERE s.hidden_since IS NULL
                 AND (?2 IS NULL OR s.name IN (SELECT value FROM json_each(?2)))
                 AND CASE s.role
                   WHEN 'provider' THEN substr(?1, 1, length(s.name) + 1) = s.name || ':' AND EXISTS (
                       SELECT 1 FROM cloud_models
                       WHERE provider = s.name AND model_id = substr(?1, length(s.name) + 2) AND hidden_by IS NULL
                   )
                   ELSE EXISTS (SELECT 1 FROM local_models WHERE endpoint = s.name AND model_id = ?1 AND hidden_by IS NULL)
               END"#,
            id,
            sources,
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(ModelHistory { events, listed_at })
    }

    /// The events after the revision `since` up to `until`, at most `limit`.
    async fn list_events(
        &self,
        since: i64,
        until: i64,
        filter: &EventFilter,
        limit: usize,
    ) -> Result<Vec<ChangeEvent>> {
        let (sources, kinds) = (filter.sources()?, kinds(filter)?);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let json = match filter.model.as_deref() {
            None => {
                sqlx::query_scalar!(
                    r#"SELECT '[' || COALESCE(GROUP_CONCAT(event), '') || ']' AS "json!: String" FROM (
                           SELECT json_object(
                               'revision', e.revision, 'at', e.at, 'source', e.source, 'event', e.event,
                               'id', CASE
                                   WHEN e.model_id = '' THEN NULL
                                   WHEN s.role = 'provider' THEN e.source || ':' || e.model_id
                                   ELSE e.model_id
                               END,
                               'changed', json(e.changed),
                               'before', json((
                                   SELECT p.attributes FROM model_events AS p
                                   WHERE p.source = e.source AND p.model_id = e.model_id
                                     AND p.revision < e.revision
                                     -- Of what was before, only some is kept.
                                     AND e.revision > (SELECT history_from FROM catalog)
                                   ORDER BY p.revision DESC LIMIT 1
                               )),
                               'after', json(e.attributes), 'last_seen_at', e.last_seen_at
                           ) AS event
                           FROM model_events AS e CROSS JOIN sources AS s ON s.name = e.source
                           WHERE e.revision > ?1 AND e.revision <= ?2
                             AND (?3 IS NULL OR e.source IN (SELECT value FROM json_each(?3)))
                             AND (?4 IS NULL OR e.event IN (SELECT value FROM json_each(?4)))
                           ORDER BY e.revision, e.source, e.model_id LIMIT ?5
                       )"#,
                    since,
                    until,
                    sources,
                    kinds,
                    limit,
                )
                .fetch_one(&self.pool)
                .await?
            }
            // A whole id is looked up at each source that it may belong to, never taken apart.
            Some(model) => {
                sqlx::query_scalar!(
                    r#"SELECT '[' || COALESCE(GROUP_CONCAT(event), '') || ']' AS "json!: String" FROM (
                           SELECT json_object(
                               'revision', e.revision, 'at', e.at, 'source', e.source, 'event', e.event,
                               'id', ?6, 'changed', json(e.changed),
                               'before', json((
                                   SELECT p.attributes FROM model_events AS p
                                   WHERE p.source = e.source AND p.model_id = e.model_id
                                     AND p.revision < e.revision
                                     -- Of what was before, only some is kept.
                                     AND e.revision > (SELECT history_from FROM catalog)
                                   ORDER BY p.revision DESC LIMIT 1
                               )),
                               'after', json(e.attributes), 'last_seen_at', e.last_seen_at
                           ) AS event
                           FROM sources AS s CROSS JOIN model_events AS e
                               ON e.source = s.name AND e.model_id = CASE s.role
                                   WHEN 'provider' THEN substr(?6, length(s.name) + 2)
                                   ELSE ?6
                               END
                           WHERE e.revision > ?1 AND e.revision <= ?2
                             AND (s.role = 'endpoint' OR substr(?6, 1, length(s.name) + 1) = s.name || ':')
                             AND (?3 IS NULL OR e.source IN (SELECT value FROM json_each(?3)))
                             AND (?4 IS NULL OR e.event IN (SELECT value FROM json_each(?4)))
                           ORDER BY e.revision, e.source, e.model_id LIMIT ?5
                       )"#,
                    since,
                    until,
                    sources,
                    kinds,
                    limit,
                    model,
                )
                .fetch_one(&self.pool)
                .await?
            }
        };
        Ok(serde_json::from_str(&json)?)
    }
}
