//! Watched models: log, metric and webhook when one of them goes, is about to, or shrinks.

use chrono::{TimeDelta, Utc};
use model_catalog::{Watch, WebhookConfig};
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::method};

use crate::{
    helpers::{Setup, TestApp, mount, mount_vllm, openai_body},
    running::{Running, command_with_providers},
};

const SECRET: &str = "whsec_bW9kZWwtY2F0YWxvZy10ZXN0LXNlY3JldC0wMTIz";

async fn target() -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(200))
        .mount(&server)
        .await;
    server
}

fn models(windows: &[(&str, i64)]) -> Value {
    let ids: Vec<&str> = windows.iter().map(|(id, _)| *id).collect();
    let mut body = openai_body(&ids);
    for (index, (_, window)) in windows.iter().enumerate() {
        body["data"][index]["context_window"] = json!(window);
    }
    body
}

/// The ids of the alerts that `server` has received.
async fn alerted(server: &MockServer) -> Vec<String> {
    let requests = server.received_requests().await.expect("recording is on");
    let mut ids: Vec<String> = requests
        .iter()
        .filter_map(|request| {
            let body: Value = request.body_json().ok()?;
            (body["type"] == "catalog.watch").then(|| body["data"]["id"].to_string())
        })
        .collect();
    ids.sort();
    ids
}

async fn lists(setup: &Setup, app: &TestApp, body: Value) {
    setup.advance(TimeDelta::seconds(30));
    setup.openai.reset().await;
    mount(&setup.openai, "/v1/models", body).await;
    assert_eq!(app.refresh("openai").await["outcome"], "changed");
}

const LOCKFILE: &str = "version = 1\n[[model]]\nid = \"openai:a\"\ncontext_window = 1000\n[[model]]\nid = \"openai:b\"\n";

#[tokio::test]
async fn a_watched_model_that_goes_or_shrinks_is_told_once_and_so_is_its_return() {
    let server = target().await;
    let (wants, not) = (target().await, target().await);
    let webhook = |name: &str, server: &MockServer| {
        WebhookConfig::new(name, &server.uri(), SECRET).expect("usable")
    };
    let mut setup = Setup::new().await;
    setup.providers = vec!["openai"];
    setup.webhooks = vec![
        webhook("all", &server),
        webhook("alerts", &wants).events("watch").expect("usable"),
        webhook("removals", &not).events("removed").expect("usable"),
    ];
    setup.watch = Some(Watch::from_lockfile(LOCKFILE, TimeDelta::days(30)).expect("usable"));
    mount(
        &setup.openai,
        "/v1/models",
        models(&[("a", 1000), ("b", 5)]),
    )
    .await;
    let app = setup.start_ready().await;
    let metric = async |problem: &str| {
        let text = String::from_utf8(app.get("/metrics").await.body.to_vec()).expect("text");
        let line = format!(
            "model_catalog_watched_model_problem{{model=\"openai:a\",problem=\"{problem}\"}} 1"
        );
        text.lines().any(|other| other == line)
    };
    let alerts = async |server: &MockServer| -> Vec<Value> {
        let requests = server.received_requests().await.expect("recording is on");
        requests
            .iter()
            .filter(|request| {
                request.headers["webhook-id"]
                    .to_str()
                    .is_ok_and(|id| id.starts_with("watch-"))
            })
            .map(|request| request.body_json().expect("JSON"))
            .collect()
    };
    let until_told = async |count: usize| {
        app.until(&format!("{count} alerts"), async |app| {
            app.catalog.wake();
            alerts(&server).await.len() == count && alerts(&wants).await.len() == count
        })
        .await;
    };
    assert!(!metric("smaller_context").await);

    lists(&setup, &app, models(&[("a", 999), ("b", 5)])).await;
    until_told(1).await;
    assert!(metric("smaller_context").await);
    let alert = alerts(&server).await[0].clone();
    assert_eq!(alert["type"], "catalog.watch");
    assert_eq!(
        (
            &alert["data"]["id"],
            &alert["data"]["ok"],
            &alert["data"]["problems"]
        ),
        (
            &json!("openai:a"),
            &json!(false),
            &json!([{"kind": "smaller_context", "message": "context window 1000 → 999"}])
        )
    );
    // What does not change the verdict is not told again, not even by a restart.
    lists(&setup, &app, models(&[("a", 999), ("b", 6)])).await;
    app.stop().await;
    let app = setup.start_ready().await;
    lists(&setup, &app, models(&[("b", 6), ("c", 5)])).await;
    app.until("two alerts", async |app| {
        app.catalog.wake();
        alerts(&server).await.len() == 2
    })
    .await;
    let gone = alerts(&server).await[1].clone();
    assert_eq!(gone["data"]["problems"][0]["kind"], "missing");
    lists(&setup, &app, models(&[("a", 2000), ("b", 6), ("c", 5)])).await;
    app.until("three alerts", async |app| {
        app.catalog.wake();
        alerts(&server).await.len() == 3
    })
    .await;
    let back = alerts(&server).await[2].clone();
    assert_eq!(
        (&back["data"]["ok"], &back["data"]["problems"]),
        (&json!(true), &json!([]))
    );
    assert_eq!(alerts(&not).await, Vec::<Value>::new());
    let delivered =
        "SELECT COUNT(*) FROM webhook_deliveries WHERE alert IS NOT NULL AND outcome = 'delivered'";
    app.until("both targets have been told all of them", async |app| {
        app.catalog.wake();
        setup.sql(delivered).await == [[json!(6)]]
    })
    .await;
    app.stop().await;
}

