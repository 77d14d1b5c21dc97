//! Follows other processes on the same database: serves their commits, and wakes every task to
//! check its schedule. Follows the file itself too: folds commits into it, and notices when it is gone.

use std::{sync::Arc, time::Duration};

use crate::{
    catalog::{
        members::Members,
        shared::Shared,
        supervisor::{Supervised, TookTooLong},
        tasks::Tasks,
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
    tasks: Arc<Tasks>,
) -> Result<(), TookTooLong> {
    let mut watcher: Option<CommitWatcher> = None;
    // Stays set until the change has been read, so a failed read loses nothing.
    let mut is_changed = false;
    // What the start has written is folded in.
    let mut is_folded = false;
    let mut is_lost = false;
    let follow = async {
        loop {
            tokio::time::sleep(INTERVAL).await;
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
                if watcher.is_none() && !is_lost {
                    watcher = Some(shared.store.subscribe().await?);
                    // Anything may have happened before.
                    is_changed = true;
                }
                let Some(watcher) = &mut watcher else {
                    return Ok(());
                };
                is_changed |= watcher.has_changed().await?;
                is_folded &= !is_changed;
                if is_changed {
                    // Another process may have pruned.
                    shared.remembered.forget_past();
                    shared.reload().await?;
                    is_changed = false;
                    // Also when there was nothing new: one of our own commits may have brought in what another
                    // process has changed, without the tasks that it is about.
                    members.wake();
                    tasks.wake();
                }
                if !is_folded && !is_lost {
                    watcher.fold().await?;
                    is_folded = true;
                }
                Ok::<(), StoreError>(())
            };
            if let Err(error) = supervised.step(LIMIT, seen).await? {
                tracing::debug!(%error, "cannot check for other processes' commits");
            }
        }
    };
    let stop = &supervised.stop;
    stop.run_until_cancelled(follow).await.unwrap_or(Ok(()))
}
