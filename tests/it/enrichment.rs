//! Metadata from a file that describes many providers' models.

use chrono::TimeDelta;
use model_catalog::SourceConfig;
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::path};

use crate::helpers::{Setup, TestApp, mount_ollama};

/// Serves `body` as models.dev does.
async fn mount(server: &MockServer, body: Value) {
    server.reset().await;
    Mock::given(path("/api.json"))
        .respond_with(ResponseTemplate::new(200).set_body_json(body))
        .mount(server)
        .await;
}

/// Three providers, and a file that says something of two.
async fn setup() -> (Setup, MockServer) {
    let mut setup = Setup::happy().await;
    let server = MockServer::start().await;
    mount(
        &server,
        json!({
            "openai": {"models": {
                "gpt-a": {"limit": {"context": 400_000, "output": 128_000}, "knowledge": "2026-01",
                          "cost": {"input": 1.25, "output": 10.0}},
                "gpt-z": {"limit": {"context": 1}},
            }},
            "google": {"models": {"gemini-a": {"limit": {"context": 7}, "cost": {"input": 2}}}},
        }),
    )
    .await;
    let url = format!("{}/api.json", server.uri());
    setup.enrichment = Some(SourceConfig::enrichment(&url).expect("usable"));
    (setup, server)
}

async fn model(app: &TestApp, id: &str) -> Value {
    app.get(&format!("/v1/models/{id}")).await.json()
}

async fn until_enriched(app: &TestApp) {
    app.until("the file was read", async |app| {
        !app.sources().await["enrichment"]["fetched_at"].is_null()
    })
    .await;
}

#[tokio::test]
async fn it_fills_in_what_is_not_said_is_marked_and_overrides_nothing() {
    let (setup, _server) = setup().await;
    let app = setup.start_ready().await;
    until_enriched(&app).await;

    assert_eq!(
        model(&app, "openai:gpt-a").await,
        json!({"id": "openai:gpt-a", "object": "model", "created": 1_700_000_000, "owned_by": "openai",
            "context_window": 400_000, "context_length": 400_000, "max_output_tokens": 128_000,
            "knowledge_cutoff": "2026-01", "pricing": {"input": 1.25, "output": 10.0},
            "metadata_source": {"context_window": "127.0.0.1", "max_output_tokens": "127.0.0.1",
                                "knowledge_cutoff": "127.0.0.1", "pricing": "127.0.0.1"}})
    );
    let google = model(&app, "google:gemini-a").await;
    assert_eq!(google["context_window"], 1_048_576, "its own word stands");
    assert_eq!(
        google["metadata_source"],
        json!({"display_name": "google", "context_window": "google", "max_output_tokens": "google",
               "supported_methods": "google", "pricing": "127.0.0.1"})
    );
    let untouched = model(&app, "openai:gpt-b").await;
    assert_eq!(
        untouched.as_object().map(serde_json::Map::len),
        Some(4),
        "{untouched}"
    );
    assert_eq!(
        app.get("/v1/models/openai:gpt-z").await.status,
        404,
        "it lists nothing"
    );
    setup.assert_events_replay().await;

    // A listing that comes later is filled in at once: what it says has not changed.
    let revision = app.sources().await["revision"].clone();
    setup.advance(TimeDelta::seconds(11));
    assert_eq!(app.refresh("openai").await["outcome"], "unchanged");
    assert_eq!(app.sources().await["revision"], revision);
    app.stop().await;
}

