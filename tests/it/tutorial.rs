//! docs/tutorial.md: what it says to write and to start does what it says.

use std::time::{Duration, Instant};

use serde_json::Value;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::method};

use crate::{
    helpers::Setup,
    running::{Running, command},
};

/// The first block of the page in `language`.
fn block(language: &str) -> String {
    let page = include_str!("../../docs/tutorial.md");
    let begin = format!("```{language}\n");
    let (_, rest) = page.split_once(&begin).expect("a block");
    rest.split_once("```").expect("its end").0.to_owned()
}

/// Fails after a minute: by then everything has happened in the demo.
async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition().await {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn the_watched_model_goes_and_an_alert_comes() {
    let setup = Setup::new().await;
    let hook = MockServer::start().await;
    let taken = ResponseTemplate::new(204);
    Mock::given(method("POST"))
        .respond_with(taken)
        .mount(&hook)
        .await;
    let settings = block("toml");
    assert!(settings.contains("http://127.0.0.1:9911/"), "{settings}");
    let settings = settings.replace("http://127.0.0.1:9911/", &format!("{}/", hook.uri()));
    let path = setup.directory.path().join("watch.toml");
    std::fs::write(&path, settings).expect("written");
    let mut demo = command(&setup);
    demo.args(["demo", "--config", "watch.toml", "--listen", "127.0.0.1:0"]);
    let running = Running::start(demo).await;
    let line = block("text");
    let (_, said) = line.trim().split_once(": ").expect("a line of the log");
    until("the line of the log", async || running.log().contains(said)).await;
    let told = async || -> Vec<Value> {
        let requests = hook.received_requests().await.expect("recorded");
        let bodies = requests
            .iter()
            .map(|request| serde_json::from_slice(&request.body));
        bodies.map(|body| body.expect("JSON")).collect()
    };
    until("both alerts", async || told().await.len() == 2).await;
    let shown: Value = serde_json::from_str(&block("json")).expect("JSON");
    let told = told().await;
    for field in [
        "type",
        "/data/alert",
        "/data/id",
        "/data/ok",
        "/data/problems",
        "/data/sources",
    ] {
        let pointer = if field.starts_with('/') {
            field.to_owned()
        } else {
            format!("/{field}")
        };
        assert_eq!(
            told[0].pointer(&pointer),
            shown.pointer(&pointer),
            "{field}"
        );
    }
    assert_eq!(told[1]["data"]["ok"], true);
    let page = running.get("/ui/models/openai:borealis-3-max").await;
    for word in ["is no longer listed", "is listed again"] {
        assert!(page.contains(word), "{word}: {page}");
    }
}
