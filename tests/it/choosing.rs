//! The filters of `GET /v1/models`. What each chooses is tested beside `src/snapshot/selection.rs`.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use serde_json::json;
use wiremock::ResponseTemplate;

use crate::helpers::{
    Answer, Setup, TestApp, mount_openai, mount_template, mount_vllm, openai_body,
};

/// Three providers, and two servers that share a model.
async fn with_endpoints() -> (Setup, TestApp) {
    let mut setup = Setup::happy().await;
    mount_vllm(setup.add_endpoint("box").await, &["m:7b", "only"]).await;
    mount_vllm(setup.add_endpoint("zed").await, &["m:7b"]).await;
    let app = setup.start_ready().await;
    (setup, app)
}

fn error(answer: &Answer) -> (u16, String, String) {
    let error = &answer.json()["error"];
    let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
    (answer.status, text("code"), text("param"))
}

#[tokio::test]
async fn filters_choose_in_every_dialect() {
    let (_setup, app) = with_endpoints().await;
    for (path, name, chosen) in [
        (
            "/v1/models?limit=1&provider=openai",
            "id",
            json!(["openai:gpt-a"]),
        ),
        (
            "/v1beta/models?provider=google",
            "name",
            json!(["models/google:gemini-a", "models/google:gemini-b"]),
        ),
        (
            "/catalog/providers/openai/v1/models?q=-B",
            "id",
            json!(["gpt-b"]),
        ),
    ] {
        let answer = app.get(path).await.json();
        let list = answer.get("data").or(answer.get("models")).expect("a list");
        let names: Vec<_> = list
            .as_array()
            .expect("entries")
            .iter()
            .map(|entry| &entry[name])
            .collect();
        assert_eq!(json!(names), chosen, "{path}");
    }
    app.stop().await;
}

#[tokio::test]
async fn filters_choose_among_the_entries_of_the_list() {
    let (_setup, app) = with_endpoints().await;
    let all = app.models().await;
    for (query, ids) in [
        ("provider=openai", vec!["openai:gpt-a", "openai:gpt-b"]),
        ("provider=box", vec!["m:7b", "only"]),
        (
            "provider=zed,anthropic&q=claude-A",
            vec!["anthropic:claude-a"],
        ),
        (
            "owned_by=google&owned_by=lb&q=-b,7B",
            vec!["m:7b", "google:gemini-b"],
        ),
        (
            "q=display%20gemini",
            vec!["google:gemini-a", "google:gemini-b"],
        ),
        ("capability=telepathy", vec![]),
        ("provider=nobody", vec![]),
    ] {
        let answer = app.get(&format!("/v1/models?cache=1&{query}")).await;
        assert_eq!(answer.status, 200, "{query}");
        assert_eq!(answer.ids(), ids, "{query}");
        assert_eq!(answer.json()["object"], "list");
        let entries = answer.json()["data"].as_array().expect("entries").clone();
        for entry in entries {
            // What several servers have is told as if only those that are asked for were there.
            let whole = all.json()["data"]
                .as_array()
                .expect("entries")
                .iter()
                .find(|whole| whole["id"] == entry["id"])
                .cloned()
                .expect("listed");
            if entry["id"] != "m:7b" {
                assert_eq!(entry, whole, "{query}");
            }
        }
    }
    let endpoints = async |query: &str| {
        let answer = app.get(&format!("/v1/models?{query}&q=m:7b")).await;
        answer.json()["data"][0]["endpoints"].clone()
    };
    assert_eq!(endpoints("provider=zed").await, json!(["zed"]));
    assert_eq!(endpoints("provider=zed,box").await, json!(["box", "zed"]));
    // One entry is not the list: its route has no filters.
    assert_eq!(
        app.get("/v1/models/openai:gpt-a?provider=box").await.status,
        200
    );
    app.stop().await;
}

#[tokio::test]
async fn a_filtered_answer_has_the_headers_of_the_list() {
    let (_setup, app) = with_endpoints().await;
    let path = "/v1/models?provider=openai&fields=owned_by";
    let plain = app.models().await;
    let answer = app.get(path).await;
    for name in [
        "cache-control",
        "vary",
        "catalog-revision",
        "content-type",
        "catalog-stale",
    ] {
        assert_eq!(answer.header(name), plain.header(name), "{name}");
    }
    let etag = answer.header("etag").expect("an ETag").to_owned();
    assert_ne!(Some(etag.as_str()), plain.header("etag"));
    let again = app
        .send(app.http.get(app.url(path)).header("if-none-match", &etag))
        .await;
    assert_eq!(
        (again.status, again.header("etag")),
        (304, Some(etag.as_str()))
    );
    assert_eq!(app.get(path).await.body, answer.body);
    app.stop().await;
}

#[tokio::test]
async fn only_the_wanted_fields_are_sent() {
    let (_setup, app) = with_endpoints().await;
    let answer = app
        .get("/v1/models?provider=google&fields=context_window,display_name&fields=nonsense")
        .await;
    assert_eq!(
        answer.json(),
        json!({"object": "list", "data": [
            {"id": "google:gemini-a", "display_name": "Display gemini-a", "context_window": 1_048_576},
            {"id": "google:gemini-b", "display_name": "Display gemini-b", "context_window": 1_048_576},
        ]})
    );
    let ids = app.get("/v1/models?fields=id").await;
    assert_eq!(ids.json()["data"][0], json!({"id": "m:7b"}));
    assert_eq!(ids.ids(), app.models().await.ids());
    app.stop().await;
}

