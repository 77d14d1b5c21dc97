//! The contract of the public routes: shapes, headers, status codes. Written before the code.

use serde_json::{Value, json};

use crate::helpers::{Setup, TestApp, mount_ollama, mount_vllm};

#[tokio::test]
async fn lists_every_source_in_the_documented_order_and_shape() {
    let mut setup = Setup::happy().await;
    mount_ollama(
        setup.add_endpoint("box").await,
        &["mistral:7b", "llama3.2:latest"],
    )
    .await;
    let app = setup.start_ready().await;

    let answer = app.models().await;

    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(
        answer.json(),
        json!({"object": "list", "data": [
            {"id": "llama3.2:latest", "object": "model", "created": 1_770_098_047, "owned_by": "lb", "endpoints": ["box"]},
            {"id": "mistral:7b", "object": "model", "created": 1_770_098_047, "owned_by": "lb", "endpoints": ["box"]},
            {"id": "openai:gpt-a", "object": "model", "created": 1_700_000_000, "owned_by": "openai"},
            {"id": "openai:gpt-b", "object": "model", "created": 1_700_000_000, "owned_by": "openai"},
            {"id": "google:gemini-a", "object": "model", "created": 0, "owned_by": "google",
             "display_name": "Display gemini-a", "context_window": 1_048_576, "max_output_tokens": 65_536, "context_length": 1_048_576,
             "supported_methods": ["generateContent"],
             "metadata_source": {"context_window": "google", "display_name": "google", "max_output_tokens": "google", "supported_methods": "google"}},
            {"id": "google:gemini-b", "object": "model", "created": 0, "owned_by": "google",
             "display_name": "Display gemini-b", "context_window": 1_048_576, "max_output_tokens": 65_536, "context_length": 1_048_576,
             "supported_methods": ["generateContent"],
             "metadata_source": {"context_window": "google", "display_name": "google", "max_output_tokens": "google", "supported_methods": "google"}},
            {"id": "anthropic:claude-a", "object": "model", "created": 1_770_163_200, "owned_by": "anthropic",
             "display_name": "Display claude-a", "context_window": 200_000, "max_output_tokens": 64_000, "context_length": 200_000,
             "metadata_source": {"context_window": "anthropic", "display_name": "anthropic", "max_output_tokens": "anthropic"}},
            {"id": "anthropic:claude-b", "object": "model", "created": 1_770_163_200, "owned_by": "anthropic",
             "display_name": "Display claude-b", "context_window": 200_000, "max_output_tokens": 64_000, "context_length": 200_000,
             "metadata_source": {"context_window": "anthropic", "display_name": "anthropic", "max_output_tokens": "anthropic"}},
        ]})
    );
    app.stop().await;
}

#[tokio::test]
async fn list_headers_revalidate_for_free() {
    let app = Setup::happy().await.start_ready().await;

    let first = app.models().await;
    let etag = first.header("etag").expect("an ETag").to_owned();
    assert!(
        etag.starts_with('"') && etag.ends_with('"'),
        "a strong ETag: {etag}"
    );
    assert_eq!(first.header("cache-control"), Some("no-cache"));
    assert_eq!(
        first.header("vary"),
        Some("accept-encoding, anthropic-version, x-goog-api-client, x-goog-api-key")
    );
    assert_eq!(first.header("catalog-stale"), None);
    let revision: u64 = first
        .header("catalog-revision")
        .expect("a revision")
        .parse()
        .expect("a number");
    assert_eq!(
        revision, 3,
        "each of the three providers committed one change"
    );

    for candidate in [
        etag.clone(),
        format!("W/{etag}"),
        format!("\"other\", {etag}"),
        "*".to_owned(),
    ] {
        let again = app
            .send(
                app.http
                    .get(app.url("/v1/models"))
                    .header("if-none-match", &candidate),
            )
            .await;
        assert_eq!(again.status, 304, "If-None-Match: {candidate}");
        assert!(again.body.is_empty());
        for header in ["etag", "cache-control", "vary", "catalog-revision"] {
            assert_eq!(
                again.header(header),
                first.header(header),
                "{header} on a 304"
            );
        }
    }
    for candidate in ["\"other\"", "not an etag", ""] {
        let again = app
            .send(
                app.http
                    .get(app.url("/v1/models"))
                    .header("if-none-match", candidate),
            )
            .await;
        assert_eq!(again.status, 200, "If-None-Match: {candidate}");
    }
    app.stop().await;
}

