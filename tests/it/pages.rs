//! The pages for people, as a browser gets them: what they show, to whom, and that nothing a source says
//! is more than text. What needs a real browser is in tests/browser.

use chrono::TimeDelta;
use model_catalog::ClientKey;
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use serde_json::{Value, json};

use crate::helpers::{Answer, Setup, TestApp, mount, mount_openai, mount_template, mount_vllm};

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
const TEAM: &str = "key-of-the-team-0123456789";
const ADMIN: &str = "key-of-the-admin-0123456789";

/// A browser that follows no redirect, and has `cookie`.
async fn visit_with(app: &TestApp, path: &str, cookie: Option<&str>) -> Answer {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .expect("a client");
    let mut request = client.get(app.url(path)).header("accept", BROWSER);
    if let Some(cookie) = cookie {
        request = request.header("cookie", cookie);
    }
    app.send(request).await
}

async fn visit(app: &TestApp, path: &str) -> Answer {
    visit_with(app, path, None).await
}

/// The HTML of the page at `path`, which there is.
async fn page(app: &TestApp, path: &str) -> String {
    let answer = visit(app, path).await;
    assert_eq!(answer.status, 200, "{path}");
    html(&answer)
}

fn html(answer: &Answer) -> String {
    String::from_utf8(answer.body.to_vec()).expect("text")
}

/// What `form` of a page does, from a page of this catalog or of `origin`.
async fn post(
    app: &TestApp,
    path: &str,
    form: &[(&str, &str)],
    origin: &str,
    cookie: Option<&str>,
) -> Answer {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .expect("a client");
    let body: Vec<String> = form
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let mut request = client
        .post(app.url(path))
        .header("accept", BROWSER)
        .header("origin", origin)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body.join("&"));
    if let Some(cookie) = cookie {
        request = request.header("cookie", cookie);
    }
    app.send(request).await
}

/// The ids in the table of models, in order.
fn rows(html: &str) -> Vec<String> {
    let cells = html.split("data-id>").skip(1);
    let ids = cells.filter_map(|rest| rest.split("</a>").next());
    ids.map(str::to_owned).collect()
}

