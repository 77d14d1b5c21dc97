//! What Ollama's command line and VS Code's Ollama provider ask, below an Ollama endpoint's base and
//! below `/ollama` for all models. Written before the code.

use model_catalog::ClientKey;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use wiremock::{MockServer, ResponseTemplate};

use crate::helpers::{Answer, Setup, TestApp, mount, mount_ollama, mount_template, mount_vllm};

const BOX: &str = "/catalog/providers/box";
const ALL: &str = "/ollama";

/// An Ollama with a model as its newest version lists it, and one as its oldest does.
async fn mount_box(server: &MockServer) {
    let digest = "3ddd2d3f".repeat(8);
    let models = json!([
        {"name": "llama:8b", "model": "llama:8b", "size": 4_733_363_377_u64, "digest": digest,
         "modified_at": "2026-02-03T00:54:07.035483248-05:00", "capabilities": ["completion", "tools"],
         "details": {"parent_model": "", "format": "gguf", "family": "llama", "families": ["llama"],
                     "parameter_size": "8.0B", "quantization_level": "Q4_K_M",
                     "context_length": 131_072, "embedding_length": 4096}},
        {"name": "old:latest", "model": "old:latest", "size": 1, "digest": digest,
         "modified_at": "2024-02-03T00:54:07Z", "details": {"family": ""}},
    ]);
    mount(server, "/api/tags", json!({ "models": models })).await;
    mount(server, "/api/version", json!({"version": "0.31.2-rc1"})).await;
    let root = ResponseTemplate::new(200).set_body_string("Ollama is running");
    mount_template(server, "/", root).await;
}

/// The three providers with two models each, and that Ollama as `box`.
async fn with_box() -> (Setup, TestApp) {
    let mut setup = Setup::happy().await;
    mount_box(setup.add_endpoint("box").await).await;
    let app = setup.start_ready().await;
    (setup, app)
}

async fn post(app: &TestApp, path: &str, body: &str) -> Answer {
    app.send(app.http.post(app.url(path)).body(body.to_owned()))
        .await
}

async fn show(app: &TestApp, base: &str, model: &str) -> Answer {
    let body = json!({ "model": model }).to_string();
    post(app, &format!("{base}/api/show"), &body).await
}

#[rstest]
#[case::endpoint(BOX, "0.31.2-rc1")]
#[case::all(ALL, "0.0.0")]
#[tokio::test]
async fn a_base_looks_like_a_server(#[case] base: &str, #[case] version: &str) {
    let (_setup, app) = with_box().await;
    for path in [base.to_owned(), format!("{base}/")] {
        let answer = app.get(&path).await;
        assert_eq!(
            (answer.status, &answer.body[..]),
            (200, &b"Ollama is running"[..])
        );
        let head = app.send(app.http.head(app.url(&path))).await;
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
    }
    // A base with a slash at its end gives two in a row.
    for path in [
        format!("{base}/api/version"),
        format!("{base}//api/version/"),
        format!("{base}/api/version/"),
    ] {
        let answer = app.get(&path).await;
        assert_eq!(answer.json(), json!({"version": version}), "{path}");
    }
    assert_eq!(
        app.get(&format!("{base}/api/ps")).await.json(),
        json!({"models": []})
    );
    app.stop().await;
}

#[tokio::test]
async fn a_version_outlives_restarts_and_failures_and_is_not_invented() {
    let (mut setup, app) = with_box().await;
    mount_ollama(setup.add_endpoint("silent").await, &["m:1"]).await;
    let version = async |app: &TestApp, name: &str| {
        let path = format!("/catalog/providers/{name}/api/version");
        app.get(&path).await.json()["version"].clone()
    };
    app.stop().await;
    setup.endpoints["box"].reset().await;
    let app = setup.start_ready().await;
    assert_eq!(version(&app, "box").await, "0.31.2-rc1");
    // It reports none, or not one that a server would have.
    assert_eq!(version(&app, "silent").await, "0.0.0");
    mount(
        &setup.endpoints["silent"],
        "/api/version",
        json!({"version": "x".repeat(65)}),
    )
    .await;
    setup.advance(chrono::TimeDelta::seconds(31));
    app.refresh("silent").await;
    assert_eq!(version(&app, "silent").await, "0.0.0");
    mount_vllm(&setup.endpoints["box"], &["llama:8b"]).await;
    setup.advance(chrono::TimeDelta::seconds(31));
    app.refresh("box").await;
    assert_eq!(
        app.get(&format!("{BOX}/api/version")).await.status,
        404,
        "it is no Ollama now"
    );
    app.stop().await;
}

