//! What is asked beside a list: Ollama's `/api/show`, LM Studio's own API. It never costs the list,
//! and is asked once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Json, Router, routing};
use chrono::TimeDelta;
use model_catalog::SourceConfig;
use serde_json::{Value, json};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{body_json, method, path},
};

use crate::helpers::{Setup, TestApp, mount, mount_ollama, mount_template};

fn tag(id: &str, digest: &str) -> Value {
    json!({"name": id, "model": id, "modified_at": "2026-02-03T00:00:00Z", "size": 7, "digest": digest,
           "details": {"family": "llama"}})
}

fn shown(context: i64) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({
        "details": {}, "capabilities": ["tools", "completion"],
        "model_info": {"general.architecture": "llama", "llama.context_length": context},
    }))
}

async fn mount_show(server: &MockServer, id: &str, answer: ResponseTemplate) {
    Mock::given(method("POST"))
        .and(path("/api/show"))
        .and(body_json(json!({ "model": id })))
        .respond_with(answer)
        .mount(server)
        .await;
}

/// How often anything was asked about models since the mocks were made or reset.
async fn shows(server: &MockServer) -> usize {
    let requests = server.received_requests().await.expect("recording is on");
    requests
        .iter()
        .filter(|request| request.url.path() == "/api/show")
        .count()
}

/// An endpoint `box` and nothing else.
async fn setup() -> Setup {
    let mut setup = Setup::new().await;
    setup.providers.clear();
    setup.add_endpoint("box").await;
    setup
}

/// Asks the endpoint again; what came of it.
async fn again(setup: &Setup, app: &TestApp) -> Value {
    setup.advance(TimeDelta::seconds(31));
    app.refresh("box").await["outcome"].clone()
}

async fn said(app: &TestApp, id: &str) -> Value {
    let model = app.get(&format!("/v1/models/{id}")).await.json();
    json!([model["context_window"], model["capabilities"]])
}

#[tokio::test]
async fn ollama_is_asked_about_each_digest_once_for_ever() {
    let setup = setup().await;
    let server = &setup.endpoints["box"];
    mount(
        server,
        "/api/tags",
        json!({"models": [tag("a", "d1"), tag("b", "d1")]}),
    )
    .await;
    mount_show(server, "a", shown(100)).await;
    // An old server says nothing: that is an answer too.
    mount_show(
        server,
        "b",
        ResponseTemplate::new(200).set_body_json(json!({"details": {}})),
    )
    .await;
    let app = setup.start_ready().await;
    let known = json!([100, ["completion", "tools"]]);
    assert_eq!(said(&app, "a").await, known);
    assert_eq!(said(&app, "b").await, json!([null, null]));
    assert_eq!(shows(server).await, 2);
    assert_eq!(again(&setup, &app).await, "unchanged");
    app.stop().await;

    let app = setup.start_ready().await;
    assert_eq!(again(&setup, &app).await, "unchanged");
    assert_eq!(said(&app, "a").await, known);
    assert_eq!(shows(server).await, 2, "nor after a restart");

    // Another digest is another model under the same id.
    server.reset().await;
    mount(
        server,
        "/api/tags",
        json!({"models": [tag("a", "d2"), tag("b", "d1")]}),
    )
    .await;
    mount_show(server, "a", shown(200)).await;
    assert_eq!(again(&setup, &app).await, "changed");
    assert_eq!(again(&setup, &app).await, "unchanged");
    assert_eq!(said(&app, "a").await, json!([200, ["completion", "tools"]]));
    assert_eq!(shows(server).await, 1);
    app.stop().await;
}

#[tokio::test]
async fn a_digest_that_changes_nothing_served_is_remembered_too() {
    let setup = setup().await;
    let server = &setup.endpoints["box"];
    for digest in ["d1", "d2"] {
        server.reset().await;
        mount(server, "/api/tags", json!({"models": [tag("a", digest)]})).await;
        mount_show(server, "a", shown(100)).await;
        let app = setup.start_ready().await;
        let _ = again(&setup, &app).await;
        assert_eq!(again(&setup, &app).await, "unchanged");
        assert_eq!(shows(server).await, 1, "{digest}");
        app.stop().await;
    }
    let events = setup.sql("SELECT event FROM model_events").await;
    assert_eq!(events, [[json!("added")]]);
    let raw = setup.sql("SELECT version FROM model_details").await;
    assert_eq!(raw, [[json!("d2")]]);
}