#[tokio::test]
async fn pages_are_for_browsers_and_lead_to_what_there_is() {
    let app = Setup::happy().await.start_ready().await;
    for path in [
        "/",
        "/ui/models/openai:gpt-a",
        "/ui/sources",
        "/ui/changes",
        "/ui/diff",
    ] {
        let answer = visit(&app, path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(
            answer.header("content-type"),
            Some("text/html; charset=utf-8")
        );
        let policy = answer.header("content-security-policy").expect("a policy");
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        for loose in ["unsafe", "*", "http", "data:"] {
            assert!(!policy.contains(loose), "{path}: {policy}");
        }
        let page = html(&answer);
        for inline in [" style=", " onclick=", "javascript:", "<style", "<script>"] {
            assert!(!page.contains(inline), "{path}: {inline}");
        }
        let links: Vec<&str> = page
            .split("href=\"")
            .chain(page.split("src=\""))
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .filter(|link| link.starts_with('/'))
            .collect();
        assert!(links.len() > 5, "{links:?}");
        for link in links {
            let link = link.replace("&amp;", "&").replace("&#38;", "&");
            assert_eq!(visit(&app, &link).await.status, 200, "{path}: {link}");
        }
        // The browser has it already.
        let etag = answer.header("etag").expect("an ETag").to_owned();
        let again = app.http.get(app.url(path)).header("accept", BROWSER);
        let again = app.send(again.header("if-none-match", &etag)).await;
        // Ages are in the page of sources, so it may be another a second later.
        assert!(
            again.status == 304 || path == "/ui/sources",
            "{path}: {}",
            again.status
        );
    }
    for accept in ["*/*", "application/json"] {
        let request = app.http.get(app.url("/")).header("accept", accept);
        let answer = app.send(request).await;
        assert_eq!(answer.status, 404, "{accept}");
        let message = answer.json()["error"]["message"].to_string();
        assert!(message.contains("No route /: "), "{message}");
    }
    for (path, method) in [
        ("/ui/sources", "DELETE"),
        ("/ui/sign-out", "GET"),
        ("/ui/sources/x/refresh", "GET"),
    ] {
        let method = method.parse().expect("a method");
        let request = app.http.request(method, app.url(path));
        let answer = app.send(request.header("accept", BROWSER)).await;
        assert_eq!(answer.status, 405, "{path}");
        assert!(html(&answer).contains("is not allowed on"), "{path}");
    }
    let form = post(&app, "/ui/sign-in", &[("x", "1")], &app.base, None).await;
    assert_eq!(form.status, 400);
    assert!(
        html(&form).contains("one field called key"),
        "{}",
        html(&form)
    );
    let lost = visit(&app, "/ui/nothing").await;
    assert_eq!(lost.status, 404);
    assert!(html(&lost).contains("the sources at /ui/sources"));
    let lost = app.get("/ui/nothing").await;
    assert_eq!(lost.json()["error"]["code"], "unknown_page");
    app.stop().await;
}

#[tokio::test]
async fn pages_are_compressed_for_those_who_ask() {
    let app = Setup::happy().await.start_ready().await;
    // Unlike the tests' own client, this one does not unpack.
    let client = reqwest::Client::builder().no_gzip().build();
    let request = client.expect("a client").get(app.url("/"));
    let request = request.header("accept", BROWSER);
    let answer = app.send(request.header("accept-encoding", "gzip")).await;
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    let mut reader = flate2::read::GzDecoder::new(&answer.body[..]);
    std::io::Read::read_to_string(&mut reader, &mut text).expect("gzip");
    assert!(text.contains("openai:gpt-a"));
    let style = app.get("/ui/assets/catalog.css").await;
    assert_eq!(style.status, 200);
    assert!(
        style
            .header("cache-control")
            .is_some_and(|value| value.contains("immutable"))
    );
    assert_eq!(app.get("/ui/assets/other.css").await.status, 404);
    app.stop().await;
}

#[tokio::test]
async fn models_are_found_sorted_and_paged() {
    let mut setup = Setup::happy().await;
    setup.providers = vec!["openai", "anthropic"];
    let ids: Vec<String> = (0..250)
        .map(|number| format!("model-{number:03}"))
        .collect();
    setup.openai.reset().await;
    mount_openai(&setup.openai, &ids).await;
    mount_vllm(setup.add_endpoint("box").await, &["m:7b"]).await;
    let app = setup.start_ready().await;
    let first = page(&app, "/").await;
    assert_eq!(rows(&first).len(), 100);
    assert_eq!(rows(&first)[..2], ["m:7b", "openai:model-000"]);
    assert!(!first.contains("aria-sort"), "local models come first");
    assert!(
        page(&app, "/?sort=id")
            .await
            .contains("aria-sort=\"ascending\"")
    );
    assert!(first.contains("253 models"));
    let last = page(&app, "/?page=2").await;
    assert_eq!(rows(&last).len(), 53);
    assert_eq!(
        rows(&page(&app, "/?page=99").await),
        rows(&last),
        "the last page"
    );
    assert_eq!(rows(&page(&app, "/?q=OPENAI+24").await).len(), 13);
    assert_eq!(
        rows(&page(&app, "/?q=display+claude-a").await),
        ["anthropic:claude-a"]
    );
    assert_eq!(rows(&page(&app, "/?provider=box").await), ["m:7b"]);
    assert_eq!(
        rows(&page(&app, "/?context=100000&sort=-id").await),
        ["anthropic:claude-b", "anthropic:claude-a"]
    );
    let none = page(&app, "/?q=nothing-like-it").await;
    assert!(none.contains("No model fits."), "{none}");
    let bad = visit(&app, "/?context=many").await;
    assert_eq!(bad.status, 400);
    assert!(html(&bad).contains("must be a number of tokens"));
    app.stop().await;
}

#[tokio::test]
async fn what_was_is_shown_as_it_was() {
    let mut setup = Setup::happy().await;
    setup.providers = vec!["openai"];
    let app = setup.start_ready().await;
    let then = setup.clock.now().to_string();
    setup.advance(TimeDelta::days(3));
    setup.openai.reset().await;
    mount_openai(&setup.openai, &["gpt-a", "gpt-c"]).await;
    assert_eq!(app.refresh("openai").await["outcome"], "changed");
    assert_eq!(
        rows(&page(&app, "/").await),
        ["openai:gpt-a", "openai:gpt-c"]
    );
    let past = page(&app, &format!("/?at={then}")).await;
    assert_eq!(rows(&past), ["openai:gpt-a", "openai:gpt-b"]);
    assert!(past.contains("The catalog as it was at"));
    assert!(past.contains(&format!("/ui/sources?at={}", then.replace(':', "%3A"))));
    let gone = visit(&app, "/ui/models/openai:gpt-b").await;
    assert_eq!(gone.status, 200, "its history is kept");
    assert!(html(&gone).contains("openai listed it until"));
    assert!(html(&gone).contains("is no longer listed"));
    let then_listed = page(&app, &format!("/ui/models/openai:gpt-b?at={then}")).await;
    assert!(then_listed.contains(">listed</span>"));
    assert!(!then_listed.contains("is no longer listed"));
    assert!(!then_listed.contains("Close to it"), "it is there");
    let not_yet = visit(&app, &format!("/ui/models/openai:gpt-c?at={then}")).await;
    let not_yet = html(&not_yet);
    assert!(
        not_yet.contains("It was not listed then.") && not_yet.contains("gpt-b"),
        "{not_yet}"
    );
    let never = visit(&app, "/ui/models/openai:gpt-d").await;
    assert_eq!(never.status, 404);
    assert!(html(&never).contains("Close to it"));
    let changes = page(&app, "/ui/changes").await;
    assert!(changes.contains("1 added, 1 removed"), "{changes}");
    let earlier = page(&app, &format!("/ui/changes?at={then}")).await;
    assert!(earlier.contains("2 added") && !earlier.contains("1 removed"));
    let earlier = page(&app, &format!("/ui/changes?before=9999&at={then}")).await;
    assert!(
        !earlier.contains("1 removed"),
        "nothing later than the date"
    );
    let sources = page(&app, &format!("/ui/sources?at={then}")).await;
    assert!(sources.contains("2 models") && !sources.contains("Ask now"));
    let diff = page(&app, &format!("/ui/diff?from={then}")).await;
    for expected in [
        "Only in the later list",
        "openai:gpt-c",
        "Only in the earlier list",
        "openai:gpt-b",
    ] {
        assert!(diff.contains(expected), "{expected}");
    }
    assert!(!diff.contains("openai:gpt-a"));
    assert!(
        diff.contains("/ui/models/openai:gpt-b?at="),
        "what is gone is shown as it was"
    );
    assert!(!diff.contains("id=\"at\""), "it has two dates of its own");
    let turned = page(&app, &format!("/ui/diff?to={then}")).await;
    let of_past = page(&app, &format!("/ui/diff?at={then}")).await;
    assert!(!of_past.contains("The catalog as it was"), "{of_past}");
    for page in [&turned, &of_past] {
        assert!(
            !page.contains("openai:gpt-c"),
            "it ends before there was one: {page}"
        );
    }
    let now = setup.clock.now();
    let backwards = page(&app, &format!("/ui/diff?from={now}&to={then}")).await;
    let (later, earlier) = backwards
        .split_once("Only in the earlier list")
        .expect("both");
    assert!(
        later.contains("openai:gpt-c"),
        "the earlier day comes first"
    );
    assert!(earlier.contains("openai:gpt-b"));
    let same = page(&app, &format!("/ui/diff?from={then}&to={then}")).await;
    assert!(same.contains("every one is the same"));
    for path in ["/?at=soon", "/ui/diff?from=soon", "/ui/changes?event=x"] {
        assert_eq!(visit(&app, path).await.status, 400, "{path}");
    }
    app.stop().await;
}

/// Names that are meant to break out of a page, or to break it.
fn hostile() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onclick='x",
        "</title>",
        "{{ frame }}",
        "&lt;",
        "\u{202e}txet",
        "\u{2066}",
        "\u{0}",
        "\u{1b}[31m",
        "%3Cscript%3E",
        "]]>",
        "<!--",
        "ß",
        "模型",
        "javascript:alert(1)",
        "a/../../b",
        "?x=#y",
        "\\",
        "`",
    ]);
    prop::collection::vec(pieces, 1..6).prop_map(|pieces| pieces.concat())
}

