//! Tests of the store as a whole.

mod cookbook;
mod processes;
mod replay;

use std::time::Duration;

use chrono::TimeDelta;

use super::{Store, commit::Attempt, is_new_enough};
use crate::{
    config::source::SourceConfig,
    ingest::schedule::ClaimMode,
    model::{
        attributes::Attributes,
        delivery::{Delivery, DeliveryId, Undelivered, WebhookState},
        event::{Problem, ProblemKind},
        fetch::{Committed, Fetched},
        listing::{Entry, Listing},
        settings::{CatalogSettings, SourceSettings, WebhookSettings},
        source::Kind,
        time::{Clock, Timestamp},
    },
};

#[test]
fn compares_versions_as_numbers() {
    for (version, expected) in [
        ("3.51.3", true),
        ("3.51.10", true),
        ("3.52.0", true),
        ("4.0.0", true),
        ("3.51.2", false),
        ("3.9.99", false),
        ("", false),
    ] {
        assert_eq!(is_new_enough(version), expected, "{version}");
    }
}

fn fetched(ids: &[&str]) -> Fetched {
    let entry = |id: &&str| Entry {
        id: (*id).to_owned(),
        attributes: Attributes::default(),
        raw: "{}".to_owned(),
        hidden_by: None,
    };
    Fetched {
        kind: Kind::OpenAi,
        listing: Listing {
            entries: ids.iter().map(entry).collect(),
            ..Listing::default()
        },
    }
}

fn attempt(secs: u64) -> Attempt {
    Attempt {
        accept: false,
        duration: Duration::from_secs(secs),
        jitter: 0.0,
    }
}

/// The write lock may be long in coming: whatever is written is dated after that.
#[tokio::test]
async fn a_commit_is_dated_when_it_gets_the_lock_and_a_listing_when_it_was_fetched() {
    let directory = tempfile::tempdir().expect("a directory");
    let url = format!("sqlite://{}", directory.path().join("catalog.db").display());
    let start = Timestamp::from_millis(1_800_000_000_000);
    let clock = Clock::stopped_at(start);
    let store = Store::open(&url, clock.clone()).await.expect("it opens");
    let source = SourceConfig::provider("acme", Kind::OpenAi, "http://x", None);
    let source = source.expect("usable").settings();
    let settings = CatalogSettings {
        sources: vec![source.clone()],
        ..CatalogSettings::default()
    };
    store.apply(&settings).await.expect("settings");

    // Another process holds the lock for a minute of the clock.
    let held_for_a_minute = async |step: &mut (dyn Future<Output = ()> + Unpin)| {
        let lock = store.begin().await.expect("the lock");
        let wait = tokio::time::timeout(Duration::from_millis(200), &mut *step);
        assert!(wait.await.is_err(), "it waits for the lock");
        clock.advance(TimeDelta::minutes(1));
        lock.tx.rollback().await.expect("the lock is free");
        step.await;
    };
    let mut claimed = None;
    let mut claim = Box::pin(async {
        claimed = store
            .claim(&source, ClaimMode::Due, Duration::from_secs(10))
            .await
            .expect("a claim");
    });
    held_for_a_minute(&mut claim).await;
    drop(claim);
    let claim = claimed.expect("it is due");
    assert_eq!(claim.at, start.plus(TimeDelta::minutes(1)));

    clock.advance(TimeDelta::seconds(2));
    let mut commit = Box::pin(async {
        let committed = store
            .commit(&source, &claim, Ok(fetched(&["m"])), attempt(2))
            .await;
        assert!(matches!(committed, Ok(Committed::Changed(_))));
    });
    held_for_a_minute(&mut commit).await;
    let times: (Timestamp, Timestamp, Timestamp) = sqlx::query_as(
        "SELECT at, first_seen_at, fetched_at FROM model_events JOIN cloud_models USING (model_id)",
    )
    .fetch_one(&store.pool)
    .await
    .expect("one model");
    let (listed, made) = (
        claim.at.plus(TimeDelta::seconds(2)),
        claim.at.plus(TimeDelta::seconds(62)),
    );
    assert_eq!(times, (made, made, listed));

    let error = sqlx::query(
        "INSERT INTO model_events (revision, source, model_id, at, event)
         SELECT 2, source, '', at, 'hidden' FROM model_events",
    )
    .execute(&store.pool)
    .await
    .expect_err("the order of time is a constraint");
    assert!(error.to_string().contains("dated after"), "{error}");
}

