//! How providers are asked: all pages, the right headers, keys in headers only.

use model_catalog::{Kind, SourceConfig};
use serde_json::json;
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{method, path},
};

use crate::helpers::{
    ANTHROPIC_KEY, GOOGLE_KEY, OPENAI_KEY, Setup, mount, mount_anthropic_paged, mount_google_paged,
    mount_ollama, mount_template, mount_vllm,
};

fn ids(prefix: &str, count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("{prefix}-{number:03}"))
        .collect()
}

async fn requests(server: &MockServer) -> Vec<Request> {
    server.received_requests().await.expect("recording is on")
}

fn query(request: &Request) -> Vec<(String, String)> {
    request.url.query_pairs().into_owned().collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[tokio::test]
async fn reads_every_page_of_anthropic_and_google() {
    let mut setup = Setup::new().await;
    setup.providers = vec!["google", "anthropic"];
    // Servers that cap the page below what is asked.
    mount_anthropic_paged(&setup.anthropic, ids("claude", 45), 20).await;
    mount_google_paged(&setup.google, ids("gemini", 113), 50).await;
    let app = setup.start_ready().await;

    let expected: Vec<String> = ids("google:gemini", 113)
        .into_iter()
        .chain(ids("anthropic:claude", 45))
        .collect();
    assert_eq!(app.models().await.ids(), expected);
    let asked: Vec<_> = requests(&setup.anthropic).await.iter().map(query).collect();
    assert_eq!(
        asked,
        [
            pairs(&[("limit", "1000")]),
            pairs(&[("limit", "1000"), ("after_id", "claude-019")]),
            pairs(&[("limit", "1000"), ("after_id", "claude-039")]),
        ]
    );
    let asked: Vec<_> = requests(&setup.google).await.iter().map(query).collect();
    assert_eq!(
        asked,
        [
            pairs(&[("pageSize", "1000")]),
            pairs(&[("pageSize", "1000"), ("pageToken", "50+/==")]),
            pairs(&[("pageSize", "1000"), ("pageToken", "100+/==")]),
        ],
        "tokens are percent-encoded"
    );
    let pages = setup
        .sql("SELECT source, pages, models FROM fetches ORDER BY source")
        .await;
    assert_eq!(
        pages,
        [
            [json!("anthropic"), json!(3), json!(45)],
            [json!("google"), json!(3), json!(113)]
        ]
    );
    app.stop().await;
}

#[tokio::test]
async fn a_page_as_large_as_asked_is_one_request() {
    let mut setup = Setup::new().await;
    setup.providers = vec!["anthropic"];
    mount_anthropic_paged(&setup.anthropic, ids("claude", 900), 1000).await;
    let app = setup.start_ready().await;
    assert_eq!(app.models().await.ids().len(), 900);
    assert_eq!(Setup::calls(&setup.anthropic).await, 1);
    app.stop().await;
}

#[tokio::test]
async fn a_cursor_that_leads_nowhere_is_a_failure_and_never_a_shorter_list() {
    let setup = Setup::happy().await;
    let app = setup.start_ready().await;
    let before = app.models().await;
    setup.advance(chrono::TimeDelta::seconds(11));

    for server in [&setup.openai, &setup.google, &setup.anthropic] {
        server.reset().await;
    }
    let repeated = json!({"models": [{"name": "models/x"}], "nextPageToken": "again"});
    mount(&setup.google, "/v1beta/models", repeated).await;
    mount(
        &setup.anthropic,
        "/v1/models",
        json!({"data": [{"id": "x"}], "has_more": true, "last_id": "x"}),
    )
    .await;
    // Never the same cursor, never an end.
    let endless = |request: &Request| {
        let after: u64 = query(request)
            .first()
            .map_or(0, |(_, after)| after.parse().expect("our cursor"));
        ResponseTemplate::new(200).set_body_json(
            json!({"data": [{"id": format!("m{after}")}], "has_more": true, "last_id": (after + 1).to_string()}),
        )
    };
    Mock::given(method("GET"))
        .and(path("/v1/models"))
        .respond_with(endless)
        .mount(&setup.openai)
        .await;

    for (name, server, calls) in [
        ("google", &setup.google, 2),
        ("anthropic", &setup.anthropic, 2),
        ("openai", &setup.openai, 100),
    ] {
        let outcome = app.refresh(name).await;
        assert_eq!(
            (&outcome["outcome"], &outcome["error"]["kind"]),
            (&json!("failed"), &json!("truncated")),
            "{name}"
        );
        assert_eq!(Setup::calls(server).await, calls, "{name}");
    }
    assert_eq!(app.models().await.body, before.body);
    app.stop().await;
}

#[tokio::test]
async fn keys_travel_in_the_right_header_and_nowhere_else() {
    let mut setup = Setup::happy().await;
    mount_vllm(setup.add_endpoint("box").await, &["m"]).await;
    let app = setup.start_ready().await;
    for (server, header, value) in [
        (
            &setup.openai,
            "authorization",
            format!("Bearer {OPENAI_KEY}"),
        ),
        (&setup.google, "x-goog-api-key", GOOGLE_KEY.to_owned()),
        (&setup.anthropic, "x-api-key", ANTHROPIC_KEY.to_owned()),
    ] {
        for request in requests(server).await {
            assert_eq!(request.headers[header].to_str().expect("text"), value);
            for key in [OPENAI_KEY, GOOGLE_KEY, ANTHROPIC_KEY] {
                let encoded =
                    percent_encoding::utf8_percent_encode(key, percent_encoding::NON_ALPHANUMERIC)
                        .to_string();
                assert!(
                    !request.url.as_str().contains(key) && !request.url.as_str().contains(&encoded)
                );
                let holders = request
                    .headers
                    .values()
                    .filter(|value| value.to_str().is_ok_and(|text| text.contains(key)));
                assert_eq!(holders.count(), usize::from(value.contains(key)));
            }
            assert!(
                request.headers["user-agent"]
                    .to_str()
                    .expect("text")
                    .starts_with("model-catalog/")
            );
        }
    }
    for request in requests(&setup.anthropic).await {
        assert_eq!(request.headers["anthropic-version"], "2023-06-01");
    }
    for request in requests(&setup.endpoints["box"]).await {
        assert!(!request.headers.contains_key("authorization"));
    }
    app.stop().await;
}

#[tokio::test]
async fn endpoints_are_recognised_by_what_they_answer() {
    let mut setup = Setup::new().await;
    setup.providers.clear();
    mount_ollama(setup.add_endpoint("an-ollama").await, &["mistral:7b"]).await;
    mount_vllm(setup.add_endpoint("a-vllm").await, &["org/model"]).await;
    // llama.cpp answers any list path with both forms.
    let llama_cpp = json!({"models": [{"name": "l.gguf"}], "data": [{"id": "l.gguf", "created": 7, "owned_by": "llamacpp"}]});
    let server = setup.add_endpoint("a-llama-cpp").await;
    mount(server, "/v1/models", llama_cpp.clone()).await;
    mount(server, "/api/tags", llama_cpp).await;
    // LM Studio says 200 to any path.
    let server = setup.add_endpoint("an-lm-studio").await;
    mount(
        server,
        "/api/tags",
        json!({"error": "Unexpected endpoint or method. (GET /api/tags)"}),
    )
    .await;
    mount(
        server,
        "/v1/models",
        json!({"data": [{"id": "lms", "owned_by": "organization_owner"}]}),
    )
    .await;

    let app = setup.start_ready().await;
    assert_eq!(
        app.models().await.ids(),
        ["l.gguf", "lms", "mistral:7b", "org/model"]
    );
    for (name, kind) in [
        ("an-ollama", "ollama"),
        ("a-vllm", "openai"),
        ("a-llama-cpp", "openai"),
        ("an-lm-studio", "openai"),
    ] {
        assert_eq!(app.source(name).await["kind"], kind, "{name}");
    }
    // Once recognised, it is asked for what it speaks first.
    let before = requests(&setup.endpoints["a-vllm"]).await.len();
    setup.advance(chrono::TimeDelta::seconds(11));
    assert_eq!(app.refresh("a-vllm").await["outcome"], "unchanged");
    assert_eq!(requests(&setup.endpoints["a-vllm"]).await.len(), before + 1);
    app.stop().await;
}

#[tokio::test]
async fn the_same_local_model_on_two_servers_is_one_entry() {
    let mut setup = Setup::new().await;
    setup.providers.clear();
    mount_vllm(setup.add_endpoint("b").await, &["shared", "own"]).await;
    mount_vllm(setup.add_endpoint("a").await, &["shared"]).await;
    let app = setup.start_ready().await;
    let answer = app.get("/v1/models/shared").await.json();
    assert_eq!(answer["endpoints"], json!(["a", "b"]));
    assert_eq!(app.models().await.ids(), ["own", "shared"]);
    app.stop().await;
}

#[tokio::test]
async fn another_compatible_provider_is_a_few_lines() {
    let mut setup = Setup::happy().await;
    let acme = MockServer::start().await;
    mount(
        &acme,
        "/api/models",
        json!([{"id": "acme/one", "created": 5}]),
    )
    .await;
    let source = SourceConfig::provider(
        "acme",
        Kind::OpenAi,
        &format!("{}/api", acme.uri()),
        Some("k"),
    )
    .expect("usable");
    setup.extra.push(source);
    let app = setup.start_ready().await;
    assert_eq!(
        app.models().await.ids().last().map(String::as_str),
        Some("acme:acme/one")
    );
    app.stop().await;
}

#[tokio::test]
async fn redirects_stay_on_the_configured_host() {
    let setup = Setup::happy().await;
    setup.openai.reset().await;
    let thief = MockServer::start().await;
    let elsewhere =
        ResponseTemplate::new(302).insert_header("location", format!("{}/v1/models", thief.uri()));
    mount_template(&setup.openai, "/v1/models", elsewhere).await;
    setup.google.reset().await;
    let here = ResponseTemplate::new(301).insert_header("location", "/moved");
    mount_template(&setup.google, "/v1beta/models", here).await;
    mount(
        &setup.google,
        "/moved",
        json!({"models": [{"name": "models/moved"}]}),
    )
    .await;

    let app = setup.start_ready().await;
    assert_eq!(Setup::calls(&thief).await, 0);
    let openai = app.source("openai").await;
    assert_eq!(openai["error"]["kind"], "redirected");
    assert!(
        openai["error"]["message"]
            .as_str()
            .is_some_and(|message| message.contains(&thief.uri()))
    );
    assert!(
        app.models()
            .await
            .ids()
            .contains(&"google:moved".to_owned()),
        "within one host it is followed"
    );
    app.stop().await;
}

/// What an operator reads says what to do.
#[tokio::test]
async fn errors_say_what_to_do() {
    let mut setup = Setup::new().await;
    setup.providers = vec!["openai"];
    let keyless = MockServer::start().await;
    mount_template(&keyless, "/v1/models", ResponseTemplate::new(401)).await;
    let provider =
        |name, url: String| SourceConfig::provider(name, Kind::OpenAi, &url, None).expect("usable");
    setup.extra = vec![
        provider("keyless", format!("{}/v1", keyless.uri())),
        provider("off", "http://127.0.0.1:9/v1".to_owned()),
    ];
    let app = setup.start_ready().await;
    let message = async |name| {
        app.source(name).await["error"]["message"]
            .as_str()
            .expect("a message")
            .to_owned()
    };
    // The mock answers 404 to everything.
    let openai = message("openai").await;
    assert!(
        openai.contains("404") && openai.contains("base_url"),
        "{openai}"
    );
    let keyless = message("keyless").await;
    assert!(keyless.contains("no key is set"), "{keyless}");
    let off = message("off").await;
    assert!(off.contains("127.0.0.1:9"), "{off}");
    let error_fetch = setup
        .sql("SELECT http_status FROM fetches WHERE source = 'openai'")
        .await;
    assert_eq!(error_fetch, [[json!(404)]]);
    app.stop().await;
}

#[tokio::test]
async fn an_answer_that_is_no_list_keeps_its_status() {
    let mut setup = Setup::new().await;
    setup.providers = vec!["openai"];
    mount(&setup.openai, "/v1/models", json!({"data": 7})).await;
    let app = setup.start_ready().await;
    let fetches = setup
        .sql("SELECT error_kind, http_status FROM fetches")
        .await;
    assert_eq!(fetches, [[json!("malformed"), json!(200)]]);
    app.stop().await;
}