#[tokio::test]
async fn whatever_a_source_says_is_text() {
    let mut setup = Setup::happy().await;
    setup.providers = vec!["openai"];
    let mut runner = TestRunner::deterministic();
    let mut tree = || hostile().new_tree(&mut runner).expect("a value").current();
    let mut models: Vec<Value> = (0..60)
        .map(|number| {
            json!({
                "id": format!("m{number}-{}", tree()), "object": "model", "created": 1,
                "name": tree(), "description": tree(), "pricing": {tree(): tree()},
                "architecture": {"input_modalities": [tree()]}, "supported_parameters": [tree()],
            })
        })
        .collect();
    models.push(json!({"id": "long", "object": "model", "name": "x".repeat(10_000)}));
    setup.openai.reset().await;
    mount(&setup.openai, "/v1/models", json!({"data": models})).await;
    let app = setup.start_ready().await;
    let listed = app.models().await.ids();
    assert!(listed.len() > 40, "{}", listed.len());
    let mut paths = vec![
        "/".to_owned(),
        "/ui/changes".to_owned(),
        "/ui/sources".to_owned(),
        "/ui/diff".to_owned(),
    ];
    for id in &listed {
        let encoded = percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC);
        paths.push(format!("/ui/models/{encoded}"));
    }
    paths.push(
        "/?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&provider=%3Cscript%3E&capability=%22x"
            .to_owned(),
    );
    for path in &paths {
        let answer = visit(&app, path).await;
        let page = html(&answer);
        assert_eq!(answer.status, 200, "{path}");
        for broken in ["<script>", "<img src=x", "' onclick='x\"", "<!--"] {
            assert!(!page.contains(broken), "{path}: {broken}");
        }
        // Every tag that the page has is one of ours: as many as without what the source says.
        assert_eq!(page.matches("<script").count(), 1, "{path}");
        assert_eq!(page.matches("<img").count(), 1, "{path}");
    }
    app.stop().await;
}

