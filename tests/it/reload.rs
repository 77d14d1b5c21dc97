//! New settings for a running catalog: at SIGHUP, when the file changes, when a key is refused, and by the
//! library. Nothing that is served is lost, and what cannot be used changes nothing.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::TimeDelta;
use model_catalog::{ClientKey, SourceConfig, WebhookConfig};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{header, method, path},
};

use crate::{
    helpers::{Setup, TestApp, mount_openai, mount_template, openai_body},
    running::{Running, command},
};

async fn reconfigure(app: &TestApp, setup: &Setup) -> model_catalog::Reconfigured {
    let changes = app.catalog.reconfigure(setup.config()).await;
    changes.expect("usable settings")
}

fn names(names: &[impl ToString]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn sources_come_change_and_go_and_the_others_are_not_asked_again() {
    let mut setup = Setup::happy().await;
    setup.providers = vec!["openai", "google"];
    let app = setup.start_ready().await;
    let before = app.models().await;
    let asked = setup.all_calls().await;

    let changes = reconfigure(&app, &setup).await;
    assert!(changes.is_nothing(), "{changes:?}");
    assert_eq!(app.models().await.body, before.body);

    setup.providers = vec!["openai", "anthropic"];
    let changes = reconfigure(&app, &setup).await;
    assert_eq!(names(&changes.added), ["anthropic"]);
    assert_eq!(names(&changes.removed), ["google"]);
    assert!(changes.changed.is_empty());
    app.until("the new provider has answered", async |app| {
        let ids = app.models().await.ids();
        ids.iter().any(|id| id.starts_with("anthropic:"))
    })
    .await;
    let ids = app.models().await.ids();
    assert!(!ids.iter().any(|id| id.starts_with("google:")), "{ids:?}");
    assert!(ids.iter().any(|id| id.starts_with("openai:")));
    assert_eq!(Setup::calls(&setup.openai).await, 1);
    assert!(setup.all_calls().await > asked);
    // What a restart would serve.
    let served = app.models().await.body;
    app.stop().await;
    let app = setup.start_ready().await;
    assert_eq!(app.models().await.body, served);
    setup.assert_events_replay().await;
}

#[tokio::test]
async fn another_address_is_asked_at_once_and_other_rules_without_asking() {
    let mut setup = Setup::new().await;
    setup.providers = vec!["openai"];
    mount_openai(&setup.openai, &["a", "b"]).await;
    let app = setup.start_ready().await;
    let with = |change: &dyn Fn(SourceConfig) -> SourceConfig| {
        let mut config = setup.config();
        config.sources = config.sources.into_iter().map(change).collect();
        config
    };
    let config = with(&|source| source.exclude(&["b"]).expect("a glob"));
    let changes = app.catalog.reconfigure(config).await.expect("usable");
    assert_eq!(names(&changes.changed), ["openai"]);
    assert_eq!(app.models().await.ids(), ["openai:a"]);
    assert_eq!(Setup::calls(&setup.openai).await, 1);

    mount_openai(&setup.google, &["elsewhere"]).await;
    let mut config = setup.config();
    let url = format!("{}/v1", setup.google.uri());
    config.sources = vec![
        SourceConfig::provider("openai", model_catalog::Kind::OpenAi, &url, None).expect("usable"),
    ];
    app.catalog.reconfigure(config).await.expect("usable");
    app.until("the new address has answered", async |app| {
        app.models().await.ids() == ["openai:elsewhere"]
    })
    .await;
}

#[tokio::test]
async fn keys_count_from_the_next_request_on_and_end_what_others_wait_for() {
    let mut setup = Setup::new().await;
    setup.providers = vec!["openai"];
    mount_openai(&setup.openai, &["a", "b"]).await;
    let key = |models: &[&str]| {
        let key = ClientKey::new("team", "key-of-team").expect("a key");
        key.models(models).expect("globs")
    };
    setup.keys = vec![key(&["openai:a"])];
    let app = setup.start().await;
    app.until("the provider has answered", async |app| {
        app.get_with("/v1/models", "key-of-team").await.ids() == ["openai:a"]
    })
    .await;
    let stream = app
        .http
        .get(app.url("/catalog/events"))
        .bearer_auth("key-of-team")
        .send()
        .await
        .expect("a stream");
    // The same name and value, and something else to see.
    setup.keys = vec![key(&["openai:b"])];
    let changes = reconfigure(&app, &setup).await;
    assert_eq!(changes.others, ["keys"]);
    assert_eq!(
        app.get_with("/v1/models", "key-of-team").await.ids(),
        ["openai:b"]
    );
    let ended = tokio::time::timeout(Duration::from_secs(20), stream.bytes());
    ended.await.expect("the stream ends").expect("whole");

    setup.keys = vec![ClientKey::new("other", "key-of-other").expect("a key")];
    reconfigure(&app, &setup).await;
    assert_eq!(app.get_with("/v1/models", "key-of-team").await.status, 401);
    assert_eq!(
        app.get_with("/v1/models", "key-of-other").await.ids().len(),
        2
    );
    setup.keys = vec![];
    reconfigure(&app, &setup).await;
    assert_eq!(app.models().await.ids().len(), 2);
    // Two keys of one value: refused as a whole.
    let twice = |name| ClientKey::new(name, "the-same").expect("a key");
    setup.keys = vec![twice("one"), twice("two")];
    setup.providers = vec![];
    app.catalog
        .reconfigure(setup.config())
        .await
        .expect_err("refused");
    assert_eq!(app.models().await.ids().len(), 2);
}

#[tokio::test]
async fn webhooks_come_and_go() {
    let mut setup = Setup::new().await;
    setup.providers = vec!["openai"];
    mount_openai(&setup.openai, &["a"]).await;
    let (first, second) = (MockServer::start().await, MockServer::start().await);
    for target in [&first, &second] {
        Mock::given(method("POST"))
            .respond_with(ResponseTemplate::new(204))
            .mount(target)
            .await;
    }
    let app = setup.start_ready().await;
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let to = |target: &MockServer| {
        let mut config = setup.config();
        config.webhooks = vec![WebhookConfig::new("ops", &target.uri(), secret).expect("usable")];
        config
    };
    let refresh = async |models: &[&str]| {
        setup.advance(TimeDelta::seconds(31));
        setup.openai.reset().await;
        mount_openai(&setup.openai, models).await;
        assert_eq!(app.refresh("openai").await["outcome"], "changed");
    };
    let changes = app.catalog.reconfigure(to(&first)).await.expect("usable");
    assert_eq!(changes.others, ["webhooks"]);
    refresh(&["a", "b"]).await;
    app.until("the first target was told", async |_| {
        Setup::calls(&first).await == 1
    })
    .await;
    app.catalog.reconfigure(to(&second)).await.expect("usable");
    refresh(&["a", "c"]).await;
    app.until("the second target was told", async |_| {
        Setup::calls(&second).await == 1
    })
    .await;
    assert_eq!(Setup::calls(&first).await, 1);
}

/// Of two processes, the one that started last decides; the other one's new settings wait for its end.
#[tokio::test]
async fn a_process_that_was_replaced_changes_nothing() {
    let mut setup = Setup::new().await;
    setup.providers = vec!["openai"];
    mount_openai(&setup.openai, &["a", "b"]).await;
    let first = setup.start_ready().await;
    let second = setup.start_ready().await;
    let mut config = setup.config();
    config.sources = config
        .sources
        .into_iter()
        .map(|source| source.exclude(&["b"]).expect("a glob"))
        .collect();
    first.catalog.reconfigure(config).await.expect("usable");
    setup.advance(TimeDelta::seconds(31));
    for app in [&first, &second] {
        app.refresh("openai").await;
        assert_eq!(app.models().await.ids(), ["openai:a", "openai:b"]);
    }
    let in_force = "SELECT process FROM catalog";
    let started_last = "SELECT max(process) FROM processes";
    assert_eq!(setup.sql(in_force).await, setup.sql(started_last).await);
}

#[tokio::test]
async fn what_only_a_start_can_change_is_named() {
    let setup = Setup::happy().await;
    let app = setup.start_ready().await;
    let mut config = setup.config();
    config.client_timeout *= 2;
    config.cors_origins = model_catalog::CorsOrigins::Any;
    let changes = app.catalog.reconfigure(config).await.expect("usable");
    assert_eq!(changes.at_next_start, ["client_timeout", "cors_origins"]);
}

/// A running binary whose settings are a file.
struct OfFile {
    setup: Setup,
    running: Running,
    path: PathBuf,
}

impl OfFile {
    async fn start(settings: &str) -> Self {
        let setup = Setup::happy().await;
        let path = setup.directory.path().join("settings.toml");
        let settings = settings.replace("OPENAI", &format!("{}/v1", setup.openai.uri()));
        fs::write(&path, settings).expect("written");
        let mut command = command(&setup);
        command
            .env("MODEL_CATALOG_LISTEN", "127.0.0.1:0")
            .arg("--config")
            .arg(&path);
        let running = Running::start(command).await;
        running.until_logged("openai gave its first list").await;
        Self {
            setup,
            running,
            path,
        }
    }

    fn settings(&self, more: &str) -> String {
        format!(
            "discover = false\n[providers.openai]\nbase_url = '{}/v1'\napi_key = 'sk-openai'\n{more}",
            self.setup.openai.uri()
        )
    }

    fn hang_up(&self) {
        self.running.signal("-HUP");
    }

    async fn until(&self, what: &str, condition: impl AsyncFn(&Self) -> bool) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while !condition(self).await {
            assert!(
                tokio::time::Instant::now() < deadline,
                "in vain: {what}\n{}",
                self.running.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

const SETTINGS: &str =
    "discover = false\n[providers.openai]\nbase_url = 'OPENAI'\napi_key = 'sk-openai'\n";

fn hide(glob: &str) -> String {
    format!("exclude = ['{glob}']\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_and_every_way_to_change_the_file_are_followed() {
    let of = OfFile::start(SETTINGS).await;
    let all = ["openai:gpt-a", "openai:gpt-b"];
    assert_eq!(of.running.ids().await, all);
    fs::write(&of.path, of.settings(&hide("gpt-a"))).expect("written");
    of.hang_up();
    of.until("SIGHUP", async |of| {
        of.running.ids().await == ["openai:gpt-b"]
    })
    .await;
    // In place, without a signal.
    fs::write(&of.path, of.settings("")).expect("written");
    of.until("written in place", async |of| of.running.ids().await == all)
        .await;
    // As editors do.
    let new = of.path.with_extension("new");
    fs::write(&new, of.settings(&hide("gpt-b"))).expect("written");
    fs::rename(&new, &of.path).expect("renamed");
    of.until("renamed over", async |of| {
        of.running.ids().await == ["openai:gpt-a"]
    })
    .await;
    // As Kubernetes does.
    let other = of.path.with_extension("other");
    fs::write(&other, of.settings(&hide("gpt-a"))).expect("written");
    let link = of.path.with_extension("link");
    std::os::unix::fs::symlink(&other, &link).expect("linked");
    fs::rename(&link, &of.path).expect("renamed");
    of.until("a link", async |of| {
        of.running.ids().await == ["openai:gpt-b"]
    })
    .await;
    assert_eq!(Setup::calls(&of.setup.openai).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_is_refused_as_a_whole_and_said() {
    let of = OfFile::start(SETTINGS).await;
    let ids = of.running.ids().await;
    for (bad, expected) in [
        (of.settings("[keys]\n"), "settings.toml"),
        (of.settings(&hide("gpt-a")) + "ttll = '1h'\n", "ttl"),
        (
            of.settings(&hide("gpt-a")) + "[[keys]]\nname = 'x'\n",
            "key `x` of [[keys]] has no value",
        ),
    ] {
        let before = of.running.log().len();
        fs::write(&of.path, bad).expect("written");
        of.hang_up();
        of.running
            .until_logged_after(before, "the old ones stay in force")
            .await;
        let log = of.running.log();
        let said = log[before..].lines().find(|line| line.contains("refused"));
        assert!(said.is_some_and(|line| line.contains(expected)), "{log}");
        assert_eq!(of.running.ids().await, ids);
    }
    let metrics = of.running.get("/metrics").await;
    let refused = metrics
        .lines()
        .any(|line| line.starts_with("model_catalog_config_reloads_total{outcome=\"refused\"} "));
    assert!(refused, "{metrics}");
    fs::remove_file(&of.path).expect("removed");
    let before = of.running.log().len();
    of.hang_up();
    of.running
        .until_logged_after(before, "the old ones stay in force")
        .await;
    let before = of.running.log().len();
    fs::write(&of.path, of.settings("")).expect("written");
    of.hang_up();
    of.running
        .until_logged_after(before, "nothing has changed")
        .await;
    assert_eq!(of.running.ids().await, ids);
    assert!(!of.running.log().contains("sk-openai"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_the_next_start_is_said_once() {
    let of = OfFile::start(SETTINGS).await;
    let settings = of.settings(&hide("gpt-a"));
    fs::write(&of.path, format!("cors_origins = ['*']\n{settings}")).expect("written");
    of.hang_up();
    let expected = "changed: openai; takes effect at the next start: cors_origins";
    of.running.until_logged(expected).await;
    let before = of.running.log().len();
    of.hang_up();
    let expected = "nothing has changed";
    of.running.until_logged_after(before, expected).await;
    let log = of.running.log();
    assert_eq!(log.matches("at the next start").count(), 1, "{log}");
}

/// The start waits for another process that starts on the same database.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_file_during_the_start_is_not_missed() {
    let setup = Setup::happy().await;
    let path = setup.directory.path().join("settings.toml");
    let settings = SETTINGS.replace("OPENAI", &format!("{}/v1", setup.openai.uri()));
    fs::write(&path, &settings).expect("written");
    let lock = fs::File::create(setup.directory.path().join("catalog.db.lock")).expect("created");
    lock.lock().expect("locked");
    let mut command = command(&setup);
    command
        .env("MODEL_CATALOG_LISTEN", "127.0.0.1:0")
        .arg("--config")
        .arg(&path);
    let running = Running::spawn(command);
    running.until_logged("waiting for another process").await;
    fs::write(&path, settings + &hide("gpt-a")).expect("written");
    drop(lock);
    let running = running.listening("serving: GET ").await;
    running.until_logged("changed: openai").await;
    assert_eq!(running.ids().await, ["openai:gpt-b"]);
}

/// A file that is being written when a source refuses its key is read once it is whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_key_does_not_make_half_a_file_count() {
    let of = OfFile::start(SETTINGS).await;
    let more = format!(
        "[providers.other]\nbase_url = '{}/v1'\napi_key = 'sk-other'\n",
        of.setup.anthropic.uri()
    );
    mount_openai(&of.setup.anthropic, &["o"]).await;
    fs::write(&of.path, of.settings(&more)).expect("written");
    of.running.until_logged("sources added: other").await;
    of.setup.openai.reset().await;
    mount_template(&of.setup.openai, "/v1/models", ResponseTemplate::new(401)).await;
    let due =
        "UPDATE sources SET next_attempt_at = '2020-01-01T00:00:00.000Z' WHERE name = 'openai'";
    crate::running::sqlx_exec(&of.setup, due).await;
    // Never the same for as long as a look takes.
    let (is_refused, mut rounds) = (
        || of.running.log().contains("openai could not be listed"),
        0,
    );
    while !is_refused() || rounds < 40 {
        rounds += 1;
        assert!(rounds < 1000, "{}", of.running.log());
        let half = of.settings(&"#".repeat(rounds));
        fs::write(&of.path, half).expect("written");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let before = of.running.log().len();
    fs::write(&of.path, of.settings(&more)).expect("written");
    of.running
        .until_logged_after(before, "nothing has changed")
        .await;
    let log = of.running.log();
    assert!(!log.contains("removed: other"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_file_is_read_again_when_the_key_is_refused_and_once_only() {
    let setup = Setup::new().await;
    let listing = |key: &str| {
        Mock::given(method("GET"))
            .and(path("/v1/models"))
            .and(header("authorization", format!("Bearer {key}")))
            .respond_with(ResponseTemplate::new(200).set_body_json(openai_body(&["a"])))
    };
    let key_file = setup.directory.path().join("key");
    fs::write(&key_file, "sk-the-first-of-two").expect("written");
    mount_template(&setup.openai, "/v1/models", ResponseTemplate::new(401)).await;
    let mut command = command(&setup);
    command
        .env("MODEL_CATALOG_LISTEN", "127.0.0.1:0")
        .env("MODEL_CATALOG_DISCOVER", "false")
        .env("OPENAI_BASE_URL", format!("{}/v1", setup.openai.uri()))
        .env("OPENAI_API_KEY_FILE", &key_file);
    let running = Running::start(command).await;
    running.until_logged("openai could not be listed").await;
    // The same key is not tried again at once.
    assert_eq!(Setup::calls(&setup.openai).await, 1);

    setup.openai.reset().await;
    listing("sk-the-second-of-two").mount(&setup.openai).await;
    mount_template(&setup.openai, "/v1/models", ResponseTemplate::new(401)).await;
    fs::write(&key_file, "sk-the-second-of-two").expect("written");
    let due = "UPDATE sources SET next_attempt_at = '2020-01-01T00:00:00.000Z'";
    crate::running::sqlx_exec(&setup, due).await;
    running.until_logged("openai gave its first list").await;
    assert_eq!(running.ids().await, ["openai:a"]);
    assert_eq!(
        Setup::calls(&setup.openai).await,
        2,
        "refused, and read again"
    );
    assert!(!running.log().contains("of-two"), "{}", running.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_reloads_fail_no_request_of_two_hundred_clients() {
    let mut setup = Setup::happy().await;
    setup.providers = vec!["openai", "google"];
    mount_openai(setup.add_endpoint("box").await, &["m"]).await;
    let app = Arc::new(setup.start_ready().await);
    let (is_over, answers) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let clients: Vec<_> = (0..200)
        .map(|client| {
            let (app, is_over, answers) = (app.clone(), is_over.clone(), answers.clone());
            tokio::spawn(async move {
                let path = match client % 4 {
                    0 => "/v1/models",
                    1 => "/v1/models/openai:gpt-a",
                    2 => "/v1/models?provider=openai",
                    _ => "/catalog/sources",
                };
                while !is_over.load(Ordering::Relaxed) {
                    let answer = app.get(path).await;
                    assert_eq!(answer.status, 200, "{path}");
                    let body: serde_json::Value = answer.json();
                    assert!(body.is_object());
                    answers.fetch_add(1, Ordering::Relaxed);
                    // A thousand requests a second in all, which leave others some of the machine.
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            })
        })
        .collect();
    for round in 0..1000 {
        setup.providers = match round % 2 {
            0 => vec!["openai", "google", "anthropic"],
            _ => vec!["openai", "google"],
        };
        let mut config = setup.config();
        if round % 3 == 0 {
            config.retention.attempts = TimeDelta::days(30 + round % 5);
        }
        app.catalog.reconfigure(config).await.expect("usable");
    }
    is_over.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.expect("no failed request");
    }
    assert!(answers.load(Ordering::Relaxed) > 200);
    assert_eq!(Setup::calls(&setup.openai).await, 1);
}
