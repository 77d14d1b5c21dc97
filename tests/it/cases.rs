//! What services really send, as users have reported it: the whole path from a source's answer to ours.
//! The shapes are theirs, names and numbers are not.

use chrono::TimeDelta;
use model_catalog::{Kind, SourceConfig};
use rstest::rstest;
use serde_json::{Value, json};
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{method, path},
};

use crate::helpers::{Setup, TestApp, mount, mount_ollama, mount_template, openai_body};

/// A provider `gw` of the given kind, an endpoint `box` without one, and nothing else.
struct Field {
    setup: Setup,
    gateway: MockServer,
    local: MockServer,
}

impl Field {
    async fn new(kind: Kind) -> Self {
        let mut setup = Setup::new().await;
        setup.providers.clear();
        let (gateway, local) = (MockServer::start().await, MockServer::start().await);
        let base = match kind {
            Kind::Anthropic | Kind::Google => gateway.uri(),
            _ => format!("{}/v1", gateway.uri()),
        };
        setup.extra =
            vec![SourceConfig::provider("gw", kind, &base, Some("key-of-gw")).expect("usable")];
        Self {
            setup,
            gateway,
            local,
        }
    }

    /// With the endpoint, and without the provider.
    async fn local() -> Self {
        let mut field = Self::new(Kind::OpenAi).await;
        field.setup.extra =
            vec![SourceConfig::endpoint("box", &field.local.uri()).expect("usable")];
        field
    }

    /// The catalog after the provider's first answer.
    async fn answered(kind: Kind, body: &str) -> (Self, TestApp) {
        let field = Self::new(kind).await;
        field.answers(body).await;
        let app = field.setup.start_ready().await;
        (field, app)
    }

    async fn answers(&self, body: &str) {
        self.gateway.reset().await;
        for at in ["/v1/models", "/v1beta/models"] {
            let answer = ResponseTemplate::new(200).set_body_raw(body, "application/json");
            mount_template(&self.gateway, at, answer).await;
        }
    }

    /// The outcome of asking `source` again.
    async fn again(&self, app: &TestApp, source: &str) -> Value {
        self.setup.advance(TimeDelta::seconds(31));
        app.refresh(source).await
    }
}

/// What is served of `gw:id`.
async fn said(app: &TestApp, id: &str) -> Value {
    let answer = app.get(&format!("/v1/models/gw:{id}")).await;
    assert_eq!(answer.status, 200, "{id}");
    answer.json()
}

async fn served(body: Value, id: &str) -> Value {
    let (_, app) = Field::answered(Kind::OpenAi, &body.to_string()).await;
    let said = said(&app, id).await;
    app.stop().await;
    said
}

#[rstest]
#[case::success_false(json!({"success": false, "message": "the token has expired", "data": []}), "the token has expired")]
#[case::object_error(json!({"object": "error", "message": "the key is not known", "code": 401, "data": null}), "the key is not known")]
#[case::no_list(json!({"error": {"message": "no route"}}), "no route")]
#[case::the_key_in_it(json!({"error": "key-of-gw is unknown", "data": []}), "[key] is unknown")]
#[tokio::test]
async fn an_error_with_200_removes_nothing(#[case] error: Value, #[case] words: &str) {
    for kind in [Kind::OpenAi, Kind::Anthropic, Kind::Google, Kind::Cohere] {
        let list = match kind {
            Kind::Google | Kind::Cohere => json!({"models": [{"name": "models/a"}, {"name": "b"}]}),
            _ => openai_body(&["a", "b"]),
        };
        let mut error = error.clone();
        if let (Kind::Google | Kind::Cohere, Some(data)) = (
            kind,
            error.as_object_mut().and_then(|error| error.remove("data")),
        ) {
            error["models"] = data;
        }
        let (field, app) = Field::answered(kind, &list.to_string()).await;
        let before = app.models().await.ids();
        assert_eq!(before.len(), 2, "{kind:?}");
        field.answers(&error.to_string()).await;
        for time in 0..3 {
            let outcome = field.again(&app, "gw").await;
            assert_eq!(outcome["outcome"], "failed", "{kind:?}, time {time}");
            let message = outcome["error"]["message"].as_str().expect("a message");
            assert!(
                message.contains(words) && !message.contains("key-of-gw"),
                "{message}"
            );
            assert_eq!(app.models().await.ids(), before, "{kind:?}, time {time}");
        }
        app.stop().await;
    }
}

