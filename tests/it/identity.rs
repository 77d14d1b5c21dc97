//! A model is its source and its id there: no text is taken for another model, and a part of the
//! catalog is answered as if nothing else existed.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use model_catalog::{ClientKey, WebhookConfig};
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::method};

use crate::helpers::{Setup, TestApp, mount_openai, mount_vllm};

const ADMIN: &str = "key-of-the-admin-0123456789";
const BOX: &str = "key-of-the-box-0123456789";
const OPENAI: &str = "key-of-openai-0123456789";

async fn lists(setup: &Setup, app: &TestApp, source: &str, ids: &[&str]) {
    setup.advance(TimeDelta::seconds(31));
    match source {
        "openai" => {
            setup.openai.reset().await;
            mount_openai(&setup.openai, ids).await;
        }
        endpoint => {
            setup.endpoints[endpoint].reset().await;
            mount_vllm(&setup.endpoints[endpoint], ids).await;
        }
    }
    let url = app.url(&format!("/catalog/refresh?source={source}"));
    let answer = app.send(app.http.post(url).bearer_auth(ADMIN)).await;
    assert_eq!(answer.json()["sources"][0]["outcome"], "changed");
}

/// One provider and one local server with these models.
async fn setup(openai: &[&str], local: &[&str]) -> Setup {
    let mut setup = Setup::new().await;
    setup.providers = vec!["openai"];
    setup.admin_key = Some(ADMIN);
    mount_openai(&setup.openai, openai).await;
    mount_vllm(setup.add_endpoint("box").await, local).await;
    setup
}

/// Pages through the list from after `cursor` on.
async fn pages(app: &TestApp, mut cursor: String) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        let page = app.get(&format!("/v1/models?limit=3&after={cursor}")).await;
        all.extend(page.ids());
        let body = page.json();
        if body["has_more"] != true {
            return all;
        }
        cursor = body["last_id"].as_str().expect("an id").to_owned();
    }
}

#[tokio::test]
async fn a_page_goes_on_where_a_local_model_was_that_reads_as_a_cloud_model() {
    let letters: Vec<String> = ('a'..='z').map(|letter| format!("{letter}:1b")).collect();
    let mut local: Vec<&str> = letters.iter().map(String::as_str).collect();
    local.push("openai:7b");
    let mut setup = setup(&["gpt-a"], &local).await;
    setup.providers.clear();
    let app = setup.start_ready().await;
    assert!(app.models().await.ids().contains(&"openai:7b".to_owned()));
    app.stop().await;

    // The provider is new. The local model has another name now, which is told as a change.
    setup.providers.push("openai");
    let app = setup.start_ready().await;
    let ids = app.models().await.ids();
    assert_eq!(ids.len(), 28);
    assert!(ids.contains(&"box:openai:7b".to_owned()), "{ids:?}");
    let changes = app.get("/catalog/changes?model=box:openai:7b").await.json();
    assert_eq!(changes["events"][1]["changed"], json!(["id"]));
    assert_eq!(changes["events"][1]["id"], "box:openai:7b");
    let renamed_in = changes["events"][1]["revision"]
        .as_i64()
        .expect("a revision");
    let before = app
        .get(&format!("/v1/models?revision={}", renamed_in - 1))
        .await;
    assert!(before.ids().contains(&"openai:7b".to_owned()), "as it was");

    // Then it goes, and both names are places in the list.
    local.pop();
    lists(&setup, &app, "box", &local).await;
    for (cursor, first) in [("box:openai:7b", "c:1b"), ("openai:7b", "p:1b")] {
        let rest = pages(&app, cursor.to_owned()).await;
        let start = ids.iter().position(|id| id == first).expect("listed");
        let expected: Vec<String> = ids[start..].to_vec();
        assert_eq!(rest, expected, "{cursor}");
    }
    assert_eq!(pages(&app, "openai:g".to_owned()).await, ["openai:gpt-a"]);
    app.stop().await;
}

