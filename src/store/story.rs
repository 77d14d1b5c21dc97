//! The example story: half a year of a made-up catalog, told through the store's own operations, and
//! what the views and the questions in `docs/sql.md` say of it. No model in it is a fact.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    time::Duration,
};

use sqlx::{AssertSqlSafe, Column, Row};

use super::Store;
use crate::{
    config::{Config, PROVIDER_TTL, SourceConfig},
    model::{Attributes, Entry, Kind, Listing, Role},
    provider::{ErrorKind, FetchError, Fetched},
    schedule::{self, ClaimMode},
    time::Timestamp,
};

const DOCS: &str = include_str!("../../docs/sql.md");

/// How a source answers.
#[derive(Clone, Default)]
enum Mood {
    /// With its whole list.
    #[default]
    Well,
    /// Once with its first model alone, then well.
    Hiccup,
    /// Not at all.
    Fails(FetchError),
}

/// A database and the world that it hears from.
struct Story {
    _directory: tempfile::TempDir,
    store: Store,
    sources: Vec<SourceConfig>,
    /// By source and model id, what each source would list.
    lists: BTreeMap<&'static str, BTreeMap<&'static str, Attributes>>,
    moods: BTreeMap<&'static str, Mood>,
    attempts: u64,
    now: Timestamp,
}

