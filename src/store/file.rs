//! The database's file: for its owner alone, and recognized again when it is deleted or replaced under the
//! process. What is written to such a file would be lost.

use std::{
    fs::{File, Metadata, OpenOptions, TryLockError},
    io::{self, ErrorKind},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use super::error::{CHECK_FOLDER, Result, StoreError};

/// How often the first start retries the lock.
const LOCK_INTERVAL: Duration = Duration::from_millis(50);

/// The options of a file that only its owner may read, if it is created.
pub(super) fn private() -> OpenOptions {
    let mut options = File::options();
    options.create(true).truncate(false).write(true).mode(0o600);
    options
}

/// Creates an empty file at `path` for its owner alone. Leaves a file that is there as it is, unopened:
/// closing any handle of a file drops every lock that this process has on it, those of SQLite too.
pub(super) fn create_private(path: &Path) -> io::Result<()> {
    match private().create_new(true).open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// The file that was opened.
#[derive(Clone, Debug)]
pub(super) struct DatabaseFile {
    path: PathBuf,
    /// Its device and inode.
    identity: (u64, u64),
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

impl DatabaseFile {
    /// The file at `path`.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            identity: identity(&std::fs::metadata(path)?),
        })
    }

    /// Fails when another file or none is at the path now.
    pub(super) fn check(&self) -> Result<()> {
        let became = match std::fs::metadata(&self.path) {
            Ok(found) if identity(&found) == self.identity => return Ok(()),
            Ok(_) => "replaced",
            Err(error) if error.kind() == ErrorKind::NotFound => "deleted",
            // Not known. Statements will tell.
            Err(_) => return Ok(()),
        };
        Err(StoreError::Lost {
            path: self.path.display().to_string(),
            became,
        })
    }
}

/// Takes an advisory lock on a file beside the database. sqlx does not lock migrations on SQLite,
/// so two concurrent first starts would both create the tables. Retries instead of blocking, so
/// that a stop can interrupt the wait.
pub(super) async fn lock(database: &Path) -> Result<File> {
    let mut path = database.as_os_str().to_owned();
    path.push(".lock");
    let path = PathBuf::from(path);
    let failed = |error: io::Error| match error.kind() {
        // There is no such folder: the database cannot be there either.
        ErrorKind::NotFound => StoreError::Open {
            path: database.display().to_string(),
            cause: format!("{error}: {CHECK_FOLDER}"),
        },
        _ => StoreError::Lock {
            lock: path.display().to_string(),
            cause: error.to_string(),
        },
    };
    let file = private().open(&path).map_err(failed)?;
    let mut is_logged = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
            Err(TryLockError::WouldBlock) => {
                if !std::mem::replace(&mut is_logged, true) {
                    tracing::info!("waiting for another process that starts on the same database");
                }
                tokio::time::sleep(LOCK_INTERVAL).await;
            }
        }
    }
}