#[tokio::test]
async fn an_endpoints_error_with_200_removes_nothing_either() {
    let field = Field::local().await;
    mount(&field.local, "/v1/models", openai_body(&["a"])).await;
    let app = field.setup.start_ready().await;
    field.local.reset().await;
    let error = json!({"object": "error", "message": "busy", "code": 500, "data": []});
    mount(&field.local, "/v1/models", error).await;
    for _ in 0..2 {
        assert_eq!(field.again(&app, "box").await["outcome"], "failed");
        assert_eq!(app.models().await.ids(), ["a"]);
    }
    app.stop().await;
}

#[rstest]
#[case::null(json!({"object": "list", "data": null}))]
#[case::said_to_be_fine(json!({"success": true, "code": 0, "message": "", "data": []}))]
#[tokio::test]
async fn an_empty_list_is_no_error(#[case] body: Value) {
    let (_, app) = Field::answered(Kind::OpenAi, &body.to_string()).await;
    let source = app.source("gw").await;
    assert_eq!(
        (&source["models"], &source["error"]),
        (&json!(0), &Value::Null)
    );
    app.stop().await;
}

#[tokio::test]
async fn a_filled_list_beside_a_warning_is_a_list() {
    let body = json!({"data": [{"id": "a"}], "error": {"message": "one channel is down"}, "success": false});
    assert_eq!(served(body, "a").await["id"], "gw:a");
}

/// A server of pages: the answer to `?page=N` or to any other query.
async fn pages(field: &Field, answer: impl Fn(&str) -> ResponseTemplate + Send + Sync + 'static) {
    Mock::given(method("GET"))
        .and(path("/v1/models"))
        .respond_with(move |request: &Request| answer(request.url.query().unwrap_or_default()))
        .mount(&field.gateway)
        .await;
}

/// An answer to each query.
type ByQuery = fn(&str) -> Value;

fn by_query(answer: ByQuery) -> ByQuery {
    answer
}

fn entries(ids: &[&str]) -> Value {
    ids.iter()
        .map(|id| json!({"id": id, "object": "model"}))
        .collect()
}

#[rstest]
#[case::has_next(by_query(|query| match query {
    "page=2" => json!({"data": entries(&["n-3"]), "page": 2, "next_page": null, "has_next": false}),
    _ => json!({"data": entries(&["n-1", "n-2"]), "page": 1, "next_page": 2, "has_next": true}),
}))]
#[case::page_numbers(by_query(|query| {
    let (page, ids): (i64, &[&str]) = match query {
        "page=2" => (2, &["n-2"]),
        "page=3" => (3, &["n-3"]),
        _ => (1, &["n-1"]),
    };
    json!({"data": entries(ids), "page": page, "page_size": 1, "total": 3, "total_pages": 3})
}))]
#[case::counted_from_zero(by_query(|query| {
    let (page, ids): (i64, &[&str]) = match query {
        "page=1" => (1, &["n-2", "n-3"]),
        "page=2" => (2, &[]),
        _ => (0, &["n-1"]),
    };
    json!({"data": entries(ids), "pagination": {"page": page, "total_pages": 2}})
}))]
#[case::offsets(by_query(|query| match query {
    "offset=2&limit=2" => json!({"data": entries(&["n-3"]), "offset": 2, "limit": 2, "total": 3}),
    _ => json!({"data": entries(&["n-1", "n-2"]), "offset": 0, "limit": 2, "total": 3}),
}))]
#[case::offsets_without_a_total(by_query(|query| match query {
    "offset=2&limit=2" => json!({"data": entries(&["n-3"]), "offset": 2, "limit": 2}),
    _ => json!({"data": entries(&["n-1", "n-2"]), "offset": 0, "limit": 2}),
}))]
#[case::cloudflare(by_query(|query| match query {
    "page=2" => json!({"data": entries(&["n-3"]), "result_info": {"page": 2, "per_page": 2, "total_count": 3}}),
    _ => json!({"data": entries(&["n-1", "n-2"]), "result_info": {"page": 1, "per_page": 2, "total_count": 3}}),
}))]
#[case::a_cursor_in_meta(by_query(|query| match query {
    "after=c%2B" => json!({"data": entries(&["n-3"]), "meta": {"pagination": {"next_cursor": null}}}),
    _ => json!({"data": entries(&["n-1", "n-2"]), "meta": {"pagination": {"next_cursor": "c+"}}}),
}))]
#[tokio::test]
async fn all_pages_are_read(#[case] answer: ByQuery) {
    let field = Field::new(Kind::OpenAi).await;
    pages(&field, move |query| {
        ResponseTemplate::new(200).set_body_json(answer(query))
    })
    .await;
    let app = field.setup.start_ready().await;
    assert_eq!(app.source("gw").await["error"], Value::Null);
    assert_eq!(app.models().await.ids(), ["gw:n-1", "gw:n-2", "gw:n-3"]);
    app.stop().await;
}

