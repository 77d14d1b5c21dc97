//! Reads the settings again, at SIGHUP, when their file changes, and when a source refuses its key, and puts
//! them in force. Settings that cannot be used change nothing.

use std::{
    convert::Infallible, fs, net::SocketAddr, os::unix::fs::MetadataExt, path::PathBuf,
    time::Duration,
};

use tokio::{
    signal::unix::Signal,
    time::{MissedTickBehavior, interval},
};

use crate::{
    catalog::{Catalog, reconfigure::Reconfigured},
    config::{
        environment::Environment,
        read::{Flags, Settings},
    },
    server::fit,
};

/// Time between two looks at the file. One that has changed is read when it stays the same for as long.
const INTERVAL: Duration = Duration::from_secs(1);

/// What makes the catalog read its settings again.
pub(super) struct Reloads {
    pub(super) flags: Flags,
    /// The address to listen on, as set at the start.
    pub(super) listen: String,
    /// The settings file, if there is one.
    pub(super) file: Option<PathBuf>,
    pub(super) hangup: Signal,
}

/// Why the settings are read again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reason {
    Hangup,
    File,
    /// A source refused its key: the file of the key may hold another one.
    KeyRefused,
}

impl Reloads {
    /// Reloads the settings of `catalog`, which listens at `own`, for as long as it runs.
    pub(super) async fn follow(mut self, catalog: Catalog, own: SocketAddr) -> Infallible {
        let mut known = self.file_state();
        let mut seen = known;
        let mut looks = interval(INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let reason = tokio::select! {
                Some(()) = self.hangup.recv() => Reason::Hangup,
                () = catalog.key_refused() => Reason::KeyRefused,
                _ = looks.tick() => {
                    let state = self.file_state();
                    let is_settled = std::mem::replace(&mut seen, state) == state;
                    if !is_settled || state == known {
                        continue;
                    }
                    Reason::File
                }
            };
            known = self.file_state();
            seen = known;
            let outcome = self.reload(&catalog, own, reason).await;
            let now = catalog.now().millis().div_euclid(1000);
            catalog.shared().metrics.count_reload(outcome, now);
        }
    }

    /// What tells one version of the file from another: also of one that was renamed over it, or that a link
    /// now points at.
    fn file_state(&self) -> Option<(u64, u64, i64, i64, u64)> {
        let metadata = fs::metadata(self.file.as_ref()?).ok()?;
        let changed = (metadata.mtime(), metadata.mtime_nsec());
        Some((
            metadata.dev(),
            metadata.ino(),
            changed.0,
            changed.1,
            metadata.size(),
        ))
    }

    /// Reads the settings and puts them in force. Returns the outcome for the metric.
    async fn reload(&self, catalog: &Catalog, own: SocketAddr, reason: Reason) -> &'static str {
        let flags = self.flags.clone();
        // Files may be slow.
        let read =
            tokio::task::spawn_blocking(move || Settings::read(&flags, &Environment::of_process()));
        let settings = match read.await {
            Ok(Ok(settings)) => settings,
            Ok(Err(error)) => return refused(&error),
            Err(error) => return refused(&error),
        };
        let config = match fit(settings.config, own) {
            Ok(config) => config,
            Err(error) => return refused(&error),
        };
        let mut changes = match catalog.reconfigure(config).await {
            Ok(changes) => changes,
            Err(error) => return refused(&error),
        };
        if settings.listen != self.listen {
            changes.at_next_start.push("listen");
        }
        if changes.is_nothing() {
            // A key that is refused is looked up at every attempt.
            if reason != Reason::KeyRefused {
                tracing::info!("settings read again: nothing has changed");
            }
            return "unchanged";
        }
        for warning in &settings.warnings {
            tracing::warn!("{warning}");
        }
        tracing::info!("settings read again: {}", describe(&changes));
        "changed"
    }
}

/// Says that the settings cannot be used.
fn refused(error: &dyn std::fmt::Display) -> &'static str {
    tracing::error!("the new settings are refused, and the old ones stay in force: {error}");
    "refused"
}

/// What has changed, in one line.
fn describe(changes: &Reconfigured) -> String {
    let names = |names: &[_]| -> Vec<String> { names.iter().map(ToString::to_string).collect() };
    let owned = |names: &[&str]| -> Vec<String> { names.iter().map(ToString::to_string).collect() };
    let parts = [
        ("sources added", names(&changes.added)),
        ("changed", names(&changes.changed)),
        ("removed", names(&changes.removed)),
        ("other settings changed", owned(&changes.others)),
        (
            "takes effect at the next start",
            owned(&changes.at_next_start),
        ),
    ];
    let parts = parts.into_iter().filter(|(_, names)| !names.is_empty());
    let parts: Vec<String> = parts
        .map(|(what, names)| format!("{what}: {}", names.join(", ")))
        .collect();
    parts.join("; ")
}
