//! The same list as OpenAI, Anthropic and Google's Gemini API would give it: shapes, pages, errors.
//! Written before the code.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use model_catalog::ClientKey;
use rstest::rstest;
use serde_json::{Value, json};

use crate::helpers::{Answer, Setup, TestApp, anthropic_model, mount, mount_ollama, mount_openai};

const ANTHROPIC: (&str, &str) = ("anthropic-version", "2023-06-01");
const GEMINI_KEY: (&str, &str) = ("x-goog-api-key", "none");
const GEMINI_CLIENT: (&str, &str) = ("x-goog-api-client", "google-genai-sdk/3.6.1");

async fn get_as(app: &TestApp, header: (&str, &str), path: &str) -> Answer {
    app.send(app.http.get(app.url(path)).header(header.0, header.1))
        .await
}

async fn anthropic(app: &TestApp, path: &str) -> Answer {
    get_as(app, ANTHROPIC, path).await
}

/// `name` of each of `models`.
fn names(answer: &Answer) -> Vec<String> {
    let body = answer.json();
    let models = body["models"].as_array().expect("models is an array");
    models
        .iter()
        .map(|model| model["name"].as_str().expect("a name").to_owned())
        .collect()
}

/// A catalog with 3 local models, two of each well-known provider, and 60 of `many`.
async fn with_many() -> (Setup, TestApp) {
    let mut setup = Setup::happy().await;
    mount_ollama(setup.add_endpoint("box").await, &["m:1", "m:2", "org/m 3"]).await;
    let many: Vec<String> = (0..60).map(|number| format!("gpt-{number:02}")).collect();
    setup.openai.reset().await;
    mount_openai(&setup.openai, &many).await;
    let app = setup.start_ready().await;
    (setup, app)
}

#[tokio::test]
async fn anthropic_clients_get_anthropics_shape() {
    let setup = Setup::happy().await;
    setup.anthropic.reset().await;
    let mut ending = anthropic_model("claude-ending");
    ending["lifecycle"] = json!("deprecated");
    ending["deprecated_at"] = json!("2026-10-01T00:00:00Z");
    ending["retires_at"] = json!("2027-04-01T01:00:00+01:00");
    let mut odd = anthropic_model("claude-odd");
    odd["lifecycle"] = json!("hibernating");
    mount(
        &setup.anthropic,
        "/v1/models",
        json!({"data": [ending, odd], "has_more": false}),
    )
    .await;
    let app = setup.start_ready().await;

    let answer = anthropic(&app, "/v1/models").await;

    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let known = |id: &str| {
        json!({"type": "model", "id": format!("anthropic:{id}"), "display_name": format!("Display {id}"),
               "created_at": "2026-02-04T00:00:00Z", "max_input_tokens": 200_000, "max_tokens": 64_000,
               "capabilities": null, "deprecated_at": null, "retires_at": null})
    };
    // What nobody said: the id stands for the name, the epoch for the time.
    let unsaid = |id: &str, created_at: &str| {
        json!({"type": "model", "id": id, "display_name": id, "created_at": created_at,
               "max_input_tokens": null, "max_tokens": null, "capabilities": null,
               "deprecated_at": null, "retires_at": null})
    };
    let mut ending = known("claude-ending");
    ending["lifecycle"] = json!("deprecated");
    ending["deprecated_at"] = json!("2026-10-01T00:00:00Z");
    ending["retires_at"] = json!("2027-04-01T00:00:00Z");
    let gemini = |id: &str| {
        let mut model = unsaid(&format!("google:{id}"), "1970-01-01T00:00:00Z");
        model["display_name"] = json!(format!("Display {id}"));
        model["max_input_tokens"] = json!(1_048_576);
        model["max_tokens"] = json!(65_536);
        model
    };
    assert_eq!(
        answer.json(),
        json!({
            "data": [
                unsaid("openai:gpt-a", "2023-11-14T22:13:20Z"),
                unsaid("openai:gpt-b", "2023-11-14T22:13:20Z"),
                gemini("gemini-a"),
                gemini("gemini-b"),
                ending,
                // A word that Anthropic's shape does not have is left out.
                known("claude-odd"),
            ],
            "has_more": false, "first_id": "openai:gpt-a", "last_id": "anthropic:claude-odd",
        })
    );
    let one = anthropic(&app, "/v1/models/anthropic:claude-odd").await;
    assert_eq!((one.status, one.json()), (200, known("claude-odd")));
    app.stop().await;
}

