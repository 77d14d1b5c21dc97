//! When sources are asked again: backoff, what they ask for, misses, held answers, hiding.

use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use rstest::rstest;
use serde_json::{Value, json};
use wiremock::{MockServer, ResponseTemplate};

use crate::helpers::{
    Setup, TestApp, mount_google, mount_openai, mount_template, mount_vllm, openai_body,
};
use model_catalog::{Kind, SourceConfig};

fn seconds_between(source: &Value, from: &str, to: &str) -> f64 {
    let time = |field: &str| {
        DateTime::parse_from_rfc3339(source[field].as_str().expect("a time")).expect("RFC 3339")
    };
    (time(to) - time(from)).as_seconds_f64()
}

async fn fail_with(setup: &Setup, template: ResponseTemplate) {
    setup.openai.reset().await;
    mount_template(&setup.openai, "/v1/models", template).await;
}

#[rstest]
#[case::seconds(ResponseTemplate::new(429).insert_header("retry-after", "600"), 600.0)]
#[case::a_day_at_most(ResponseTemplate::new(503).insert_header("retry-after", "999999"), 86_400.0)]
#[case::body(
    ResponseTemplate::new(429).set_body_json(json!({"error": {"details": [{"retryDelay": "120.5s"}]}})),
    120.5
)]
#[tokio::test]
async fn waits_as_long_as_the_provider_asks_also_after_a_restart(
    #[case] template: ResponseTemplate,
    #[case] wait_secs: f64,
) {
    let setup = Setup::happy().await;
    fail_with(&setup, template).await;
    let app = setup.start_ready().await;
    let source = app.source("openai").await;
    let waits = seconds_between(&source, "attempted_at", "next_attempt_at");
    assert!((wait_secs..wait_secs + 5.0).contains(&waits), "{waits}");
    app.stop().await;

    setup.advance(TimeDelta::milliseconds((wait_secs * 1000.0) as i64 - 5_000));
    let app = setup.start().await;
    app.models().await;
    app.stop().await;
    assert_eq!(Setup::calls(&setup.openai).await, 1, "not before");
    setup.advance(TimeDelta::seconds(11));
    let app = setup.start().await;
    app.until("it is asked again", async |_| {
        Setup::calls(&setup.openai).await == 2
    })
    .await;
    app.stop().await;
}

#[tokio::test]
async fn a_date_in_retry_after_counts() {
    let setup = Setup::happy().await;
    let until = std::time::SystemTime::now() + Duration::from_secs(900);
    fail_with(
        &setup,
        ResponseTemplate::new(429).insert_header("retry-after", httpdate::fmt_http_date(until)),
    )
    .await;
    let app = setup.start_ready().await;
    let waits = seconds_between(
        &app.source("openai").await,
        "attempted_at",
        "next_attempt_at",
    );
    assert!((890.0..=902.0).contains(&waits), "{waits}");
    app.stop().await;
}

#[tokio::test]
async fn failures_in_a_row_double_the_wait_and_a_success_ends_them() {
    let setup = Setup::happy().await;
    fail_with(&setup, ResponseTemplate::new(500)).await;
    let app = setup.start_ready().await;
    let first = app.source("openai").await;
    for (failures, longest) in [(1, 30.0), (2, 60.0), (3, 120.0), (4, 240.0)] {
        let source = app.source("openai").await;
        assert_eq!(source["consecutive_failures"], failures);
        assert_eq!(
            source["error"]["since"], first["error"]["since"],
            "since the first of them"
        );
        let waits = seconds_between(&source, "attempted_at", "next_attempt_at");
        assert!(
            (longest / 2.0 - 0.1..=longest + 2.0).contains(&waits),
            "{waits} after {failures}"
        );
        setup.advance(TimeDelta::seconds(longest as i64 + 2));
        app.catalog.wake();
        app.until("it is asked again", async |app| {
            app.source("openai").await["consecutive_failures"] != failures
        })
        .await;
    }
    setup.openai.reset().await;
    mount_openai(&setup.openai, &["gpt-a"]).await;
    setup.advance(TimeDelta::hours(1));
    app.catalog.wake();
    app.until("it recovers by itself", async |app| {
        app.source("openai").await["state"] == "fresh"
    })
    .await;
    let source = app.source("openai").await;
    assert_eq!(
        (&source["consecutive_failures"], &source["error"]),
        (&json!(0), &Value::Null)
    );
    app.stop().await;
}

