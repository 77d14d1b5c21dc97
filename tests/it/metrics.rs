//! `GET /metrics`: what is counted and measured, under names and units of Prometheus' conventions.

use std::collections::BTreeSet;

use wiremock::ResponseTemplate;

use crate::helpers::{Setup, TestApp, mount_openai, mount_template};

async fn scrape(app: &TestApp) -> String {
    let answer = app.get("/metrics").await;
    String::from_utf8(answer.body.to_vec()).expect("text")
}

/// The value of the sample `name`, with its labels; none when there is no such sample.
fn value(metrics: &str, name: &str) -> Option<f64> {
    let prefix = format!("model_catalog_{name} ");
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix(&prefix))?;
    Some(line.parse().expect("a number"))
}

#[track_caller]
fn is(metrics: &str, name: &str, expected: f64) {
    assert_eq!(value(metrics, name), Some(expected), "{name} in\n{metrics}");
}

#[tokio::test]
async fn attempts_are_timed_and_counted_with_what_came_of_them() {
    let mut setup = Setup::new().await;
    setup.providers = vec!["openai"];
    let many: Vec<String> = (0..40).map(|number| format!("m{number}")).collect();
    mount_openai(&setup.openai, &many).await;
    let app = setup.start_ready().await;
    let metrics = scrape(&app).await;
    let of = |name: &str| format!("{name}{{source=\"openai\"}}");
    is(&metrics, &of("fetch_duration_seconds_count"), 1.0);
    is(&metrics, "model_events_total{event=\"added\"}", 40.0);
    is(&metrics, &of("held_listings"), 0.0);
    let succeeded = value(&metrics, &of("last_success_timestamp_seconds")).expect("a time");
    let fetched_at = app.source("openai").await["fetched_at"].clone();
    let fetched_at: chrono::DateTime<chrono::Utc> =
        serde_json::from_value(fetched_at).expect("a time");
    assert_eq!(succeeded, fetched_at.timestamp() as f64);

    setup.advance(chrono::TimeDelta::seconds(31));
    setup.openai.reset().await;
    mount_template(&setup.openai, "/v1/models", ResponseTemplate::new(503)).await;
    assert_eq!(app.refresh("openai").await["outcome"], "failed");
    setup.advance(chrono::TimeDelta::minutes(31));
    setup.openai.reset().await;
    mount_openai(&setup.openai, &["m0"]).await;
    assert_eq!(app.refresh("openai").await["outcome"], "held");
    let metrics = scrape(&app).await;
    is(&metrics, &of("fetch_duration_seconds_count"), 3.0);
    let failures = "fetch_failures_total{source=\"openai\",kind=\"unavailable\"}";
    is(&metrics, failures, 1.0);
    is(&metrics, &of("held_listings"), 1.0);
    is(&metrics, &of("last_success_timestamp_seconds"), succeeded);

    let builds = value(&metrics, "snapshot_builds_total").expect("a number");
    let request = app
        .http
        .post(app.url("/catalog/refresh?source=openai&accept=true"));
    setup.advance(chrono::TimeDelta::seconds(31));
    assert_eq!(
        app.send(request).await.json()["sources"][0]["outcome"],
        "changed"
    );
    let metrics = scrape(&app).await;
    is(&metrics, "model_events_total{event=\"removed\"}", 39.0);
    is(&metrics, &of("held_listings"), 0.0);
    is(&metrics, "snapshot_builds_total", builds + 1.0);
    let size = value(&metrics, "database_size_bytes").expect("a size");
    let file = std::fs::metadata(setup.database_path())
        .expect("a file")
        .len();
    assert!(size >= file as f64, "{size} < {file}");
    let read = value(&metrics, "config_last_success_timestamp_seconds").expect("a time");
    assert!(read >= succeeded - 60.0, "{read}, {succeeded}");
    let version = env!("CARGO_PKG_VERSION");
    is(
        &metrics,
        &format!("build_info{{version=\"{version}\"}}"),
        1.0,
    );
}

