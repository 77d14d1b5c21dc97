//! The catalog against a small model of it: whatever happens, in two processes on one database, every
//! route says the same as the model, to every key.
//!
//! The same sequences are tried in every run. `REFERENCE_STEPS` sets the number of steps and
//! `REFERENCE_SEED`, a number, other sequences. A failure prints the shortest one that was found.
//!
//! Each of these faults was planted in the catalog, one at a time, and found: a result counts whatever its
//! claim; a key limited to one source gets the events of all; the names of providers are not reserved; a
//! part keeps the names of the whole; the history ignores that a source is hidden; rules are not applied.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, State},
    http::{Request, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};
use chrono::TimeDelta;
use http_body_util::BodyExt;
use model_catalog::{Catalog, ClientKey, Clock, Config, Kind, SourceConfig};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config as ProptestConfig, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{runtime::Runtime, sync::watch};
use tower::ServiceExt;

/// Steps in one run of the tests, unless the variable says otherwise.
const STEPS: u64 = 10_000;
/// The seed of their sequences.
const SEED: u64 = 1;
/// The most steps of one sequence.
const LONGEST: usize = 40;

const SOURCES: [&str; 4] = ["box", "zed", "openai", "acme"];
const IS_PROVIDER: [bool; 4] = [false, false, true, true];
/// Where each source may be; `openai` can move.
const ADDRESSES: [&str; 5] = ["box", "zed", "openai", "acme", "openai-elsewhere"];
/// Their ids are alike on purpose.
const LOCAL_IDS: [&str; 5] = ["m:7b", "openai:o", "acme:p", "box:openai:o", "o"];
const CLOUD_IDS: [&str; 4] = ["o", "p", "ft:o", "acme:p"];
const EXCLUDED: [&[&str]; 3] = [&[], &["o"], &["*:*"]];
const KEYS: [(&str, &[&str], &[&str]); 5] = [
    ("everything-0123456789", &[], &[]),
    ("box-alone-0123456789", &["box"], &[]),
    ("openai-by-name-0123456789", &[], &["openai:*"]),
    (
        "two-sources-0123456789",
        &["acme", "zed"],
        &["acme:*", "m:*"],
    ),
    // The other endpoint has models of the same ids.
    ("zed-by-name-0123456789", &["zed"], &["m:*", "o*"]),
];

/// The settings of one process.
#[derive(Clone, Debug)]
struct Settings {
    sources: [bool; 4],
    openai_is_elsewhere: bool,
    excluded: usize,
}

