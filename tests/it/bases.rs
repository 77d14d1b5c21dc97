//! `/catalog/providers/{name}`: a base URL for clients that know one provider only. Its list with
//! its own ids, as it sent each entry. Written before the code.

use chrono::TimeDelta;
use model_catalog::ClientKey;
use rstest::rstest;
use serde_json::{Value, json};

use crate::helpers::{
    Answer, Setup, TestApp, anthropic_model, mount, mount_ollama, mount_openai, openai_body,
};

const BASE: &str = "/catalog/providers";

fn ids(answer: &Answer, list: &str, field: &str) -> Vec<String> {
    let body = answer.json();
    let models = body[list]
        .as_array()
        .unwrap_or_else(|| panic!("{list}: {body}"));
    models
        .iter()
        .map(|model| model[field].as_str().expect("an id").to_owned())
        .collect()
}

/// Sends `headers` with a GET of `path` below the bases.
async fn get(app: &TestApp, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = app.http.get(app.url(&format!("{BASE}/{path}")));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    app.send(request).await
}

#[tokio::test]
async fn openai_entries_are_as_they_were_sent_with_the_four_fields() {
    let setup = Setup::happy().await;
    setup.openai.reset().await;
    let whole = json!({"id": "whole", "object": "model", "created": 7, "owned_by": "system",
                       "architecture": {"modality": "text->text"}, "pricing": {"prompt": "0.0000001"}});
    let bare = json!({"id": "org/bare", "top_provider": {"is_moderated": false}});
    let odd =
        json!({"id": "odd", "object": 1, "created": "now", "created_at": 5, "owned_by": null});
    mount(
        &setup.openai,
        "/v1/models",
        json!({"data": [whole, bare, odd]}),
    )
    .await;
    let app = setup.start_ready().await;

    // An OpenAI client takes its base with or without `/v1`.
    for path in [
        "openai/v1/models",
        "openai/models",
        "openai/v1beta/openai/models",
    ] {
        let answer = get(&app, path, &[]).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(
            answer.json(),
            json!({"object": "list", "data": [
                {"id": "odd", "object": "model", "created": 5, "created_at": 5, "owned_by": "openai"},
                {"id": "org/bare", "object": "model", "created": 0, "owned_by": "openai",
                 "top_provider": {"is_moderated": false}},
                whole,
            ]}),
            "{path}"
        );
    }
    for id in ["org/bare", "org%2Fbare"] {
        let one = get(&app, &format!("openai/v1/models/{id}"), &[]).await;
        assert_eq!(
            one.json()["top_provider"],
            json!({"is_moderated": false}),
            "{id}"
        );
    }
    app.stop().await;
}

#[tokio::test]
async fn anthropics_and_googles_entries_are_as_they_were_sent() {
    let setup = Setup::happy().await;
    setup.anthropic.reset().await;
    setup.google.reset().await;
    let mut claude = anthropic_model("claude-x");
    claude["capabilities"] = json!({"thinking": {"supported": true}});
    claude["line"] = json!("opus");
    let old = json!({"type": "model", "id": "claude-old"});
    mount(
        &setup.anthropic,
        "/v1/models",
        json!({"data": [claude, old], "has_more": false}),
    )
    .await;
    let gemini =
        json!({"name": "models/gemini-x", "version": "001", "temperature": 0.95, "topK": 64});
    mount(&setup.google, "/v1beta/models", json!({"models": [gemini]})).await;
    let app = setup.start_ready().await;

    let old = json!({"type": "model", "id": "claude-old", "display_name": "claude-old",
                     "created_at": "1970-01-01T00:00:00Z"});
    // With the header that its clients send, and without.
    for headers in [&[][..], &[("anthropic-version", "2026-10-21")]] {
        assert_eq!(
            get(&app, "anthropic/v1/models", headers).await.json(),
            json!({"data": [old, claude], "has_more": false, "first_id": "claude-old", "last_id": "claude-x"})
        );
        assert_eq!(
            get(&app, "anthropic/v1/models/claude-x", headers)
                .await
                .json(),
            claude
        );
    }
    for path in ["google/v1beta/models", "google/v1/models"] {
        assert_eq!(
            get(&app, path, &[]).await.json(),
            json!({"models": [gemini]}),
            "{path}"
        );
        assert_eq!(
            get(&app, &format!("{path}/gemini-x"), &[]).await.json(),
            gemini,
            "{path}"
        );
    }
    let openai = get(&app, "google/v1beta/openai/models", &[]).await.json();
    assert_eq!(
        (&openai["data"][0]["id"], &openai["data"][0]["owned_by"]),
        (&json!("gemini-x"), &json!("google"))
    );
    let one = get(&app, "google/v1beta/openai/models/gemini-x", &[]).await;
    assert_eq!((one.status, &one.json()), (200, &openai["data"][0]));
    app.stop().await;
}

