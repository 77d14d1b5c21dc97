//! Named keys: without one nothing is told, and with one only what it may see, on every route.

use std::time::Duration;

use chrono::TimeDelta;
use model_catalog::{Catalog, ClientKey, StartError};
use serde_json::{Value, json};

use crate::helpers::{
    Answer, Setup, TestApp, mount, mount_google, mount_openai, mount_vllm, openai_body,
};
use crate::running::command;

const ALL: &str = "key-of-everything-0123456789";
const TEAM: &str = "key-of-the-team-0123456789";
const SOME: &str = "key-of-some-models-0123456789";
const ADMIN: &str = "key-of-the-admin-0123456789";

/// What the team may see: openai, and of two servers that share a model the box.
fn keys() -> Vec<ClientKey> {
    let key = |name, value| ClientKey::new(name, value).expect("usable");
    vec![
        key("all", ALL),
        key("team", TEAM).source("openai").source("box"),
        key("some", SOME)
            .models(&["openai:gpt-a", "m:*"])
            .expect("usable"),
    ]
}

async fn refresh(app: &TestApp, source: &str) {
    let url = app.url(&format!("/catalog/refresh?source={source}"));
    let answer = app.send(app.http.post(url).bearer_auth(ADMIN)).await;
    assert_eq!(
        answer.json()["sources"][0]["outcome"],
        "changed",
        "{source}"
    );
}

/// Every source with a history: at first each lists its models; then others, some of which are to
/// retire, and box has s:1b no more; at last google is gone from the settings.
async fn with_history() -> (Setup, TestApp) {
    let mut setup = Setup::new().await;
    setup.providers = vec!["openai", "google"];
    setup.admin_key = Some(ADMIN);
    mount_openai(&setup.openai, &["gpt-a", "gpt-b"]).await;
    mount_google(&setup.google, &["gemini-a"]).await;
    mount_vllm(setup.add_endpoint("box").await, &["m:7b", "b:1b", "s:1b"]).await;
    mount_vllm(setup.add_endpoint("zed").await, &["m:7b", "z:1b", "s:1b"]).await;
    let app = setup.start_ready().await;
    app.stop().await;

    setup.keys = keys();
    let app = setup.start().await;
    for server in [&setup.openai, &setup.google]
        .into_iter()
        .chain(setup.endpoints.values())
    {
        server.reset().await;
    }
    mount_google(&setup.google, &["gemini-b"]).await;
    mount_vllm(&setup.endpoints["zed"], &["m:7b", "z:2b", "s:1b"]).await;
    mount_vllm(&setup.endpoints["box"], &["m:7b", "b:2b"]).await;
    let mut body = openai_body(&["gpt-a", "gpt-c"]);
    for model in 0..2 {
        body["data"][model]["shutdown_date"] = json!("2027-01-01");
    }
    mount(&setup.openai, "/v1/models", body).await;
    setup.advance(TimeDelta::hours(25));
    app.catalog.wake();
    app.until("every source has another list", async |app| {
        let ids = app.get_with("/v1/models", ALL).await.ids();
        let new = ["openai:gpt-c", "google:gemini-b", "z:2b", "b:2b"];
        new.iter().all(|new| ids.iter().any(|id| id == new))
    })
    .await;
    app.stop().await;

    setup.providers.retain(|provider| *provider != "google");
    let app = setup.start().await;
    (setup, app)
}

/// Whatever only the other sources say.
const FOREIGN: [&str; 4] = ["google", "gemini", "zed", "z:"];

fn assert_no_leak(path: &str, answer: &Answer) {
    let text = format!(
        "{:?} {}",
        answer.headers,
        String::from_utf8_lossy(&answer.body)
    );
    // The 404 of a model repeats once more what was asked, as a route.
    let text = match text.split_once("Why: GET ") {
        Some((before, route)) => {
            let after = route.split_once('"').map_or("", |(_, after)| after);
            format!("{before}{after}")
        }
        None => text,
    };
    // What was asked is repeated, and `zed` is in the name of no header or field.
    for foreign in FOREIGN {
        let asked = path.matches(foreign).count();
        assert!(
            text.matches(foreign).count() <= asked,
            "{foreign} in the answer to {path}: {text}"
        );
    }
}

fn revision(answer: &Answer) -> i64 {
    let revision = answer.header("catalog-revision").expect("a revision");
    revision.parse().expect("a number")
}

