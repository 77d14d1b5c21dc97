//! The document against the router: a route is in both, or in the list of exceptions.

use std::collections::{BTreeMap, BTreeSet};

use axum::{Router, body::Body, extract::Request, http::StatusCode};
use serde_json::Value;
use tower::ServiceExt;

use super::*;
use crate::{
    api::{NOT_SERVED, application},
    catalog::Catalog,
    config::Config,
};

/// The routes that the document leaves out, and why.
const EXCEPTIONS: [(&str, &str); 6] = [
    (
        "/",
        "the router has it of its own, for what no route matches",
    ),
    ("/docs", "the page that shows the document"),
    ("/docs/", "the same"),
    ("/docs/{file}", "the files of that page"),
    ("/ollama/", "/ollama with a slash too many"),
    (
        "/catalog/providers/{name}/",
        "a source's base with a slash too many",
    ),
];
/// What all routes below these that do something with a model say: that they are not served.
const NOT_SERVED_BELOW: [&str; 2] = ["/ollama/api/", "/catalog/providers/{name}/api/"];

/// The routes of the router, in the form of the document: each path with its methods.
async fn served() -> BTreeMap<String, BTreeSet<String>> {
    let directory = tempfile::tempdir().expect("a directory");
    let url = format!("sqlite://{}", directory.path().join("c.db").display());
    let config = Config::new(&url).expect("usable");
    let catalog = Catalog::start(config).await.expect("it starts");
    let app = application(catalog.clone(), None, Router::new());
    // Routers list their paths nowhere else. Those of their fallbacks are private.
    let debug = format!("{app:?}");
    let mut paths: BTreeSet<&str> = BTreeSet::new();
    for text in debug.split('"').skip(1).step_by(2) {
        if text.starts_with('/') && !text.contains("__private") {
            paths.insert(text);
        }
    }
    assert!(
        paths.contains("/v1/models/{*id}") && paths.contains("/healthz"),
        "no paths in {debug}"
    );
    let mut served = BTreeMap::new();
    for path in paths {
        let example = path.replace(['{', '}', '*'], "");
        let request = Request::builder().method("PROPFIND").uri(&example);
        let request = request.body(Body::empty()).expect("a request");
        let answer = app.clone().oneshot(request).await.expect("an answer");
        let described = match path {
            // The wildcard has the end of the path in it.
            "/catalog/models/{*id}" => "/catalog/models/{id}/history".to_owned(),
            path => path.replace("{*", "{"),
        };
        let methods = match answer.status() {
            StatusCode::METHOD_NOT_ALLOWED => {
                let allowed = answer.headers()["allow"].to_str().expect("text");
                let allowed = allowed.split(',').map(str::to_lowercase);
                allowed.filter(|method| method != "head").collect()
            }
            // Any method.
            _ => BTreeSet::new(),
        };
        served.insert(described, methods);
    }
    catalog.stop().await;
    served
}

fn described() -> BTreeMap<String, BTreeSet<String>> {
    let document: Value = serde_json::from_slice(text()).expect("JSON");
    let paths = document["paths"].as_object().expect("paths");
    let methods = |item: &Value| item.as_object().expect("an item").keys().cloned().collect();
    let paths = paths.iter();
    paths
        .map(|(path, item)| (path.clone(), methods(item)))
        .collect()
}

#[tokio::test]
async fn every_route_is_in_the_document_and_every_path_of_it_is_served() {
    let mut served = served().await;
    for (path, why) in EXCEPTIONS {
        let found = served.remove(path);
        assert!(
            found.is_some(),
            "no route {path}, {why}: an exception too many"
        );
    }
    for below in NOT_SERVED_BELOW {
        for route in NOT_SERVED {
            let path = format!("{below}{route}");
            assert!(served.remove(&path).is_some(), "no route {path}");
        }
    }
    let described = described();
    for (path, methods) in &served {
        assert_eq!(
            described.get(path),
            Some(methods),
            "{path} is served and not in the document: give its handler #[utoipa::path], or add it to bases.rs"
        );
    }
    for path in described.keys() {
        assert!(
            served.contains_key(path),
            "{path} is in the document and not served"
        );
    }
}

#[test]
fn every_operation_has_a_name_of_its_own_and_every_reference_leads_somewhere() {
    let document: Value = serde_json::from_slice(text()).expect("JSON");
    assert_eq!(document["openapi"], "3.1.0");
    let mut names = BTreeSet::new();
    let mut references = 0;
    let mut rest = vec![&document];
    while let Some(value) = rest.pop() {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(name)) = fields.get("operationId") {
                    assert!(names.insert(name), "two operations are called {name}");
                }
                if let Some(Value::String(reference)) = fields.get("$ref") {
                    references += 1;
                    let pointer = reference.trim_start_matches('#');
                    assert!(document.pointer(pointer).is_some(), "{reference}");
                }
                rest.extend(fields.values());
            }
            Value::Array(items) => rest.extend(items),
            _ => {}
        }
    }
    assert!(
        names.len() > 30 && references > 100,
        "{names:?}, {references}"
    );
}
