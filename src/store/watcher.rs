//! Noticing what other connections, of this process or another, commit.

use sqlx::SqliteConnection;

use super::error::Result;

/// Notices commits of others.
pub struct Watcher {
    pub(super) connection: SqliteConnection,
    pub(super) version: i64,
}

impl Watcher {
    /// Whether somebody else has committed since the last call.
    pub async fn changed(&mut self) -> Result<bool> {
        let version = data_version(&mut self.connection).await?;
        Ok(std::mem::replace(&mut self.version, version) != version)
    }
}

pub(super) async fn data_version(connection: &mut SqliteConnection) -> Result<i64> {
    Ok(sqlx::query_scalar("PRAGMA data_version")
        .fetch_one(connection)
        .await?)
}
