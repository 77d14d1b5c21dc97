//! Local servers found on loopback ports.

use model_catalog::SourceConfig;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use wiremock::{MockServer, ResponseTemplate};

use crate::helpers::{Setup, mount, mount_ollama, mount_template, mount_vllm};

fn port(server: &MockServer) -> u16 {
    server.address().port()
}

async fn setup() -> Setup {
    let mut setup = Setup::new().await;
    setup.providers.clear();
    setup
}

#[tokio::test]
async fn finds_well_known_servers_and_remembers_them() {
    let mut setup = setup().await;
    let (ollama, vllm) = (MockServer::start().await, MockServer::start().await);
    mount_ollama(&ollama, &["mistral:7b"]).await;
    mount_vllm(&vllm, &["org/model"]).await;
    setup.discovery_ports = vec![port(&ollama), port(&vllm)];
    let app = setup.start().await;
    app.until("both are found", async |app| {
        app.models().await.ids() == ["mistral:7b", "org/model"]
    })
    .await;
    let name = format!("localhost-{}", port(&ollama));
    let source = app.source(&name).await;
    assert_eq!(
        (&source["role"], &source["kind"], &source["state"]),
        (&json!("endpoint"), &json!("ollama"), &json!("fresh"))
    );
    for server in [&ollama, &vllm] {
        for request in server.received_requests().await.expect("recording is on") {
            assert!(!request.headers.contains_key("authorization"));
        }
    }
    let before = app.models().await;
    app.stop().await;

    drop((ollama, vllm));
    let app = setup.start().await;
    assert_eq!(
        app.models().await.body,
        before.body,
        "served from the start, though they are gone"
    );
    app.stop().await;
}

#[tokio::test]
async fn believes_only_well_known_servers() {
    let mut setup = setup().await;
    let thief = MockServer::start().await;
    mount_ollama(&thief, &["stolen"]).await;
    let bodies: [(&str, Value); 4] = [
        (
            "/v1/models",
            json!({"data": [{"id": "x", "owned_by": "somebody"}]}),
        ),
        (
            "/v1/models",
            json!({"data": [{"id": "x", "owned_by": "vllm"}, {"id": "y"}]}),
        ),
        ("/v1/models", json!({"data": []})),
        ("/api/tags", json!({"tags": []})),
    ];
    let mut servers = Vec::new();
    for (at, body) in bodies {
        let server = MockServer::start().await;
        mount(&server, at, body).await;
        servers.push(server);
    }
    let redirecting = MockServer::start().await;
    let elsewhere =
        ResponseTemplate::new(307).insert_header("location", format!("{}/api/tags", thief.uri()));
    mount_template(&redirecting, "/api/tags", elsewhere).await;
    servers.push(redirecting);
    // The last one is real: when it has been found, the others have been looked at.
    let real = MockServer::start().await;
    mount_vllm(&real, &["real"]).await;
    servers.push(real);

    setup.discovery_ports = servers.iter().map(port).collect();
    let app = setup.start().await;
    app.until("the real one is found", async |app| {
        app.models().await.ids() == ["real"]
    })
    .await;
    for server in &servers {
        assert!(Setup::calls(server).await > 0, "it was looked at");
    }
    assert_eq!(Setup::calls(&thief).await, 0, "redirects are not followed");
    assert_eq!(
        app.sources().await["sources"].as_array().map(Vec::len),
        Some(1)
    );
    app.stop().await;
}

#[tokio::test]
async fn a_configured_port_is_not_looked_at_again() {
    let mut setup = setup().await;
    let server = MockServer::start().await;
    mount_vllm(&server, &["m"]).await;
    let url = format!("http://localhost:{}/v1", port(&server));
    setup
        .extra
        .push(SourceConfig::endpoint("box", &url).expect("usable"));
    setup.discovery_ports = vec![port(&server)];
    let app = setup.start_ready().await;
    assert_eq!(
        app.get("/v1/models/m").await.json()["endpoints"],
        json!(["box"])
    );
    assert_eq!(
        app.sources().await["sources"].as_array().map(Vec::len),
        Some(1)
    );
    app.stop().await;
}

#[tokio::test]
async fn never_asks_its_own_listener() {
    let mut setup = setup().await;
    let real = MockServer::start().await;
    mount_vllm(&real, &["real"]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let own = listener.local_addr().expect("an address");
    setup.discovery_ports = vec![own.port(), port(&real)];
    let stop = CancellationToken::new();
    let running = tokio::spawn(model_catalog::run(
        setup.config(),
        listener,
        stop.clone().cancelled_owned(),
    ));
    let http = reqwest::Client::new();
    let sources = async || -> Value {
        http.get(format!("http://{own}/catalog/sources"))
            .send()
            .await
            .expect("an answer")
            .json()
            .await
            .expect("JSON")
    };
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    while sources().await["sources"].as_array().map(Vec::len) != Some(1) {
        assert!(
            tokio::time::Instant::now() < deadline,
            "the real one was not found"
        );
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(
        sources().await["sources"][0]["name"],
        json!(format!("localhost-{}", port(&real)))
    );
    stop.cancel();
    running.await.expect("no panic").expect("a clean stop");
}

#[tokio::test]
async fn a_found_server_with_nothing_loaded_is_an_empty_list() {
    let mut setup = setup().await;
    let vllm = MockServer::start().await;
    mount_vllm(&vllm, &["org/model"]).await;
    setup.discovery_ports = vec![port(&vllm)];
    let app = setup.start().await;
    app.until("it is found", async |app| {
        app.models().await.ids() == ["org/model"]
    })
    .await;
    vllm.reset().await;
    mount(&vllm, "/v1/models", json!({"object": "list", "data": []})).await;
    setup.advance(chrono::TimeDelta::seconds(31));
    app.catalog.wake();
    let name = format!("localhost-{}", port(&vllm));
    app.until("the first empty list is held", async |app| {
        !app.source(&name).await["held"].is_null()
    })
    .await;
    assert_eq!(app.models().await.ids(), ["org/model"]);
    setup.advance(chrono::TimeDelta::seconds(31));
    app.catalog.wake();
    app.until("the list is empty", async |app| {
        app.models().await.ids().is_empty()
    })
    .await;
    let source = app.source(&name).await;
    assert_eq!(
        (&source["state"], &source["error"]),
        (&json!("fresh"), &Value::Null)
    );
    app.stop().await;
}