#[tokio::test]
async fn a_date_that_comes_near_is_told_without_any_change() {
    let mut setup = Setup::new().await;
    setup.providers = vec!["openai"];
    setup.watch = Some(Watch::new(&["openai:a"], TimeDelta::days(30)).expect("usable"));
    let mut body = openai_body(&["a"]);
    body["data"][0]["shutdown_date"] = json!(
        (Utc::now() + TimeDelta::days(40))
            .format("%Y-%m-%d")
            .to_string()
    );
    mount(&setup.openai, "/v1/models", body).await;
    let app = setup.start_ready().await;
    app.until("it is watched", async |_| {
        setup.sql("SELECT problems FROM watched_models").await == [[json!("[]")]]
    })
    .await;
    setup.advance(TimeDelta::days(11));
    app.until("it is told", async |app| {
        app.catalog.wake();
        let alerts = setup.sql("SELECT model, problems FROM watch_alerts").await;
        alerts.len() == 1
            && alerts[0][1]
                .as_str()
                .is_some_and(|text| text.contains("retiring"))
    })
    .await;
    app.stop().await;
}

#[tokio::test]
async fn a_source_not_heard_from_is_no_alarm() {
    let mut setup = Setup::new().await;
    setup.providers = vec!["openai"];
    setup.watch = Some(Watch::new(&["openai:a"], TimeDelta::days(30)).expect("usable"));
    let app = setup.start_ready().await;
    app.catalog.wake();
    assert_eq!(app.source("openai").await["state"], "missing");
    mount(&setup.openai, "/v1/models", openai_body(&["a"])).await;
    setup.advance(TimeDelta::minutes(1));
    app.until("it is heard from", async |app| {
        app.catalog.wake();
        setup.sql("SELECT problems FROM watched_models").await == [[json!("[]")]]
    })
    .await;
    assert!(setup.sql("SELECT * FROM watch_alerts").await.is_empty());
    app.stop().await;
}

