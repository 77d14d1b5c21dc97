//! Everything at once, at random, for minutes, against the real binary: sources that change, fail and
//! lie, kills, reloads, good and bad settings, full disks, locked databases, stopped processes, clocks
//! that jump, and clients that ask for everything. Throughout: lists are whole, revisions go up, no
//! background task dies, healthy sources are fetched, memory and descriptors stay bounded. At the
//! end, the list is exactly what the sources say, and the events replay to it.
//!
//! Not part of `cargo test`: `cargo test --test soak`. `SOAK_SECONDS` (600) is how long it takes,
//! `SOAK_SEED` (a number) another sequence of the same kind. Linux only; the clock is moved by libfaketime
//! (Debian: `apt-get install faketime`).
#![cfg(target_os = "linux")]
#![expect(clippy::print_stdout, reason = "a test says what it does")]

#[path = "it/fault_server.rs"]
#[expect(dead_code, reason = "the harness of the integration tests")]
mod fault_server;
#[path = "it/helpers.rs"]
#[expect(dead_code, reason = "the harness of the integration tests")]
mod helpers;
#[path = "it/running.rs"]
#[expect(dead_code, reason = "the harness of the integration tests")]
mod running;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use fault_server::{FaultServer, Plays, Respond, Response, answer};
use helpers::Setup;
use running::{Running, command};
use serde_json::{Value, json};
use sqlx::Connection;

/// Models in each list.
const MODELS: usize = 40;
/// The sources: name, table of the settings, what it plays, and whether it ever misbehaves.
const SOURCES: [(&str, &str, Plays, bool); 5] = [
    ("acme", "providers", Plays::OpenAi, true),
    ("google", "providers", Plays::Google, true),
    ("calm", "providers", Plays::OpenAi, false),
    ("box", "endpoints", Plays::Endpoint, true),
    ("steady", "endpoints", Plays::Endpoint, false),
];
/// A healthy source is fetched at least this often, whatever hinders the process. One that is killed in the
/// middle of a fetch leaves a claim of 30 s.
const FETCHED_WITHIN: Duration = Duration::from_secs(60);
/// The most that the process may ever hold.
const MEMORY_KIB: u64 = 400 * 1024;
/// The most descriptors: those of the clients, the sources, the database and the log.
const DESCRIPTORS: usize = 200;

/// A source whose whole list is another one after each change: `name-v7-0`, `name-v7-1`, …
struct Source {
    name: &'static str,
    plays: Plays,
    version: Arc<AtomicUsize>,
    server: FaultServer,
}

impl Source {
    async fn start(name: &'static str, plays: Plays) -> Self {
        let version = Arc::new(AtomicUsize::new(0));
        let server = FaultServer::start(healthy(name, plays, &version)).await;
        Self {
            name,
            plays,
            version,
            server,
        }
    }

    async fn heal(&mut self) {
        self.server.open().await;
        self.server
            .set(healthy(self.name, self.plays, &self.version));
    }