#[tokio::test]
async fn retrieves_every_listed_model_raw_and_encoded() {
    let mut setup = Setup::happy().await;
    setup.openai.reset().await;
    crate::helpers::mount_openai(
        &setup.openai,
        &["ft:gpt-4o:org::x", "ada:ft-personal-2023", "o1"],
    )
    .await;
    let odd = [
        "org/model-7b",
        "/models/llama 3/",
        "C:\\models\\a.gguf",
        "100%25",
        "mistral:7b",
        "~vendor/m@x+y",
    ];
    mount_vllm(setup.add_endpoint("box").await, &odd).await;
    let app = setup.start_ready().await;

    let list = app.models().await.json();
    let models = list["data"].as_array().expect("data");
    assert_eq!(models.len(), 3 + 2 + 2 + odd.len());
    for model in models {
        let id = model["id"].as_str().expect("an id");
        let encoded: String =
            percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC)
                .to_string();
        let answer = app.get(&format!("/v1/models/{encoded}")).await;
        assert_eq!(answer.status, 200, "{id} encoded");
        assert_eq!(&answer.json(), model, "retrieval agrees with the list");
        assert!(answer.header("etag").is_some() && answer.header("catalog-revision").is_some());
        // As people type it: only what a URL cannot hold is encoded (by the client). Clients turn
        // backslashes into slashes, so such an id must come encoded.
        if id.contains('\\') {
            continue;
        }
        let answer = app.get(&format!("/v1/models/{id}")).await;
        assert_eq!(
            (answer.status, answer.json()),
            (200, model.clone()),
            "{id} raw"
        );
    }
    app.stop().await;
}

#[tokio::test]
async fn an_unknown_model_is_openais_404() {
    let app = Setup::happy().await.start_ready().await;
    for path in [
        "/v1/models/nope",
        "/v1/models/a%2Fb",
        "/v1/models/%FF%FE",
        "/v1/models/openai",
        "/v1/models/gpt-a",
    ] {
        let answer = app.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let error = &answer.json()["error"];
        assert_eq!(error["type"], "invalid_request_error");
        assert_eq!(error["param"], "model");
        assert_eq!(error["code"], "model_not_found");
        assert!(
            error["message"]
                .as_str()
                .is_some_and(|message| message.contains("does not exist"))
        );
    }
    app.stop().await;
}