/// .NET and Python raise on a time outside of the years 1 to 9999, so one entry would spoil the list.
#[tokio::test]
async fn a_time_that_strict_clients_cannot_read_is_not_passed_on() {
    let mut setup = Setup::happy().await;
    for server in [&setup.openai, &setup.anthropic] {
        server.reset().await;
    }
    let created = [
        ("before", json!(-62_135_596_801_i64), 0),
        ("fraction", json!(1.7e9), 1_700_000_000),
        ("millis", json!(1_790_000_000_000_i64), 1_790_000_000),
        ("text", json!("2024-01-01T00:00:00Z"), 1_704_067_200),
    ];
    let data = created
        .iter()
        .map(|(id, created, _)| json!({"id": id, "created": created, "kept": 1}));
    mount(
        &setup.openai,
        "/v1/models",
        json!({"data": data.collect::<Vec<_>>()}),
    )
    .await;
    let times = [
        ("", "1970-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59-05:00", "1970-01-01T00:00:00Z"),
        ("2026-02-04", "2026-02-04T00:00:00Z"),
        ("2026-02-04T00:00:00+01:00", "2026-02-04T00:00:00+01:00"),
    ];
    let data = times.iter().enumerate().map(|(id, (time, _))| {
        json!({"id": format!("c-{id}"), "type": "model",
        "created_at": time, "retires_at": time, "kept": 1})
    });
    mount(
        &setup.anthropic,
        "/v1/models",
        json!({"data": data.collect::<Vec<_>>(), "has_more": false}),
    )
    .await;
    let tags = json!({"models": [{"name": "m:1", "model": "m:1", "modified_at": "", "kept": 1}]});
    let ollama = setup.add_endpoint("box").await;
    mount(ollama, "/api/tags", tags).await;
    let root = wiremock::ResponseTemplate::new(200).set_body_string("Ollama is running");
    crate::helpers::mount_template(ollama, "/", root).await;
    let app = setup.start_ready().await;

    let list = get(&app, "openai/v1/models", &[]).await.json();
    for (place, (id, _, second)) in created.iter().enumerate() {
        let entry = &list["data"][place];
        assert_eq!(
            (&entry["id"], &entry["created"], &entry["kept"]),
            (&json!(id), &json!(second), &json!(1))
        );
    }
    let list = get(&app, "anthropic/v1/models", &[]).await.json();
    for (place, (sent, served)) in times.iter().enumerate() {
        let entry = &list["data"][place];
        assert_eq!(
            (&entry["created_at"], &entry["kept"]),
            (&json!(served), &json!(1))
        );
        let retires_at = if sent == served {
            json!(served)
        } else {
            Value::Null
        };
        assert_eq!(entry["retires_at"], retires_at);
    }
    for path in [
        format!("{BASE}/box/api/tags"),
        "/ollama/api/tags".to_owned(),
    ] {
        let list = app.get(&path).await.json();
        let entry = &list["models"][0];
        assert_eq!(
            (entry.get("modified_at"), &entry["kept"]),
            (None, &json!(1)),
            "{path}"
        );
    }
    app.stop().await;
}

#[tokio::test]
async fn every_base_speaks_the_dialect_of_its_caller() {
    let app = Setup::happy().await.start_ready().await;
    let answer = get(
        &app,
        "openai/v1/models",
        &[("anthropic-version", "2023-06-01")],
    )
    .await;
    assert_eq!(ids(&answer, "data", "id"), ["gpt-a", "gpt-b"]);
    assert_eq!(answer.json()["data"][0]["type"], "model");
    let answer = get(&app, "openai/v1beta/models", &[]).await;
    assert_eq!(
        ids(&answer, "models", "name"),
        ["models/gpt-a", "models/gpt-b"]
    );
    let answer = get(&app, "anthropic/models", &[]).await;
    assert_eq!(
        answer.json()["data"][0],
        json!({
            "id": "claude-a", "object": "model", "created": 1_770_163_200, "owned_by": "anthropic",
            "display_name": "Display claude-a", "context_window": 200_000, "max_output_tokens": 64_000, "context_length": 200_000,
            "metadata_source": {"context_window": "anthropic", "display_name": "anthropic", "max_output_tokens": "anthropic"},
        })
    );
    app.stop().await;
}