#[tokio::test]
async fn no_endpoint_stands_in_for_a_provider() {
    let mut setup = setup(&["gpt-x", "gpt-y"], &["openai:gpt-x", "m:7b"]).await;
    setup.start_ready().await.stop().await;
    setup.keys = vec![
        ClientKey::new("openai", OPENAI)
            .expect("usable")
            .models(&["openai:*"])
            .expect("usable"),
    ];
    let app = setup.start().await;
    lists(&setup, &app, "openai", &["gpt-y"]).await;

    let all = app.get_with("/v1/models", ADMIN).await;
    assert_eq!(all.ids(), ["box:openai:gpt-x", "m:7b", "openai:gpt-y"]);
    let seen = app.get_with("/v1/models", OPENAI).await;
    assert_eq!(seen.ids(), ["openai:gpt-y"]);
    for key in [ADMIN, OPENAI] {
        let one = app.get_with("/v1/models/openai:gpt-x", key).await;
        assert_eq!(one.status, 404);
        let history = app
            .get_with("/catalog/models/openai:gpt-x/history", key)
            .await
            .json();
        assert_eq!(history["listed"], false);
        assert_eq!(history["events"].as_array().expect("events").len(), 2);
    }
    let why = app
        .get_with("/catalog/why/openai:gpt-x", ADMIN)
        .await
        .json();
    assert_eq!(why["listed"], false);
    let because = why["because"].as_str().expect("a reason");
    assert!(because.starts_with("openai listed it until "), "{because}");
    assert!(
        because.ends_with("; box has a model of its own with this id, listed as box:openai:gpt-x"),
        "{because}"
    );
    // At its own base it has its own id.
    let own = app
        .get_with("/catalog/providers/box/v1/models", ADMIN)
        .await;
    assert_eq!(own.ids(), ["m:7b", "openai:gpt-x"]);
    app.stop().await;
}

