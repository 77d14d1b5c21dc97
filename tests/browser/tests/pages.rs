//! What people do with the pages: search, sort, copy, look at the past, compare, refresh, sign in, by mouse
//! and by keyboard, with and without JavaScript. A page that writes an error to the console, or asks another
//! host for anything, fails the test that opened it.

#[allow(dead_code)]
#[path = "../../it/helpers.rs"]
mod helpers;

use browser_tests::Browser;
use chrono::TimeDelta;
use fantoccini::key::Key;
use helpers::{Setup, TestApp, mount_openai, mount_vllm};
use model_catalog::ClientKey;
use serde_json::{Value, json};

/// The ids in the table of models, in order.
async fn rows(browser: &Browser) -> Vec<String> {
    browser.texts("[data-id]").await
}

/// Waits until the table of models has `count` rows.
async fn until_rows(browser: &Browser, count: usize) {
    let script = format!("return document.querySelectorAll('[data-id]').length === {count}");
    browser
        .until(&format!("there are {count} rows"), &script)
        .await;
}

/// Three providers and a local server.
async fn catalog() -> (Setup, TestApp, Browser) {
    let mut setup = Setup::happy().await;
    mount_vllm(setup.add_endpoint("box").await, &["m:7b"]).await;
    let app = setup.start_ready().await;
    (setup, app, Browser::start().await)
}

#[tokio::test]
async fn a_model_is_found_as_one_types() {
    let (_setup, app, browser) = catalog().await;
    browser.open(&app.url("/")).await;
    assert_eq!(rows(&browser).await.len(), 7);
    browser.press("/").await;
    browser.press("openai gpt-b").await;
    until_rows(&browser, 1).await;
    assert_eq!(rows(&browser).await, ["openai:gpt-b"]);
    assert_eq!(browser.path().await, "/?q=openai+gpt-b");
    let focused = "return document.activeElement.id === 'q' && document.activeElement.value === 'openai gpt-b'";
    assert_eq!(
        browser.run(focused, &[]).await,
        json!(true),
        "nothing moves under the fingers"
    );
    // What is shown is in the address.
    browser.open(&app.url("/?q=openai+gpt-b")).await;
    assert_eq!(rows(&browser).await, ["openai:gpt-b"]);
    browser.stop(&app.base, &[]).await;
    app.stop().await;
}

#[tokio::test]
async fn tabs_and_heads_of_columns_lead_on() {
    let (_setup, app, browser) = catalog().await;
    browser.open(&app.url("/")).await;
    assert_eq!(browser.texts(".chip").await[..2], ["all 7", "box 1"]);
    browser
        .find("a.chip[href*='provider=anthropic']")
        .await
        .click()
        .await
        .expect("clicked");
    until_rows(&browser, 2).await;
    assert_eq!(
        rows(&browser).await,
        ["anthropic:claude-a", "anthropic:claude-b"]
    );
    assert_eq!(browser.texts(".chip[aria-current]").await, ["anthropic 2"]);
    for (sort, order) in [("sort=id", "ascending"), ("sort=-id", "descending")] {
        browser
            .find(&format!("thead a[href*='{sort}']"))
            .await
            .click()
            .await
            .expect("clicked");
        let sorted = format!("return document.querySelector('[aria-sort={order}]') !== null");
        browser.until("it is sorted", &sorted).await;
    }
    assert_eq!(
        rows(&browser).await,
        ["anthropic:claude-b", "anthropic:claude-a"]
    );
    assert_eq!(browser.texts("[aria-sort=descending]").await, ["Model ↓"]);
    // Further filters keep the tab and the order.
    browser.find("#q").await.click().await.expect("clicked");
    browser.press("claude-a").await;
    until_rows(&browser, 1).await;
    assert_eq!(
        browser.path().await,
        "/?q=claude-a&provider=anthropic&sort=-id"
    );
    browser.stop(&app.base, &[]).await;
    app.stop().await;
}

