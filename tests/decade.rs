//! Ten years of a large catalog, by a clock that is moved: how large the file becomes, how long it
//! takes to tell what was, and that what is told is what was. A program of its own, so that nothing
//! else is timed.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::pending,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{Router, extract::State, http::header::CONTENT_TYPE, routing::get};
use chrono::TimeDelta;
use model_catalog::{Catalog, Config, Kind, RefreshOutcome, SourceConfig};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const DAYS: i64 = 3_652;
const MODELS: u64 = 1_000;
/// One percent of the models each day.
const CHANGES_A_DAY: usize = 10;

/// A list as long as a large provider's, of which ten models change each day: one is new, one is
/// gone, eight have another context window.
struct List {
    windows: BTreeMap<u64, i64>,
    next: u64,
    random: fastrand::Rng,
}

impl List {
    fn new() -> Self {
        Self {
            windows: (0..MODELS).map(|number| (number, 8_192)).collect(),
            next: MODELS,
            random: fastrand::Rng::with_seed(20_261_124),
        }
    }

    fn change(&mut self) {
        let numbers: Vec<u64> = self.windows.keys().copied().collect();
        let chosen = self.random.choose_multiple(numbers, CHANGES_A_DAY - 1);
        for (turn, number) in chosen.iter().enumerate() {
            if turn == 0 {
                self.windows.remove(number);
            } else if let Some(window) = self.windows.get_mut(number) {
                *window += 1_024;
            }
        }
        self.windows.insert(self.next, 8_192);
        self.next += 1;
    }

    fn body(&self) -> String {
        let data: Vec<Value> = self
            .windows
            .iter()
            .map(|(number, window)| {
                json!({
                    "id": format!("model-number-{number}-of-a-provider"), "object": "model",
                    "created": 1_700_000_000, "owned_by": "system", "context_window": window,
                })
            })
            .collect();
        json!({"object": "list", "data": data}).to_string()
    }
}

type Body = Arc<Mutex<String>>;

