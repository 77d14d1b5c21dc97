//! Models that say something else at each fetch make few events, are named, and are served as their last
//! event says.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::helpers::{Setup, TestApp, mount};

const MODELS: usize = 100;

/// Lists the models with this context window.
async fn list(setup: &Setup, context_window: u32) {
    let server = &setup.endpoints["box"];
    server.reset().await;
    let entry = |number| json!({"id": format!("m{number:03}"), "object": "model", "created": 1, "owned_by": "vllm", "max_model_len": context_window});
    let data: Vec<Value> = (0..MODELS).map(entry).collect();
    let body = json!({"object": "list", "data": data});
    mount(server, "/v1/models", body).await;
}

async fn context_windows(app: &TestApp) -> Vec<Value> {
    let list = app.models().await.json();
    let entries = list["data"].as_array().expect("entries");
    let mut windows: Vec<Value> = entries
        .iter()
        .map(|entry| entry["context_window"].clone())
        .collect();
    windows.dedup();
    windows
}

#[tokio::test]
async fn a_field_that_flaps_at_every_fetch_is_noticed_and_damped() {
    let mut setup = Setup::new().await;
    setup.providers.clear();
    setup.add_endpoint("box").await;
    list(&setup, 1_000).await;
    let app = setup.start_ready().await;
    let events = async || {
        let rows = setup.sql("SELECT COUNT(*) FROM model_events").await;
        rows[0][0].as_u64().expect("a count")
    };
    assert_eq!(events().await, 100);
    assert!(app.source("box").await["damped"].is_null());

    for fetch in 1..=20 {
        setup.advance(TimeDelta::seconds(30));
        list(&setup, 1_000 + fetch % 2).await;
        let outcome = app.refresh("box").await;
        let expected = if fetch <= 2 { "changed" } else { "unchanged" };
        assert_eq!(outcome["outcome"], expected, "{fetch}");
    }
    assert_eq!(events().await, 300, "added, changed, and back once");
    assert_eq!(context_windows(&app).await, [1_000]);
    let source = app.source("box").await;
    let damped = &source["damped"];
    assert_eq!(damped["count"], 100, "{source}");
    assert_eq!(damped["examples"][0], "m000");
    let until = damped["until"].as_str().expect("a time");
    assert!(Some(until) > source["fetched_at"].as_str(), "{source}");
    setup.assert_events_replay().await;

    // What stays for an hour counts.
    setup.advance(TimeDelta::hours(1));
    list(&setup, 1_001).await;
    assert_eq!(app.refresh("box").await["outcome"], "changed");
    assert_eq!(context_windows(&app).await, [1_001]);
    assert!(app.source("box").await["damped"].is_null());

    // Who accepts a listing takes it at its word.
    list(&setup, 1_000).await;
    setup.advance(TimeDelta::seconds(30));
    assert_eq!(app.refresh("box").await["outcome"], "unchanged");
    setup.advance(TimeDelta::seconds(30));
    assert_eq!(app.refresh("box&accept=true").await["outcome"], "changed");
    assert_eq!(context_windows(&app).await, [1_000]);
    assert!(app.source("box").await["damped"].is_null());
    assert_eq!(events().await, 500);
    setup.assert_events_replay().await;
    app.stop().await;
}