#[tokio::test]
async fn a_list_that_says_it_itself_is_enough() {
    let setup = setup().await;
    let server = &setup.endpoints["box"];
    let mut model = tag("a", "d1");
    model["details"]["context_length"] = json!(50);
    model["capabilities"] = json!(["vision", "completion"]);
    mount(server, "/api/tags", json!({ "models": [model] })).await;
    let app = setup.start_ready().await;
    assert_eq!(said(&app, "a").await, json!([50, ["completion", "vision"]]));
    assert_eq!(shows(server).await, 0);
    app.stop().await;
}

#[tokio::test]
async fn a_show_that_fails_costs_neither_the_list_nor_what_was_known() {
    let setup = setup().await;
    let server = &setup.endpoints["box"];
    mount(
        server,
        "/api/tags",
        json!({"models": [tag("a", "d1"), tag("b", "d1")]}),
    )
    .await;
    mount_show(server, "a", shown(100)).await;
    mount_show(server, "b", ResponseTemplate::new(500)).await;
    let app = setup.start_ready().await;
    assert_eq!(app.models().await.ids(), ["a", "b"]);
    let known = json!([100, ["completion", "tools"]]);
    assert_eq!(said(&app, "a").await, known);

    let huge = json!({"details": {}, "capabilities": ["huge"], "license": "x".repeat(3 << 20)});
    for (what, answer) in [
        ("status", ResponseTemplate::new(404)),
        (
            "no JSON",
            ResponseTemplate::new(200).set_body_string("<html>"),
        ),
        (
            "error",
            ResponseTemplate::new(200).set_body_json(json!({"error": "no"})),
        ),
        ("too large", ResponseTemplate::new(200).set_body_json(huge)),
    ] {
        server.reset().await;
        let digest = json!({"models": [tag("a", what), tag("b", "d1")]});
        mount(server, "/api/tags", digest).await;
        Mock::given(method("POST"))
            .respond_with(answer)
            .mount(server)
            .await;
        assert_eq!(again(&setup, &app).await, "unchanged", "{what}");
        assert_eq!(said(&app, "a").await, known, "{what}");
        assert_eq!(shows(server).await, 2, "{what}: what is not known is asked");
    }
    assert_eq!(app.source("box").await["error"], Value::Null);
    app.stop().await;
}

/// A server of fifty models that takes its time: how many were asked about at once, at most.
struct Slow {
    url: String,
    most: Arc<AtomicUsize>,
}

impl Slow {
    async fn start(answers_in: Duration) -> Self {
        let (now, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
        let (now, counted) = (Arc::new(now), most.clone());
        let models: Vec<Value> = (0..50)
            .map(|number| tag(&format!("m{number}"), "d"))
            .collect();
        let tags = routing::get(move || async move { Json(json!({ "models": models })) });
        let show = routing::post(move || async move {
            counted.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(answers_in).await;
            now.fetch_sub(1, Ordering::SeqCst);
            Json(json!({"details": {}, "capabilities": ["tools"]}))
        });
        let router = Router::new()
            .route("/api/tags", tags)
            .route("/api/show", show);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, most }
    }
}

#[tokio::test]
async fn a_few_are_asked_at_once() {
    let slow = Slow::start(Duration::from_millis(20)).await;
    let mut setup = Setup::new().await;
    setup.providers.clear();
    setup.extra = vec![SourceConfig::endpoint("box", &slow.url).expect("usable")];
    let app = setup.start_ready().await;
    assert_eq!(app.models().await.ids().len(), 50);
    app.until("all were asked about", async |app| {
        app.refresh("box").await;
        setup.advance(TimeDelta::seconds(31));
        let known = setup.sql("SELECT COUNT(*) FROM model_details").await;
        known == [[json!(50)]]
    })
    .await;
    assert_eq!(slow.most.load(Ordering::SeqCst), 4);
    app.stop().await;
}

#[tokio::test]
async fn a_server_that_never_tells_delays_its_list_by_two_seconds() {
    let slow = Slow::start(Duration::from_secs(3600)).await;
    let mut setup = Setup::new().await;
    setup.providers.clear();
    setup.extra = vec![SourceConfig::endpoint("box", &slow.url).expect("usable")];
    let app = setup.start_ready().await;
    let source = app.source("box").await;
    assert_eq!(
        (&source["models"], &source["error"]),
        (&json!(50), &Value::Null)
    );
    app.stop().await;
}

