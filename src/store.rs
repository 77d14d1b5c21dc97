//! The SQLite file: opening it, its pragmas and migrations. Every statement is below this module:
//! `sources` (settings and claims), `listings` (commits) with `restate` (what is stored of what was
//! said), `models`, `events` and `fetches`,
//! `state` (what snapshots are built from) with `reading` (of a database that is another's), `sent` (what
//! sources sent), `history`
//! (what was), `webhooks` (who was told of it) and `prune` (what is forgotten), and
//! `enrichment` (what others say of the sources' models).

mod details;
mod enrichment;
mod events;
mod fetches;
mod history;
mod listings;
mod models;
mod prune;
mod reading;
#[cfg(test)]
mod replay;
mod restate;
mod sent;
mod sources;
mod state;
#[cfg(test)]
mod story;
mod traces;
mod watch;
mod webhooks;

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

pub use self::{
    enrichment::EnrichmentState,
    history::{ChangeEvent, EventFilter, EventKind, Moment},
    listings::Committed,
    prune::Retention,
    reading::read_state,
    sent::Sent,
    sources::Claim,
    state::{Held, LastError, SourceState, State, StoredModel},
    traces::Trace,
    watch::Alert,
    webhooks::{Delivery, Told, WebhookState},
};

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

/// A database that cannot be used. One line: what happened and what to do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be opened, created, locked or written.
    #[error(
        "cannot open the database {path}: {cause}; check that the folder exists and can be written, or set DATABASE_URL"
    )]
    Open {
        /// The database file.
        path: String,
        /// Why.
        cause: String,
    },
    /// The file is not an SQLite database, or damaged.
    #[error(
        "{path} is not a usable SQLite database ({cause}); it was left as it is: move it away or restore a backup, or set DATABASE_URL"
    )]
    Damaged {
        /// The database file.
        path: String,
        /// Why.
        cause: String,
    },
    /// The file is the database of another application.
    #[error(
        "{path} is the database of another application, it was left as it is: set DATABASE_URL to a file of its own"
    )]
    Foreign {
        /// The database file.
        path: String,
    },
    /// There is no such file, and it is not to be created.
    #[error(
        "there is no database {path}: start the service once, or name its database with --database-url or DATABASE_URL"
    )]
    Absent {
        /// The database file.
        path: String,
    },
    /// No service of this version has migrated the database yet, and it is not to be written.
    #[error(
        "{path} lacks migration {version} of this model-catalog, it was left as it is: start this version's service on it once, or ask a running one with --url"
    )]
    Older {
        /// The database file.
        path: String,
        /// The first migration that it lacks.
        version: i64,
    },
    /// A newer model-catalog has migrated the database.
    #[error(
        "{path} was written by a newer model-catalog (migration {version}): run that version, or set DATABASE_URL to another file"
    )]
    Newer {
        /// The database file.
        path: String,
        /// The unknown migration.
        version: i64,
    },
    /// The SQLite library is too old to be trusted with a WAL database.
    #[error("this build has SQLite {0}, which can corrupt the catalog: build with 3.51.3 or newer")]
    OldSqlite(String),
    /// A source's role has changed.
    #[error(
        "`{name}` is the name of a {stored} in the database and of another role in the settings: give it another name"
    )]
    RoleChanged {
        /// The source.
        name: String,
        /// Its role in the database.
        stored: String,
    },
    /// A statement failed.
    #[error("the database failed: {}", explain(.0))]
    Statement(#[from] sqlx::Error),
    /// The database holds something that this version cannot read.
    #[error("the database holds something unreadable: {0}")]
    Content(#[from] serde_json::Error),
}

type Result<T> = std::result::Result<T, StoreError>;

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

/// Notices commits of others.
pub struct Watcher {
    connection: SqliteConnection,
    version: i64,
}

impl Watcher {
    /// Whether somebody else has committed since the last call.
    pub async fn changed(&mut self) -> Result<bool> {
        let version = data_version(&mut self.connection).await?;
        Ok(std::mem::replace(&mut self.version, version) != version)
    }
}

async fn data_version(connection: &mut SqliteConnection) -> Result<i64> {
    Ok(sqlx::query_scalar("PRAGMA data_version")
        .fetch_one(connection)
        .await?)
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

fn open_error(path: &str, error: &sqlx::Error) -> StoreError {
    let (path, cause) = (path.to_owned(), explain(error));
    match primary_code(error) {
        Some(CORRUPT | NOT_A_DATABASE) => StoreError::Damaged { path, cause },
        _ => StoreError::Open { path, cause },
    }
}

// https://sqlite.org/rescode.html
const BUSY: i32 = 5;
const READONLY: i32 = 8;
const IO_ERROR: i32 = 10;
const CORRUPT: i32 = 11;
const FULL: i32 = 13;
const NOT_A_DATABASE: i32 = 26;

/// SQLite's result code without its extension.
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}

/// What SQLite says, and what to do.
fn explain(error: &sqlx::Error) -> String {
    let what = match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        other => other.to_string(),
    };
    match primary_code(error) {
        Some(BUSY) => format!("{what}: another process keeps it locked"),
        Some(READONLY) => format!("{what}: let the service write to the file and its folder"),
        Some(IO_ERROR | FULL) => format!("{what}: make room on the disk, or look after it"),
        Some(CORRUPT | NOT_A_DATABASE) => format!("{what}: stop the service and restore a backup"),
        _ => what,
    }
}

#[cfg(test)]
mod tests {
    use super::is_new_enough;

    #[test]
    fn compares_versions_as_numbers() {
        for (version, expected) in [
            ("3.51.3", true),
            ("3.51.10", true),
            ("3.52.0", true),
            ("4.0.0", true),
            ("3.51.2", false),
            ("3.9.99", false),
            ("", false),
        ] {
            assert_eq!(is_new_enough(version), expected, "{version}");
        }
    }
}
