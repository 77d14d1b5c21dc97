//! Follows other processes on the same database: serves their commits, and wakes every task to
//! check its schedule.

use std::{sync::Arc, time::Duration};

use tokio::sync::Notify;

use crate::{
    catalog::{
        members::Members,
        shared::Shared,
        supervisor::{Supervised, TookTooLong},
    },
    store::{error::StoreError, watcher::CommitWatcher},
};

/// How often to check for other connections' commits.
const INTERVAL: Duration = Duration::from_millis(500);
/// Time limit of a check. Reading everything takes a second at most.
const LIMIT: Duration = Duration::from_secs(60);

/// Checks for commits until the catalog stops. It also notices our own commits; they hold nothing
/// new, so each costs only one small query and a check of each source's schedule.
pub async fn run(
    supervised: Supervised,
    shared: Arc<Shared>,
    members: Arc<Members>,
    sleepers: Vec<Arc<Notify>>,
) -> Result<(), TookTooLong> {
    let mut watcher = None;
    // Stays set until the change has been read, so a failed read loses nothing.
    let mut is_changed = false;
    let follow = async {
        loop {
            tokio::time::sleep(INTERVAL).await;
            let seen = async {
                is_changed |= has_changed(&shared, &mut watcher).await?;
                if is_changed {
                    shared.reload().await?;
                    is_changed = false;
                    // Also when there was nothing new: one of our own commits may have brought in what another
                    // process has changed, without the tasks that it is about.
                    members.wake();
                    for sleeper in &sleepers {
                        sleeper.notify_one();
                    }
                }
                Ok::<(), StoreError>(())
            };
            if let Err(error) = supervised.step(LIMIT, seen).await? {
                tracing::debug!(%error, "cannot check for other processes' commits");
            }
        }
    };
    let stop = &shared.supervisor.stop;
    stop.run_until_cancelled(follow).await.unwrap_or(Ok(()))
}

/// Whether others have committed. Anything may have happened before there was a `watcher`.
async fn has_changed(
    shared: &Shared,
    watcher: &mut Option<CommitWatcher>,
) -> Result<bool, StoreError> {
    match watcher {
        Some(watcher) => watcher.has_changed().await,
        None => {
            *watcher = Some(shared.store.subscribe().await?);
            Ok(true)
        }
    }
}