#[tokio::test]
async fn an_id_is_copied_by_a_click() {
    let (_setup, app, browser) = catalog().await;
    let permissions = json!({"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]});
    browser
        .chromium("Browser.grantPermissions", permissions)
        .await;
    browser.open(&app.url("/?q=gpt-a")).await;
    browser
        .find("[data-copy]")
        .await
        .click()
        .await
        .expect("clicked");
    browser
        .until(
            "it says so",
            "return document.querySelector('.copy').textContent === 'copied'",
        )
        .await;
    browser.find("#q").await.click().await.expect("clicked");
    browser
        .run("document.querySelector('#q').value = ''", &[])
        .await;
    let paste = format!("{}v", char::from(Key::Control));
    browser.press(&paste).await;
    browser
        .until(
            "it is pasted",
            "return document.querySelector('#q').value === 'openai:gpt-a'",
        )
        .await;
    browser.stop(&app.base, &[]).await;
    app.stop().await;
}

#[tokio::test]
async fn keys_lead_through_the_table() {
    let (_setup, app, browser) = catalog().await;
    browser.open(&app.url("/")).await;
    browser.press("/").await;
    browser.press_key(Key::Down).await;
    browser.press_key(Key::Down).await;
    let focused = "return document.activeElement.textContent";
    assert_eq!(browser.run(focused, &[]).await, json!("openai:gpt-a"));
    browser.press_key(Key::Up).await;
    browser.press_key(Key::Up).await;
    assert_eq!(
        browser.run("return document.activeElement.id", &[]).await,
        json!("q")
    );
    browser.press_key(Key::Down).await;
    browser.press_key(Key::Enter).await;
    browser
        .until(
            "the model is there",
            "return location.pathname === '/ui/models/m:7b'",
        )
        .await;
    browser.stop(&app.base, &[]).await;
    app.stop().await;
}

#[tokio::test]
async fn a_date_shows_everything_as_it_was() {
    let (setup, app, browser) = catalog().await;
    let then = setup.clock.now();
    setup.advance(TimeDelta::days(3));
    setup.openai.reset().await;
    mount_openai(&setup.openai, &["gpt-a", "gpt-c"]).await;
    assert_eq!(app.refresh("openai").await["outcome"], "changed");
    browser.open(&app.url("/?q=gpt")).await;
    assert_eq!(rows(&browser).await, ["openai:gpt-a", "openai:gpt-c"]);
    let choose = "const date = document.querySelector('#at'); date.value = arguments[0]; document.querySelector('form.date button').click()";
    browser.run(choose, &[json!(then.date().to_string())]).await;
    browser
        .until(
            "the past is there",
            "return document.querySelector('.banner.past') !== null",
        )
        .await;
    assert_eq!(rows(&browser).await, ["openai:gpt-a", "openai:gpt-b"]);
    assert_eq!(browser.path().await, format!("/?q=gpt&at={}", then.date()));
    // The date stays on every page.
    for (page, shown) in [("Sources", "2 models"), ("Changes", "2 added")] {
        let link = format!(
            "return [...document.querySelectorAll('.top nav a')].find((link) => link.textContent === '{page}').click()"
        );
        browser.run(&link, &[]).await;
        let there = format!(
            "return document.title.startsWith('{page}') && document.querySelector('.banner.past') !== null && document.body.textContent.includes('{shown}')"
        );
        browser.until(page, &there).await;
    }
    browser
        .find(".banner.past a")
        .await
        .click()
        .await
        .expect("clicked");
    browser
        .until(
            "now is there",
            "return document.querySelector('.banner.past') === null",
        )
        .await;
    assert_eq!(browser.path().await, "/ui/changes");

    browser
        .open(&app.url(&format!("/ui/diff?from={}", then.date())))
        .await;
    assert_eq!(browser.texts(".events .added code").await, ["openai:gpt-c"]);
    assert_eq!(
        browser.texts(".events .removed code").await,
        ["openai:gpt-b"]
    );
    browser.stop(&app.base, &[]).await;
    app.stop().await;
}

#[tokio::test]
async fn a_source_is_asked_by_a_button_and_news_do_not_move_the_page() {
    let (setup, app, browser) = catalog().await;
    browser.open(&app.url("/ui/sources")).await;
    let mut many: Vec<String> = (0..80).map(|number| format!("new-{number:02}")).collect();
    many.extend(["gpt-a".to_owned(), "gpt-b".to_owned()]);
    setup.openai.reset().await;
    mount_openai(&setup.openai, &many).await;
    setup.advance(TimeDelta::seconds(61));
    browser.run("window.stayed = true", &[]).await;
    browser
        .find("#openai .refresh button")
        .await
        .click()
        .await
        .expect("clicked");
    browser
        .until(
            "it has answered",
            "return document.querySelector('.banner.outcome') !== null",
        )
        .await;
    assert_eq!(
        browser.texts(".banner.outcome").await,
        ["openai has answered with a new list."]
    );
    assert_eq!(
        browser.run("return window.stayed", &[]).await,
        json!(true),
        "only a part was replaced"
    );

    // A reader in the middle of the table.
    browser.open(&app.url("/")).await;
    let scrolled = "window.scrollTo(0, 700); return window.scrollY";
    let place = browser.run(scrolled, &[]).await;
    assert!(place.as_f64().is_some_and(|place| place > 100.0), "{place}");
    setup.openai.reset().await;
    mount_openai(
        &setup.openai,
        &["gpt-a"]
            .into_iter()
            .map(str::to_owned)
            .chain(many)
            .collect::<Vec<_>>(),
    )
    .await;
    setup.advance(TimeDelta::seconds(61));
    let first = browser.texts("[data-id]").await;
    setup.anthropic.reset().await;
    helpers::mount_anthropic(&setup.anthropic, &["claude-a", "claude-b", "claude-c"]).await;
    assert_eq!(app.refresh("anthropic").await["outcome"], "changed");
    browser
        .until(
            "the news are there",
            "return !document.querySelector('.news').hidden",
        )
        .await;
    let news = browser.texts(".news").await;
    assert_eq!(news, ["1 change since you opened this page. Show"]);
    assert_eq!(
        browser.texts("[data-id]").await,
        first,
        "what is read stays"
    );
    browser
        .find(".news a")
        .await
        .click()
        .await
        .expect("clicked");
    browser
        .until(
            "it is shown",
            "return document.querySelector('.summary').textContent === '88 models'",
        )
        .await;
    browser.stop(&app.base, &[]).await;
    app.stop().await;
}

#[tokio::test]
async fn a_key_is_given_once() {
    let mut setup = Setup::happy().await;
    mount_vllm(setup.add_endpoint("box").await, &["m:7b"]).await;
    let key = ClientKey::new("team", "key-of-the-team").expect("usable");
    setup.keys = vec![key.source("box")];
    let app = setup.start().await;
    let browser = Browser::start().await;
    browser.open(&app.url("/?q=m")).await;
    assert!(
        browser.path().await.starts_with("/ui/sign-in"),
        "{}",
        browser.path().await
    );
    for (key, expected) in [("wrong", "/ui/sign-in"), ("key-of-the-team", "/?q=m")] {
        browser.find("#key").await.click().await.expect("clicked");
        browser.press(key).await;
        browser.press_key(Key::Enter).await;
        let there = format!(
            "return location.pathname + location.search === '{expected}' && (document.querySelector('.error') !== null || document.querySelector('[data-id]') !== null)"
        );
        browser.until(expected, &there).await;
    }
    assert_eq!(rows(&browser).await, ["m:7b"]);
    assert_eq!(browser.texts(".session span").await, ["team"]);
    // The script finds with the same key.
    browser.find("#q").await.click().await.expect("clicked");
    browser.press(":7").await;
    browser
        .until("it is found", "return location.search === '?q=m%3A7'")
        .await;
    assert_eq!(rows(&browser).await, ["m:7b"]);
    browser
        .find(".session button")
        .await
        .click()
        .await
        .expect("clicked");
    browser
        .until("it is over", "return location.pathname === '/ui/sign-in'")
        .await;
    // The answer to the wrong key.
    browser.stop(&app.base, &["401"]).await;
    app.stop().await;
}

#[tokio::test]
async fn everything_can_be_read_without_javascript() {
    let (_setup, app, browser) = catalog().await;
    browser
        .chromium(
            "Emulation.setScriptExecutionDisabled",
            json!({"value": true}),
        )
        .await;
    browser.open(&app.url("/")).await;
    let search = browser.find("#q").await;
    search.send_keys("gpt-a").await.expect("typed");
    browser
        .find(".filters .without-script")
        .await
        .click()
        .await
        .expect("clicked");
    browser.until_path("/?q=gpt-a").await;
    let link = browser.find("[data-id]").await;
    assert_eq!(link.text().await.expect("a text"), "openai:gpt-a");
    link.click().await.expect("clicked");
    browser.until_path("/ui/models/openai:gpt-a").await;
    let shown = browser.find("main").await.text().await.expect("a text");
    for expected in [
        "Who lists it",
        "was listed for the first time",
        "\"owned_by\": \"system\"",
    ] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    for (path, expected) in [
        ("/ui/sources", "its list is fresh"),
        ("/ui/changes", "was listed for the first time"),
    ] {
        browser.open(&app.url(path)).await;
        let shown = browser.find("main").await.text().await.expect("a text");
        assert!(shown.contains(expected), "{path}: {shown}");
    }
    browser.open(&app.url("/ui/sources")).await;
    browser
        .find("#openai .refresh button")
        .await
        .click()
        .await
        .expect("clicked");
    browser.until_path("/ui/sources?asked=openai").await;
    browser.stop(&app.base, &[]).await;
    app.stop().await;
}

/// Models with everything that a page can show, some of it very long.
async fn everything(setup: &Setup) {
    let long = "a-very-long-name-that-goes-on-and-on".repeat(6);
    let data: Vec<Value> = (0..30)
        .map(|number| {
            json!({
                "id": match number { 0 => long.clone(), 1 => format!("vendor/{long}"), _ => format!("model-{number}") },
                "object": "model", "created": 1_700_000_000, "owned_by": "system", "name": format!("Model {number} {long}"),
                "description": long.repeat(5), "context_length": 128_000, "max_output_tokens": 4096,
                "pricing": {"prompt": "0.00000125", "completion": "0.00001", long.as_str(): long},
                "architecture": {"input_modalities": ["text", "image", long], "output_modalities": ["text"]},
                "supported_parameters": ["tools", "reasoning", long],
                "deprecation_date": "2026-12-24",
            })
        })
        .collect();
    setup.openai.reset().await;
    helpers::mount(&setup.openai, "/v1/models", json!({"data": data})).await;
    setup.google.reset().await;
}

#[tokio::test]
async fn a_date_is_typed_and_what_was_searched_stays() {
    let (_setup, app, browser) = catalog().await;
    browser.open(&app.url("/")).await;
    browser.press("/").await;
    browser.press("gpt-a").await;
    until_rows(&browser, 1).await;
    browser
        .run("document.querySelector('#at').focus()", &[])
        .await;
    // Each part of a date is typed without leaving the page.
    browser.press("01022020").await;
    let typed = "return document.querySelector('#at').value";
    let day = browser.run(typed, &[]).await;
    assert!(day == "2020-02-01" || day == "2020-01-02", "{day}");
    assert_eq!(browser.path().await, "/?q=gpt-a");
    browser.press_key(Key::Enter).await;
    let there = format!(
        "return location.search === '?q=gpt-a&at={}'",
        day.as_str().expect("a day")
    );
    browser.until("the past is there", &there).await;
    browser.stop(&app.base, &[]).await;
    app.stop().await;
}

#[tokio::test]
async fn a_server_that_is_gone_is_said() {
    let (_setup, app, browser) = catalog().await;
    browser.open(&app.url("/")).await;
    let base = app.base.clone();
    app.stop().await;
    browser.press("/").await;
    browser.press("g").await;
    browser
        .until(
            "it is said",
            "return document.querySelector('.problem').textContent.startsWith('The catalog does not answer.')",
        )
        .await;
    assert_eq!(rows(&browser).await.len(), 7, "what is shown stays");
    browser.stop(&base, &["net::ERR_"]).await;
}

#[tokio::test]
async fn times_are_the_readers_own_and_announced_days_are_not() {
    let mut setup = Setup::happy().await;
    everything(&setup).await;
    setup.providers = vec!["openai"];
    let app = setup.start_ready().await;
    let browser = Browser::start().await;
    let zone = json!({"timezoneId": "Asia/Kathmandu"});
    browser
        .chromium("Emulation.setTimezoneOverride", zone)
        .await;
    browser.open(&app.url("/ui/models/openai:model-2")).await;
    let shown = "const time = document.querySelector('.timeline time'); return [time.textContent, time.title.slice(0, 16)]";
    browser
        .until(
            "the script has run",
            "return document.documentElement.classList.contains('with-script')",
        )
        .await;
    let shown = browser.run(shown, &[]).await;
    let parse = |text: &Value| {
        let text = text.as_str().expect("a text");
        chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").expect("a time")
    };
    let ahead = parse(&shown[0]) - parse(&shown[1]);
    assert_eq!(ahead, TimeDelta::minutes(5 * 60 + 45), "{shown}");
    // West of Greenwich, midnight in UTC is the day before.
    let zone = json!({"timezoneId": "America/New_York"});
    browser
        .chromium("Emulation.setTimezoneOverride", zone)
        .await;
    browser.open(&app.url("/")).await;
    let ends = browser.texts(".end time").await;
    assert_eq!(ends.first().map(String::as_str), Some("2026-12-24"));
    browser.stop(&app.base, &[]).await;
    app.stop().await;
}

/// The pages, one of a model with everything and one that does not exist among them.
const PAGES: [&str; 9] = [
    "/",
    "/?q=nothing-like-it",
    "/ui/models/openai:model-2",
    "/ui/models/openai:model-99",
    "/ui/sources",
    "/ui/changes",
    "/ui/diff",
    "/ui/sign-in",
    "/ui/nothing",
];

#[tokio::test]
async fn a_narrow_screen_is_not_scrolled_sideways() {
    let mut setup = Setup::happy().await;
    everything(&setup).await;
    mount_vllm(setup.add_endpoint("box").await, &["m:7b"]).await;
    let app = setup.start_ready().await;
    let browser = Browser::start().await;
    let long = app
        .models()
        .await
        .ids()
        .iter()
        .map(|id| format!("/ui/models/{id}"))
        .max_by_key(String::len);
    for width in [320, 360, 768, 1280, 2560] {
        browser.resize(width, 800).await;
        for path in PAGES.into_iter().chain(long.as_deref()) {
            browser.open(&app.url(path)).await;
            // What reaches beyond the screen, to name it.
            let wide = "const width = document.documentElement.clientWidth; if (document.documentElement.scrollWidth <= width) return []; return [...document.querySelectorAll('*')].filter((one) => one.getBoundingClientRect().right > width + 1).map((one) => one.outerHTML.slice(0, 150))";
            let found = browser.run(wide, &[]).await;
            assert_eq!(found, json!([]), "{path} at {width}");
        }
    }
    browser.stop(&app.base, &["404"]).await;
    app.stop().await;
}

#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "the script that runs this test says where axe is"
)]
async fn no_page_shuts_anybody_out() {
    let axe = std::env::var("AXE")
        .expect("AXE names axe.min.js of the package axe-core: tests/browser/run installs it");
    let axe = std::fs::read_to_string(axe).expect("axe can be read");
    let mut setup = Setup::happy().await;
    everything(&setup).await;
    mount_vllm(setup.add_endpoint("box").await, &["m:7b"]).await;
    let app = setup.start_ready().await;
    let browser = Browser::start().await;
    for (scheme, width) in [("light", 1280), ("dark", 1280), ("light", 360)] {
        browser.prefer(scheme).await;
        browser.resize(width, 900).await;
        let mut ground = Value::Null;
        for path in PAGES {
            browser.open(&app.url(path)).await;
            browser.run(&axe, &[]).await;
            let script = "const done = arguments[arguments.length - 1]; axe.run().then((found) => done(found.violations.map((one) => `${one.impact} ${one.id}: ${one.nodes.map((node) => node.html).join(' ').slice(0, 400)}`)))";
            let found = browser
                .client
                .execute_async(script, Vec::new())
                .await
                .expect("it ran");
            assert_eq!(found, json!([]), "{path}, {scheme}, {width}");
            ground = browser
                .run(
                    "return getComputedStyle(document.body).backgroundColor",
                    &[],
                )
                .await;
        }
        let expected = if scheme == "dark" {
            "rgb(20, 24, 28)"
        } else {
            "rgb(255, 255, 255)"
        };
        assert_eq!(ground, json!(expected));
    }
    browser.stop(&app.base, &["404"]).await;
    app.stop().await;
}

