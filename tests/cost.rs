//! What a request may cost: the dearest request of every route, by fifty clients at once, against the real
//! binary with 20,000 models. A test binary of its own, so that the load does not disturb others.

#[path = "it/helpers.rs"]
#[expect(dead_code, reason = "the harness of the integration tests")]
mod helpers;
#[path = "it/running.rs"]
#[expect(dead_code, reason = "the harness of the integration tests")]
mod running;

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use helpers::{Setup, mount};
use running::{Running, command, sqlx_exec};
use serde_json::{Value, json};

const MODELS: usize = 20_000;
const CLIENTS: usize = 50;
/// The longest that a hundredth of the quick requests may take while one route is asked, whatever else the machine
/// does. What the serving threads once did themselves took seconds.
const LONGEST: Duration = Duration::from_millis(500);
/// The same over all routes, on a machine that does nothing else.
const LONGEST_IN_ALL: Duration = Duration::from_millis(50);
/// The most memory, in KiB.
const MEMORY_KIB: u64 = 1 << 20;
/// How long each route is asked.
const TIME: Duration = Duration::from_secs(2);
/// Revisions that changed every model.
const REVISIONS: usize = 12;
/// An unrestricted key, and one that may see some models.
const KEYS: [&str; 2] = ["k-all", "k-some"];

/// An id of a hundred characters.
fn id(number: usize) -> String {
    let name = format!("organisation-{}/model-{number:05}-", number % 97);
    format!("{name}{}", "instruct-preview-".repeat(5))[..100].to_owned()
}

/// A model with what real ones say.
fn model(number: usize) -> Value {
    json!({
        "id": id(number), "object": "model", "created": 1_700_000_000 + number, "owned_by": "x",
        "name": format!("Model {number}"), "context_length": 131_072,
        "description": format!("Model {number} is a general model for many tasks, in many languages."),
        "deprecation_date": "2030-01-01",
    })
}

/// A catalog of 20,000 models, each of which has changed in a dozen revisions.
async fn start(setup: &Setup) -> Running {
    let models: Vec<Value> = (0..MODELS).map(model).collect();
    mount(
        &setup.openai,
        "/v1/models",
        json!({"object": "list", "data": models}),
    )
    .await;
    let globs: Vec<String> = (0..90)
        .map(|number| format!("openai:*-{number}/model-*"))
        .collect();
    let toml = format!(
        "[providers.openai]\nbase_url = \"{}/v1\"\nkind = \"openai\"\n
         [[keys]]\nname = \"all\"\nkey = \"{}\"\n
         [[keys]]\nname = \"some\"\nkey = \"{}\"\nmodels = {globs:?}\n",
        setup.openai.uri(),
        KEYS[0],
        KEYS[1],
    );
    std::fs::write(setup.directory.path().join("cost.toml"), toml).expect("written");
    let start = async || {
        let mut command = command(setup);
        command
            .args(["--listen", "127.0.0.1:0", "--config", "cost.toml"])
            .env("MODEL_CATALOG_DISCOVER", "false");
        Running::start(command).await
    };
    let mut first = start().await;
    until_listed(&first).await;
    first.stop("-TERM");
    // What as many refreshes would have written.
    sqlx_exec(
        setup,
        &format!(
            "WITH RECURSIVE later(revision) AS (SELECT 2 UNION ALL SELECT revision + 1 FROM later WHERE revision <= {REVISIONS})
             INSERT INTO model_events (revision, source, model_id, at, event, attributes, changed)
             SELECT later.revision, source, model_id,
                    strftime('%Y-%m-%dT%H:%M:%fZ', at, later.revision || ' seconds'), 'changed',
                    json_set(attributes, '$.context_window', 131072 + later.revision % 2), '[\"context_window\"]'
             FROM later CROSS JOIN model_events AS e WHERE e.revision = 1"
        ),
    )
    .await;
    let running = start().await;
    until_listed(&running).await;
    running
}

