//! Who may come in: the `Host` of a catalog without keys on its own machine, doubled headers, the admin
//! key, and what every answer carries.

use model_catalog::{AllowedHosts, ClientKey};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    helpers::{Setup, TestApp},
    running::{Running, command_with_providers},
};

/// Every route, and some that are none.
const PATHS: [&str; 33] = [
    "/v1/models",
    "/v1/models/openai:gpt-a",
    "/v1beta/models",
    "/v1beta/models/openai:gpt-a",
    "/v1beta/openai/models",
    "/v1beta/openai/models/openai:gpt-a",
    "/catalog/providers/openai/v1/models",
    "/catalog/providers/openai/v1/models/gpt-a",
    "/catalog/providers/openai/models",
    "/catalog/providers/openai/api/tags",
    "/catalog/sources",
    "/catalog/providers",
    "/catalog/changes",
    "/catalog/changes.atom",
    "/catalog/events",
    "/catalog/models/openai:gpt-a/history",
    "/catalog/why/openai:gpt-a",
    "/catalog.sqlite",
    "/catalog/retirements",
    "/healthz",
    "/readyz",
    "/metrics",
    "/models",
    "//v1/models/",
    "/",
    "/ui/models/openai:gpt-a",
    "/ui/sources",
    "/ui/changes",
    "/ui/diff",
    "/ui/sign-in",
    "/ui/assets/catalog.css",
    "/ui/nothing",
    "/nothing",
];

/// Sends `head` as it stands and reads the head of the answer.
async fn raw(app: &TestApp, head: &str) -> String {
    let address = app.base.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read_buf(&mut answer).await.expect("an answer");
        assert!(read > 0, "a whole head");
    }
    // With the beginning of the body, if it is there.
    String::from_utf8_lossy(&answer).into_owned()
}

async fn ask(app: &TestApp, path: &str, host: &str) -> String {
    raw(
        app,
        &format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"),
    )
    .await
}

#[tokio::test]
async fn a_foreign_host_is_refused_on_every_route() {
    let setup = Setup::happy().await;
    let app = setup.start_ready().await;
    for path in PATHS {
        let answer = ask(&app, path, "evil.example:8484").await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{path}: {answer}");
        for host in [
            "127.0.0.1",
            "localhost:8484",
            "[::1]",
            "upstream",
            "box.local",
        ] {
            let answer = ask(&app, path, host).await;
            assert!(
                !answer.starts_with("HTTP/1.1 403 "),
                "{path} {host}: {answer}"
            );
        }
    }
    // The name may be in the request line instead.
    let absolute = "GET http://evil.example/v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n";
    assert!(raw(&app, absolute).await.starts_with("HTTP/1.1 403 "));
    let post = "POST /catalog/refresh HTTP/1.1\r\nhost: evil.example\r\ncontent-length: 0\r\n\r\n";
    assert!(raw(&app, post).await.starts_with("HTTP/1.1 403 "));
    let refused = app
        .http
        .get(app.url("/v1/models"))
        .header("host", "evil.example");
    let refused = app
        .send(refused.header("anthropic-version", "1"))
        .await
        .json();
    assert_eq!(refused["type"], "error", "in the caller's dialect");
    let message = refused["error"]["message"].as_str().expect("a message");
    for part in [
        "evil.example",
        "allowed_hosts",
        "MODEL_CATALOG_ALLOWED_HOSTS",
    ] {
        assert!(message.contains(part), "{part} in {message}");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_name_in_the_settings_or_a_key_opens_the_door() {
    let setup = Setup::happy().await;
    let mut config = setup.config();
    config.allowed_hosts = AllowedHosts::parse(&["catalog.example"]).expect("usable");
    let app = TestApp::start(config).await;
    let answer = ask(&app, "/v1/models", "Catalog.Example").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let answer = ask(&app, "/v1/models", "other.example").await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    app.stop().await;

    let mut config = setup.config();
    config.keys = vec![ClientKey::new("a", "k").expect("usable")];
    let app = TestApp::start(config).await;
    let answer = ask(&app, "/v1/models", "other.example\r\nx-api-key: k").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    app.stop().await;
}

#[tokio::test]
async fn doubled_headers_are_refused_everywhere_and_nothing_is_sniffed() {
    let setup = Setup::happy().await;
    let app = setup.start_ready().await;
    for path in PATHS {
        for twice in [
            "host: localhost\r\nhost: localhost",
            "host: localhost\r\norigin: a\r\norigin: b",
        ] {
            let request = format!("GET {path} HTTP/1.1\r\n{twice}\r\nconnection: close\r\n\r\n");
            let answer = raw(&app, &request).await;
            assert!(answer.starts_with("HTTP/1.1 400 "), "{path}: {answer}");
        }
        for host in ["localhost", "evil.example"] {
            let answer = ask(&app, path, host).await;
            let sniffed = !answer.contains("x-content-type-options: nosniff\r\n");
            assert!(!sniffed, "{path} {host}: {answer}");
        }
    }
    app.stop().await;
}

#[tokio::test]
async fn the_admin_key_works_in_every_header_that_keys_work_in() {
    let mut setup = Setup::happy().await;
    setup.admin_key = Some("adm1n");
    let app = setup.start_ready().await;
    let refresh = || app.http.post(app.url("/catalog/refresh?source=openai"));
    let status = async |request| app.send(request).await.status;
    assert_eq!(status(refresh()).await, 401);
    for name in ["x-api-key", "x-goog-api-key", "api-key"] {
        assert_eq!(status(refresh().header(name, "wrong")).await, 401, "{name}");
        assert_eq!(status(refresh().header(name, "adm1n")).await, 200, "{name}");
    }
    assert_eq!(status(refresh().bearer_auth("adm1n")).await, 200);
    app.stop().await;
}

#[tokio::test]
async fn what_is_open_to_others_is_said_at_the_start() {
    let setup = Setup::happy().await;
    let path = setup.directory.path().join("settings.toml");
    std::fs::write(&path, "[[keys]]\nname = \"a\"\nkey = \"s3cret\"\n").expect("written");
    let readable = |mode: &str| {
        let chmod = std::process::Command::new("chmod")
            .arg(mode)
            .arg(&path)
            .status();
        assert!(chmod.expect("chmod runs").success());
    };
    let log = async |listen: &str, config: Option<&str>| {
        let mut command = command_with_providers(&setup);
        command.env("MODEL_CATALOG_LISTEN", listen);
        if let Some(config) = config {
            command.env("MODEL_CATALOG_CONFIG", config);
        }
        let mut running = Running::start(command).await;
        running.stop("-TERM");
        running.log()
    };
    let public = "without keys: whoever reaches that address";
    assert!(!log("127.0.0.1:0", None).await.contains(public));
    let open = log("0.0.0.0:0", None).await;
    assert!(open.contains(public) && open.contains("[[keys]]"), "{open}");
    readable("600");
    let closed = log("0.0.0.0:0", Some("settings.toml")).await;
    assert!(
        !closed.contains(public) && !closed.contains("chmod"),
        "{closed}"
    );
    readable("644");
    let read = log("127.0.0.1:0", Some("settings.toml")).await;
    assert!(read.contains("run chmod 600 settings.toml"), "{read}");
    assert!(!read.contains("s3cret"), "{read}");
}