#[tokio::test]
async fn a_slash_too_many_or_no_version_is_the_same_route() {
    let mut setup = Setup::happy().await;
    mount_ollama(setup.add_endpoint("box").await, &["m"]).await;
    let app = setup.start_ready().await;
    for (path, variants) in [
        (
            "/v1/models",
            &[
                "/v1/models/",
                "//v1/models",
                "/v1//models",
                "//v1///models/",
                "/models",
                "/models/",
            ][..],
        ),
        (
            "/v1/models?limit=1",
            &["/models/?limit=1", "/v1/models/?limit=1"],
        ),
        (
            "/v1/models/openai:gpt-a",
            &["/models/openai:gpt-a", "/v1//models/openai:gpt-a"],
        ),
        ("/v1beta/models", &["/v1beta/models/", "/v1beta//models"]),
        ("/v1beta/openai/models", &["/v1beta/openai/models/"]),
        (
            "/catalog/providers/openai/v1/models",
            &[
                "/catalog/providers/openai/v1/models/",
                "/catalog/providers/openai//v1/models",
            ],
        ),
        (
            "/catalog/providers/openai/models/gpt-a",
            &["/catalog/providers/openai//models/gpt-a"],
        ),
        (
            "/catalog/providers/box/api/tags",
            &["/catalog/providers/box/api/tags/"],
        ),
    ] {
        let wanted = app.get(path).await;
        assert_eq!(wanted.status, 200, "{path}");
        for variant in variants {
            let answer = app.get(variant).await;
            assert_eq!(
                (answer.status, &answer.body),
                (200, &wanted.body),
                "{variant}"
            );
            for header in ["etag", "vary", "catalog-revision", "cache-control"] {
                assert_eq!(answer.header(header), wanted.header(header), "{variant}");
            }
        }
    }
    // An id is looked up as it is.
    for path in ["/v1/models/openai:gpt-a/", "/models//openai:gpt-a/x"] {
        let answer = app.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.json()["error"]["code"], "model_not_found", "{path}");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_query_that_is_too_long_is_refused_and_not_ignored() {
    let app = Setup::happy().await.start_ready().await;
    let query = format!("/catalog/changes?source={}", ":".repeat(22_000));
    let answer = app.get(&query).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["error"]["code"], "invalid_parameter");
    app.stop().await;
}

#[tokio::test]
async fn a_blank_parameter_is_none() {
    let app = Setup::happy().await.start_ready().await;
    for (path, blank) in [
        (
            "/v1/models",
            "limit=&after=&at=&revision=%20&provider=&q=&stale=&fields=",
        ),
        ("/v1/models/openai:gpt-a", "at=&revision="),
        ("/v1beta/models", "pageSize=&pageToken=&key="),
        (
            "/catalog/providers/anthropic/v1/models",
            "limit=&after_id=&before_id=%20&lifecycle[]=",
        ),
        (
            "/catalog/changes",
            "since=&limit=&wait=&source=&event=&model=",
        ),
        ("/catalog/retirements", "within="),
        ("/catalog/sources", "colour="),
    ] {
        let wanted = app.get(path).await;
        let answer = app.get(&format!("{path}?{blank}")).await;
        assert_eq!(answer.status, 200, "{path}?{blank}: {answer:?}");
        assert_eq!(answer.body, wanted.body, "{path}?{blank}");
    }
    app.stop().await;
}

#[tokio::test]
async fn unknown_routes_and_methods_are_json_errors() {
    let app = Setup::happy().await.start_ready().await;
    for path in [
        "/",
        "/v1",
        "/modelsx",
        "/catalog",
        "/v1/chat/completions",
        "/v2/models",
    ] {
        let answer = app.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        let error = &answer.json()["error"];
        assert_eq!(error["type"], "invalid_request_error", "{path}");
        assert_eq!(error["code"], "unknown_route", "{path}");
        assert!(
            error["message"]
                .as_str()
                .is_some_and(|message| message.contains("GET /v1/models")),
            "{error}"
        );
    }
    for (method, path, allow) in [
        ("POST", "/v1/models", "GET"),
        ("DELETE", "/v1/models/openai:gpt-a", "GET"),
        ("PUT", "/catalog/sources", "GET"),
        ("GET", "/catalog/refresh", "POST"),
    ] {
        let answer = app
            .send(
                app.http
                    .request(method.parse().expect("a method"), app.url(path)),
            )
            .await;
        assert_eq!(answer.status, 405, "{method} {path}");
        assert_eq!(answer.json()["error"]["code"], "method_not_allowed");
        assert!(
            answer
                .header("allow")
                .is_some_and(|value| value.contains(allow)),
            "{method} {path}"
        );
    }
    app.stop().await;
}

#[tokio::test]
async fn head_answers_like_get_without_a_body() {
    let app = Setup::happy().await.start_ready().await;
    for path in [
        "/v1/models",
        "/v1/models/openai:gpt-a",
        "/catalog/sources",
        "/healthz",
        "/readyz",
    ] {
        let get = app.get(path).await;
        let head = app.send(app.http.head(app.url(path))).await;
        assert_eq!(head.status, get.status, "{path}");
        assert!(head.body.is_empty(), "{path}");
        assert_eq!(head.header("etag"), get.header("etag"), "{path}");
        assert_eq!(
            head.header("content-length"),
            Some(get.body.len().to_string().as_str()),
            "{path}"
        );
    }
    app.stop().await;
}

