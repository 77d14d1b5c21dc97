//! Webhooks: signed, in order, at least once, and no matter to anything else.

use std::time::Duration;

use chrono::TimeDelta;
use model_catalog::WebhookConfig;
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::method};

use crate::{
    helpers::{Setup, TestApp, mount_openai},
    running::{Running, command_with_providers},
};

const SECRET: &str = "whsec_bW9kZWwtY2F0YWxvZy10ZXN0LXNlY3JldC0wMTIz";

async fn target(template: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    answer_with(&server, template).await;
    server
}

async fn answer_with(server: &MockServer, template: ResponseTemplate) {
    server.reset().await;
    Mock::given(method("POST"))
        .respond_with(template)
        .mount(server)
        .await;
}

fn webhook(name: &str, server: &MockServer) -> WebhookConfig {
    WebhookConfig::new(name, &format!("{}/hook?token=t0ken", server.uri()), SECRET)
        .expect("a usable webhook")
}

async fn setup(webhooks: &[WebhookConfig]) -> Setup {
    let mut setup = Setup::new().await;
    setup.providers = vec!["openai"];
    setup.webhooks = webhooks.to_vec();
    mount_openai(&setup.openai, &["a"]).await;
    setup
}

async fn change(setup: &Setup, app: &TestApp, ids: &[&str]) {
    setup.advance(TimeDelta::seconds(30));
    setup.openai.reset().await;
    mount_openai(&setup.openai, ids).await;
    assert_eq!(app.refresh("openai").await["outcome"], "changed");
}

async fn told(server: &MockServer) -> Vec<Request> {
    server.received_requests().await.expect("recording is on")
}

fn revision(request: &Request) -> i64 {
    let body: Value = request.body_json().expect("JSON");
    body["data"]["revision"].as_i64().expect("a revision")
}

async fn until_told(app: &TestApp, server: &MockServer, revisions: &[i64]) {
    app.until(&format!("told {revisions:?}"), async |app| {
        app.catalog.wake();
        told(server).await.iter().map(revision).collect::<Vec<_>>() == revisions
    })
    .await;
}

#[tokio::test]
async fn each_revision_is_told_signed_and_in_order() {
    let server = target(ResponseTemplate::new(204)).await;
    let setup = setup(&[webhook("ops", &server)]).await;
    let app = setup.start_ready().await;
    change(&setup, &app, &["a", "b"]).await;
    change(&setup, &app, &["b"]).await;
    until_told(&app, &server, &[1, 2, 3]).await;
    for request in told(&server).await {
        let id = revision(&request).to_string();
        assert_eq!(request.headers["webhook-id"], id, "one number everywhere");
        assert_eq!(request.headers["content-type"], "application/json");
        // The clock of this test is ahead: sign again rather than verify, which checks the time.
        let timestamp = request.headers["webhook-timestamp"].to_str().expect("text");
        let expected = Webhook::new(SECRET)
            .expect("a secret")
            .sign(&id, timestamp.parse().expect("seconds"), &request.body)
            .expect("signed");
        assert_eq!(request.headers["webhook-signature"], expected);
    }
    let body: Value = told(&server).await[2].body_json().expect("JSON");
    assert_eq!(body["type"], "catalog.revision");
    assert_eq!(body["timestamp"], body["data"]["at"]);
    let changes = app.get("/catalog/changes?since=2").await.json();
    assert_eq!(body["data"]["events"], changes["events"]);
    let query =
        "SELECT webhook, revision, outcome, http_status, error FROM webhook_deliveries ORDER BY id";
    // The target has a message a moment before its delivery is written down.
    app.until("three deliveries are written", async |_| {
        setup.sql(query).await.len() == 3
    })
    .await;
    let deliveries = setup.sql(query).await;
    assert_eq!(
        deliveries[1],
        [
            json!("ops"),
            json!(2),
            json!("delivered"),
            json!(204),
            Value::Null
        ]
    );
    app.stop().await;
}

#[tokio::test]
async fn a_signature_is_accepted_by_the_specifications_own_library() {
    let server = target(ResponseTemplate::new(200)).await;
    let setup = setup(&[webhook("ops", &server)]).await;
    let app = setup.start_ready().await;
    until_told(&app, &server, &[1]).await;
    let request = &told(&server).await[0];
    Webhook::new(SECRET)
        .expect("a secret")
        .verify(&request.body, &request.headers)
        .expect("a valid signature");
    app.stop().await;
}

