//! Answers that help: what was probably meant, and where to look.

use model_catalog::ClientKey;

use crate::helpers::{Answer, Setup, TestApp, mount_openai};

fn message(answer: &Answer) -> String {
    let answer = answer.json();
    let message = answer["error"]["message"].as_str();
    message.expect("a message").to_owned()
}

#[tokio::test]
async fn the_404_of_a_model_names_what_may_have_been_meant_and_where_to_ask_why() {
    let mut setup = Setup::new().await;
    setup.providers = vec!["openai"];
    setup.keys = vec![
        ClientKey::new("all", "key-of-all").expect("a key"),
        ClientKey::new("one", "key-of-one")
            .and_then(|key| key.models(&["openai:zebra"]))
            .expect("a key"),
    ];
    mount_openai(&setup.openai, &["gpt-4o", "gpt-4o-mini", "zebra"]).await;
    let app = setup.start().await;
    app.until("the provider has answered", async |app| {
        app.get_with("/v1/models", "key-of-all").await.ids().len() == 3
    })
    .await;
    for (id, expected) in [
        (
            "gpt-4o",
            "The model 'gpt-4o' does not exist. Did you mean openai:gpt-4o? Why: GET /catalog/why/gpt-4o",
        ),
        (
            "openai:gpt-4o-mi",
            "The model 'openai:gpt-4o-mi' does not exist. Did you mean openai:gpt-4o-mini or openai:gpt-4o? Why: GET /catalog/why/openai:gpt-4o-mi",
        ),
        (
            "openai:zebr%61s",
            "The model 'openai:zebras' does not exist. Did you mean openai:zebra? Why: GET /catalog/why/openai:zebras",
        ),
        (
            "a%20b%2Fc%3Fd",
            "The model 'a b/c?d' does not exist. Why: GET /catalog/why/a%20b/c%3Fd",
        ),
    ] {
        let answer = app
            .get_with(&format!("/v1/models/{id}"), "key-of-all")
            .await;
        assert_eq!(answer.status, 404);
        assert_eq!(message(&answer), expected);
        let (_, why) = expected.split_once("GET ").expect("a route");
        let why = app.get_with(why, "key-of-all").await.json();
        assert!(expected.contains(&format!("'{}'", why["id"].as_str().expect("an id"))));
    }
    // A key learns of nothing that it may not see.
    let answer = app.get_with("/v1/models/gpt-4o", "key-of-one").await;
    let expected = "The model 'gpt-4o' does not exist. Why: GET /catalog/why/gpt-4o";
    assert_eq!(message(&answer), expected);
    // What is too long to be echoed is no help either.
    let long = format!("/v1/models/{}", "x".repeat(400));
    assert!(!message(&app.get_with(&long, "key-of-all").await).contains("Why"));
}

#[tokio::test]
async fn an_unknown_route_names_the_nearest() {
    let app = Setup::happy().await.start_ready().await;
    for (path, expected) in [
        ("/v1/modles", Some("/v1/models")),
        ("/catalog/source", Some("/catalog/sources")),
        ("/catalog/change", Some("/catalog/changes")),
        ("/catalog/retirement", Some("/catalog/retirements")),
        ("/metric", Some("/metrics")),
        ("/helthz", Some("/healthz")),
        ("/nothing/like/it", None),
    ] {
        let answer = app.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        let message = message(&answer);
        match expected {
            Some(route) => {
                let meant = format!("No route {path}: did you mean {route}? The list is ");
                assert!(message.starts_with(&meant), "{message}");
            }
            None => assert!(message.starts_with("No route /nothing/like/it: the list is ")),
        }
    }
}

async fn empty(app: &TestApp, path: &str, key: &str) -> Option<String> {
    let answer = app.get_with(path, key).await;
    assert_eq!(answer.status, 200, "{path}");
    answer.header("catalog-empty").map(str::to_owned)
}

#[tokio::test]
async fn an_empty_list_says_why() {
    let mut setup = Setup::new().await;
    setup.providers = vec![];
    let app = setup.start_ready().await;
    let why = empty(&app, "/v1/models", "").await;
    assert!(why.expect("a reason").contains("/catalog/providers"));
    app.stop().await;

    setup.providers = vec!["openai"];
    let key = |name: &str| ClientKey::new(name, &format!("key-of-{name}")).expect("a key");
    setup.keys = vec![
        key("all"),
        key("none").models(&["openai:nothing"]).expect("a key"),
        key("other").source("elsewhere"),
    ];
    let app = setup.start().await;
    let why = empty(&app, "/v1/models", "key-of-all").await;
    let expected = "no source has answered yet: see /catalog/sources";
    assert_eq!(why.expect("a reason"), expected);
    mount_openai(&setup.openai, &["a"]).await;
    setup.advance(chrono::TimeDelta::minutes(10));
    app.catalog.wake();
    app.until("the provider has answered", async |app| {
        empty(app, "/v1/models", "key-of-all").await.is_none()
    })
    .await;
    for (path, key, expected) in [
        (
            "/v1/models?q=nothing",
            "all",
            "no model matches the filters",
        ),
        (
            "/v1/models?at=2020-01-01T00:00:00Z",
            "all",
            "nothing was listed then",
        ),
        (
            "/v1/models",
            "none",
            "no source lists a model that this key may see",
        ),
        ("/v1/models", "other", "this key sees no source"),
    ] {
        let why = empty(&app, path, &format!("key-of-{key}")).await;
        assert!(
            why.clone().is_some_and(|why| why.starts_with(expected)),
            "{path}: {why:?}"
        );
    }
}