#[tokio::test]
async fn parameters_are_ignored_under_v1_and_checked_under_catalog() {
    let app = Setup::happy().await.start_ready().await;
    let plain = app.models().await;
    let busted = app.get("/v1/models?limit=1000&_=17").await;
    assert_eq!((busted.status, busted.body), (200, plain.body));
    let answer = app.get("/catalog/sources?bogus=1").await;
    assert_eq!(answer.status, 400);
    let error = &answer.json()["error"];
    assert_eq!(error["code"], "invalid_parameter");
    assert!(
        error["message"]
            .as_str()
            .is_some_and(|message| message.contains("bogus")),
        "{error}"
    );
    let answer = app
        .send(app.http.post(app.url("/catalog/refresh?sauce=openai")))
        .await;
    assert_eq!(answer.status, 400);
    app.stop().await;
}

#[tokio::test]
async fn sources_say_how_each_is_doing() {
    let mut setup = Setup::happy().await;
    setup.providers.retain(|provider| *provider != "anthropic");
    setup.google.reset().await;
    mount_vllm(setup.add_endpoint("box").await, &["m"]).await;
    let app = setup.start_ready().await;

    let answer = app.get("/catalog/sources").await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let body = answer.json();
    assert_eq!(body["revision"], 2);
    let names: Vec<&str> = body["sources"]
        .as_array()
        .expect("sources")
        .iter()
        .filter_map(|source| source["name"].as_str())
        .collect();
    assert_eq!(
        names,
        ["box", "openai", "google"],
        "in the order of the list"
    );

    let openai = app.source("openai").await;
    for (field, value) in [
        ("kind", json!("openai")),
        ("role", json!("provider")),
        ("state", json!("fresh")),
        ("models", json!(2)),
        ("ttl_secs", json!(86_400)),
        ("consecutive_failures", json!(0)),
        ("error", Value::Null),
        ("hidden_since", Value::Null),
        ("held", Value::Null),
    ] {
        assert_eq!(openai[field], value, "openai.{field}");
    }
    for field in ["fetched_at", "attempted_at", "next_attempt_at"] {
        let time = openai[field].as_str().unwrap_or_else(|| panic!("{field}"));
        assert_eq!(
            (time.len(), &time[23..]),
            (24, "Z"),
            "one fixed form: {time}"
        );
    }
    let google = app.source("google").await;
    assert_eq!(
        (&google["state"], &google["models"]),
        (&json!("missing"), &json!(0))
    );
    assert_eq!(google["consecutive_failures"], 1);
    assert_eq!(google["error"]["kind"], "rejected");
    assert!(
        google["error"]["message"]
            .as_str()
            .is_some_and(|message| message.contains("404"))
    );
    assert_eq!(google["error"]["since"], google["attempted_at"]);
    let endpoint = app.source("box").await;
    assert_eq!(
        (&endpoint["role"], &endpoint["ttl_secs"]),
        (&json!("endpoint"), &json!(30))
    );
    app.stop().await;
}

#[tokio::test]
async fn a_missing_source_makes_the_answer_uncacheable() {
    let setup = Setup::happy().await;
    setup.google.reset().await;
    let app = setup.start_ready().await;
    let answer = app.models().await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.ids().len(), 4);
    let unknown = app.get("/v1/models/google:gemini-a").await;
    assert_eq!(
        (unknown.status, unknown.header("cache-control")),
        (404, Some("no-store")),
        "it may be there in a second"
    );
    app.stop().await;
}