#[tokio::test]
async fn a_model_is_shown_as_its_server_described_it() {
    let (_setup, app) = with_box().await;
    for base in [BOX, ALL] {
        let answer = show(&app, base, "llama:8b").await;
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.json(),
            json!({
                "details": {"parent_model": "", "format": "gguf", "family": "llama", "families": ["llama"],
                            "parameter_size": "8.0B", "quantization_level": "Q4_K_M",
                            "context_length": 131_072, "embedding_length": 4096},
                "modified_at": "2026-02-03T00:54:07.035483248-05:00",
                "model_info": {"general.architecture": "llama", "llama.context_length": 131_072,
                               "llama.embedding_length": 4096},
                "capabilities": ["completion", "tools"],
            }),
            "{base}"
        );
        // What the server did not say, nobody does.
        let old = json!({"details": {"family": ""}, "modified_at": "2024-02-03T00:54:07Z",
                         "model_info": {}, "capabilities": []});
        assert_eq!(show(&app, base, "old:latest").await.json(), old, "{base}");
        // Ollama's clients leave this tag out, and old ones call the model `name`.
        assert_eq!(show(&app, base, "old").await.json(), old, "{base}");
        let older = post(&app, &format!("{base}//api/show"), r#"{"name": "old"}"#).await;
        assert_eq!(older.json(), old, "{base}");
    }
    app.stop().await;
}

#[tokio::test]
async fn other_sources_models_are_shown_with_what_is_known() {
    let mut setup = Setup::happy().await;
    mount_vllm(setup.add_endpoint("gpu").await, &["org/v"]).await;
    setup.openai.reset().await;
    let entry = json!({"id": "gpt-x", "created": 1_700_000_000, "context_window": 128_000,
                       "capabilities": ["function_calling"], "architecture": {"input_modalities": ["text", "image"]}});
    mount(&setup.openai, "/v1/models", json!({"data": [entry]})).await;
    let app = setup.start_ready().await;
    assert_eq!(
        show(&app, ALL, "openai:gpt-x").await.json(),
        json!({
            "modified_at": "2023-11-14T22:13:20.000Z", "remote_model": "gpt-x",
            "model_info": {"general.architecture": "unknown", "unknown.context_length": 128_000},
            "capabilities": ["function_calling", "tools", "vision"],
        })
    );
    let local = show(&app, ALL, "org/v").await.json();
    assert_eq!(local["model_info"]["unknown.context_length"], 65_536);
    assert_eq!(local.get("remote_model"), None);

    let tags = app.get("/ollama/api/tags").await;
    let one = app.get("/v1/models/openai:gpt-x").await;
    let digest: String = Sha256::digest(&one.body)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let listed = tags.json()["models"].as_array().expect("models").clone();
    let find = |id: &str| {
        listed
            .iter()
            .find(|model| model["model"] == id)
            .expect(id)
            .clone()
    };
    assert_eq!(
        find("openai:gpt-x"),
        json!({
            "name": "openai:gpt-x", "model": "openai:gpt-x", "modified_at": "2023-11-14T22:13:20.000Z",
            "digest": digest, "remote_model": "gpt-x", "capabilities": ["function_calling", "tools", "vision"],
        })
    );
    app.stop().await;
}

#[tokio::test]
async fn all_models_are_listed_below_ollama() {
    let (_setup, app) = with_box().await;
    let all = app.models().await.ids();
    let tags = app.get("/ollama/api/tags").await.json();
    let tags = tags["models"].as_array().expect("models");
    let of = |field: &str| -> Vec<String> {
        let texts = tags
            .iter()
            .map(|model| model[field].as_str().expect("text").to_owned());
        texts.collect()
    };
    assert_eq!((of("name"), of("model")), (all.clone(), all.clone()));
    // `ollama list` cuts the digest at 12 characters.
    assert!(of("digest").iter().all(|digest| digest.len() == 64));
    assert_eq!(tags[0]["size"], 4_733_363_377_u64);
    assert_eq!(tags[0]["details"]["family"], "llama");
    assert_eq!(app.get("/ollama/v1/models").await.ids(), all);
    assert_eq!(
        app.get("/ollama/v1/models/openai:gpt-a").await.json()["id"],
        "openai:gpt-a"
    );
    for model in all {
        assert_eq!(show(&app, ALL, &model).await.status, 200, "{model}");
    }
    app.stop().await;
}