#[tokio::test]
async fn a_link_header_is_followed() {
    let field = Field::new(Kind::OpenAi).await;
    pages(&field, |query| match query {
        "cursor=a%2Bb&limit=2" => ResponseTemplate::new(200).set_body_json(entries(&["n-3"])),
        _ => ResponseTemplate::new(200)
            .insert_header(
                "link",
                "<https://x.invalid/m>; rel=\"first\", </m?cursor=a%2Bb&limit=2>; rel=\"next\"",
            )
            .set_body_json(entries(&["n-1", "n-2"])),
    })
    .await;
    let app = field.setup.start_ready().await;
    assert_eq!(app.models().await.ids(), ["gw:n-1", "gw:n-2", "gw:n-3"]);
    app.stop().await;
}

#[rstest]
#[case::a_total(json!({"data": [{"id": "a"}], "total": 3}), "`total`")]
#[case::a_flag(json!({"data": [{"id": "a"}], "meta": {"has_next": true}}), "`has_next`")]
#[case::an_opaque_token(json!({"data": [{"id": "a"}], "next": "bm90IGEgbGluaw"}), "`next`")]
#[case::pages_ignored(json!({"data": [{"id": "a"}], "page": 1, "total_pages": 2}), "total_pages")]
#[case::offsets_ignored(json!({"data": [{"id": "a"}], "offset": 0, "limit": 1, "total": 3}), "repeats")]
#[case::ids_ignored(json!({"data": [{"id": "a"}], "has_more": true, "first_id": "a", "last_id": "a"}), "kind = \"anthropic\"")]
#[tokio::test]
async fn a_list_that_is_cut_short_is_a_failure(#[case] body: Value, #[case] named: &str) {
    let (_, app) = Field::answered(Kind::OpenAi, &body.to_string()).await;
    let source = app.source("gw").await;
    assert_eq!(source["error"]["kind"], "truncated", "{source}");
    let message = source["error"]["message"].as_str().expect("a message");
    assert!(
        message.contains(named) || message.contains("repeats"),
        "{message}"
    );
    assert_eq!(source["models"], 0);
    app.stop().await;
}

#[tokio::test]
async fn what_can_be_kept_of_an_entry_is_kept() {
    let body = concat!(
        r#"{"object":"list","data":["one-a", {"id":"cut","description":"nice \ud83d","context_length":1000},"#,
        r#"{"id":"huge","score":1e400,"context_length":1000}, {"id":" spaced "}, {"id":"not","score":NaN}]}"#
    );
    let (_, app) = Field::answered(Kind::OpenAi, body).await;
    assert_eq!(
        app.models().await.ids(),
        ["gw:cut", "gw:huge", "gw:not", "gw:one-a", "gw:spaced"]
    );
    for id in ["cut", "huge"] {
        assert_eq!(said(&app, id).await["context_window"], 1000, "{id}");
    }
    app.stop().await;
}

#[tokio::test]
async fn one_bad_byte_costs_one_entry() {
    let field = Field::new(Kind::OpenAi).await;
    let ids: Vec<String> = (0..500).map(|number| format!("m-{number:03}")).collect();
    let mut body = openai_body(&ids).to_string().into_bytes();
    let at = body
        .windows(5)
        .position(|bytes| bytes == b"m-250")
        .expect("there");
    body[at] = 0xFF;
    let answer = ResponseTemplate::new(200).set_body_raw(body, "application/json");
    mount_template(&field.gateway, "/v1/models", answer).await;
    let app = field.setup.start_ready().await;
    let listed = app.models().await.ids();
    assert_eq!(listed.len(), 499);
    assert!(listed.iter().all(|id| id.starts_with("gw:m-")));
    let skipped = field.setup.sql("SELECT skipped FROM fetches").await;
    assert_eq!(skipped, [[json!(1)]]);
    app.stop().await;
}

