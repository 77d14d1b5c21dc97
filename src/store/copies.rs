//! Copies of the whole database: made while others write, checked before they are believed, and put in the
//! place of a database, which is kept.

use std::{
    ffi::OsString,
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{
    Connection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode},
};
use tempfile::NamedTempFile;
use tokio::time::{Instant, sleep};

use super::{
    error::{Result, StoreError, is_busy},
    file, is_foreign, parse_url,
    read_only::{migrations, named, with_options},
};
use crate::model::time::Timestamp;

/// How long to wait for a service that is just ending.
const IN_USE_TIMEOUT: Duration = Duration::from_secs(2);

/// How often to look whether it has ended.
const IN_USE_INTERVAL: Duration = Duration::from_millis(50);

/// What is in a copy.
#[derive(Clone, Debug)]
pub struct Contents {
    /// Its last revision; 0 when no source has ever answered.
    pub revision: i64,
    /// When that was made.
    pub at: Option<Timestamp>,
    /// The size of the copy in bytes.
    pub bytes: u64,
}

/// What [`restore`] did.
#[derive(Clone, Debug)]
pub struct Restored {
    /// What is in the copy.
    pub contents: Contents,
    /// The database, which is the copy now.
    pub database: PathBuf,
    /// Where the file that was there is kept.
    pub kept: Option<PathBuf>,
}

/// The file of the database at `url`.
pub fn path_of(url: &str) -> Result<PathBuf> {
    Ok(parse_url(url)?.get_filename().to_owned())
}

/// Copies the database at `url` to the empty file `to`, also while a service writes, and also one that an
/// earlier version wrote. Leaves no file beside the database.
pub async fn copy(url: &str, to: &Path) -> Result<()> {
    copy_with(&parse_url(url)?, to).await
}

/// What is in the copy at `path`. Fails unless it is a whole catalog that this version can use.
pub async fn check(path: &Path) -> Result<Contents> {
    let options = options_of(path);
    let read = with_options(&options, async |options| {
        contents(options)
            .await
            .map_err(|error| named(options, error))
    });
    let name = path.display().to_string();
    read.await.map_err(|error| match error {
        StoreError::Absent { path } => StoreError::NoCopy { path },
        StoreError::Newer { .. } => error,
        StoreError::Damaged { path, cause } => StoreError::BadCopy { path, cause },
        StoreError::Foreign { path } => StoreError::BadCopy {
            path,
            cause: "it is the database of another application".to_owned(),
        },
        error => StoreError::BadCopy {
            path: name,
            cause: error.to_string(),
        },
    })
}

/// Puts a copy of the database file `from` at the place of the database at `url`. `now` is part of the name
/// under which that is kept. Fails without a change when `from` is not a whole catalog, or a process uses
/// the database.
pub async fn restore(from: &Path, url: &str, now: Timestamp) -> Result<Restored> {
    let options = parse_url(url)?;
    let database = options.get_filename();
    let failed = |error: io::Error| StoreError::Open {
        path: database.display().to_string(),
        cause: error.to_string(),
    };
    let contents = check(from).await?;
    if fs::canonicalize(database)
        .is_ok_and(|to| fs::canonicalize(from).is_ok_and(|from| from == to))
    {
        return Err(StoreError::BadCopy {
            path: from.display().to_string(),
            cause: "it is the database itself".to_owned(),
        });
    }
    let folder = database.parent().filter(|folder| *folder != Path::new(""));
    let new = NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).map_err(failed)?;
    copy_with(&options_of(from), new.path()).await?;
    new.as_file().sync_all().map_err(failed)?;
    // So that no service starts on the database meanwhile.
    let lock = file::lock(database).await?;
    let kept = if database.try_exists().map_err(failed)? {
        fold(database).await?;
        Some(keep(database, now).map_err(failed)?)
    } else {
        None
    };
    new.persist(database).map_err(|error| failed(error.error))?;
    drop(lock);
    Ok(Restored {
        contents,
        database: database.to_owned(),
        kept,
    })
}

fn options_of(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path)
}

async fn copy_with(from: &SqliteConnectOptions, to: &Path) -> Result<()> {
    with_options(from, async |options| {
        let copying = async {
            migrations(options).await?;
            let mut connection = SqliteConnection::connect_with(options).await?;
            vacuum_into(&mut connection, to).await?;
            Ok(connection.close().await?)
        };
        copying.await.map_err(|error| named(options, error))
    })
    .await
}

/// Writes everything that `connection` sees to the empty file `to`.
pub(super) async fn vacuum_into(connection: &mut SqliteConnection, to: &Path) -> Result<()> {
    sqlx::query("VACUUM INTO ?1")
        .bind(to.to_string_lossy())
        .execute(connection)
        .await?;
    Ok(())
}

async fn contents(options: &SqliteConnectOptions) -> Result<Contents> {
    let path = options.get_filename();
    let damaged = |cause: String| StoreError::Damaged {
        path: path.display().to_string(),
        cause,
    };
    if migrations(options).await?.is_empty() {
        return Err(damaged("there is no catalog in it".to_owned()));
    }
    let mut connection = SqliteConnection::connect_with(options).await?;
    let found: String = sqlx::query_scalar("PRAGMA integrity_check(1)")
        .fetch_one(&mut connection)
        .await?;
    if found != "ok" {
        return Err(damaged(found));
    }
    let last: Option<(i64, Timestamp)> =
        sqlx::query_as("SELECT revision, at FROM model_events ORDER BY revision DESC LIMIT 1")
            .fetch_optional(&mut connection)
            .await?;
    connection.close().await?;
    let bytes = fs::metadata(path).map_err(|error| damaged(error.to_string()))?;
    Ok(Contents {
        revision: last.map_or(0, |(revision, _)| revision),
        at: last.map(|(_, at)| at),
        bytes: bytes.len(),
    })
}

/// Folds the WAL of the database at `path` into it and removes that. Fails when a process uses the database.
/// One that is damaged stays as it is.
async fn fold(path: &Path) -> Result<()> {
    if let Ok(true) = is_foreign(&options_of(path)).await {
        let path = path.display().to_string();
        return Err(StoreError::Foreign { path });
    }
    let options = options_of(path).journal_mode(SqliteJournalMode::Delete);
    let deadline = Instant::now() + IN_USE_TIMEOUT;
    loop {
        match SqliteConnection::connect_with(&options).await {
            Ok(connection) => return Ok(connection.close().await?),
            // SQLite itself does not wait for this lock.
            Err(error) if is_busy(&error) && Instant::now() < deadline => {
                sleep(IN_USE_INTERVAL).await;
            }
            Err(error) if is_busy(&error) => {
                let path = path.display().to_string();
                return Err(StoreError::InUse { path });
            }
            Err(_) => return Ok(()),
        }
    }
}

/// Gives the database at `path`, and what a damaged one has beside it, a second name, and returns that. The
/// file stays at its path too, so that there is always one.
fn keep(path: &Path, now: Timestamp) -> io::Result<PathBuf> {
    let beside = |suffix: &str| {
        let mut name = OsString::from(path);
        name.push(suffix);
        PathBuf::from(name)
    };
    let time = now.utc().format("%Y%m%dT%H%M%S%.3fZ");
    let kept = beside(&format!(".replaced-{time}"));
    fs::hard_link(path, &kept).or_else(|_| fs::copy(path, &kept).map(drop))?;
    let mut kept_wal = kept.clone().into_os_string();
    kept_wal.push("-wal");
    allow_absent(fs::rename(beside("-wal"), kept_wal))?;
    allow_absent(fs::remove_file(beside("-shm")))?;
    Ok(kept)
}

fn allow_absent(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
