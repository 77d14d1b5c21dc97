//! Properties of several processes on one database, with different settings: whatever they do, in any
//! order, nothing is stored under an address that did not give it, and every source is asked again.

use std::{collections::BTreeMap, time::Duration};

use chrono::TimeDelta;
use proptest::{collection::vec, prelude::*};

use super::{
    attempt,
    replay::{Models, check_times, replay, served},
};
use crate::{
    config::source::SourceConfig,
    ingest::schedule::ClaimMode,
    model::{
        attributes::Attributes,
        fetch::{ErrorKind, FetchError, Fetched},
        listing::{Entry, Listing},
        settings::{CatalogSettings, SourceSettings},
        source::Kind,
        state::SourceState,
        time::{Clock, Timestamp},
    },
    store::{Store, sources::Claim},
};

const LIMIT: Duration = Duration::from_secs(10);

/// What happens next. Processes, settings, sources and claims are told by their number.
#[derive(Clone, Debug)]
enum Step {
    /// A process starts; the one in its place is killed.
    Start {
        place: usize,
        settings: usize,
    },
    /// It is killed. What it was fetching is lost.
    Kill(usize),
    /// It applies its settings again, if it should: those in force are of a process that has ended.
    TakeOver(usize),
    /// It claims a source.
    Claim {
        place: usize,
        source: usize,
        mode: ClaimMode,
    },
    /// It gives a claim back.
    Release(usize),
    /// A fetch ends with these models, or fails.
    List {
        claim: usize,
        models: Vec<u8>,
    },
    Fail {
        claim: usize,
        kind: ErrorKind,
    },
    /// Seconds pass, or the clock is set back.
    Wait(i64),
    /// What is older than this many seconds is deleted.
    Prune(i64),
}

fn any_step() -> impl Strategy<Value = Step> {
    let mode = prop_oneof![
        Just(ClaimMode::Due),
        Just(ClaimMode::Requested),
        Just(ClaimMode::Miss)
    ];
    let kind = prop_oneof![Just(ErrorKind::Timeout), Just(ErrorKind::Unauthorized)];
    prop_oneof![
        2 => (0..2_usize, 0..4_usize).prop_map(|(place, settings)| Step::Start { place, settings }),
        1 => (0..2_usize).prop_map(Step::Kill),
        1 => (0..2_usize).prop_map(Step::TakeOver),
        6 => (0..2_usize, 0..2_usize, mode).prop_map(|(place, source, mode)| Step::Claim { place, source, mode }),
        1 => (0..9_usize).prop_map(Step::Release),
        6 => (0..9_usize, vec(0..5_u8, 0..5)).prop_map(|(claim, models)| Step::List { claim, models }),
        2 => (0..9_usize, kind).prop_map(|(claim, kind)| Step::Fail { claim, kind }),
        3 => (0..40_i64).prop_map(Step::Wait),
        2 => (0..100_000_i64).prop_map(Step::Wait),
        1 => (-100_000..0_i64).prop_map(Step::Wait),
        1 => (0..100_000_i64).prop_map(Step::Prune),
    ]
}

/// The settings of this number. They differ in addresses, kinds, TTLs, rules, and in which sources
/// there are.
fn settings(number: usize) -> CatalogSettings {
    let url = ["http://one", "http://two", "http://one", "http://one"][number];
    let acme = SourceConfig::provider("acme", Kind::OpenAi, url, None).expect("usable");
    let mut endpoint = SourceConfig::endpoint("box", "http://one").expect("usable");
    let mut sources = Vec::new();
    match number {
        1 => endpoint.ttl = TimeDelta::hours(3),
        2 => endpoint.kind = Kind::OpenAi,
        0 => endpoint.max_stale = None,
        _ => {}
    }
    sources.push(acme.exclude(&["0*"][..number % 2]).expect("globs"));
    if number != 3 {
        sources.push(endpoint);
    }
    CatalogSettings {
        sources: sources.iter().map(SourceConfig::settings).collect(),
        ..CatalogSettings::default()
    }
}

/// How a source's models show where they came from.
fn mark(address: &str, kind: Kind) -> String {
    format!("@{address}:{}", kind.as_str())
}

struct Process {
    store: Store,
    settings: CatalogSettings,
}

struct World {
    url: String,
    clock: Clock,
    /// Reads only.
    observer: Store,
    processes: [Option<Process>; 2],
    claims: Vec<(usize, SourceSettings, Claim)>,
}

impl World {
    async fn take(&mut self, step: &Step) {
        match step {
            Step::Start {
                place,
                settings: number,
            } => {
                self.kill(*place);
                let store = Store::open(&self.url, self.clock.clone()).await;
                let process = Process {
                    store: store.expect("it opens"),
                    settings: settings(*number),
                };
                process.apply().await;
                self.processes[*place] = Some(process);
            }
            Step::Kill(place) => self.kill(*place),
            Step::TakeOver(place) => self.take_over(*place).await,
            Step::Claim {
                place,
                source,
                mode,
            } => {
                let Some(process) = &self.processes[*place] else {
                    return;
                };
                let Some(source) = process.settings.sources.get(*source) else {
                    return;
                };
                let claim = process.store.claim(source, *mode, LIMIT).await;
                if let Some(claim) = claim.expect("a look") {
                    self.claims.push((*place, source.clone(), claim));
                }
            }
            Step::Release(number) => {
                if let Some((store, source, claim)) = self.claim(*number) {
                    store.release(&source, &claim).await.expect("released");
                }
            }
            Step::List { claim, models } => {
                let Some((store, source, claim)) = self.claim(*claim) else {
                    return;
                };
                let kind = match source.kind {
                    Kind::Auto => Kind::Ollama,
                    kind => kind,
                };
                let fetched = Fetched {
                    kind,
                    listing: listing(&source, models),
                };
                let committed = store.commit(&source, &claim, Ok(fetched), attempt(1)).await;
                committed.expect("a commit");
            }
            Step::Fail { claim, kind } => {
                let Some((store, source, claim)) = self.claim(*claim) else {
                    return;
                };
                let error = FetchError::new(*kind, "on purpose");
                let committed = store.commit(&source, &claim, Err(error), attempt(1)).await;
                committed.expect("a commit");
            }
            Step::Wait(secs) => self.clock.advance(TimeDelta::seconds(*secs)),
            Step::Prune(secs) => {
                let oldest = self.clock.now().plus(TimeDelta::seconds(-secs));
                let pruned = self.observer.prune(Some(oldest), oldest).await;
                pruned.expect("pruned");
            }
        }
    }

