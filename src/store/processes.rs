//! The processes that serve from this database. The settings in force are those of the last one that
//! started and still runs; `catalog::tasks::presence` finds out which that is.

use std::sync::atomic::Ordering;

use sqlx::SqliteConnection;

use super::{Store, error::Result};

/// The processes that serve from this database, or did until lately.
#[derive(Clone, Debug)]
pub struct Processes {
    /// The process whose settings are in force.
    pub in_force: i64,
    /// Each of them, and its beat.
    pub beats: Vec<(i64, i64)>,
}

/// Puts the settings of `process` in force; 0 is a process that starts. Returns its number.
pub(super) async fn put_in_force(connection: &mut SqliteConnection, process: i64) -> Result<i64> {
    let process = (process > 0).then_some(process);
    let process = sqlx::query_scalar!(
        r#"INSERT INTO processes (process) VALUES (?1)
         ON CONFLICT DO UPDATE SET beat = beat + 1
         RETURNING process AS "process!""#,
        process,
    )
    .fetch_one(&mut *connection)
    .await?;
    sqlx::query!("UPDATE catalog SET process = ?1", process)
        .execute(connection)
        .await?;
    Ok(process)
}

impl Store {
    /// The number of this process; 0 before it has applied its settings.
    pub fn process(&self) -> i64 {
        self.process.load(Ordering::Relaxed)
    }

    /// The processes that serve from this database.
    pub async fn processes(&self) -> Result<Processes> {
        let beats = sqlx::query!("SELECT process, beat FROM processes")
            .fetch_all(&self.pool)
            .await?;
        let in_force = sqlx::query_scalar!("SELECT process FROM catalog")
            .fetch_one(&self.pool)
            .await?;
        Ok(Processes {
            in_force,
            beats: beats.iter().map(|row| (row.process, row.beat)).collect(),
        })
    }

    /// Shows the other processes that this one runs.
    pub async fn beat(&self) -> Result<()> {
        let process = self.process();
        sqlx::query!(
            "INSERT INTO processes (process) VALUES (?1) ON CONFLICT DO UPDATE SET beat = beat + 1",
            process,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Forgets `processes`, which have ended.
    pub async fn forget_processes(&self, processes: &[i64]) -> Result<()> {
        let processes = serde_json::to_string(processes)?;
        sqlx::query!(
            "DELETE FROM processes WHERE process IN (SELECT value FROM json_each(?1))",
            processes,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}
