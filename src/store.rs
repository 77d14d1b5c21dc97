//! The SQLite file: opening it, its pragmas and migrations. Every statement is below this module:
//! `sources` (settings and claims), `listings` (commits) with `restate` (what is stored of what was
//! said), `models`, `events` and `fetches`,
//! `state` (what snapshots are built from) with `reading` (of a database that is another's), `sent` (what
//! sources sent), `history`
//! (what was), `webhooks` (who was told of it) and `prune` (what is forgotten), and
//! `enrichment` (what others say of the sources' models).

use std::{
    fs::{File, TryLockError},
    path::PathBuf,
    time::Duration,
};

use sqlx::{
    Connection, Sqlite, SqliteConnection, SqlitePool, Transaction,
    migrate::{MigrateError, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use self::{
    error::{Result, StoreError, open_error},
    watcher::{Watcher, data_version},
};

pub mod changes;
pub mod commit;
mod details;
mod enrichment;
pub mod error;
mod events;
mod fetches;
pub mod history;
mod models;
mod prune;
pub mod raw;
pub mod read_only;
pub mod sources;
mod state;
#[cfg(test)]
mod tests;
mod traces;
mod watch;
pub mod watcher;
pub mod webhooks;

static MIGRATOR: Migrator = sqlx::migrate!();
/// The first SQLite without the WAL-reset bug, which can corrupt a database.
const MIN_SQLITE_VERSION: [u32; 3] = [3, 51, 3];
/// How long a statement waits for another process's lock. With the time of a fetch it is less than
/// a claim lasts.
const BUSY_TIMEOUT: Duration = Duration::from_secs(15);
/// How often the lock of a first start is tried.
const LOCK_INTERVAL: Duration = Duration::from_millis(50);

/// The catalog's database.
#[derive(Clone, Debug)]
pub struct Store {
    pool: SqlitePool,
    options: SqliteConnectOptions,
}

impl Store {
    /// Opens the database, creates it when absent, migrates it. Several processes may do so at
    /// once.
    pub async fn open(options: &SqliteConnectOptions) -> Result<Self> {
        let options = options
            .clone()
            .create_if_missing(true)
            .busy_timeout(BUSY_TIMEOUT);
        let path = options.get_filename().display().to_string();
        let lock = lock(&options).await.map_err(|error| StoreError::Open {
            path: path.clone(),
            cause: error.to_string(),
        })?;
        // Before anything is set: what is not ours is left as it is.
        if is_foreign(&options)
            .await
            .map_err(|error| open_error(&path, &error))?
        {
            return Err(StoreError::Foreign { path });
        }
        let options = options
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            // Writes are rare: each may wait for the disk, and then survives a power cut.
            .synchronous(SqliteSynchronous::Full)
            .optimize_on_close(true, None);
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            // After a commit that fails (disk full) SQLite has rolled back and sqlx believes that
            // the transaction goes on: such a connection would refuse every further one.
            .before_acquire(|connection, _| {
                let usable = !connection.is_in_transaction();
                Box::pin(std::future::ready(Ok(usable)))
            })
            .connect_with(options.clone())
            .await
            .map_err(|error| open_error(&path, &error))?;
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
        Ok(Self { pool, options })
    }

    /// A watcher of what other connections, of this process or another, commit.
    pub async fn watch(&self) -> Result<Watcher> {
        let mut connection = SqliteConnection::connect_with(&self.options).await?;
        let version = data_version(&mut connection).await?;
        Ok(Watcher {
            connection,
            version,
        })
    }

    /// `error` as one of the start, which is about the whole database.
    pub fn at_start(&self, error: StoreError) -> StoreError {
        match error {
            StoreError::Statement(error) => {
                open_error(&self.options.get_filename().display().to_string(), &error)
            }
            other => other,
        }
    }

    /// Closes every connection; the WAL is folded into the file.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// A transaction that holds the write lock from its start, so that what it reads still stands
    /// when it writes.
    async fn begin(&self) -> Result<Transaction<'static, Sqlite>> {
        Ok(self.pool.begin_with("BEGIN IMMEDIATE").await?)
    }
}

/// The migrations take no lock of their own on SQLite: two first starts at once would both create
/// the tables. An advisory lock on a file beside the database serialises them. It is tried again
/// and again rather than waited for, so that a stop need not wait for it either.
async fn lock(options: &SqliteConnectOptions) -> std::io::Result<File> {
    let mut path = options.get_filename().as_os_str().to_owned();
    path.push(".lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(PathBuf::from(path))?;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) => {
                if !std::mem::replace(&mut told, true) {
                    tracing::info!("waiting for another process that starts on the same database");
                }
                tokio::time::sleep(LOCK_INTERVAL).await;
            }
        }
    }
}

/// Whether the database holds tables, and not ours. What a first start left unfinished is ours: its
/// table of migrations.
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
