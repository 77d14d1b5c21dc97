//! What is served when: fresh, stale, missing; at once or after a wait; over restarts and by
//! several processes on one file.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use model_catalog::Catalog;
use serde_json::json;
use wiremock::ResponseTemplate;

use crate::helpers::{Setup, TestApp, mount_openai, mount_template, openai_body};

/// An answer that does not come within any test.
fn hanging() -> ResponseTemplate {
    ResponseTemplate::new(200).set_delay(Duration::from_secs(120))
}

#[tokio::test]
async fn a_restart_with_fresh_rows_calls_nobody_and_serves_the_same_bytes() {
    let setup = Setup::happy().await;
    let app = setup.start_ready().await;
    let before = app.models().await;
    app.stop().await;
    let calls = setup.all_calls().await;

    setup.advance(TimeDelta::hours(23));
    let app = setup.start().await;
    let after = app.models().await;
    assert_eq!(after.body, before.body);
    for header in ["etag", "catalog-revision", "cache-control"] {
        assert_eq!(after.header(header), before.header(header), "{header}");
    }
    assert_eq!(after.header("catalog-stale"), None);
    assert_eq!(app.get("/readyz").await.status, 200);
    app.stop().await;
    assert_eq!(setup.all_calls().await, calls);
}

#[tokio::test]
async fn a_restart_with_expired_rows_serves_them_at_once_and_then_the_new_ones() {
    let setup = Setup::happy().await;
    setup.start_ready().await.stop().await;
    setup.advance(TimeDelta::hours(25));
    setup.openai.reset().await;
    let slow = ResponseTemplate::new(200)
        .set_body_json(openai_body(&["gpt-c"]))
        .set_delay(Duration::from_millis(700));
    mount_template(&setup.openai, "/v1/models", slow).await;

    let app = setup.start().await;
    let began = Instant::now();
    let stale = app.models().await;
    assert!(
        began.elapsed() < Duration::from_millis(500),
        "{:?}",
        began.elapsed()
    );
    assert!(stale.ids().contains(&"openai:gpt-a".to_owned()));
    assert!(
        stale
            .header("catalog-stale")
            .expect("it is stale")
            .contains("openai")
    );
    app.until("the new list is served", async |app| {
        app.models()
            .await
            .ids()
            .contains(&"openai:gpt-c".to_owned())
    })
    .await;
    let new = app.models().await;
    assert_eq!(new.header("catalog-stale"), None);
    assert!(
        !new.ids().contains(&"openai:gpt-a".to_owned()),
        "removed is removed"
    );
    app.stop().await;
}

#[tokio::test]
async fn a_healthy_source_is_fresh_also_while_it_is_fetched() {
    let mut setup = Setup::new().await;
    setup.providers.clear();
    setup.add_endpoint("box").await;
    let server = &setup.endpoints["box"];
    let slow = ResponseTemplate::new(200)
        .set_body_json(json!({"data": [{"id": "m", "owned_by": "vllm"}]}))
        .set_delay(Duration::from_millis(500));
    mount_template(server, "/v1/models", slow).await;
    let app = setup.start_ready().await;
    for _ in 0..3 {
        let fetched_at = app.source("box").await["fetched_at"].clone();
        setup.advance(TimeDelta::seconds(25));
        app.catalog.wake();
        app.until("it is fetched again", async |app| {
            let source = app.source("box").await;
            assert_eq!(source["state"], "fresh");
            source["fetched_at"] != fetched_at
        })
        .await;
    }
    app.stop().await;
}

