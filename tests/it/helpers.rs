//! The harness: `Setup` owns what outlives a restart (database directory, mock sources, clock),
//! `TestApp` is one run of the real server on it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono::TimeDelta;
use model_catalog::{ClientKey, Clock, Config, Kind, SourceConfig, Watch, WebhookConfig};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{method, path},
};

pub const OPENAI_KEY: &str = "sk-test-0penai-0123456789abcdef";
pub const GOOGLE_KEY: &str = "AIza-test-g00gle/+0123456789abcd";
pub const ANTHROPIC_KEY: &str = "sk-ant-test-anthr0pic-0123456789";

/// What outlives a restart of the catalog.
pub struct Setup {
    pub directory: Arc<TempDir>,
    pub clock: Clock,
    pub openai: MockServer,
    pub google: MockServer,
    pub anthropic: MockServer,
    /// Local servers by name.
    pub endpoints: BTreeMap<String, MockServer>,
    /// Providers that take part; all three unless a test removes some.
    pub providers: Vec<&'static str>,
    pub fetch_timeout: Duration,
    pub client_timeout: Duration,
    /// Loopback ports that are looked at; none unless a test adds some.
    pub discovery_ports: Vec<u16>,
    /// Further sources.
    pub extra: Vec<SourceConfig>,
    pub enrichment: Option<SourceConfig>,
    pub webhooks: Vec<WebhookConfig>,
    pub watch: Option<Watch>,
    pub keys: Vec<ClientKey>,
    pub admin_key: Option<&'static str>,
}

impl Setup {
    /// Three providers that answer nothing useful (404) until a test mounts a list.
    pub async fn new() -> Self {
        Self {
            directory: Arc::new(tempfile::tempdir().expect("a temporary directory")),
            clock: Clock::system(),
            openai: MockServer::start().await,
            google: MockServer::start().await,
            anthropic: MockServer::start().await,
            endpoints: BTreeMap::new(),
            providers: vec!["openai", "google", "anthropic"],
            fetch_timeout: Duration::from_secs(10),
            client_timeout: Duration::from_secs(30),
            discovery_ports: Vec::new(),
            extra: Vec::new(),
            enrichment: None,
            webhooks: Vec::new(),
            watch: None,
            keys: Vec::new(),
            admin_key: None,
        }
    }

    /// Three providers with two models each.
    pub async fn happy() -> Self {
        let setup = Self::new().await;
        setup.mount_happy().await;
        setup
    }

    pub async fn mount_happy(&self) {
        mount_openai(&self.openai, &["gpt-b", "gpt-a"]).await;
        mount_google(&self.google, &["gemini-b", "gemini-a"]).await;
        mount_anthropic(&self.anthropic, &["claude-b", "claude-a"]).await;
    }

    pub async fn add_endpoint(&mut self, name: &str) -> &MockServer {
        let server = MockServer::start().await;
        self.endpoints.entry(name.to_owned()).or_insert(server)
    }

    pub fn database_path(&self) -> std::path::PathBuf {
        self.directory.path().join("catalog.db")
    }

    pub fn database_url(&self) -> String {
        format!("sqlite://{}", self.database_path().display())
    }

    pub fn config(&self) -> Config {
        let mut config = Config::new(&self.database_url()).expect("a usable database URL");
        config.clock = self.clock.clone();
        config.fetch_timeout = self.fetch_timeout;
        config.client_timeout = self.client_timeout;
        config.discovery_ports = self.discovery_ports.clone();
        for provider in &self.providers {
            let source = match *provider {
                "openai" => SourceConfig::provider(
                    "openai",
                    Kind::OpenAi,
                    &format!("{}/v1", self.openai.uri()),
                    Some(OPENAI_KEY),
                ),
                "google" => SourceConfig::provider(
                    "google",
                    Kind::Google,
                    &self.google.uri(),
                    Some(GOOGLE_KEY),
                ),
                "anthropic" => SourceConfig::provider(
                    "anthropic",
                    Kind::Anthropic,
                    &self.anthropic.uri(),
                    Some(ANTHROPIC_KEY),
                ),
                other => panic!("no mock for provider {other}"),
            };
            config.sources.push(source.expect("a usable provider"));
        }
        for (name, server) in &self.endpoints {
            config
                .sources
                .push(SourceConfig::endpoint(name, &server.uri()).expect("a usable endpoint"));
        }
        config.sources.extend(self.extra.iter().cloned());
        config.enrichment.clone_from(&self.enrichment);
        config.webhooks.clone_from(&self.webhooks);
        config.watch.clone_from(&self.watch);
        config.keys.clone_from(&self.keys);
        config.admin_key = self.admin_key.map(Into::into);
        config
    }