/// A rolling restart: the process that is being replaced is still fetching from the old address.
#[tokio::test]
async fn a_result_counts_only_under_the_settings_that_it_was_fetched_with() {
    let directory = tempfile::tempdir().expect("a directory");
    let url = format!("sqlite://{}", directory.path().join("catalog.db").display());
    let clock = Clock::stopped_at(Timestamp::from_millis(1_800_000_000_000));
    let open = async || Store::open(&url, clock.clone()).await.expect("it opens");
    let (old, new) = (open().await, open().await);
    let source = |kind, url| {
        let source = SourceConfig::provider("acme", kind, url, None);
        source.expect("usable").settings()
    };
    let settings = |source: &SourceSettings| CatalogSettings {
        sources: vec![source.clone()],
        ..CatalogSettings::default()
    };
    let limit = Duration::from_secs(10);
    let before = source(Kind::OpenAi, "http://old");
    old.apply(&settings(&before)).await.expect("settings");
    for (number, after) in [
        source(Kind::OpenAi, "http://new"),
        source(Kind::Cohere, "http://new"),
    ]
    .into_iter()
    .enumerate()
    {
        old.apply(&settings(&before)).await.expect("settings");
        let claim = old.claim(&before, ClaimMode::Due, limit).await;
        let claim = claim.expect("a claim").expect("it is due");
        new.apply(&settings(&after)).await.expect("settings");
        let late = old
            .commit(&before, &claim, Ok(fetched(&["late"])), attempt(1))
            .await;
        assert_eq!(late.expect("a commit"), Committed::Superseded);
        // The claim cannot be given back either.
        old.release(&before, &claim).await.expect("no claim");
        for mode in [ClaimMode::Due, ClaimMode::Requested] {
            let other = old.claim(&before, mode, limit).await.expect("no claim");
            assert!(other.is_none(), "it is asked elsewhere");
        }
        let claim = new.claim(&after, ClaimMode::Due, limit).await;
        let claim = claim.expect("a claim").expect("it is due at once");
        let committed = new
            .commit(
                &after,
                &claim,
                Ok(fetched(&["new", &format!("m{number}")])),
                attempt(1),
            )
            .await;
        assert!(matches!(committed, Ok(Committed::Changed(_))));
    }
}

/// Another process may take a source out of the settings while it is asked, and give it back.
#[tokio::test]
async fn a_source_that_is_taken_away_and_given_back_waits_for_no_answer_that_will_not_count() {
    let directory = tempfile::tempdir().expect("a directory");
    let url = format!("sqlite://{}", directory.path().join("catalog.db").display());
    let clock = Clock::stopped_at(Timestamp::from_millis(1_800_000_000_000));
    let store = Store::open(&url, clock).await.expect("it opens");
    let source = SourceConfig::provider("acme", Kind::OpenAi, "http://x", None);
    let source = source.expect("usable").settings();
    let with = CatalogSettings {
        sources: vec![source.clone()],
        ..CatalogSettings::default()
    };
    store.apply(&with).await.expect("settings");
    let limit = Duration::from_secs(10);
    for mode in [ClaimMode::Due, ClaimMode::Requested] {
        let claim = store.claim(&source, mode, limit).await;
        let claim = claim.expect("a claim").expect("it is due");
        let none = store.apply(&CatalogSettings::default()).await;
        none.expect("settings");
        store.apply(&with).await.expect("settings");
        let late = store
            .commit(&source, &claim, Ok(fetched(&["late"])), attempt(1))
            .await;
        assert_eq!(late.expect("a commit"), Committed::Superseded);
        store.release(&source, &claim).await.expect("no claim");
    }
    let again = store.claim(&source, ClaimMode::Due, limit).await;
    assert!(again.expect("a claim").is_some(), "it is due at once");
}