/// A catalog with keys, whose team sees `box` only.
async fn with_keys() -> (Setup, TestApp) {
    let mut setup = Setup::happy().await;
    setup.providers = vec!["openai", "google"];
    mount_vllm(setup.add_endpoint("box").await, &["m:7b"]).await;
    let key = ClientKey::new("team", TEAM).expect("usable");
    setup.keys = vec![key.source("box")];
    setup.admin_key = Some(ADMIN);
    let app = setup.start().await;
    app.until("all are listed", async |app| {
        app.get_with("/v1/models", ADMIN).await.ids().len() == 5
    })
    .await;
    (setup, app)
}

/// The cookie that signing in with `key` gives.
async fn sign_in(app: &TestApp, key: &str) -> String {
    let answer = post(
        app,
        "/ui/sign-in",
        &[("key", key), ("next", "/ui/sources")],
        &app.base,
        None,
    )
    .await;
    assert_eq!(answer.status, 303);
    assert_eq!(answer.header("location"), Some("/ui/sources"));
    let cookie = answer.header("set-cookie").expect("a cookie");
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"),
        "{cookie}"
    );
    cookie.split(';').next().expect("a value").to_owned()
}

#[tokio::test]
async fn a_key_sees_in_pages_what_it_sees_in_answers() {
    let (_setup, app) = with_keys().await;
    for path in ["/", "/ui/sources", "/ui/models/openai:gpt-a?at=2026-01-01"] {
        let answer = visit(&app, path).await;
        assert_eq!(answer.status, 303, "{path}");
        let location = answer.header("location").expect("a location");
        assert!(location.starts_with("/ui/sign-in?next=%2F"), "{location}");
        assert!(answer.body.is_empty(), "nothing is told");
    }
    assert_eq!(visit(&app, "/ui/sign-in").await.status, 200);
    // A key in the address: it is not asked for again and again, and is in no page.
    let old = visit(&app, "/?key=an-old-key&q=m").await;
    assert_eq!(old.header("location"), Some("/ui/sign-in?next=%2F%3Fq%3Dm"));
    let given = page(&app, &format!("/?key={TEAM}")).await;
    assert!(!given.contains(TEAM), "{given}");
    let lines = page(&app, &format!("/ui/models/m:7b?key={TEAM}")).await;
    assert!(lines.contains("Authorization: Bearer YOUR_KEY"), "{lines}");
    assert!(!lines.contains(TEAM), "{lines}");
    let wrong = post(&app, "/ui/sign-in", &[("key", "wrong")], &app.base, None).await;
    assert_eq!(wrong.status, 401);
    assert!(html(&wrong).contains("does not know this key"));
    assert_eq!(wrong.header("set-cookie"), None);

    let team = sign_in(&app, TEAM).await;
    assert_eq!(
        rows(&html(&visit_with(&app, "/", Some(&team)).await)),
        ["m:7b"]
    );
    for path in [
        "/",
        "/?provider=openai",
        "/ui/sources",
        "/ui/changes",
        "/ui/diff",
        "/ui/models/m:7b",
    ] {
        let answer = visit_with(&app, path, Some(&team)).await;
        assert_eq!(answer.status, 200, "{path}");
        let page = html(&answer);
        for foreign in ["gpt-", "gemini"] {
            assert!(!page.contains(foreign), "{path}: {foreign}");
        }
        let cached = answer.header("cache-control").expect("it is said");
        assert!(
            cached.starts_with("private") || cached == "no-store",
            "{path}: {cached}"
        );
    }
    let hidden = visit_with(&app, "/ui/models/openai:gpt-a", Some(&team)).await;
    assert_eq!(hidden.status, 404);
    assert!(
        !html(&hidden).contains("gpt-b"),
        "no closest id that it may not see"
    );
    // The script's stream of events has no other way to say who it is.
    let request = app.http.get(app.url("/v1/models")).header("cookie", &team);
    assert_eq!(app.send(request).await.ids(), ["m:7b"]);

    let admin = sign_in(&app, ADMIN).await;
    assert_eq!(
        rows(&html(&visit_with(&app, "/", Some(&admin)).await)).len(),
        5
    );
    let forged = team.replace("team.", "@admin.");
    assert_eq!(visit_with(&app, "/", Some(&forged)).await.status, 303);
    let out = post(&app, "/ui/sign-out", &[], &app.base, Some(&admin)).await;
    assert!(
        out.header("set-cookie")
            .is_some_and(|cookie| cookie.contains("Max-Age=0"))
    );
    app.stop().await;
}