/// Ollama Cloud is an Ollama too, whose ids have a prefix in the merged list.
#[tokio::test]
async fn a_providers_ids_are_whole_below_ollama() {
    let mut setup = Setup::new().await;
    setup.providers.clear();
    let cloud = MockServer::start().await;
    mount_ollama(&cloud, &["gpt-oss:120b"]).await;
    let source = model_catalog::SourceConfig::provider(
        "cloud",
        model_catalog::Kind::Ollama,
        &cloud.uri(),
        None,
    );
    setup.extra = vec![source.expect("usable")];
    let app = setup.start_ready().await;
    let tags = app.get("/ollama/api/tags").await.json();
    let model = &tags["models"][0];
    assert_eq!(
        (&model["name"], &model["model"], &model["remote_model"]),
        (
            &json!("cloud:gpt-oss:120b"),
            &json!("cloud:gpt-oss:120b"),
            &json!("gpt-oss:120b")
        )
    );
    let own = app.get("/catalog/providers/cloud/api/tags").await.json();
    assert_eq!(own["models"][0]["model"], "gpt-oss:120b");
    assert_eq!(own["models"][0].get("remote_model"), None);
    assert_eq!(
        show(&app, "/catalog/providers/cloud", "gpt-oss:120b")
            .await
            .status,
        200
    );
    app.stop().await;
}

#[tokio::test]
async fn errors_have_ollamas_shape() {
    let (_setup, app) = with_box().await;
    let message = |answer: &Answer| -> String {
        let body = answer.json();
        let fields: Vec<&String> = body.as_object().expect("an object").keys().collect();
        assert_eq!(fields, ["error"], "{body}");
        body["error"].as_str().expect("text").to_owned()
    };
    for base in [BOX, ALL] {
        let missing = show(&app, base, "nope").await;
        assert_eq!(
            (missing.status, message(&missing)),
            (404, "model 'nope' not found".to_owned())
        );
        let path = format!("{base}/api/show");
        for body in [
            "",
            "{}",
            "[]",
            "{\"model\": 7}",
            "{\"model\": \" \"}",
            "model",
        ] {
            let answer = post(&app, &path, body).await;
            assert_eq!(answer.status, 400, "{body}");
            message(&answer);
        }
        let large = post(
            &app,
            &path,
            &format!("{{\"model\": \"{}\"}}", "x".repeat(70_000)),
        )
        .await;
        assert_eq!(large.status, 413);
        message(&large);
        let get = app.get(&path).await;
        assert_eq!((get.status, get.header("allow")), (405, Some("POST")));
        message(&get);
        // Nothing else is served, and a client that reads it does not pull a model.
        for (method, route) in [
            (Method::POST, "chat"),
            (Method::POST, "generate"),
            (Method::POST, "pull"),
            (Method::POST, "embed"),
            (Method::DELETE, "delete"),
            (Method::POST, "me"),
            (Method::HEAD, "blobs/sha256:0"),
            (Method::POST, "signout"),
        ] {
            let answer = app
                .send(
                    app.http
                        .request(method.clone(), app.url(&format!("{base}/api/{route}"))),
                )
                .await;
            assert_eq!(answer.status, 501, "{method} {route}");
            if method != Method::HEAD {
                assert!(message(&answer).contains("this is a catalog"), "{route}");
            }
        }
    }
    for path in ["/ollama/api/nope", "/catalog/providers/box/api/nope"] {
        let unknown = app.get(path).await;
        assert_eq!(unknown.status, 404);
        message(&unknown);
    }
    // Other sources are no Ollama, and the catalog itself is none either.
    for path in [
        "/catalog/providers/openai",
        "/catalog/providers/openai/api/version",
        "/catalog/providers/nope/api/ps",
        "/api/version",
        "/api/tags",
        "/",
    ] {
        assert_eq!(app.get(path).await.status, 404, "{path}");
    }
    assert_eq!(
        show(&app, "/catalog/providers/openai", "gpt-a")
            .await
            .status,
        404
    );
    app.stop().await;
}

