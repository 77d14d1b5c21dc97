//! Reads the settings again, at SIGHUP, when their file changes, and when a source refuses its key, and puts
//! them in force. Settings that cannot be used change nothing.

use std::{
    convert::Infallible,
    fs,
    net::SocketAddr,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
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

/// What tells one version of a file from another: also of one that was renamed over it, or that a link now
/// points at. None of a file that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileState(Option<(u64, u64, i64, i64, u64)>);

impl FileState {
    /// The state of the file at `path`.
    pub(super) fn of(path: Option<&Path>) -> Self {
        let metadata = path.and_then(|path| fs::metadata(path).ok());
        Self(metadata.map(|metadata| {
            let (seconds, nanoseconds) = (metadata.mtime(), metadata.mtime_nsec());
            let (device, inode) = (metadata.dev(), metadata.ino());
            (device, inode, seconds, nanoseconds, metadata.size())
        }))
    }
}

/// What makes the catalog read its settings again.
pub(super) struct Reloads {
    pub(super) flags: Flags,
    /// The address to listen on, as set at the start.
    pub(super) listen: String,
    /// The settings file, if there is one.
    pub(super) file: Option<PathBuf>,
    /// Its state before it was last read.
    pub(super) known: FileState,
    /// What the log has already said to take effect at the next start.
    pub(super) waiting: Vec<&'static str>,
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
        let mut seen = self.known;
        let mut looks = interval(INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let reason = tokio::select! {
                Some(()) = self.hangup.recv() => Reason::Hangup,
                () = catalog.key_refused() => {
                    // A file that is being written is read when it has settled.
                    if self.state() != self.known {
                        continue;
                    }
                    Reason::KeyRefused
                }
                _ = looks.tick() => {
                    let state = self.state();
                    let is_settled = std::mem::replace(&mut seen, state) == state;
                    if !is_settled || state == self.known {
                        continue;
                    }
                    Reason::File
                }
            };
            self.known = self.state();
            seen = self.known;
            let outcome = self.reload(&catalog, own, reason).await;
            catalog.shared().metrics.count_reload(outcome);
        }
    }

    fn state(&self) -> FileState {
        FileState::of(self.file.as_deref())
    }

    /// Reads the settings and puts them in force. Returns the outcome for the metric.
    async fn reload(&mut self, catalog: &Catalog, own: SocketAddr, reason: Reason) -> &'static str {
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
        let at_next_start = std::mem::take(&mut changes.at_next_start);
        let is_changed = !changes.is_nothing();
        // What waits for the next start is said once, not at every reload until then.
        if self.waiting != at_next_start {
            self.waiting.clone_from(&at_next_start);
            changes.at_next_start = at_next_start;
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
        if is_changed { "changed" } else { "unchanged" }
    }
}

/// Says that the settings cannot be used.
fn refused(error: &dyn std::fmt::Display) -> &'static str {
    tracing::error!("the new settings are refused, and the old ones stay in force: {error}");
    "refused"
}

/// What has changed, in one line.
fn describe(changes: &Reconfigured) -> String {
    let parts = [
        ("sources added", joined(&changes.added)),
        ("changed", joined(&changes.changed)),
        ("removed", joined(&changes.removed)),
        ("other settings changed", joined(&changes.others)),
        (
            "takes effect at the next start",
            joined(&changes.at_next_start),
        ),
    ];
    let parts = parts.into_iter().filter(|(_, names)| !names.is_empty());
    let parts: Vec<String> = parts
        .map(|(what, names)| format!("{what}: {names}"))
        .collect();
    parts.join("; ")
}

fn joined(names: &[impl ToString]) -> String {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    names.join(", ")
}