#[tokio::test]
async fn a_restart_forgives_a_refused_key_after_30_seconds() {
    let setup = Setup::happy().await;
    fail_with(&setup, ResponseTemplate::new(401)).await;
    for _ in 0..20 {
        let app = setup.start_ready().await;
        app.refresh("openai").await;
        setup.advance(TimeDelta::seconds(11));
        app.refresh("openai").await;
        app.stop().await;
    }
    // It is in backoff for an hour now, and the key has been replaced.
    let before = Setup::calls(&setup.openai).await;
    setup.start_ready().await.stop().await;
    assert_eq!(
        Setup::calls(&setup.openai).await,
        before,
        "tried less than 30 s ago"
    );
    setup.openai.reset().await;
    mount_openai(&setup.openai, &["gpt-a"]).await;
    setup.advance(TimeDelta::seconds(31));
    let app = setup.start().await;
    app.until("it is asked again", async |app| {
        app.source("openai").await["state"] == "fresh"
    })
    .await;
    app.stop().await;
}

async fn get(app: &TestApp, id: &str) -> u16 {
    app.get(&format!("/v1/models/{id}")).await.status
}

#[tokio::test]
async fn a_miss_looks_once_and_then_not_for_a_minute_or_more() {
    let setup = Setup::happy().await;
    let app = setup.start_ready().await;
    assert_eq!(get(&app, "openai:gpt-new").await, 404);
    assert_eq!(
        Setup::calls(&setup.openai).await,
        1,
        "asked less than a minute ago"
    );

    setup.advance(TimeDelta::seconds(61));
    setup.openai.reset().await;
    mount_openai(&setup.openai, &["gpt-a", "gpt-b", "gpt-new"]).await;
    assert_eq!(get(&app, "openai:gpt-new").await, 200, "found by looking");
    assert_eq!(Setup::calls(&setup.openai).await, 1);
    assert_eq!(get(&app, "openai:never").await, 404);
    assert_eq!(
        Setup::calls(&setup.openai).await,
        1,
        "not again for a minute"
    );

    // Each look that finds nothing keeps others away for longer: 1, then 2 minutes.
    for (wait_secs, calls) in [(61, 2), (61, 3), (61, 3), (61, 4)] {
        setup.advance(TimeDelta::seconds(wait_secs));
        assert_eq!(get(&app, "openai:never").await, 404);
        assert_eq!(Setup::calls(&setup.openai).await, calls);
    }
    // Other providers, unknown prefixes and local ids are not looked for.
    setup.advance(TimeDelta::hours(2));
    let (google, anthropic) = (
        Setup::calls(&setup.google).await,
        Setup::calls(&setup.anthropic).await,
    );
    for id in ["acme:x", "never", "openai", ":x", "open:ai"] {
        assert_eq!(get(&app, id).await, 404);
    }
    assert_eq!(
        (
            Setup::calls(&setup.google).await,
            Setup::calls(&setup.anthropic).await
        ),
        (google, anthropic)
    );
    app.stop().await;
}

