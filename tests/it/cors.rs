//! Web pages that read the catalog from a browser: off by default, and what `cors_origins` allows.

use model_catalog::{ClientKey, CorsOrigins};
use reqwest::Method;
use rstest::rstest;

use crate::helpers::{Answer, Setup, TestApp};

const KEY: &str = "team-key-0123456789";
const PAGE: &str = "https://app.example";
const LISTS: [&str; 5] = [
    "/v1/models",
    "/v1/models/openai:gpt-a",
    "/v1beta/models",
    "/catalog/providers/openai/v1/models",
    "/models/",
];
const CATALOG: [&str; 4] = [
    "/catalog/sources",
    "/catalog/changes",
    "/catalog/why/x",
    "/catalog/retirements",
];

async fn app(origins: &[&str]) -> TestApp {
    let setup = Setup::happy().await;
    let mut config = setup.config();
    config.cors_origins = CorsOrigins::parse(origins).expect("usable");
    config.keys = vec![ClientKey::new("team", KEY).expect("usable")];
    let app = TestApp::start(config).await;
    app.until("all have answered", async |app| {
        let request = app.http.get(app.url("/v1/models")).bearer_auth(KEY);
        app.send(request).await.ids().len() == 7 - 1
    })
    .await;
    app
}

async fn get(app: &TestApp, path: &str, page: &str) -> Answer {
    let request = app.http.get(app.url(path)).bearer_auth(KEY);
    app.send(request.header("origin", page)).await
}

/// What a browser asks before a page's request with a key.
async fn preflight(app: &TestApp, path: &str, page: &str) -> Answer {
    let request = app
        .http
        .request(Method::OPTIONS, app.url(path))
        .header("origin", page)
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "authorization");
    app.send(request).await
}

#[rstest]
#[case::off(&[], None, None)]
#[case::any(&["*"], Some("*"), None)]
#[case::its_own(&["https://other.example", PAGE], Some(PAGE), Some(PAGE))]
#[case::anothers(&["https://other.example"], None, None)]
#[tokio::test]
async fn pages_read_what_the_setting_allows(
    #[case] origins: &[&str],
    #[case] lists: Option<&str>,
    #[case] catalog: Option<&str>,
) {
    let app = app(origins).await;
    let paths = LISTS.iter().map(|path| (path, lists));
    for (path, allowed) in paths.chain(CATALOG.iter().map(|path| (path, catalog))) {
        let answer = get(&app, path, PAGE).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(
            answer.header("access-control-allow-origin"),
            allowed,
            "{path}"
        );
        assert_eq!(answer.header("access-control-allow-credentials"), None);
        let before = preflight(&app, path, PAGE).await;
        assert_eq!(
            before.header("access-control-allow-origin"),
            allowed,
            "{path}"
        );
        if allowed.is_some() {
            assert_eq!(before.status, 204, "{path}");
            assert_eq!(
                before.header("access-control-allow-headers"),
                Some("authorization")
            );
            assert_eq!(
                before.header("access-control-allow-methods"),
                Some("GET,HEAD,POST")
            );
            let exposed = answer
                .header("access-control-expose-headers")
                .unwrap_or_default();
            assert!(
                exposed.contains("etag") && exposed.contains("catalog-revision"),
                "{exposed}"
            );
        } else if origins.is_empty() {
            assert_eq!(before.status, 405, "{path}");
        }
    }
    // Ollama's clients ask about a model with a POST.
    let show = app.http.post(app.url("/ollama/api/show")).bearer_auth(KEY);
    let show = show
        .header("origin", PAGE)
        .body(r#"{"model": "openai:gpt-a"}"#);
    let answer = app.send(show).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), lists);
    assert_eq!(
        preflight(&app, "/ollama/api/show", PAGE)
            .await
            .header("access-control-allow-origin"),
        lists
    );
    // What changes something is no page's business.
    for path in ["/catalog/refresh", "/metrics"] {
        let before = preflight(&app, path, PAGE).await;
        assert_eq!(before.header("access-control-allow-origin"), None, "{path}");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_page_sees_why_its_key_is_refused() {
    let app = app(&["*"]).await;
    let request = app.http.get(app.url("/v1/models")).header("origin", PAGE);
    let answer = app.send(request).await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    app.stop().await;
}
