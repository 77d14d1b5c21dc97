//! Reading the database without a trace: what commands do that are not the service. Nothing is
//! created, migrated or written, and a service may run on the database all the while.

use std::{io::ErrorKind, path::PathBuf};

use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

use super::{
    BUSY_TIMEOUT, MIGRATOR, Store,
    error::{Result, StoreError, open_error},
    is_foreign, parse_url,
};
use crate::model::state::State;

/// What is served from the database at `url`, by whatever process.
pub async fn read_state(url: &str) -> Result<State> {
    let options = parse_url(url)?;
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
    // Even a reader of a WAL database leaves files beside it. Where there is no log nobody has the
    // database open and all of it is in the one file, which then is read as what cannot change.
    if !wal.exists() {
        let state = read(&options.clone().immutable(true)).await;
        if !wal.exists() {
            return state;
        }
        // A service has started in between: what was read may be half of its first commit.
    }
    read(&options).await
}

async fn read(options: &SqliteConnectOptions) -> Result<State> {
    let store = open(options).await.map_err(|error| {
        // Every statement until here is about the whole database.
        match error {
            StoreError::Statement(error) => {
                open_error(&options.get_filename().display().to_string(), &error)
            }
            other => other,
        }
    })?;
    let state = store
        .load(None)
        .await
        .map_err(|error| store.at_start(error));
    store.close().await;
    state
}

async fn open(options: &SqliteConnectOptions) -> Result<Store> {
    let path = options.get_filename().display().to_string();
    if is_foreign(options).await? {
        return Err(StoreError::Foreign { path });
    }
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .connect_with(options.clone())
        .await?;
    let applied: Vec<i64> = if sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = '_sqlx_migrations')",
    )
    .fetch_one(&pool)
    .await?
    {
        sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success ORDER BY version")
            .fetch_all(&pool)
            .await?
    } else {
        Vec::new()
    };
    let unknown = applied
        .iter()
        .find(|version| !MIGRATOR.version_exists(**version));
    if let Some(&version) = unknown {
        return Err(StoreError::Newer { path, version });
    }
    let lacking = MIGRATOR
        .iter()
        .find(|migration| !applied.contains(&migration.version));
    if let Some(migration) = lacking {
        let version = migration.version;
        return Err(StoreError::Older { path, version });
    }
    Ok(Store {
        pool,
        options: options.clone(),
    })
}
