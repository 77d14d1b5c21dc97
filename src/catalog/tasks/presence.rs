//! Takes over from a process that has ended. Of several processes on one database, the settings of the
//! last one that started are in force. When that one ends, as in a rollback, the last one that started
//! of those that still run applies its own again.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    catalog::{
        shared::Shared,
        supervisor::{Supervised, TookTooLong},
    },
    model::settings::CatalogSettings,
    store::{error::StoreError, processes::Processes},
};

/// Time between two looks at the other processes, and two signs of life of this one.
const INTERVAL: Duration = Duration::from_secs(30);
/// Time limit of a look, which may wait for another process's lock a few times.
const LIMIT: Duration = Duration::from_secs(120);
/// A process without a sign of life for so long has ended. Measured by this process's own timer, which
/// neither a jump of the clock nor the sleep of the machine moves.
const SILENCE: Duration = Duration::from_secs(90);

/// Looks at the other processes until the catalog stops.
pub async fn run(supervised: Supervised, shared: Arc<Shared>) -> Result<(), TookTooLong> {
    let mut presence = Presence::default();
    let looks = async {
        loop {
            tokio::time::sleep(INTERVAL).await;
            let settings = shared.applied.load_full();
            let look = presence.look(&shared, &settings, Instant::now());
            if let Err(error) = supervised.step(LIMIT, look).await? {
                // The next look is in 30 s.
                tracing::debug!(%error, "cannot look for other processes");
            }
        }
    };
    let stop = &supervised.stop;
    stop.run_until_cancelled(looks).await.unwrap_or(Ok(()))
}

/// What this process has seen of the others.
#[derive(Debug, Default)]
struct Presence {
    /// Of each other process its last beat, and when that was new.
    beats: BTreeMap<i64, (i64, Instant)>,
}

impl Presence {
    /// Looks at the other processes at `now`. Applies `settings` again if they belong in force.
    async fn look(
        &mut self,
        shared: &Shared,
        settings: &CatalogSettings,
        now: Instant,
    ) -> Result<(), StoreError> {
        let store = &shared.store;
        let own = store.process();
        let Processes { in_force, beats } = store.processes().await?;
        let is_alone = beats.iter().all(|(process, _)| *process == own);
        if is_alone && in_force == own {
            return Ok(());
        }
        store.beat().await?;
        let others = beats.into_iter().filter(|(process, _)| *process != own);
        let known = std::mem::take(&mut self.beats);
        self.beats = others
            .map(|(process, beat)| {
                let seen = known.get(&process).filter(|(known, _)| *known == beat);
                (process, seen.copied().unwrap_or((beat, now)))
            })
            .collect();
        let ended: Vec<i64> = self
            .beats
            .iter()
            .filter(|(_, (_, since))| now.duration_since(*since) >= SILENCE)
            .map(|(process, _)| *process)
            .collect();
        if !ended.is_empty() {
            store.forget_processes(&ended).await?;
            self.beats.retain(|process, _| !ended.contains(process));
        }
        let is_last = self.beats.keys().all(|process| *process < own);
        if is_last && in_force != own {
            store.apply(settings).await?;
            tracing::warn!(
                "the process on this database that had started last has ended: the settings of this one are in force again"
            );
            shared.reload().await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{OnStep, source::SourceConfig},
        model::{settings::SourceSettings, source::Kind, time::Clock},
        provider::client::Clients,
        store::Store,
    };

    struct Process {
        shared: Arc<Shared>,
        settings: CatalogSettings,
        presence: Presence,
    }

    impl Process {
        async fn start(url: &str, source: SourceSettings) -> Self {
            let clock = Clock::system();
            let store = Store::open(url, clock.clone()).await.expect("it opens");
            let settings = CatalogSettings {
                sources: vec![source],
                ..CatalogSettings::default()
            };
            store.apply(&settings).await.expect("settings");
            let clients = Clients::new().expect("clients");
            let (limit, on_step) = (Duration::from_secs(1), OnStep::default());
            let shared = Shared::new(store, clients, limit, clock, on_step).await;
            Self {
                shared: shared.expect("it starts"),
                settings,
                presence: Presence::default(),
            }
        }

        /// Looks `secs` after `start`. Returns whether the process's own settings are in force.
        async fn look(&mut self, start: Instant, secs: u64) -> bool {
            let now = start + Duration::from_secs(secs);
            let look = self.presence.look(&self.shared, &self.settings, now);
            look.await.expect("a look");
            self.shared.reload().await.expect("a state");
            let current = self.shared.current.load();
            let state = current.find_source(&self.settings.sources[0].name);
            state
                .expect("it is known")
                .is_asked_as(&self.settings.sources[0])
        }

        async fn count_rows(&self) -> usize {
            let processes = self.shared.store.processes().await;
            processes.expect("processes").beats.len()
        }
    }

    fn at(url: &str) -> SourceSettings {
        let source = SourceConfig::provider("acme", Kind::OpenAi, url, None);
        source.expect("usable").settings()
    }

    #[tokio::test]
    async fn settings_come_back_into_force_when_the_process_that_replaced_them_ends() {
        let directory = tempfile::tempdir().expect("a directory");
        let url = format!("sqlite://{}", directory.path().join("c.db").display());
        let start = Instant::now();
        let mut first = Process::start(&url, at("http://first")).await;
        assert!(first.look(start, 0).await);
        let mut second = Process::start(&url, at("http://second")).await;
        // While both run, however long one of them looks away.
        for secs in [0, 30, 60, 90, 120, 1000] {
            assert!(!first.look(start, secs).await, "after {secs} s");
            assert!(second.look(start, secs).await, "after {secs} s");
        }
        // The second one has ended: nothing is heard from it any more.
        assert!(!first.look(start, 1030).await);
        assert!(!first.look(start, 1060).await);
        assert!(!first.look(start, 1089).await);
        assert!(first.look(start, 1120).await);
        assert_eq!(first.count_rows().await, 1);
        // It had only been asleep.
        assert!(second.look(start, 1130).await);
        assert!(!first.look(start, 1150).await);
        assert!(second.look(start, 1160).await);
        // Alone, a process writes nothing.
        for secs in [1200, 1230, 1260, 1290] {
            first.look(start, secs).await;
        }
        assert_eq!(first.count_rows().await, 1);
        let mut watcher = second.shared.store.subscribe().await.expect("a watcher");
        assert!(first.look(start, 1300).await);
        assert!(!watcher.has_changed().await.expect("a look"));
    }
}