#[tokio::test]
async fn lm_studios_own_api_adds_what_its_list_lacks() {
    let setup = setup().await;
    let server = &setup.endpoints["box"];
    let list = json!({"data": [{"id": "a", "object": "model", "owned_by": "organization_owner"},
                               {"id": "b", "object": "model", "owned_by": "organization_owner"}]});
    let own = |state: &str| {
        json!({"object": "list", "data": [{"id": "a", "type": "llm", "state": state, "max_context_length": 100,
               "loaded_context_length": 50, "capabilities": ["tool_use"]}]})
    };
    mount(server, "/v1/models", list.clone()).await;
    mount(server, "/api/v0/models", own("loaded")).await;
    let app = setup.start_ready().await;
    // What a call meets now.
    assert_eq!(said(&app, "a").await, json!([50, ["llm", "tool_use"]]));
    assert_eq!(said(&app, "b").await, json!([null, null]));

    // One that is not loaded is told of by what it could hold.
    server.reset().await;
    mount(server, "/v1/models", list.clone()).await;
    mount(server, "/api/v0/models", own("not-loaded")).await;
    assert_eq!(again(&setup, &app).await, "changed");
    let known = json!([100, ["llm", "tool_use"]]);
    assert_eq!(said(&app, "a").await, known);

    // Without its own API the list stands, and what was known.
    server.reset().await;
    mount(server, "/v1/models", list).await;
    let refused = ResponseTemplate::new(200)
        .set_body_json(json!({"error": "Unexpected endpoint or method."}));
    mount_template(server, "/api/v0/models", refused).await;
    assert_eq!(again(&setup, &app).await, "unchanged");
    assert_eq!(said(&app, "a").await, known);
    app.stop().await;

    let app = setup.start_ready().await;
    assert_eq!(again(&setup, &app).await, "unchanged");
    assert_eq!(said(&app, "a").await, known);
    app.stop().await;
}

/// What was learnt of a server is not said of another one in its place.
#[tokio::test]
async fn another_kind_of_server_starts_anew() {
    let setup = setup().await;
    let server = &setup.endpoints["box"];
    mount(server, "/api/tags", json!({"models": [tag("a", "d1")]})).await;
    mount_show(server, "a", shown(100)).await;
    let app = setup.start_ready().await;
    server.reset().await;
    let vllm = json!({"data": [{"id": "a", "owned_by": "vllm"}]});
    mount(server, "/v1/models", vllm).await;
    assert_eq!(again(&setup, &app).await, "changed");
    assert_eq!(said(&app, "a").await, json!([null, null]));
    let known = setup.sql("SELECT COUNT(*) FROM model_details").await;
    assert_eq!(known, [[json!(0)]]);
    app.stop().await;
}

/// One fault must not decide for ever what kind of server it is.
#[tokio::test]
async fn an_ollama_that_once_seemed_to_be_another_server_is_recognised_again() {
    let setup = setup().await;
    let server = &setup.endpoints["box"];
    mount_ollama(server, &["a"]).await;
    let app = setup.start_ready().await;
    assert_eq!(app.source("box").await["kind"], "ollama");
    server.reset().await;
    mount(
        server,
        "/v1/models",
        json!({"data": [{"id": "a", "owned_by": "library"}]}),
    )
    .await;
    again(&setup, &app).await;
    assert_eq!(app.source("box").await["kind"], "openai");
    server.reset().await;
    mount_ollama(server, &["a"]).await;
    mount(
        server,
        "/v1/models",
        json!({"data": [{"id": "a", "owned_by": "library"}]}),
    )
    .await;
    again(&setup, &app).await;
    assert_eq!(app.source("box").await["kind"], "ollama");
    // Nor for the next process.
    server.reset().await;
    mount(
        server,
        "/v1/models",
        json!({"data": [{"id": "a", "owned_by": "library"}]}),
    )
    .await;
    again(&setup, &app).await;
    assert_eq!(app.source("box").await["kind"], "openai");
    app.stop().await;
    server.reset().await;
    mount_ollama(server, &["a"]).await;
    mount(
        server,
        "/v1/models",
        json!({"data": [{"id": "a", "owned_by": "library"}]}),
    )
    .await;
    let app = setup.start_ready().await;
    again(&setup, &app).await;
    assert_eq!(app.source("box").await["kind"], "ollama");
    app.stop().await;
}