#[tokio::test]
async fn an_endpoints_base_has_its_own_models_and_ollamas_tags() {
    let mut setup = Setup::happy().await;
    mount_ollama(setup.add_endpoint("box").await, &["m:1", "shared"]).await;
    crate::helpers::mount_vllm(setup.add_endpoint("gpu").await, &["shared", "org/v"]).await;
    let app = setup.start_ready().await;

    let tags = get(&app, "box/api/tags", &[]).await;
    assert_eq!(tags.status, 200);
    assert_eq!(ids(&tags, "models", "model"), ["m:1", "shared"]);
    assert_eq!(tags.json()["models"][0]["digest"], "3ddd2d3f");
    assert_eq!(tags.json()["models"][0]["details"]["format"], "gguf");
    let listed = get(&app, "box/v1/models", &[]).await;
    assert_eq!(ids(&listed, "data", "id"), ["m:1", "shared"]);
    assert_eq!(listed.json()["data"][0]["owned_by"], "lb");
    // Each base tells what its own server said of a model that several have.
    let listed = get(&app, "gpu/v1/models", &[]).await;
    assert_eq!(ids(&listed, "data", "id"), ["org/v", "shared"]);
    assert_eq!(listed.json()["data"][1]["max_model_len"], 65_536);
    assert_eq!(
        get(&app, "gpu/v1/models/shared", &[]).await.json()["owned_by"],
        "vllm"
    );
    // Only Ollama has tags: a client that looks for an Ollama must not believe that it has found one.
    assert_eq!(get(&app, "gpu/api/tags", &[]).await.status, 404);
    assert_eq!(get(&app, "openai/api/tags", &[]).await.status, 404);
    app.stop().await;
}

#[tokio::test]
async fn pages_work_there_as_well() {
    let setup = Setup::happy().await;
    for (server, count) in [
        (&setup.openai, 55),
        (&setup.anthropic, 25),
        (&setup.google, 55),
    ] {
        server.reset().await;
        let ids: Vec<String> = (0..count).map(|number| format!("m-{number:02}")).collect();
        if std::ptr::eq(server, &setup.openai) {
            mount_openai(server, &ids).await;
        } else if std::ptr::eq(server, &setup.anthropic) {
            crate::helpers::mount_anthropic(server, &ids).await;
        } else {
            crate::helpers::mount_google(server, &ids).await;
        }
    }
    let app = setup.start_ready().await;
    let first = get(&app, "anthropic/v1/models", &[]).await;
    assert_eq!(
        (ids(&first, "data", "id").len(), &first.json()["has_more"]),
        (20, &json!(true))
    );
    let second = get(&app, "anthropic/v1/models?after_id=m-19", &[]).await;
    assert_eq!(
        ids(&second, "data", "id"),
        ["m-20", "m-21", "m-22", "m-23", "m-24"]
    );
    let second = get(&app, "anthropic/v1/models?after_id=m-21b&limit=1", &[]).await;
    assert_eq!(ids(&second, "data", "id"), ["m-22"]);
    let first = get(&app, "google/v1beta/models", &[]).await;
    assert_eq!(ids(&first, "models", "name").len(), 50);
    let token = first.json()["nextPageToken"]
        .as_str()
        .expect("a token")
        .to_owned();
    let second = get(
        &app,
        &format!("google/v1beta/models?pageToken={token}"),
        &[],
    )
    .await;
    assert_eq!(ids(&second, "models", "name").len(), 5);
    let all = get(&app, "openai/v1/models", &[]).await;
    assert_eq!(ids(&all, "data", "id").len(), 55);
    let page = get(&app, "openai/v1/models?limit=50", &[]).await;
    assert_eq!(
        (ids(&page, "data", "id").len(), &page.json()["last_id"]),
        (50, &json!("m-49"))
    );
    app.stop().await;
}

#[tokio::test]
async fn answers_are_conditional_and_change_with_the_revision() {
    let setup = Setup::happy().await;
    let app = setup.start_ready().await;
    let before = get(&app, "openai/v1/models", &[]).await;
    let etag = before.header("etag").expect("an ETag").to_owned();
    assert_eq!(before.header("catalog-revision"), Some("3"));
    assert_eq!(
        get(&app, "openai/v1/models", &[("if-none-match", &etag)])
            .await
            .status,
        304
    );
    let head = app
        .send(app.http.head(app.url(&format!("{BASE}/openai/v1/models"))))
        .await;
    assert_eq!(
        (head.status, head.header("etag")),
        (200, Some(etag.as_str()))
    );

    setup.advance(TimeDelta::seconds(11));
    setup.openai.reset().await;
    let mut changed = openai_body(&["gpt-a", "gpt-c"]);
    changed["data"][0]["context_window"] = json!(1000);
    mount(&setup.openai, "/v1/models", changed.clone()).await;
    assert_eq!(app.refresh("openai").await["outcome"], "changed");
    let after = get(&app, "openai/v1/models", &[("if-none-match", &etag)]).await;
    assert_eq!(
        (after.status, after.header("catalog-revision")),
        (200, Some("4"))
    );
    assert_eq!(after.json(), changed);

    // Of the past there is what the catalog tells of a model, not what was sent.
    let past = get(&app, "openai/v1/models?revision=3", &[]).await;
    assert_eq!(ids(&past, "data", "id"), ["gpt-a", "gpt-b"]);
    assert_eq!(past.json()["data"][0]["owned_by"], "openai");
    app.stop().await;
}

