//! Properties of the whole store: whatever happens, replaying the events gives what is served, and
//! all times agree.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use chrono::TimeDelta;
use proptest::{collection::vec, prelude::*};
use serde_json::json;
use sqlx::Row;

use crate::{
    config::source::SourceConfig,
    ingest::schedule::ClaimMode,
    model::{
        attributes::Attributes,
        event::Moment,
        fetch::{ErrorKind, FetchError, Fetched},
        listing::{Entry, Listing, Skipped},
        settings::{CatalogSettings, SourceSettings},
        source::{Kind, Role},
        state::StoredModel,
        time::{Clock, Timestamp},
    },
    store::{Store, commit::Attempt},
};

/// What happens next. Sources are told by their number.
#[derive(Clone, Debug)]
enum Step {
    /// Source 0, 1 or 2 lists these models: id, created, context window.
    List {
        source: usize,
        models: Vec<(u8, i64, Option<i64>)>,
        accept: bool,
    },
    /// It fails.
    Fail { source: usize, refused: bool },
    /// Hours pass, or the clock is set back by hours.
    Wait(i64),
    /// What is older than this many hours is deleted.
    Prune(i64),
    /// A restart with only these sources, under the rules of this number.
    Restart([bool; 3], usize),
}

fn any_step() -> impl Strategy<Value = Step> {
    let model = (0..6_u8, 0..3_i64, prop::option::of(1..3_i64));
    prop_oneof![
        4 => (0..3_usize, vec(model, 0..6), any::<bool>())
            .prop_map(|(source, models, accept)| Step::List { source, models, accept }),
        2 => (0..3_usize, any::<bool>()).prop_map(|(source, refused)| Step::Fail { source, refused }),
        2 => (0..20_i64).prop_map(Step::Wait),
        1 => (-50..0_i64).prop_map(Step::Wait),
        1 => (0..40_i64).prop_map(Step::Prune),
        1 => (any::<[bool; 3]>(), 0..4_usize).prop_map(|(sources, rules)| Step::Restart(sources, rules)),
    ]
}

fn sources() -> Vec<SourceSettings> {
    let provider = |name| SourceConfig::provider(name, Kind::OpenAi, "http://x", None);
    [
        provider("openai"),
        provider("acme"),
        SourceConfig::endpoint("box", "http://x"),
    ]
    .into_iter()
    .map(|source| source.expect("usable").settings())
    .collect()
}

/// `source` under the rules of this number. They take models away, give them back, and give models
/// further names, one of them that of another model.
fn with_rules(source: SourceSettings, number: usize) -> SourceSettings {
    let rules = match number {
        0 => json!({}),
        1 => json!({"exclude": ["m[01]"], "aliases": {"x": "m0"}}),
        2 => json!({"include": ["m[123]"], "aliases": {"m2": "m1"}}),
        _ => json!({"exclude": ["m4"], "aliases": {"x": "m3"}}),
    };
    SourceSettings {
        rules: serde_json::from_value(rules).expect("rules"),
        ..source
    }
}

async fn apply(store: &Store, sources: Vec<SourceSettings>) {
    let settings = CatalogSettings {
        sources,
        ..CatalogSettings::default()
    };
    store.apply(&settings).await.expect("settings");
}

pub(super) type Models = BTreeMap<(String, String), Attributes>;