#[tokio::test]
async fn a_key_sees_there_what_it_sees_elsewhere() {
    const KEY: &str = "some-key-0123456789";
    let (mut setup, app) = with_box().await;
    app.stop().await;
    setup.keys = vec![
        ClientKey::new("some", KEY)
            .expect("usable")
            .source("openai"),
    ];
    let app = setup.start().await;
    for path in ["", "/", "/api/version", "/api/ps", "/api/tags", "/api/chat"] {
        let answer = app.get(&format!("{ALL}{path}")).await;
        assert_eq!(answer.status, 401, "{path}");
        assert!(answer.json()["error"].is_string(), "{path}");
        let answer = app.get_with(&format!("{BOX}{path}"), KEY).await;
        assert_eq!(answer.status, 404, "{path}");
    }
    assert_eq!(show(&app, ALL, "openai:gpt-a").await.status, 401);
    let tags = app.get_with("/ollama/api/tags", KEY).await.json();
    let tags = tags["models"].as_array().expect("models").clone();
    let names: Vec<&Value> = tags.iter().map(|model| &model["model"]).collect();
    assert_eq!(names, ["openai:gpt-a", "openai:gpt-b"]);
    for (model, status) in [
        ("openai:gpt-a", 200),
        ("llama:8b", 404),
        ("google:gemini-a", 404),
    ] {
        let request = app.http.post(app.url("/ollama/api/show")).bearer_auth(KEY);
        let answer = app.send(request.json(&json!({ "model": model }))).await;
        assert_eq!(answer.status, status, "{model}");
    }
    app.stop().await;
}

/// What VS Code's Ollama provider does: the version, the tags, and each model. It reads the context
/// under the name of the architecture, and fails where there are no capabilities.
#[tokio::test]
async fn vs_codes_provider_reads_every_model() {
    let (_setup, app) = with_box().await;
    for (base, list) in [
        (BOX, format!("{BOX}/v1/models")),
        (ALL, "/v1/models".to_owned()),
    ] {
        let version = app.get(&format!("{base}/api/version")).await.json();
        let version = version["version"].as_str().expect("a version");
        let parts: Vec<u32> = version
            .split(['.', '-'])
            .map_while(|part| part.parse().ok())
            .collect();
        assert!(version == "0.0.0" || parts >= vec![0, 6, 4], "{version}");
        let tags = app.get(&format!("{base}/api/tags")).await.json();
        for model in tags["models"].as_array().expect("models") {
            let id = model["model"].as_str().expect("a name");
            let shown = show(&app, base, id).await.json();
            assert!(shown["capabilities"].is_array(), "{shown}");
            let info = &shown["model_info"];
            let architecture = info["general.architecture"].as_str().unwrap_or("undefined");
            let entry = app.get(&format!("{list}/{id}")).await.json();
            let context = info.get(format!("{architecture}.context_length"));
            assert_eq!(context, entry.get("context_window"), "{id}: {shown}");
        }
    }
    app.stop().await;
}

/// The request of the field, byte for byte.
#[tokio::test]
async fn the_recorded_requests_are_answered() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (_setup, app) = with_box().await;
    let ask = async |request: &str| {
        let address = app.base.trim_start_matches("http://");
        let mut stream = tokio::net::TcpStream::connect(address)
            .await
            .expect("a connection");
        stream
            .write_all(request.replace('\n', "\r\n").as_bytes())
            .await
            .expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        (
            head[9..12].to_owned(),
            serde_json::from_str::<Value>(body).expect("JSON"),
        )
    };
    let head = "host: catalog.internal\nconnection: close\n";
    let (status, version) = ask(&format!("GET {BOX}/api/version HTTP/1.1\n{head}\n")).await;
    assert_eq!(
        (status.as_str(), version),
        ("200", json!({"version": "0.31.2-rc1"}))
    );
    for (model, expected) in [("llama:8b", "200"), ("lama:8bx", "404")] {
        let body = format!("{{\"model\":\"{model}\"}}");
        let head = format!(
            "{head}content-type: application/json\ncontent-length: {}\n",
            body.len()
        );
        let (status, shown) = ask(&format!("POST {BOX}/api/show HTTP/1.1\n{head}\n{body}")).await;
        assert_eq!(status, expected);
        if expected == "200" {
            assert_eq!(shown["capabilities"], json!(["completion", "tools"]));
            assert_eq!(shown["model_info"]["llama.context_length"], 131_072);
        }
    }
    app.stop().await;
}

/// A catalog whose endpoint is another catalog's Ollama base takes it for one.
#[tokio::test]
async fn a_catalog_recognises_anothers_base() {
    let (_setup, first) = with_box().await;
    let mut setup = Setup::new().await;
    setup.providers.clear();
    let source = model_catalog::SourceConfig::endpoint("box", &first.url(BOX)).expect("usable");
    setup.extra = vec![source];
    let second = setup.start_ready().await;
    assert_eq!(second.source("box").await["kind"], "ollama");
    assert_eq!(second.models().await.ids(), ["llama:8b", "old:latest"]);
    let version = second.get(&format!("{BOX}/api/version")).await;
    assert_eq!(version.json(), json!({"version": "0.31.2-rc1"}));
    second.stop().await;
    first.stop().await;
}
