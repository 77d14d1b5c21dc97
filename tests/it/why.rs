//! `GET /catalog/why/{id}`: for any id, listed or not.

use chrono::TimeDelta;
use model_catalog::{Kind, SourceConfig};
use serde_json::{Value, json};
use wiremock::{MockServer, ResponseTemplate};

use crate::helpers::{Setup, TestApp, mount_openai, mount_template};

async fn why(app: &TestApp, id: &str) -> Value {
    let answer = app.get(&format!("/catalog/why/{id}")).await;
    assert_eq!(answer.status, 200, "{id}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.json()["id"], id.replace("%2F", "/"));
    answer.json()
}

/// Whether it is listed, why, and what is close to it.
fn reason(answer: &Value) -> (bool, &str, &Value) {
    (
        answer["listed"].as_bool().expect("a flag"),
        answer["because"].as_str().expect("a sentence"),
        &answer["closest"],
    )
}

#[tokio::test]
async fn every_reason_has_its_sentence() {
    let mut setup = Setup::happy().await;
    let (acme, silent) = (MockServer::start().await, MockServer::start().await);
    mount_openai(&acme, &["kept", "org/dropped", "kept-preview"]).await;
    let provider = |name: &str, server: &MockServer| {
        SourceConfig::provider(name, Kind::OpenAi, &format!("{}/v1", server.uri()), None)
    };
    let rules = provider("acme", &acme)
        .and_then(|source| source.exclude(&["*-preview"]))
        .and_then(|source| source.alias("best", "kept"));
    setup.extra.push(rules.expect("usable"));
    setup
        .extra
        .push(provider("silent", &silent).expect("usable"));
    mount_template(&silent, "/v1/models", ResponseTemplate::new(503)).await;
    let app = setup.start_ready().await;
    acme.reset().await;
    mount_openai(&acme, &["kept", "kept-preview"]).await;
    setup.advance(TimeDelta::seconds(11));
    assert_eq!(app.refresh("acme").await["outcome"], "changed");

    let none = &Value::Null;
    let listed = why(&app, "acme:best").await;
    assert_eq!(reason(&listed), (true, "acme lists it", none));
    assert_eq!(listed["sources"][0]["alias_of"], "kept");

    let hidden = why(&app, "acme:kept-preview").await;
    assert_eq!(
        reason(&hidden),
        (
            false,
            "acme lists it, and exclude = \"*-preview\" in the settings of acme keeps it from being served",
            none
        )
    );
    assert_eq!(
        (
            &hidden["sources"][0]["known"],
            &hidden["sources"][0]["hidden_by"]
        ),
        (&json!(true), &json!("exclude = \"*-preview\""))
    );
    assert!(hidden["sources"][0]["first_seen_at"].is_string());

    let dropped = why(&app, "acme:org%2Fdropped").await;
    let source = &dropped["sources"][0];
    let expected = format!(
        "acme listed it until {} and not since (revision {})",
        source["last_seen_at"].as_str().expect("a time"),
        source["removed_in_revision"]
    );
    assert_eq!(reason(&dropped).1, expected);
    assert_eq!(
        (&source["known"], &source["state"]),
        (&json!(false), &json!("fresh"))
    );
    assert!(source["last_seen_at"].as_str() < source["fetched_at"].as_str());

    let unheard = why(&app, "silent:x").await;
    assert!(
        reason(&unheard)
            .1
            .starts_with("silent has never answered (last error: "),
        "{unheard}"
    );
    assert_eq!(unheard["sources"][0]["error"]["kind"], "unavailable");

    let never = why(&app, "OpenAI:gpt-a").await;
    assert_eq!(
        reason(&never),
        (
            false,
            "no source has ever listed it",
            &json!(["openai:gpt-a", "openai:gpt-b"])
        )
    );
    let never = why(&app, "openai:gpt-c").await;
    assert_eq!(reason(&never).1, "openai has never listed it");
    let bare = why(&app, "claude-a").await;
    assert_eq!(bare["closest"][0], "anthropic:claude-a");
    app.stop().await;

    // A source that no setting names any more.
    setup.providers.retain(|name| *name != "google");
    let app = setup.start().await;
    let gone = why(&app, "google:gemini-a").await;
    assert_eq!(
        reason(&gone).1,
        "google listed it, and no setting names google any more"
    );
    assert_eq!(gone["sources"][0]["state"], "unconfigured");
    app.stop().await;
}

#[tokio::test]
async fn a_parameter_is_refused_and_an_absurd_id_is_answered() {
    let app = Setup::happy().await.start_ready().await;
    assert_eq!(app.get("/catalog/why/x?y=1").await.status, 400);
    let long = "x".repeat(20_000);
    assert_eq!(
        reason(&why(&app, &long).await).1,
        "no source has ever listed it"
    );
    app.stop().await;
}