/// The story, told to its end.
async fn tell() -> Story {
    let mut story = Story::begin("2026-06-15T06:00").await;
    story.lists("openai", "gpt-w", model("2025-03-01", 64_000, 8_192));
    story.lists("openai", "gpt-x", model("2026-02-01", 128_000, 16_384));
    story.lists("openai", "gpt-x-mini", model("2026-02-01", 128_000, 32_768));
    story.lists("google", "gemini-w-pro", model("0", 500_000, 8_192));
    story.lists("google", "gemini-w-flash", model("0", 500_000, 8_192));
    story.lists("google", "gemini-x-pro", model("0", 1_000_000, 65_536));
    story.lists("google", "gemini-x-flash", model("0", 1_000_000, 65_536));
    story.lists("anthropic", "claude-w", model("2025-05-20", 200_000, 8_192));
    story.lists(
        "anthropic",
        "claude-x",
        model("2026-03-10", 200_000, 32_000),
    );
    story.lists(
        "anthropic",
        "claude-x-small",
        model("2026-03-10", 200_000, 16_000),
    );
    story.lists("acme", "acme-x-large", model("2026-01-15", 128_000, 8_192));
    story.lists("acme", "acme-x-small", model("2026-01-15", 32_000, 8_192));
    story.lists("gpu-box", "pebble-x-70b", local_model(131_072));
    story.lists("gpu-box", "pebble-x-8b", local_model(131_072));
    story.lists("workstation", "pebble-x-8b", local_model(32_768));

    story.until("2026-07-08T00:00").await;
    story.changes("openai", "gpt-w", |model| {
        model.lifecycle = Some("deprecated".to_owned());
        model.deprecated_at = Some(at("2026-07-08"));
        model.retires_at = Some(at("2026-10-15"));
    });
    story.until("2026-07-20T00:00").await;
    story.lists("google", "gemini-x-lite", model("0", 1_000_000, 8_192));
    story.until("2026-08-12T00:00").await;
    story.changes("openai", "gpt-x", |model| {
        model.context_window = Some(256_000)
    });
    story.until("2026-08-19T00:00").await;
    story.lists("gpu-box", "pebble-y-8b", local_model(262_144));
    story.until("2026-09-01T00:00").await;
    story.changes("google", "gemini-w-flash", |model| {
        model.retires_at = Some(at("2026-09-30"))
    });
    story.changes("google", "gemini-w-pro", |model| {
        model.retires_at = Some(at("2026-10-31"))
    });

    story.until("2026-09-08T00:00").await;
    story.drops("openai", "gpt-x");
    story.until("2026-09-11T00:00").await;
    story.lists("openai", "gpt-x", model("2026-02-01", 256_000, 16_384));
    story.until("2026-09-14T00:00").await;
    story.fails(
        "google",
        ErrorKind::Timeout,
        None,
        "no whole list within 10 s",
    );
    story.until("2026-09-15T12:00").await;
    story.fails(
        "google",
        ErrorKind::Unavailable,
        Some(503),
        "503: the model list is overloaded",
    );
    story.until("2026-09-17T09:00").await;
    story.is_in("google", Mood::Well);
    story.until("2026-09-22T00:00").await;
    story.lists("workstation", "pebble-y-8b", local_model(32_768));

    story.until("2026-10-01T00:00").await;
    story.lists(
        "anthropic",
        "claude-y",
        model("2026-09-29", 400_000, 64_000),
    );
    story.changes("anthropic", "claude-w", |model| {
        model.lifecycle = Some("deprecated".to_owned());
        model.retires_at = Some(at("2026-11-30"));
    });
    story.until("2026-10-05T00:00").await;
    story.is_in("google", Mood::Hiccup);
    story.until("2026-10-06T00:00").await;
    story.drops("google", "gemini-w-flash");
    story.until("2026-10-09T00:00").await;
    story.fails(
        "openai",
        ErrorKind::RateLimited,
        Some(429),
        "429: too many requests",
    );
    story.until("2026-10-09T07:30").await;
    story.is_in("openai", Mood::Well);
    story.until("2026-10-16T00:00").await;
    story.drops("openai", "gpt-w");
    story.until("2026-10-20T00:00").await;
    story.changes("openai", "gpt-x-mini", |model| {
        model.context_window = Some(256_000);
        model.max_output_tokens = Some(16_384);
    });
    story.changes("anthropic", "claude-w", |model| {
        model.retires_at = Some(at("2026-12-31"))
    });
    story.changes("anthropic", "claude-x", |model| {
        model.display_name = Some("Claude X".to_owned());
    });
    story.until("2026-10-27T00:00").await;
    story.drops("google", "gemini-x-lite");

    story.until("2026-11-02T00:00").await;
    story.drops("google", "gemini-w-pro");
    story.until("2026-11-03T00:00").await;
    story.changes("google", "gemini-x-pro", |model| {
        model.retires_at = Some(at("2027-01-31"))
    });
    story.until("2026-11-05T00:00").await;
    story.lists("openai", "gpt-y", model("2026-11-04", 400_000, 128_000));
    story.until("2026-11-12T00:00").await;
    story.lists("google", "gemini-y-pro", model("0", 2_000_000, 65_536));
    story.until("2026-11-16T00:00").await;
    story.drops("gpu-box", "pebble-x-70b");
    story.until("2026-11-17T00:00").await;
    let refused = "the key was refused (401): check or replace it";
    story.fails("acme", ErrorKind::Unauthorized, Some(401), refused);
    story.changes("google", "gemini-x-pro", |model| {
        model.retires_at = Some(at("2027-02-15"))
    });
    story.until("2026-11-18T00:00").await;
    story.changes("openai", "gpt-x", |model| {
        model.retires_at = Some(at("2027-05-31"))
    });
    story.until("2026-11-19T00:00").await;
    story.lists("gpu-box", "pebble-x-70b", local_model(131_072));
    story.until("2026-11-24T00:00").await;
    story.is_in("anthropic", Mood::Hiccup);
    story.until("2026-11-24T06:05").await;
    story
}

/// A cloud model that was created on a day (`0`: its source does not say).
fn model(created: &str, context_window: i64, max_output_tokens: i64) -> Attributes {
    Attributes {
        created: if created == "0" {
            0
        } else {
            at(created).millis() / 1000
        },
        max_output_tokens: Some(max_output_tokens),
        ..local_model(context_window)
    }
}

fn local_model(context_window: i64) -> Attributes {
    Attributes {
        context_window: Some(context_window),
        ..Attributes::default()
    }
}

/// A day, or a day and minute, in UTC.
fn at(text: &str) -> Timestamp {
    let missing = &"0000-00-00T00:00:00Z"[text.len()..];
    format!("{text}{missing}").parse().expect("a time")
}