    pub async fn start(&self) -> TestApp {
        TestApp::start(self.config()).await
    }

    /// Starts and waits until every source has been heard from or has failed.
    pub async fn start_ready(&self) -> TestApp {
        let app = self.start().await;
        app.until("every source was attempted", async |app| {
            let sources = app.sources().await;
            sources["sources"]
                .as_array()
                .expect("sources")
                .iter()
                .filter(|source| source["state"] != "unconfigured")
                .all(|source| !source["fetched_at"].is_null() || !source["error"].is_null())
        })
        .await;
        app
    }

    /// Requests that `server` has received since it was last reset.
    pub async fn calls(server: &MockServer) -> usize {
        server
            .received_requests()
            .await
            .expect("recording is on")
            .len()
    }

    /// Requests that all servers have received.
    pub async fn all_calls(&self) -> usize {
        let mut calls = 0;
        for server in self.servers() {
            calls += Self::calls(server).await;
        }
        calls
    }

    fn servers(&self) -> impl Iterator<Item = &MockServer> {
        [&self.openai, &self.google, &self.anthropic]
            .into_iter()
            .chain(self.endpoints.values())
    }

    /// Lets the catalog believe that this much time has passed. Takes effect at once: the
    /// schedules are looked at again by `TestApp::wake`.
    pub fn advance(&self, by: TimeDelta) {
        self.clock.advance(by);
    }

    /// Rows of one SQL query (each a JSON array), read with a connection of our own.
    pub async fn sql(&self, query: &str) -> Vec<Vec<Value>> {
        use sqlx::{Column, Connection, Row, TypeInfo, ValueRef};
        let mut connection = sqlx::SqliteConnection::connect(&self.database_url())
            .await
            .expect("the database opens");
        let rows = sqlx::query(sqlx::AssertSqlSafe(query.to_owned()))
            .fetch_all(&mut connection)
            .await
            .unwrap_or_else(|error| panic!("{query}: {error}"));
        rows.iter()
            .map(|row| {
                row.columns()
                    .iter()
                    .map(|column| {
                        let raw = row.try_get_raw(column.ordinal()).expect("a value");
                        if raw.is_null() {
                            return Value::Null;
                        }
                        match raw.type_info().name() {
                            "INTEGER" => json!(row.get::<i64, _>(column.ordinal())),
                            "REAL" => json!(row.get::<f64, _>(column.ordinal())),
                            _ => json!(row.get::<String, _>(column.ordinal())),
                        }
                    })
                    .collect()
            })
            .collect()
    }
}

impl Setup {
    /// Applies every event in order and compares the outcome with the model tables.
    pub async fn assert_events_replay(&self) {
        let mut replayed: BTreeMap<(String, String), Value> = BTreeMap::new();
        let events = self
            .sql("SELECT source, model_id, event, attributes FROM model_events ORDER BY revision, source, model_id")
            .await;
        for event in events {
            let [source, model_id, event, attributes] = event.as_slice() else {
                unreachable!("four columns")
            };
            let text = |value: &Value| value.as_str().expect("text").to_owned();
            let key = (text(source), text(model_id));
            match text(event).as_str() {
                "added" | "returned" => {
                    let attributes = serde_json::from_str(&text(attributes)).expect("JSON");
                    assert!(
                        replayed.insert(key.clone(), attributes).is_none(),
                        "{key:?} was there already"
                    );
                }
                "changed" => {
                    let attributes = serde_json::from_str(&text(attributes)).expect("JSON");
                    assert!(
                        replayed.insert(key.clone(), attributes).is_some(),
                        "{key:?} was not there"
                    );
                }
                "removed" => assert!(replayed.remove(&key).is_some(), "{key:?} was not there"),
                _ => {}
            }
        }
        let columns = "model_id, attributes FROM";
        let stored = self
            .sql(&format!(
                "SELECT provider, {columns} cloud_models WHERE hidden_by IS NULL
                 UNION ALL SELECT endpoint, {columns} local_models WHERE hidden_by IS NULL"
            ))
            .await;
        let mut tables = BTreeMap::new();
        for row in stored {
            let text = |column: usize| row[column].as_str().expect("text").to_owned();
            let attributes: Value = serde_json::from_str(&text(2)).expect("JSON");
            tables.insert((text(0), text(1)), attributes);
        }
        assert_eq!(replayed, tables, "the tables are the events' projection");
    }
}