#[tokio::test]
async fn an_empty_anthropic_list_has_no_ids() {
    let mut setup = Setup::new().await;
    setup.providers.clear();
    let app = setup.start_ready().await;
    assert_eq!(
        anthropic(&app, "/v1/models").await.json(),
        json!({"data": [], "has_more": false, "first_id": null, "last_id": null})
    );
    assert_eq!(
        app.get("/v1beta/models").await.json(),
        json!({"models": []})
    );
    app.stop().await;
}

#[tokio::test]
async fn anthropic_pages_lead_through_the_whole_list_both_ways() {
    let (_setup, app) = with_many().await;
    let all = app.models().await.ids();
    assert_eq!(all.len(), 67);

    for limit in [
        "",
        "limit=1&",
        "limit=7&",
        "limit=66&",
        "limit=67&",
        "limit=1000&",
    ] {
        let size = match limit {
            "" => 20,
            _ => limit[6..limit.len() - 1].parse().expect("a number"),
        };
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = anthropic(&app, &format!("/v1/models?{limit}{cursor}"))
                .await
                .json();
            let ids: Vec<String> = ids(&page);
            assert!(ids.len() <= size);
            assert_eq!(page["first_id"], *ids.first().expect("models"));
            assert_eq!(page["last_id"], *ids.last().expect("models"));
            seen.extend(ids);
            if page["has_more"] == json!(false) {
                break;
            }
            cursor = format!(
                "after_id={}",
                encoded(page["last_id"].as_str().expect("an id"))
            );
        }
        assert_eq!(seen, all, "{limit}");
    }

    let (mut seen, mut cursor) = (Vec::new(), encoded(all.last().expect("models")));
    loop {
        let page = anthropic(&app, &format!("/v1/models?before_id={cursor}"))
            .await
            .json();
        let ids = ids(&page);
        cursor = encoded(&ids[0]);
        seen.splice(0..0, ids);
        if page["has_more"] == json!(false) {
            break;
        }
    }
    assert_eq!(seen, all[..66]);
    app.stop().await;
}

#[rstest]
#[case("limit=0", "limit=")]
#[case("limit=1001", "limit=")]
#[case("limit=many", "limit=")]
#[case("after_id=a&before_id=b", "before_id=")]
#[case("lifecycle[]=alive", "lifecycle[]=")]
#[tokio::test]
async fn anthropic_parameters_are_checked(#[case] query: &str, #[case] named: &str) {
    let app = Setup::happy().await.start_ready().await;
    let answer = anthropic(&app, &format!("/v1/models?{query}")).await;
    assert_eq!(answer.status, 400, "{query}");
    let body = answer.json();
    assert_eq!(
        (&body["type"], &body["error"]["type"]),
        (&json!("error"), &json!("invalid_request_error"))
    );
    let message = body["error"]["message"].as_str().expect("a message");
    assert!(message.contains(named), "{message}");
    // Others are ignored.
    assert_eq!(
        anthropic(&app, "/v1/models?beta=true&after_id=")
            .await
            .status,
        200
    );
    app.stop().await;
}

#[tokio::test]
async fn anthropic_lists_leave_out_what_is_retired_unless_it_is_asked_for() {
    let setup = Setup::happy().await;
    setup.anthropic.reset().await;
    let data: Vec<Value> = ["active", "deprecated", "retired", "unsaid"]
        .iter()
        .map(|lifecycle| {
            let mut model = anthropic_model(&format!("claude-{lifecycle}"));
            if *lifecycle != "unsaid" {
                model["lifecycle"] = json!(lifecycle);
            }
            model
        })
        .collect();
    mount(
        &setup.anthropic,
        "/v1/models",
        json!({"data": data, "has_more": false}),
    )
    .await;
    let app = setup.start_ready().await;
    let others: Vec<String> = app.models().await.ids()[..4].to_vec();
    for (query, with_others, expected) in [
        ("", true, "active deprecated unsaid"),
        ("lifecycle[]=retired", false, "retired"),
        ("lifecycle%5B%5D=deprecated", false, "deprecated"),
        // Nobody said that these are about to go.
        ("lifecycle[]=active", true, "active unsaid"),
        (
            "lifecycle[]=active&lifecycle[]=retired",
            true,
            "active retired unsaid",
        ),
    ] {
        let mut expected: Vec<String> = expected
            .split(' ')
            .map(|lifecycle| format!("anthropic:claude-{lifecycle}"))
            .collect();
        if with_others {
            expected.splice(0..0, others.iter().cloned());
        }
        let page = anthropic(&app, &format!("/v1/models?{query}")).await;
        assert_eq!(page.ids(), expected, "{query}");
    }
    // The filter comes before the pages.
    let page = anthropic(&app, "/v1/models?lifecycle[]=retired&limit=1")
        .await
        .json();
    assert_eq!(page["has_more"], false);
    // One is found whatever its life is; other dialects list all.
    assert_eq!(
        anthropic(&app, "/v1/models/anthropic:claude-retired")
            .await
            .status,
        200
    );
    assert_eq!(app.models().await.ids().len(), 8);
    app.stop().await;
}

