//! The OpenAPI document is the one in `docs/`. The page that shows it asks nobody else.

use crate::{
    helpers::{Answer, Setup},
    running::command,
};

const DOCUMENT: &str = include_str!("../../docs/openapi.json");

#[tokio::test]
async fn the_one_in_docs_is_what_the_binary_answers() {
    let setup = Setup::happy().await;
    let printed = command(&setup)
        .arg("openapi")
        .stdout(std::process::Stdio::piped())
        .output();
    let printed = printed.expect("it runs").stdout;
    let app = setup.start_ready().await;
    let served = app.get("/openapi.json").await;
    assert_eq!(served.header("content-type"), Some("application/json"));
    assert_eq!(served.body, printed);
    let etag = served.header("etag").expect("an ETag").to_owned();
    let again = app.http.get(app.url("/openapi.json"));
    let again = app.send(again.header("if-none-match", etag)).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    app.stop().await;
    assert!(
        printed == DOCUMENT.as_bytes(),
        "docs/openapi.json is not what the handlers say: cargo run -- openapi > docs/openapi.json"
    );
}

#[tokio::test]
async fn the_page_asks_nobody_else() {
    let setup = Setup::happy().await;
    let app = setup.start_ready().await;
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client");
    let moved = app.send(client.get(app.url("/docs"))).await;
    assert_eq!(
        (moved.status, moved.header("location")),
        (308, Some("docs/"))
    );
    let page = app.get("/docs/").await;
    assert_eq!(page.header("content-type"), Some("text/html"));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"));
    for directive in policy.split("; ") {
        let is_own =
            |source: &str| matches!(source, "'none'" | "'self'" | "data:" | "'unsafe-inline'");
        assert!(directive.split(' ').skip(1).all(is_own), "{directive}");
    }
    let page = unpacked(&page);
    let mut files = 0;
    for attribute in ["src=\"", "href=\""] {
        for rest in page.split(attribute).skip(1) {
            let (file, _) = rest.split_once('"').expect("an end");
            let file = file.trim_start_matches("./");
            assert!(!file.contains(':') && !file.starts_with('/'), "{file}");
            let answer = app.get(&format!("/docs/{file}")).await;
            assert_eq!(answer.status, 200, "{file}");
            assert!(answer.header("content-security-policy").is_some(), "{file}");
            files += 1;
        }
    }
    assert!(files > 4, "{page}");
    let settings = unpacked(&app.get("/docs/swagger-initializer.js").await);
    assert!(
        settings.contains("\"url\": \"../openapi.json\""),
        "{settings}"
    );
    assert!(
        settings.contains("\"validatorUrl\": \"none\""),
        "{settings}"
    );
    assert!(!settings.contains("://"), "{settings}");
    let unknown = app.get("/docs/nothing.js").await;
    assert_eq!(unknown.status, 404);
    assert_eq!(unknown.json()["error"]["code"], "unknown_route");
    app.stop().await;
}

/// The text of a file that is sent packed.
fn unpacked(answer: &Answer) -> String {
    use std::io::Read;
    let mut text = String::new();
    match answer.header("content-encoding") {
        Some("gzip") => {
            let mut decoder = flate2::read::GzDecoder::new(&answer.body[..]);
            decoder.read_to_string(&mut text).expect("packed text");
        }
        _ => text.push_str(std::str::from_utf8(&answer.body).expect("text")),
    }
    text
}
