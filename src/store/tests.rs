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
        settings::CatalogSettings,
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
        claimed = store.claim(&source, ClaimMode::Due).await.expect("a claim");
    });
    held_for_a_minute(&mut claim).await;
    drop(claim);
    let claim = claimed.expect("it is due");
    assert_eq!(claim.at, start.plus(TimeDelta::minutes(1)));

    clock.advance(TimeDelta::seconds(2));
    let listing = Listing {
        entries: vec![Entry {
            id: "m".to_owned(),
            attributes: Attributes::default(),
            raw: "{}".to_owned(),
            hidden_by: None,
        }],
        ..Listing::default()
    };
    let fetched = Fetched {
        kind: Kind::OpenAi,
        listing,
    };
    let attempt = Attempt {
        accept: false,
        duration: Duration::from_secs(2),
        jitter: 0.0,
    };
    let mut commit = Box::pin(async {
        let committed = store.commit(&source, &claim, Ok(fetched), attempt).await;
        assert!(matches!(committed, Ok(Committed::Changed(_))));
    });
    held_for_a_minute(&mut commit).await;
    let times: (Timestamp, Timestamp, Timestamp) = sqlx::query_as(
        "SELECT at, first_seen_at, fetched_at FROM model_events JOIN cloud_models USING (model_id)",
    )
    .fetch_one(&store.pool)
    .await
    .expect("one model");
    let (fetched, made) = (
        claim.at.plus(TimeDelta::seconds(2)),
        claim.at.plus(TimeDelta::seconds(62)),
    );
    assert_eq!(times, (made, made, fetched));

    let error = sqlx::query(
        "INSERT INTO model_events (revision, source, model_id, at, event)
         SELECT 2, source, '', at, 'hidden' FROM model_events",
    )
    .execute(&store.pool)
    .await
    .expect_err("the order of time is a constraint");
    assert!(error.to_string().contains("dated after"), "{error}");
}
