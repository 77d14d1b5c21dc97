//! Killed at any moment: the file is whole, the list is one that was committed whole, the events
//! replay to what is stored, and nobody is asked more often than the stored schedule allows.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::Value;

use crate::{
    fault_server::{FaultServer, Plays, answer},
    helpers::Setup,
    running::{Running, command, sqlx_exec},
};

const KILLS: usize = 100;
const MODELS: usize = 150;
const SOURCES: [(&str, Plays); 3] = [
    ("openai", Plays::OpenAi),
    ("google", Plays::Google),
    ("box", Plays::Endpoint),
];

/// A source whose list is another one each time: `name-v7-0`, `name-v7-1`, …
async fn changing(name: &'static str, plays: Plays) -> (FaultServer, Arc<AtomicUsize>) {
    let version = Arc::new(AtomicUsize::new(0));
    let served = version.clone();
    let server = FaultServer::start(Arc::new(move |_| {
        let version = served.fetch_add(1, Ordering::SeqCst);
        let entries: Vec<Value> = (0..MODELS)
            .map(|number| plays.entry(&format!("{name}-v{version}-{number}")))
            .collect();
        answer(200, "", plays.list(&entries).to_string())
    }))
    .await;
    (server, version)
}

/// `ids` hold nothing or one whole version of each source.
fn assert_whole(ids: impl IntoIterator<Item = String>, what: &str) {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for id in ids {
        let (version, number) = id.rsplit_once('-').expect("name-version-number");
        versions
            .entry(version.to_owned())
            .or_default()
            .insert(number.to_owned());
    }
    for (version, numbers) in &versions {
        assert_eq!(numbers.len(), MODELS, "{what}: all of {version} or nothing");
    }
    let sources: BTreeSet<&str> = versions
        .keys()
        .filter_map(|version| version.split_once("-v"))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(
        sources.len(),
        versions.len(),
        "{what}: one version of each: {:?}",
        versions.keys()
    );
}

#[tokio::test]
async fn survives_a_hundred_kills() {
    let setup = Setup::new().await;
    let mut toml = String::new();
    let mut servers = Vec::new();
    for (name, plays) in SOURCES {
        let (server, version) = changing(name, plays).await;
        let (table, path) = match plays {
            Plays::Endpoint => ("endpoints", ""),
            Plays::OpenAi => ("providers", "/v1"),
            _ => ("providers", ""),
        };
        toml.push_str(&format!(
            "[{table}.{name}]\nbase_url = \"http://{}{path}\"\nttl = \"24h\"\n",
            server.address
        ));
        servers.push((server, version));
    }
    // Told once what an endpoint speaks, it is asked once each time.
    toml.push_str("kind = \"openai\"\n");
    std::fs::write(setup.directory.path().join("crash.toml"), toml).expect("written");
    let start = || {
        let mut command = command(&setup);
        command
            .args(["--listen", "127.0.0.1:0", "--config", "crash.toml"])
            .env("MODEL_CATALOG_DISCOVER", "false");
        command
    };
    let asked = || -> Vec<usize> {
        servers
            .iter()
            .map(|(_, version)| version.load(Ordering::SeqCst))
            .collect()
    };

    let mut running = Running::start(start()).await;
    assert_eq!(running.ids().await.len(), SOURCES.len() * MODELS);
    running.stop("-KILL");

    let mut interrupted = 0;
    for kill in 0..KILLS {
        // Each source is due again: as if its day were over.
        let long_ago = "2020-01-01T00:00:00.000Z";
        sqlx_exec(&setup, &format!("UPDATE sources SET fetched_at = '{long_ago}', attempted_at = '{long_ago}', next_attempt_at = '{long_ago}'")).await;
        let before = asked();
        let mut running = Running::start(start()).await;
        // At once, or after a moment in which it asks, commits or rests.
        let moment = fastrand::u64(0..40_000);
        if moment > 4_000 {
            tokio::time::sleep(Duration::from_micros(moment)).await;
        }
        running.stop("-KILL");

        assert_eq!(
            setup.sql("PRAGMA integrity_check").await,
            [["ok"]],
            "kill {kill}"
        );
        assert_eq!(
            setup.sql("PRAGMA foreign_key_check").await.len(),
            0,
            "kill {kill}"
        );
        let stored = setup
            .sql("SELECT model_id FROM cloud_models UNION ALL SELECT model_id FROM local_models")
            .await;
        assert_eq!(
            stored.len(),
            SOURCES.len() * MODELS,
            "kill {kill}: nothing is lost"
        );
        assert_whole(
            stored
                .iter()
                .map(|row| row[0].as_str().expect("text").to_owned()),
            &format!("kill {kill}"),
        );
        setup.assert_events_replay().await;
        let half = setup
            .sql("SELECT COUNT(*) FROM sources WHERE attempted_at > fetched_at")
            .await;
        interrupted += usize::from(half[0][0] != 0);

        // A crash loop: whoever was asked, to the end or not, is not asked again.
        let mut running = Running::start(start()).await;
        let listed = running.ids().await;
        let listed = listed.into_iter().map(|id| {
            id.split_once(':')
                .map_or(id.clone(), |(_, id)| id.to_owned())
        });
        assert_whole(listed, &format!("start after kill {kill}"));
        running.stop("-KILL");
        for ((before, now), (name, _)) in before.iter().zip(asked()).zip(SOURCES) {
            assert!(
                now - before <= 1,
                "kill {kill}: {name} was asked {} times",
                now - before
            );
        }
    }
    assert!(interrupted > 0, "no kill came in the middle of a refresh");
    println!("{KILLS} of {KILLS} kills survived, {interrupted} of them in the middle of a refresh");
}
