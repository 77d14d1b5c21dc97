//! Notices the commits of other connections.

use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};

use super::error::Result;

/// Notices the commits of other connections, including those of this process's pool.
pub struct CommitWatcher {
    connection: SqliteConnection,
    version: i64,
}

impl CommitWatcher {
    pub(super) async fn connect(options: &SqliteConnectOptions) -> Result<Self> {
        let mut connection = SqliteConnection::connect_with(options).await?;
        let version = data_version(&mut connection).await?;
        Ok(Self {
            connection,
            version,
        })
    }

    /// Folds the commits from the WAL into the file, as far as no reader needs them there: a copy of the
    /// file alone has them too.
    pub async fn fold(&mut self) -> Result<()> {
        sqlx::query("PRAGMA wal_checkpoint(PASSIVE)")
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    /// Whether another connection has committed since the last call.
    pub async fn has_changed(&mut self) -> Result<bool> {
        let version = data_version(&mut self.connection).await?;
        Ok(std::mem::replace(&mut self.version, version) != version)
    }
}

async fn data_version(connection: &mut SqliteConnection) -> Result<i64> {
    Ok(sqlx::query_scalar("PRAGMA data_version")
        .fetch_one(connection)
        .await?)
}