    fn kill(&mut self, place: usize) {
        self.processes[place] = None;
        self.claims.retain(|(other, _, _)| *other != place);
    }

    /// As `catalog::tasks::presence` does.
    async fn take_over(&mut self, place: usize) {
        let Some(process) = &self.processes[place] else {
            return;
        };
        let numbers = self.processes.iter().flatten();
        let numbers: Vec<i64> = numbers.map(|process| process.store.process()).collect();
        let in_force = self.observer.processes().await.expect("read").in_force;
        if numbers.iter().max() == Some(&process.store.process()) && !numbers.contains(&in_force) {
            process.apply().await;
        }
    }

    fn claim(&mut self, number: usize) -> Option<(Store, SourceSettings, Claim)> {
        if self.claims.is_empty() {
            return None;
        }
        let (place, source, claim) = self.claims.remove(number % self.claims.len());
        let store = self.processes[place].as_ref()?.store.clone();
        Some((store, source, claim))
    }

    async fn states(&self) -> Vec<SourceState> {
        let state = self.observer.load(None).await.expect("a state");
        state.sources.states
    }

    /// What is stored of a source that has not moved came from where it is configured.
    async fn check_origins(&self) {
        let states = self.states().await;
        let rows: Vec<(String, String)> = sqlx::query_as(
            "SELECT provider, model_id FROM cloud_models UNION ALL SELECT endpoint, model_id FROM local_models",
        )
        .fetch_all(&self.observer.pool)
        .await
        .expect("models");
        for (source, model_id) in rows {
            let mut all = states.iter();
            let state = all.find(|state| state.name.as_str() == source);
            let state = state.expect("it is known");
            let (address, kind) = (state.address.as_ref(), state.configured_kind);
            let mark = mark(address.expect("configured"), kind.expect("configured"));
            assert!(
                state.moved || model_id.ends_with(&mark),
                "{model_id} under {mark}"
            );
        }
    }

    /// Whoever is left asks every source of its settings again, within a day and an hour of looking at the
    /// schedule now and again.
    async fn check_liveness(&mut self) {
        for place in [0, 1] {
            self.take_over(place).await;
        }
        let in_force = self.observer.processes().await.expect("read").in_force;
        let last = self.processes.iter().flatten();
        let mut last = last.filter(|process| process.store.process() == in_force);
        let Some(process) = last.next() else {
            assert!(self.processes.iter().all(Option::is_none));
            return;
        };
        let mut unasked = process.settings.sources.clone();
        for _ in 0..=25 {
            let mut still = Vec::new();
            for source in unasked {
                let claim = process.store.claim(&source, ClaimMode::Due, LIMIT).await;
                if claim.expect("a look").is_none() {
                    still.push(source);
                }
            }
            unasked = still;
            self.clock.advance(TimeDelta::hours(1));
        }
        assert!(unasked.is_empty(), "{unasked:?}");
    }
}

impl Process {
    async fn apply(&self) {
        self.store.apply(&self.settings).await.expect("settings");
    }
}

fn listing(source: &SourceSettings, models: &[u8]) -> Listing {
    let mark = mark(&source.address, source.kind);
    let entry = |id: &u8| Entry {
        id: format!("{id}{mark}"),
        attributes: Attributes::default(),
        raw: "{}".to_owned(),
        hidden_by: None,
    };
    let entries: BTreeMap<u8, Entry> = models.iter().map(|id| (*id, entry(id))).collect();
    Listing {
        entries: entries.into_values().collect(),
        ..Listing::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn several_processes_keep_to_one_truth(steps in vec(any_step(), 1..60)) {
        check(&steps);
    }
}

/// Takes `steps` and checks after each.
fn check(steps: &[Step]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let url = format!("sqlite://{}", directory.path().join("catalog.db").display());
        let clock = Clock::stopped_at(Timestamp::from_millis(1_800_000_000_000));
        let observer = Store::open(&url, clock.clone()).await.expect("it opens");
        let mut world = World {
            url,
            clock,
            observer,
            processes: [None, None],
            claims: Vec::new(),
        };
        let mut answers: BTreeMap<Timestamp, Models> = BTreeMap::new();
        for step in steps {
            world.clock.advance(TimeDelta::seconds(1));
            world.take(step).await;
            let after = served(&world.observer).await;
            let is_whole = !steps.iter().any(|step| matches!(step, Step::Prune(_)));
            assert_eq!(
                replay(&world.observer, is_whole).await,
                after,
                "after {step:?}"
            );
            check_times(&world.observer, &mut answers, &after).await;
            world.check_origins().await;
        }
        world.check_liveness().await;
    });
}
