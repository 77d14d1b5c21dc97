//! Every answer has the shape that the OpenAPI document says, errors in each dialect included.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use model_catalog::ClientKey;
use serde_json::json;

use crate::{
    described::Described,
    helpers::{
        Setup, TestApp, google_model, mount, mount_google, mount_ollama, mount_openai, mount_vllm,
    },
};

const ANTHROPIC: &[(&str, &str)] = &[("anthropic-version", "2023-06-01")];
const GEMINI: &[(&str, &str)] = &[("x-goog-api-client", "x")];

/// Providers and local servers with history: models that came, changed and went, a source that fails, an
/// Ollama.
async fn with_everything() -> (Setup, TestApp) {
    let mut setup = Setup::happy().await;
    mount_ollama(setup.add_endpoint("box").await, &["llama:8b"]).await;
    mount_vllm(setup.add_endpoint("gpu").await, &["m", "n"]).await;
    let app = setup.start_ready().await;
    setup.advance(TimeDelta::minutes(1));
    setup.openai.reset().await;
    let entries = json!([
        {"id": "gpt-a", "object": "model", "created": 1_700_000_000, "owned_by": "system",
         "context_window": 128_000, "description": "Made up", "capabilities": ["tools"],
         "input_modalities": ["text", "image"], "pricing": {"prompt": "0.1", "image": 2},
         "deprecated_at": "2026-01-01T00:00:00Z", "retires_at": "2027-01-01T00:00:00Z"},
        {"id": "gpt-new", "object": "model", "created": 1_700_000_000, "owned_by": "system"},
        {"object": "model"},
    ]);
    mount(
        &setup.openai,
        "/v1/models",
        json!({"object": "list", "data": entries}),
    )
    .await;
    setup.anthropic.reset().await;
    app.refresh("openai").await;
    app.refresh("anthropic").await;
    setup.google.reset().await;
    mount(
        &setup.google,
        "/v1beta/models",
        json!({"models": [google_model("gemini-a")]}),
    )
    .await;
    (setup, app)
}

/// Every operation of the document, except a stream that does not end, has answered as it says.
#[tokio::test]
async fn every_answer_has_the_shape_that_it_says() {
    let (setup, app) = with_everything().await;
    let mut described = Described::new();
    let c = &mut described;
    for list in ["/v1/models", "/ollama/v1/models"] {
        for query in [
            "",
            "?limit=2",
            "?limit=2&after=m",
            "?limit=2&after=anthropic:zzz",
            "?fields=created,pricing",
            "?q=nothing",
            "?q=nothing&limit=5",
            "?revision=1",
            "?capability=tools&stale=include",
        ] {
            for headers in [&[], ANTHROPIC, GEMINI] {
                c.get(&app, &format!("{list}{query}"), headers, 200).await;
            }
        }
        for headers in [&[], ANTHROPIC, GEMINI] {
            for id in ["openai:gpt-a", "m", "google:gemini-a", "anthropic:claude-a"] {
                c.get(&app, &format!("{list}/{id}"), headers, 200).await;
            }
            c.get(&app, &format!("{list}/nothing"), headers, 404).await;
            c.get(&app, &format!("{list}?revision=999999"), headers, 400)
                .await;
            c.get(&app, &format!("{list}?stale=x"), headers, 400).await;
        }
    }
    for list in ["/v1beta/models", "/v1beta/openai/models"] {
        for query in ["", "?pageSize=1", "?limit=1", "?fields=created"] {
            c.get(&app, &format!("{list}{query}"), &[], 200).await;
        }
        c.get(&app, &format!("{list}/openai:gpt-a"), &[], 200).await;
        c.get(&app, &format!("{list}/nothing"), &[], 404).await;
        c.get(&app, &format!("{list}?at=never"), &[], 400).await;
    }
    for (source, id) in [
        ("openai", "gpt-a"),
        ("google", "gemini-a"),
        ("anthropic", "claude-a"),
        ("box", "llama:8b"),
        ("gpu", "m"),
    ] {
        let base = format!("/catalog/providers/{source}");
        for list in [
            "v1/models",
            "v1beta/models",
            "v1beta/openai/models",
            "models",
        ] {
            for query in [
                "",
                "?limit=1",
                "?pageSize=1",
                "?fields=created",
                "?revision=1",
            ] {
                c.get(&app, &format!("{base}/{list}{query}"), &[], 200)
                    .await;
            }
            c.get(&app, &format!("{base}/{list}/{id}"), &[], 200).await;
            c.get(&app, &format!("{base}/{list}/nothing"), &[], 404)
                .await;
        }
        for headers in [ANTHROPIC, GEMINI] {
            c.get(&app, &format!("{base}/v1/models"), headers, 200)
                .await;
            c.get(&app, &format!("{base}/v1/models/{id}"), headers, 200)
                .await;
        }
        let status = if source == "box" { 200 } else { 404 };
        for route in ["", "/api/tags", "/api/version", "/api/ps"] {
            c.get(&app, &format!("{base}{route}"), &[], status).await;
        }
        let show = format!("{base}/api/show");
        c.post(&app, &show, &json!({"model": id}), status).await;
        c.post(&app, &show, &json!({"model": "nothing"}), 404).await;
    }
    for route in ["", "/api/tags", "/api/version", "/api/ps"] {
        c.get(&app, &format!("/ollama{route}"), &[], 200).await;
    }
    for id in ["openai:gpt-a", "llama:8b", "m"] {
        c.post(&app, "/ollama/api/show", &json!({"model": id}), 200)
            .await;
    }
    c.post(&app, "/ollama/api/show", &json!({}), 400).await;
    c.post(
        &app,
        "/ollama/api/show",
        &json!({"model": "x".repeat(70_000)}),
        413,
    )
    .await;
    below_catalog(c, &app).await;

    let names = c.document["paths"].as_object().expect("paths").values();
    let names = names.flat_map(|item| item.as_object().expect("an item").values());
    let names: BTreeSet<String> = names
        .map(|operation| {
            operation["operationId"]
                .as_str()
                .expect("a name")
                .to_owned()
        })
        .collect();
    let untried: Vec<&String> = names.difference(&c.succeeded).collect();
    assert_eq!(untried, ["followEvents"], "they were not tried");
    app.stop().await;
    drop(setup);
}

