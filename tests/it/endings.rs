//! A provider that has ended: `gone` in one event, asked once a day, and back when it lists again.

use chrono::TimeDelta;
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::helpers::{Setup, TestApp, mount_openai, mount_template};

async fn answer_410(setup: &Setup) {
    setup.openai.reset().await;
    let template =
        ResponseTemplate::new(410).set_body_json(json!({"error": {"message": "retired"}}));
    mount_template(&setup.openai, "/v1/models", template).await;
}

/// The events of whole sources: event and reason.
async fn source_events(app: &TestApp) -> Vec<(Value, Value)> {
    let changes = app.get("/catalog/changes?event=hidden,shown").await.json();
    let events = changes["events"].as_array().expect("events").iter();
    events
        .map(|event| (event["event"].clone(), event["reason"].clone()))
        .collect()
}

#[tokio::test]
async fn a_provider_that_answers_410_is_gone_until_it_lists_again() {
    let mut setup = Setup::new().await;
    setup.providers = vec!["openai"];
    mount_openai(&setup.openai, &["gpt-a"]).await;
    let app = setup.start_ready().await;
    answer_410(&setup).await;

    // One might be a proxy's mistake.
    setup.advance(TimeDelta::hours(1));
    assert_eq!(app.refresh("openai").await["outcome"], "failed");
    assert_eq!(app.source("openai").await["state"], "fresh");
    assert_eq!(app.models().await.ids(), ["openai:gpt-a"]);

    setup.advance(TimeDelta::minutes(10));
    app.refresh("openai").await;
    let source = app.source("openai").await;
    assert_eq!(
        (&source["state"], &source["models"]),
        (&json!("gone"), &json!(1))
    );
    assert_eq!(source["error"]["message"], "answered 410: retired");
    assert_eq!(app.models().await.ids(), Vec::<String>::new());
    assert_eq!(
        source_events(&app).await,
        [(json!("hidden"), json!("gone"))]
    );
    let health = setup.sql("SELECT hidden_reason FROM source_health").await;
    assert_eq!(health, [[json!("gone")]]);

    // A restart asks no sooner, and says nothing again.
    app.stop().await;
    let app = setup.start().await;
    assert_eq!(app.source("openai").await["state"], "gone");
    let next = app.source("openai").await["next_attempt_at"].clone();
    let next: chrono::DateTime<chrono::Utc> =
        next.as_str().expect("a time").parse().expect("a time");
    let wait = next.signed_duration_since(setup.clock.now().utc());
    assert!((23..=24).contains(&wait.num_hours()), "{wait}");
    for _ in 0..3 {
        setup.advance(TimeDelta::hours(24));
        app.refresh("openai").await;
    }
    assert_eq!(source_events(&app).await.len(), 1);

    setup.openai.reset().await;
    mount_openai(&setup.openai, &["gpt-a"]).await;
    setup.advance(TimeDelta::hours(24));
    app.refresh("openai").await;
    assert_eq!(app.source("openai").await["state"], "fresh");
    assert_eq!(app.models().await.ids(), ["openai:gpt-a"]);
    assert_eq!(source_events(&app).await[1], (json!("shown"), Value::Null));
    setup.assert_events_replay().await;
    app.stop().await;
}

/// A provider that never listed anything is gone too, and no request waits for it any more.
#[tokio::test]
async fn a_provider_that_never_answered_anything_else_is_gone() {
    let mut setup = Setup::new().await;
    setup.providers = vec!["openai"];
    answer_410(&setup).await;
    let app = setup.start_ready().await;
    assert_eq!(app.models().await.header("cache-control"), Some("no-store"));
    setup.advance(TimeDelta::minutes(11));
    app.refresh("openai").await;
    assert_eq!(app.source("openai").await["state"], "gone");
    assert_eq!(app.models().await.header("cache-control"), Some("no-cache"));
    app.stop().await;
}

/// Its new address is asked at once.
#[tokio::test]
async fn a_new_base_url_ends_the_end() {
    let mut setup = Setup::new().await;
    setup.providers = vec!["openai"];
    mount_openai(&setup.openai, &["gpt-a"]).await;
    let app = setup.start_ready().await;
    answer_410(&setup).await;
    for minutes in [1, 11] {
        setup.advance(TimeDelta::minutes(minutes));
        app.refresh("openai").await;
    }
    assert_eq!(app.source("openai").await["state"], "gone");
    app.stop().await;
    // One that does not work yet is asked as often as any other.
    setup.openai = wiremock::MockServer::start().await;
    mount_template(&setup.openai, "/v1/models", ResponseTemplate::new(500)).await;
    let app = setup.start().await;
    app.until("it was asked", async |app| {
        let source = app.source("openai").await;
        source["error"]["kind"] == "unavailable"
    })
    .await;
    let source = app.source("openai").await;
    assert_eq!(
        (&source["state"], &source["consecutive_failures"]),
        (&json!("stale"), &json!(1))
    );
    app.stop().await;
    setup.openai = wiremock::MockServer::start().await;
    mount_openai(&setup.openai, &["gpt-a"]).await;
    let app = setup.start().await;
    app.until("it is back", async |app| {
        app.source("openai").await["state"] == "fresh"
    })
    .await;
    assert_eq!(app.models().await.ids(), ["openai:gpt-a"]);
    app.stop().await;
}