#[tokio::test]
async fn only_an_operator_on_an_own_page_may_press_the_button() {
    let (_setup, app) = with_keys().await;
    let path = "/ui/sources/box/refresh";
    let (team, admin) = (sign_in(&app, TEAM).await, sign_in(&app, ADMIN).await);
    let asked = post(&app, path, &[], &app.base, Some(&admin)).await;
    assert_eq!(asked.status, 303);
    let location = asked.header("location").expect("a location");
    assert!(
        location.starts_with("/ui/sources?asked=box&outcome="),
        "{location}"
    );
    let foreign = "https://evil.example";
    for (origin, cookie) in [
        (&*app.base, Some(&*team)),
        (&*app.base, None),
        (foreign, Some(&*admin)),
    ] {
        let answer = post(&app, path, &[], origin, cookie).await;
        assert_eq!(answer.status, 303, "to sign in");
        let to = answer.header("location");
        assert_eq!(to, Some("/ui/sign-in?next=/ui/sources&admin=1"));
    }
    for path in ["/ui/sign-in", "/ui/sign-out"] {
        let answer = post(&app, path, &[("key", ADMIN)], foreign, None).await;
        assert_eq!(answer.status, 403, "{path}");
        assert_eq!(answer.header("set-cookie"), None, "{path}");
    }
    let lost = post(
        &app,
        "/ui/sources/nobody/refresh",
        &[],
        &app.base,
        Some(&admin),
    )
    .await;
    assert_eq!(lost.status, 404);
    app.stop().await;
}

