//! A background task that fails is restarted, and everybody can see it.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use chrono::TimeDelta;
use model_catalog::{OnStep, SourceConfig, Watch, WebhookConfig};
use serde_json::json;

use crate::{
    helpers::{Setup, TestApp, mount_openai},
    running::sqlx_exec,
};

/// Panics in each step of the task `name` while the switch is on.
fn failing(name: &'static str) -> (OnStep, Arc<AtomicBool>) {
    let is_failing = Arc::new(AtomicBool::new(true));
    let switch = is_failing.clone();
    let hook = OnStep::new(move |task| {
        assert!(
            task != name || !switch.load(Ordering::SeqCst),
            "on purpose in {task}"
        );
    });
    (hook, is_failing)
}

async fn metric(app: &TestApp, line: &str) -> Option<u64> {
    let answer = app.get("/metrics").await;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let prefix = format!("model_catalog_{line} ");
    let value = text.lines().find_map(|line| line.strip_prefix(&prefix))?;
    Some(value.parse().expect("a number"))
}

#[tokio::test]
async fn a_source_whose_task_fails_is_seen_and_recovers() {
    let setup = Setup::happy().await;
    let (on_step, is_failing) = failing("source:openai");
    let mut config = setup.config();
    config.on_step = on_step;
    let app = TestApp::start(config).await;
    app.until("the others are listed", async |app| {
        app.get("/v1/models").await.ids().len() == 4
    })
    .await;
    app.until("it was restarted", async |app| {
        let source = app.source("openai").await;
        source["restarts"]["count"].as_u64() >= Some(2)
    })
    .await;
    let source = app.source("openai").await;
    assert_eq!(
        source["restarts"]["message"],
        "it panicked: on purpose in source:openai"
    );
    assert!(source["restarts"]["last_at"].is_string(), "{source}");
    assert!(app.source("google").await["restarts"].is_null());
    let restarts = metric(&app, r#"task_restarts_total{task="source:openai"}"#).await;
    assert!(restarts >= Some(2), "{restarts:?}");
    let ready = app.get("/readyz").await;
    assert_eq!(ready.status, 200);
    assert!(
        ready.json()["restarts"]["source"].as_u64() >= Some(2),
        "{:?}",
        ready.json()
    );
    assert_eq!(
        app.get("/healthz").await.status,
        200,
        "others are refreshed"
    );

    // Whoever asks for it is told at once, or after the restart.
    let refresh = app.http.post(app.url("/catalog/refresh?source=openai"));
    let answer = app.send(refresh).await.json();
    assert_eq!(answer["sources"][0]["outcome"], "failed", "{answer}");
    assert_eq!(answer["sources"][0]["error"]["kind"], "internal");

    // It is due, and not asked for longer and longer.
    assert!(source["overdue_since"].is_null(), "{source}");
    setup.advance(TimeDelta::seconds(91));
    app.until("the watchdog says so", async |app| {
        app.source("openai").await["overdue_since"].is_string()
    })
    .await;
    let overdue = metric(&app, r#"source_overdue{source="openai"}"#).await;
    assert_eq!(overdue, Some(1));

    is_failing.store(false, Ordering::SeqCst);
    app.until("it is listed", async |app| {
        app.get("/v1/models").await.ids().len() == 6
    })
    .await;
    app.until("it is no longer overdue", async |app| {
        app.source("openai").await["overdue_since"].is_null()
    })
    .await;
    app.stop().await;
}

/// Each task that there is panics once.
#[tokio::test]
async fn every_task_is_restarted() {
    let mut setup = Setup::happy().await;
    setup.enrichment = Some(SourceConfig::enrichment("http://127.0.0.1:9/x").expect("usable"));
    let hook = WebhookConfig::new(
        "ops",
        "http://127.0.0.1:9/",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    );
    setup.webhooks = vec![hook.expect("usable")];
    setup.watch = Some(Watch::new(&["openai:gpt-a"], TimeDelta::days(30)).expect("usable"));
    // No server is there.
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    setup.discovery_ports = vec![free.local_addr().expect("an address").port()];
    drop(free);
    let failed = Mutex::new(BTreeSet::new());
    let seen: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let restarted = seen.clone();
    let hook = OnStep::new(move |task| {
        // Its first step is 30 s after the start.
        if task == "presence" {
            return;
        }
        let is_first = failed
            .lock()
            .is_ok_and(|mut failed| failed.insert(task.to_owned()));
        assert!(!is_first, "on purpose");
        restarted.lock().expect("no panic").insert(task.to_owned());
    });
    let mut config = setup.config();
    config.on_step = hook;
    let app = TestApp::start(config).await;
    let expected = [
        "discovery",
        "enrichment",
        "follow",
        "prune",
        "source:anthropic",
        "source:google",
        "source:openai",
        "watch",
        "watchdog",
        "webhook:ops",
    ];
    app.until("all were restarted", async |_| {
        seen.lock().expect("no panic").len() == expected.len()
    })
    .await;
    let seen: Vec<String> = seen.lock().expect("no panic").iter().cloned().collect();
    assert_eq!(seen, expected);
    for task in expected {
        let restarts = metric(&app, &format!("task_restarts_total{{task=\"{task}\"}}")).await;
        assert_eq!(restarts, Some(1), "{task}");
    }
    let ready = app.get("/readyz").await;
    assert_eq!(
        ready.json(),
        json!({"status": "ok", "restarts": {
            "discovery": 1, "enrichment": 1, "follow": 1, "prune": 1, "source": 3, "watch": 1,
            "watchdog": 1, "webhook": 1,
        }}),
        "kinds only: anybody may ask"
    );
    app.until("all is listed", async |app| {
        app.get("/v1/models").await.ids().len() == 6
    })
    .await;

    // They work as before: what another process commits is seen, and wakes the source's task.
    setup.openai.reset().await;
    mount_openai(&setup.openai, &["gpt-new", "gpt-a"]).await;
    let due =
        "UPDATE sources SET next_attempt_at = '2020-01-01T00:00:00.000Z' WHERE name = 'openai'";
    sqlx_exec(&setup, due).await;
    app.until("the new model is listed", async |app| {
        let ids = app.get("/v1/models").await.ids();
        ids.contains(&"openai:gpt-new".to_owned())
    })
    .await;
    app.stop().await;
}

#[tokio::test]
async fn a_service_that_cannot_do_its_work_says_so() {
    let setup = Setup::happy().await;
    let (on_step, _) = failing("follow");
    let mut config = setup.config();
    config.on_step = on_step;
    let app = TestApp::start(config).await;
    assert_eq!(app.get("/healthz").await.status, 200);
    // Five restarts with pauses of 1, 2, 4 and 8 s.
    app.until("four restarts", async |app| {
        metric(app, r#"task_restarts_total{task="follow"}"#).await >= Some(4)
    })
    .await;
    assert_eq!(app.get("/healthz").await.status, 200);
    app.until("it says so", async |app| {
        app.get("/healthz").await.status == 503
    })
    .await;
    let answer = app.get("/healthz").await.json();
    assert_eq!(answer["status"], "failing");
    let message = answer["message"].as_str().expect("a line");
    assert!(
        message.contains("kind follow fails again and again"),
        "{message}"
    );
    assert_eq!(app.get("/v1/models").await.status, 200, "it serves on");
    app.stop().await;
}
