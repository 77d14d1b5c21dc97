//! What the database holds, read with plain SQL; and databases that cannot be used.

use chrono::TimeDelta;
use model_catalog::{Catalog, Config, StartError, StoreError};
use serde_json::{Value, json};

use crate::helpers::{Setup, mount, mount_openai, mount_vllm};

#[tokio::test]
async fn keeps_rows_events_and_attempts() {
    let mut setup = Setup::happy().await;
    setup.providers = vec!["openai"];
    let app = setup.start_ready().await;
    let first = app.source("openai").await;

    // gpt-a changes, gpt-b goes, gpt-c comes; an entry without an id is counted.
    setup.openai.reset().await;
    let list = json!({"data": [
        {"id": "gpt-a", "created": 1_800_000_000, "owned_by": "x", "context_window": 10},
        {"id": "gpt-c", "created": 5},
        {"object": "model"},
    ]});
    mount(&setup.openai, "/v1/models", list).await;
    setup.advance(TimeDelta::hours(25));
    assert_eq!(app.refresh("openai").await["outcome"], "changed");
    // gpt-b returns.
    setup.openai.reset().await;
    mount_openai(&setup.openai, &["gpt-a", "gpt-b", "gpt-c"]).await;
    setup.advance(TimeDelta::hours(25));
    assert_eq!(app.refresh("openai").await["outcome"], "changed");
    let last = app.source("openai").await;

    let rows = setup
        .sql("SELECT provider, model_id, created, owned_by, context_window, first_seen_at, fetched_at, raw FROM cloud_models ORDER BY model_id")
        .await;
    let (first_at, last_at) = (first["fetched_at"].clone(), last["fetched_at"].clone());
    let made = setup
        .sql("SELECT DISTINCT at FROM model_events WHERE revision = 1")
        .await;
    let made = made[0][0].clone();
    assert_eq!(rows.len(), 3);
    assert_eq!(
        rows[0][..7],
        [
            json!("openai"),
            json!("gpt-a"),
            json!(1_700_000_000),
            json!("openai"),
            Value::Null,
            made.clone(),
            last_at.clone()
        ],
        "created keeps its first value"
    );
    assert_eq!(rows[1][5], made, "seen first before the gap");
    assert!(
        first_at.as_str() <= made.as_str(),
        "fetched, then committed"
    );
    assert_eq!(
        rows[1][6], last_at,
        "one fetched_at for all rows of a provider"
    );
    let raw: Value = serde_json::from_str(rows[1][7].as_str().expect("text")).expect("JSON");
    assert_eq!(raw["owned_by"], "system", "as the provider sent it");

    let events = setup
        .sql("SELECT revision, model_id, event, attributes, changed FROM model_events ORDER BY revision, model_id")
        .await;
    let events: Vec<String> = events
        .iter()
        .map(|event| {
            event
                .iter()
                .map(|value| {
                    value
                        .as_str()
                        .map_or_else(|| value.to_string(), str::to_owned)
                })
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect();
    assert_eq!(
        events,
        [
            r#"1 gpt-a added {"created":1700000000} null"#,
            r#"1 gpt-b added {"created":1700000000} null"#,
            r#"2 gpt-a changed {"context_window":10,"created":1700000000} ["context_window"]"#,
            "2 gpt-b removed null null",
            r#"2 gpt-c added {"created":5} null"#,
            r#"3 gpt-a changed {"created":1700000000} ["context_window"]"#,
            r#"3 gpt-b returned {"created":1700000000} null"#,
        ]
    );
    let fetches = setup
        .sql("SELECT outcome, http_status, pages, models, skipped, added, changed, removed, returned, revision FROM fetches ORDER BY id")
        .await;
    assert_eq!(
        fetches,
        [
            [
                json!("changed"),
                json!(200),
                json!(1),
                json!(2),
                json!(0),
                json!(2),
                json!(0),
                json!(0),
                json!(0),
                json!(1)
            ],
            [
                json!("changed"),
                json!(200),
                json!(1),
                json!(2),
                json!(1),
                json!(1),
                json!(1),
                json!(1),
                json!(0),
                json!(2)
            ],
            [
                json!("changed"),
                json!(200),
                json!(1),
                json!(3),
                json!(0),
                json!(0),
                json!(1),
                json!(0),
                json!(1),
                json!(3)
            ],
        ]
    );
    app.stop().await;
}

#[tokio::test]
async fn an_unchanged_listing_writes_no_event_and_keeps_the_etag() {
    let setup = Setup::happy().await;
    let app = setup.start_ready().await;
    let before = app.models().await;
    setup.advance(TimeDelta::hours(25));
    for name in ["openai", "google", "anthropic"] {
        assert_eq!(app.refresh(name).await["outcome"], "unchanged");
    }
    let after = app.models().await;
    assert_eq!(
        (after.header("etag"), after.header("catalog-revision")),
        (before.header("etag"), before.header("catalog-revision"))
    );
    assert_eq!(after.header("catalog-stale"), None);
    let rows = setup.sql("SELECT COUNT(DISTINCT fetched_at), (SELECT COUNT(*) FROM model_events) FROM cloud_models WHERE provider = 'openai'").await;
    assert_eq!(rows, [[json!(1), json!(6)]]);
    app.stop().await;
}

#[tokio::test]
async fn an_endpoints_routine_attempts_are_not_recorded() {
    let mut setup = Setup::new().await;
    setup.providers.clear();
    mount_vllm(setup.add_endpoint("box").await, &["m"]).await;
    let app = setup.start_ready().await;
    for _ in 0..3 {
        setup.advance(TimeDelta::seconds(31));
        assert_eq!(app.refresh("box").await["outcome"], "unchanged");
    }
    setup.endpoints["box"].reset().await;
    for _ in 0..3 {
        setup.advance(TimeDelta::seconds(31));
        assert_eq!(app.refresh("box").await["outcome"], "failed");
    }
    mount_vllm(&setup.endpoints["box"], &["m"]).await;
    setup.advance(TimeDelta::seconds(31));
    assert_eq!(app.refresh("box").await["outcome"], "unchanged");
    let outcomes = setup.sql("SELECT outcome FROM fetches ORDER BY id").await;
    assert_eq!(outcomes, [["changed"], ["failed"], ["unchanged"]]);
    app.stop().await;
}

#[tokio::test]
async fn events_are_append_only_and_times_have_one_form() {
    use sqlx::Connection;
    let setup = Setup::happy().await;
    setup.start_ready().await.stop().await;
    let mut connection = sqlx::SqliteConnection::connect(&setup.database_url())
        .await
        .expect("it opens");
    let error = sqlx::query("UPDATE model_events SET event = 'removed'")
        .execute(&mut connection)
        .await
        .expect_err("refused");
    assert!(error.to_string().contains("append-only"), "{error}");
    let times = setup
        .sql("SELECT at FROM model_events UNION ALL SELECT fetched_at FROM cloud_models UNION ALL SELECT first_seen_at FROM cloud_models
              UNION ALL SELECT started_at FROM fetches UNION ALL SELECT attempted_at FROM sources UNION ALL SELECT next_attempt_at FROM sources")
        .await;
    assert_eq!(times.len(), 6 + 6 + 6 + 3 + 3 + 3);
    for time in times {
        let time = time[0].as_str().expect("text");
        assert!(
            time.len() == 24 && time.ends_with('Z') && time.as_bytes()[19] == b'.',
            "{time}"
        );
    }
    assert_eq!(setup.sql("PRAGMA journal_mode").await, [["wal"]]);
}

#[tokio::test]
async fn the_last_settings_win_and_a_name_keeps_its_role() {
    let mut setup = Setup::new().await;
    setup.providers.clear();
    mount_vllm(setup.add_endpoint("box").await, &["m"]).await;
    setup.start_ready().await.stop().await;
    let server = setup.endpoints.remove("box").expect("the server");
    let provider = model_catalog::SourceConfig::provider(
        "box",
        model_catalog::Kind::OpenAi,
        &server.uri(),
        None,
    );
    setup.extra.push(provider.expect("usable"));
    let error = Catalog::start(setup.config())
        .await
        .expect_err("another role");
    assert!(error.to_string().contains("`box`"), "{error}");
}

#[tokio::test]
async fn the_served_query_uses_indexes() {
    let setup = Setup::happy().await;
    setup.start_ready().await.stop().await;
    for table in [
        "cloud_models AS m ON m.provider",
        "local_models AS m ON m.endpoint",
    ] {
        let plan = setup
            .sql(&format!(
                "EXPLAIN QUERY PLAN SELECT m.model_id FROM sources AS s CROSS JOIN {table} = s.name WHERE s.hidden_since IS NULL"
            ))
            .await;
        let steps: Vec<&str> = plan.iter().filter_map(|step| step[3].as_str()).collect();
        assert!(
            steps.iter().any(|step| step.starts_with("SEARCH m USING")),
            "{steps:?}"
        );
    }
}

async fn start_error(config: Config) -> StartError {
    Catalog::start(config)
        .await
        .expect_err("a database that cannot be used")
}

#[tokio::test]
async fn a_file_that_is_no_database_is_left_as_it_is() {
    let setup = Setup::happy().await;
    let text = b"precious notes, not a database; ".repeat(200);
    std::fs::write(setup.database_path(), &text).expect("written");
    let error = start_error(setup.config()).await;
    assert!(
        matches!(error, StartError::Store(StoreError::Damaged { .. })),
        "{error:?}"
    );
    assert!(error.to_string().contains("catalog.db"), "{error}");
    assert_eq!(std::fs::read(setup.database_path()).expect("read"), text);
}

#[tokio::test]
async fn the_database_of_another_application_is_left_as_it_is() {
    use sqlx::Connection;
    for migrated in ["notes", "_sqlx_migrations"] {
        let setup = Setup::happy().await;
        let options = sqlx::sqlite::SqliteConnectOptions::new()
            .filename(setup.database_path())
            .create_if_missing(true);
        let mut connection = sqlx::SqliteConnection::connect_with(&options)
            .await
            .expect("it opens");
        for table in ["precious", migrated] {
            sqlx::query(sqlx::AssertSqlSafe(format!(
                "CREATE TABLE {table} (note TEXT)"
            )))
            .execute(&mut connection)
            .await
            .expect("created");
        }
        connection.close().await.expect("closed");
        let bytes = std::fs::read(setup.database_path()).expect("read");
        let error = start_error(setup.config()).await;
        assert!(
            matches!(error, StartError::Store(StoreError::Foreign { .. })),
            "{error:?}"
        );
        assert_eq!(std::fs::read(setup.database_path()).expect("read"), bytes);
    }
}

#[tokio::test]
async fn a_damaged_database_is_an_error_and_left_as_it_is() {
    let setup = Setup::happy().await;
    setup.start_ready().await.stop().await;
    let mut bytes = std::fs::read(setup.database_path()).expect("read");
    bytes[1024..].fill(0x5a);
    std::fs::write(setup.database_path(), &bytes).expect("written");
    let error = start_error(setup.config()).await;
    assert!(
        matches!(error, StartError::Store(StoreError::Damaged { .. })),
        "{error:?}"
    );
    assert_eq!(std::fs::read(setup.database_path()).expect("read"), bytes);
}

#[tokio::test]
async fn a_newer_database_is_refused() {
    use sqlx::Connection;
    let setup = Setup::happy().await;
    setup.start_ready().await.stop().await;
    let mut connection = sqlx::SqliteConnection::connect(&setup.database_url())
        .await
        .expect("it opens");
    sqlx::query("INSERT INTO _sqlx_migrations VALUES (29990101000000, 'future', CURRENT_TIMESTAMP, 1, x'00', 1)")
        .execute(&mut connection)
        .await
        .expect("inserted");
    connection.close().await.expect("closed");
    let error = start_error(setup.config()).await;
    assert!(
        matches!(
            error,
            StartError::Store(StoreError::Newer {
                version: 29_990_101_000_000,
                ..
            })
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_folder_is_no_database() {
    let setup = Setup::happy().await;
    std::fs::create_dir(setup.database_path()).expect("created");
    let error = start_error(setup.config()).await;
    assert!(
        matches!(error, StartError::Store(StoreError::Open { .. })),
        "{error:?}"
    );
}