#[tokio::test]
async fn gemini_clients_get_geminis_shape() {
    let app = Setup::happy().await.start_ready().await;
    let gemini = |id: &str| {
        json!({"name": format!("models/google:{id}"), "displayName": format!("Display {id}"),
               "inputTokenLimit": 1_048_576, "outputTokenLimit": 65_536})
    };
    let claude = |id: &str| {
        json!({"name": format!("models/anthropic:{id}"), "displayName": format!("Display {id}"),
               "inputTokenLimit": 200_000, "outputTokenLimit": 64_000})
    };
    let expected = json!({"models": [
        {"name": "models/openai:gpt-a"}, {"name": "models/openai:gpt-b"},
        gemini("gemini-a"), gemini("gemini-b"), claude("claude-a"), claude("claude-b"),
    ]});
    let plain = app.get("/v1beta/models").await;
    assert_eq!(plain.status, 200);
    let mut told = plain.json();
    // Whether the methods are read is the provider's matter.
    for model in told["models"].as_array_mut().expect("models") {
        model
            .as_object_mut()
            .expect("an object")
            .remove("supportedGenerationMethods");
    }
    assert_eq!(told, expected);
    // google-genai for Python calls `/v1`: its headers tell it.
    for header in [GEMINI_KEY, GEMINI_CLIENT] {
        let other = get_as(&app, header, "/v1/models").await;
        assert_eq!(
            (other.status, &other.body),
            (200, &plain.body),
            "{header:?}"
        );
        let one = get_as(&app, header, "/v1/models/google:gemini-a").await;
        assert_eq!(one.json()["name"], "models/google:gemini-a");
    }
    let one = app.get("/v1beta/models/openai:gpt-a").await;
    assert_eq!(
        (one.status, one.json()),
        (200, json!({"name": "models/openai:gpt-a"}))
    );
    app.stop().await;
}