impl Story {
    async fn begin(time: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let url = format!("sqlite://{}", directory.path().join("catalog.db").display());
        let store = Store::open(&Config::new(&url).expect("usable").database)
            .await
            .expect("it opens");
        let provider = |name, kind| SourceConfig::provider(name, kind, "http://x", None);
        let endpoint = |name| {
            // Asked once a day too: enough for a story.
            SourceConfig::endpoint(name, "http://x").map(|source| SourceConfig {
                ttl: PROVIDER_TTL,
                ..source
            })
        };
        let sources: Vec<SourceConfig> = [
            provider("openai", Kind::OpenAi),
            provider("google", Kind::Google),
            provider("anthropic", Kind::Anthropic),
            provider("acme", Kind::OpenAi),
            endpoint("gpu-box"),
            endpoint("workstation"),
        ]
        .into_iter()
        .map(|source| source.expect("usable"))
        .collect();
        // On the one connection that is used: a story need not survive a power cut.
        sqlx::query("PRAGMA synchronous = OFF")
            .execute(&store.pool)
            .await
            .expect("a setting");
        let now = at(time);
        store.apply_settings(&sources, now).await.expect("settings");
        Self {
            _directory: directory,
            store,
            sources,
            lists: BTreeMap::new(),
            moods: BTreeMap::new(),
            attempts: 0,
            now,
        }
    }

    fn lists(&mut self, source: &'static str, id: &'static str, model: Attributes) {
        self.lists.entry(source).or_default().insert(id, model);
    }

    fn changes(&mut self, source: &str, id: &str, change: impl FnOnce(&mut Attributes)) {
        let list = self.lists.get_mut(source).expect("a source");
        change(list.get_mut(id).expect("a model"));
    }

    fn drops(&mut self, source: &str, id: &str) {
        let list = self.lists.get_mut(source).expect("a source");
        list.remove(id).expect("a model");
    }

    fn is_in(&mut self, source: &'static str, mood: Mood) {
        self.moods.insert(source, mood);
    }

    fn fails(
        &mut self,
        source: &'static str,
        kind: ErrorKind,
        http_status: Option<u16>,
        message: &str,
    ) {
        let error = FetchError {
            http_status,
            ..FetchError::new(kind, message)
        };
        self.is_in(source, Mood::Fails(error));
    }

    /// Time passes: each source is asked whenever it is due.
    async fn until(&mut self, time: &str) {
        let end = at(time);
        loop {
            let state = self.store.load().await.expect("a state");
            let (due, name) = state
                .sources
                .into_iter()
                .map(|source| (source.next_attempt_at.unwrap_or(self.now), source.name))
                .min()
                .expect("a source");
            if due >= end {
                break;
            }
            self.now = self.now.max(due);
            let source = self.sources.iter().find(|source| source.name == name);
            self.ask(&source.expect("it is configured").clone()).await;
        }
        self.now = end;
    }

    async fn ask(&mut self, source: &SourceConfig) {
        let claim = self.store.claim(source, ClaimMode::Due, self.now).await;
        let claim = claim.expect("a claim").expect("it is due");
        self.attempts += 1;
        let name = source.name.as_str();
        let usual = Duration::from_millis(200 + self.attempts * 37 % 300);
        let mood = self.moods.get(name).cloned().unwrap_or_default();
        if let Mood::Fails(error) = mood {
            let wait = |failures| schedule::backoff(source.role, failures, None, 0.0);
            let duration = match error.kind {
                ErrorKind::Timeout => Duration::from_secs(10),
                _ => usual,
            };
            self.store
                .commit_failure(source, &claim, &error, wait, duration)
                .await
                .expect("a commit");
            return;
        }
        let listed = if matches!(mood, Mood::Hiccup) {
            1
        } else {
            usize::MAX
        };
        if let Some(mood) = self.moods.get_mut(name) {
            *mood = Mood::Well;
        }
        let entry = |(id, attributes): (&&str, &Attributes)| Entry {
            id: (*id).to_owned(),
            attributes: attributes.clone(),
            raw: "{}".to_owned(),
        };
        let entries = self.lists[name].iter().take(listed).map(entry).collect();
        let kind = match source.kind {
            Kind::Auto => Kind::Ollama,
            kind => kind,
        };
        let fetched = Fetched {
            kind,
            listing: Listing {
                entries,
                skipped: 0,
                pages: 1,
            },
        };
        self.store
            .commit_listing(source, &claim, &fetched, false, usual)
            .await
            .expect("a commit");
    }