#[rstest]
#[case("nobody/v1/models", None)]
#[case("nobody/models", None)]
#[case("nobody/v1/models/x", None)]
#[case("nobody/v1/models", Some("anthropic"))]
#[case("nobody/v1beta/models", Some("gemini"))]
#[case("OpenAI/v1/models", None)]
#[tokio::test]
async fn an_unknown_name_is_a_404_in_the_callers_shape(
    #[case] path: &str,
    #[case] shape: Option<&str>,
) {
    let app = Setup::happy().await.start_ready().await;
    let headers: &[(&str, &str)] = match shape {
        Some("anthropic") => &[("anthropic-version", "2023-06-01")],
        _ => &[],
    };
    let answer = get(&app, path, headers).await;
    assert_eq!(answer.status, 404);
    let body = answer.json();
    let told: Value = match shape {
        Some("anthropic") => body["error"]["details"]["error_code"].clone(),
        Some(_) => body["error"]["details"][0]["reason"].clone(),
        None => body["error"]["code"].clone(),
    };
    assert_eq!(
        told.as_str().expect("a code").to_lowercase(),
        "unknown_source",
        "{body}"
    );
    let message = body["error"]["message"].as_str().expect("a message");
    assert!(message.contains("/catalog/sources"), "{message}");
    app.stop().await;
}

#[tokio::test]
async fn an_unknown_model_is_a_404_in_the_sources_own_shape() {
    let mut setup = Setup::happy().await;
    mount_ollama(setup.add_endpoint("box").await, &["m:1"]).await;
    let app = setup.start_ready().await;
    for path in [
        "openai/v1/models/claude-a",
        "openai/v1/models/openai:gpt-a",
        "box/v1/models/gpt-a",
    ] {
        let answer = get(&app, path, &[]).await;
        assert_eq!(
            (answer.status, &answer.json()["error"]["code"]),
            (404, &json!("model_not_found")),
            "{path}"
        );
    }
    let answer = get(&app, "anthropic/v1/models/gpt-a", &[]).await;
    assert_eq!(
        (answer.status, &answer.json()["error"]["type"]),
        (404, &json!("not_found_error"))
    );
    let answer = get(&app, "google/v1/models/gpt-a", &[]).await;
    assert_eq!(
        (answer.status, &answer.json()["error"]["status"]),
        (404, &json!("NOT_FOUND"))
    );
    let answer = get(&app, "openai/v1/chat/completions", &[]).await;
    assert_eq!(
        (answer.status, &answer.json()["error"]["code"]),
        (404, &json!("unknown_route"))
    );
    app.stop().await;
}

#[tokio::test]
async fn what_is_hidden_is_not_listed_there_either() {
    let mut setup = Setup::happy().await;
    mount_ollama(setup.add_endpoint("box").await, &["m:1"]).await;
    let app = setup.start_ready().await;
    setup.endpoints["box"].reset().await;
    setup.advance(TimeDelta::minutes(6));
    app.catalog.wake();
    app.until("the endpoint is hidden", async |app| {
        app.source("box").await["state"] == "hidden"
    })
    .await;
    assert_eq!(
        get(&app, "box/v1/models", &[]).await.json()["data"],
        json!([])
    );
    assert_eq!(
        get(&app, "box/api/tags", &[]).await.json()["models"],
        json!([])
    );
    app.stop().await;
    // A source that the settings no longer name has no base.
    setup.endpoints.clear();
    let app = setup.start_ready().await;
    assert_eq!(get(&app, "box/v1/models", &[]).await.status, 404);
    app.stop().await;
}

#[tokio::test]
async fn asking_for_an_unknown_model_of_a_provider_has_it_asked() {
    let setup = Setup::happy().await;
    let app = setup.start_ready().await;
    setup.advance(TimeDelta::seconds(61));
    setup.openai.reset().await;
    mount_openai(&setup.openai, &["gpt-a", "gpt-b", "gpt-new"]).await;
    assert_eq!(get(&app, "openai/v1/models/gpt-new", &[]).await.status, 200);
    app.stop().await;
}

