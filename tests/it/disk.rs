//! When the disk or the database fails under a running catalog: reads keep working from memory,
//! the state says what is wrong, and writes go on when the cause is gone.

use std::time::{Duration, Instant};

use sqlx::Connection;

use crate::helpers::{Setup, mount_openai};

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_stops_writes_only_until_there_is_room() {
    use std::process::Command;

    use serde_json::Value;

    use crate::running::{Running, command};

    let setup = Setup::happy().await;
    let toml = format!(
        "[providers.openai]\nbase_url = \"{}/v1\"\nttl = \"1s\"\n",
        setup.openai.uri()
    );
    std::fs::write(setup.directory.path().join("disk.toml"), toml).expect("written");
    // A limit of the size of files is a disk that is full; the signal that comes with it is ignored.
    let plain = command(&setup);
    let mut shell = Command::new("sh");
    shell
        .args([
            "-c",
            "trap '' XFSZ; exec \"$0\" --listen 127.0.0.1:0 --config disk.toml",
        ])
        .arg(plain.get_program())
        .env_clear()
        .env("MODEL_CATALOG_LOG_FORMAT", "human")
        .env("MODEL_CATALOG_DISCOVER", "false")
        .current_dir(setup.directory.path());
    let running = Running::start(shell).await;
    let limit = |bytes: &str| {
        let pid = running.pid().to_string();
        let limit = format!("--fsize={bytes}:unlimited");
        assert!(
            Command::new("prlimit")
                .args(["--pid", &pid, &limit])
                .status()
                .expect("prlimit runs")
                .success()
        );
    };
    let sources = async || -> Value {
        serde_json::from_str(&running.get("/catalog/sources").await).expect("JSON")
    };
    let until = async |what: &str, condition: &dyn Fn(&Value) -> bool| {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !condition(&sources().await) {
            assert!(
                Instant::now() < deadline,
                "waited 30 s in vain: {what}\n{}",
                running.log()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let before = running.get("/v1/models").await;

    limit("0");
    setup.openai.reset().await;
    mount_openai(&setup.openai, &["gpt-a", "gpt-b", "gpt-c"]).await;
    until("the state says so", &|sources| {
        sources["database_error"]["message"].is_string()
    })
    .await;
    let message = sources().await["database_error"]["message"].to_string();
    assert!(message.contains("make room"), "{message}");
    for _ in 0..20 {
        let began = Instant::now();
        assert_eq!(running.get("/v1/models").await, before);
        assert!(
            began.elapsed() < Duration::from_millis(100),
            "{:?}",
            began.elapsed()
        );
    }
    let copy = running.get("/catalog.sqlite").await;
    assert!(
        copy.contains("cannot be copied at the moment"),
        "no room is no internal error: {copy}"
    );
    assert_eq!(
        running.log().matches("database write failed").count(),
        1,
        "{}",
        running.log()
    );

    limit("unlimited");
    until("it recovers", &|sources| {
        sources["database_error"].is_null() && sources["sources"][0]["models"] == 3
    })
    .await;
    assert!(running.ids().await.contains(&"openai:gpt-c".to_owned()));
    assert_eq!(setup.sql("PRAGMA integrity_check").await, [["ok"]]);
    setup.assert_events_replay().await;
}

#[tokio::test]
async fn a_lock_held_by_another_process_for_10_s_only_delays_writes() {
    let setup = Setup::happy().await;
    let app = setup.start_ready().await;
    let before = app.models().await;
    let mut other = sqlx::SqliteConnection::connect(&setup.database_url())
        .await
        .expect("it opens");
    sqlx::query("BEGIN IMMEDIATE")
        .execute(&mut other)
        .await
        .expect("locked");
    setup.openai.reset().await;
    mount_openai(&setup.openai, &["gpt-a", "gpt-b", "gpt-c"]).await;
    setup.advance(chrono::TimeDelta::seconds(11));

    let locked = Instant::now();
    let refreshing = tokio::spawn(
        app.http
            .post(app.url("/catalog/refresh?source=openai"))
            .send(),
    );
    // A start waits for the lock too.
    let starting = tokio::spawn(model_catalog::Catalog::start(setup.config()));
    let mut slowest = Duration::ZERO;
    while locked.elapsed() < Duration::from_secs(10) {
        let began = Instant::now();
        assert_eq!(app.models().await.body, before.body);
        slowest = slowest.max(began.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(
        slowest < Duration::from_millis(100),
        "the list took {slowest:?}"
    );
    assert!(
        !refreshing.is_finished() && !starting.is_finished(),
        "they wait"
    );
    sqlx::query("ROLLBACK")
        .execute(&mut other)
        .await
        .expect("unlocked");

    let answer: serde_json::Value = refreshing
        .await
        .expect("no panic")
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    assert_eq!(answer["sources"][0]["outcome"], "changed", "{answer}");
    starting
        .await
        .expect("no panic")
        .expect("it starts")
        .stop()
        .await;
    assert!(
        app.models()
            .await
            .ids()
            .contains(&"openai:gpt-c".to_owned())
    );
    app.stop().await;
}
