//! Database errors, worded for the operator.

/// Why the database cannot be used. One line: what happened and what to do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be opened, created, locked or written.
    #[error("cannot open the database {path}: {cause}; or set DATABASE_URL to another file")]
    Open {
        /// The database file.
        path: String,
        /// The cause.
        cause: String,
    },
    /// The file beside the database that starts lock cannot be used.
    #[error(
        "cannot lock {lock}, which starts take turns at: {cause}; if it is no file, remove it; give the service write access to it"
    )]
    Lock {
        /// The lock file.
        lock: String,
        /// The cause.
        cause: String,
    },
    /// The file is damaged or not a SQLite database.
    #[error(
        "{path} is not a usable SQLite database ({cause}); it was left unchanged: move it away or restore a backup, or set DATABASE_URL"
    )]
    Damaged {
        /// The database file.
        path: String,
        /// The cause.
        cause: String,
    },
    /// The file belongs to another application.
    #[error(
        "{path} is the database of another application and was left unchanged: set DATABASE_URL to another file"
    )]
    Foreign {
        /// The database file.
        path: String,
    },
    /// The file does not exist and must not be created.
    #[error(
        "there is no database {path}: start the service once, or set the path with --database-url or DATABASE_URL"
    )]
    Absent {
        /// The database file.
        path: String,
    },
    /// The file is not at its path any more.
    #[error(
        "{path} was {became} while in use: nothing is written until the file is back at its place; put it back, or restart to go on with what is there"
    )]
    Lost {
        /// The database file.
        path: String,
        /// Deleted or replaced.
        became: &'static str,
    },
    /// A file that should hold a copy does not exist.
    #[error("there is no file {path}: pass a file that `model-catalog backup` wrote")]
    NoCopy {
        /// The file.
        path: String,
    },
    /// A file is not a whole copy of a catalog.
    #[error(
        "{path} is not a whole copy of a catalog ({cause}): nothing was changed; use another copy"
    )]
    BadCopy {
        /// The file.
        path: String,
        /// The cause.
        cause: String,
    },
    /// A database that should be replaced is in use.
    #[error("{path} is in use, and nothing was changed: stop the service first")]
    InUse {
        /// The database file.
        path: String,
    },
    /// This version's migrations have not run yet, and the database must not be written.
    #[error(
        "{path} lacks migration {version} of this model-catalog and was left unchanged: start this version's service on it once, or read from a running one with --url"
    )]
    Older {
        /// The database file.
        path: String,
        /// The first migration that it lacks.
        version: i64,
    },
    /// Something in the database is not as this version writes it.
    #[error(
        "{path} has a row that cannot be read ({cause}); it was left unchanged: correct the row, restore a backup, or set DATABASE_URL to another file"
    )]
    Unreadable {
        /// The database file.
        path: String,
        /// The row, if it was found, and the cause.
        cause: String,
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
    /// The SQLite library has a bug that can corrupt WAL databases.
    #[error("this build has SQLite {0}, which can corrupt the catalog: build with 3.51.3 or newer")]
    OldSqlite(String),
    /// A source changed its role.
    #[error(
        "`{name}` is a {stored} in the database but has another role in the settings: rename it"
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
    /// The database contains data that this version cannot read.
    #[error("the database contains unreadable data: {0}")]
    Content(#[from] serde_json::Error),
}

/// The result of a store operation.
pub type Result<T> = std::result::Result<T, StoreError>;

pub(super) fn open_error(path: &str, error: &sqlx::Error) -> StoreError {
    let (path, cause) = (path.to_owned(), explain(error));
    match primary_code(error) {
        Some(CORRUPT | NOT_A_DATABASE) => StoreError::Damaged { path, cause },
        Some(ERROR | CONSTRAINT | MISMATCH) => StoreError::Unreadable { path, cause },
        None if is_about_a_row(error) => StoreError::Unreadable { path, cause },
        _ => StoreError::Open { path, cause },
    }
}

/// Whether a row was read and is not as expected.
fn is_about_a_row(error: &sqlx::Error) -> bool {
    matches!(
        error,
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::RowNotFound
    )
}

// https://sqlite.org/rescode.html
const ERROR: i32 = 1;

const BUSY: i32 = 5;

const READONLY: i32 = 8;

const IO_ERROR: i32 = 10;

const CORRUPT: i32 = 11;

const FULL: i32 = 13;

const CONSTRAINT: i32 = 19;

const MISMATCH: i32 = 20;

const CANNOT_OPEN: i32 = 14;

const NOT_A_DATABASE: i32 = 26;

/// SQLite's primary result code, without the extended part.
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}

/// Whether another connection holds a lock that the statement needed.
pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    primary_code(error) == Some(BUSY)
}

/// SQLite's message, with advice.
pub(super) fn explain(error: &sqlx::Error) -> String {
    let message = match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        other => other.to_string(),
    };
    match primary_code(error) {
        Some(BUSY) => format!("{message}: another process has locked it"),
        Some(READONLY) => {
            format!("{message}: give the service write access to the file and its folder")
        }
        Some(IO_ERROR | FULL) => {
            format!("{message}: make room on the disk, or check the disk for faults")
        }
        Some(CORRUPT | NOT_A_DATABASE) => {
            format!("{message}: stop the service and restore a backup")
        }
        Some(CANNOT_OPEN) => format!("{message}: {CHECK_FOLDER}"),
        _ => message,
    }
}

/// The advice when there is no such file or folder.
pub(super) const CHECK_FOLDER: &str = "check that the folder exists and can be written";
