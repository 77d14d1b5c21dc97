//! What the service tells systemd, which started it: that it serves, that it is well, that it stops.
//! Without systemd (no `NOTIFY_SOCKET`) it tells nobody.

use std::{convert::Infallible, time::Instant};

use sd_notify::NotifyState;

use crate::catalog::Catalog;

/// Says that the catalog serves, and from then on that it is well, as often as `WatchdogSec=` asks for.
/// What `/healthz` calls failing says nothing, so that systemd restarts the process.
pub(super) async fn attend(catalog: Catalog) -> Infallible {
    tell(NotifyState::Ready);
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return std::future::pending().await;
    };
    loop {
        if catalog.health().find_problem(Instant::now()).is_none() {
            tell(NotifyState::Watchdog);
        }
        tokio::time::sleep(limit / 3).await;
    }
}

/// Says that the service stops.
pub(super) fn say_stopping() {
    tell(NotifyState::Stopping);
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!(%error, "cannot tell the service manager");
    }
}