#[tokio::test]
async fn stale_sources_are_named() {
    let setup = Setup::happy().await;
    let app = setup.start_ready().await;
    for server in [&setup.openai, &setup.google] {
        server.reset().await;
    }
    setup.advance(chrono::TimeDelta::hours(25));
    let answer = app.models().await;
    assert_eq!(
        answer.header("catalog-stale"),
        Some("openai, google, anthropic")
    );
    assert_eq!(answer.ids().len(), 6);
    assert_eq!(answer.header("cache-control"), Some("no-cache"));
    app.stop().await;
}

#[tokio::test]
async fn refresh_answers_each_outcome() {
    let setup = Setup::happy().await;
    let app = setup.start_ready().await;
    assert_eq!(
        app.refresh("openai").await["outcome"],
        "busy",
        "asked less than 10 s ago"
    );

    setup.advance(chrono::TimeDelta::seconds(11));
    setup.openai.reset().await;
    crate::helpers::mount_openai(&setup.openai, &["gpt-a", "gpt-c"]).await;
    setup.google.reset().await;
    let answer = app.send(app.http.post(app.url("/catalog/refresh"))).await;
    assert_eq!(answer.status, 200);
    let body = answer.json();
    assert_eq!(body["revision"], 4);
    let outcome = |name: &str| {
        body["sources"]
            .as_array()
            .expect("sources")
            .iter()
            .find(|source| source["name"] == name)
            .cloned()
            .expect("the source")
    };
    assert_eq!(
        outcome("anthropic"),
        json!({"name": "anthropic", "outcome": "unchanged"})
    );
    assert_eq!(
        outcome("openai"),
        json!({"name": "openai", "outcome": "changed", "added": 1, "changed": 0, "removed": 1, "returned": 0})
    );
    let google = outcome("google");
    assert_eq!(google["outcome"], "failed");
    assert_eq!(google["error"]["kind"], "rejected");

    let unknown = app
        .send(app.http.post(app.url("/catalog/refresh?source=nope")))
        .await;
    assert_eq!(unknown.status, 404);
    assert_eq!(unknown.json()["error"]["code"], "unknown_source");
    app.stop().await;
}

#[tokio::test]
async fn refresh_is_for_local_callers_only() {
    let app = Setup::happy().await.start_ready().await;
    for (header, value) in [
        ("origin", "https://evil.example"),
        ("host", "evil.example"),
        ("x-forwarded-for", "203.0.113.9"),
        ("origin", "null"),
    ] {
        let answer = app
            .send(
                app.http
                    .post(app.url("/catalog/refresh"))
                    .header(header, value),
            )
            .await;
        assert_eq!(answer.status, 403, "{header}: {value}");
        assert_eq!(answer.json()["error"]["code"], "local_only");
    }
    let answer = app
        .send(
            app.http
                .post(app.url("/catalog/refresh"))
                .header("origin", "http://localhost:3000"),
        )
        .await;
    assert_eq!(answer.status, 200);
    app.stop().await;
}

#[tokio::test]
async fn an_admin_key_opens_refresh_from_anywhere_and_closes_it_to_others() {
    let setup = Setup::happy().await;
    let mut config = setup.config();
    config.admin_key = Some("adm1n-key".into());
    let app = TestApp::start(config).await;
    let refresh = |key: Option<&'static str>| {
        let mut request = app
            .http
            .post(app.url("/catalog/refresh"))
            .header("x-forwarded-for", "203.0.113.9")
            .header("host", "catalog.example");
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        app.send(request)
    };
    for key in [None, Some("another"), Some("")] {
        let answer = refresh(key).await;
        assert_eq!(answer.status, 401, "{key:?}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        assert_eq!(answer.json()["error"]["code"], "invalid_admin_key");
    }
    assert_eq!(refresh(Some("adm1n-key")).await.status, 200);
    app.stop().await;
}

#[tokio::test]
async fn health_and_readiness() {
    let app = Setup::happy().await.start_ready().await;
    for path in ["/healthz", "/readyz"] {
        let answer = app.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.json()["status"], "ok", "{path}");
    }
    app.stop().await;
}
