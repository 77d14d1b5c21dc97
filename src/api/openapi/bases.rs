//! The routes that one handler answers under several paths, and the shapes that each has: the handler says
//! what it does once, at its first path.

use utoipa::{
    Modify, PartialSchema,
    openapi::{
        OpenApi, PathItem, RefOr, Required,
        path::{HttpMethod, Operation, Parameter, ParameterBuilder, ParameterIn},
    },
};

use super::answers::set_answer;
use crate::model::source::SourceName;

/// A list that is served under a path.
struct List {
    path: &'static str,
    /// What is put behind the names of its operations.
    suffix: &'static str,
    tag: &'static str,
    dialect: Dialect,
}

/// The dialects that a path may have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    /// The headers decide.
    Any,
    OpenAi,
    Gemini,
    Ollama,
}

/// The parameters that only some dialects know.
const PARAMETERS: [(&str, &[Dialect]); 11] = [
    ("fields", &[Dialect::Any, Dialect::OpenAi]),
    ("limit", &[Dialect::Any, Dialect::OpenAi]),
    ("after", &[Dialect::Any, Dialect::OpenAi]),
    ("after_id", &[Dialect::Any]),
    ("before_id", &[Dialect::Any]),
    ("lifecycle[]", &[Dialect::Any]),
    ("pageSize", &[Dialect::Any, Dialect::Gemini]),
    ("pageToken", &[Dialect::Any, Dialect::Gemini]),
    ("anthropic-version", &[Dialect::Any]),
    ("x-goog-api-client", &[Dialect::Any]),
    ("provider", &[]),
];

impl List {
    fn is_of_source(&self) -> bool {
        self.path.contains("{name}")
    }

    /// Whether its operations have the parameter.
    fn knows(&self, parameter: &str) -> bool {
        if parameter == "provider" {
            return !self.is_of_source();
        }
        let mut known = PARAMETERS.iter();
        let dialects = known.find(|(name, _)| *name == parameter);
        dialects.is_none_or(|(_, dialects)| dialects.contains(&self.dialect))
    }

    /// What is said of its operations beside their summary: which shape they have, as the handlers have it
    /// where the headers decide.
    fn describe(&self, merged: &Operation, own: &Operation) -> Option<String> {
        let shape = match self.dialect {
            Dialect::Any if self.is_of_source() => return own.description.clone(),
            Dialect::Any => return merged.description.clone(),
            Dialect::OpenAi => "OpenAI's",
            Dialect::Gemini => "Gemini's",
            Dialect::Ollama => "Ollama's",
        };
        Some(format!("In {shape} shape."))
    }

    /// The schemas that the list may have, and those of one model.
    fn schemas(&self) -> (&'static [&'static str], &'static [&'static str]) {
        match (self.dialect, self.is_of_source()) {
            (Dialect::Any, false) => (
                &[
                    "ModelList",
                    "ModelFieldsList",
                    "AnthropicModelList",
                    "GeminiModelList",
                ],
                &["Model", "AnthropicModel", "GeminiModel"],
            ),
            (Dialect::Any, true) => (
                &[
                    "OwnModelList",
                    "OwnAnthropicModelList",
                    "OwnGeminiModelList",
                ],
                &["OwnModel", "OwnAnthropicModel", "OwnGeminiModel"],
            ),
            (Dialect::OpenAi, false) => (&["ModelList", "ModelFieldsList"], &["Model"]),
            (Dialect::OpenAi, true) => (&["OwnModelList"], &["OwnModel"]),
            (Dialect::Gemini, false) => (&["GeminiModelList"], &["GeminiModel"]),
            (Dialect::Gemini, true) => (&["OwnGeminiModelList"], &["OwnGeminiModel"]),
            (Dialect::Ollama, _) => (&["OllamaModelList"], &[]),
        }
    }
}

/// Every list.
const LISTS: [List; 10] = [
    List {
        path: "/v1/models",
        suffix: "",
        tag: "models",
        dialect: Dialect::Any,
    },
    List {
        path: "/v1beta/models",
        suffix: "AsGemini",
        tag: "models",
        dialect: Dialect::Gemini,
    },
    List {
        path: "/v1beta/openai/models",
        suffix: "AsOpenAi",
        tag: "models",
        dialect: Dialect::OpenAi,
    },
    List {
        path: "/ollama/v1/models",
        suffix: "BelowOllama",
        tag: "ollama",
        dialect: Dialect::Any,
    },
    List {
        path: "/ollama/api/tags",
        suffix: "AsOllama",
        tag: "ollama",
        dialect: Dialect::Ollama,
    },
    List {
        path: "/catalog/providers/{name}/v1/models",
        suffix: "OfSource",
        tag: "sources",
        dialect: Dialect::Any,
    },
    List {
        path: "/catalog/providers/{name}/v1beta/models",
        suffix: "OfSourceAsGemini",
        tag: "sources",
        dialect: Dialect::Gemini,
    },
    List {
        path: "/catalog/providers/{name}/v1beta/openai/models",
        suffix: "OfSourceAsOpenAi",
        tag: "sources",
        dialect: Dialect::OpenAi,
    },
    List {
        path: "/catalog/providers/{name}/models",
        suffix: "OfSourceWithoutVersion",
        tag: "sources",
        dialect: Dialect::OpenAi,
    },
    List {
        path: "/catalog/providers/{name}/api/tags",
        suffix: "OfSourceAsOllama",
        tag: "sources",
        dialect: Dialect::Ollama,
    },
];