    /// One of many ways to fail, or to say something that must not be believed.
    async fn fail(&mut self, random: &mut fastrand::Rng) -> &'static str {
        self.heal().await;
        let (plays, number) = (self.plays, random.usize(0..10));
        let fixed = |response: fn() -> Response| -> Respond { Arc::new(move |_| response()) };
        let (what, respond) = match number {
            0 => {
                self.server.close();
                return "refuses connections";
            }
            1 => ("500", fixed(|| answer(500, "", "{}"))),
            2 => ("429", fixed(|| answer(429, "retry-after: 2\r\n", "{}"))),
            3 => (
                "401",
                fixed(|| answer(401, "", r#"{"error": {"message": "no"}}"#)),
            ),
            4 => ("is silent", fixed(|| Response::Silence)),
            5 => (
                "talks garbage",
                fixed(|| Response::Bytes(vec![0xff; 100_000])),
            ),
            6 => (
                "resets",
                fixed(|| Response::Reset(b"HTTP/1.1 200 OK\r\n".to_vec())),
            ),
            7 => (
                "stalls",
                fixed(|| {
                    Response::Stall(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_vec())
                }),
            ),
            8 => {
                let endless =
                    || Response::Endless(b"HTTP/1.1 200 OK\r\n\r\n[".to_vec(), vec![b' '; 65_536]);
                ("never ends", fixed(endless))
            }
            _ => {
                let empty: Respond =
                    Arc::new(move |_| answer(200, "", plays.list(&[]).to_string()));
                ("lists nothing", empty)
            }
        };
        self.server.set(respond);
        what
    }
}

fn healthy(name: &'static str, plays: Plays, version: &Arc<AtomicUsize>) -> Respond {
    let version = version.clone();
    Arc::new(move |target| {
        if target.split('?').next() != Some(plays.path()) {
            return answer(404, "", r#"{"error": {"message": "no such route"}}"#);
        }
        let version = version.load(Ordering::SeqCst);
        let entries: Vec<Value> = (0..MODELS)
            .map(|number| plays.entry(&format!("{name}-v{version}-{number}")))
            .collect();
        answer(200, "", plays.list(&entries).to_string())
    })
}

/// What clients know of the service: where it is, and how often it was hindered. An odd number means
/// that it is hindered now, and nothing is expected of it.
#[derive(Default)]
struct Service {
    base: Mutex<String>,
    hindered: AtomicU64,
    /// What went wrong.
    faults: Mutex<Vec<String>>,
    answers: AtomicU64,
}

impl Service {
    fn hinder(&self) {
        assert_eq!(self.hindered.fetch_add(1, Ordering::SeqCst) % 2, 0);
    }

    fn free(&self) {
        assert_eq!(self.hindered.fetch_add(1, Ordering::SeqCst) % 2, 1);
    }

    /// Asks for `path`; none when the service was hindered meanwhile.
    async fn ask(
        &self,
        http: &reqwest::Client,
        path: &str,
    ) -> Option<reqwest::Result<(u16, i64, String)>> {
        let hindered = self.hindered.load(Ordering::SeqCst);
        if hindered % 2 == 1 {
            return None;
        }
        let url = format!("{}{path}", self.base.lock().expect("no panic"));
        let answered = async {
            let answer = http.get(url).send().await?;
            let status = answer.status().as_u16();
            let revision = answer.headers().get("catalog-revision");
            let revision = revision.and_then(|revision| revision.to_str().ok()?.parse().ok());
            Ok((status, revision.unwrap_or(-1), answer.text().await?))
        };
        let result = answered.await;
        self.answers.fetch_add(1, Ordering::Relaxed);
        (self.hindered.load(Ordering::SeqCst) == hindered).then_some(result)
    }
}

/// Asks for anything, again and again, and notes what a client must not see.
async fn client(service: Arc<Service>, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let http = reqwest::Client::builder()
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .timeout(Duration::from_secs(15))
        .no_proxy()
        .build()
        .expect("a client");
    let mut last_revision = 0;
    loop {
        let routes = [
            "/v1/models",
            "/v1/models?provider=acme",
            "/v1/models/calm:calm-v0-1",
            "/v1/models/nothing:at-all",
            "/v1beta/models",
            "/api/tags",
            "/catalog/sources",
            "/catalog/changes?since=0&limit=100",
            "/catalog/changes.atom",
            "/catalog/retirements",
            "/catalog/why/acme-v0-0",
            "/catalog/models/calm:calm-v0-1/history",
            "/catalog.sqlite",
            "/metrics",
            "/healthz",
            "/readyz",
        ];
        // Half of them want the list.
        let path = routes[random
            .usize(0..routes.len() * 2)
            .saturating_sub(routes.len())];
        let began = Instant::now();
        if let Some(result) = service.ask(&http, path).await {
            let fault = match &result {
                Err(error) => Some(format!("{path}: {error:?}")),
                Ok((200 | 404, revision, _)) if *revision >= 0 && *revision < last_revision => {
                    Some(format!("{path}: revision {revision} after {last_revision}"))
                }
                Ok((200, revision, body)) if path == "/v1/models" => {
                    last_revision = *revision;
                    whole_versions(body).err()
                }
                Ok((200 | 404, ..)) => None,
                // Too much is asked at once, the database does not answer, or nothing is ready.
                Ok((503, ..)) if !path.starts_with("/v1") => None,
                Ok((status, _, body)) => Some(format!("{path}: {status} {body}")),
            };
            let took = began.elapsed();
            let slow = (took > Duration::from_secs(12)).then(|| format!("{path} took {took:?}"));
            let mut faults = service.faults.lock().expect("no panic");
            faults.extend(fault.or(slow));
        }
        tokio::time::sleep(Duration::from_millis(random.u64(0..40))).await;
    }
}

/// The version of each source in the list `body`: one of each, and all of it.
fn whole_versions(body: &str) -> Result<BTreeMap<String, usize>, String> {
    let list: Value = serde_json::from_str(body).map_err(|error| format!("{error}: {body}"))?;
    let mut models: BTreeMap<(String, usize), BTreeSet<usize>> = BTreeMap::new();
    for entry in list["data"].as_array().ok_or("no data")? {
        let id = entry["id"].as_str().ok_or("no id")?;
        let parts = || {
            let id = id.rsplit(':').next()?;
            let (version, number) = id.rsplit_once('-')?;
            let (name, version) = version.rsplit_once("-v")?;
            Some((
                (name.to_owned(), version.parse().ok()?),
                number.parse().ok()?,
            ))
        };
        let (version, number) = parts().ok_or(format!("invented: {id}"))?;
        models.entry(version).or_default().insert(number);
    }
    let mut versions = BTreeMap::new();
    for ((name, version), numbers) in models {
        if numbers.len() != MODELS {
            return Err(format!(
                "{} of {MODELS} of {name} v{version}",
                numbers.len()
            ));
        }
        if let Some(other) = versions.insert(name.clone(), version) {
            return Err(format!("{name} has v{other} and v{version}"));
        }
    }
    Ok(versions)
}

struct Soak {
    setup: Setup,
    random: fastrand::Rng,
    sources: Vec<Source>,
    service: Arc<Service>,
    running: Running,
    http: reqwest::Client,
    began: Instant,
    /// Whether the settings name each source.
    named: [bool; SOURCES.len()],
    /// What the process takes for the time, in seconds from the real one.
    clock: i64,
    revision: i64,
    /// When each steady source was last seen fetched, and when that was in its own words.
    fetched: BTreeMap<&'static str, (Instant, Value)>,
    peak_memory_kib: u64,
    peak_descriptors: usize,
    actions: BTreeMap<&'static str, usize>,
}

fn faketime() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").expect("libraries");
    let paths = folders.map(|folder| {
        folder
            .expect("a folder")
            .path()
            .join("faketime/libfaketimeMT.so.1")
    });
    paths.into_iter().find(|path| path.exists()).expect(
        "libfaketime is missing, which moves the clock of the service: apt-get install faketime",
    )
}

impl Soak {
    async fn new(seed: u64) -> Self {
        let setup = Setup::new().await;
        let mut sources = Vec::new();
        for (name, _, plays, _) in SOURCES {
            sources.push(Source::start(name, plays).await);
        }
        let named = [true; SOURCES.len()];
        write_settings(&setup, &sources, named, 0);
        set_clock(&setup, 0);
        let running = Running::start(serve(&setup)).await;
        let service = Arc::new(Service::default());
        running
            .base
            .clone_into(&mut service.base.lock().expect("no panic"));
        Self {
            setup,
            random: fastrand::Rng::with_seed(seed),
            sources,
            service,
            running,
            http: reqwest::Client::builder()
                .no_gzip()
                .no_brotli()
                .no_zstd()
                .no_proxy()
                .build()
                .expect("a client"),
            began: Instant::now(),
            named,
            clock: 0,
            revision: 0,
            fetched: BTreeMap::new(),
            peak_memory_kib: 0,
            peak_descriptors: 0,
            actions: BTreeMap::new(),
        }
    }

