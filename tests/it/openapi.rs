//! The OpenAPI document is the one in `docs/`.

use crate::{helpers::Setup, running::command};

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