#[tokio::test]
async fn a_first_request_waits_for_a_hanging_provider_until_2500_ms_and_no_second_one_does() {
    let setup = Setup::happy().await;
    setup.openai.reset().await;
    mount_template(&setup.openai, "/v1/models", hanging()).await;

    let app = setup.start().await;
    let began = Instant::now();
    let first = app.models().await;
    let waited = began.elapsed();
    assert!(
        waited > Duration::from_millis(2000) && waited < Duration::from_millis(2900),
        "{waited:?}"
    );
    assert_eq!(first.ids().len(), 4);
    assert_eq!(first.header("cache-control"), Some("no-store"));

    let began = Instant::now();
    let second = app.models().await;
    assert!(
        began.elapsed() < Duration::from_millis(100),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(second.body, first.body);
    app.stop().await;
}

#[tokio::test]
async fn no_request_waits_for_a_provider_that_was_ever_heard_from() {
    let setup = Setup::happy().await;
    let app = setup.start_ready().await;
    setup.openai.reset().await;
    mount_template(&setup.openai, "/v1/models", hanging()).await;
    setup.advance(TimeDelta::hours(25));
    app.catalog.wake();
    app.until("the hanging provider was asked", async |_| {
        Setup::calls(&setup.openai).await == 1
    })
    .await;

    let mut slowest = Duration::ZERO;
    for _ in 0..50 {
        let began = Instant::now();
        let answer = app.models().await;
        slowest = slowest.max(began.elapsed());
        assert_eq!((answer.status, answer.ids().len()), (200, 6));
    }
    assert!(slowest < Duration::from_millis(100), "{slowest:?}");
    app.stop().await;
}

#[tokio::test]
async fn hundreds_of_first_requests_make_one_listing_per_provider() {
    let setup = Setup::happy().await;
    for (server, at) in [
        (&setup.openai, "/v1/models"),
        (&setup.google, "/v1beta/models"),
        (&setup.anthropic, "/v1/models"),
    ] {
        server.reset().await;
        let body = match at {
            "/v1beta/models" => json!({"models": [{"name": "models/slow"}]}),
            _ => json!({"data": [{"id": "slow", "type": "model"}]}),
        };
        let slow = ResponseTemplate::new(200)
            .set_body_json(body)
            .set_delay(Duration::from_millis(600));
        mount_template(server, at, slow).await;
    }
    let app = setup.start().await;
    let requests: Vec<_> = (0..300)
        .map(|_| tokio::spawn(app.http.get(app.url("/v1/models")).send()))
        .collect();
    for request in requests {
        let answer = request.await.expect("no panic").expect("an answer");
        assert_eq!(answer.status(), 200);
        let body: serde_json::Value = answer.json().await.expect("JSON");
        assert_eq!(
            body["data"].as_array().map(Vec::len),
            Some(3),
            "each waited for all"
        );
    }
    for server in [&setup.openai, &setup.google, &setup.anthropic] {
        assert_eq!(Setup::calls(server).await, 1);
    }
    app.stop().await;
}

#[tokio::test]
async fn restarts_do_not_hammer_a_failing_provider() {
    let setup = Setup::happy().await;
    setup.openai.reset().await;
    mount_template(&setup.openai, "/v1/models", ResponseTemplate::new(500)).await;
    for _ in 0..10 {
        setup.start_ready().await.stop().await;
    }
    assert_eq!(Setup::calls(&setup.openai).await, 1);
    assert_eq!(Setup::calls(&setup.google).await, 1);
}

#[tokio::test]
async fn two_processes_on_one_new_file_fetch_once_and_see_each_others_commits() {
    let setup = Setup::happy().await;
    let (one, two) = tokio::join!(setup.start(), setup.start());
    for app in [&one, &two] {
        app.until("both serve everything", async |app| {
            app.models().await.ids().len() == 6
        })
        .await;
    }
    assert_eq!(one.models().await.body, two.models().await.body);
    assert_eq!(setup.all_calls().await, 3, "one listing per provider");

    setup.advance(TimeDelta::seconds(11));
    setup.openai.reset().await;
    mount_openai(&setup.openai, &["gpt-c"]).await;
    assert_eq!(one.refresh("openai").await["outcome"], "changed");
    two.until("the other serves it too", async |two| {
        two.models()
            .await
            .ids()
            .contains(&"openai:gpt-c".to_owned())
    })
    .await;
    assert_eq!(
        one.models().await.header("etag"),
        two.models().await.header("etag")
    );
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn many_may_start_on_one_new_file_at_once() {
    let setup = Setup::happy().await;
    let starts: Vec<_> = (0..12)
        .map(|_| tokio::spawn(Catalog::start(setup.config())))
        .collect();
    for start in starts {
        start
            .await
            .expect("no panic")
            .expect("it starts")
            .stop()
            .await;
    }
}

#[tokio::test]
async fn a_stop_gives_the_claim_back() {
    let setup = Setup::happy().await;
    setup.openai.reset().await;
    mount_template(&setup.openai, "/v1/models", hanging()).await;
    let app = setup.start().await;
    app.until("openai was asked", async |_| {
        Setup::calls(&setup.openai).await == 1
    })
    .await;
    let began = Instant::now();
    app.stop().await;
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );

    setup.openai.reset().await;
    mount_openai(&setup.openai, &["gpt-a"]).await;
    let app = setup.start().await;
    assert!(
        app.models()
            .await
            .ids()
            .contains(&"openai:gpt-a".to_owned()),
        "asked at once, and waited for"
    );
    app.stop().await;
}

#[tokio::test]
async fn a_clock_set_back_or_far_ahead_stops_nothing_and_spins_nothing() {
    let setup = Setup::happy().await;
    let app = setup.start_ready().await;
    for jump in [
        // Ten years ahead all is stale; one refresh makes it fresh.
        TimeDelta::days(3650),
        // Ten years back the rows are from the future: stale, and due.
        TimeDelta::days(-3650),
        // An hour back: fetched_at is ahead of the clock.
        TimeDelta::hours(-1),
    ] {
        let before = Setup::calls(&setup.openai).await;
        setup.advance(jump);
        app.catalog.wake();
        app.until("it is fresh again", async |app| {
            app.source("openai").await["state"] == "fresh"
        })
        .await;
        for _ in 0..20 {
            app.catalog.wake();
            app.models().await;
        }
        assert_eq!(
            Setup::calls(&setup.openai).await - before,
            1,
            "after a jump of {jump}"
        );
    }
    app.stop().await;
}

#[tokio::test]
async fn a_warm_memo_needs_no_database_and_copies_nothing() {
    use http_body_util::BodyExt;
    use tower::ServiceExt;
    let mut setup = Setup::happy().await;
    setup.openai.reset().await;
    let ids: Vec<String> = (0..700).map(|number| format!("m{number}")).collect();
    mount_openai(&setup.openai, &ids).await;
    setup.providers.retain(|provider| *provider == "openai");
    let app = setup.start_ready().await;
    let router = app.catalog.router();
    // The database is closed from here on: a statement would be an error.
    app.stop().await;

    let mut addresses = Vec::new();
    for uri in [
        "/v1/models",
        "/v1/models",
        "/v1/models/openai:m5",
        "/catalog/sources",
        "/readyz",
    ] {
        let request = axum::http::Request::get(uri)
            .body(axum::body::Body::empty())
            .expect("a request");
        let answer = router.clone().oneshot(request).await.expect("an answer");
        assert_eq!(answer.status(), 200, "{uri}");
        let body = answer
            .into_body()
            .collect()
            .await
            .expect("a body")
            .to_bytes();
        addresses.push(body.as_ptr_range());
    }
    assert_eq!(
        addresses[0], addresses[1],
        "the same bytes in memory, not a copy"
    );
    assert!(
        addresses[0].contains(&addresses[2].start),
        "a model is a part of the list's bytes"
    );
}

#[tokio::test]
async fn an_embedded_catalog_needs_no_sources() {
    let mut setup = Setup::new().await;
    setup.providers.clear();
    let app = setup.start().await;
    let answer = app.models().await;
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!({"object": "list", "data": []}))
    );
    let sources = app.sources().await;
    assert!(
        sources["hint"]
            .as_str()
            .is_some_and(|hint| hint.contains("OPENAI_API_KEY"))
    );
    assert_eq!(TestApp::get(&app, "/readyz").await.status, 200);
    app.stop().await;
}