#[tokio::test]
async fn ten_thousand_models_are_a_hundred_rows() {
    let mut setup = Setup::happy().await;
    setup.providers = vec!["openai"];
    let ids: Vec<String> = (0..10_000)
        .map(|number| format!("model-{number:05}"))
        .collect();
    setup.openai.reset().await;
    mount_openai(&setup.openai, &ids).await;
    let app = setup.start_ready().await;
    let browser = Browser::start().await;
    // Before the first page, so that no shift is missed.
    let observe = "window.shifts = 0; new PerformanceObserver((list) => { for (const entry of list.getEntries()) window.shifts += entry.value; }).observe({ type: 'layout-shift', buffered: true });";
    browser
        .chromium(
            "Page.addScriptToEvaluateOnNewDocument",
            json!({"source": observe}),
        )
        .await;
    browser.open(&app.url("/")).await;
    assert_eq!(rows(&browser).await.len(), 100);
    assert_eq!(browser.texts(".summary").await, ["10,000 models"]);
    browser.press("/").await;
    browser.press("model-0999").await;
    until_rows(&browser, 10).await;
    browser.open(&app.url("/?page=99")).await;
    assert_eq!(
        rows(&browser).await.last().map(String::as_str),
        Some("openai:model-09999")
    );
    let shifts = browser.run("return window.shifts", &[]).await;
    assert_eq!(
        shifts.as_f64(),
        Some(0.0),
        "the page stays where it is while it loads"
    );
    let size = browser
        .run(
            "return performance.getEntriesByType('navigation')[0].transferSize",
            &[],
        )
        .await;
    assert!(
        size.as_f64().is_some_and(|size| size < 100_000.0),
        "{size} bytes"
    );
    browser.stop(&app.base, &[]).await;
    app.stop().await;
}