fn events(answer: &Answer) -> Vec<String> {
    let events = answer.json()["events"].as_array().expect("events").clone();
    let text = |event: &Value, name: &str| event[name].as_str().unwrap_or("*").to_owned();
    let line = |event| {
        format!(
            "{} {} {}",
            text(event, "source"),
            text(event, "event"),
            text(event, "id")
        )
    };
    events.iter().map(line).collect()
}

#[tokio::test]
async fn a_key_travels_as_each_client_sends_it() {
    let setup = Setup::happy().await;
    let mut config = setup.config();
    let team = ClientKey::new("team", TEAM).and_then(|key| key.models(&["openai:gpt-a"]));
    config.keys = vec![team.expect("usable")];
    let app = TestApp::start(config).await;
    app.until("it is listed", async |app| {
        let request = app.http.get(app.url("/v1/models"));
        app.send(request.header("api-key", TEAM)).await.ids() == ["openai:gpt-a"]
    })
    .await;
    for path in [
        format!("/v1beta/models?key={TEAM}"),
        format!("/v1/models?key=wrong&key={TEAM}&limit=5"),
        format!("/catalog/providers/openai/v1beta/models?key={TEAM}"),
        format!("/models?key={TEAM}"),
    ] {
        let answer = app.get(&path).await;
        assert_eq!(answer.status, 200, "{path}");
        let body = answer.json();
        let list = body["data"].as_array().or(body["models"].as_array());
        assert_eq!(list.map(Vec::len), Some(1), "{path}: {body}");
        assert!(!body.to_string().contains(TEAM));
        assert!(
            answer
                .header("cache-control")
                .is_some_and(|value| value.contains("private") || value.contains("no-store")),
            "{path}"
        );
    }
    for query in ["", "?key=", "?key=%20", "?key=wrong"] {
        let answer = app.get(&format!("/v1beta/models{query}")).await;
        assert_eq!(answer.status, 401, "{query}");
        assert!(!answer.json().to_string().contains("wrong"));
    }
    app.stop().await;
}

#[tokio::test]
async fn a_blank_key_is_nobodys() {
    let setup = Setup::happy().await;
    let mut config = setup.config();
    config.admin_key = Some(" ".to_owned().into());
    config.keys = vec![ClientKey::new("all", ALL).expect("usable")];
    let app = TestApp::start(config).await;
    for header in ["x-api-key", "x-goog-api-key", "api-key", "authorization"] {
        for key in ["", " ", "Bearer ", "Bearer"] {
            let request = app.http.get(app.url("/catalog.sqlite")).header(header, key);
            assert_eq!(app.send(request).await.status, 401, "{header}: {key}");
        }
    }
    app.stop().await;
}

#[tokio::test]
async fn an_alias_does_not_tell_of_a_model_that_the_key_may_not_see() {
    let setup = Setup::happy().await;
    let mut config = setup.config();
    let openai = config.sources.remove(0);
    config
        .sources
        .push(openai.alias("fast", "gpt-b").expect("usable"));
    let fast = ClientKey::new("fast", TEAM).and_then(|key| key.models(&["openai:fast"]));
    config.keys = vec![
        fast.expect("usable"),
        ClientKey::new("all", ALL).expect("usable"),
    ];
    let app = TestApp::start(config).await;
    app.until("all three have answered", async |app| {
        let request = app.http.get(app.url("/catalog/sources"));
        app.send(request.header("x-api-key", ALL)).await.json()["revision"] == 3
    })
    .await;
    let get = async |path: &str, key: &str| {
        let request = app.http.get(app.url(path)).header("x-api-key", key);
        let answer = app.send(request).await;
        assert_eq!(answer.status, 200, "{path}");
        String::from_utf8_lossy(&answer.body).into_owned()
    };
    for path in [
        "/v1/models",
        "/v1/models?revision=3",
        "/v1/models/openai:fast",
        "/catalog/providers/openai/v1/models",
        "/catalog/changes?since=0",
        "/catalog/models/openai:fast/history",
        "/catalog/why/openai:fast",
    ] {
        let seen = get(path, TEAM).await;
        assert!(
            seen.contains("fast") && !seen.contains("gpt-b"),
            "{path}: {seen}"
        );
        assert!(get(path, ALL).await.contains("gpt-b"), "{path}");
    }
    app.stop().await;
}