async fn provider(body: Body) -> String {
    let answer = async |State(body): State<Body>| {
        let body = body.lock().expect("no panic").clone();
        ([(CONTENT_TYPE, "application/json")], body)
    };
    let app = Router::new()
        .route("/v1/models", get(answer))
        .with_state(body);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/v1", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

/// A client of the running catalog.
struct Client {
    base: String,
    http: reqwest::Client,
}

impl Client {
    /// The answer, and how long it took to have it whole.
    async fn get(&self, path: &str) -> (Duration, Value) {
        let began = Instant::now();
        let answer = self
            .http
            .get(format!("{}{path}", self.base))
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), 200, "{path}");
        let bytes = answer.bytes().await.expect("a body");
        (
            began.elapsed(),
            serde_json::from_slice(&bytes).expect("JSON"),
        )
    }

    /// What clients read of each model at `revision`, by id.
    async fn models_at(&self, revision: i64) -> BTreeMap<String, Value> {
        let (_, list) = self.get(&format!("/v1/models?revision={revision}")).await;
        let models = list["data"].as_array().expect("data").iter();
        models
            .map(|model| {
                let mut model = model.as_object().expect("an object").clone();
                let id = model.remove("id").expect("an id");
                assert_eq!(model.remove("object"), Some(json!("model")));
                assert_eq!(model.remove("owned_by"), Some(json!("openai")));
                // What the list adds to the attributes.
                assert_eq!(
                    model.remove("context_length").as_ref(),
                    model.get("context_window")
                );
                model.remove("metadata_source").expect("who said it");
                (id.as_str().expect("text").to_owned(), model.into())
            })
            .collect()
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_years_can_be_told_exactly_and_at_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("catalog.db");
    let mut config = Config::new(&format!("sqlite://{}", path.display())).expect("usable");
    let clock = config.clock.clone();
    clock.advance(TimeDelta::days(-DAYS));
    let mut list = List::new();
    let body = Body::new(list.body().into());
    let url = provider(body.clone()).await;
    let mut source = SourceConfig::provider("openai", Kind::OpenAi, &url, None).expect("usable");
    // It is asked when the simulation says so.
    source.ttl = TimeDelta::days(365);
    config.sources.push(source);
    let catalog = Catalog::start(config).await.expect("it starts");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let client = Client {
        base: format!("http://{}", listener.local_addr().expect("an address")),
        http: reqwest::Client::builder()
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .build()
            .expect("a client"),
    };
    tokio::spawn(model_catalog::serve(catalog.clone(), listener, pending()));
    let (_, first) = client.get("/v1/models").await;
    assert_eq!(first["data"].as_array().map(Vec::len), Some(1_000));

    let mut began_at = None;
    for _ in 1..DAYS {
        clock.advance(TimeDelta::days(1));
        list.change();
        *body.lock().expect("no panic") = list.body();
        let outcomes = catalog.refresh(None, false).await.expect("a source");
        assert!(
            matches!(&outcomes[0].1, RefreshOutcome::Changed(_)),
            "{outcomes:?}"
        );
        began_at.get_or_insert_with(|| clock.now());
    }
    let (began_at, now) = (began_at.expect("a day"), clock.now());

    let mut random = fastrand::Rng::with_seed(7);
    let mut times = Vec::new();
    for _ in 0..200 {
        let at = began_at.plus(TimeDelta::milliseconds(
            random.i64(0..now.since(began_at).num_milliseconds()),
        ));
        let (took, list) = client.get(&format!("/v1/models?at={at}")).await;
        assert_eq!(list["data"].as_array().map(Vec::len), Some(1_000));
        times.push(took);
    }
    let past = median(times);
    let mut times = Vec::new();
    for _ in 0..200 {
        let since = random.i64(0..DAYS - 100);
        let (took, page) = client.get(&format!("/catalog/changes?since={since}")).await;
        assert!(page["events"].as_array().map(Vec::len) > Some(240));
        times.push(took);
    }
    let changes = median(times);

    // The whole feed, applied; a hundred random revisions are compared on the way, and the last.
    let mut revisions = BTreeSet::from([DAYS]);
    while revisions.len() <= 100 {
        revisions.insert(random.i64(1..DAYS));
    }
    let (mut replayed, mut since) = (BTreeMap::new(), 0);
    let mut events: Vec<Value> = Vec::new();
    for revision in &revisions {
        while since < *revision {
            let (_, mut page) = client.get(&format!("/catalog/changes?since={since}")).await;
            since = page["next"].as_i64().expect("a cursor");
            events.append(page["events"].as_array_mut().expect("events"));
        }
        let later = events
            .iter()
            .position(|event| event["revision"].as_i64() > Some(*revision))
            .unwrap_or(events.len());
        for event in events.drain(..later) {
            let id = event["id"].as_str().expect("an id").to_owned();
            let before = match event.get("after") {
                Some(after) => replayed.insert(id, after.clone()),
                None => replayed.remove(&id),
            };
            assert_eq!(before.as_ref(), event.get("before"), "{event}");
        }
        assert_eq!(
            client.models_at(*revision).await,
            replayed,
            "revision {revision}"
        );
    }
    let (_, served) = client.get("/v1/models").await;
    let (_, last) = client.get(&format!("/v1/models?revision={DAYS}")).await;
    assert_eq!(served, last);
    catalog.stop().await;
    let bytes = std::fs::metadata(&path).expect("a file").len();
    println!(
        "{DAYS} daily refreshes of {MODELS} models, {CHANGES_A_DAY} changed a day: {} MB; a random time in {past:?}, a page of 250 changes in {changes:?} (medians of 200, over HTTP); {} random revisions and the last equal the replay",
        bytes / 1_000_000,
        revisions.len() - 1
    );
    assert!(past < Duration::from_millis(20), "{past:?}");
    assert!(changes < Duration::from_millis(10), "{changes:?}");
}
