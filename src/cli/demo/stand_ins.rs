//! Stand-ins for providers and local servers: each answers its list in the format of whom it plays, or
//! fails, as it is told.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Map, Value, json};

use super::diary::{Deed, Happening};
use crate::model::time::Timestamp;

/// Entries in a page of Google's list: to show that all pages are read.
const GOOGLE_PAGE: usize = 20;
/// Made-up models that each family has at the beginning.
const FAMILY: u32 = 36;
/// 2026-01-01T00:00:00Z, when the families were made.
const CREATED: i64 = 1_767_225_600;

/// Whom a stand-in plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plays {
    /// A provider with an OpenAI-compatible list, with prices and capabilities.
    OpenAi,
    /// Google.
    Google,
    /// Anthropic.
    Anthropic,
    /// A local server, which says little.
    Local,
}

/// The stand-ins, with the names of their families of models.
pub const STAND_INS: [(&str, Plays, Option<&str>); 7] = [
    ("openai", Plays::OpenAi, Some("borealis")),
    ("google", Plays::Google, Some("twin-peaks")),
    ("anthropic", Plays::Anthropic, Some("sonata")),
    ("acme", Plays::OpenAi, None),
    ("vega", Plays::OpenAi, Some("lyra")),
    ("gpu-box", Plays::Local, Some("llamarama")),
    ("workstation", Plays::Local, None),
];

/// How a stand-in answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// With its whole list.
    Well,
    /// Once with its first model alone, then well.
    Hiccup,
    /// With its first three models alone.
    Short,
    /// With this status, or not in time.
    Fails(Option<u16>),
}

/// One stand-in.
struct StandIn {
    plays: Plays,
    mood: Mood,
    models: BTreeMap<String, Map<String, Value>>,
}

/// All stand-ins.
#[derive(Clone)]
pub struct StandIns(Arc<Mutex<BTreeMap<String, StandIn>>>);

impl StandIns {
    /// Every family of models, and nothing else yet.
    pub fn new() -> Self {
        let stand_in = |(name, plays, family): (&str, Plays, Option<&str>)| {
            let members =
                family.map(|family| (1..=FAMILY).map(move |number| member(family, number)));
            let models = members.into_iter().flatten().collect();
            let mood = Mood::Well;
            (
                name.to_owned(),
                StandIn {
                    plays,
                    mood,
                    models,
                },
            )
        };
        Self(Arc::new(Mutex::new(
            STAND_INS.into_iter().map(stand_in).collect(),
        )))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, StandIn>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes `source` answer so.
    pub fn set_mood(&self, source: &str, mood: Mood) {
        if let Some(stand_in) = self.lock().get_mut(source) {
            stand_in.mood = mood;
        }
    }

    /// Does what `happening` tells.
    pub fn act(&self, happening: &Happening) {
        let Happening { source, deed } = happening;
        let mood = match deed {
            Deed::Lists(id, said) => {
                if let Some(stand_in) = self.lock().get_mut(source) {
                    let model = stand_in
                        .models
                        .entry(id.clone())
                        .or_insert_with(|| dress(id));
                    model.extend(said.clone());
                }
                return;
            }
            Deed::Drops(id) => {
                if let Some(stand_in) = self.lock().get_mut(source) {
                    stand_in.models.remove(id);
                }
                return;
            }
            Deed::Recovers => Mood::Well,
            Deed::Hiccups => Mood::Hiccup,
            Deed::Fails(status) => Mood::Fails(*status),
        };
        self.set_mood(source, mood);
    }

    /// Changes something in the family of `source`: in turn a new model, a larger context window, and a
    /// model that goes and comes back the next time.
    pub fn change(&self, source: &str, turn: u32) {
        let family = STAND_INS.iter().find(|(name, ..)| *name == source);
        let Some(family) = family.and_then(|(_, _, family)| *family) else {
            return;
        };
        let (next, goes) = (member(family, FAMILY + 1 + turn / 4), member(family, 3));
        if let Some(stand_in) = self.lock().get_mut(source) {
            let models = &mut stand_in.models;
            match turn % 4 {
                0 => drop(models.insert(next.0, next.1)),
                1 => {
                    let first = models.values_mut().next();
                    let window = first.and_then(|model| model.get_mut("context_window"));
                    if let Some(window) = window {
                        *window = (window.as_i64().unwrap_or(0) * 2).into();
                    }
                }
                2 => drop(models.remove(&goes.0)),
                _ => drop(models.insert(goes.0, goes.1)),
            }
        }
    }

    /// The routes of all: `/{name}/…`.
    pub fn router(self) -> Router {
        Router::new()
            .route("/{name}/{*path}", get(list))
            .with_state(self)
    }
}

/// The member of `family` with this number.
fn member(family: &str, number: u32) -> (String, Map<String, Value>) {
    const SIZES: [&str; 4] = ["nano", "mini", "large", "max"];
    let size = SIZES[number as usize % SIZES.len()];
    let id = format!("{family}-{number}-{size}");
    let mut model = dress(&id);
    model.insert("created".to_owned(), CREATED.into());
    model.insert("context_window".to_owned(), (8_192 << (number % 5)).into());
    model.insert(
        "max_output_tokens".to_owned(),
        (2_048 << (number % 4)).into(),
    );
    (id, model)
}

/// What is said of the model `id` besides its limits: small ones cost less and do less.
fn dress(id: &str) -> Map<String, Value> {
    let is_small = ["nano", "mini", "small", "lite", "flash"]
        .iter()
        .any(|size| id.contains(size));
    let (input, output) = if is_small {
        ("0.00000015", "0.0000006")
    } else {
        ("0.0000025", "0.00001")
    };
    let capabilities: &[&str] = if is_small {
        &["tools"]
    } else {
        &["reasoning", "tools", "vision"]
    };
    let modalities: &[&str] = if is_small {
        &["text"]
    } else {
        &["image", "text"]
    };
    let dressed = json!({
        "created": 0,
        "pricing": {"prompt": input, "completion": output},
        "capabilities": capabilities,
        "architecture": {"input_modalities": modalities, "output_modalities": ["text"]},
    });
    match dressed {
        Value::Object(fields) => fields,
        // It is one.
        _ => Map::new(),
    }
}

async fn list(
    State(stand_ins): State<StandIns>,
    Path((name, path)): Path<(String, String)>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    let answer = {
        let mut all = stand_ins.lock();
        let Some(stand_in) = all.get_mut(&name).filter(|_| path.ends_with("models")) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        let start = query.get("pageToken").and_then(|token| token.parse().ok());
        stand_in.answer(start.unwrap_or(0))
    };
    match answer {
        Ok(list) => Json(list).into_response(),
        Err(Some(status)) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
            let body = json!({"error": {"message": "made up for the demo"}});
            (status, Json(body)).into_response()
        }
        Err(None) => std::future::pending().await,
    }
}