#[tokio::test]
async fn what_it_changes_is_one_revision_and_a_failure_takes_nothing_back() {
    let (setup, server) = setup().await;
    let app = setup.start_ready().await;
    until_enriched(&app).await;
    let before = app.sources().await["revision"]
        .as_i64()
        .expect("a revision");

    mount(
        &server,
        json!({
            "openai": {"models": {"gpt-a": {"limit": {"context": 500_000}}, "gpt-b": {"knowledge": "2025"}}},
            "anthropic": {"models": {"claude-a": {"knowledge": "2026-02"}}},
        }),
    )
    .await;
    setup.advance(TimeDelta::hours(25));
    app.catalog.wake();
    app.until("the new file counts", async |app| {
        model(app, "anthropic:claude-a").await["knowledge_cutoff"] == "2026-02"
    })
    .await;
    let changes = app
        .get(&format!("/catalog/changes?since={before}&event=changed"))
        .await
        .json();
    let told: Vec<_> = changes["events"]
        .as_array()
        .expect("events")
        .iter()
        .map(|event| {
            (
                event["revision"].as_i64(),
                event["id"].clone(),
                event["changed"].clone(),
            )
        })
        .collect();
    let revision = Some(before + 1);
    assert_eq!(
        told,
        [
            (
                revision,
                json!("anthropic:claude-a"),
                json!(["enriched", "knowledge_cutoff"])
            ),
            (
                revision,
                json!("google:gemini-a"),
                json!(["enriched", "pricing"])
            ),
            (
                revision,
                json!("openai:gpt-a"),
                json!([
                    "context_window",
                    "enriched",
                    "knowledge_cutoff",
                    "max_output_tokens",
                    "pricing"
                ])
            ),
            (
                revision,
                json!("openai:gpt-b"),
                json!(["enriched", "knowledge_cutoff"])
            ),
        ]
    );

    server.reset().await;
    setup.advance(TimeDelta::hours(25));
    app.catalog.wake();
    app.until("the failure is told", async |app| {
        app.sources().await["enrichment"]["error"]["kind"] == "rejected"
    })
    .await;
    assert_eq!(model(&app, "openai:gpt-a").await["context_window"], 500_000);
    setup.assert_events_replay().await;
    app.stop().await;
}

#[tokio::test]
async fn a_restart_asks_nobody_and_without_the_setting_its_words_are_gone() {
    let (mut setup, server) = setup().await;
    let app = setup.start_ready().await;
    until_enriched(&app).await;
    app.stop().await;
    let calls = Setup::calls(&server).await;
    assert_eq!(calls, 1);

    let app = setup.start().await;
    assert_eq!(model(&app, "openai:gpt-a").await["context_window"], 400_000);
    app.stop().await;

    setup.enrichment = None;
    let app = setup.start().await;
    assert!(model(&app, "openai:gpt-a").await["context_window"].is_null());
    assert!(app.sources().await["enrichment"].is_null());
    assert_eq!(Setup::calls(&server).await, calls);
    setup.assert_events_replay().await;
    app.stop().await;
}

#[tokio::test]
async fn another_file_does_not_inherit_the_words_of_the_first() {
    let (mut setup, _first) = setup().await;
    let app = setup.start_ready().await;
    until_enriched(&app).await;
    app.stop().await;

    let silent = MockServer::start().await;
    let url = format!("{}/api.json", silent.uri());
    setup.enrichment = Some(SourceConfig::enrichment(&url).expect("usable"));
    let app = setup.start().await;
    assert!(model(&app, "openai:gpt-a").await["context_window"].is_null());
    assert_eq!(app.sources().await["enrichment"]["models"], 0);
    app.stop().await;
}

#[tokio::test]
async fn it_speaks_of_providers_and_its_errors_of_its_own_setting() {
    let (mut setup, server) = setup().await;
    mount_ollama(setup.add_endpoint("box").await, &["m:7b"]).await;
    mount(
        &server,
        json!({"box": {"models": {"m:7b": {"limit": {"context": 5}}}}}),
    )
    .await;
    let app = setup.start_ready().await;
    until_enriched(&app).await;
    setup.advance(TimeDelta::seconds(31));
    app.catalog.wake();
    assert!(model(&app, "m:7b").await["context_window"].is_null());

    server.reset().await;
    setup.advance(TimeDelta::hours(25));
    app.catalog.wake();
    app.until("the failure is told", async |app| {
        let error = app.sources().await["enrichment"]["error"]["message"].clone();
        error
            .as_str()
            .is_some_and(|message| message.ends_with("check url of [enrichment]"))
    })
    .await;
    app.stop().await;
}
