//! Follows other processes on the same database: serves their commits, and wakes every task to
//! check its schedule. Follows the file itself too: folds commits into it, and notices when it is gone.

use std::{sync::Arc, time::Duration};

use tokio::sync::Notify;

use crate::{
    catalog::{members::Members, shared::Shared},
    store::{error::StoreError, watcher::CommitWatcher},
};

/// How often to check for other connections' commits.
const INTERVAL: Duration = Duration::from_millis(500);

/// Checks for commits until the catalog stops. It also notices our own commits; they hold nothing
/// new, so each costs only one small query and a check of each source's schedule.
pub async fn run(
    shared: Arc<Shared>,
    members: Arc<Members>,
    sleepers: Vec<Arc<Notify>>,
    mut watcher: CommitWatcher,
) {
    // Stays set until the change has been read, so a failed read loses nothing.
    let mut is_changed = false;
    // What the start has written is folded in.
    let mut is_folded = false;
    let mut is_lost = false;
    while shared
        .stop
        .run_until_cancelled(tokio::time::sleep(INTERVAL))
        .await
        .is_some()
    {
        match shared.store.check_file() {
            Ok(()) if is_lost => {
                is_lost = false;
                shared.record_database_success();
            }
            Err(error) if !is_lost => {
                is_lost = true;
                shared.record_database_error(&error);
            }
            _ => {}
        }
        let seen = async {
            is_changed |= watcher.has_changed().await?;
            is_folded &= !is_changed;
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
            if !is_folded && !is_lost {
                watcher.fold().await?;
                is_folded = true;
            }
            Ok::<(), StoreError>(())
        };
        if let Err(error) = seen.await {
            tracing::debug!(%error, "cannot check for other processes' commits");
        }
    }
}
