//! Following other processes on the same database: serves what they commit, and has every schedule
//! looked at.

use std::{sync::Arc, time::Duration};

use tokio::sync::Notify;

use crate::{
    catalog::{members::Members, shared::Shared},
    store::{error::StoreError, watcher::CommitWatcher},
};

/// How often other connections' commits are looked for.
const INTERVAL: Duration = Duration::from_millis(500);

/// Looks for commits until the catalog stops. Our own are seen too: there is nothing new in them, so that
/// they cost one small query and a look at each schedule.
pub async fn run(
    shared: Arc<Shared>,
    members: Arc<Members>,
    sleepers: Vec<Arc<Notify>>,
    mut watcher: CommitWatcher,
) {
    // Stays until the change has been read: a failure to read it loses nothing.
    let mut is_changed = false;
    while shared
        .stop
        .run_until_cancelled(tokio::time::sleep(INTERVAL))
        .await
        .is_some()
    {
        let seen = async {
            is_changed |= watcher.has_changed().await?;
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
        if let Err(error) = seen.await {
            tracing::debug!(%error, "cannot look for other processes' commits");
        }
    }
}
