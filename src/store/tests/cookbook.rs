//! The example story: half a year of a made-up catalog, told through the store's own operations, and
//! what the views and the questions in `docs/sql.md` say of it. No model in it is a fact.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    time::Duration,
};

use chrono::TimeDelta;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Column, Row};

use crate::{
    config::{
        ATTEMPTS_KEPT,
        source::{PROVIDER_TTL, SourceConfig},
    },
    ingest::schedule::ClaimMode,
    model::{
        attributes::Attributes,
        fetch::{ErrorKind, FetchError, Fetched},
        listing::{Entry, Listing, Skipped},
        settings::{CatalogSettings, SourceSettings},
        source::{Kind, Role},
        time::{Clock, Timestamp},
    },
    store::{Store, commit::Attempt},
};

const DOCS: &str = include_str!("../../../docs/sql.md");

/// What happened when. Each source is asked whenever it is due, and answers with the models that it
/// lists by then.
const DIARY: &str = include_str!("../../cli/demo/diary.txt");

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
    sources: Vec<SourceSettings>,
    /// By source and model id, the attributes that each source says.
    lists: BTreeMap<&'static str, BTreeMap<&'static str, Value>>,
    moods: BTreeMap<&'static str, Mood>,
    attempts: u64,
    clock: Clock,
}

/// The story, told to its end.
async fn tell() -> Story {
    let mut lines = DIARY.trim().lines();
    let mut story = Story::begin(at(lines.next().expect("a beginning"))).await;
    for line in lines {
        match line.strip_prefix("    ") {
            Some(line) => story.hear(line),
            None => story.until(at(line)).await,
        }
    }
    story
        .store
        .prune(None, story.clock.now().plus(-ATTEMPTS_KEPT))
        .await
        .expect("pruned");
    story
}

/// A day, or a day and minute, in UTC.
fn at(text: &str) -> Timestamp {
    let missing = &"0000-00-00T00:00:00Z"[text.len()..];
    format!("{text}{missing}").parse().expect("a time")
}

fn attempt(duration: Duration) -> Attempt {
    Attempt {
        accept: false,
        duration,
        jitter: 0.0,
    }
}