/// The events of `store`, applied in order: what of it is served. Unless some were pruned, each has to
/// be possible.
pub(super) async fn replay(store: &Store, is_whole: bool) -> Models {
    let events = sqlx::query(
        "SELECT source, model_id, event, attributes FROM model_events ORDER BY revision, source, model_id",
    )
    .fetch_all(&store.pool)
    .await
    .expect("events");
    let (mut models, mut hidden) = (Models::new(), BTreeSet::new());
    for event in events {
        let (source, model_id): (String, String) = (event.get(0), event.get(1));
        let attributes: Option<String> = event.get(3);
        let attributes = attributes.map(|text| serde_json::from_str(&text).expect("JSON"));
        match (event.get::<&str, _>(2), attributes) {
            ("added" | "returned", Some(attributes)) => {
                let before = models.insert((source, model_id), attributes);
                assert!(before.is_none() || !is_whole, "it was there");
            }
            ("changed", Some(attributes)) => {
                let before = models.insert((source, model_id), attributes.clone());
                assert!(
                    before.is_some_and(|before: Attributes| before != attributes) || !is_whole,
                    "no change"
                );
            }
            ("removed", None) => assert!(
                models.remove(&(source, model_id)).is_some(),
                "it was not there"
            ),
            ("hidden", None) => assert!(hidden.insert(source) || !is_whole, "it was hidden"),
            ("shown", None) => assert!(hidden.remove(&source) || !is_whole, "it was not hidden"),
            other => panic!("an event of no known form: {other:?}"),
        }
    }
    models.retain(|(source, _), _| !hidden.contains(source));
    models
}

pub(super) async fn served(store: &Store) -> Models {
    let state = store.load(None).await.expect("a state");
    models(state.content.expect("models").models)
}

fn models(models: Vec<Arc<StoredModel>>) -> Models {
    models
        .into_iter()
        .map(|model| {
            (
                (model.source.to_string(), model.model_id.clone()),
                model.attributes.clone(),
            )
        })
        .collect()
}

/// Takes one step; `configured` are the sources of the last restart.
async fn take(store: &Store, step: &Step, configured: &mut [bool; 3], clock: &Clock) {
    let all = sources();
    // An attempt that was asked for, 11 s after the last one.
    clock.advance(TimeDelta::seconds(11));
    let claim = async |source: &SourceSettings| {
        store
            .claim(source, ClaimMode::Requested, Duration::from_secs(10))
            .await
            .expect("a claim")
    };
    match step {
        Step::List {
            source,
            models,
            accept,
        } if configured[*source] => {
            let source = &all[*source];
            let entry = |(id, created, context_window): &(u8, i64, Option<i64>)| Entry {
                id: format!("m{id}"),
                attributes: Attributes {
                    created: *created,
                    context_window: *context_window,
                    ..Attributes::default()
                },
                raw: "{}".to_owned(),
                hidden_by: None,
            };
            let entries: BTreeMap<String, Entry> = models
                .iter()
                .map(entry)
                .map(|entry| (entry.id.clone(), entry))
                .collect();
            let listing = Listing {
                entries: entries.into_values().collect(),
                skipped: Skipped::default(),
                pages: 1,
                ..Listing::default()
            };
            let kind = if source.role == Role::Endpoint {
                Kind::Ollama
            } else {
                Kind::OpenAi
            };
            let fetched = Fetched { kind, listing };
            let claim = claim(source).await.expect("it may be asked");
            store
                .commit(source, &claim, Ok(fetched), attempt(*accept))
                .await
                .expect("a commit");
        }
        Step::Fail { source, refused } if configured[*source] => {
            let source = &all[*source];
            let kind = if *refused {
                ErrorKind::Unauthorized
            } else {
                ErrorKind::Timeout
            };
            let claim = claim(source).await.expect("it may be asked");
            let error = FetchError::new(kind, "on purpose");
            store
                .commit(source, &claim, Err(error), attempt(false))
                .await
                .expect("a commit");
        }
        Step::List { .. } | Step::Fail { .. } => {}
        Step::Wait(hours) => clock.advance(TimeDelta::hours(*hours)),
        Step::Prune(hours) => {
            let oldest = clock.now().plus(TimeDelta::hours(-hours));
            store.prune(Some(oldest), oldest).await.expect("pruned");
        }
        Step::Restart(chosen, rules) => {
            *configured = *chosen;
            let chosen: Vec<SourceSettings> = all
                .into_iter()
                .zip(chosen)
                .filter_map(|(source, chosen)| chosen.then_some(source))
                .map(|source| with_rules(source, *rules))
                .collect();
            apply(store, chosen).await;
        }
    }
}

