//! `model-catalog demo`: runs stand-ins of three providers and a local server inside the process,
//! with made-up models, one of which changes each minute. The demo reads no keys, settings or
//! database of the machine and probes no ports.

use std::{
    collections::HashMap,
    future::Future,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Query, State},
    routing::get,
};
use chrono::TimeDelta;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{
    config::{Config, error::ConfigError, source::SourceConfig},
    model::source::Kind,
    server::{self, RunError},
};

/// How often one model changes.
const CHANGE_INTERVAL: Duration = Duration::from_secs(60);
/// A short TTL, so that changes show quickly.
const TTL: TimeDelta = TimeDelta::seconds(10);
/// 2026-01-01T00:00:00Z, the creation time of the made-up models.
const CREATED: i64 = 1_767_225_600;

/// Why the demo cannot run.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The stand-ins or the temporary directory could not be made.
    #[error("cannot start the demo: {0}")]
    Io(#[from] io::Error),
    /// The stand-ins' addresses were refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The service failed.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Serves the stand-ins' models on `listener` until `shutdown` ends, from a database in a temporary
/// directory.
pub async fn run(
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), DemoError> {
    let directory = tempfile::tempdir()?;
    let stand_ins = TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", stand_ins.local_addr()?);
    let database = directory.path().join("catalog.db");
    let mut config = Config::new(&format!("sqlite://{}", database.display()))?;
    config.sources = vec![
        SourceConfig::provider("openai", Kind::OpenAi, &format!("{base}/openai/v1"), None)?,
        SourceConfig::provider("google", Kind::Google, &format!("{base}/google"), None)?,
        SourceConfig::provider(
            "anthropic",
            Kind::Anthropic,
            &format!("{base}/anthropic"),
            None,
        )?,
        SourceConfig::endpoint("demo-box", &format!("{base}/box"))?,
    ];
    for source in &mut config.sources {
        source.ttl = TTL;
    }
    let made_up = MadeUp::new();
    let standing_in = async {
        // Ends only with an error. The service goes on without the stand-ins, as it would with real
        // providers.
        if let Err(error) = axum::serve(stand_ins, made_up.clone().router()).await {
            tracing::error!(%error, "the stand-in providers failed");
        }
        std::future::pending().await
    };
    tracing::info!("a demo with made-up models: one of them changes each minute");
    tokio::select! {
        ended = server::run(config, listener, shutdown) => Ok(ended?),
        never = standing_in => never,
        never = made_up.change_for_ever() => never,
    }
}

/// The made-up models of each stand-in.
#[derive(Clone)]
struct MadeUp {
    openai: Arc<Mutex<Family>>,
    google: Arc<Mutex<Family>>,
    anthropic: Arc<Mutex<Family>>,
    local: Arc<Mutex<Family>>,
}

/// The models of one stand-in: name and context window.
struct Family {
    models: Vec<(String, u32)>,
    next: u32,
    prefix: &'static str,
}

impl Family {
    fn new(prefix: &'static str) -> Arc<Mutex<Self>> {
        let mut family = Self {
            models: Vec::new(),
            next: 1,
            prefix,
        };
        for _ in 0..36 {
            family.add();
        }
        Arc::new(Mutex::new(family))
    }

    fn add(&mut self) {
        const SIZES: [&str; 4] = ["nano", "mini", "large", "max"];
        let size = SIZES[self.next as usize % SIZES.len()];
        let (prefix, number) = (self.prefix, self.next);
        self.models
            .push((format!("{prefix}-{number}-{size}"), 8192 << (number % 5)));
        self.next += 1;
    }

    /// Applies one change: adds a model, enlarges a context window, or removes a model.
    fn change(&mut self, turn: u64) {
        match turn % 3 {
            0 => self.add(),
            1 => {
                if let Some((_, context_window)) = self.models.last_mut() {
                    *context_window += 8192;
                }
            }
            _ => {
                self.models.remove(0);
            }
        }
    }
}

fn lock(family: &Mutex<Family>) -> MutexGuard<'_, Family> {
    family.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MadeUp {
    fn new() -> Self {
        Self {
            openai: Family::new("borealis"),
            google: Family::new("twin-peaks"),
            anthropic: Family::new("sonata"),
            local: Family::new("llamarama"),
        }
    }

    async fn change_for_ever<T>(&self) -> T {
        let families = [&self.openai, &self.google, &self.anthropic, &self.local];
        let mut turn = 0;
        loop {
            for family in families {
                tokio::time::sleep(CHANGE_INTERVAL).await;
                lock(family).change(turn);
            }
            turn += 1;
        }
    }

    fn router(self) -> Router {
        Router::new()
            .route("/openai/v1/models", get(openai))
            .route("/google/v1beta/models", get(google))
            .route("/anthropic/v1/models", get(anthropic))
            .route("/box/v1/models", get(local))
            .with_state(self)
    }
}

async fn openai(State(made_up): State<MadeUp>) -> Json<Value> {
    let model = |(id, context_window): &(String, u32)| {
        json!({
            "id": id, "object": "model", "created": CREATED, "owned_by": "system",
            "context_window": context_window,
        })
    };
    let data: Vec<Value> = lock(&made_up.openai).models.iter().map(model).collect();
    Json(json!({"object": "list", "data": data}))
}

/// Pages of 20, to show that the catalog reads all of them.
async fn google(
    State(made_up): State<MadeUp>,
    Query(query): Query<HashMap<String, String>>,
) -> Json<Value> {
    let family = lock(&made_up.google);
    let start: usize = query
        .get("pageToken")
        .and_then(|token| token.parse().ok())
        .unwrap_or(0);
    let models: Vec<Value> = family
        .models
        .iter()
        .skip(start)
        .take(20)
        .map(|(id, context_window)| {
            json!({
                "name": format!("models/{id}"), "displayName": id, "inputTokenLimit": context_window,
                "outputTokenLimit": 8192, "supportedGenerationMethods": ["generateContent"],
            })
        })
        .collect();
    let mut answer = json!({ "models": models });
    if start + 20 < family.models.len() {
        answer["nextPageToken"] = (start + 20).to_string().into();
    }
    Json(answer)
}

async fn anthropic(State(made_up): State<MadeUp>) -> Json<Value> {
    let model = |(id, context_window): &(String, u32)| {
        json!({
            "type": "model", "id": id, "display_name": id, "created_at": "2026-01-01T00:00:00Z",
            "max_input_tokens": context_window, "max_tokens": 8192,
        })
    };
    let data: Vec<Value> = lock(&made_up.anthropic).models.iter().map(model).collect();
    Json(json!({"data": data, "has_more": false}))
}

async fn local(State(made_up): State<MadeUp>) -> Json<Value> {
    let model = |(id, context_window): &(String, u32)| {
        json!({
            "id": id, "object": "model", "created": CREATED, "owned_by": "vllm",
            "max_model_len": context_window,
        })
    };
    let data: Vec<Value> = lock(&made_up.local).models.iter().map(model).collect();
    Json(json!({"object": "list", "data": data}))
}
