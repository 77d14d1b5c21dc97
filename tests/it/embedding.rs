//! The catalog in another axum application: the example's own code.

use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::helpers::{Setup, mount_vllm};

#[path = "../../examples/embed.rs"]
#[expect(dead_code, reason = "its `main` is for people")]
mod embed;

#[tokio::test]
async fn the_example_mounts_the_catalog() {
    let mut setup = Setup::new().await;
    setup.providers.clear();
    mount_vllm(setup.add_endpoint("box").await, &["org/m"]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let stop = CancellationToken::new();
    let running = tokio::spawn(embed::run(
        setup.config(),
        listener,
        stop.clone().cancelled_owned(),
    ));

    let http = reqwest::Client::new();
    let get = async |path: &str| {
        let answer = http
            .get(format!("{base}{path}"))
            .send()
            .await
            .expect("an answer");
        answer.text().await.expect("a body")
    };
    assert_eq!(get("/hello").await, "hello");
    let list = get("/v1/models").await;
    assert!(list.contains(r#""id":"org/m""#), "{list}");
    assert_eq!(get("/llm/v1/models").await, list);
    assert!(list.contains(&get("/llm/v1/models/org/m").await));
    assert_eq!(get("/elsewhere").await, "a page of your own");
    setup.advance(chrono::TimeDelta::seconds(11));
    let answer = http
        .post(format!("{base}/llm/catalog/refresh"))
        .send()
        .await
        .expect("an answer");
    let answer: serde_json::Value = answer.json().await.expect("JSON");
    assert_eq!(
        answer["sources"],
        json!([{"name": "box", "outcome": "unchanged"}])
    );

    stop.cancel();
    running.await.expect("no panic").expect("a clean stop");
}