fn later(at: Timestamp, minutes: i64) -> Timestamp {
    at.plus(TimeDelta::minutes(minutes))
}

async fn column<T>(store: &Store, sql: &'static str) -> Vec<T>
where
    T: for<'r> sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite> + Send + Unpin,
{
    let rows = sqlx::query_scalar(sql).fetch_all(&store.pool).await;
    rows.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

#[tokio::test]
async fn another_ttl_of_the_enrichment_counts_from_its_last_success() {
    let directory = tempfile::tempdir().expect("a directory");
    let url = format!("sqlite://{}", directory.path().join("catalog.db").display());
    let start = Timestamp::from_millis(1_800_000_000_000);
    let store = Store::open(&url, Clock::stopped_at(start))
        .await
        .expect("it opens");
    let file = SourceConfig::enrichment("http://models.example/api.json").expect("usable");
    let with_ttl = |minutes| SourceSettings {
        ttl: TimeDelta::minutes(minutes),
        ..file.settings()
    };
    let apply = async |source: &SourceSettings| {
        let settings = CatalogSettings {
            enrichment: Some(source.clone()),
            ..CatalogSettings::default()
        };
        store.apply(&settings).await.expect("settings");
        let next: Vec<Option<Timestamp>> =
            column(&store, "SELECT next_attempt_at FROM enrichment").await;
        next[0]
    };
    let source = with_ttl(1000);
    assert_eq!(apply(&source).await, None, "due");
    let claim = store.claim(&source, ClaimMode::Due, Duration::from_secs(10));
    let claim = claim.await.expect("a claim").expect("it is due");
    let leased = start.plus(TimeDelta::seconds(30));
    assert_eq!(apply(&with_ttl(20)).await, Some(leased), "under way");
    let committed = store
        .commit(&source, &claim, Ok(fetched(&[])), attempt(0))
        .await;
    assert_eq!(committed.expect("a commit"), Committed::Unchanged);
    assert_eq!(apply(&with_ttl(20)).await, Some(later(start, 19)));
    assert_eq!(apply(&with_ttl(2000)).await, Some(later(start, 1999)));
}

/// A target that failed is left alone for hours; that is about its URL.
#[tokio::test]
async fn another_url_of_a_webhook_starts_without_the_failures_of_the_old_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let url = format!("sqlite://{}", directory.path().join("catalog.db").display());
    let start = Timestamp::from_millis(1_800_000_000_000);
    let store = Store::open(&url, Clock::stopped_at(start))
        .await
        .expect("it opens");
    let webhook = |address: &str| WebhookSettings {
        name: "ops".parse().expect("a name"),
        address: address.to_owned(),
    };
    let (old, new) = (webhook("old"), webhook("new"));
    let apply = async |webhook: &WebhookSettings| {
        let settings = CatalogSettings {
            webhooks: vec![webhook.clone()],
            ..CatalogSettings::default()
        };
        store.apply(&settings).await.expect("settings");
        store
            .find_webhook(webhook)
            .await
            .expect("a state")
            .expect("it is known")
    };
    let state = apply(&old).await;
    let deliver = async |state: &WebhookState, result: Result<u16, &Undelivered>| {
        let until = store.claim_delivery(&old, state).await.expect("a claim");
        let delivery = Delivery {
            webhook: &old,
            claimed_until: until.expect("nobody else delivers"),
            id: DeliveryId::Revision(7),
            at: start,
            duration: Duration::ZERO,
        };
        store
            .commit_delivery(delivery, result)
            .await
            .expect("a commit");
        delivery.claimed_until
    };
    let failure = Undelivered {
        http_status: None,
        message: "on purpose".to_owned(),
        wait: TimeDelta::hours(6),
        is_gone: false,
    };
    deliver(&state, Err(&failure)).await;
    let state = apply(&old).await;
    assert_eq!(state.next_attempt_at, Some(later(start, 360)), "a restart");
    assert_eq!(state.consecutive_failures, 1);
    let mut state = apply(&new).await;
    assert_eq!(
        (state.next_attempt_at, state.consecutive_failures),
        (None, 0)
    );
    assert_eq!(state.cursor, 0, "it goes on where the old one was");

    // Another process still delivers to the old URL: that says nothing of the new one.
    let nothing = store.find_webhook(&old).await.expect("a look");
    assert!(
        nothing.is_none(),
        "left to the process that was started last"
    );
    state.next_attempt_at = None;
    assert_eq!(
        store.claim_delivery(&old, &state).await.expect("none"),
        None
    );
    apply(&old).await;
    let until = store.claim_delivery(&old, &state).await.expect("a claim");
    apply(&new).await;
    for result in [Ok(200), Err(&failure)] {
        let delivery = Delivery {
            webhook: &old,
            claimed_until: until.expect("claimed"),
            id: DeliveryId::Revision(7),
            at: start,
            duration: Duration::ZERO,
        };
        store
            .commit_delivery(delivery, result)
            .await
            .expect("nothing");
        let state = store
            .find_webhook(&new)
            .await
            .expect("a state")
            .expect("it is known");
        assert_eq!((state.cursor, state.next_attempt_at), (0, None));
    }
}

#[tokio::test]
async fn alerts_are_about_sizes_too_and_stay_until_every_webhook_has_them() {
    let directory = tempfile::tempdir().expect("a directory");
    let url = format!("sqlite://{}", directory.path().join("catalog.db").display());
    let clock = Clock::stopped_at(Timestamp::from_millis(1_800_000_000_000));
    let store = Store::open(&url, clock.clone()).await.expect("it opens");
    let webhook = WebhookSettings {
        name: "ops".parse().expect("a name"),
        address: "there".to_owned(),
    };
    let settings = CatalogSettings {
        webhooks: vec![webhook.clone()],
        watched: vec!["acme:m".to_owned()],
        ..CatalogSettings::default()
    };
    store.apply(&settings).await.expect("settings");
    for (kind, message, is_news) in [
        (ProblemKind::SmallerContext, "context window 9 → 8", true),
        (ProblemKind::SmallerContext, "context window 9 → 8", false),
        (ProblemKind::SmallerContext, "context window 9 → 4", true),
        (
            ProblemKind::Retiring,
            "retires on 2027-01-20, in 5 days",
            true,
        ),
        (
            ProblemKind::Retiring,
            "retires on 2027-01-20, in 4 days",
            false,
        ),
    ] {
        let problem = Problem {
            kind,
            message: message.to_owned(),
        };
        let news = store.record_watched("acme:m", &[problem], &[], &[]).await;
        assert_eq!(news.expect("recorded"), is_news, "{message}");
    }
    clock.advance(TimeDelta::days(91));
    let prune = async || {
        let oldest = clock.now().plus(TimeDelta::days(-90));
        store.prune(None, oldest).await.expect("pruned");
        column::<i64>(&store, "SELECT alert FROM watch_alerts").await
    };
    assert_eq!(prune().await, [1, 2, 3]);
    let id = DeliveryId::Alert(2);
    store.skip_delivery(&webhook, id).await.expect("skipped");
    assert_eq!(prune().await, [3]);
    // Also while the target is gone, for as long as a failing one is tried.
    sqlx::query("UPDATE webhooks SET gone_at = '2027-04-15T00:00:00.000Z'")
        .execute(&store.pool)
        .await
        .expect("gone");
    assert_eq!(prune().await, [3]);
    clock.advance(TimeDelta::days(4));
    assert_eq!(prune().await, [] as [i64; 0]);
}