#[tokio::test]
async fn hundreds_of_misses_are_one_look_of_2500_ms_at_most() {
    let setup = Setup::happy().await;
    let app = setup.start_ready().await;
    setup.advance(TimeDelta::seconds(61));
    setup.openai.reset().await;
    let hanging = ResponseTemplate::new(200)
        .set_body_json(openai_body(&["x"]))
        .set_delay(Duration::from_secs(60));
    mount_template(&setup.openai, "/v1/models", hanging).await;

    let began = std::time::Instant::now();
    let requests: Vec<_> = (0..200)
        .map(|number| {
            tokio::spawn(
                app.http
                    .get(app.url(&format!("/v1/models/openai:no-{number}")))
                    .send(),
            )
        })
        .collect();
    for request in requests {
        assert_eq!(
            request
                .await
                .expect("no panic")
                .expect("an answer")
                .status(),
            404
        );
    }
    let took = began.elapsed();
    assert!(took < Duration::from_millis(2900), "{took:?}");
    let began = std::time::Instant::now();
    assert_eq!(get(&app, "openai:later").await, 404);
    assert!(
        began.elapsed() < Duration::from_millis(100),
        "the look's time is over: {:?}",
        began.elapsed()
    );
    assert_eq!(Setup::calls(&setup.openai).await, 1);
    app.stop().await;
}

#[tokio::test]
async fn a_miss_does_not_look_at_a_provider_in_backoff() {
    let setup = Setup::happy().await;
    fail_with(&setup, ResponseTemplate::new(500)).await;
    let app = setup.start_ready().await;
    setup.advance(TimeDelta::seconds(20));
    assert_eq!(get(&app, "openai:x").await, 404);
    assert_eq!(Setup::calls(&setup.openai).await, 1);
    app.stop().await;
}

#[tokio::test]
async fn a_strange_success_is_held_until_a_second_one() {
    let mut setup = Setup::happy().await;
    setup.providers = vec!["openai", "google"];
    setup.openai.reset().await;
    mount_openai(&setup.openai, &["a", "b", "c", "d", "e"]).await;
    let app = setup.start_ready().await;
    let before = app.models().await;

    setup.advance(TimeDelta::hours(25));
    setup.openai.reset().await;
    mount_openai(&setup.openai, &["a", "b"]).await;
    let outcome = app.refresh("openai").await;
    assert_eq!(
        outcome,
        json!({"name": "openai", "outcome": "held", "held": {"listed": 2, "stored": 5}})
    );
    let source = app.source("openai").await;
    assert_eq!(
        (
            &source["state"],
            &source["models"],
            &source["held"]["models"]
        ),
        (&json!("stale"), &json!(5), &json!(2))
    );
    let waits = seconds_between(&source, "attempted_at", "next_attempt_at");
    assert!((600.0..605.0).contains(&waits), "{waits}");
    assert_eq!(app.models().await.body, before.body);
    assert_eq!(setup.sql("SELECT outcome, models FROM fetches WHERE source = 'openai' ORDER BY id DESC LIMIT 1").await, [[json!("held"), json!(2)]]);

    // A normal answer ends it …
    setup.advance(TimeDelta::seconds(601));
    setup.openai.reset().await;
    mount_openai(&setup.openai, &["a", "b", "c", "d"]).await;
    app.catalog.wake();
    app.until("the normal list is believed", async |app| {
        app.source("openai").await["models"] == 4
    })
    .await;
    assert_eq!(app.source("openai").await["held"], Value::Null);

    // … a second strange one is believed, over a restart too.
    setup.openai.reset().await;
    mount_openai(&setup.openai, &[] as &[&str]).await;
    setup.advance(TimeDelta::seconds(11));
    assert_eq!(app.refresh("openai").await["outcome"], "held");
    app.stop().await;
    setup.advance(TimeDelta::seconds(601));
    let app = setup.start().await;
    app.until("the empty list is believed", async |app| {
        app.source("openai").await["models"] == 0
    })
    .await;
    assert_eq!(
        app.models().await.ids(),
        ["google:gemini-a", "google:gemini-b"]
    );
    app.stop().await;
}

