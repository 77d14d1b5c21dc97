//! Looks every second for sources that are due and are not asked. Nothing should ever keep a task
//! from asking; this says so when something does.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    catalog::{
        shared::Shared,
        supervisor::{Supervised, TookTooLong},
    },
    ingest::schedule,
    model::{source::SourceName, state::SourceState, time::Timestamp},
};

/// Time between two looks.
const INTERVAL: Duration = Duration::from_secs(1);
/// Time limit of a look. It only reads memory.
const LIMIT: Duration = Duration::from_secs(10);
/// How many of its intervals a source may be due.
const INTERVALS: i32 = 3;

/// Looks until the catalog stops.
pub async fn run(supervised: Supervised, shared: Arc<Shared>) -> Result<(), TookTooLong> {
    let look = async {
        let mut waits = Waits::default();
        loop {
            let step = async {
                let current = shared.current.load_full();
                let overdue = waits.find_overdue(&current.sources.states, shared.clock.now());
                log(&shared.supervisor.health.overdue(), &overdue);
                shared
                    .supervisor
                    .health
                    .record_look(overdue, Instant::now());
            };
            supervised.step(LIMIT, step).await?;
            tokio::time::sleep(INTERVAL).await;
        }
    };
    let stop = &supervised.stop;
    stop.run_until_cancelled(look).await.unwrap_or(Ok(()))
}

/// Logs what is overdue now and was not before, and what is no longer.
fn log(before: &BTreeMap<SourceName, Timestamp>, now: &BTreeMap<SourceName, Timestamp>) {
    for (provider, since) in now {
        if !before.contains_key(provider) {
            tracing::error!(%provider, "{provider} is due since {since} and was not asked for {INTERVALS} of its intervals: see earlier lines, or report this");
        }
    }
    for provider in before.keys() {
        if !now.contains_key(provider) {
            tracing::info!(%provider, "{provider} is no longer overdue");
        }
    }
}

/// The sources that wait to be asked: their last attempt, and when each was first seen due.
#[derive(Default)]
struct Waits(BTreeMap<SourceName, (Option<Timestamp>, Timestamp)>);

impl Waits {
    /// The sources that have been due for three of their intervals, and since when. Measured from
    /// when they were first seen due, since the clock may jump and the service may have been off.
    fn find_overdue(
        &mut self,
        states: &[SourceState],
        now: Timestamp,
    ) -> BTreeMap<SourceName, Timestamp> {
        let mut waits = BTreeMap::new();
        let mut overdue = BTreeMap::new();
        for source in states {
            let polling = &source.polling;
            if !source.configured || !schedule::is_due(polling, now) {
                continue;
            }
            let since = match self.0.get(&source.name) {
                // A clock that was set back starts it anew.
                Some((attempted_at, since))
                    if *attempted_at == polling.attempted_at && *since <= now =>
                {
                    *since
                }
                _ => now,
            };
            if now.since(since) >= schedule::interval(polling) * INTERVALS {
                overdue.insert(source.name.clone(), since);
            }
            waits.insert(source.name.clone(), (polling.attempted_at, since));
        }
        self.0 = waits;
        overdue
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::model::source::Role;

    #[test]
    fn a_source_is_overdue_when_it_is_due_for_three_intervals() {
        let at = |secs: i64| Timestamp::from_millis(1_800_000_000_000 + secs * 1000);
        let mut waits = Waits::default();
        let mut source = SourceState::sample("acme", Role::Provider);
        source.polling.attempted_at = Some(at(0));
        source.polling.next_attempt_at = Some(at(60));
        let mut is_overdue = |source: &SourceState, now| {
            let overdue = waits.find_overdue(std::slice::from_ref(source), now);
            overdue.get(&source.name).copied()
        };
        assert_eq!(is_overdue(&source, at(59)), None);
        assert_eq!(is_overdue(&source, at(60)), None, "just due");
        assert_eq!(is_overdue(&source, at(239)), None);
        assert_eq!(is_overdue(&source, at(240)), Some(at(60)));
        // It was asked: a claim is an attempt whose next one is due in 30 s.
        source.polling.attempted_at = Some(at(281));
        source.polling.next_attempt_at = Some(at(311));
        assert_eq!(is_overdue(&source, at(300)), None);
        assert_eq!(is_overdue(&source, at(1000)), None, "first seen due now");
        assert_eq!(is_overdue(&source, at(1090)), Some(at(1000)));
        source.configured = false;
        assert_eq!(is_overdue(&source, at(1091)), None);

        // One that was never asked is due at once, and then for half a minute at most.
        let source = SourceState::sample("new", Role::Provider);
        assert_eq!(is_overdue(&source, at(2000)), None);
        let later = at(2000).plus(TimeDelta::seconds(90));
        assert_eq!(is_overdue(&source, later), Some(at(2000)));
        assert_eq!(
            is_overdue(&source, at(1500)),
            None,
            "the clock was set back"
        );
        assert_eq!(is_overdue(&source, at(1590)), Some(at(1500)));
    }
}