fn attempt(accept: bool) -> Attempt {
    Attempt {
        accept,
        duration: Duration::ZERO,
        jitter: 0.0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn replaying_the_events_gives_what_is_served(steps in vec(any_step(), 1..25)) {
        check(&steps);
    }
}

/// A case that was found once: other rules for a source that stays hidden are no revision.
#[test]
fn rules_of_a_hidden_source_change_nothing_that_is_served() {
    let source = 2;
    check(&[
        Step::List {
            source,
            models: vec![(0, 0, None), (1, 0, None)],
            accept: false,
        },
        Step::Wait(1),
        Step::Fail {
            source,
            refused: false,
        },
        Step::Restart([false, false, true], 2),
    ]);
}

/// Takes `steps` and compares after each.
fn check(steps: &[Step]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let url = format!("sqlite://{}", directory.path().join("catalog.db").display());
        let clock = Clock::stopped_at(Timestamp::from_millis(1_800_000_000_000));
        let store = Store::open(&url, clock.clone()).await.expect("it opens");
        let mut configured = [true; 3];
        apply(&store, sources()).await;
        let mut revision = 0;
        let mut answers: BTreeMap<Timestamp, Models> = BTreeMap::new();
        for step in steps {
            let before = served(&store).await;
            take(&store, step, &mut configured, &clock).await;
            let after = served(&store).await;
            let is_whole = !steps.iter().any(|step| matches!(step, Step::Prune(_)));
            assert_eq!(replay(&store, is_whole).await, after, "after {step:?}");
            check_times(&store, &mut answers, &after).await;
            let made = store.load(None).await.expect("a state").revision;
            assert_eq!(
                made > revision,
                before != after || shows_nothing(&store, revision).await,
                "after {step:?}"
            );
            revision = made;
        }
        store.close().await;
    });
}

/// Compares what the times in `store` say: of revisions, of models, and of lists that were served. The
/// `answers` for times that have passed stay for ever.
pub(super) async fn check_times(
    store: &Store,
    answers: &mut BTreeMap<Timestamp, Models>,
    after: &Models,
) {
    let revisions: Vec<(i64, Timestamp)> =
        sqlx::query_as("SELECT DISTINCT revision, at FROM model_events ORDER BY revision")
            .fetch_all(&store.pool)
            .await
            .expect("revisions");
    assert!(
        revisions.is_sorted_by(|(one, made), (other, later)| one < other && made < later),
        "{revisions:?}"
    );
    let differing: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT model_id, first_seen_at, (
             SELECT at FROM model_events AS e
             WHERE e.source = m.source AND e.model_id = m.model_id ORDER BY revision LIMIT 1
         ) AS first_at
         FROM (
             SELECT provider AS source, model_id, first_seen_at FROM cloud_models
             UNION ALL SELECT endpoint, model_id, first_seen_at FROM local_models
         ) AS m
         WHERE first_at <> first_seen_at",
    )
    .fetch_all(&store.pool)
    .await
    .expect("models");
    assert_eq!(differing, [], "seen first");
    let Some((_, last_at)) = revisions.last() else {
        return;
    };
    answers.insert(*last_at, after.clone());
    for (time, expected) in answers {
        let past = store.past(Moment::Time(*time)).await.expect("a past");
        // Unless it was pruned.
        if past.content.revision >= past.history_from {
            assert_eq!(models(past.content.models), *expected, "at {time}");
        }
    }
}

/// Whether what came after `revision` hid or showed a source without models: a revision that
/// changes no model.
async fn shows_nothing(store: &Store, revision: i64) -> bool {
    let count: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM model_events WHERE revision > ?1 AND event IN ('hidden', 'shown')",
    )
    .bind(revision)
    .fetch_one(&store.pool)
    .await
    .expect("a count");
    count > 0
}
