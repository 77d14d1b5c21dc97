//! Reads the database without leaving a trace, for the commands. Creates, migrates and writes
//! nothing, even while a service runs on the database.

use std::{io::ErrorKind, path::PathBuf};

use sqlx::{
    Connection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};

use super::{
    BUSY_TIMEOUT, MIGRATOR, Store,
    error::{Result, StoreError, open_error},
    file::DatabaseFile,
    is_foreign, parse_url,
};
use crate::model::time::Clock;

/// What `read` makes of the database at `url`. Calls it again if a service started on the database in
/// the meantime. Fails when the file does not exist or this version cannot read it.
pub async fn read<T, E: From<StoreError>>(
    url: &str,
    read: impl AsyncFn(&Store) -> std::result::Result<T, E>,
) -> std::result::Result<T, E> {
    with_options(&parse_url(url)?, async |options| {
        // Every statement in there concerns the whole database.
        let store = open(options).await.map_err(|error| named(options, error))?;
        let result = read(&store).await;
        store.close().await;
        result
    })
    .await
}

/// What `read` makes of the options with which the database of `options` can be read without a trace. Calls
/// it again if a service started on the database in the meantime.
pub(super) async fn with_options<T, E: From<StoreError>>(
    options: &SqliteConnectOptions,
    read: impl AsyncFn(&SqliteConnectOptions) -> std::result::Result<T, E>,
) -> std::result::Result<T, E> {
    let path = options.get_filename();
    let database = std::fs::canonicalize(path).map_err(|error| {
        let path = path.display().to_string();
        match error.kind() {
            ErrorKind::NotFound => StoreError::Absent { path },
            _ => StoreError::Open {
                path,
                cause: error.to_string(),
            },
        }
    })?;
    let mut wal = database.into_os_string();
    wal.push("-wal");
    let wal = PathBuf::from(wal);
    let options = options
        .clone()
        .create_if_missing(false)
        .read_only(true)
        .busy_timeout(BUSY_TIMEOUT);
    // Even a reader of a WAL database leaves files beside it. Without a WAL file, no process has
    // the database open and the file is complete, so it can be read as immutable.
    if !wal.exists() {
        let result = read(&options.clone().immutable(true)).await;
        if !wal.exists() {
            return result;
        }
        // A service started in the meantime: the result may contain half of its first commit.
    }
    read(&options).await
}

/// `error`, with the name of the file if a statement failed.
pub(super) fn named(options: &SqliteConnectOptions, error: StoreError) -> StoreError {
    match error {
        StoreError::Statement(error) => {
            open_error(&options.get_filename().display().to_string(), &error)
        }
        other => other,
    }
}

/// The migrations that ran on the database of `options`, in their order. Fails when it belongs to another
/// application or a newer version.
pub(super) async fn migrations(options: &SqliteConnectOptions) -> Result<Vec<i64>> {
    let path = options.get_filename().display().to_string();
    if is_foreign(options).await? {
        return Err(StoreError::Foreign { path });
    }
    let mut connection = SqliteConnection::connect_with(options).await?;
    let exists = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = '_sqlx_migrations')",
    )
    .fetch_one(&mut connection)
    .await?;
    let applied: Vec<i64> = if exists {
        sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success ORDER BY version")
            .fetch_all(&mut connection)
            .await?
    } else {
        Vec::new()
    };
    connection.close().await?;
    let unknown = applied
        .iter()
        .find(|version| !MIGRATOR.version_exists(**version));
    match unknown {
        Some(&version) => Err(StoreError::Newer { path, version }),
        None => Ok(applied),
    }
}

async fn open(options: &SqliteConnectOptions) -> Result<Store> {
    let path = options.get_filename().display().to_string();
    let applied = migrations(options).await?;
    let lacking = MIGRATOR
        .iter()
        .find(|migration| !applied.contains(&migration.version));
    if let Some(migration) = lacking {
        let version = migration.version;
        return Err(StoreError::Older { path, version });
    }
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .connect_with(options.clone())
        .await?;
    let file = DatabaseFile::at(options.get_filename()).map_err(|error| StoreError::Open {
        path,
        cause: error.to_string(),
    })?;
    Ok(Store::new(pool, options.clone(), file, Clock::system()))
}