#[tokio::test]
async fn what_a_webhook_has_yet_to_receive_is_counted_in_revisions() {
    let mut setup = Setup::new().await;
    setup.providers = vec!["openai"];
    mount_openai(&setup.openai, &["a"]).await;
    let target = wiremock::MockServer::start().await;
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let webhook = model_catalog::WebhookConfig::new("ops", &target.uri(), secret);
    setup.webhooks = vec![webhook.expect("usable")];
    let app = setup.start_ready().await;
    let lag = async |expected: f64| {
        let what = format!("{expected} revisions behind");
        app.until(&what, async |app| {
            let lag = value(&scrape(app).await, "webhook_lag_revisions{webhook=\"ops\"}");
            lag == Some(expected)
        })
        .await;
    };
    // It answers 404, and is tried again later.
    lag(1.0).await;
    setup.advance(chrono::TimeDelta::seconds(31));
    setup.openai.reset().await;
    mount_openai(&setup.openai, &["a", "b"]).await;
    assert_eq!(app.refresh("openai").await["outcome"], "changed");
    lag(2.0).await;
    wiremock::Mock::given(wiremock::matchers::method("POST"))
        .respond_with(ResponseTemplate::new(204))
        .mount(&target)
        .await;
    setup.advance(chrono::TimeDelta::hours(7));
    app.catalog.wake();
    lag(0.0).await;
}

#[tokio::test]
async fn requests_are_counted_by_route_and_status() {
    let app = Setup::happy().await.start_ready().await;
    for path in [
        "/v1/models",
        "/v1/models/openai:gpt-a",
        "/v1/models/openai:gpt-b",
        "/v1/models/nothing",
        "/catalog/changes?since=x",
        "/v1/models/",
        "/no/such/route",
        "/no/other",
    ] {
        app.get(path).await;
    }
    let metrics = scrape(&app).await;
    let count = |route: &str, status: u16| {
        let labels = format!("{{route=\"{route}\",status=\"{status}\"}}");
        value(&metrics, &format!("http_requests_total{labels}"))
    };
    assert_eq!(count("/v1/models", 200), Some(2.0), "{metrics}");
    assert_eq!(count("/v1/models/{*id}", 200), Some(2.0));
    assert_eq!(count("/v1/models/{*id}", 404), Some(1.0));
    assert_eq!(count("/catalog/changes", 400), Some(1.0));
    // What anybody may invent makes no series.
    assert_eq!(count("other", 404), Some(2.0));
    let timed = "http_request_duration_seconds_count{route=\"/v1/models/{*id}\"}";
    is(&metrics, timed, 3.0);
    assert!(!metrics.contains("no/such"), "{metrics}");
}

#[tokio::test]
async fn every_metric_is_described_and_documented() {
    let app = Setup::happy().await.start_ready().await;
    let metrics = scrape(&app).await;
    let names = |keyword: &str| -> BTreeSet<String> {
        let lines = metrics.lines();
        let names = lines.filter_map(|line| line.strip_prefix(keyword)?.split(' ').next());
        names.map(str::to_owned).collect()
    };
    let mut described = names("# HELP ");
    assert_eq!(described, names("# TYPE "));
    // They have no series until something fails or is configured.
    for name in [
        "config_reloads",
        "fetch_failures",
        "task_restarts",
        "watched_model_problem",
        "webhook_lag_revisions",
    ] {
        assert!(described.insert(format!("model_catalog_{name}")), "{name}");
    }
    assert_eq!(described, documented());
}

/// The metrics in the documentation, without the ending of counters.
fn documented() -> BTreeSet<String> {
    include_str!("../../docs/operations.md")
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .filter(|name| name.starts_with("model_catalog_"))
        .map(|name| name.strip_suffix("_total").unwrap_or(name).to_owned())
        .collect()
}

#[test]
fn alerts_and_the_dashboard_ask_for_metrics_that_exist() {
    let known = documented();
    for (file, text, least) in [
        (
            "prometheus-rules.yml",
            include_str!("../../deploy/prometheus-rules.yml"),
            10,
        ),
        (
            "grafana-dashboard.json",
            include_str!("../../deploy/grafana-dashboard.json"),
            15,
        ),
    ] {
        let words = text.split(|char: char| !(char.is_ascii_alphanumeric() || char == '_'));
        let asked: BTreeSet<&str> = words
            .filter(|word| word.starts_with("model_catalog_"))
            .map(|word| {
                let endings = ["_total", "_bucket"];
                let ending = endings.iter().find_map(|ending| word.strip_suffix(ending));
                ending.unwrap_or(word)
            })
            .collect();
        assert!(asked.len() >= least, "{file}: {asked:?}");
        for name in asked {
            assert!(known.contains(name), "{file} asks for {name}");
        }
    }
    let dashboard: serde_json::Value =
        serde_json::from_str(include_str!("../../deploy/grafana-dashboard.json")).expect("JSON");
    for panel in dashboard["panels"].as_array().expect("panels") {
        assert!(panel["title"].is_string(), "{panel}");
        let queries = panel["targets"].as_array().expect("queries");
        assert!(
            queries.iter().all(|query| query["expr"].is_string()),
            "{panel}"
        );
    }
}
