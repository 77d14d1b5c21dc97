//! Why the database cannot be used, in words for the operator.

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

/// The result of a store operation.
pub type Result<T> = std::result::Result<T, StoreError>;

pub(super) fn open_error(path: &str, error: &sqlx::Error) -> StoreError {
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
pub(super) fn explain(error: &sqlx::Error) -> String {
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
