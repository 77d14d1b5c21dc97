//! Tests of the store as a whole.

mod cookbook;
mod replay;

use std::time::Duration;

use chrono::TimeDelta;

use super::{Store, commit::Attempt, is_new_enough};
use crate::{
    config::source::SourceConfig,
    ingest::schedule::ClaimMode,
    model::{
        attributes::Attributes,
        fetch::{Committed, Fetched},
        listing::{Entry, Listing},
        settings::{CatalogSettings, SourceSettings},
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