/// What a base of Ollama's has beside lists: the path of the merged one, and what comes behind a source's.
const OLLAMA: [(&str, &str); 4] = [
    ("/ollama", ""),
    ("/ollama/api/version", "/api/version"),
    ("/ollama/api/ps", "/api/ps"),
    ("/ollama/api/show", "/api/show"),
];

/// A source's base.
const BASE: &str = "/catalog/providers/{name}";

/// Adds the paths that handlers do not name themselves.
pub struct Bases;

impl Modify for Bases {
    fn modify(&self, document: &mut OpenApi) {
        let get = |document: &OpenApi, path: &str| {
            let item = document.paths.paths.get(path)?;
            item.get.clone()
        };
        let (Some(list), Some(retrieve), Some(own)) = (
            get(document, "/v1/models"),
            get(document, "/v1/models/{id}"),
            get(document, "/catalog/providers/{name}/v1/models"),
        ) else {
            // A test finds the paths that are not there.
            return;
        };
        for place in &LISTS {
            let (lists, models) = place.schemas();
            let mut here = adapted(&list, place);
            if place.is_of_source() {
                here.summary.clone_from(&own.summary);
                here.responses = own.responses.clone();
            }
            here.description = place.describe(&list, &own);
            here.operation_id = Some(format!("listModels{}", place.suffix));
            set_answer(&mut here, lists);
            insert(document, place.path, HttpMethod::Get, here);
            if !models.is_empty() {
                let mut here = adapted(&retrieve, place);
                if place.is_of_source() {
                    here.summary = Some(
                        "One model of a source's own list, as the source has sent it.".to_owned(),
                    );
                }
                here.description = place.describe(&retrieve, &own);
                here.operation_id = Some(format!("getModel{}", place.suffix));
                set_answer(&mut here, models);
                let path = format!("{}/{{id}}", place.path);
                insert(document, &path, HttpMethod::Get, here);
            }
        }
        for (path, below) in OLLAMA {
            let Some(item) = document.paths.paths.get(path).cloned() else {
                continue;
            };
            for (method, operation) in [(HttpMethod::Get, item.get), (HttpMethod::Post, item.post)]
            {
                if let Some(operation) = operation {
                    let here = of_source(operation);
                    insert(document, &format!("{BASE}{below}"), method, here);
                }
            }
        }
    }
}

/// The `operation` of a list for the one in this `place`.
fn adapted(operation: &Operation, place: &List) -> Operation {
    let mut here = operation.clone();
    here.tags = Some(vec![place.tag.to_owned()]);
    if let Some(parameters) = &mut here.parameters {
        parameters.retain(|parameter| match parameter {
            RefOr::T(parameter) => place.knows(&parameter.name),
            RefOr::Ref(_) => true,
        });
        if place.is_of_source() {
            parameters.insert(0, RefOr::T(name()));
        }
    }
    here
}

/// An Ollama's `operation` below the base of a source.
fn of_source(operation: Operation) -> Operation {
    let mut here = operation;
    here.tags = Some(vec!["sources".to_owned()]);
    here.operation_id = here.operation_id.map(|id| format!("{id}OfSource"));
    here.parameters
        .get_or_insert_default()
        .insert(0, RefOr::T(name()));
    here.responses
        .responses
        .entry("404".to_owned())
        .or_insert_with(|| {
            RefOr::T(utoipa::openapi::Response::new(
                "No configured Ollama has that name",
            ))
        });
    here
}

/// The source of a base.
fn name() -> Parameter {
    ParameterBuilder::new()
        .name("name")
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(
            "The name of a source: `GET /catalog/sources` lists them",
        ))
        .schema(Some(SourceName::schema()))
        .build()
}

fn insert(document: &mut OpenApi, path: &str, method: HttpMethod, operation: Operation) {
    let item = PathItem::new(method, operation);
    document.paths.paths.insert(path.to_owned(), item);
}