#[tokio::test]
async fn nobody_can_hurry_a_held_answer() {
    let mut setup = Setup::happy().await;
    setup.providers = vec!["openai"];
    setup.openai.reset().await;
    mount_openai(&setup.openai, &["a", "b", "c", "d", "e"]).await;
    let app = setup.start_ready().await;
    setup.advance(TimeDelta::seconds(61));
    setup.openai.reset().await;
    mount_openai(&setup.openai, &["a"]).await;
    assert_eq!(get(&app, "openai:unknown").await, 404);
    let held = app.source("openai").await;
    assert_eq!(held["held"]["models"], 1);

    // Neither a client's misses nor plain refreshes make a second answer of it.
    for _ in 0..4 {
        let calls = Setup::calls(&setup.openai).await;
        setup.advance(TimeDelta::seconds(65));
        assert_eq!(get(&app, "openai:unknown").await, 404);
        assert_eq!(
            Setup::calls(&setup.openai).await,
            calls,
            "a miss does not look while one is held"
        );
        setup.advance(TimeDelta::seconds(11));
        assert_eq!(app.refresh("openai").await["outcome"], "held");
        let again = app.source("openai").await;
        assert_eq!(
            again["held"]["since"], held["held"]["since"],
            "since the first of them"
        );
        assert_eq!(
            again["next_attempt_at"], held["next_attempt_at"],
            "as it was scheduled"
        );
        assert_eq!(again["models"], 5);
    }
    setup.advance(TimeDelta::minutes(6));
    app.catalog.wake();
    app.until("ten minutes later it is believed", async |app| {
        app.source("openai").await["models"] == 1
    })
    .await;
    app.stop().await;
}

#[tokio::test]
async fn accept_believes_a_strange_answer_at_once() {
    let setup = Setup::happy().await;
    let app = setup.start_ready().await;
    setup.openai.reset().await;
    mount_openai(&setup.openai, &[] as &[&str]).await;
    setup.advance(TimeDelta::seconds(11));
    let refused = app
        .send(app.http.post(app.url("/catalog/refresh?accept=true")))
        .await;
    assert_eq!(
        (refused.status, &refused.json()["error"]["code"]),
        (400, &json!("invalid_parameter"))
    );
    let answer = app
        .send(
            app.http
                .post(app.url("/catalog/refresh?source=openai&accept=true")),
        )
        .await
        .json();
    assert_eq!(
        (
            &answer["sources"][0]["outcome"],
            &answer["sources"][0]["removed"]
        ),
        (&json!("changed"), &json!(2))
    );
    app.stop().await;
}

#[tokio::test]
async fn an_endpoint_is_hidden_after_five_stale_minutes_and_shown_by_one_success() {
    let mut setup = Setup::happy().await;
    mount_vllm(setup.add_endpoint("box").await, &["m"]).await;
    let app = setup.start_ready().await;
    setup.endpoints["box"].reset().await;
    setup.advance(TimeDelta::seconds(300));
    app.refresh("box").await;
    assert_eq!(app.models().await.ids()[0], "m", "stale, and served");
    setup.advance(TimeDelta::seconds(31));
    app.refresh("box").await;
    assert!(!app.models().await.ids().contains(&"m".to_owned()));
    let source = app.source("box").await;
    assert_eq!(
        (&source["state"], &source["models"]),
        (&json!("hidden"), &json!(1)),
        "nothing hidden is deleted"
    );
    assert!(source["hidden_since"].is_string());

    mount_vllm(&setup.endpoints["box"], &["m"]).await;
    setup.advance(TimeDelta::seconds(31));
    app.catalog.wake();
    app.until("it is shown again", async |app| {
        app.models().await.ids().contains(&"m".to_owned())
    })
    .await;
    let events = setup
        .sql("SELECT event, model_id FROM model_events WHERE source = 'box' ORDER BY revision")
        .await;
    assert_eq!(
        events,
        [
            [json!("added"), json!("m")],
            [json!("hidden"), json!("")],
            [json!("shown"), json!("")]
        ]
    );
    app.stop().await;
}