    /// The models that `sql` names, a query of a view with `time` for `?1`.
    async fn models(&self, sql: &str, time: Timestamp) -> Models {
        sqlx::query(AssertSqlSafe(sql.replace("MODEL", MODEL)))
            .bind(time)
            .fetch_all(&self.store.pool)
            .await
            .expect("models")
            .iter()
            .map(|row| {
                let attributes = serde_json::from_str(row.get("attributes")).expect("JSON");
                (
                    (row.get("source"), row.get("model_id")),
                    (row.get("id"), attributes),
                )
            })
            .collect()
    }

    /// What `model` is called by clients.
    fn id(&self, source: &str, model_id: &str) -> String {
        let role = self
            .sources
            .iter()
            .find(|known| known.name.as_str() == source);
        match role.expect("a source").role {
            Role::Provider => format!("{source}:{model_id}"),
            Role::Endpoint => model_id.to_owned(),
        }
    }

    /// The answer to `sql` as text: columns aligned as in SQLite's shell.
    async fn ask_sql(&self, sql: &'static str) -> String {
        let rows = sqlx::query(sql)
            .fetch_all(&self.store.pool)
            .await
            .unwrap_or_else(|error| panic!("{error}:\n{sql}"));
        let Some(first) = rows.first() else {
            return String::new();
        };
        let header = first
            .columns()
            .iter()
            .map(|column| column.name().to_owned())
            .collect();
        let mut lines: Vec<Vec<String>> = vec![header];
        lines.extend(rows.iter().map(|row| {
            // SQLite's own text of each value.
            let text = |column| {
                row.get_unchecked::<Option<String>, _>(column)
                    .unwrap_or_default()
            };
            (0..row.len()).map(text).collect()
        }));
        let widths: Vec<usize> = (0..first.len())
            .map(|column| {
                lines
                    .iter()
                    .map(|line| line[column].chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        lines.insert(1, widths.iter().map(|width| "-".repeat(*width)).collect());
        lines.iter().fold(String::new(), |text, line| {
            let cells: Vec<String> = line
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            text + cells.join("  ").trim_end() + "\n"
        })
    }
}

/// By source and model id: what clients call the model, and what they read of it.
type Models = BTreeMap<(String, String), (String, Attributes)>;

/// What [`Story::models`] reads of each row.
const MODEL: &str = "id, source, model_id, json_object(
    'created', created, 'display_name', display_name, 'context_window', context_window,
    'max_output_tokens', max_output_tokens, 'lifecycle', lifecycle,
    'deprecated_at', deprecated_at, 'retires_at', retires_at
) AS attributes";

/// Where to leave the story's database for other tools: a new file.
#[expect(clippy::disallowed_methods, reason = "no setting of the service")]
fn kept_at() -> Option<String> {
    std::env::var("STORY_DATABASE").ok()
}

#[tokio::test]
async fn every_question_has_the_answer_in_the_docs() {
    let story = tell().await;
    if let Some(path) = kept_at() {
        sqlx::query("VACUUM INTO ?1")
            .bind(path)
            .execute(&story.store.pool)
            .await
            .expect("a copy");
    }
    let mut questions = 0;
    let mut wrong = String::new();
    for section in DOCS.split("\n### ").skip(1) {
        let mut blocks = section.split("```sql\n");
        let question = blocks
            .next()
            .and_then(|text| text.lines().next())
            .unwrap_or_default();
        for block in blocks {
            questions += 1;
            let (sql, rest) = block.split_once("```\n").expect("an end");
            let written = rest
                .strip_prefix("\n```text\n")
                .and_then(|text| text.split("```").next())
                .unwrap_or_default();
            let answer = story.ask_sql(sql).await;
            assert!(
                question.ends_with('?') && !answer.is_empty(),
                "{question} has no answer"
            );
            if answer != written {
                let _ = write!(wrong, "\n### {question}\n\n```text\n{answer}```\n");
            }
        }
    }
    story.store.close().await;
    assert!(wrong.is_empty(), "paste these into docs/sql.md:\n{wrong}");
    assert!(questions >= 12, "{questions} questions");
}

#[tokio::test]
async fn the_views_say_what_is_served_and_what_the_events_say() {
    let story = tell().await;
    let now = story
        .models("SELECT MODEL FROM catalog_now WHERE ?1 = ?1", story.now)
        .await;
    let state = story.store.load().await.expect("a state");
    let served: Models = state
        .models
        .into_iter()
        .map(|model| {
            let id = story.id(model.source.as_str(), &model.model_id);
            (
                (model.source.to_string(), model.model_id),
                (id, model.attributes),
            )
        })
        .collect();
    assert_eq!(now, served);
    let sources: BTreeSet<&str> = now.keys().map(|(source, _)| source.as_str()).collect();
    assert_eq!(sources.len(), 5, "acme is hidden");

    let events: Vec<(Timestamp, String, String, Option<String>)> = sqlx::query_as(
        "SELECT at, source, model_id, attributes FROM model_events ORDER BY revision, source, model_id",
    )
    .fetch_all(&story.store.pool)
    .await
    .expect("events");
    // Nothing happens between two events: these are all times.
    let times: BTreeSet<Timestamp> = events
        .iter()
        .flat_map(|(at, ..)| [-1, 0, 1].map(|ms| at.plus(chrono::TimeDelta::milliseconds(ms))))
        .collect();
    assert!(times.len() > 60, "{} times", times.len());
    for time in times {
        let mut listed = Models::new();
        for (_, source, model_id, attributes) in events.iter().filter(|(at, ..)| *at <= time) {
            let key = (source.clone(), model_id.clone());
            match attributes {
                Some(attributes) => {
                    let attributes = serde_json::from_str(attributes).expect("JSON");
                    listed.insert(key, (story.id(source, model_id), attributes));
                }
                // Of a whole source, which is no model, or a removal.
                None => {
                    listed.remove(&key);
                }
            }
        }
        let history = story
            .models(
                "SELECT MODEL FROM catalog_history WHERE valid_from <= ?1 AND (valid_to > ?1 OR valid_to IS NULL)",
                time,
            )
            .await;
        assert_eq!(history, listed, "at {time}");
    }
    story.store.close().await;
}

#[tokio::test]
async fn the_views_have_the_columns_in_the_docs_and_use_indexes() {
    let story = Story::begin("2026-06-15T06:00").await;
    let views: Vec<String> =
        sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'view' ORDER BY name")
            .fetch_all(&story.store.pool)
            .await
            .expect("views");
    assert_eq!(
        views,
        [
            "catalog_history",
            "catalog_now",
            "changes_by_day",
            "source_health"
        ]
    );
    for view in views {
        let columns: Vec<String> = sqlx::query_scalar("SELECT name FROM pragma_table_info(?1)")
            .bind(&view)
            .fetch_all(&story.store.pool)
            .await
            .expect("columns");
        let section = DOCS
            .split("\n### ")
            .find(|section| section.starts_with(&format!("`{view}`")));
        let documented: Vec<&str> = section
            .unwrap_or_default()
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split(" | ").next())
            .flat_map(|names| names.trim_end_matches('`').split("`, `"))
            .collect();
        assert_eq!(documented, columns, "{view}");
    }
    for (query, index) in [
        (
            "catalog_now WHERE source = 'a' AND model_id = 'b'",
            "(provider=? AND model_id=?)",
        ),
        (
            "catalog_now WHERE source = 'a' AND model_id = 'b'",
            "(endpoint=? AND model_id=?)",
        ),
        (
            "catalog_history WHERE source = 'a' AND model_id = 'b'",
            "model_events USING INDEX model_events_by_model (source=? AND model_id=?)",
        ),
        (
            "changes_by_day WHERE source = 'a'",
            "model_events_by_model (source=?)",
        ),
        (
            "source_health WHERE name = 'a'",
            "fetches_by_source (source=?)",
        ),
    ] {
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(AssertSqlSafe(format!(
            "EXPLAIN QUERY PLAN SELECT * FROM {query}"
        )))
        .fetch_all(&story.store.pool)
        .await
        .expect("a plan");
        assert!(
            plan.iter().any(|step| step.3.contains(index)),
            "{query}: {plan:?}"
        );
    }
    story.store.close().await;
}