#[tokio::test]
async fn an_impossible_value_is_a_clear_error() {
    let (_setup, app) = with_endpoints().await;
    for (query, name) in [
        ("provider=OpenAI", "provider"),
        ("stale=perhaps", "stale"),
        ("max_age=soon", "max_age"),
        ("max_age=1h&at=2026-11-01T00:00:00Z", "max_age"),
        ("stale=include&revision=1", "stale"),
    ] {
        let answer = app.get(&format!("/v1/models?{query}")).await;
        let expected = (400, "invalid_parameter".to_owned(), name.to_owned());
        assert_eq!(error(&answer), expected, "{query}");
        let message = answer.json()["error"]["message"].to_string();
        assert!(message.contains(&format!("{name}=")), "{message}");
    }
    // Other dialects' clients send what they like.
    let answer = app.get("/v1/models?limit=x&after_id=%00&colour=blue").await;
    assert_eq!(answer.ids(), app.models().await.ids());
    app.stop().await;
}

#[tokio::test]
async fn the_past_can_be_filtered_too() {
    let mut setup = Setup::new().await;
    setup.providers = vec!["openai", "anthropic"];
    mount_openai(&setup.openai, &["a", "b"]).await;
    let app = setup.start_ready().await;
    setup.advance(TimeDelta::hours(1));
    setup.openai.reset().await;
    mount_openai(&setup.openai, &["b", "c"]).await;
    assert_eq!(app.refresh("openai").await["outcome"], "changed");
    for (query, ids) in [
        ("revision=1&q=:a", vec!["openai:a"]),
        ("revision=2&q=openai:a", vec![]),
        (
            "revision=1&provider=openai&fields=id",
            vec!["openai:a", "openai:b"],
        ),
        ("revision=1&provider=anthropic", vec![]),
    ] {
        let answer = app.get(&format!("/v1/models?{query}")).await;
        assert_eq!(answer.ids(), ids, "{query}");
        assert_eq!(
            answer.header("cache-control"),
            Some("public, max-age=31536000, immutable")
        );
    }
    app.stop().await;
}

#[tokio::test]
async fn stale_models_and_old_ones_can_be_left_out() {
    let (setup, app) = with_endpoints().await;
    let fresh = "/v1/models?stale=exclude";
    let all = app.models().await.ids();
    assert_eq!(app.get(fresh).await.ids(), all);
    let revision = app
        .models()
        .await
        .header("catalog-revision")
        .map(str::to_owned);
    // All sources fail from now on: nothing changes but the time.
    for server in [&setup.openai, &setup.google, &setup.anthropic]
        .into_iter()
        .chain(setup.endpoints.values())
    {
        server.reset().await;
    }
    setup.advance(TimeDelta::minutes(4));
    let answer = app.get(fresh).await;
    let cloud: Vec<String> = all
        .iter()
        .filter(|id| id.contains(":g") || id.contains(":c"))
        .cloned()
        .collect();
    assert_eq!(answer.ids(), cloud, "local models are stale");
    assert_eq!(answer.header("catalog-stale"), Some("box, zed"));
    assert_eq!(answer.header("cache-control"), Some("no-cache"));
    assert_eq!(app.get("/v1/models?stale=include").await.ids(), all);
    assert_eq!(app.get("/v1/models?max_age=3m").await.ids(), [""; 0]);
    assert_eq!(app.get("/v1/models?max_age=5m").await.ids(), all);
    assert_eq!(app.get("/v1/models?max_age=300").await.ids(), all);
    // The header is about what is asked for.
    let answer = app.get("/v1/models?provider=openai").await;
    assert_eq!(answer.header("catalog-stale"), None);
    assert_eq!(
        answer.header("catalog-revision").map(str::to_owned),
        revision
    );
    app.stop().await;
}

#[tokio::test]
async fn who_does_not_ask_for_a_missing_source_does_not_wait_for_it() {
    let mut setup = Setup::happy().await;
    mount_vllm(setup.add_endpoint("box").await, &["m:7b"]).await;
    setup.openai.reset().await;
    let slow = ResponseTemplate::new(200)
        .set_body_json(openai_body(&["late"]))
        .set_delay(Duration::from_secs(8));
    mount_template(&setup.openai, "/v1/models", slow).await;
    let app = setup.start().await;
    let began = Instant::now();
    let answer = app.get("/v1/models?provider=box").await;
    let waited = began.elapsed();
    assert!(waited < Duration::from_millis(1500), "{waited:?}");
    assert_eq!(answer.ids(), ["m:7b"]);
    assert_eq!(answer.header("cache-control"), Some("no-cache"));
    let missing = app.source("openai").await;
    assert_eq!(missing["state"], "missing");
    let answer = app.get("/v1/models?provider=box,openai").await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    app.stop().await;
}

#[tokio::test]
async fn twenty_thousand_models_are_filtered_in_time() {
    let mut setup = Setup::new().await;
    setup.providers = vec!["openai"];
    let ids: Vec<String> = (0..20_000)
        .map(|number| format!("model-{number:05}"))
        .collect();
    mount_openai(&setup.openai, &ids).await;
    let app = setup.start_ready().await;
    assert_eq!(app.models().await.ids().len(), 20_000);
    for query in ["owned_by=openai", "fields=id,owned_by"] {
        let mut best = Duration::MAX;
        for round in 1..=5 {
            // All are chosen, by another filter each time: none is remembered.
            let path = format!("/v1/models?{query}&q={},model", "x".repeat(round));
            let began = Instant::now();
            let answer = app.get(&path).await;
            best = best.min(began.elapsed());
            assert_eq!(answer.status, 200);
        }
        println!("20,000 models chosen by {query}: {} ms", best.as_millis());
        assert!(best < Duration::from_millis(100), "{query}: {best:?}");
    }
    app.stop().await;
}