impl Settings {
    fn address(&self, source: usize) -> usize {
        match SOURCES[source] {
            "openai" if self.openai_is_elsewhere => 4,
            _ => source,
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// The server at this address lists these of its ids, with a context window that it never had: one
    /// that returns is damped, which has tests of its own.
    List(usize, u8),
    /// It answers nothing but errors.
    Fail(usize),
    /// The clock moves by seconds.
    Pass(i64),
    /// One of the two processes starts again.
    Start(usize, Settings),
    /// The same while the other one waits for the answers of its sources, which then come.
    Overtake(usize, Settings),
    /// One of them ends.
    Stop(usize),
    /// Every suspicious list is accepted.
    Accept,
}

fn any_step() -> impl Strategy<Value = Step> {
    let settings = (any::<[bool; 4]>(), any::<bool>(), 0..EXCLUDED.len()).prop_map(
        |(sources, openai_is_elsewhere, excluded)| Settings {
            sources,
            openai_is_elsewhere,
            excluded,
        },
    );
    let overtaking = settings.clone();
    prop_oneof![
        5 => (0..ADDRESSES.len(), any::<u8>())
            .prop_map(|(address, ids)| Step::List(address, ids)),
        1 => (0..ADDRESSES.len()).prop_map(Step::Fail),
        5 => prop_oneof![Just(31), Just(601), Just(90_000), Just(40_000_000), Just(-7_200)]
            .prop_map(Step::Pass),
        2 => (0..2_usize, settings).prop_map(|(process, settings)| Step::Start(process, settings)),
        1 => (0..2_usize, overtaking)
            .prop_map(|(process, settings)| Step::Overtake(process, settings)),
        1 => (0..2_usize).prop_map(Step::Stop),
        2 => Just(Step::Accept),
    ]
}

/// What each address answers: the ids with their windows, or none for errors.
type Lists = [Option<BTreeMap<&'static str, i64>>; 5];

/// The servers of all sources.
#[derive(Default)]
struct Servers {
    lists: Lists,
    /// The last list that each address has given away, or will: an answer is decided when it is asked for.
    given: Lists,
    /// How many requests have come since answers were held back; none while they are not.
    held: Option<usize>,
    /// How many of those are let go.
    released: watch::Sender<usize>,
}

/// The catalog as it should be.
#[derive(Default)]
struct Model {
    /// What each source listed last, and when that was.
    rows: [BTreeMap<&'static str, i64>; 4],
    fetched_at: [Option<String>; 4],
    /// The sources that were ever configured: their names are theirs.
    known: BTreeSet<&'static str>,
    /// The settings of the last start.
    settings: Option<Settings>,
    /// The sources that are not served.
    hidden: BTreeSet<&'static str>,
    /// What was listed at each revision.
    past: BTreeMap<i64, Vec<String>>,
}

impl Model {
    /// The rows of `source` that are served, for those who may see it.
    fn served(&self, source: usize) -> Vec<&'static str> {
        let excluded = self
            .settings
            .as_ref()
            .map_or(0, |settings| settings.excluded);
        let is_excluded = |id: &str| match EXCLUDED[excluded] {
            ["o"] => id == "o",
            ["*:*"] => id.contains(':'),
            _ => false,
        };
        if self.hidden.contains(SOURCES[source]) {
            return Vec::new();
        }
        let ids = self.rows[source].keys().copied();
        ids.filter(|id| !is_excluded(id)).collect()
    }

    fn name(&self, source: usize, id: &str, sees: &dyn Fn(&str) -> bool) -> String {
        let reads_as_another = || {
            let mut rest = id;
            while let Some((first, after)) = rest.split_once(':') {
                let known =
                    |name: &&str| *name == first && self.known.contains(first) && sees(name);
                match SOURCES.iter().position(known) {
                    Some(place) if IS_PROVIDER[place] => return true,
                    Some(_) => rest = after,
                    None => return false,
                }
            }
            false
        };
        match IS_PROVIDER[source] || reads_as_another() {
            true => format!("{}:{id}", SOURCES[source]),
            false => id.to_owned(),
        }
    }

    /// The models that a key sees, in order: whole id, source, own id.
    fn seen(&self, key: usize) -> Vec<(String, usize, &'static str)> {
        let (_, sources, globs) = KEYS[key];
        let sees = |source: &str| sources.is_empty() || sources.contains(&source);
        let matches = |id: &str| {
            let mut globs = globs.iter().map(|glob| glob.trim_end_matches('*'));
            globs.len() == 0 || globs.any(|start| id.starts_with(start))
        };
        let mut seen = Vec::new();
        for source in (0..SOURCES.len()).filter(|source| sees(SOURCES[*source])) {
            for id in self.served(source) {
                let name = self.name(source, id, &sees);
                if matches(&name) {
                    seen.push((name, source, id));
                }
            }
        }
        // Local models together by id, then each provider's.
        seen.sort_by_key(|(name, source, id)| match IS_PROVIDER[*source] {
            false => (0, name.clone(), *source),
            true => (*source, (*id).to_owned(), *source),
        });
        seen
    }

    fn ids(&self, key: usize) -> Vec<String> {
        let mut ids: Vec<String> = self.seen(key).into_iter().map(|(id, ..)| id).collect();
        ids.dedup();
        ids
    }
}

struct World {
    runtime: Runtime,
    directory: TempDir,
    clock: Clock,
    servers: Arc<Mutex<Servers>>,
    root: String,
    processes: [Option<(Catalog, Settings)>; 2],
    model: Model,
    turn: usize,
}

async fn list(State(servers): State<Arc<Mutex<Servers>>>, Path(name): Path<String>) -> Response {
    let address = ADDRESSES.iter().position(|address| *address == name);
    let (listed, turn) = {
        let mut servers = servers.lock().unwrap_or_else(PoisonError::into_inner);
        let listed = address.and_then(|address| {
            servers.given[address] = servers.lists[address].clone();
            servers.lists[address].clone()
        });
        let released = servers.released.subscribe();
        let turn = servers.held.as_mut().map(|held| {
            *held += 1;
            (*held, released)
        });
        (listed, turn)
    };
    if let Some((turn, mut released)) = turn {
        // An error means that the test has ended.
        let _ = released.wait_for(|released| *released >= turn).await;
    }
    match listed {
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Some(models) => {
            let entry = |(id, window): (&str, i64)| json!({"id": id, "object": "model", "owned_by": "vllm", "max_model_len": window});
            let data: Vec<Value> = models.into_iter().map(entry).collect();
            Json(json!({"object": "list", "data": data})).into_response()
        }
    }
}

impl World {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let servers: Arc<Mutex<Servers>> = Arc::default();
        let app = Router::new()
            .route("/{name}/v1/models", get(list))
            .with_state(servers.clone());
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .expect("a free port");
        let root = format!("http://{}", listener.local_addr().expect("an address"));
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self {
            runtime,
            directory: tempfile::tempdir().expect("a directory"),
            // However long a step takes: what is due is decided by the steps alone.
            clock: Clock::stopped_at(chrono::Utc::now().into()),
            servers,
            root,
            processes: [None, None],
            model: Model::default(),
            turn: 0,
        }
    }

    fn servers(&self) -> std::sync::MutexGuard<'_, Servers> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn config(&self, settings: &Settings) -> Config {
        let path = self.directory.path().join("catalog.db");
        let mut config = Config::new(&format!("sqlite://{}", path.display())).expect("usable");
        config.clock = self.clock.clone();
        config.discovery_ports = Vec::new();
        for (place, name) in SOURCES.iter().enumerate() {
            if !settings.sources[place] {
                continue;
            }
            let address = ADDRESSES[settings.address(place)];
            let mut source = match IS_PROVIDER[place] {
                true => {
                    let url = format!("{}/{address}/v1", self.root);
                    SourceConfig::provider(name, Kind::OpenAi, &url, Some("k")).expect("usable")
                }
                false => {
                    let url = format!("{}/{address}", self.root);
                    let mut source = SourceConfig::endpoint(name, &url).expect("usable");
                    source.kind = Kind::OpenAi;
                    source
                }
            };
            // Nobody is asked but when this test asks, or after a failure.
            source.ttl = TimeDelta::days(300);
            let rules = EXCLUDED[settings.excluded];
            config.sources.push(source.exclude(rules).expect("usable"));
        }
        config.keys = KEYS
            .iter()
            .enumerate()
            .map(|(place, (value, sources, globs))| {
                let mut key = ClientKey::new(&format!("k{place}"), value).expect("usable");
                for source in *sources {
                    key = key.source(source);
                }
                match globs.is_empty() {
                    true => key,
                    false => key.models(globs).expect("usable"),
                }
            })
            .collect();
        config
    }

    fn apply(&mut self, step: &Step) {
        self.turn += 1;
        // What a step commits is dated before the next one.
        self.clock.advance(TimeDelta::seconds(1));
        let mut accept = false;
        match step {
            Step::List(address, ids) => {
                let window = i64::try_from(self.turn).expect("small");
                let pool: &[&'static str] = match *address {
                    0 | 1 => &LOCAL_IDS,
                    _ => &CLOUD_IDS,
                };
                let chosen = pool.iter().enumerate();
                let chosen = chosen.filter(|(place, _)| ids & (1 << place) != 0);
                let listed = chosen.map(|(_, id)| (*id, window)).collect();
                self.servers().lists[*address] = Some(listed);
            }
            Step::Fail(address) => {
                self.servers().lists[*address] = None;
            }
            Step::Pass(seconds) => self.clock.advance(TimeDelta::seconds(*seconds)),
            Step::Start(process, settings) => {
                self.stop(*process);
                self.start(*process, settings);
            }
            Step::Overtake(process, settings) => {
                self.stop(*process);
                self.overtake(*process, settings);
            }
            Step::Stop(process) => self.stop(*process),
            Step::Accept => {
                accept = true;
                self.clock.advance(TimeDelta::seconds(11));
            }
        }
        self.settle(accept);
    }

    fn start(&mut self, process: usize, settings: &Settings) {
        let config = self.config(settings);
        let catalog = self
            .runtime
            .block_on(Catalog::start(config))
            .expect("it starts");
        self.processes[process] = Some((catalog, settings.clone()));
        self.model.settings = Some(settings.clone());
        for place in (0..SOURCES.len()).filter(|place| settings.sources[*place]) {
            self.model.known.insert(SOURCES[place]);
        }
    }

    /// Starts `process` while the other one waits for its sources. Their answers come before those that
    /// the new process waits for.
    fn overtake(&mut self, process: usize, settings: &Settings) {
        let Some((other, of_other)) = self.processes[1 - process].clone() else {
            return self.start(process, settings);
        };
        self.clock.advance(TimeDelta::seconds(11));
        let in_force = self.model.settings.clone().expect("something was started");
        let is_asked = |place: &usize| {
            of_other.sources[*place]
                && in_force.sources[*place]
                && of_other.address(*place) == in_force.address(*place)
        };
        let asked = (0..SOURCES.len()).filter(is_asked).count();
        {
            let mut servers = self.servers();
            servers.held = Some(0);
            servers.released.send_replace(0);
        }
        let refreshing = other.clone();
        let refresh = self
            .runtime
            .spawn(async move { refreshing.refresh(None, true).await });
        self.until("the sources were asked", |servers| {
            servers.held.is_some_and(|held| held >= asked)
        });
        self.start(process, settings);
        self.servers().released.send_replace(asked);
        self.runtime.block_on(refresh).expect("no panic");
        self.read_rows();
        self.wait_for_the_other(&other);
        self.check_lists(&other, self.turn % KEYS.len());
        self.servers().held = None;
        self.servers().released.send_replace(usize::MAX);
    }

    fn until(&self, what: &str, condition: impl Fn(&Servers) -> bool) {
        for _ in 0..4_000 {
            if condition(&self.servers()) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        panic!("waited in vain: {what}");
    }

    fn stop(&mut self, process: usize) {
        if let Some((catalog, _)) = self.processes[process].take() {
            self.runtime.block_on(catalog.stop());
        }
    }

    /// Asks every source in every process, so that no attempt is under way or due afterwards, and
    /// reads what came of it.
    fn settle(&mut self, accept: bool) {
        for (catalog, _) in self.processes.iter().flatten() {
            self.runtime.block_on(catalog.refresh(None, accept));
        }
        self.read_rows();
    }

    /// Reads which sources have answered since, and which are hidden.
    fn read_rows(&mut self) {
        let rows = self.runtime.block_on(self.sources());
        self.model.hidden.clear();
        for (name, fetched_at, hidden) in rows {
            let place = SOURCES.iter().position(|source| *source == name);
            let place = place.expect("one of them");
            if hidden {
                self.model.hidden.insert(SOURCES[place]);
            }
            if fetched_at != self.model.fetched_at[place] {
                // It has listed its models: those at the address of the last start.
                let settings = self.model.settings.as_ref().expect("something was started");
                let listed = self.servers().given[settings.address(place)].clone();
                self.model.rows[place] = listed.expect("only a list is a success");
                self.model.fetched_at[place] = fetched_at;
            }
        }
    }

    /// Each source in the database: its name, its last success, and whether it is hidden.
    async fn sources(&self) -> Vec<(String, Option<String>, bool)> {
        use sqlx::Connection;
        let path = self.directory.path().join("catalog.db");
        if !path.exists() {
            return Vec::new();
        }
        let url = format!("sqlite://{}", path.display());
        let mut connection = sqlx::SqliteConnection::connect(&url)
            .await
            .expect("it opens");
        let query =
            "SELECT name, fetched_at, hidden_since IS NOT NULL OR configured = 0 FROM sources";
        sqlx::query_as(query)
            .fetch_all(&mut connection)
            .await
            .expect("rows")
    }

    fn get(&self, catalog: &Catalog, path: &str, key: usize) -> (StatusCode, i64, Value) {
        let request = Request::get(path)
            .header("host", "localhost")
            .header("authorization", format!("Bearer {}", KEYS[key].0))
            .body(Body::empty())
            .expect("a request");
        self.runtime.block_on(async {
            let answer = catalog.router().oneshot(request).await.expect("an answer");
            let (status, headers) = (answer.status(), answer.headers().clone());
            let revision = headers.get("catalog-revision");
            let revision = revision.and_then(|revision| revision.to_str().ok()?.parse().ok());
            let body = answer
                .into_body()
                .collect()
                .await
                .expect("a body")
                .to_bytes();
            let body = serde_json::from_slice(&body).unwrap_or_default();
            (status, revision.unwrap_or_default(), body)
        })
    }

    /// Compares every route of the running processes with the model.
    fn check(&mut self) {
        self.clock.advance(TimeDelta::seconds(1));
        for process in 0..2 {
            let Some((catalog, _)) = self.processes[process].clone() else {
                continue;
            };
            self.wait_for_the_other(&catalog);
            // One key after the other: what they see differs, not how it is found.
            let key = self.turn % KEYS.len();
            self.check_lists(&catalog, key);
            self.check_feed(&catalog, key);
            self.check_one(&catalog, key);
            self.check_past(&catalog);
        }
    }

    /// Waits until `catalog` serves what another process has committed.
    fn wait_for_the_other(&self, catalog: &Catalog) {
        for _ in 0..2_000 {
            let (_, served, _) = self.get(catalog, "/v1/models?fields=id", 0);
            let path = format!("/catalog/changes?since={served}&limit=1");
            let (_, _, feed) = self.get(catalog, &path, 0);
            if feed["events"].as_array().is_some_and(Vec::is_empty) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        panic!("a process never serves what another has committed");
    }

    fn check_lists(&self, catalog: &Catalog, key: usize) {
        let expected = self.model.ids(key);
        let (_, _, body) = self.get(catalog, "/v1/models", key);
        assert_eq!(ids(&body), expected, "the list of key {key}");
        let mut paged = Vec::new();
        let mut path = "/v1/models?limit=2".to_owned();
        loop {
            let (_, _, page) = self.get(catalog, &path, key);
            paged.extend(ids(&page));
            match page["last_id"]
                .as_str()
                .filter(|_| page["has_more"] == true)
            {
                Some(last) => path = format!("/v1/models?limit=2&after={last}"),
                None => break,
            }
        }
        assert_eq!(paged, expected, "the pages of key {key}");
        let seen = self.model.seen(key);
        for entry in body["data"].as_array().expect("entries") {
            let id = entry["id"].as_str().expect("an id");
            let (_, _, one) = self.get(catalog, &format!("/v1/models/{id}"), key);
            assert_eq!(one, *entry, "{id} of key {key}");
            let of_it = seen.iter().filter(|(name, ..)| name == id);
            let of_it: Vec<&str> = of_it.map(|(_, source, _)| SOURCES[*source]).collect();
            match entry["endpoints"].as_array() {
                Some(endpoints) => assert_eq!(*endpoints, of_it, "{id} of key {key}"),
                None => assert_eq!(entry["owned_by"], of_it[0], "{id} of key {key}"),
            }
            let (_, source, own_id) = seen.iter().find(|(name, ..)| name == id).expect("seen");
            assert_eq!(
                entry["context_window"], self.model.rows[*source][own_id],
                "{id} of key {key}"
            );
        }
        for (source, name) in SOURCES.iter().enumerate() {
            let own = seen.iter().filter(|(_, other, _)| *other == source);
            let (filtered, mut own): (Vec<String>, Vec<&str>) =
                own.map(|(id, _, own_id)| (id.clone(), *own_id)).unzip();
            let (_, _, body) = self.get(catalog, &format!("/v1/models?provider={name}"), key);
            assert_eq!(ids(&body), filtered, "what {name} lists for key {key}");
            let (status, _, body) = self.get(
                catalog,
                &format!("/catalog/providers/{name}/v1/models"),
                key,
            );
            if status == StatusCode::OK {
                own.sort_unstable();
                assert_eq!(ids(&body), own, "the base of {name} for key {key}");
            }
        }
    }

    /// The feed, replayed, gives the list; its revisions and times are in order.
    fn check_feed(&self, catalog: &Catalog, key: usize) {
        let (_, _, feed) = self.get(catalog, "/catalog/changes?since=0&limit=10000", key);
        let mut listed: BTreeMap<(String, String), bool> = BTreeMap::new();
        let mut hidden = BTreeSet::new();
        let mut before = (0, String::new());
        for event in feed["events"].as_array().expect("events") {
            let text = |name: &str| event[name].as_str().map(str::to_owned);
            let now = (
                event["revision"].as_i64().expect("a revision"),
                text("at").expect("a time"),
            );
            assert!(
                before.0 <= now.0 && before.1 <= now.1,
                "{before:?} then {event}"
            );
            before = now;
            let source = text("source").expect("a source");
            match (event["event"].as_str().expect("a kind"), text("id")) {
                ("hidden", _) => {
                    hidden.insert(source);
                }
                ("shown", _) => {
                    hidden.remove(&source);
                }
                ("removed", Some(id)) => {
                    listed.remove(&(source, id));
                }
                (_, Some(id)) => {
                    listed.insert((source, id), true);
                }
                _ => panic!("{event}"),
            }
        }
        listed.retain(|(source, _), _| !hidden.contains(source));
        let seen = self.model.seen(key).into_iter();
        let expected: BTreeSet<(String, String)> = seen
            .map(|(id, source, _)| (SOURCES[source].to_owned(), id))
            .collect();
        let replayed: BTreeSet<(String, String)> = listed.into_keys().collect();
        assert_eq!(replayed, expected, "the replayed feed of key {key}");
    }

    /// History and reason of one id, listed or not.
    fn check_one(&self, catalog: &Catalog, key: usize) {
        let pool = [
            "m:7b",
            "openai:o",
            "box:openai:o",
            "o",
            "acme:p",
            "zed:acme:p",
        ];
        let id = pool[self.turn % pool.len()];
        let is_listed = self.model.ids(key).iter().any(|listed| listed == id);
        let (_, _, why) = self.get(catalog, &format!("/catalog/why/{id}"), key);
        assert_eq!(why["listed"], is_listed, "why {id} for key {key}: {why}");
        let (status, _, history) = self.get(catalog, &format!("/catalog/models/{id}/history"), key);
        let listed = history["listed"] == true;
        assert_eq!(
            listed, is_listed,
            "{status}: the history of {id} for key {key}: {history}"
        );
    }

    /// What was listed at a revision stays what it was.
    fn check_past(&mut self, catalog: &Catalog) {
        let (_, revision, body) = self.get(catalog, "/v1/models", 0);
        let now = ids(&body);
        let before = self.model.past.insert(revision, now.clone());
        if let Some(before) = before {
            assert_eq!(before, now, "revision {revision} has two lists");
        }
        let known = self
            .model
            .past
            .iter()
            .nth(self.turn % self.model.past.len());
        let (past, expected) = known.expect("there is one");
        let (_, _, body) = self.get(catalog, &format!("/v1/models?revision={past}"), 0);
        assert_eq!(
            ids(&body),
            *expected,
            "revision {past}, seen from {revision}"
        );
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop(0);
        self.stop(1);
    }
}

fn ids(body: &Value) -> Vec<String> {
    let entries = body["data"].as_array().unwrap_or_else(|| panic!("{body}"));
    let id = |entry: &Value| entry["id"].as_str().expect("an id").to_owned();
    entries.iter().map(id).collect()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the settings of this test")]
fn every_route_agrees_with_a_model_of_the_catalog() {
    let setting = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
    };
    let steps = setting("REFERENCE_STEPS", STEPS);
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&setting("REFERENCE_SEED", SEED).to_le_bytes());
    let average = u64::try_from(LONGEST / 2).expect("small");
    let config = ProptestConfig {
        cases: u32::try_from(steps.div_ceil(average)).expect("small"),
        max_shrink_iters: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let sequence = vec(any_step(), 1..LONGEST);
    let result = runner.run(&sequence, |steps| {
        let mut world = World::new();
        for step in &steps {
            world.apply(step);
            world.check();
        }
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}
