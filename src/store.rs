//! The SQLite file: opening it, its pragmas and migrations. The modules below hold every statement.
//! The operations use the types of `model`; the decisions are in `ingest`.
//!
//! | operation | file |
//! | --- | --- |
//! | `open`, `close`, `apply`, `add_source`, `backup`, `subscribe` | this one |
//! | `load` | `state` |
//! | `claim`, `release`, `commit` | `sources`, `commit`, `enrichment` |
//! | `raw_entries` | `models` |
//! | `past`, `changes`, `find_page`, `read_events`, `latest_digests`, `traces` | `history`, `changes`, `latest`, `traces` |
//! | `record_watched`, `next_alert` | `watch` |
//! | `find_webhook`, `skip_delivery`, `claim_delivery`, `release_delivery`, `commit_delivery` | `webhooks` |
//! | `processes`, `beat`, `forget_processes` | `processes` |
//! | `daily_changes`, `recent_attempts`, `first_seen` | `charts` |
//! | `prune` | `prune` |
//!
//! Without a service: `read_only` reads, `copies` makes, checks and restores copies.

pub mod changes;
pub mod charts;
pub mod commit;
mod configure;
pub mod copies;
mod derive;
mod details;
mod enrichment;
pub mod error;
mod events;
mod fetches;
mod file;
pub mod history;
mod latest;
mod models;
pub mod processes;
mod prune;
pub mod read_only;
pub mod sources;
mod state;
#[cfg(test)]
mod tests;
mod traces;
mod unreadable;
mod watch;
pub mod watcher;
mod webhooks;