#[tokio::test]
async fn a_held_list_is_believed_by_a_button() {
    let mut setup = Setup::happy().await;
    setup.providers = vec!["openai"];
    setup.openai.reset().await;
    mount_openai(&setup.openai, &["a", "b", "c", "d", "e"]).await;
    let app = setup.start_ready().await;
    setup.openai.reset().await;
    mount_openai(&setup.openai, &["a"]).await;
    setup.advance(TimeDelta::seconds(61));
    let asked = post(&app, "/ui/sources/openai/refresh", &[], &app.base, None).await;
    assert!(
        asked
            .header("location")
            .is_some_and(|to| to.contains("outcome=held"))
    );
    let shown = page(&app, "/ui/sources?asked=openai&outcome=held").await;
    for expected in [
        "The last answer has 1 model and lacks 4 that are served.",
        "<summary>What would go</summary><ul><li><code>b</code></li>",
        "a suspicious list, which waits",
    ] {
        assert!(shown.contains(expected), "{expected}");
    }
    setup.advance(TimeDelta::seconds(61));
    let path = "/ui/sources/openai/refresh?accept=true";
    let believed = post(&app, path, &[], &app.base, None).await;
    assert!(
        believed
            .header("location")
            .is_some_and(|to| to.contains("outcome=changed"))
    );
    assert_eq!(app.models().await.ids(), ["openai:a"]);
    // Another program's page on this machine is no page of the catalog.
    let neighbour = post(&app, path, &[], "http://127.0.0.1:1", None).await;
    assert_eq!(neighbour.status, 403);
    let foreign = post(&app, path, &[], "https://evil.example", None).await;
    assert_eq!(foreign.status, 403);
    assert!(html(&foreign).contains("MODEL_CATALOG_ADMIN_KEY"));
    app.stop().await;
}

#[tokio::test]
async fn an_empty_catalog_greets_with_what_to_do() {
    let mut setup = Setup::new().await;
    setup.providers = Vec::new();
    let app = setup.start().await;
    let greeting = page(&app, "/").await;
    assert!(greeting.contains("Nothing to list yet"), "{greeting}");
    assert!(greeting.contains("MODEL_CATALOG_ENDPOINTS"));
    assert!(!greeting.contains("<table"));
    assert!(
        page(&app, "/ui/sources")
            .await
            .contains("No source is set up.")
    );
    assert!(
        page(&app, "/ui/changes")
            .await
            .contains("Nothing has changed yet")
    );
    app.stop().await;

    setup.providers = vec!["openai"];
    let unauthorized = reqwest::StatusCode::UNAUTHORIZED;
    let template = wiremock::ResponseTemplate::new(unauthorized.as_u16());
    mount_template(&setup.openai, "/v1/models", template).await;
    let app = setup.start_ready().await;
    let waiting = page(&app, "/").await;
    assert!(
        waiting.contains("No models yet") && waiting.contains("<dt>openai</dt>"),
        "{waiting}"
    );
    app.stop().await;
}

#[tokio::test]
async fn before_the_first_list_nothing_is_listed() {
    let mut setup = Setup::happy().await;
    setup.providers = vec!["openai"];
    let app = setup.start_ready().await;
    let before = setup.clock.now();
    setup.advance(TimeDelta::days(1));
    let early = page(
        &app,
        &format!("/?at={}", before.date().pred_opt().expect("a day")),
    )
    .await;
    assert!(early.contains("Nothing was listed then."), "{early}");
    app.stop().await;
}