#[rstest]
#[case::a_401(ResponseTemplate::new(401), true)]
#[case::googles_400(
    ResponseTemplate::new(400).set_body_json(json!({"error": {"details": [{"reason": "API_KEY_INVALID"}]}})),
    true
)]
#[case::a_403(ResponseTemplate::new(403), false)]
#[case::an_outage(ResponseTemplate::new(500), false)]
#[tokio::test]
async fn a_provider_is_hidden_when_its_key_is_refused_over_a_day(
    #[case] template: ResponseTemplate,
    #[case] hides: bool,
) {
    let setup = Setup::happy().await;
    let app = setup.start_ready().await;
    setup.google.reset().await;
    mount_template(&setup.google, "/v1beta/models", template).await;
    for hours in [0, 12, 11, 2] {
        assert_ne!(
            app.source("google").await["state"],
            "hidden",
            "not over 24 h yet"
        );
        setup.advance(TimeDelta::hours(hours) + TimeDelta::seconds(11));
        assert_eq!(app.refresh("google").await["outcome"], "failed");
    }
    assert_eq!(app.source("google").await["state"] == "hidden", hides);
    assert_eq!(
        app.models()
            .await
            .ids()
            .contains(&"google:gemini-a".to_owned()),
        !hides
    );

    setup.google.reset().await;
    mount_google(&setup.google, &["gemini-a", "gemini-b"]).await;
    setup.advance(TimeDelta::seconds(11));
    app.refresh("google").await;
    assert!(
        app.models()
            .await
            .ids()
            .contains(&"google:gemini-a".to_owned()),
        "one success shows it"
    );
    app.stop().await;
}

#[tokio::test]
async fn a_source_no_longer_configured_is_hidden_and_comes_back_whole() {
    let mut setup = Setup::happy().await;
    setup.start_ready().await.stop().await;
    setup.providers = vec!["openai", "anthropic"];
    let app = setup.start().await;
    assert_eq!(app.models().await.ids().len(), 4);
    assert_eq!(app.source("google").await["state"], "unconfigured");
    let refused = app
        .send(app.http.post(app.url("/catalog/refresh?source=google")))
        .await;
    assert_eq!(refused.status, 404, "it is not asked any more");
    app.stop().await;

    setup.providers = vec!["openai", "google", "anthropic"];
    let calls = Setup::calls(&setup.google).await;
    let app = setup.start().await;
    assert_eq!(app.models().await.ids().len(), 6);
    app.stop().await;
    assert_eq!(
        Setup::calls(&setup.google).await,
        calls,
        "its rows are still fresh"
    );
}

#[tokio::test]
async fn a_provider_with_a_bound_is_hidden_when_it_has_been_stale_for_longer() {
    let mut setup = Setup::happy().await;
    setup.providers.clear();
    let mut bounded = SourceConfig::provider(
        "openai",
        Kind::OpenAi,
        &format!("{}/v1", setup.openai.uri()),
        None,
    )
    .expect("usable");
    bounded.max_stale = Some(TimeDelta::days(7));
    setup.extra.push(bounded);
    let app = setup.start_ready().await;
    fail_with(&setup, ResponseTemplate::new(500)).await;
    for (hours, models) in [(7 * 24, 2), (23, 2), (2, 0)] {
        setup.advance(TimeDelta::hours(hours));
        assert_eq!(app.refresh("openai").await["outcome"], "failed");
        assert_eq!(
            app.models().await.ids().len(),
            models,
            "after {hours} h more"
        );
    }
    app.stop().await;
}

#[tokio::test]
async fn a_changed_base_url_is_asked_at_once_and_not_measured_against_the_old_one() {
    let mut setup = Setup::new().await;
    setup.providers.clear();
    let (old, new) = (MockServer::start().await, MockServer::start().await);
    mount_openai(&old, &["a", "b", "c", "d"]).await;
    let at = |server: &MockServer| {
        SourceConfig::provider("acme", Kind::OpenAi, &format!("{}/v1", server.uri()), None)
            .expect("usable")
    };
    setup.extra = vec![at(&old)];
    let app = setup.start_ready().await;
    assert_eq!(app.models().await.ids().len(), 4);
    app.stop().await;

    // The new address fails at first: what is known is served, and said to be stale.
    setup.extra = vec![at(&new)];
    let app = setup.start().await;
    app.until("the new address was asked", async |app| {
        !app.source("acme").await["error"].is_null()
    })
    .await;
    let answer = app.models().await;
    assert_eq!(answer.ids().len(), 4);
    assert_eq!(answer.header("catalog-stale"), Some("acme"));
    assert_eq!(app.source("acme").await["state"], "stale");

    mount_openai(&new, &["e"]).await;
    setup.advance(TimeDelta::seconds(31));
    app.catalog.wake();
    app.until("the new list is believed", async |app| {
        app.models().await.ids() == ["acme:e"]
    })
    .await;
    assert_eq!(app.models().await.header("catalog-stale"), None);
    app.stop().await;
    assert_eq!(
        Setup::calls(&old).await,
        1,
        "the old address was left alone"
    );

    // Nothing has changed since: a restart calls nobody.
    let calls = Setup::calls(&new).await;
    let app = setup.start_ready().await;
    app.stop().await;
    assert_eq!(Setup::calls(&new).await, calls);
}