#[tokio::test]
async fn what_cannot_be_used_is_said_everywhere() {
    let long = "x".repeat(600);
    let unusable = json!([{"id": "good"}, {"id": 7}, {"id": "bell\u{7}"}, {"id": long}, {"name": "nameless"}, null, {"id": ""}]);
    let field = Field::new(Kind::OpenAi).await;
    mount(&field.gateway, "/v1/models", json!({"data": unusable})).await;
    let app = field.setup.start_ready().await;
    assert_eq!(app.models().await.ids(), ["gw:good"]);
    let skipped = app.source("gw").await["skipped"].clone();
    assert_eq!(skipped["count"], 6);
    let examples = skipped["examples"].as_array().expect("a list").clone();
    assert_eq!(examples.len(), 5);
    assert_eq!(
        examples[1],
        json!({"what": "bell\\u{7}", "why": "its id has control characters"})
    );
    let metrics = app.get("/metrics").await.body;
    let metrics = String::from_utf8_lossy(&metrics);
    assert!(
        metrics.contains("model_catalog_skipped_entries{source=\"gw\"} 6"),
        "{metrics}"
    );
    let why = app.get(&format!("/catalog/why/gw:{long}")).await.json();
    assert_eq!(why["listed"], false);
    assert_eq!(
        why["because"],
        "gw lists it, but it cannot be used: its id is longer than 512 bytes"
    );

    // It is stored, and ends with a list that has no such entry.
    app.stop().await;
    let app = field.setup.start_ready().await;
    assert_eq!(app.source("gw").await["skipped"], skipped);
    field.gateway.reset().await;
    mount(
        &field.gateway,
        "/v1/models",
        json!({"data": [{"id": "good"}]}),
    )
    .await;
    field.setup.advance(TimeDelta::seconds(11));
    app.refresh("gw").await;
    assert_eq!(app.source("gw").await["skipped"], Value::Null);
    let metrics = app.get("/metrics").await.body;
    let metrics = String::from_utf8_lossy(&metrics);
    assert!(metrics.contains("model_catalog_skipped_entries{source=\"gw\"} 0"));
    app.stop().await;
}

#[tokio::test]
async fn no_part_of_a_key_is_in_what_is_said_of_an_entry() {
    const KEY: &str = "test-key-0123456789abcdefghijklmnopqrstuvwxyz-0123456789";
    let mut field = Field::new(Kind::OpenAi).await;
    let base = format!("{}/v1", field.gateway.uri());
    let source = SourceConfig::provider("gw", Kind::OpenAi, &base, Some(KEY));
    field.setup.extra = vec![source.expect("usable")];
    let mut named = serde_json::Map::new();
    named.insert(format!("x {KEY}"), json!(1));
    named.insert(format!("line\nbreak {}", &KEY[..20]), json!(1));
    let escaped = KEY.replace('s', "\\u0073").replace('-', "\\u002d");
    let body = format!(
        r#"{{"data": [{{"id": "good"}}, {{"note": "{} Bearer {KEY}"}}, {}, {{"note": "{escaped}"}}, {{"id": "\u0007{KEY}"}}, "\u0007{} {KEY}"]}}"#,
        "n".repeat(40),
        Value::Object(named),
        "n".repeat(50),
    );
    let answer = ResponseTemplate::new(200).set_body_raw(body, "application/json");
    mount_template(&field.gateway, "/v1/models", answer).await;
    let app = field.setup.start_ready().await;
    let skipped = app.source("gw").await["skipped"].clone();
    assert_eq!(skipped["count"], 5);
    let text = skipped.to_string();
    assert!(text.contains("[key]"), "{text}");
    assert!(!text.contains(&KEY[..16]), "{text}");
    let why = skipped["examples"][1]["why"].as_str().expect("a text");
    assert!(why.contains("`line break"), "{why}");
    app.stop().await;
}

