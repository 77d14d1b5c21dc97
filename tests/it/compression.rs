//! Compressed answers: each list is compressed once, in the background, for all who ask for that encoding, and
//! what was made for one request serves the next. Written before the code.

use std::io::Read;

use chrono::TimeDelta;
use rstest::rstest;

use crate::helpers::{Answer, Setup, TestApp, mount_ollama, mount_openai};

/// A catalog whose lists are large enough to be compressed, and the requests for them.
const LISTS: [(&str, Option<&str>); 8] = [
    ("/v1/models", None),
    ("/v1/models?q=many", None),
    ("/v1/models?fields=created", None),
    ("/v1/models?limit=90", None),
    ("/v1/models?limit=90", Some("anthropic-version")),
    ("/v1beta/models?pageSize=90", None),
    ("/ollama/api/tags", None),
    ("/catalog/providers/openai/v1/models", None),
];

async fn large() -> (Setup, TestApp) {
    let mut setup = Setup::happy().await;
    mount_ollama(setup.add_endpoint("box").await, &["m:1"]).await;
    list(&setup, "many").await;
    let app = setup.start_ready().await;
    (setup, app)
}

/// Has OpenAI list 100 models with `name` in theirs.
async fn list(setup: &Setup, name: &str) {
    setup.openai.reset().await;
    let ids: Vec<String> = (0..100).map(|number| format!("{name}-{number}")).collect();
    mount_openai(&setup.openai, &ids).await;
}

async fn ask(app: &TestApp, (path, header): (&str, Option<&str>), with: &[(&str, &str)]) -> Answer {
    let mut request = app.http.get(app.url(path));
    for (name, value) in header.map(|name| (name, "1")).iter().chain(with) {
        request = request.header(*name, *value);
    }
    app.send(request).await
}

/// The answer in `encoding`, as soon as it is ready.
async fn encoded(app: &TestApp, list: (&str, Option<&str>), encoding: &str) -> Answer {
    let is_ready = async |app: &TestApp| {
        let answer = ask(app, list, &[("accept-encoding", encoding)]).await;
        answer.header("content-encoding") == Some(encoding)
    };
    app.until("the compressed answer", is_ready).await;
    ask(app, list, &[("accept-encoding", encoding)]).await
}

fn unpacked(answer: &Answer) -> Vec<u8> {
    let mut bytes = Vec::new();
    let packed = &answer.body[..];
    match answer.header("content-encoding") {
        Some("gzip") => flate2::read::GzDecoder::new(packed).read_to_end(&mut bytes),
        Some("br") => brotli::Decompressor::new(packed, 4096).read_to_end(&mut bytes),
        Some("zstd") => zstd::Decoder::new(packed)
            .expect("zstd")
            .read_to_end(&mut bytes),
        other => panic!("not compressed: {other:?}"),
    }
    .expect("readable");
    bytes
}

#[rstest]
#[case("gzip")]
#[case("br")]
#[case("zstd")]
#[tokio::test]
async fn every_list_is_compressed_for_those_who_ask(#[case] encoding: &str) {
    let (_setup, app) = large().await;
    for list in LISTS {
        let plain = ask(&app, list, &[]).await;
        assert_eq!(plain.status, 200, "{list:?}");
        assert_eq!(plain.header("content-encoding"), None);
        let packed = encoded(&app, list, encoding).await;
        assert_eq!(unpacked(&packed), plain.body, "{list:?}");
        assert!(packed.body.len() < plain.body.len() / 2);
        assert_eq!(packed.header("content-type"), plain.header("content-type"));
        let vary = packed.header("vary").expect("vary");
        assert!(vary.contains("accept-encoding"), "{vary}");
        let (own, other) = (plain.header("etag"), packed.header("etag"));
        let (own, other) = (own.expect("an ETag"), other.expect("an ETag"));
        assert_ne!(own, other, "a strong ETag is of bytes");
        // Whichever form a client has, and whatever it would get, it has it.
        for (held, name) in [(own, own), (other, other), (&*format!("W/{other}"), other)] {
            for accepted in ["identity", encoding] {
                let headers = [("if-none-match", held), ("accept-encoding", accepted)];
                let answer = ask(&app, list, &headers).await;
                assert_eq!(answer.status, 304, "{list:?} {held} {accepted}");
                assert_eq!(answer.header("etag"), Some(name));
                assert_eq!(answer.header("content-encoding"), None);
            }
        }
        let not_accepted = format!("{encoding};q=0");
        let refused = ask(&app, list, &[("accept-encoding", &not_accepted)]).await;
        assert_eq!(refused.body, plain.body);
    }
    app.stop().await;
}

#[tokio::test]
async fn a_head_has_the_length_of_what_a_get_has() {
    let (_setup, app) = large().await;
    let packed = encoded(&app, LISTS[0], "gzip").await;
    let request = app.http.head(app.url("/v1/models"));
    let head = app.send(request.header("accept-encoding", "gzip")).await;
    assert_eq!(head.header("content-encoding"), Some("gzip"));
    let length = packed.body.len().to_string();
    assert_eq!(head.header("content-length"), Some(&*length));
    assert!(head.body.is_empty());
    app.stop().await;
}

#[tokio::test]
async fn a_client_keeps_its_compressed_list_through_a_restart() {
    let (setup, app) = large().await;
    let etag = encoded(&app, LISTS[0], "br").await;
    let etag = etag.header("etag").expect("an ETag").to_owned();
    app.stop().await;
    let app = setup.start().await;
    let headers = [("if-none-match", &*etag), ("accept-encoding", "br")];
    assert_eq!(ask(&app, LISTS[0], &headers).await.status, 304);
    app.stop().await;
}

/// Nothing that was remembered outlives what it was made of.
#[tokio::test]
async fn a_new_revision_is_served_in_every_form() {
    let (setup, app) = large().await;
    let mut before = Vec::new();
    for list in LISTS {
        let answer = encoded(&app, list, "gzip").await;
        before.push((answer.header("etag").map(str::to_owned), unpacked(&answer)));
    }
    let revision = app.models().await;
    let revision = revision.header("catalog-revision").expect("a revision");
    let past = (&*format!("/v1/models?revision={revision}"), None);
    list(&setup, "other").await;
    setup.advance(TimeDelta::hours(25));
    app.catalog.wake();
    let is_new = async |app: &TestApp| {
        app.models()
            .await
            .ids()
            .iter()
            .any(|id| id.contains("other"))
    };
    app.until("the new list", is_new).await;
    for (list, (etag, bytes)) in LISTS.into_iter().zip(&before) {
        if list.0.contains("tags") {
            continue;
        }
        let etag = etag.as_deref().expect("an ETag");
        let headers = [("if-none-match", etag), ("accept-encoding", "gzip")];
        assert_eq!(ask(&app, list, &headers).await.status, 200, "{list:?}");
        assert_ne!(&ask(&app, list, &[]).await.body, bytes, "{list:?}");
    }
    // The past is the same as it was, the first time and when it is remembered.
    for _ in 0..3 {
        assert_eq!(ask(&app, past, &[]).await.body, before[0].1);
    }
    assert_eq!(unpacked(&encoded(&app, past, "zstd").await), before[0].1);
    app.stop().await;
}