    async fn act(&mut self) {
        let what = match self.random.usize(0..100) {
            0..30 => self.change(),
            30..50 => self.fail_one().await,
            50..62 => self.heal_one().await,
            62..66 => self.restart("-KILL").await,
            66..69 => self.restart("-TERM").await,
            69..75 => self.reload(),
            75..79 => self.reload_nonsense(),
            79..82 => self.fill_disk().await,
            82..85 => self.lock_database().await,
            85..91 => self.move_clock(),
            91..94 => self.freeze().await,
            94..96 => self.second_process().await,
            _ => self.rest().await,
        };
        *self.actions.entry(what).or_default() += 1;
        let (seconds, clock) = (self.began.elapsed().as_secs_f64(), self.clock);
        println!("{seconds:8.3} (clock {clock:+} s) {what}");
    }

    fn change(&mut self) -> &'static str {
        let place = self.random.usize(0..SOURCES.len());
        self.sources[place].version.fetch_add(1, Ordering::SeqCst);
        "a source changes its list"
    }

    async fn fail_one(&mut self) -> &'static str {
        let place = self.random.usize(0..SOURCES.len());
        match SOURCES[place].3 {
            true => self.sources[place].fail(&mut self.random).await,
            false => "a source goes on",
        }
    }

    async fn heal_one(&mut self) -> &'static str {
        let place = self.random.usize(0..SOURCES.len());
        self.sources[place].heal().await;
        "a source is well again"
    }

    async fn restart(&mut self, signal: &'static str) -> &'static str {
        self.service.hinder();
        let (code, _) = self.running.stop(signal);
        if signal == "-TERM" {
            assert_eq!(code, Some(0), "{}", self.running.log());
        }
        self.check_log();
        self.running = Running::start(serve(&self.setup)).await;
        self.running
            .base
            .clone_into(&mut self.service.base.lock().expect("no panic"));
        self.service.free();
        match signal {
            "-KILL" => "killed",
            _ => "stopped and started",
        }
    }

    /// Takes a source that may misbehave out of the settings, or gives it back.
    fn reload(&mut self) -> &'static str {
        let place = self.random.usize(0..SOURCES.len());
        if SOURCES[place].3 {
            self.named[place] = !self.named[place];
        }
        write_settings(
            &self.setup,
            &self.sources,
            self.named,
            self.random.usize(1..9),
        );
        self.running.signal("-HUP");
        "other settings"
    }

    fn reload_nonsense(&mut self) -> &'static str {
        let nonsense = [
            "",
            "[providers.acme\n",
            "retain = 7\n",
            "[endpoints.box]\nbase_url = \"ftp://x\"\n",
        ];
        let text = nonsense[self.random.usize(1..nonsense.len())];
        std::fs::write(self.setup.directory.path().join("soak.toml"), text).expect("written");
        self.running.signal("-HUP");
        std::thread::sleep(Duration::from_millis(self.random.u64(0..100)));
        write_settings(&self.setup, &self.sources, self.named, 0);
        self.running.signal("-HUP");
        "settings that are nonsense, and good ones"
    }

    /// The files of the process may not grow for a while.
    async fn fill_disk(&mut self) -> &'static str {
        let limit = |bytes: &str| {
            let limit = format!("--fsize={bytes}:unlimited");
            let status = Command::new("prlimit")
                .args(["--pid", &self.running.pid().to_string(), &limit])
                .status();
            assert!(status.expect("prlimit runs").success());
        };
        limit("1");
        let moment = self.random.u64(100..3_000);
        tokio::time::sleep(Duration::from_millis(moment)).await;
        limit("unlimited");
        "a full disk"
    }

    async fn lock_database(&mut self) -> &'static str {
        let connection = sqlx::SqliteConnection::connect(&self.setup.database_url()).await;
        let mut connection = connection.expect("the database opens");
        sqlx::query("PRAGMA busy_timeout = 20000")
            .execute(&mut connection)
            .await
            .expect("set");
        sqlx::query("BEGIN IMMEDIATE")
            .execute(&mut connection)
            .await
            .expect("locked");
        let moment = self.random.u64(100..3_000);
        tokio::time::sleep(Duration::from_millis(moment)).await;
        drop(connection);
        "a locked database"
    }

    fn move_clock(&mut self) -> &'static str {
        let jumps = [31, -31, 3_600, -3_600, -7_200, 90_000];
        self.clock += jumps[self.random.usize(0..jumps.len())];
        set_clock(&self.setup, self.clock);
        "the clock jumps"
    }

    async fn freeze(&mut self) -> &'static str {
        self.service.hinder();
        self.running.signal("-STOP");
        let moment = self.random.u64(100..2_000);
        tokio::time::sleep(Duration::from_millis(moment)).await;
        self.running.signal("-CONT");
        self.service.free();
        "frozen"
    }

    /// Another process on the same database, which ends in the worst way.
    async fn second_process(&mut self) -> &'static str {
        let mut second = Running::start(serve(&self.setup)).await;
        let moment = self.random.u64(0..2_000);
        tokio::time::sleep(Duration::from_millis(moment)).await;
        second.stop("-KILL");
        "a second process comes and is killed"
    }

    async fn rest(&mut self) -> &'static str {
        let moment = self.random.u64(500..3_000);
        tokio::time::sleep(Duration::from_millis(moment)).await;
        "rest"
    }

    /// What must hold at every moment.
    async fn check(&mut self) {
        self.check_log();
        let faults = self.service.faults.lock().expect("no panic").clone();
        assert!(faults.is_empty(), "{faults:#?}\n{}", self.running.log());
        let get = async |path| {
            let result = self.service.ask(&self.http, path).await;
            let result = result.expect("nobody else hinders it");
            result.unwrap_or_else(|error| panic!("{path}: {error:?}\n{}", self.running.log()))
        };
        let (status, revision, body) = get("/v1/models").await;
        assert_eq!(status, 200, "{body}");
        whole_versions(&body).unwrap_or_else(|fault| panic!("{fault}\n{}", self.running.log()));
        assert!(
            revision >= self.revision,
            "{revision} after {}",
            self.revision
        );
        let (_, _, ready) = get("/readyz").await;
        let ready: Value = serde_json::from_str(&ready).expect("JSON");
        assert!(
            ready["restarts"]
                .as_object()
                .is_none_or(|restarts| restarts.is_empty()),
            "{ready}"
        );
        let (_, _, sources) = get("/catalog/sources").await;
        let sources: Value = serde_json::from_str(&sources).expect("JSON");
        for (name, ..) in SOURCES.iter().filter(|(.., misbehaves)| !misbehaves) {
            let list = sources["sources"].as_array().expect("sources");
            let source = list
                .iter()
                .find(|source| source["name"] == *name)
                .expect("known");
            let known = self
                .fetched
                .entry(name)
                .or_insert_with(|| (Instant::now(), Value::Null));
            if known.1 != source["fetched_at"] {
                *known = (Instant::now(), source["fetched_at"].clone());
            }
            assert!(
                known.0.elapsed() < FETCHED_WITHIN,
                "not fetched any more: {source}\n{}",
                self.running.log()
            );
        }
        self.revision = revision;
        let folder = format!("/proc/{}", self.running.pid());
        let descriptors = std::fs::read_dir(format!("{folder}/fd"))
            .expect("descriptors")
            .count();
        let memory = self.running.peak_memory_kib();
        assert!(
            memory < MEMORY_KIB && descriptors < DESCRIPTORS,
            "{memory} KiB, {descriptors} descriptors"
        );
        self.peak_memory_kib = self.peak_memory_kib.max(memory);
        self.peak_descriptors = self.peak_descriptors.max(descriptors);
    }

    fn check_log(&self) {
        let log = self.running.log();
        assert!(
            !log.contains("panicked") && !log.contains("restarted"),
            "{log}"
        );
    }

    /// All is well again: the list becomes what the sources say.
    async fn end(mut self) {
        self.restart("-TERM").await;
        for source in &mut self.sources {
            source.heal().await;
        }
        write_settings(&self.setup, &self.sources, [true; SOURCES.len()], 0);
        self.running.signal("-HUP");
        let expected: BTreeMap<String, usize> = self
            .sources
            .iter()
            .map(|source| {
                (
                    source.name.to_owned(),
                    source.version.load(Ordering::SeqCst),
                )
            })
            .collect();
        // Those that never failed by themselves; the others may wait for long, so they are asked for.
        let deadline = Instant::now() + FETCHED_WITHIN;
        let steady = |versions: &BTreeMap<String, usize>| {
            let steady = SOURCES.iter().filter(|(.., misbehaves)| !misbehaves);
            steady
                .map(|(name, ..)| versions.get(*name).copied())
                .collect::<Vec<_>>()
        };
        loop {
            let listed = whole_versions(&self.running.get("/v1/models").await);
            let listed = listed.expect("a whole list");
            if steady(&listed) == steady(&expected) {
                break;
            }
            assert!(
                Instant::now() < deadline,
                "{listed:?} instead of {expected:?}\n{}",
                self.running.log()
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let deadline = Instant::now() + Duration::from_secs(90);
        loop {
            let mut outcomes = Vec::new();
            for (name, ..) in SOURCES {
                let url = format!(
                    "{}/catalog/refresh?source={name}&accept=true",
                    self.running.base
                );
                let refreshed = self.http.post(url).send().await.expect("an answer");
                outcomes.push(refreshed.text().await.expect("a body"));
            }
            let listed =
                whole_versions(&self.running.get("/v1/models").await).expect("a whole list");
            if listed == expected {
                break;
            }
            assert!(
                Instant::now() < deadline,
                "{listed:?} instead of {expected:?}: {outcomes:?}\n{}",
                self.running.log()
            );
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        self.check().await;
        assert_eq!(self.running.stop("-TERM").0, Some(0));
        self.check_log();
        assert_eq!(self.setup.sql("PRAGMA integrity_check").await, [["ok"]]);
        assert_eq!(self.setup.sql("PRAGMA foreign_key_check").await.len(), 0);
        let unordered = "SELECT revision FROM (SELECT revision, at, LAG(at) OVER (ORDER BY revision) AS before FROM (SELECT DISTINCT revision, at FROM model_events)) WHERE at <= before";
        assert_eq!(
            self.setup.sql(unordered).await.len(),
            0,
            "revisions are dated in order"
        );
        self.setup.assert_events_replay().await;
        println!(
            "{} answers, {} revisions, at most {} MiB and {} descriptors; {}",
            self.service.answers.load(Ordering::Relaxed),
            self.revision,
            self.peak_memory_kib / 1024,
            self.peak_descriptors,
            json!(self.actions)
        );
    }
}

fn write_settings(setup: &Setup, sources: &[Source], named: [bool; SOURCES.len()], days: usize) {
    let mut toml = format!("keep_fetches = \"{}d\"\n", 90 + days);
    for (place, (name, table, plays, _)) in SOURCES
        .iter()
        .enumerate()
        .filter(|(place, _)| named[*place])
    {
        let path = if *plays == Plays::OpenAi { "/v1" } else { "" };
        let address = sources[place].server.address;
        toml.push_str(&format!(
            "[{table}.{name}]\nbase_url = \"http://{address}{path}\"\nttl = \"1s\"\n"
        ));
        if *plays != Plays::Google {
            toml.push_str("kind = \"openai\"\n");
        }
    }
    std::fs::write(setup.directory.path().join("soak.toml"), toml).expect("written");
}

/// The service at any free address, whose files may be limited and whose clock may be moved.
fn serve(setup: &Setup) -> Command {
    let plain = command(setup);
    let mut shell = Command::new("sh");
    shell
        .args([
            "-c",
            "trap '' XFSZ; exec \"$0\" --listen 127.0.0.1:0 --config soak.toml",
        ])
        .arg(plain.get_program())
        .env_clear()
        .env("MODEL_CATALOG_LOG_FORMAT", "human")
        .env("MODEL_CATALOG_DISCOVER", "false")
        .env("LD_PRELOAD", faketime())
        .env(
            "FAKETIME_TIMESTAMP_FILE",
            setup.directory.path().join("clock"),
        )
        .env("FAKETIME_CACHE_DURATION", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("NO_FAKE_STAT", "1")
        .current_dir(setup.directory.path());
    shell
}

fn set_clock(setup: &Setup, seconds: i64) {
    std::fs::write(setup.directory.path().join("clock"), format!("{seconds:+}")).expect("written");
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "the settings of this test")]
async fn everything_at_once() {
    let setting = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
    };
    let (seconds, seed) = (
        setting("SOAK_SECONDS", 600),
        setting("SOAK_SEED", 20_261_126),
    );
    println!("SOAK_SEED={seed} SOAK_SECONDS={seconds}");
    let mut soak = Soak::new(seed).await;
    let clients: Vec<_> = (0..6)
        .map(|number| tokio::spawn(client(soak.service.clone(), seed + number)))
        .collect();
    while soak.began.elapsed() < Duration::from_secs(seconds) {
        soak.act().await;
        soak.check().await;
        let moment = soak.random.u64(0..400);
        tokio::time::sleep(Duration::from_millis(moment)).await;
    }
    for client in clients {
        client.abort();
    }
    soak.end().await;
}