impl StandIn {
    /// Its list from the entry `start` on, or the status with which it fails.
    fn answer(&mut self, start: usize) -> Result<Value, Option<u16>> {
        let count = match self.mood {
            Mood::Fails(status) => return Err(status),
            Mood::Well => self.models.len(),
            Mood::Short => 3,
            Mood::Hiccup => {
                self.mood = Mood::Well;
                1
            }
        };
        let entries = self
            .models
            .iter()
            .take(count)
            .map(|(id, model)| entry(self.plays, id, model));
        let entries: Vec<Value> = entries.collect();
        Ok(match self.plays {
            Plays::OpenAi | Plays::Local => json!({"object": "list", "data": entries}),
            Plays::Anthropic => json!({"data": entries, "has_more": false}),
            Plays::Google => {
                let end = (start + GOOGLE_PAGE).min(entries.len());
                let page = entries.get(start..end).unwrap_or_default();
                let mut answer = json!({"models": page});
                if end < entries.len() {
                    answer["nextPageToken"] = end.to_string().into();
                }
                answer
            }
        })
    }
}

/// A model as whom `plays` would write it.
fn entry(plays: Plays, id: &str, model: &Map<String, Value>) -> Value {
    let get = |field: &str| model.get(field).cloned().unwrap_or(Value::Null);
    match plays {
        Plays::OpenAi => {
            let mut entry = json!({"id": id, "object": "model", "owned_by": "demo"});
            if let Value::Object(fields) = &mut entry {
                fields.extend(model.clone());
            }
            entry
        }
        Plays::Google => json!({
            "name": format!("models/{id}"), "displayName": id,
            "inputTokenLimit": get("context_window"), "outputTokenLimit": get("max_output_tokens"),
            "supportedGenerationMethods": ["generateContent", "countTokens"],
            "thinking": get("capabilities").as_array().is_some_and(|all| all.len() > 1),
        }),
        Plays::Anthropic => {
            let seconds = get("created").as_i64().unwrap_or(0);
            let name = match get("display_name") {
                Value::Null => id.into(),
                name => name,
            };
            json!({
                "type": "model", "id": id, "display_name": name,
                "created_at": Timestamp::from_millis(seconds * 1_000),
                "max_input_tokens": get("context_window"), "max_tokens": get("max_output_tokens"),
                "lifecycle": get("lifecycle"), "retires_at": get("retires_at"),
                "pricing": get("pricing"),
            })
        }
        Plays::Local => json!({
            "id": id, "object": "model", "owned_by": "vllm", "max_model_len": get("context_window"),
        }),
    }
}