async fn below_catalog(c: &mut Described, app: &TestApp) {
    for query in [
        "",
        "?since=1",
        "?limit=1",
        "?event=removed,added",
        "?model=openai:gpt-a",
    ] {
        c.get(app, &format!("/catalog/changes{query}"), &[], 200)
            .await;
    }
    for query in [
        "?since=x",
        "?since=99999",
        "?limit=0",
        "?event=x",
        "?bogus=1",
    ] {
        c.get(app, &format!("/catalog/changes{query}"), &[], 400)
            .await;
    }
    for route in [
        "sources",
        "providers",
        "retirements",
        "retirements?within=90d",
        "changes.atom",
        "models/openai:gpt-a/history",
        "models/openai:gpt-b/history",
        "why/openai:gpt-a",
        "why/openai:gpt-b",
        "why/nothing",
        "why/mistral:x",
        "why/m",
    ] {
        c.get(app, &format!("/catalog/{route}"), &[], 200).await;
    }
    c.get(app, "/catalog/models/nothing/history", &[], 404)
        .await;
    c.get(app, "/catalog/retirements?within=x", &[], 400).await;
    c.post(app, "/catalog/refresh", &json!({}), 200).await;
    c.post(app, "/catalog/refresh?source=nothing", &json!({}), 404)
        .await;
    c.post(app, "/catalog/refresh?accept=true", &json!({}), 400)
        .await;
    c.get(app, "/catalog/sources", &[("host", "example.com")], 403)
        .await;
    for route in [
        "/catalog.sqlite",
        "/metrics",
        "/healthz",
        "/readyz",
        "/openapi.json",
    ] {
        c.get(app, route, &[], 200).await;
    }
}

#[tokio::test]
async fn so_have_refusals_of_keys_and_answers_to_those_that_see_a_part() {
    let mut setup = Setup::happy().await;
    mount_openai(&setup.openai, &["gpt-a"]).await;
    mount_google(&setup.google, &["gemini-a"]).await;
    let part = ClientKey::new("part", "p").expect("usable");
    let part = part.source("openai");
    setup.keys = vec![ClientKey::new("all", "k").expect("usable"), part];
    let app = setup.start().await;
    let mut described = Described::new();
    let c = &mut described;
    for path in [
        "/v1/models",
        "/v1/models/openai:gpt-a",
        "/v1beta/models",
        "/v1beta/openai/models",
        "/ollama/api/tags",
        "/ollama",
        "/catalog/providers/openai/v1/models",
        "/catalog/sources",
        "/catalog.sqlite",
        "/metrics",
    ] {
        c.get(&app, path, &[], 401).await;
        c.get(&app, path, &[("authorization", "Bearer x")], 401)
            .await;
        c.get(&app, path, &[("x-api-key", "k")], 200).await;
    }
    c.get(&app, "/v1/models", ANTHROPIC, 401).await;
    c.get(&app, "/v1/models", &[("x-goog-api-key", "x")], 401)
        .await;
    c.get(&app, "/v1/models", &[("x-goog-api-key", "k")], 200)
        .await;
    for path in ["/metrics", "/catalog.sqlite"] {
        c.get(&app, path, &[("api-key", "p")], 403).await;
    }
    for path in [
        "/v1/models",
        "/catalog/sources",
        "/catalog/changes",
        "/catalog/why/openai:gpt-a",
    ] {
        c.get(&app, path, &[("api-key", "p")], 200).await;
    }
    app.stop().await;
}
