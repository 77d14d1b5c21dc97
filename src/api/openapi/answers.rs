//! What many answers have in common: the shapes of errors, headers, and that a field which need not be
//! there is never null.

use utoipa::{
    Modify,
    openapi::{
        Components, Content, Header, OpenApi, Ref, RefOr, Response, Schema,
        path::{Operation, PathItem},
        schema::{AnyOf, Object, SchemaType, Type},
    },
};

const JSON: &str = "application/json";

/// Completes the answers of every operation, and the schemas.
pub struct Answers;

impl Modify for Answers {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_default();
        for schema in components.schemas.values_mut() {
            settle(schema);
        }
        for (path, item) in &mut document.paths.paths {
            for operation in operations(item) {
                complete(path, operation, components);
            }
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    item.get.iter_mut().chain(&mut item.post)
}

/// Says that the operation answers with one of these schemas.
pub fn set_answer(operation: &mut Operation, schemas: &[&str]) {
    if let Some(RefOr::T(answer)) = operation.responses.responses.get_mut("200") {
        answer.content = [(JSON.to_owned(), RefOr::T(content(schemas)))].into();
    }
}

/// One of these schemas as JSON.
fn content(schemas: &[&str]) -> Content {
    let mut references: Vec<RefOr<Schema>> = schemas
        .iter()
        .map(|name| RefOr::Ref(Ref::from_schema_name(*name)))
        .collect();
    let schema = match references.len() {
        1 => references.remove(0),
        _ => {
            // Not `oneOf`: an empty list has several shapes at once.
            let mut any = AnyOf::new();
            any.items = references;
            RefOr::T(Schema::AnyOf(any))
        }
    };
    Content::new(Some(schema))
}

/// The shapes of an error of the route at `path`, and what they are called together.
fn errors(path: &str) -> (&'static str, &'static [&'static str]) {
    if path.contains("/api/") || path == "/ollama" {
        ("Ollama", &["OllamaError"])
    } else if path.contains("/v1beta/models") {
        ("Gemini", &["GeminiError"])
    } else if path.contains("/v1/models") {
        ("Any", &["Error", "AnthropicError", "GeminiError"])
    } else {
        ("", &["Error"])
    }
}

/// A failure that many routes may answer.
struct Failure {
    status: &'static str,
    name: &'static str,
    description: &'static str,
    /// Whether routes that anybody may ask have it too.
    is_of_any: bool,
}

const FAILURES: [Failure; 5] = [
    Failure {
        status: "400",
        name: "Invalid",
        description: "Something in the request is invalid: the code says what",
        is_of_any: true,
    },
    Failure {
        status: "401",
        name: "NoKey",
        description: "A key is needed, and none or an unknown one was sent",
        is_of_any: false,
    },
    Failure {
        status: "403",
        name: "Forbidden",
        description: "This caller, or a page of this origin, may not ask",
        is_of_any: true,
    },
    Failure {
        status: "500",
        name: "Fault",
        description: "A fault of the catalog",
        is_of_any: false,
    },
    Failure {
        status: "503",
        name: "NotNow",
        description: "Not at the moment: the code says why",
        is_of_any: false,
    },
];

/// Adds the failures that an operation does not name, and the shapes of those that it names.
fn complete(path: &str, operation: &mut Operation, components: &mut Components) {
    // An operation with a rule of its own is open to everybody.
    let is_open = operation.security.is_some();
    let (dialect, errors) = errors(path);
    let errors = content(errors);
    let answers = &mut operation.responses.responses;
    for (status, answer) in &mut *answers {
        let RefOr::T(answer) = answer else { continue };
        if status.starts_with(['4', '5']) && answer.content.is_empty() {
            answer.content = [(JSON.to_owned(), RefOr::T(errors.clone()))].into();
        }
        if status == "200" {
            answer
                .headers
                .insert("Catalog-Revision".to_owned(), revision());
        }
    }
    for failure in FAILURES {
        if answers.contains_key(failure.status) || is_open && !failure.is_of_any {
            continue;
        }
        let name = format!("{dialect}{}", failure.name);
        let reference = RefOr::Ref(Ref::from_response_name(&name));
        answers.insert(failure.status.to_owned(), reference);
        components.responses.entry(name).or_insert_with(|| {
            let mut response = Response::new(failure.description);
            response.content = [(JSON.to_owned(), RefOr::T(errors.clone()))].into();
            RefOr::T(response)
        });
    }
}

fn revision() -> RefOr<Header> {
    let mut header = Header::new(Object::with_type(Type::Integer));
    header.description = Some("The revision that the answer is of".to_owned());
    RefOr::T(header)
}

/// Makes an answer's schema say what serializing does: a field that may be left out is left out rather than
/// null.
fn settle(schema: &mut RefOr<Schema>) {
    let RefOr::T(schema) = schema else { return };
    match schema {
        Schema::Object(object) => {
            for (name, property) in &mut object.properties {
                if !object.required.contains(name) {
                    let given = std::mem::replace(property, RefOr::T(Schema::default()));
                    *property = without_null(given);
                }
                settle(property);
            }
        }
        Schema::AllOf(all) => all.items.iter_mut().for_each(settle),
        _ => {}
    }
}

fn without_null(schema: RefOr<Schema>) -> RefOr<Schema> {
    let narrow = |kind: &mut SchemaType| {
        if let SchemaType::Array(types) = kind {
            types.retain(|kind| *kind != Type::Null);
            if let [only] = types.as_slice() {
                *kind = SchemaType::Type(only.clone());
            }
        }
    };
    match schema {
        RefOr::T(Schema::Object(mut object)) => {
            narrow(&mut object.schema_type);
            RefOr::T(Schema::Object(object))
        }
        RefOr::T(Schema::Array(mut array)) => {
            narrow(&mut array.schema_type);
            RefOr::T(Schema::Array(array))
        }
        RefOr::T(Schema::OneOf(mut one)) => {
            let is_null = |item: &RefOr<Schema>| matches!(item, RefOr::T(Schema::Object(object)) if object.schema_type == SchemaType::Type(Type::Null));
            one.items.retain(|item| !is_null(item));
            match one.items.len() {
                1 => one.items.remove(0),
                _ => RefOr::T(Schema::OneOf(one)),
            }
        }
        other => other,
    }
}