async fn until_listed(running: &Running) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let list = running.http.get(format!("{}/v1/models", running.base));
        let list = list.bearer_auth(KEYS[0]).send().await.expect("an answer");
        let list: Value = list.json().await.expect("JSON");
        if list["data"]
            .as_array()
            .is_some_and(|data| data.len() == MODELS)
        {
            return;
        }
        assert!(Instant::now() < deadline, "not listed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Sends a request and reads the answer: its status. None when it was cut off, when `until` came first, or
/// when nothing came for a moment and the client is not `patient`.
fn ask(stream: &mut TcpStream, request: &str, until: &AtomicBool, patient: bool) -> Option<u16> {
    stream.write_all(request.as_bytes()).ok()?;
    let mut buffer = vec![0; 64 << 10];
    let mut head = Vec::new();
    let (mut size, mut wanted) = (0, None);
    while wanted.is_none_or(|(_, wanted)| size < wanted) {
        if until.load(Ordering::Relaxed) {
            return None;
        }
        let read = match stream.read(&mut buffer) {
            Ok(0) => return None,
            Ok(read) => read,
            Err(error) if patient && error.kind() == ErrorKind::WouldBlock => continue,
            Err(_) => return None,
        };
        size += read;
        if wanted.is_none() {
            head.extend_from_slice(&buffer[..read]);
            let end = head.windows(4).position(|end| end == b"\r\n\r\n");
            wanted = end.and_then(|end| length(&head[..end + 4]));
        }
        // The last chunk of an answer without a length.
        if wanted.is_some_and(|(_, wanted)| wanted == usize::MAX)
            && buffer[..read].ends_with(b"\r\n0\r\n\r\n")
        {
            break;
        }
    }
    wanted.map(|(status, _)| status)
}

/// The status in the `head` of an answer, and the size of both; the size is the largest when it does not
/// say.
fn length(head: &[u8]) -> Option<(u16, usize)> {
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    let status: u16 = text.get(9..12)?.parse().ok()?;
    let length = text.split("content-length: ").nth(1);
    let length = length.and_then(|rest| rest.split("\r\n").next()?.parse::<usize>().ok());
    // A 304 names the length of what it stands for.
    let length = if status == 304 { Some(0) } else { length };
    Some((
        status,
        length.map_or(usize::MAX, |length| head.len() + length),
    ))
}

/// The latencies of a route that must stay quick, asked every few milliseconds.
fn probe(address: &str, request: &str, until: &AtomicBool) -> Vec<Duration> {
    let mut stream = TcpStream::connect(address).expect("a connection");
    let mut latencies = Vec::new();
    let never = AtomicBool::new(false);
    while !until.load(Ordering::Relaxed) {
        let began = Instant::now();
        let status = ask(&mut stream, request, &never, true).expect("an answer");
        latencies.push(began.elapsed());
        assert!([200, 304].contains(&status), "{request}: {status}");
        thread::sleep(Duration::from_millis(2));
    }
    latencies
}

fn percentile_99(latencies: &mut [Duration]) -> Duration {
    latencies.sort();
    latencies[latencies.len() * 99 / 100]
}

/// The request for `path` with a key and further headers.
fn request(path: &str, key: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n{headers}\r\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dearest_requests_hinder_nobody() {
    let setup = Setup::new().await;
    let running = start(&setup).await;
    // The same machine, seen from a catalog that nobody else asks.
    let quiet_setup = Setup::new().await;
    let mut quiet = command(&quiet_setup);
    quiet
        .args(["--listen", "127.0.0.1:0"])
        .env("MODEL_CATALOG_DISCOVER", "false");
    let quiet = Running::start(quiet).await;
    let at_rest = running.peak_memory_kib();
    let address = running.base.trim_start_matches("http://").to_owned();
    let quiet_address = quiet.base.trim_start_matches("http://").to_owned();

    let [all, some] = KEYS;
    let words: Vec<String> = (0..99)
        .map(|number| format!("no-such-word-{number}"))
        .collect();
    let words = words.join(",");
    let known = id(7);
    let unknown = format!("openai:{}", &id(7)[..100].replace("instruct", "destruct"));
    // `#` stands for a number that no other request has.
    let dearest = [
        ("the list", request("/v1/models", all, "")),
        ("the list of a key", request("/v1/models", some, "")),
        (
            "a filter",
            request(&format!("/v1/models?q=no-#,{words}"), all, ""),
        ),
        (
            "a filter that lets all through",
            request("/v1/models?q=a,#", some, ""),
        ),
        (
            "fields",
            request("/v1/models?fields=created,context_window,#", all, ""),
        ),
        ("the past", request("/v1/models?revision=5&x=#", all, "")),
        (
            "the past of a key",
            request("/v1/models?revision=5&q=a,#", some, ""),
        ),
        (
            "a page for Anthropic",
            request("/v1/models?limit=1000", all, "anthropic-version: 1\r\n"),
        ),
        (
            "a page for Gemini",
            request("/v1beta/models?pageSize=1000", some, ""),
        ),
        (
            "one model",
            request(&format!("/v1/models/openai:{known}?revision=3"), all, ""),
        ),
        ("no model", request("/v1/models/openai:none-#", all, "")),
        (
            "a provider's list",
            request("/catalog/providers/openai/v1/models", all, ""),
        ),
        (
            "a provider's model",
            request(
                &format!("/catalog/providers/openai/v1/models/{known}"),
                some,
                "",
            ),
        ),
        ("why", request(&format!("/catalog/why/{unknown}"), all, "")),
        ("changes", request("/catalog/changes?limit=10000", all, "")),
        (
            "changes of a key",
            request("/catalog/changes?since=1&limit=10000", some, ""),
        ),
        ("the feed", request("/catalog/changes.atom", all, "")),
        (
            "the feed of a key",
            request(
                "/catalog/changes.atom?event=changed,added&model=openai:#",
                some,
                "",
            ),
        ),
        (
            "another feed",
            request(
                "/catalog/changes.atom?source=openai&event=changed",
                some,
                "",
            ),
        ),
        ("events", request("/catalog/events?since=0", all, "")),
        (
            "history",
            request(&format!("/catalog/models/openai:{known}/history"), all, ""),
        ),
        ("a copy", request("/catalog.sqlite", all, "")),
        ("retirements", request("/catalog/retirements", all, "")),
        ("sources", request("/catalog/sources", some, "")),
        ("presets", request("/catalog/providers", all, "")),
        (
            "the page of models",
            request("/?q=no-%23-#&sort=-context", some, "accept: text/html\r\n"),
        ),
        (
            "the page of a model",
            request(
                &format!("/ui/models/openai:{known}"),
                all,
                "accept: text/html\r\n",
            ),
        ),
        (
            "the page of no model",
            request("/ui/models/none-#", some, ""),
        ),
        ("the page of sources", request("/ui/sources", some, "")),
        ("the page of changes", request("/ui/changes", all, "")),
        (
            "what differs",
            request("/ui/diff?from=2020-01-01&x=#", all, ""),
        ),
        ("metrics", request("/metrics", all, "")),
        ("readiness", request("/readyz", all, "")),
    ];
    let (mut latencies, mut quiet_latencies) = (Vec::new(), Vec::new());
    for (what, dear) in &dearest {
        let over = AtomicBool::new(false);
        let number = AtomicUsize::new(0);
        let (served, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (mut list, mut health, mut control) = thread::scope(|scope| {
            for client in 0..CLIENTS {
                let (over, number, served, refused) = (&over, &number, &served, &refused);
                let address = &address;
                scope.spawn(move || {
                    while !over.load(Ordering::Relaxed) {
                        let number = number.fetch_add(1, Ordering::Relaxed);
                        let dear = dear.replace('#', &number.to_string());
                        let dear = dear.replace("\r\nhost", "\r\nconnection: close\r\nhost");
                        let mut stream = TcpStream::connect(address).expect("a connection");
                        let wait = Some(Duration::from_millis(200));
                        stream.set_read_timeout(wait).expect("set");
                        // Every second client goes when its answer takes long.
                        match ask(&mut stream, &dear, over, client % 2 == 0) {
                            Some(200 | 404) => served.fetch_add(1, Ordering::Relaxed),
                            Some(503) => refused.fetch_add(1, Ordering::Relaxed),
                            Some(other) => panic!("{what}: {other}"),
                            None => 0,
                        };
                    }
                });
            }
            let list = request("/v1/models", all, "if-none-match: *\r\n");
            let (address, quiet_address, over) = (&address, &quiet_address, &over);
            let list = scope.spawn(move || probe(address, &list, over));
            let alive = request("/healthz", all, "");
            let control = alive.clone();
            let health = scope.spawn(move || probe(address, &alive, over));
            let control = scope.spawn(move || probe(quiet_address, &control, over));
            thread::sleep(TIME);
            over.store(true, Ordering::Relaxed);
            let join = |probe: thread::ScopedJoinHandle<'_, _>| probe.join().expect("no panic");
            (join(list), join(health), join(control))
        });
        let p99s = [&mut list, &mut health, &mut control].map(|latencies| percentile_99(latencies));
        let [of_list, of_health, of_quiet] = p99s;
        println!(
            "{what}: {} answered, {} refused; p99 of the list {of_list:?}, of the health check {of_health:?}, of a quiet catalog {of_quiet:?}; peak memory {} KiB",
            served.into_inner(),
            refused.into_inner(),
            running.peak_memory_kib(),
        );
        assert!(of_list.max(of_health) < LONGEST, "{what} hinders others");
        latencies.extend(list);
        latencies.extend(health);
        quiet_latencies.extend(control);
    }
    let (p99, quiet) = (
        percentile_99(&mut latencies),
        percentile_99(&mut quiet_latencies),
    );
    let peak = running.peak_memory_kib();
    println!(
        "in all: p99 {p99:?}, of a quiet catalog {quiet:?}; memory {at_rest} KiB at rest, {peak} KiB at most"
    );
    // Where the machine does other things too, a catalog that nobody asks is slow as well.
    assert!(p99 < LONGEST_IN_ALL.max(5 * quiet), "others are hindered");
    assert!(peak < MEMORY_KIB, "{peak} KiB");
}