use std::{
    collections::BTreeSet,
    path::Path,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use sqlx::{
    Connection, Sqlite, SqliteConnection, SqlitePool, Transaction,
    migrate::{MigrateError, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use self::{
    configure::apply_sources,
    copies::vacuum_into,
    enrichment::apply_enrichment,
    error::{Result, StoreError, open_error},
    events::NextRevision,
    file::DatabaseFile,
    processes::put_in_force,
    watch::apply_watch,
    watcher::CommitWatcher,
    webhooks::apply_webhooks,
};
use crate::model::{
    settings::{CatalogSettings, SourceSettings},
    source::SourceName,
    time::{Clock, Timestamp},
};

static MIGRATOR: Migrator = sqlx::migrate!();
/// The first SQLite without the WAL-reset bug, which can corrupt a database.
const MIN_SQLITE_VERSION: [u32; 3] = [3, 51, 3];
/// How long a statement waits for another process's lock. A lease lasts for the fetch and this.
const BUSY_TIMEOUT: Duration = Duration::from_secs(15);
/// The number of connections.
const CONNECTIONS: u32 = 4;
/// The size to which the WAL is cut when it begins anew, in bytes.
const WAL_BYTES: &str = "16777216";

/// The catalog's database.
#[derive(Clone, Debug)]
pub struct Store {
    pool: SqlitePool,
    options: SqliteConnectOptions,
    file: DatabaseFile,
    clock: Clock,
    /// Whether the log says that the clock was set back.
    is_set_back: Arc<AtomicBool>,
    /// The number of this process; 0 before it has applied its settings.
    process: Arc<AtomicI64>,
}

/// A transaction that holds the write lock from its start, so that its reads stay valid until it
/// writes.
struct Write {
    tx: Transaction<'static, Sqlite>,
    /// When it got the lock: waiting for it may have taken long.
    now: Timestamp,
    /// The revision that it makes, if clients see any change.
    revision: NextRevision,
}

/// The result of applying the settings.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The discoverable endpoints that the database knows; they are configured now.
    pub found: Vec<SourceName>,
    /// Webhooks that missed revisions because those were pruned.
    pub late_webhooks: Vec<String>,
}

impl Store {
    /// Opens the database, creating and migrating it if needed. Several processes may do so at
    /// once. `clock` dates everything that is written. Fails when the file cannot be used or belongs to
    /// another application.
    pub async fn open(url: &str, clock: Clock) -> Result<Self> {
        let options = parse_url(url)?
            .create_if_missing(true)
            .busy_timeout(BUSY_TIMEOUT);
        let path = options.get_filename().display().to_string();
        let lock = file::lock(options.get_filename()).await?;
        // SQLite gives its further files the same mode. If it fails, SQLite says why.
        let _ = file::create_private(options.get_filename());
        // Checked before any pragma is set: a foreign database must stay as it is.
        if is_foreign(&options)
            .await
            .map_err(|error| open_error(&path, &error))?
        {
            return Err(StoreError::Foreign { path });
        }
        let options = options
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            // Writes are rare, so each may wait for the disk; in return, it survives a power cut.
            .synchronous(SqliteSynchronous::Full)
            .pragma("journal_size_limit", WAL_BYTES)
            .optimize_on_close(true, None);
        let file = DatabaseFile::at(options.get_filename()).map_err(|error| StoreError::Open {
            path: path.clone(),
            cause: error.to_string(),
        })?;
        // From here on, a file that is gone is not to be created anew.
        let options = options.create_if_missing(false);
        let opened = file.clone();
        // The first connection turns a new file into a WAL database, for which SQLite does not wait.
        // Several at once would fail each other.
        let first = SqliteConnection::connect_with(&options)
            .await
            .map_err(|error| open_error(&path, &error))?;
        let pool = SqlitePoolOptions::new()
            // All of them at once and for good: a connection that is made later may find another file.
            .min_connections(CONNECTIONS)
            .max_connections(CONNECTIONS)
            .idle_timeout(None)
            .max_lifetime(None)
            .after_connect(move |_, _| {
                let checked = opened.check();
                let checked =
                    checked.map_err(|error| sqlx::Error::Io(std::io::Error::other(error)));
                Box::pin(std::future::ready(checked))
            })
            // After a failed commit (disk full), SQLite has rolled back, but sqlx believes that the
            // transaction goes on. The connection would refuse every further one.
            .before_acquire(|connection, _| {
                let usable = !connection.is_in_transaction();
                Box::pin(std::future::ready(Ok(usable)))
            })
            .connect_with(options.clone())
            .await
            .map_err(|error| open_error(&path, &error))?;
        let closed = first.close().await;
        closed.map_err(|error| open_error(&path, &error))?;
        let version = sqlx::query_scalar!(r#"SELECT sqlite_version() AS "version!: String""#)
            .fetch_one(&pool)
            .await
            .map_err(|error| open_error(&path, &error))?;
        if !is_new_enough(&version) {
            return Err(StoreError::OldSqlite(version));
        }
        MIGRATOR.run(&pool).await.map_err(|error| match error {
            MigrateError::VersionMissing(version) => StoreError::Newer { path, version },
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
                open_error(&path, &error)
            }
            other => StoreError::Damaged {
                path,
                cause: other.to_string(),
            },
        })?;
        drop(lock);
        Ok(Self::new(pool, options, file, clock))
    }

    fn new(
        pool: SqlitePool,
        options: SqliteConnectOptions,
        file: DatabaseFile,
        clock: Clock,
    ) -> Self {
        Self {
            pool,
            options,
            file,
            clock,
            is_set_back: Arc::default(),
            process: Arc::default(),
        }
    }

    /// Puts the settings of this process in force: when it starts, and again when the process that had
    /// started last has ended. Uses one transaction, so that no other process sees half of them.
    pub async fn apply(&self, settings: &CatalogSettings) -> Result<Applied> {
        let Write {
            mut tx,
            now,
            revision,
        } = self.begin().await?;
        let process = put_in_force(&mut tx, self.process()).await?;
        apply_enrichment(&mut tx, settings.enrichment.as_ref()).await?;
        let known: BTreeSet<String> = sqlx::query_scalar!("SELECT name FROM sources")
            .fetch_all(&mut *tx)
            .await?
            .into_iter()
            .collect();
        // Serve endpoints that discovery found earlier from the start.
        let found: Vec<&SourceSettings> = settings
            .discoverable
            .iter()
            .filter(|source| known.contains(source.name.as_str()))
            .collect();
        let sources: Vec<&SourceSettings> = settings.sources.iter().chain(found.clone()).collect();
        apply_sources(&mut tx, &sources, revision, now).await?;
        let late_webhooks = apply_webhooks(&mut tx, &settings.webhooks).await?;
        apply_watch(&mut tx, &settings.watched).await?;
        tx.commit().await?;
        self.process.store(process, Ordering::Relaxed);
        Ok(Applied {
            found: found.iter().map(|source| source.name.clone()).collect(),
            late_webhooks,
        })
    }

    /// Adds one source, which discovery found, to the configured ones.
    pub async fn add_source(&self, source: &SourceSettings) -> Result<()> {
        let Write {
            mut tx,
            now,
            revision,
        } = self.begin().await?;
        configure::add_source(&mut tx, source, revision, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Subscribes to the commits of other connections, in this process or another.
    pub async fn subscribe(&self) -> Result<CommitWatcher> {
        CommitWatcher::connect(&self.options).await
    }

    /// Writes a consistent copy of the whole database to `path`, which must not exist or be empty. Uses
    /// its own connection, because it may take long. Fails when the file is not at its path any more.
    pub async fn backup(&self, path: &Path) -> Result<()> {
        // A connection already writes to the file that it finds.
        self.file.check()?;
        let mut connection = SqliteConnection::connect_with(&self.options).await?;
        self.file.check()?;
        vacuum_into(&mut connection, path).await?;
        connection.close().await?;
        Ok(())
    }

    /// Rewords `error` for a failed start, when it concerns the whole database or a row of it.
    pub async fn at_start(&self, error: StoreError) -> StoreError {
        let path = self.options.get_filename().display().to_string();
        let error = match error {
            StoreError::Statement(error) => open_error(&path, &error),
            StoreError::Content(error) => StoreError::Unreadable {
                path,
                cause: error.to_string(),
            },
            other => other,
        };
        match error {
            StoreError::Unreadable { path, cause } => StoreError::Unreadable {
                cause: match self.find_unreadable().await {
                    Some(row) => format!("{row}: {cause}"),
                    None => cause,
                },
                path,
            },
            other => other,
        }
    }

    /// Closes every connection and folds the WAL into the file.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// The size of the database with its log, in bytes; 0 when it cannot be told.
    pub fn size_bytes(&self) -> u64 {
        let path = self.options.get_filename();
        let mut wal = path.as_os_str().to_owned();
        wal.push("-wal");
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        size(path) + size(Path::new(&wal))
    }

    /// Fails when the database was deleted or replaced: it is not written any more.
    pub fn check_file(&self) -> Result<()> {
        self.file.check()
    }

    /// Begins a transaction that writes.
    async fn begin(&self) -> Result<Write> {
        self.file.check()?;
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let now = self.clock.now();
        let revision = NextRevision::read(&mut tx, now).await?;
        let ahead = revision.last_at.filter(|last| *last > now);
        let is_logged = self.is_set_back.swap(ahead.is_some(), Ordering::Relaxed);
        if let (Some(last), false) = (ahead, is_logged) {
            tracing::warn!(
                "the clock was set back: it shows {now}, but the last revision was made at {last}; new ones are dated right after it until the clock has passed it"
            );
        }
        Ok(Write { tx, now, revision })
    }
}

/// The options of the database at `url`.
fn parse_url(url: &str) -> Result<SqliteConnectOptions> {
    SqliteConnectOptions::from_str(url).map_err(|error| open_error(url, &error))
}

/// Whether the database has tables of another application. An unfinished first start leaves only
/// our table of migrations.
async fn is_foreign(options: &SqliteConnectOptions) -> sqlx::Result<bool> {
    let mut connection = SqliteConnection::connect_with(options).await?;
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
    )
    .fetch_all(&mut connection)
    .await?;
    let has = |name: &str| tables.iter().any(|table| table == name);
    let unfinished = tables.len() == 1 && has("_sqlx_migrations");
    let ours = has("sources") && has("cloud_models") && has("model_events");
    Ok(!tables.is_empty() && !unfinished && !ours)
}

fn is_new_enough(version: &str) -> bool {
    let parts: Vec<u32> = version
        .split('.')
        .filter_map(|part| part.parse().ok())
        .collect();
    parts.as_slice() >= MIN_SQLITE_VERSION.as_slice()
}