#[tokio::test]
async fn a_target_is_told_what_it_wants() {
    let (removals, globs, other) = (
        target(ResponseTemplate::new(200)).await,
        target(ResponseTemplate::new(200)).await,
        target(ResponseTemplate::new(200)).await,
    );
    let setup = setup(&[
        webhook("removals", &removals)
            .events("removed")
            .expect("usable"),
        webhook("globs", &globs)
            .models(&["openai:b*"])
            .expect("usable"),
        webhook("other", &other).source("google"),
    ])
    .await;
    let app = setup.start_ready().await;
    change(&setup, &app, &["a", "a2", "a3", "b", "bc"]).await;
    change(&setup, &app, &["a", "a2", "a3"]).await;
    until_told(&app, &removals, &[3]).await;
    until_told(&app, &globs, &[2, 3]).await;
    let ids = |request: &Request| -> Vec<String> {
        let body: Value = request.body_json().expect("JSON");
        let events = body["data"]["events"].as_array().expect("events");
        events
            .iter()
            .map(|event| event["id"].as_str().expect("an id").to_owned())
            .collect()
    };
    assert_eq!(ids(&told(&globs).await[0]), ["openai:b", "openai:bc"]);
    assert_eq!(ids(&told(&removals).await[0]), ["openai:b", "openai:bc"]);
    app.until("the other one's cursor moves on", async |app| {
        app.catalog.wake();
        setup
            .sql("SELECT cursor FROM webhooks WHERE name = 'other'")
            .await
            == [[json!(3)]]
    })
    .await;
    assert!(told(&other).await.is_empty());
    app.stop().await;
}

#[tokio::test]
async fn a_dead_target_delays_nothing_and_misses_nothing() {
    let (dead, slow) = (
        target(ResponseTemplate::new(503)).await,
        target(ResponseTemplate::new(200).set_delay(Duration::from_secs(10))).await,
    );
    let setup = setup(&[webhook("dead", &dead), webhook("slow", &slow)]).await;
    let app = setup.start_ready().await;
    let began = tokio::time::Instant::now();
    for ids in [&["a", "b"][..], &["a"], &["a", "c"]] {
        change(&setup, &app, ids).await;
    }
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    app.until("it was tried", async |_| !told(&dead).await.is_empty())
        .await;
    app.stop().await;
    assert!(
        told(&dead)
            .await
            .iter()
            .all(|request| revision(request) == 1),
        "in order"
    );
    let rows = setup
        .sql("SELECT cursor, consecutive_failures > 0, failing_since IS NOT NULL FROM webhooks WHERE name = 'dead'")
        .await;
    assert_eq!(rows, [[json!(0), json!(1), json!(1)]]);

    // It comes back, after a restart of ours too.
    answer_with(&dead, ResponseTemplate::new(200)).await;
    answer_with(&slow, ResponseTemplate::new(200)).await;
    setup.advance(TimeDelta::hours(7));
    let app = setup.start_ready().await;
    until_told(&app, &dead, &[1, 2, 3, 4]).await;
    // What was being sent at the stop is sent again, under the same id.
    until_told(&app, &slow, &[1, 2, 3, 4]).await;
    app.stop().await;
}

#[tokio::test]
async fn failures_wait_longer_and_longer_and_as_long_as_they_ask() {
    let server = target(ResponseTemplate::new(429).insert_header("retry-after", "1000")).await;
    let setup = setup(&[webhook("ops", &server)]).await;
    let app = setup.start_ready().await;
    let tries = async |count: usize| {
        app.until(&format!("{count} tries"), async |app| {
            app.catalog.wake();
            setup.sql("SELECT 1 FROM webhook_deliveries").await.len() == count
        })
        .await;
    };
    tries(1).await;
    setup.advance(TimeDelta::seconds(900));
    app.catalog.wake();
    answer_with(&server, ResponseTemplate::new(500)).await;
    let waits = "SELECT unixepoch(next_attempt_at) - unixepoch(
         (SELECT MAX(at) FROM webhook_deliveries)) FROM webhooks";
    let wait = setup.sql(waits).await[0][0].as_i64().expect("seconds");
    assert!((999..=1002).contains(&wait), "{wait}");
    setup.advance(TimeDelta::seconds(200));
    for (tried, longest) in [(2, 20), (3, 40), (4, 80), (5, 160)] {
        tries(tried).await;
        let wait = setup.sql(waits).await[0][0].as_i64().expect("seconds");
        assert!(
            (longest / 2 - 1..=longest + 1).contains(&wait),
            "{wait} after {tried}"
        );
        setup.advance(TimeDelta::seconds(wait + 1));
    }
    app.stop().await;
}

#[tokio::test]
async fn a_corrected_url_does_not_wait_for_the_failures_of_the_old_one() {
    let (wrong, right) = (
        target(ResponseTemplate::new(404).insert_header("retry-after", "20000")).await,
        target(ResponseTemplate::new(200)).await,
    );
    let mut setup = setup(&[webhook("ops", &wrong)]).await;
    let app = setup.start_ready().await;
    until_told(&app, &wrong, &[1]).await;
    app.stop().await;
    setup.webhooks = vec![webhook("ops", &right)];
    let app = setup.start_ready().await;
    until_told(&app, &right, &[1]).await;
    app.stop().await;
    assert_eq!(told(&wrong).await.len(), 1);
}