#[tokio::test]
async fn without_a_key_nothing_is_told() {
    let (_setup, app) = with_history().await;
    for path in [
        "/v1/models",
        "/v1/models?revision=1",
        "/v1/models/openai:gpt-a",
        "/v1/models/nothing",
        "/catalog/sources",
        "/catalog/changes",
        "/catalog/changes?colour=blue",
        "/catalog/changes.atom",
        "/catalog/events?since=0",
        "/catalog/models/openai:gpt-a/history",
        "/catalog/retirements",
        "/catalog/providers",
        "/catalog/why/openai:gpt-a",
        "/catalog.sqlite",
        "/metrics",
    ] {
        for (header, key) in [
            ("accept", ""),
            ("authorization", "Bearer wrong-0123456789"),
            ("authorization", TEAM),
            ("authorization", "Basic a2V5"),
            ("x-api-key", "wrong-0123456789"),
            ("x-goog-api-key", ""),
        ] {
            let answer = app
                .send(app.http.get(app.url(path)).header(header, key))
                .await;
            assert_eq!(answer.status, 401, "{path} {header} {key}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            let error = &answer.json()["error"];
            // Google's clients get Google's shape.
            if header == "x-goog-api-key" && path.starts_with("/v1/") {
                assert_eq!(error["details"][0]["reason"], "INVALID_API_KEY", "{path}");
                assert_eq!(error["status"], "UNAUTHENTICATED");
            } else {
                assert_eq!(error["code"], "invalid_api_key", "{path}");
                assert_eq!(error["type"], "authentication_error");
            }
            assert!(
                error["message"]
                    .to_string()
                    .contains("Authorization: Bearer")
            );
            // The name of a type is in every error of Gemini's shape.
            let text =
                String::from_utf8_lossy(&answer.body).replace("googleapis.com/google.rpc", "");
            assert!(!text.contains("0123456789"), "{text}");
            for known in ["openai", "gpt", "box", "m:7b"].into_iter().chain(FOREIGN) {
                assert!(!text.contains(known), "{known} in {text}");
            }
        }
        for (header, key) in [
            ("authorization", format!("Bearer {ALL}")),
            ("authorization", format!("bearer {ALL}")),
            ("x-api-key", ALL.to_owned()),
            ("x-goog-api-key", ALL.to_owned()),
            ("authorization", format!("Bearer {ADMIN}")),
            ("x-api-key", ADMIN.to_owned()),
        ] {
            let response = app.http.get(app.url(path)).header(header, key).send().await;
            let status = response.expect("an answer").status().as_u16();
            let expected = match path {
                "/v1/models/nothing" => 404,
                "/catalog/changes?colour=blue" => 400,
                _ => 200,
            };
            assert_eq!(status, expected, "{path} {header}");
        }
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(app.get(path).await.status, 200, "{path}");
    }
    // An operator's route has its own rule.
    let refresh = app.http.post(app.url("/catalog/refresh"));
    let answer = app.send(refresh.bearer_auth(ALL)).await;
    assert_eq!(answer.json()["error"]["code"], "invalid_admin_key");
    app.stop().await;
}

#[tokio::test]
async fn a_key_sees_its_sources_on_every_route() {
    let (_setup, app) = with_history().await;
    let last = revision(&app.get_with("/v1/models", TEAM).await);
    assert!(last >= 8, "{last}");
    let mut paths: Vec<String> = [
        "/v1/models",
        "/v1/models?q=e",
        "/v1/models?provider=google,zed",
        "/v1/models?fields=id,endpoints",
        "/v1/models?stale=exclude",
        "/v1/models/m:7b",
        "/v1/models/google:gemini-a",
        "/v1/models/google:gemini-b?revision=7",
        "/v1/models/z:2b",
        "/catalog/sources",
        "/catalog/changes",
        "/catalog/changes?since=0&limit=1",
        "/catalog/changes?source=google",
        "/catalog/changes?source=zed",
        "/catalog/changes?model=google:gemini-a",
        "/catalog/changes?model=m:7b",
        "/catalog/changes?event=hidden,removed",
        "/catalog/changes.atom",
        "/catalog/changes.atom?source=google",
        "/catalog/models/m:7b/history",
        "/catalog/models/google:gemini-a/history",
        "/catalog/models/z:1b/history",
        "/catalog/retirements",
        "/catalog/providers",
        "/catalog/why/m:7b",
        "/catalog/why/google:gemini-b",
        "/catalog/why/google:gemini-",
        "/catalog/why/z:2b",
        "/catalog/why/z:2",
        "/catalog/why/z:1b",
        "/catalog.sqlite",
        "/metrics",
    ]
    .map(str::to_owned)
    .into();
    paths.extend((0..=last).map(|revision| format!("/v1/models?revision={revision}")));
    for path in &paths {
        let everything = app.get_with(path, ALL).await;
        assert!(everything.status < 500);
        let answer = app.get_with(path, TEAM).await;
        assert_no_leak(path, &answer);
        if answer.status == 200 {
            assert_eq!(revision(&answer), revision(&everything), "{path}");
        }
        for header in ["authorization", "x-api-key", "x-goog-api-key"] {
            let vary: Vec<_> = answer.headers.get_all("vary").iter().collect();
            let varies = vary
                .iter()
                .any(|value| value.to_str().is_ok_and(|value| value.contains(header)));
            assert!(varies, "{path}: {vary:?}");
        }
        let cached = answer.header("cache-control").expect("it is said");
        assert!(
            cached == "no-store" || cached.starts_with("private, "),
            "{path}: {cached}"
        );
    }
    let ids = async |query: &str| {
        app.get_with(&format!("/v1/models?{query}"), TEAM)
            .await
            .ids()
    };
    assert_eq!(
        ids("").await,
        ["b:2b", "m:7b", "openai:gpt-a", "openai:gpt-c"]
    );
    assert_eq!(ids("provider=google,zed").await, [""; 0]);
    assert_eq!(ids("provider=box").await, ["b:2b", "m:7b"]);
    let shared = app.get_with("/v1/models/m:7b", TEAM).await;
    assert_eq!(shared.json()["endpoints"], json!(["box"]));
    let shared = app.get_with("/v1/models/m:7b", ALL).await;
    assert_eq!(shared.json()["endpoints"], json!(["box", "zed"]));
    // One past answer and its headers.
    let past = app.get_with("/v1/models?revision=4", TEAM).await;
    assert_eq!(
        past.ids(),
        ["b:1b", "m:7b", "s:1b", "openai:gpt-a", "openai:gpt-b"]
    );
    assert_eq!(
        past.header("cache-control"),
        Some("private, max-age=31536000, immutable")
    );
    let sources = app.get_with("/catalog/sources", TEAM).await.json();
    let names: Vec<&Value> = sources["sources"]
        .as_array()
        .expect("sources")
        .iter()
        .map(|source| &source["name"])
        .collect();
    assert_eq!(names, ["box", "openai"]);
    let retiring = app.get_with("/catalog/retirements", TEAM).await.json();
    assert_eq!(retiring["models"][0]["id"], "openai:gpt-a");
    // Not visible is not there.
    for id in ["google:gemini-b", "z:2b"] {
        let answer = app.get_with(&format!("/v1/models/{id}"), TEAM).await;
        // Nobody's, and as like or unlike what the key sees.
        let other = format!("y{}", &id[1..]);
        let unknown = app.get_with(&format!("/v1/models/{other}"), TEAM).await;
        assert_eq!((answer.status, unknown.status), (404, 404));
        let text = String::from_utf8_lossy(&answer.body).replace(id, &other);
        assert_eq!(text.as_bytes(), unknown.body, "the same as unknown");
        let path = format!("/catalog/models/{id}/history");
        assert_eq!(app.get_with(&path, TEAM).await.status, 404);
        assert_eq!(app.get_with(&path, ALL).await.status, 200);
    }
    let listed = async |key: &str| {
        let history = app.get_with("/catalog/models/s:1b/history", key).await;
        history.json()["listed"].clone()
    };
    assert_eq!(
        (listed(ALL).await, listed(TEAM).await),
        (json!(true), json!(false))
    );
    for path in ["/catalog.sqlite", "/metrics"] {
        let answer = app.get_with(path, TEAM).await;
        assert_eq!(
            (answer.status, &answer.json()["error"]["code"]),
            (403, &json!("restricted_key"))
        );
        assert_eq!(app.get_with(path, SOME).await.status, 403);
        assert_eq!(app.get_with(path, ADMIN).await.status, 200);
    }
    app.stop().await;
}

#[tokio::test]
async fn a_key_sees_its_models_on_every_route() {
    let (_setup, app) = with_history().await;
    let list = app.get_with("/v1/models", SOME).await;
    assert_eq!(list.ids(), ["m:7b", "openai:gpt-a"]);
    let last = revision(&list);
    let mut paths: Vec<String> = [
        "/v1/models?provider=openai",
        "/v1/models/openai:gpt-c",
        "/catalog/sources",
        "/catalog/changes",
        "/catalog/changes?limit=1",
        "/catalog/changes?model=openai:gpt-b",
        "/catalog/changes.atom",
        "/catalog/models/openai:gpt-b/history",
        "/catalog/models/openai:gpt-a/history",
        "/catalog/why/openai:gpt-b",
        "/catalog/why/openai:gpt-",
        "/catalog/retirements",
        "/catalog/providers",
    ]
    .map(str::to_owned)
    .into();
    paths.extend((0..=last).map(|revision| format!("/v1/models?revision={revision}")));
    for path in &paths {
        let answer = app.get_with(path, SOME).await;
        let text = String::from_utf8_lossy(&answer.body);
        for foreign in ["gpt-b", "gpt-c", "gemini", "b:1b", "z:1b"] {
            assert!(
                !text.contains(foreign) || path.contains(foreign),
                "{foreign} in {path}: {text}"
            );
        }
    }
    let hidden = app
        .get_with("/catalog/models/openai:gpt-b/history", SOME)
        .await;
    assert_eq!(hidden.status, 404);
    let retiring = app.get_with("/catalog/retirements", SOME).await.json();
    assert_eq!(retiring["models"].as_array().map(Vec::len), Some(1));
    let why = app.get_with("/catalog/why/openai:gpt-b", SOME).await.json();
    assert_eq!(
        (&why["sources"], &why["because"]),
        (&json!([]), &json!("no source has ever listed it"))
    );
    let sources = app.get_with("/catalog/sources", SOME).await.json();
    let counts: Vec<_> = sources["sources"]
        .as_array()
        .expect("sources")
        .iter()
        .map(|source| (source["name"].clone(), source["models"].clone()))
        .collect();
    assert_eq!(
        counts,
        [("box", 1), ("zed", 1), ("openai", 1), ("google", 0)]
            .map(|(name, models)| (json!(name), json!(models)))
    );
    let changes = app.get_with("/catalog/changes", SOME).await;
    let mut events = events(&changes);
    events.sort();
    assert_eq!(
        events,
        [
            "box added m:7b",
            // The source is among those that it may see, though none of its models is.
            "google hidden *",
            "openai added openai:gpt-a",
            "openai changed openai:gpt-a",
            "zed added m:7b",
        ]
    );
    // By pages of one event, each revision comes once, and the cursor comes to the end.
    let mut since = 0;
    let mut paged = Vec::new();
    loop {
        let page = app
            .get_with(&format!("/catalog/changes?limit=1&since={since}"), SOME)
            .await;
        let told = self::events(&page);
        let page = page.json();
        assert!(
            !told.is_empty() || page["has_more"] == false,
            "what it may not see is passed over"
        );
        paged.extend(told);
        assert!(
            page["next"].as_i64() > Some(since) || page["has_more"] == false,
            "it goes on"
        );
        since = page["next"].as_i64().expect("a cursor");
        if page["has_more"] == false {
            break;
        }
    }
    paged.sort();
    assert_eq!((paged, since), (events, last));
    let atom = app.get_with("/catalog/changes.atom", SOME).await;
    let atom = atom_syndication::Feed::read_from(&atom.body[..]).expect("Atom");
    assert_eq!(atom.entries().len(), 5);
    app.stop().await;
}

/// Google lists something else each time.
async fn change_google(setup: &Setup, app: &TestApp, id: &str) {
    setup.advance(TimeDelta::minutes(1));
    setup.google.reset().await;
    mount_google(&setup.google, &[id]).await;
    refresh(app, "google").await;
}

/// Two providers, of which the team sees one.
async fn with_two_providers() -> (Setup, TestApp) {
    let mut setup = Setup::new().await;
    setup.providers = vec!["openai", "google"];
    setup.admin_key = Some(ADMIN);
    mount_openai(&setup.openai, &["gpt-a"]).await;
    mount_google(&setup.google, &["gemini-a"]).await;
    setup.start_ready().await.stop().await;
    setup.keys = keys();
    let app = setup.start().await;
    (setup, app)
}

#[tokio::test]
async fn who_waits_is_not_woken_by_what_it_may_not_see() {
    let (setup, app) = with_two_providers().await;
    let stream = app
        .http
        .get(app.url("/catalog/events"))
        .bearer_auth(TEAM)
        .send()
        .await
        .expect("an answer");
    let changes = async |since: i64| {
        app.get_with(&format!("/catalog/changes?wait=40s&since={since}"), TEAM)
            .await
    };
    let change = async {
        change_google(&setup, &app, "gemini-b").await;
        change_google(&setup, &app, "gemini-c").await;
        setup.openai.reset().await;
        mount_openai(&setup.openai, &["gpt-b"]).await;
        refresh(&app, "openai").await;
    };
    let (page, ()) = tokio::join!(changes(2), change);
    assert_eq!(
        events(&page),
        ["openai removed openai:gpt-a", "openai added openai:gpt-b"].map(str::to_owned)
    );
    assert_eq!(
        (&page.json()["next"], &page.json()["has_more"]),
        (&json!(5), &json!(false))
    );

    let mut text = String::new();
    let mut stream = stream;
    while !text.contains("data:") || !text.ends_with("\n\n") {
        let chunk = tokio::time::timeout(Duration::from_secs(20), stream.chunk()).await;
        let chunk = chunk
            .expect("an event within 20 s")
            .expect("a chunk")
            .expect("no end");
        text.push_str(&String::from_utf8_lossy(&chunk));
    }
    assert!(
        text.contains("openai:gpt-b") && !text.contains("google") && !text.contains("gemini"),
        "{text}"
    );
    app.stop().await;
}

#[tokio::test]
async fn a_miss_asks_nobody_whom_the_key_may_not_see() {
    let (setup, app) = with_two_providers().await;
    setup.advance(TimeDelta::minutes(5));
    let calls = async || Setup::calls(&setup.google).await;
    let before = calls().await;
    for (key, expected) in [(TEAM, 0), (SOME, 0), (ALL, 1)] {
        let answer = app.get_with("/v1/models/google:unknown", key).await;
        assert_eq!(answer.status, 404);
        assert_eq!(calls().await - before, expected, "{key}");
    }
    app.stop().await;
}

#[tokio::test]
async fn without_an_admin_key_this_machine_may_refresh_and_needs_no_key() {
    let (mut setup, app) = with_two_providers().await;
    app.stop().await;
    setup.admin_key = None;
    let app = setup.start().await;
    setup.advance(TimeDelta::minutes(1));
    assert_eq!(app.refresh("openai").await["outcome"], "unchanged");
    assert_eq!(app.models().await.status, 401);
    app.stop().await;
}

#[tokio::test]
async fn keys_that_are_not_different_are_refused_at_the_start() {
    let mut setup = Setup::new().await;
    setup.providers.clear();
    setup.keys = vec![
        ClientKey::new("a", TEAM).expect("usable"),
        ClientKey::new("b", TEAM).expect("usable"),
    ];
    let error = Catalog::start(setup.config()).await.expect_err("refused");
    assert!(matches!(error, StartError::Setting(_)), "{error}");
    assert!(!error.to_string().contains(TEAM), "{error}");
    assert!(!setup.database_path().exists(), "nothing was begun");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_present_a_key_to_a_running_catalog() {
    let (setup, app) = with_two_providers().await;
    let lock = |key: Option<&str>, id: &str| {
        let mut command = command(&setup);
        if let Some(key) = key {
            command.env("MODEL_CATALOG_KEY", key);
        }
        let output = command
            .args(["lock", id, "--url", &app.base])
            .stdout(std::process::Stdio::piped())
            .output()
            .expect("the binary starts");
        let error = String::from_utf8(output.stderr).expect("text");
        (output.status.code(), error)
    };
    for key in [None, Some("wrong-0123456789")] {
        let (code, error) = lock(key, "openai:gpt-a");
        assert_eq!(code, Some(2), "{error}");
        assert!(error.contains("MODEL_CATALOG_KEY"), "{error}");
        assert!(!error.contains("0123456789"), "{error}");
    }
    assert_eq!(lock(Some(TEAM), "openai:gpt-a").0, Some(0));
    assert_eq!(lock(Some(TEAM), "google:gemini-a").0, Some(1));
    assert_eq!(lock(Some(ALL), "google:gemini-a").0, Some(0));
    app.stop().await;
}

/// What each key sees is remembered for it alone.
#[tokio::test]
async fn keys_do_not_see_each_others_answers() {
    let (_setup, app) = with_history().await;
    for _ in 0..2 {
        for (query, different) in [("", 3), ("?q=7b", 2), ("?provider=openai,zed", 3)] {
            let path = format!("/v1/models{query}");
            let mut etags = Vec::new();
            for key in [ALL, TEAM, SOME] {
                let answer = app.get_with(&path, key).await;
                etags.push(answer.header("etag").expect("an ETag").to_owned());
                let sees = answer.ids();
                assert!(!sees.is_empty(), "{path} {key}");
            }
            etags.sort();
            etags.dedup();
            // Two of them see both servers of m:7b.
            assert_eq!(etags.len(), different, "{path}");
        }
    }
    app.stop().await;
}