impl Story {
    async fn begin(now: Timestamp) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let url = format!("sqlite://{}", directory.path().join("catalog.db").display());
        let clock = Clock::stopped_at(now);
        let store = Store::open(&url, clock.clone()).await.expect("it opens");
        let provider = |name, kind| SourceConfig::provider(name, kind, "http://x", None);
        let endpoint = |name| SourceConfig::endpoint(name, "http://x");
        let sources: Vec<SourceSettings> = [
            provider("openai", Kind::OpenAi),
            provider("google", Kind::Google),
            provider("anthropic", Kind::Anthropic),
            provider("acme", Kind::OpenAi),
            endpoint("gpu-box"),
            endpoint("workstation"),
        ]
        .into_iter()
        .map(|source| SourceSettings {
            // Asked once a day, at the same time: a refresh begins a minute before the TTL ends.
            ttl: PROVIDER_TTL + TimeDelta::minutes(1),
            ..source.expect("usable").settings()
        })
        .collect();
        // On the one connection that is used: a story need not survive a power cut.
        sqlx::query("PRAGMA synchronous = OFF")
            .execute(&store.pool)
            .await
            .expect("a setting");
        let settings = CatalogSettings {
            sources: sources.clone(),
            ..CatalogSettings::default()
        };
        store.apply(&settings).await.expect("settings");
        Self {
            _directory: directory,
            store,
            sources,
            lists: BTreeMap::new(),
            moods: BTreeMap::new(),
            attempts: 0,
            clock,
        }
    }

    /// Takes in a line of the diary.
    fn hear(&mut self, line: &'static str) {
        let mut words = line.splitn(4, ' ');
        let mut word = || words.next().unwrap_or_default();
        let (source, verb, what, rest) = (word(), word(), word(), word());
        let list = self.lists.entry(source).or_default();
        let mood = match verb {
            "lists" => {
                let said: BTreeMap<String, Value> = serde_json::from_str(rest).expect("JSON");
                let model = list.entry(what).or_insert_with(|| json!({"created": 0}));
                for (attribute, value) in said {
                    model[attribute] = value;
                }
                return;
            }
            "drops" => {
                list.remove(what).expect("a model");
                return;
            }
            "recovers" => Mood::Well,
            "hiccups" => Mood::Hiccup,
            "fails" => {
                let kind = serde_json::from_value(json!(what)).expect("a kind of error");
                Mood::Fails(FetchError::new(kind, rest))
            }
            _ => panic!("{line}"),
        };
        self.moods.insert(source, mood);
    }

    /// Time passes: each source is asked whenever it is due.
    async fn until(&mut self, end: Timestamp) {
        loop {
            let state = self.store.load(None).await.expect("a state");
            let (due, name) = state
                .sources
                .states
                .into_iter()
                .map(|source| {
                    let next = source.polling.next_attempt_at;
                    (next.unwrap_or(self.clock.now()), source.name)
                })
                .min()
                .expect("a source");
            if due >= end {
                break;
            }
            self.wait_until(due);
            let source = self.sources.iter().find(|source| source.name == name);
            self.ask(&source.expect("it is configured").clone()).await;
        }
        self.wait_until(end);
    }

    fn wait_until(&self, time: Timestamp) {
        let wait = time.since(self.clock.now());
        self.clock.advance(wait.max(TimeDelta::zero()));
    }

    async fn ask(&mut self, source: &SourceSettings) {
        let claim = self
            .store
            .claim(source, ClaimMode::Due, Duration::from_secs(10))
            .await;
        let claim = claim.expect("a claim").expect("it is due");
        self.attempts += 1;
        let name = source.name.as_str();
        let usual = Duration::from_millis(200 + self.attempts * 37 % 300);
        let mood = self.moods.get(name).cloned().unwrap_or_default();
        if let Mood::Fails(error) = mood {
            let duration = match error.kind {
                ErrorKind::Timeout => Duration::from_secs(10),
                _ => usual,
            };
            self.wait_until(claim.at.plus(TimeDelta::from_std(duration).expect("short")));
            self.store
                .commit(source, &claim, Err(error), attempt(duration))
                .await
                .expect("a commit");
            return;
        }
        let entry = |(id, attributes): (&&str, &Value)| Entry {
            id: (*id).to_owned(),
            attributes: serde_json::from_value(attributes.clone()).expect("attributes"),
            raw: "{}".to_owned(),
            hidden_by: None,
        };
        let mut entries: Vec<Entry> = self.lists[name].iter().map(entry).collect();
        if matches!(mood, Mood::Hiccup) {
            entries.truncate(1);
            self.moods.remove(name);
        }
        let kind = match source.kind {
            Kind::Auto => Kind::Ollama,
            kind => kind,
        };
        let fetched = Fetched {
            kind,
            listing: Listing {
                entries,
                skipped: Skipped::default(),
                pages: 1,
                ..Listing::default()
            },
        };
        self.wait_until(claim.at.plus(TimeDelta::from_std(usual).expect("short")));
        self.store
            .commit(source, &claim, Ok(fetched), attempt(usual))
            .await
            .expect("a commit");
    }

    /// The models in `rows`, those of a view.
    async fn models(&self, rows: &str) -> Models {
        sqlx::query(AssertSqlSafe(format!("SELECT {MODEL} FROM {rows}")))
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

/// What [`Story::models`] reads of each row: its columns, without those that are NULL.
const MODEL: &str = "id, source, model_id, json_patch('{}', json_object(
    'created', created,
    'display_name', display_name, 'description', description, 'context_window', context_window, 'max_context_window', max_context_window,
    'max_output_tokens', max_output_tokens, 'knowledge_cutoff', knowledge_cutoff, 'lifecycle', lifecycle,
    'deprecated_at', deprecated_at, 'retires_at', retires_at, 'alias_of', alias_of,
    'input_modalities', json(input_modalities), 'output_modalities', json(output_modalities), 'capabilities', json(capabilities),
    'supported_methods', json(supported_methods), 'pricing', json(pricing), 'enriched', json(enriched)
)) AS attributes";

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
    let now = story.models("catalog_now").await;
    let state = story.store.load(None).await.expect("a state");
    let served: Models = state
        .content
        .expect("models")
        .models
        .into_iter()
        .map(|model| {
            let id = story.id(model.source.as_str(), &model.model_id);
            (
                (model.source.to_string(), model.model_id.clone()),
                (id, model.attributes.clone()),
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
        let then = format!("valid_from <= '{time}' AND (valid_to > '{time}' OR valid_to IS NULL)");
        let history = story.models(&format!("catalog_history WHERE {then}")).await;
        assert_eq!(history, listed, "at {time}");
    }
    story.store.close().await;
}

#[tokio::test]
async fn the_views_have_the_columns_in_the_docs_and_use_indexes() {
    let story = Story::begin(at("2026-06-15")).await;
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
