//! What the settings make of a source's listing: `include`, `exclude` and `aliases`.

use model_catalog::{Kind, SourceConfig};
use serde_json::json;
use wiremock::MockServer;

use crate::helpers::{Setup, TestApp, mount_openai};

/// A catalog whose only source is the provider `acme`.
async fn setup(models: &[&str]) -> (Setup, MockServer) {
    let mut setup = Setup::new().await;
    setup.providers.clear();
    let acme = MockServer::start().await;
    mount_openai(&acme, models).await;
    (setup, acme)
}

fn acme(server: &MockServer) -> SourceConfig {
    let base_url = format!("{}/v1", server.uri());
    SourceConfig::provider("acme", Kind::OpenAi, &base_url, None).expect("usable")
}

async fn ids(app: &TestApp) -> Vec<String> {
    app.models().await.json()["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|entry| entry["id"].as_str().expect("an id").to_owned())
        .collect()
}

#[tokio::test]
async fn what_is_excluded_is_not_served_and_aliases_are() {
    let (mut setup, server) = setup(&["big", "big-preview", "org/small"]).await;
    let source = acme(&server)
        .exclude(&["*-preview"])
        .and_then(|source| source.alias("best", "big"))
        .and_then(|source| source.alias("next", "big-preview"))
        .and_then(|source| source.alias("lost", "not-listed"))
        .expect("usable");
    setup.extra.push(source);
    let app = setup.start_ready().await;

    assert_eq!(
        ids(&app).await,
        ["acme:best", "acme:big", "acme:next", "acme:org/small"]
    );
    let best = app.get("/v1/models/acme:best").await;
    assert_eq!(
        best.json(),
        json!({"id": "acme:best", "object": "model", "created": 1_700_000_000, "owned_by": "acme", "alias_of": "acme:big"})
    );
    for id in ["acme:big-preview", "acme:lost"] {
        assert_eq!(
            app.get(&format!("/v1/models/{id}")).await.status,
            404,
            "{id}"
        );
    }
    assert_eq!(
        setup
            .sql("SELECT model_id, hidden_by FROM cloud_models WHERE hidden_by IS NOT NULL")
            .await,
        [[json!("big-preview"), json!("exclude = \"*-preview\"")]]
    );
    setup.assert_events_replay().await;
    app.stop().await;
}

#[tokio::test]
async fn changed_rules_need_no_provider_and_are_one_revision() {
    let (mut setup, server) = setup(&["a", "b", "c"]).await;
    setup.extra.push(acme(&server));
    let app = setup.start_ready().await;
    assert_eq!(ids(&app).await, ["acme:a", "acme:b", "acme:c"]);
    app.stop().await;

    let asked = Setup::calls(&server).await;
    setup.extra[0] = acme(&server)
        .include(&["[ab]"])
        .and_then(|source| source.exclude(&["b"]))
        .and_then(|source| source.alias("z", "c"))
        .expect("usable");
    let app = setup.start().await;
    assert_eq!(ids(&app).await, ["acme:a", "acme:z"]);
    let changes = app.get("/catalog/changes?since=1").await.json();
    let events: Vec<_> = changes["events"]
        .as_array()
        .expect("events")
        .iter()
        .map(|event| {
            (
                event["revision"].clone(),
                event["event"].clone(),
                event["id"].clone(),
            )
        })
        .collect();
    assert_eq!(
        events,
        [
            (json!(2), json!("removed"), json!("acme:b")),
            (json!(2), json!("removed"), json!("acme:c")),
            (json!(2), json!("added"), json!("acme:z")),
        ]
    );
    app.stop().await;

    setup.extra[0] = acme(&server);
    let app = setup.start().await;
    assert_eq!(ids(&app).await, ["acme:a", "acme:b", "acme:c"]);
    assert_eq!(
        app.get("/v1/models?revision=2").await.json()["data"]
            .as_array()
            .map(Vec::len),
        Some(2)
    );
    assert_eq!(
        Setup::calls(&server).await,
        asked,
        "the provider was not asked for it"
    );
    setup.assert_events_replay().await;
    app.stop().await;
}

#[tokio::test]
async fn hidden_models_count_for_the_guard_and_aliases_do_not() {
    let (mut setup, server) = setup(&["a", "b", "c", "d"]).await;
    let source = acme(&server)
        .exclude(&["[bcd]"])
        .and_then(|source| source.alias("x", "a"))
        .and_then(|source| source.alias("y", "a"))
        .expect("usable");
    setup.extra.push(source);
    let app = setup.start_ready().await;
    assert_eq!(ids(&app).await, ["acme:a", "acme:x", "acme:y"]);

    // Two of four is no strange answer, one of four is.
    for (listed, outcome) in [(vec!["a", "b"], "unchanged"), (vec![], "held")] {
        server.reset().await;
        mount_openai(&server, &listed).await;
        setup.advance(chrono::TimeDelta::seconds(11));
        let answer = app.refresh("acme").await;
        assert_eq!(answer["outcome"], outcome, "{answer}");
    }
    assert_eq!(ids(&app).await, ["acme:a", "acme:x", "acme:y"]);
    app.stop().await;
}