#[tokio::test]
async fn gemini_pages_lead_through_the_whole_list() {
    let (_setup, app) = with_many().await;
    let all: Vec<String> = app
        .models()
        .await
        .ids()
        .iter()
        .map(|id| format!("models/{id}"))
        .collect();
    for (parameter, size) in [
        ("", 50),
        ("pageSize=0&", 50),
        ("pageSize=7&", 7),
        ("pageSize=67&", 67),
        ("pageSize=5000&", 1000),
    ] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = app
                .get(&format!("/v1beta/models?{parameter}{cursor}"))
                .await;
            let names = names(&page);
            assert!(names.len() <= size, "{parameter}");
            seen.extend(names);
            match page.json()["nextPageToken"].as_str() {
                Some(token) => cursor = format!("pageToken={}", encoded(token)),
                None => break,
            }
        }
        assert_eq!(seen, all, "{parameter}");
    }
    for query in ["pageSize=-1", "pageSize=x"] {
        let answer = app.get(&format!("/v1beta/models?{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
        assert_eq!(answer.json()["error"]["status"], "INVALID_ARGUMENT");
    }
    app.stop().await;
}

#[tokio::test]
async fn openais_list_is_paged_only_for_whoever_asks() {
    let (_setup, app) = with_many().await;
    let whole = app.models().await;
    let all = whole.ids();
    for path in [
        "/v1beta/openai/models",
        "/v1/models?limit=1000",
        "/v1/models?limit=67",
        // What cannot be read, and what is no limit, is ignored as all unknown parameters are.
        "/v1/models?limit=0",
        "/v1/models?limit=-1",
        "/v1/models?limit=all",
        "/v1/models?after=openai:gpt-07",
    ] {
        let answer = app.get(path).await;
        assert_eq!((answer.status, &answer.body), (200, &whole.body), "{path}");
        assert_eq!(answer.header("etag"), whole.header("etag"), "{path}");
    }
    let (mut seen, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = app.get(&format!("/v1/models?limit=10{cursor}")).await;
        let body = page.json();
        assert_eq!(body["object"], "list");
        assert_eq!(body["first_id"], page.ids()[0]);
        seen.extend(page.ids());
        pages += 1;
        if body["has_more"] == json!(false) {
            break;
        }
        cursor = format!(
            "&after={}",
            encoded(body["last_id"].as_str().expect("an id"))
        );
    }
    assert_eq!((seen, pages), (all, 7));
    // An entry is the same wherever it stands.
    let page = app.get("/v1/models?limit=1").await.json();
    assert_eq!(page["data"][0], whole.json()["data"][0]);
    let one = app.get("/v1beta/openai/models/openai:gpt-07").await;
    assert_eq!(one.json()["id"], "openai:gpt-07");
    app.stop().await;
}

/// Models that come and go between two pages: whoever stays is told once.
#[tokio::test]
async fn a_cursor_stays_right_when_its_model_goes() {
    let mut setup = Setup::new().await;
    setup.providers = vec!["openai", "anthropic"];
    mount_openai(&setup.openai, &["a", "c", "e"]).await;
    crate::helpers::mount_anthropic(&setup.anthropic, &["x"]).await;
    mount_ollama(setup.add_endpoint("box").await, &["l1", "l3"]).await;
    let app = setup.start_ready().await;
    setup.advance(TimeDelta::seconds(11));
    setup.openai.reset().await;
    mount_openai(&setup.openai, &["a", "b", "d", "e"]).await;
    assert_eq!(app.refresh("openai").await["outcome"], "changed");
    for (cursor, expected) in [
        ("openai:c", vec!["openai:d", "openai:e", "anthropic:x"]),
        (
            "l2",
            vec![
                "l3",
                "openai:a",
                "openai:b",
                "openai:d",
                "openai:e",
                "anthropic:x",
            ],
        ),
        (
            "l9",
            vec![
                "openai:a",
                "openai:b",
                "openai:d",
                "openai:e",
                "anthropic:x",
            ],
        ),
        ("openai:z", vec!["anthropic:x"]),
        ("anthropic:x", vec![]),
        ("anthropic:z", vec![]),
    ] {
        let page = anthropic(&app, &format!("/v1/models?after_id={cursor}")).await;
        assert_eq!(page.ids(), expected, "after {cursor}");
        let page = app
            .get(&format!("/v1/models?limit=50&after={cursor}"))
            .await;
        assert_eq!(page.ids(), expected, "after {cursor}");
    }
    let page = anthropic(&app, "/v1/models?before_id=openai:c&limit=2").await;
    assert_eq!(page.ids(), ["openai:a", "openai:b"]);
    assert_eq!(page.json()["has_more"], true);
    app.stop().await;
}

/// Every dialect's list and one model of it.
const DOORS: [(Option<(&str, &str)>, &str); 6] = [
    (None, "/v1/models"),
    (Some(ANTHROPIC), "/v1/models"),
    (Some(GEMINI_KEY), "/v1/models"),
    (None, "/v1beta/models"),
    (None, "/v1beta/openai/models"),
    (None, "/v1/models?limit=1"),
];

#[tokio::test]
async fn headers_past_and_head_work_alike_in_all() {
    let setup = Setup::happy().await;
    let app = setup.start_ready().await;
    setup.advance(TimeDelta::hours(25));
    setup.openai.reset().await;
    let mut bodies = BTreeMap::new();
    for (header, path) in DOORS {
        let request = |path: &str| {
            let request = app.http.get(app.url(path));
            match header {
                Some((name, value)) => request.header(name, value),
                None => request,
            }
        };
        let list = app.send(request(path)).await;
        let one = app
            .send(request(&path.replace("/models", "/models/openai:gpt-a")))
            .await;
        for answer in [&list, &one] {
            assert_eq!(answer.status, 200, "{header:?} {path}");
            assert_eq!(answer.header("cache-control"), Some("no-cache"));
            assert_eq!(
                answer.header("vary"),
                Some("accept-encoding, anthropic-version, x-goog-api-client, x-goog-api-key")
            );
            assert_eq!(answer.header("catalog-revision"), Some("3"));
            assert!(
                answer
                    .header("catalog-stale")
                    .is_some_and(|stale| stale.contains("openai"))
            );
            // One ETag, one body.
            let etag = answer.header("etag").expect("an ETag").to_owned();
            let body = bodies.entry(etag).or_insert_with(|| answer.body.clone());
            assert_eq!(*body, answer.body);
        }
        let again = request(path).header("if-none-match", list.header("etag").expect("an ETag"));
        let again = app.send(again).await;
        assert_eq!((again.status, again.body.len()), (304, 0));
        assert_eq!(again.header("etag"), list.header("etag"));
        let head = app.http.head(app.url(path));
        let head = match header {
            Some((name, value)) => head.header(name, value),
            None => head,
        };
        let head = app.send(head).await;
        assert_eq!((head.status, head.body.len()), (200, 0));
        assert_eq!(
            head.header("content-length"),
            Some(list.body.len().to_string().as_str())
        );
        // As it was at revision 1: one provider had answered.
        let and = if path.contains('?') { '&' } else { '?' };
        let past = app.send(request(&format!("{path}{and}revision=1"))).await;
        assert_eq!(past.header("catalog-revision"), Some("1"));
        assert!(past.body.len() < list.body.len() || path.contains("limit"));
        let never = app.send(request(&format!("{path}{and}revision=99"))).await;
        assert_eq!(never.status, 400);
    }
    app.stop().await;
}

#[tokio::test]
async fn every_id_is_found_in_every_dialect() {
    let mut setup = Setup::happy().await;
    mount_ollama(
        setup.add_endpoint("box").await,
        &[
            "org/model-7b",
            "C:\\m a.gguf",
            "100%25",
            "models/x",
            "~v/m@x+y",
            "ü",
        ],
    )
    .await;
    let app = setup.start_ready().await;
    for id in app.models().await.ids() {
        let encoded = encoded(&id);
        let one = anthropic(&app, &format!("/v1/models/{encoded}"))
            .await
            .json();
        assert_eq!(one["id"], *id);
        let one = app.get(&format!("/v1beta/models/{encoded}")).await.json();
        assert_eq!(one["name"], format!("models/{id}"));
        let one = app
            .get(&format!("/v1beta/openai/models/{encoded}"))
            .await
            .json();
        assert_eq!(one["id"], *id);
    }
    app.stop().await;
}

#[tokio::test]
async fn errors_have_the_callers_shape() {
    let app = Setup::happy().await.start_ready().await;
    let answer = anthropic(&app, "/v1/models/claude-none").await;
    assert_eq!(answer.status, 404);
    assert_eq!(
        answer.json(),
        json!({"type": "error", "request_id": null, "error": {
            "type": "not_found_error", "message": "The model 'claude-none' does not exist. Did you mean anthropic:claude-a or anthropic:claude-b? Why: GET /catalog/why/claude-none",
            "details": {"error_code": "model_not_found"},
        }})
    );
    let gemini = |message: &str| {
        json!({"error": {"code": 404, "message": message, "status": "NOT_FOUND", "details": [
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "MODEL_NOT_FOUND", "domain": "model-catalog"}
        ]}})
    };
    for answer in [
        app.get("/v1beta/models/none").await,
        get_as(&app, GEMINI_KEY, "/v1/models/none").await,
    ] {
        assert_eq!(answer.status, 404);
        assert_eq!(
            answer.json(),
            gemini("The model 'none' does not exist. Why: GET /catalog/why/none")
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    for path in ["/v1/models/none", "/v1beta/openai/models/none"] {
        assert_eq!(
            app.get(path).await.json()["error"]["code"],
            "model_not_found"
        );
    }
    // What is answered before any handler, too.
    let post = |path: &str, header: (&'static str, &'static str)| {
        app.send(app.http.post(app.url(path)).header(header.0, header.1))
    };
    let answer = post("/v1/models", ANTHROPIC).await;
    assert_eq!(
        (answer.status, answer.header("allow")),
        (405, Some("GET,HEAD"))
    );
    assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
    assert_eq!(answer.json()["type"], "error");
    let answer = post("/v1/messages", ANTHROPIC).await;
    assert_eq!(
        (answer.status, &answer.json()["error"]["type"]),
        (404, &json!("not_found_error"))
    );
    let answer = post("/v1beta/models/openai:gpt-a:generateContent", GEMINI_KEY).await;
    assert_eq!(
        (answer.status, &answer.json()["error"]["code"]),
        (405, &json!(405))
    );
    app.stop().await;
}

/// The `id` of each of `data`.
fn ids(page: &Value) -> Vec<String> {
    let data = page["data"].as_array().expect("data is an array");
    data.iter()
        .map(|model| model["id"].as_str().expect("an id").to_owned())
        .collect()
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[tokio::test]
async fn keys_and_filters_choose_in_every_dialect() {
    const KEY: &str = "key-of-some-0123456789";
    let mut setup = Setup::happy().await;
    setup.keys = vec![
        ClientKey::new("some", KEY)
            .and_then(|key| key.models(&["openai:*", "anthropic:claude-a"]))
            .expect("usable"),
    ];
    let app = TestApp::start(setup.config()).await;
    let ask = |path: &str, headers: &[(&str, &str)]| {
        let mut request = app.http.get(app.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        app.send(request)
    };
    for (path, header, field, expected) in [
        (
            "/v1/models",
            ("x-other", "1"),
            "/error/type",
            json!("authentication_error"),
        ),
        (
            "/v1/models",
            ANTHROPIC,
            "/error/type",
            json!("authentication_error"),
        ),
        (
            "/v1/models",
            GEMINI_CLIENT,
            "/error/status",
            json!("UNAUTHENTICATED"),
        ),
        ("/v1beta/models/x", GEMINI_CLIENT, "/error/code", json!(401)),
    ] {
        let answer = ask(path, &[header]).await;
        assert_eq!(answer.status, 401, "{path} {header:?}");
        assert_eq!(
            answer.json().pointer(field),
            Some(&expected),
            "{path} {header:?}"
        );
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    let bearer = format!("Bearer {KEY}");
    let key = ("authorization", bearer.as_str());
    app.until("all three have answered", async |_| {
        let answer = app
            .send(app.http.get(app.url("/v1/models")).bearer_auth(KEY))
            .await;
        answer.ids().len() == 3
    })
    .await;
    let visible = ["openai:gpt-a", "openai:gpt-b", "anthropic:claude-a"];
    let list = ask("/v1/models", &[ANTHROPIC, ("x-api-key", KEY)]).await;
    assert_eq!(list.ids(), visible);
    let list = ask("/v1/models", &[("x-goog-api-key", KEY)]).await;
    assert_eq!(names(&list), visible.map(|id| format!("models/{id}")));
    assert_eq!(
        ask("/v1/models/google:gemini-a", &[ANTHROPIC, key])
            .await
            .status,
        404
    );
    // A page is one of what the key may see, and of what is asked for.
    let page = ask(
        "/v1/models?limit=1&after_id=openai:gpt-b",
        &[ANTHROPIC, key],
    )
    .await;
    assert_eq!(
        (page.ids(), &page.json()["has_more"]),
        (vec!["anthropic:claude-a".to_owned()], &json!(false))
    );
    let page = ask("/v1/models?provider=openai&limit=1", &[ANTHROPIC, key]).await;
    assert_eq!(
        (page.ids(), &page.json()["has_more"]),
        (vec!["openai:gpt-a".to_owned()], &json!(true))
    );
    let page = ask("/v1beta/models?q=claude", &[key]).await;
    assert_eq!(names(&page), ["models/anthropic:claude-a"]);
    let page = ask("/v1/models?limit=2&fields=owned_by", &[key])
        .await
        .json();
    assert_eq!(
        page["data"][1],
        json!({"id": "openai:gpt-b", "owned_by": "openai"})
    );
    assert_eq!(page["has_more"], true);
    app.stop().await;
}

/// A page of active models from before an announced end is made again after it, although the list is the same.
#[tokio::test]
async fn a_remembered_page_follows_the_dates() {
    let setup = Setup::happy().await;
    setup.anthropic.reset().await;
    let mut ending = anthropic_model("claude-ending");
    ending["retires_at"] = json!(setup.clock.now().plus(TimeDelta::hours(1)).to_string());
    let list = json!({"data": [anthropic_model("claude-a"), ending], "has_more": false});
    mount(&setup.anthropic, "/v1/models", list).await;
    let app = setup.start_ready().await;
    let revision = app
        .models()
        .await
        .header("catalog-revision")
        .map(str::to_owned);
    let paths = [
        "/v1/models?lifecycle[]=active",
        "/catalog/providers/anthropic/v1/models?lifecycle[]=active",
    ];
    for (passes, is_listed) in [(0, true), (0, true), (2, false), (0, false)] {
        setup.advance(TimeDelta::hours(passes));
        for path in paths {
            let page = anthropic(&app, path).await;
            let listed = page.ids().iter().any(|id| id.contains("ending"));
            assert_eq!(listed, is_listed, "{path}");
            assert_eq!(page.header("catalog-revision"), revision.as_deref());
        }
    }
    app.stop().await;
}