/// One answer, read whole.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: bytes::Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!(
                "not JSON ({error}): {}",
                String::from_utf8_lossy(&self.body)
            )
        })
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .get(name)
            .map(|value| value.to_str().expect("a readable header"))
    }

    /// The ids of a list answer, in order.
    pub fn ids(&self) -> Vec<String> {
        self.json()["data"]
            .as_array()
            .expect("data is an array")
            .iter()
            .map(|model| model["id"].as_str().expect("an id").to_owned())
            .collect()
    }
}

/// One run of the real server.
pub struct TestApp {
    pub base: String,
    pub http: reqwest::Client,
    pub catalog: model_catalog::Catalog,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl TestApp {
    pub async fn start(config: Config) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let catalog = model_catalog::Catalog::start(config)
            .await
            .expect("the catalog starts");
        let stop = CancellationToken::new();
        let task = tokio::spawn(model_catalog::serve(
            catalog.clone(),
            listener,
            stop.clone().cancelled_owned(),
        ));
        Self {
            base,
            http: plain_client().build().expect("an HTTP client"),
            catalog,
            stop,
            task,
        }
    }

    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.expect("no panic");
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.expect("an answer");
        Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await.expect("a body"),
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.http.get(self.url(path))).await
    }

    /// `path` with a key.
    pub async fn get_with(&self, path: &str, key: &str) -> Answer {
        self.send(self.http.get(self.url(path)).bearer_auth(key))
            .await
    }

    pub async fn models(&self) -> Answer {
        self.get("/v1/models").await
    }

    pub async fn sources(&self) -> Value {
        self.get("/catalog/sources").await.json()
    }

    pub async fn source(&self, name: &str) -> Value {
        self.sources().await["sources"]
            .as_array()
            .expect("sources")
            .iter()
            .find(|source| source["name"] == name)
            .unwrap_or_else(|| panic!("no source {name}"))
            .clone()
    }

    /// `POST /catalog/refresh` of one source; its outcome.
    pub async fn refresh(&self, source: &str) -> Value {
        let answer = self
            .send(
                self.http
                    .post(self.url(&format!("/catalog/refresh?source={source}"))),
            )
            .await;
        assert_eq!(
            answer.status,
            200,
            "{}",
            String::from_utf8_lossy(&answer.body)
        );
        answer.json()["sources"][0].clone()
    }

    /// Polls until `condition` holds; fails after 20 s, saying what it waited for.
    pub async fn until(&self, what: &str, condition: impl AsyncFn(&Self) -> bool) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while !condition(self).await {
            assert!(
                tokio::time::Instant::now() < deadline,
                "waited 20 s in vain: {what}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

pub fn openai_body(ids: &[impl AsRef<str>]) -> Value {
    let data: Vec<Value> = ids
        .iter()
        .map(|id| {
            json!({"id": id.as_ref(), "object": "model", "created": 1_700_000_000, "owned_by": "system"})
        })
        .collect();
    json!({"object": "list", "data": data})
}

pub fn google_model(id: &str) -> Value {
    json!({
        "name": format!("models/{id}"), "version": "001", "displayName": format!("Display {id}"),
        "inputTokenLimit": 1_048_576, "outputTokenLimit": 65_536,
        "supportedGenerationMethods": ["generateContent"],
    })
}

pub fn anthropic_model(id: &str) -> Value {
    json!({
        "type": "model", "id": id, "display_name": format!("Display {id}"),
        "created_at": "2026-02-04T00:00:00Z", "max_input_tokens": 200_000, "max_tokens": 64_000,
    })
}

pub async fn mount(server: &MockServer, at: &str, body: Value) {
    mount_template(server, at, ResponseTemplate::new(200).set_body_json(body)).await;
}

pub async fn mount_template(server: &MockServer, at: &str, template: ResponseTemplate) {
    Mock::given(method("GET"))
        .and(path(at))
        .respond_with(template)
        .mount(server)
        .await;
}

pub async fn mount_openai(server: &MockServer, ids: &[impl AsRef<str>]) {
    mount(server, "/v1/models", openai_body(ids)).await;
}

/// Google's paging as it is: at most `cap` a page whatever is asked.
pub async fn mount_google_paged(server: &MockServer, ids: Vec<String>, cap: usize) {
    let answer = move |request: &Request| {
        let query: BTreeMap<_, _> = request.url.query_pairs().into_owned().collect();
        let asked: usize = query
            .get("pageSize")
            .map_or(50, |size| size.parse().expect("a number"));
        let start: usize = query.get("pageToken").map_or(0, |token| {
            token.trim_end_matches("+/==").parse().expect("our token")
        });
        let end = (start + asked.min(cap)).min(ids.len());
        let page: Vec<Value> = ids[start..end].iter().map(|id| google_model(id)).collect();
        let mut body = json!({ "models": page });
        if end < ids.len() {
            // Real tokens are base64 with padding: they must be percent-encoded.
            body["nextPageToken"] = json!(format!("{end}+/=="));
        }
        ResponseTemplate::new(200).set_body_json(body)
    };
    Mock::given(method("GET"))
        .and(path("/v1beta/models"))
        .respond_with(answer)
        .mount(server)
        .await;
}

/// Anthropic's paging as it is: 20 a page unless asked for more, at most `cap`.
pub async fn mount_anthropic_paged(server: &MockServer, ids: Vec<String>, cap: usize) {
    let answer = move |request: &Request| {
        let query: BTreeMap<_, _> = request.url.query_pairs().into_owned().collect();
        let asked: usize = query
            .get("limit")
            .map_or(20, |limit| limit.parse().expect("a number"));
        let start = query.get("after_id").map_or(0, |after| {
            ids.iter()
                .position(|id| id == after)
                .expect("a cursor that we gave")
                + 1
        });
        let end = (start + asked.min(cap)).min(ids.len());
        let page: Vec<Value> = ids[start..end]
            .iter()
            .map(|id| anthropic_model(id))
            .collect();
        ResponseTemplate::new(200).set_body_json(json!({
            "data": page, "has_more": end < ids.len(),
            "first_id": ids.get(start), "last_id": ids[start..end].last(),
        }))
    };
    Mock::given(method("GET"))
        .and(path("/v1/models"))
        .respond_with(answer)
        .mount(server)
        .await;
}

pub async fn mount_google(server: &MockServer, ids: &[impl AsRef<str>]) {
    let ids = ids.iter().map(|id| id.as_ref().to_owned()).collect();
    mount_google_paged(server, ids, 1000).await;
}

pub async fn mount_anthropic(server: &MockServer, ids: &[impl AsRef<str>]) {
    let ids = ids.iter().map(|id| id.as_ref().to_owned()).collect();
    mount_anthropic_paged(server, ids, 1000).await;
}

pub async fn mount_ollama(server: &MockServer, ids: &[impl AsRef<str>]) {
    let models: Vec<Value> = ids
        .iter()
        .map(|id| {
            json!({
                "name": id.as_ref(), "model": id.as_ref(), "size": 4_733_363_377_u64,
                "modified_at": "2026-02-03T00:54:07.035483248-05:00", "digest": "3ddd2d3f",
                "details": {"format": "gguf", "family": "llama", "families": null},
            })
        })
        .collect();
    mount(server, "/api/tags", json!({ "models": models })).await;
    let root = ResponseTemplate::new(200).set_body_string("Ollama is running");
    mount_template(server, "/", root).await;
}

pub async fn mount_vllm(server: &MockServer, ids: &[impl AsRef<str>]) {
    let data: Vec<Value> = ids
        .iter()
        .map(|id| {
            json!({
                "id": id.as_ref(), "object": "model", "created": 1_777_903_758, "owned_by": "vllm",
                "root": id.as_ref(), "parent": null, "max_model_len": 65_536,
            })
        })
        .collect();
    mount(
        server,
        "/v1/models",
        json!({"object": "list", "data": data}),
    )
    .await;
}

/// A client that asks for no compressed answers: tests compare bytes and ETags.
pub fn plain_client() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .no_proxy()
        .no_gzip()
        .no_brotli()
        .no_zstd()
}
