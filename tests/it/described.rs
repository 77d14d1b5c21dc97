//! The OpenAPI document as a checker of answers: stricter than for clients, since it knows no field that is not
//! in it.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::helpers::{Answer, TestApp};

/// The document, and the operations that have been tried.
pub struct Described {
    pub document: Value,
    /// The schemas, with no field that they do not name.
    components: Value,
    pub succeeded: BTreeSet<String>,
}

impl Described {
    pub fn new() -> Self {
        let document: Value =
            serde_json::from_str(include_str!("../../docs/openapi.json")).expect("JSON");
        let mut components = document["components"].clone();
        let schemas = components["schemas"].as_object_mut().expect("schemas");
        let parts: BTreeSet<String> = schemas
            .values()
            .filter_map(|schema| schema["allOf"].as_array())
            .flatten()
            .filter_map(|part| Some(part["$ref"].as_str()?.rsplit('/').next()?.to_owned()))
            .collect();
        for (name, schema) in schemas {
            let schema = schema.as_object_mut().expect("an object");
            if schema.contains_key("allOf") {
                schema.insert("unevaluatedProperties".to_owned(), json!(false));
            } else if schema.contains_key("properties") && !parts.contains(name) {
                schema
                    .entry("additionalProperties")
                    .or_insert_with(|| json!(false));
            }
        }
        Self {
            document,
            components,
            succeeded: BTreeSet::new(),
        }
    }

    /// The operation of `path` in the document.
    fn operation(&self, method: &Method, path: &str) -> &Map<String, Value> {
        let path = path.split('?').next().expect("a path");
        let segments: Vec<&str> = path.split('/').collect();
        let paths = self.document["paths"].as_object().expect("paths");
        let fits = |template: &str| {
            let template: Vec<&str> = template.split('/').collect();
            let mut pairs = template.iter().zip(&segments);
            template.len() == segments.len()
                && pairs.all(|(part, given)| part == given || part.starts_with('{'))
        };
        // A path as it is comes before one with a wildcard.
        let best = paths.iter().filter(|(template, _)| fits(template));
        let best = best.min_by_key(|(template, _)| template.matches('{').count());
        let (_, item) = best.unwrap_or_else(|| panic!("{path} is not in the document"));
        let operation = &item[method.as_str().to_lowercase()];
        operation.as_object().expect("an operation")
    }

    /// Fails unless `answer` is what the document says.
    fn check(&mut self, method: &Method, path: &str, status: u16, answer: &Answer) {
        let place = format!("{method} {path}");
        let text = String::from_utf8_lossy(&answer.body);
        assert_eq!(answer.status, status, "{place}: {text}");
        let operation = self.operation(method, path);
        let name = operation["operationId"]
            .as_str()
            .expect("a name")
            .to_owned();
        let mut response = operation["responses"][status.to_string()].clone();
        if let Some(reference) = response["$ref"].as_str() {
            let found = self.document.pointer(&reference[1..]);
            response = found.expect("a response").clone();
        }
        assert!(response.is_object(), "{place}: no {status} in the document");
        if status < 300 {
            self.succeeded.insert(name);
        }
        let Some(content) = response["content"].as_object() else {
            assert!(text.is_empty(), "{place}: {text}");
            return;
        };
        let content_type = answer.header("content-type").expect("a type");
        let content = content
            .get(content_type)
            .or_else(|| content.get(content_type.split(';').next()?));
        let content =
            content.unwrap_or_else(|| panic!("{place}: {content_type} is not in the document"));
        if content_type != "application/json" {
            return;
        }
        let mut schema = content["schema"].clone();
        schema["components"] = self.components.clone();
        let validator = jsonschema::options()
            .should_validate_formats(true)
            .build(&schema)
            .expect("a schema");
        let body = answer.json();
        let errors: Vec<String> = validator
            .iter_errors(&body)
            .map(|error| format!("{} at {}", error, error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{place}: {}\n{body}", errors.join("\n"));
    }

    pub async fn get(&mut self, app: &TestApp, path: &str, headers: &[(&str, &str)], status: u16) {
        let mut request = app.http.get(app.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = app.send(request).await;
        self.check(&Method::GET, path, status, &answer);
    }

    pub async fn post(&mut self, app: &TestApp, path: &str, body: &Value, status: u16) {
        let answer = app.send(app.http.post(app.url(path)).json(body)).await;
        self.check(&Method::POST, path, status, &answer);
    }
}
