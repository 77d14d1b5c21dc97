//! Following other processes: serves what they commit, and has every schedule looked at.

use std::time::Duration;

use crate::{
    catalog::Catalog,
    store::{error::StoreError, watcher::Watcher},
};

/// How often commits of other processes are looked for.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);

/// Serves what other processes commit, and follows a schedule that they have changed.
pub async fn follow(catalog: Catalog, mut watcher: Watcher) {
    let shared = catalog.shared();
    // Stays until the change has been read: a failure to read it loses nothing.
    let mut changed = false;
    while shared
        .stop
        .run_until_cancelled(tokio::time::sleep(WATCH_INTERVAL))
        .await
        .is_some()
    {
        let seen = async {
            changed |= watcher.changed().await?;
            if changed {
                shared.reload().await?;
                changed = false;
                catalog.wake();
            }
            Ok::<(), StoreError>(())
        };
        if let Err(error) = seen.await {
            tracing::debug!(%error, "cannot look for other processes' commits");
        }
    }
}