#[tokio::test]
async fn after_three_days_what_is_old_is_given_up_and_what_is_new_is_told() {
    let server = target(ResponseTemplate::new(500)).await;
    let setup = setup(&[webhook("ops", &server)]).await;
    let app = setup.start_ready().await;
    change(&setup, &app, &["a", "b"]).await;
    app.until("it was tried", async |app| {
        app.catalog.wake();
        !told(&server).await.is_empty()
    })
    .await;
    setup.advance(TimeDelta::days(2));
    setup.openai.reset().await;
    mount_openai(&setup.openai, &["a"]).await;
    app.until("the third revision is made", async |app| {
        app.catalog.wake();
        app.models().await.ids() == ["openai:a"]
    })
    .await;
    setup.advance(TimeDelta::days(1));
    app.until("the first two are given up", async |app| {
        app.catalog.wake();
        setup
            .sql("SELECT revision FROM webhook_deliveries WHERE outcome = 'given_up'")
            .await
            == [[json!(2)]]
    })
    .await;
    assert_eq!(setup.sql("SELECT cursor FROM webhooks").await, [[json!(2)]]);
    answer_with(&server, ResponseTemplate::new(200)).await;
    setup.advance(TimeDelta::hours(7));
    until_told(&app, &server, &[3]).await;
    app.stop().await;
}

#[tokio::test]
async fn a_target_that_is_gone_is_left_alone_until_a_restart() {
    let server = target(ResponseTemplate::new(410)).await;
    let setup = setup(&[webhook("ops", &server)]).await;
    let app = setup.start_ready().await;
    until_told(&app, &server, &[1]).await;
    app.until("it is known to be gone", async |_| {
        setup.sql("SELECT gone_at IS NOT NULL FROM webhooks").await == [[json!(1)]]
    })
    .await;
    change(&setup, &app, &["a", "b"]).await;
    setup.advance(TimeDelta::hours(7));
    app.catalog.wake();
    app.stop().await;
    assert_eq!(told(&server).await.len(), 1);
    answer_with(&server, ResponseTemplate::new(200)).await;
    setup.advance(TimeDelta::hours(7));
    let app = setup.start_ready().await;
    until_told(&app, &server, &[1, 2]).await;
    app.stop().await;
}

/// The real binary with the target in its file; neither its URL nor its secret shows anywhere.
#[tokio::test]
async fn a_webhook_in_the_settings_works_and_stays_secret() {
    let server = target(ResponseTemplate::new(500)).await;
    let setup = Setup::happy().await;
    let toml = format!(
        "[webhooks.ops]\nurl = \"{}/t0ken-in-the-path\"\nsecret_env = \"OPS_SECRET\"\nsources = [\"openai\"]\nevents = [\"added\"]\nmodels = [\"*gpt-a\"]\n",
        server.uri()
    );
    std::fs::write(setup.directory.path().join("hooks.toml"), toml).expect("written");
    let mut command = command_with_providers(&setup);
    command
        .args(["--config", "hooks.toml"])
        .env("OPS_SECRET", SECRET)
        .env("RUST_LOG", "trace");
    let running = Running::start(command).await;
    running.until_logged("webhook ops").await;
    let request = told(&server).await[0].clone();
    let body: Value = request.body_json().expect("JSON");
    assert_eq!(body["data"]["events"][0]["id"], "openai:gpt-a");
    assert_eq!(body["data"]["events"].as_array().map(Vec::len), Some(1));
    let mut everything = running.log();
    for path in ["/catalog/sources", "/catalog/changes", "/v1/models"] {
        everything.push_str(&running.get(path).await);
    }
    let tables = setup
        .sql("SELECT * FROM webhooks, webhook_deliveries")
        .await;
    everything.push_str(&format!("{tables:?}"));
    for secret in ["t0ken-in-the-path", SECRET.trim_start_matches("whsec_")] {
        assert!(!everything.contains(secret), "{secret} in {everything}");
    }
}

#[tokio::test]
async fn a_target_that_comes_back_after_its_revisions_were_forgotten_goes_on_with_what_is_kept() {
    let server = target(ResponseTemplate::new(200)).await;
    let mut setup = setup(&[webhook("ops", &server)]).await;
    let app = setup.start_ready().await;
    until_told(&app, &server, &[1]).await;
    app.stop().await;
    let webhooks = std::mem::take(&mut setup.webhooks);
    let app = setup.start_ready().await;
    for ids in [&["a", "b"][..], &["a"], &["a", "b"], &["a"]] {
        change(&setup, &app, ids).await;
    }
    assert_eq!(app.models().await.header("catalog-revision"), Some("5"));
    app.stop().await;
    setup.advance(TimeDelta::days(2));
    let mut config = setup.config();
    config.retention.events = Some(TimeDelta::days(1));
    let app = TestApp::start(config).await;
    app.until("it is forgotten", async |_| {
        setup.sql("SELECT history_from FROM catalog").await == [[json!(5)]]
    })
    .await;
    // Two days have passed: it is asked by itself, and only then again.
    app.until("it was asked", async |app| {
        app.source("openai").await["state"] == "fresh"
    })
    .await;
    app.stop().await;
    setup.webhooks = webhooks;
    let app = setup.start_ready().await;
    change(&setup, &app, &["a", "c"]).await;
    until_told(&app, &server, &[1, 6]).await;
    app.stop().await;
}