#[tokio::test]
async fn a_bad_value_beside_a_cursor_does_not_hide_it() {
    for paging in [
        r#""pagination": {"next_cursor": "c", "score": 1e999}"#,
        r#""meta": {"note": "\ud83d", "has_more": true}, "next_cursor": "c""#,
        r#""next_cursor": "\ud83d""#,
    ] {
        let body = format!(r#"{{"data": [{{"id": "a"}}], {paging}}}"#);
        let (_, app) = Field::answered(Kind::OpenAi, &body).await;
        let source = app.source("gw").await;
        // The gateway answers every page alike.
        assert_eq!(source["error"]["kind"], "truncated", "{paging}: {source}");
        app.stop().await;
    }
}

#[tokio::test]
async fn ids_under_another_name() {
    let entry = json!({
        "model_id": "m-one", "model_name": "M One", "desc": "First.", "types": "llm", "features": "thinking,tools",
        "input_modalities": "text,image", "max_output": 8192, "context_length": 200_000, "pricing": {"input": 1.5, "output": 3},
    });
    let said = served(
        json!({"data": [entry], "message": "", "success": true}),
        "m-one",
    )
    .await;
    assert_eq!(
        json!([
            said["display_name"],
            said["context_window"],
            said["max_output_tokens"],
            said["capabilities"],
            said["input_modalities"]
        ]),
        json!([
            "M One",
            200_000,
            8192,
            ["thinking", "tools"],
            ["image", "text"]
        ])
    );
    let (_, app) =
        Field::answered(Kind::OpenAi, r#"{"data": [{"name": "x", "owner": "y"}]}"#).await;
    let message = app.source("gw").await["error"]["message"].to_string();
    assert!(message.contains("`name`, `owner`"), "{message}");
    app.stop().await;
}

#[tokio::test]
async fn a_body_without_a_list_says_what_it_has() {
    let (_, app) = Field::answered(Kind::OpenAi, r#"{"models": [{"name": "x"}], "took": 3}"#).await;
    let message = app.source("gw").await["error"]["message"].to_string();
    assert!(
        message.contains("`models`, `took`") && message.contains("kind ="),
        "{message}"
    );
    app.stop().await;
}

#[tokio::test]
async fn created_is_a_second_of_our_era_or_0() {
    let body = json!({"data": [
        {"id": "iso-created", "created": "2024-01-01T00:00:00Z"},
        {"id": "iso-created-at", "created_at": "2024-01-01T00:00:00Z"},
        {"id": "number", "created": "1704067200", "context_length": "131072"},
        {"id": "millis", "created": 1_790_000_000_000_i64},
        {"id": "before-year-one", "created": -62_135_596_801_i64},
    ]});
    for kind in [Kind::OpenAi, Kind::Anthropic] {
        let (_, app) = Field::answered(kind, &body.to_string()).await;
        for (id, created) in [
            ("iso-created", 1_704_067_200),
            ("iso-created-at", 1_704_067_200),
            ("number", 1_704_067_200),
            ("millis", 1_790_000_000),
            ("before-year-one", 0),
        ] {
            assert_eq!(said(&app, id).await["created"], created, "{kind:?}: {id}");
        }
        assert_eq!(said(&app, "number").await["context_window"], 131_072);
        app.stop().await;
    }
}

#[tokio::test]
async fn an_anthropic_gateway_with_openais_entries() {
    let entry = json!({"id": "x", "created": 1_790_000_000, "owned_by": "gw", "max_input_tokens": 200_000, "max_tokens": 64_000});
    let (_, app) = Field::answered(Kind::Anthropic, &json!({"data": [entry]}).to_string()).await;
    let said = said(&app, "x").await;
    assert_eq!(
        json!([
            said["created"],
            said["context_window"],
            said["max_output_tokens"]
        ]),
        json!([1_790_000_000, 200_000, 64_000])
    );
    app.stop().await;
}

/// Mistral and vLLM stamp their answers: that says nothing of the models.
#[tokio::test]
async fn a_created_that_is_the_time_of_asking_says_nothing() {
    let now = chrono::Utc::now().timestamp();
    let (_, app) = Field::answered(
        Kind::OpenAi,
        &json!({"data": [{"id": "a", "created": now}, {"id": "b", "created": now - 1}]})
            .to_string(),
    )
    .await;
    assert_eq!(said(&app, "a").await["created"], 0);
    app.stop().await;
    let body =
        json!({"data": [{"id": "new", "created": now}, {"id": "old", "created": 1_700_000_000}]});
    assert_eq!(served(body, "new").await["created"], now);
}

#[tokio::test]
async fn limits_of_litellms_proxy() {
    let body = json!({"data": [
        {"id": "large", "created": 1_677_610_602, "owned_by": "openai", "max_input_tokens": 262_144, "max_output_tokens": 32_768},
        {"id": "embed", "created": 1_677_610_602, "owned_by": "openai", "max_input_tokens": 8192, "max_output_tokens": null},
    ]});
    let (_, app) = Field::answered(Kind::OpenAi, &body.to_string()).await;
    let limits = async |id| {
        let said = said(&app, id).await;
        json!([said["context_window"], said["max_output_tokens"]])
    };
    assert_eq!(limits("large").await, json!([262_144, 32_768]));
    assert_eq!(limits("embed").await, json!([8192, null]));
    app.stop().await;
}

#[tokio::test]
async fn openrouters_format_for_providers() {
    let entry = json!({
        "id": "org/large", "hugging_face_id": "org/large", "name": "Org: Large", "created": 1_777_392_000,
        "input_modalities": ["text", "image"], "output_modalities": ["text"], "quantization": "fp8",
        "context_length": 262_144, "max_output_length": 65_536,
        "pricing": {"prompt": "0.0000002", "completion": "0.0000008", "image": "0"},
        "supported_sampling_parameters": ["temperature", "stop"],
        "supported_features": ["tools", "json_mode", "structured_outputs", "reasoning"],
        "description": "An open model.", "deprecation_date": "2027-03-31", "is_ready": true,
    });
    let (_, app) = Field::answered(
        Kind::OpenAi,
        &json!({"data": [entry, {"id": "guard", "supported_features": null}]}).to_string(),
    )
    .await;
    let large = said(&app, "org/large").await;
    assert_eq!(large["max_output_tokens"], 65_536);
    assert_eq!(
        large["capabilities"],
        json!(["json_mode", "reasoning", "structured_outputs", "tools"])
    );
    assert_eq!(large["retires_at"], "2027-03-31T00:00:00.000Z");
    assert_eq!(large["pricing"]["prompt"], "0.0000002");
    assert_eq!(said(&app, "guard").await["capabilities"], Value::Null);
    assert_eq!(
        app.get("/v1/models?capability=tools").await.ids(),
        ["gw:org/large"]
    );
    let retirements = app.get("/catalog/retirements").await.json().to_string();
    assert!(retirements.contains("gw:org/large"), "{retirements}");
    app.stop().await;
}

#[tokio::test]
async fn prices_for_long_contexts_and_in_lists() {
    let body = json!({"data": [
        {"id": "g-5", "created": 1_787_000_000, "prompt_text_token_price": 20_000, "prompt_text_token_price_long_context": 40_000,
         "completion_text_token_price": 60_000, "long_context_threshold": 200_000},
        {"id": "g-imagine", "created": 1_787_000_001, "image_price": 6, "pricing": [{"price_per_image": 4, "quality": "low"}]},
    ]});
    let (_, app) = Field::answered(Kind::OpenAi, &body.to_string()).await;
    assert_eq!(
        said(&app, "g-5").await["pricing"],
        json!({"prompt_text_token_price": 20_000, "prompt_text_token_price_long_context": 40_000,
               "completion_text_token_price": 60_000, "long_context_threshold": 200_000})
    );
    assert_eq!(
        said(&app, "g-imagine").await["pricing"],
        json!({"image_price": 6, "pricing": [{"price_per_image": 4, "quality": "low"}]})
    );
    app.stop().await;
}

#[tokio::test]
async fn what_deepinfra_and_cerebras_put_into_objects() {
    let body = json!({"data": [
        {"id": "seer", "created": 0, "root": "seer", "parent": null, "metadata": {
            "description": "A model that sees.", "context_length": 262_144, "max_tokens": 131_072,
            "pricing": {"input_tokens": 0.26, "output_tokens": 2.6}, "tags": ["vision", "reasoning"]}},
        {"id": "embed", "created": 0, "metadata": null},
        {"id": "c-one", "created": 0, "name": "C One", "pricing": {"prompt": "0.00000035"},
         "capabilities": {"streaming": true, "function_calling": true, "vision": false},
         "architecture": {"modality": "text+image", "instruct_type": null},
         "limits": {"max_context_length": 131_072, "max_completion_tokens": 40_960, "requests_per_minute": 1000},
         "deprecated": true, "preview": false},
    ]});
    let (_, app) = Field::answered(Kind::OpenAi, &body.to_string()).await;
    let seer = said(&app, "seer").await;
    assert_eq!(
        json!([
            seer["description"],
            seer["context_window"],
            seer["max_output_tokens"],
            seer["pricing"]
        ]),
        json!(["A model that sees.", 262_144, 131_072, {"input_tokens": 0.26, "output_tokens": 2.6}])
    );
    assert_eq!(said(&app, "embed").await["metadata_source"], Value::Null);
    let one = said(&app, "c-one").await;
    assert_eq!(
        json!([
            one["context_window"],
            one["max_output_tokens"],
            one["lifecycle"],
            one["capabilities"],
            one["input_modalities"]
        ]),
        json!([
            131_072,
            40_960,
            "deprecated",
            ["function_calling", "streaming"],
            ["image", "text"]
        ])
    );
    app.stop().await;
}

#[tokio::test]
async fn words_of_the_end() {
    let body = json!({"data": [
        {"id": "flag", "deprecated": true}, {"id": "date", "deprecation_date": "2027-03-31"},
        {"id": "status", "status": "deprecated"}, {"id": "retire", "retirement_date": "2027-03-31"},
    ]});
    let (_, app) = Field::answered(Kind::OpenAi, &body.to_string()).await;
    for id in ["flag", "status"] {
        assert_eq!(said(&app, id).await["lifecycle"], "deprecated", "{id}");
    }
    for id in ["date", "retire"] {
        assert_eq!(
            said(&app, id).await["retires_at"],
            "2027-03-31T00:00:00.000Z",
            "{id}"
        );
    }
    app.stop().await;
}

#[tokio::test]
async fn an_adapter_has_the_limit_of_its_parent() {
    let body = json!({"data": [
        {"id": "lora", "root": "/adapters/lora", "parent": "base", "max_model_len": null},
        {"id": "base", "parent": null, "max_model_len": 4096}, {"id": "orphan", "parent": "elsewhere"},
    ]});
    let (_, app) = Field::answered(Kind::OpenAi, &body.to_string()).await;
    assert_eq!(said(&app, "lora").await["context_window"], 4096);
    assert_eq!(said(&app, "orphan").await["context_window"], Value::Null);
    app.stop().await;
}

fn tag(name: &str, model: &str) -> Value {
    json!({"name": name, "model": model, "modified_at": "2024-07-19T15:26:55.6122841+08:00", "size": 1, "digest": "0".repeat(64),
           "details": {"parent_model": "", "format": "gguf", "family": "", "families": null}})
}

/// KoboldCpp's answers.
async fn mount_kobold(server: &MockServer) {
    let tags = json!({"models": [tag("koboldcpp", "koboldcpp/Writer:latest"), tag("koboldcpp", "koboldcpp/Writer")]});
    mount(server, "/api/tags", tags).await;
    mount(server, "/api/version", json!({"version": "0.7.0"})).await;
    let own = json!({"data": [{"id": "koboldcpp/Writer", "created": 1_790_000_000, "owned_by": "koboldcpp"}]});
    mount(server, "/v1/models", own).await;
}

#[tokio::test]
async fn an_imitator_of_ollama_is_listed_by_the_ids_that_calls_take() {
    let field = Field::local().await;
    mount_kobold(&field.local).await;
    let app = field.setup.start_ready().await;
    assert_eq!(app.models().await.ids(), ["koboldcpp/Writer"]);
    assert_eq!(app.source("box").await["kind"], "openai");
    assert_eq!(
        app.get("/v1/models/koboldcpp/Writer").await.json()["created"],
        1_790_000_000
    );
    app.stop().await;
}

#[tokio::test]
async fn an_imitator_is_found_on_its_own_and_stays_found() {
    let mut field = Field::local().await;
    field.setup.extra.clear();
    let tags = json!({"models": [tag("helper:latest", "helper:latest"), tag("listen:latest", "listen:latest")]});
    mount(&field.local, "/api/tags", tags).await;
    mount(
        &field.local,
        "/v1/models",
        json!({"data": [{"id": "helper", "object": "model"}, {"id": "listen", "object": "model"}]}),
    )
    .await;
    // LocalAI can be set up to say so too: its ids still differ.
    let root = ResponseTemplate::new(200).set_body_string("Ollama is running");
    mount_template(&field.local, "/", root).await;
    field.setup.discovery_ports = vec![field.local.address().port()];
    let app = field.setup.start().await;
    app.until("it is found", async |app| {
        app.models().await.ids() == ["helper", "listen"]
    })
    .await;
    assert_eq!(app.get("/v1/models/helper").await.status, 200);
    let name = format!("localhost-{}", field.local.address().port());
    assert_eq!(field.again(&app, &name).await["outcome"], "unchanged");
    app.stop().await;
}

/// A server that lists the same ids in both ways, and says nothing else of itself.
async fn mount_both_lists(server: &MockServer, ids: &[&str]) {
    let models: Vec<Value> = ids.iter().map(|id| tag(id, id)).collect();
    mount(server, "/api/tags", json!({ "models": models })).await;
    mount(server, "/v1/models", openai_body(ids)).await;
}

#[tokio::test]
async fn ollama_proves_itself_by_its_root_or_by_what_it_shows() {
    let field = Field::local().await;
    mount_both_lists(&field.local, &["m:1"]).await;
    let root = ResponseTemplate::new(200).set_body_string("Ollama is running");
    mount_template(&field.local, "/", root).await;
    let app = field.setup.start_ready().await;
    assert_eq!(app.source("box").await["kind"], "ollama");
    app.stop().await;

    let field = Field::local().await;
    mount_both_lists(&field.local, &["m:1"]).await;
    mount(&field.local, "/", json!({"status": "something else"})).await;
    mount(&field.local, "/api/version", json!({"version": "0.12.0"})).await;
    let shown =
        json!({"model_info": {"general.architecture": "llama", "llama.context_length": 8192}});
    Mock::given(method("POST"))
        .and(path("/api/show"))
        .respond_with(ResponseTemplate::new(200).set_body_json(shown))
        .mount(&field.local)
        .await;
    let app = field.setup.start_ready().await;
    assert_eq!(app.source("box").await["kind"], "ollama");
    app.stop().await;
}

#[tokio::test]
async fn what_was_taken_for_ollama_is_corrected_without_removing_what_stays() {
    let field = Field::local().await;
    mount_ollama(&field.local, &["same", "helper:latest"]).await;
    let app = field.setup.start_ready().await;
    assert_eq!(app.source("box").await["kind"], "ollama");
    field.local.reset().await;
    mount(&field.local, "/", json!({"name": "an imitator"})).await;
    mount(&field.local, "/v1/models", openai_body(&["helper", "same"])).await;
    mount_ollama(&field.local, &["same", "helper:latest"]).await;
    assert_eq!(field.again(&app, "box").await["outcome"], "changed");
    assert_eq!(app.source("box").await["kind"], "openai");
    assert_eq!(app.models().await.ids(), ["helper", "same"]);
    let events = field.setup.sql("SELECT model_id, event FROM model_events WHERE event IN ('added', 'removed') ORDER BY revision, model_id").await;
    let expected = [
        ("helper:latest", "added"),
        ("same", "added"),
        ("helper", "added"),
        ("helper:latest", "removed"),
    ];
    assert_eq!(
        events,
        expected.map(|(id, event)| [json!(id), json!(event)])
    );
    app.stop().await;
}

#[tokio::test]
async fn an_ollama_in_trouble_stays_one() {
    let field = Field::local().await;
    mount_ollama(&field.local, &["m:1"]).await;
    let app = field.setup.start_ready().await;
    field.local.reset().await;
    mount_template(&field.local, "/", ResponseTemplate::new(503)).await;
    mount_ollama(&field.local, &["m:1"]).await;
    mount(&field.local, "/v1/models", openai_body(&["m:1"])).await;
    assert_eq!(field.again(&app, "box").await["outcome"], "unchanged");
    assert_eq!(app.source("box").await["kind"], "ollama");
    app.stop().await;
}

#[tokio::test]
async fn a_redirect_that_only_adds_a_slash_is_followed() {
    let field = Field::local().await;
    let slash = ResponseTemplate::new(307)
        .insert_header("location", format!("{}/v1/models/", field.local.uri()));
    mount_template(&field.local, "/v1/models", slash).await;
    mount(&field.local, "/v1/models/", openai_body(&["a"])).await;
    let app = field.setup.start_ready().await;
    assert_eq!(app.models().await.ids(), ["a"]);
    app.stop().await;

    let field = Field::local().await;
    let moved = ResponseTemplate::new(307).insert_header("location", "/v1/other/");
    mount_template(&field.local, "/v1/models", moved).await;
    mount(&field.local, "/v1/other/", openai_body(&["a"])).await;
    let app = field.setup.start_ready().await;
    assert_eq!(app.source("box").await["error"]["kind"], "redirected");
    app.stop().await;
}

#[tokio::test]
async fn a_list_of_25_000_entries_and_32_mib_is_fine() {
    let filler = "x".repeat(1_330);
    let data: Vec<Value> = (0..25_000)
        .map(|number| json!({"id": format!("m-{number}"), "x": filler}))
        .collect();
    let body = json!({ "data": data }).to_string();
    assert!(body.len() > 32 << 20, "{} bytes", body.len());
    let (_, app) = Field::answered(Kind::OpenAi, &body).await;
    let source = app.source("gw").await;
    assert_eq!(
        (&source["error"], &source["models"]),
        (&Value::Null, &json!(25_000))
    );
    app.stop().await;
}