#[tokio::test]
async fn another_name_of_a_model_is_listed_by_that_name_and_what_is_excluded_is_not() {
    let setup = Setup::happy().await;
    setup.openai.reset().await;
    let mut body = openai_body(&["big", "hidden"]);
    body["data"][0]["pricing"] = json!({"prompt": "0.1"});
    mount(&setup.openai, "/v1/models", body).await;
    let mut config = setup.config();
    let openai = config
        .sources
        .iter_mut()
        .find(|source| source.name.as_str() == "openai")
        .expect("a source");
    *openai = openai
        .clone()
        .exclude(&["hid*"])
        .and_then(|source| source.alias("best", "big"))
        .expect("usable");
    let app = TestApp::start(config).await;
    app.until("OpenAI has answered", async |app| {
        !app.source("openai").await["fetched_at"].is_null()
    })
    .await;
    let entry = |id: &str| {
        json!({"id": id, "object": "model", "created": 1_700_000_000, "owned_by": "system",
               "pricing": {"prompt": "0.1"}})
    };
    // Which the source did not send: it is what the catalog tells of it.
    let best = json!({"id": "best", "object": "model", "created": 1_700_000_000, "owned_by": "openai",
        "pricing": {"prompt": "0.1"}, "metadata_source": {"pricing": "openai"}, "alias_of": "big"});
    assert_eq!(
        get(&app, "openai/models", &[]).await.json()["data"],
        json!([best, entry("big")])
    );
    assert_eq!(get(&app, "openai/models/best", &[]).await.json(), best);
    assert_eq!(get(&app, "openai/models/hidden", &[]).await.status, 404);
    app.stop().await;
}

#[tokio::test]
async fn a_key_has_the_bases_of_what_it_may_see() {
    const KEY: &str = "key-of-some-0123456789";
    let mut setup = Setup::happy().await;
    setup.keys = vec![
        ClientKey::new("some", KEY)
            .and_then(|key| key.source("openai").models(&["openai:gpt-b"]))
            .expect("usable"),
    ];
    let app = TestApp::start(setup.config()).await;
    let headers = [("x-api-key", KEY)];
    app.until("OpenAI has answered", async |app| {
        get(app, "openai/v1/models/gpt-b", &headers).await.status == 200
    })
    .await;
    let listed = get(&app, "openai/v1/models", &headers).await;
    assert_eq!(ids(&listed, "data", "id"), ["gpt-b"]);
    assert_eq!(
        listed.json()["data"][0]["owned_by"],
        "system",
        "as it was sent"
    );
    assert_eq!(
        get(&app, "openai/v1/models/gpt-a", &headers).await.status,
        404
    );
    let hidden = get(&app, "anthropic/v1/models", &headers).await;
    let unknown = get(&app, "nobody/v1/models", &headers).await;
    assert_eq!((hidden.status, &hidden.body), (404, &unknown.body));
    assert_eq!(get(&app, "openai/v1/models", &[]).await.status, 401);
    assert_eq!(get(&app, "nobody/v1/models", &[]).await.status, 401);
    app.stop().await;
}

#[tokio::test]
async fn a_bases_headers_are_about_its_source_and_filters_choose_there_too() {
    let setup = Setup::happy().await;
    setup.google.reset().await;
    let app = setup.start_ready().await;
    // Google is missing: that is nothing to OpenAI's list.
    assert_eq!(app.models().await.header("cache-control"), Some("no-store"));
    let answer = get(&app, "openai/v1/models", &[]).await;
    assert_eq!(answer.header("cache-control"), Some("no-cache"));
    assert_eq!(
        get(&app, "google/v1/models", &[])
            .await
            .header("cache-control"),
        Some("no-store")
    );
    setup.advance(TimeDelta::hours(25));
    setup.openai.reset().await;
    setup.anthropic.reset().await;
    let answer = get(&app, "openai/v1/models", &[]).await;
    assert_eq!(answer.header("catalog-stale"), Some("openai"));
    let answer = get(&app, "openai/v1/models?q=gpt-b&fields=created", &[]).await;
    assert_eq!(
        answer.json()["data"],
        json!([{"id": "gpt-b", "created": 1_700_000_000}])
    );
    // What is asked for is this source's, whatever else is named.
    let answer = get(&app, "openai/v1/models?provider=anthropic", &[]).await;
    assert_eq!(ids(&answer, "data", "id"), ["gpt-a", "gpt-b"]);
    app.stop().await;
}