#[tokio::test]
async fn the_settings_of_the_last_process_decide_where_a_source_is_asked_and_how_often() {
    let mut setup = Setup::new().await;
    setup.providers.clear();
    let (old, new) = (MockServer::start().await, MockServer::start().await);
    mount_openai(&old, &["old"]).await;
    mount_openai(&new, &["new"]).await;
    let at = |server: &MockServer, ttl| {
        let mut source =
            SourceConfig::provider("acme", Kind::OpenAi, &format!("{}/v1", server.uri()), None)
                .expect("usable");
        source.ttl = ttl;
        source
    };
    setup.extra = vec![at(&old, TimeDelta::hours(24))];
    let first = setup.start_ready().await;
    setup.extra = vec![at(&new, TimeDelta::hours(1))];
    let second = setup.start().await;
    second
        .until("the new address is asked", async |app| {
            app.models().await.ids() == ["acme:new"]
        })
        .await;
    setup.advance(TimeDelta::minutes(61));
    let refused = first.refresh("acme").await;
    assert_eq!(refused["outcome"], "busy");
    assert_eq!(refused["error"]["kind"], "configured_elsewhere");
    let elsewhere = first.source("acme").await["configured_elsewhere"].to_string();
    assert!(elsewhere.contains("another address"), "{elsewhere}");
    assert!(second.source("acme").await["configured_elsewhere"].is_null());
    assert_eq!(second.refresh("acme").await["outcome"], "unchanged");
    let source = second.source("acme").await;
    let waits = seconds_between(&source, "fetched_at", "next_attempt_at");
    assert!((3539.0..=3541.0).contains(&waits), "{waits}");
    second.stop().await;
    first.stop().await;
    assert_eq!(Setup::calls(&old).await, 1);
}

#[tokio::test]
async fn an_endpoint_that_wants_to_be_left_alone_is_hidden_after_five_stale_minutes_all_the_same() {
    let mut setup = Setup::new().await;
    setup.providers.clear();
    let server = setup.add_endpoint("box").await;
    mount_vllm(server, &["m"]).await;
    let app = setup.start_ready().await;
    assert_eq!(app.models().await.ids(), ["m"]);
    let server = &setup.endpoints["box"];
    server.reset().await;
    for at in ["/v1/models", "/api/tags"] {
        let busy = ResponseTemplate::new(429).insert_header("retry-after", "86400");
        mount_template(server, at, busy).await;
    }
    setup.advance(TimeDelta::seconds(31));
    app.catalog.wake();
    app.until("it is asked again", async |app| {
        app.source("box").await["error"]["kind"] == "rate_limited"
    })
    .await;
    assert_eq!(app.models().await.ids(), ["m"]);
    setup.advance(TimeDelta::minutes(5));
    app.catalog.wake();
    app.until("it is hidden", async |app| {
        app.source("box").await["state"] == "hidden"
    })
    .await;
    assert!(app.models().await.ids().is_empty());
    // From then on it is left alone.
    let source = app.source("box").await;
    assert!(seconds_between(&source, "attempted_at", "next_attempt_at") >= 86_400.0);
    app.stop().await;
}