#[tokio::test]
async fn a_part_is_answered_as_if_nothing_else_existed() {
    let mut setup = setup(&["o", "p"], &["openai:o", "m:7b"]).await;
    mount_vllm(setup.add_endpoint("zed").await, &["m:7b"]).await;
    setup.start_ready().await.stop().await;
    setup.keys = vec![ClientKey::new("box", BOX).expect("usable").source("box")];
    let app = setup.start().await;

    // Whoever sees the endpoint only sees its model under its own id, everywhere.
    let expected = ["m:7b", "openai:o"];
    for path in [
        "/v1/models",
        "/v1/models?provider=box",
        "/v1/models?limit=5",
        "/catalog/providers/box/v1/models",
        "/catalog/providers/box/models?q=",
    ] {
        assert_eq!(app.get_with(path, BOX).await.ids(), expected, "{path}");
    }
    let entry = app.get_with("/v1/models/openai:o", BOX).await.json();
    assert_eq!(entry["endpoints"], json!(["box"]));
    assert_eq!(entry["owned_by"], "lb");
    let feed = app.get_with("/catalog/changes", BOX).await.json();
    let told: BTreeSet<&str> = feed["events"]
        .as_array()
        .expect("events")
        .iter()
        .map(|event| event["id"].as_str().expect("an id"))
        .collect();
    assert_eq!(told, BTreeSet::from(expected));
    for id in expected {
        let history = app
            .get_with(&format!("/catalog/models/{id}/history"), BOX)
            .await
            .json();
        assert_eq!(history["listed"], true, "{id}");
        let why = app
            .get_with(&format!("/catalog/why/{id}"), BOX)
            .await
            .json();
        assert_eq!(why["listed"], true, "{id}");
        assert_eq!(why["sources"][0]["name"], "box", "{id}");
    }

    // Who sees everything sees every model too, whatever is asked.
    let all = app.get_with("/v1/models", ADMIN).await;
    assert_eq!(all.ids(), ["box:openai:o", "m:7b", "openai:o", "openai:p"]);
    for (filter, expected) in [
        ("provider=box", vec!["box:openai:o", "m:7b"]),
        ("provider=zed", vec!["m:7b"]),
        ("provider=openai", vec!["openai:o", "openai:p"]),
        ("owned_by=lb", vec!["box:openai:o", "m:7b"]),
    ] {
        let some = app.get_with(&format!("/v1/models?{filter}"), ADMIN).await;
        assert_eq!(some.ids(), expected, "{filter}");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_miss_asks_only_the_provider_that_could_have_the_model() {
    let mut setup = setup(&["a"], &["m:7b"]).await;
    let openai = setup.config().sources[0].clone();
    setup.providers.clear();
    setup.extra = vec![openai.exclude(&["*-preview"]).expect("usable")];
    let app = setup.start_ready().await;
    let before = Setup::calls(&setup.openai).await;
    // From now on a miss may ask.
    setup.advance(TimeDelta::minutes(2));
    for path in [
        "/v1/models/openai:b-preview",
        "/v1/models/openai:",
        "/v1/models/other:b",
        "/catalog/providers/box/v1/models/openai:b",
        "/catalog/providers/openai/v1/models/b-preview",
    ] {
        assert_eq!(app.get(path).await.status, 404, "{path}");
        assert_eq!(Setup::calls(&setup.openai).await, before, "{path}");
    }
    setup.openai.reset().await;
    mount_openai(&setup.openai, &["a", "b"]).await;
    let found = app.get("/catalog/providers/openai/v1/models/b").await;
    assert_eq!(found.status, 200);
    assert_eq!(Setup::calls(&setup.openai).await, 1);
    app.stop().await;
}

#[tokio::test]
async fn whoever_follows_one_model_is_told_when_its_source_is_hidden_and_shown() {
    let mut setup = setup(&["a"], &["m:7b"]).await;
    setup.start_ready().await.stop().await;
    setup.providers.clear();
    setup.start().await.stop().await;
    setup.providers.push("openai");
    let app = setup.start().await;
    let of = async |id: &str| {
        let feed = app
            .get(&format!("/catalog/changes?model={id}"))
            .await
            .json();
        let events = feed["events"].as_array().expect("events").clone();
        let kind = |event: &Value| event["event"].as_str().expect("a kind").to_owned();
        events.iter().map(kind).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(of("openai:a").await, "added hidden shown");
    assert_eq!(of("openai:b").await, "");
    assert_eq!(of("m:7b").await, "added");
    let history = app.get("/catalog/models/openai:a/history").await.json();
    assert_eq!(history["events"].as_array().expect("events").len(), 3);
    assert_eq!(history["first_seen_at"], history["events"][0]["at"]);
    app.stop().await;
}

#[tokio::test]
async fn a_model_that_is_missing_is_told_although_another_source_never_answered() {
    let target = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(200))
        .mount(&target)
        .await;
    let secret = "whsec_bW9kZWwtY2F0YWxvZy10ZXN0LXNlY3JldC0wMTIz";
    let mut setup = setup(&["a", "b"], &["m:7b"]).await;
    // Nothing is mounted at google: it never gives a list.
    setup.providers = vec!["openai", "google"];
    setup.webhooks = vec![WebhookConfig::new("all", &target.uri(), secret).expect("usable")];
    setup.watch = Some(
        model_catalog::Watch::new(&["openai:a", "google:g"], TimeDelta::days(30)).expect("usable"),
    );
    let app = setup.start_ready().await;
    lists(&setup, &app, "openai", &["b"]).await;
    app.until("the alert has arrived", async |_| {
        let requests = target.received_requests().await.expect("recording is on");
        let mut bodies = requests.iter().filter_map(|request| {
            let body: Value = request.body_json().ok()?;
            (body["type"] == "catalog.watch").then_some(body)
        });
        bodies.any(|body| body["data"]["id"] == "openai:a")
    })
    .await;
    let requests = target.received_requests().await.expect("recording is on");
    let told = requests
        .iter()
        .any(|request| String::from_utf8_lossy(&request.body).contains("google:g"));
    assert!(!told, "google may have it");
    app.stop().await;
}