#[tokio::test]
async fn the_settings_name_the_models_or_a_lock_file() {
    let setup = Setup::happy().await;
    let folder = setup.directory.path();
    std::fs::write(
        folder.join("models.lock"),
        "version = 1\n[[model]]\nid = \"openai:gone\"\n",
    )
    .expect("written");
    std::fs::write(
        folder.join("watch.toml"),
        "[watch]\nmodels = [\"openai:gpt-a\"]\nlockfile = \"models.lock\"\nwithin = \"90d\"\n",
    )
    .expect("written");
    let mut command = command_with_providers(&setup);
    command.args(["--config", "watch.toml"]);
    let running = Running::start(command).await;
    running
        .until_logged("watched model openai:gone: not listed")
        .await;
    assert!(!running.log().contains("watched model openai:gpt-a"));
    // openai's answer is enough for that; the revision below is that of all three.
    assert_eq!(running.ids().await.len(), 6);
    let metrics = running.get("/metrics").await;
    for line in [
        "model_catalog_watched_model_problem{model=\"openai:gone\",problem=\"missing\"} 1",
        "model_catalog_models{source=\"openai\"} 2",
        "model_catalog_revision 3",
        "model_catalog_fetches_total{source=\"openai\",outcome=\"changed\"} 1",
    ] {
        assert!(
            metrics.lines().any(|other| other == line),
            "{line} in\n{metrics}"
        );
    }
    assert!(metrics.ends_with("# EOF\n"));
}

/// Whose model an alert is about is not guessed from its id: an endpoint's own ids may look like those of
/// a provider, and an endpoint may be called like the prefix of another's ids.
#[tokio::test]
async fn a_webhook_of_one_source_gets_the_alerts_of_its_models_and_no_others() {
    let (of_box, of_mistral, of_openai) = (target().await, target().await, target().await);
    let webhook = |source: &str, server: &MockServer| {
        WebhookConfig::new(source, &server.uri(), SECRET)
            .expect("usable")
            .source(source)
            .events("watch")
            .expect("usable")
    };
    let mut setup = Setup::new().await;
    setup.providers = vec!["openai"];
    setup.webhooks = vec![
        webhook("box", &of_box),
        webhook("mistral", &of_mistral),
        webhook("openai", &of_openai),
    ];
    let watched = ["mistral:7b", "llama:8b", "openai:gone", "never:listed"];
    setup.watch = Some(Watch::new(&watched, TimeDelta::days(30)).expect("usable"));
    mount(&setup.openai, "/v1/models", openai_body(&["a"])).await;
    for name in ["box", "mistral"] {
        setup.add_endpoint(name).await;
    }
    mount_vllm(
        &setup.endpoints["box"],
        &["mistral:7b", "llama:8b", "other"],
    )
    .await;
    mount_vllm(&setup.endpoints["mistral"], &["own", "other"]).await;
    let app = setup.start_ready().await;
    app.until("the provider's model is missing", async |app| {
        app.catalog.wake();
        alerted(&of_openai).await == ["\"openai:gone\""]
    })
    .await;
    setup.advance(TimeDelta::seconds(30));
    setup.endpoints["box"].reset().await;
    mount_vllm(&setup.endpoints["box"], &["other"]).await;
    app.until("the endpoint's models are missing", async |app| {
        app.catalog.wake();
        alerted(&of_box).await == ["\"llama:8b\"", "\"mistral:7b\""]
    })
    .await;
    let waiting = "SELECT COUNT(*) FROM webhooks
                   WHERE alert_cursor < (SELECT MAX(alert) FROM watch_alerts)";
    app.until("every webhook has come to the end", async |app| {
        app.catalog.wake();
        setup.sql(waiting).await == [[json!(0)]]
    })
    .await;
    assert_eq!(alerted(&of_mistral).await, Vec::<String>::new());
    assert_eq!(alerted(&of_openai).await, ["\"openai:gone\""]);
    let sources = "SELECT model, sources FROM watch_alerts ORDER BY model";
    assert_eq!(
        setup.sql(sources).await,
        [
            [json!("llama:8b"), json!("[\"box\"]")],
            [json!("mistral:7b"), json!("[\"box\"]")],
            [json!("never:listed"), json!("[]")],
            [json!("openai:gone"), json!("[\"openai\"]")],
        ]
    );
    app.stop().await;
}
