//! What was: time travel, changes, feeds, one model's history, retirements.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::helpers::{
    Answer, Setup, TestApp, anthropic_model, mount, mount_openai, mount_vllm, openai_body,
};

/// One provider with a history: `a` and `b` at revision 1; `c` more at 2; `b` gone and `a` with a
/// context window at 3; `b` back at 4. An hour passes before each.
async fn with_history() -> (Setup, TestApp) {
    let mut setup = Setup::new().await;
    setup.providers = vec!["openai"];
    mount_openai(&setup.openai, &["a", "b"]).await;
    let app = setup.start_ready().await;
    let with_window = |ids: &[&str]| {
        let mut body = openai_body(ids);
        body["data"][0]["context_window"] = json!(1000);
        body
    };
    for body in [
        openai_body(&["a", "b", "c"]),
        with_window(&["a", "c"]),
        with_window(&["a", "b", "c"]),
    ] {
        setup.advance(TimeDelta::hours(1));
        setup.openai.reset().await;
        mount(&setup.openai, "/v1/models", body).await;
        assert_eq!(app.refresh("openai").await["outcome"], "changed");
    }
    (setup, app)
}

const LISTS: [&[&str]; 5] = [
    &[],
    &["openai:a", "openai:b"],
    &["openai:a", "openai:b", "openai:c"],
    &["openai:a", "openai:c"],
    &["openai:a", "openai:b", "openai:c"],
];

fn error_code(answer: &Answer) -> (u16, String) {
    let code = answer.json()["error"]["code"].as_str().map(str::to_owned);
    (answer.status, code.unwrap_or_default())
}

#[tokio::test]
async fn every_answer_says_its_revision() {
    let (_setup, app) = with_history().await;
    for path in [
        "/v1/models",
        "/v1/models/openai:a",
        "/v1/models/nothing",
        "/catalog/sources",
        "/catalog/sources?x=1",
        "/catalog/changes",
        "/catalog/retirements",
        "/catalog/changes.atom",
        "/healthz",
        "/readyz",
        "/no/such/route",
    ] {
        let answer = app.get(path).await;
        assert_eq!(answer.header("catalog-revision"), Some("4"), "{path}");
    }
    let answer = app.send(app.http.delete(app.url("/v1/models"))).await;
    assert_eq!(
        (answer.status, answer.header("catalog-revision")),
        (405, Some("4"))
    );
    app.stop().await;
}

#[tokio::test]
async fn every_revision_can_be_served_again() {
    let (setup, app) = with_history().await;
    for (revision, ids) in LISTS.iter().enumerate() {
        let path = format!("/v1/models?revision={revision}&cache_buster=7");
        let answer = app.get(&path).await;
        assert_eq!(answer.ids(), *ids, "{path}");
        assert_eq!(
            answer.header("catalog-revision"),
            Some(revision.to_string().as_str())
        );
        assert_eq!(
            answer.header("cache-control"),
            Some("public, max-age=31536000, immutable")
        );
        let etag = answer.header("etag").expect("an ETag").to_owned();
        let again = app
            .send(app.http.get(app.url(&path)).header("if-none-match", etag))
            .await;
        assert_eq!(again.status, 304);
    }
    let now = app.models().await;
    assert_eq!(
        app.get("/v1/models?revision=4").await.body,
        now.body,
        "the last one is what is served now"
    );
    let then = app.get("/v1/models/openai:a?revision=2").await.json();
    assert_eq!(then.get("context_window"), None);
    let later = app.get("/v1/models/openai:a?revision=3").await.json();
    assert_eq!(later["context_window"], 1000);
    assert_eq!(app.get("/v1/models/openai:b?revision=3").await.status, 404);
    // The same after a restart.
    app.stop().await;
    let app = setup.start().await;
    assert_eq!(app.get("/v1/models?revision=3").await.ids(), LISTS[3]);
    app.stop().await;
}

#[tokio::test]
async fn any_time_can_be_served_again() {
    let (setup, app) = with_history().await;
    let times: Vec<DateTime<Utc>> = setup
        .sql("SELECT DISTINCT at FROM model_events ORDER BY at")
        .await
        .iter()
        .map(|row| row[0].as_str().expect("a time").parse().expect("RFC 3339"))
        .collect();
    assert_eq!(times.len(), 4);
    let at = async |time: DateTime<Utc>| {
        let time = time.to_rfc3339();
        app.send(app.http.get(app.url("/v1/models")).query(&[("at", &time)]))
            .await
    };
    let before = at(times[0] - TimeDelta::milliseconds(1)).await;
    assert_eq!(
        (before.status, before.ids()),
        (200, Vec::new()),
        "an empty list"
    );
    assert_eq!(before.header("catalog-revision"), Some("0"));
    for (index, time) in times.iter().enumerate() {
        for moment in [*time, *time + TimeDelta::minutes(30)] {
            if moment > Utc::now() + TimeDelta::hours(3) {
                continue;
            }
            let answer = at(moment).await;
            assert_eq!(answer.ids(), LISTS[index + 1], "{moment}");
            assert_eq!(answer.header("cache-control"), Some("no-cache"));
        }
    }
    // A plus sign that came undecoded is a space.
    let plus = app
        .get(&format!(
            "/v1/models?at={}",
            times[1].format("%Y-%m-%dT%H:%M:%S%.3f+00:00")
        ))
        .await;
    assert_eq!(plus.ids(), LISTS[2]);
    app.stop().await;
}

#[tokio::test]
async fn impossible_moments_are_clear_400s() {
    let (_setup, app) = with_history().await;
    for (query, code) in [
        ("at=yesterday", "invalid_time"),
        ("at=2026-11-01", "invalid_time"),
        ("at=9000-01-01T00:00:00Z", "future_time"),
        ("revision=5", "future_revision"),
        ("revision=-1", "invalid_revision"),
        ("revision=latest", "invalid_revision"),
        ("revision=1&at=2026-11-01T00:00:00Z", "invalid_parameter"),
    ] {
        for path in ["/v1/models", "/v1/models/openai:a"] {
            let answer = app.get(&format!("{path}?{query}")).await;
            assert_eq!(
                error_code(&answer),
                (400, code.to_owned()),
                "{path}?{query}"
            );
        }
    }
    app.stop().await;
}

fn told(event: &Value) -> (i64, &str, &str) {
    (
        event["revision"].as_i64().expect("a revision"),
        event["event"].as_str().expect("an event"),
        event["id"].as_str().unwrap_or_default(),
    )
}

fn all_told(answer: &Value) -> Vec<(i64, &str, &str)> {
    let events = answer["events"].as_array().expect("events");
    events.iter().map(told).collect()
}

#[tokio::test]
async fn changes_come_in_order_with_before_and_after() {
    let (_setup, app) = with_history().await;
    let answer = app.get("/catalog/changes").await.json();
    assert_eq!(
        all_told(&answer),
        [
            (1, "added", "openai:a"),
            (1, "added", "openai:b"),
            (2, "added", "openai:c"),
            (3, "changed", "openai:a"),
            (3, "removed", "openai:b"),
            (4, "returned", "openai:b"),
        ]
    );
    assert_eq!(
        (&answer["revision"], &answer["next"], &answer["has_more"]),
        (&json!(4), &json!(4), &json!(false))
    );
    let changed = &answer["events"][3];
    assert_eq!(changed["changed"], json!(["context_window"]));
    assert_eq!(changed["before"].get("context_window"), None);
    assert_eq!(changed["after"]["context_window"], 1000);
    assert_eq!(
        (&changed["source"], changed["at"].is_string()),
        (&json!("openai"), true)
    );
    let removed = &answer["events"][4];
    assert!(removed["before"].is_object() && removed.get("after").is_none());
    assert!(removed["last_seen_at"].as_str() < removed["at"].as_str());
    app.stop().await;
}

#[tokio::test]
async fn changes_are_filtered_and_paged_and_no_page_splits_a_revision() {
    let (_setup, app) = with_history().await;
    let get = async |query: &str| app.get(&format!("/catalog/changes?{query}")).await.json();
    for (query, expected) in [
        (
            "event=removed,returned",
            vec![(3, "removed", "openai:b"), (4, "returned", "openai:b")],
        ),
        (
            "model=openai:b",
            vec![
                (1, "added", "openai:b"),
                (3, "removed", "openai:b"),
                (4, "returned", "openai:b"),
            ],
        ),
        ("model=openai:b&event=added", vec![(1, "added", "openai:b")]),
        ("source=openai&since=3", vec![(4, "returned", "openai:b")]),
        ("source=google", vec![]),
        ("model=openai:", vec![]),
        ("model=b", vec![]),
        ("since=4", vec![]),
    ] {
        let answer = get(query).await;
        assert_eq!(all_told(&answer), expected, "{query}");
        assert_eq!(answer["next"], 4, "{query}: nothing before it is missing");
    }
    let mut since = 0;
    let mut pages = Vec::new();
    loop {
        let answer = get(&format!("limit=1&since={since}")).await;
        let revisions: Vec<i64> = all_told(&answer).iter().map(|event| event.0).collect();
        since = answer["next"].as_i64().expect("a cursor");
        pages.push(revisions);
        if answer["has_more"] == false {
            break;
        }
    }
    assert_eq!(pages, [vec![1, 1], vec![2], vec![3, 3], vec![4]]);
    for (query, code) in [
        ("since=5", "future_revision"),
        ("since=-1", "invalid_revision"),
        ("limit=0", "invalid_limit"),
        ("limit=100000", "invalid_limit"),
        ("event=gone", "invalid_event"),
        ("wait=2h", "invalid_wait"),
        ("wait=soon", "invalid_wait"),
        ("page=2", "invalid_parameter"),
    ] {
        let answer = app.get(&format!("/catalog/changes?{query}")).await;
        assert_eq!(error_code(&answer), (400, code.to_owned()), "{query}");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_long_poll_waits_for_the_next_revision_that_is_wanted() {
    let (setup, app) = with_history().await;
    let began = tokio::time::Instant::now();
    let nothing = app.get("/catalog/changes?since=4&wait=300ms").await.json();
    assert_eq!((all_told(&nothing), &nothing["next"]), (vec![], &json!(4)));
    assert!(began.elapsed() >= Duration::from_millis(300));

    let poll = |query: &str| {
        let request = app
            .http
            .get(app.url(&format!("/catalog/changes?{query}")))
            .send();
        tokio::spawn(async move {
            request
                .await
                .expect("an answer")
                .json::<Value>()
                .await
                .expect("JSON")
        })
    };
    let (all, removals) = (
        poll("since=4&wait=20s"),
        poll("since=4&wait=20s&event=removed"),
    );
    for ids in [&["a", "b", "c", "d"][..], &["a", "b", "c"]] {
        setup.advance(TimeDelta::hours(1));
        setup.openai.reset().await;
        mount_openai(&setup.openai, ids).await;
        assert_eq!(app.refresh("openai").await["outcome"], "changed");
    }
    let all = all.await.expect("no panic");
    assert!(all_told(&all).contains(&(5, "added", "openai:d")), "{all}");
    let removals = removals.await.expect("no panic");
    assert_eq!(all_told(&removals), [(6, "removed", "openai:d")]);

    // A stop does not wait for those who wait.
    let mut waiting = poll("since=6&wait=30s");
    let early = tokio::time::timeout(Duration::from_millis(200), &mut waiting).await;
    assert!(early.is_err(), "it waits");
    let began = tokio::time::Instant::now();
    app.stop().await;
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(waiting.await.expect("no panic")["events"], json!([]));
}

#[tokio::test]
async fn hidden_and_shown_sources_are_events_and_travel_in_time() {
    let mut setup = Setup::happy().await;
    mount_vllm(setup.add_endpoint("box").await, &["m"]).await;
    let app = setup.start_ready().await;
    assert_eq!(app.models().await.ids().len(), 7);
    app.stop().await;
    setup.providers = vec!["openai"];
    let app = setup.start_ready().await;
    assert_eq!(app.models().await.ids().len(), 3);
    let answer = app.get("/catalog/changes?since=4").await.json();
    assert_eq!(all_told(&answer), [(5, "hidden", ""), (5, "hidden", "")]);
    assert_eq!(answer["events"][0]["source"], "anthropic");
    assert_eq!(app.get("/v1/models?revision=4").await.ids().len(), 7);
    assert_eq!(app.get("/v1/models?revision=5").await.ids().len(), 3);
    assert_eq!(
        app.get("/v1/models?revision=5").await.body,
        app.models().await.body
    );
    app.stop().await;
}

#[tokio::test]
async fn one_models_history_says_when_it_was_seen_and_what_changed() {
    let (setup, app) = with_history().await;
    for path in [
        "/catalog/models/openai:b/history",
        "/catalog/models/openai%3Ab/history",
    ] {
        let b = app.get(path).await.json();
        assert_eq!((&b["id"], &b["listed"]), (&json!("openai:b"), &json!(true)));
        assert_eq!(
            all_told(&b),
            [
                (1, "added", "openai:b"),
                (3, "removed", "openai:b"),
                (4, "returned", "openai:b")
            ]
        );
        assert_eq!(b["first_seen_at"], b["events"][0]["at"]);
        assert_eq!(b["last_seen_at"], app.source("openai").await["fetched_at"]);
    }
    setup.advance(TimeDelta::hours(1));
    setup.openai.reset().await;
    mount_openai(&setup.openai, &["a", "c"]).await;
    let last_listing = app.source("openai").await["fetched_at"].clone();
    app.refresh("openai").await;
    let gone = app.get("/catalog/models/openai:b/history").await.json();
    assert_eq!(
        (&gone["listed"], &gone["last_seen_at"]),
        (&json!(false), &last_listing)
    );
    let never = app.get("/catalog/models/openai:never/history").await;
    assert_eq!(error_code(&never), (404, "model_not_found".to_owned()));
    let asked = app.get("/catalog/models/openai:a/history?since=1").await;
    assert_eq!(asked.status, 400, "it has no parameter");
    let other = app.get("/catalog/models/openai:a").await;
    assert_eq!(other.status, 404);
    app.stop().await;
}

#[tokio::test]
async fn retirements_are_listed_by_date_and_their_changes_are_events() {
    let mut setup = Setup::new().await;
    setup.providers = vec!["openai", "anthropic"];
    let day = |days: i64| {
        (Utc::now() + TimeDelta::days(days))
            .format("%Y-%m-%d")
            .to_string()
    };
    let openai = |date: Value| {
        let mut body = openai_body(&["old", "older", "young"]);
        body["data"][0]["shutdown_date"] = date;
        body["data"][1]["shutdown_date"] = json!(day(10));
        body["data"][2]["shutdown_date"] = Value::Null;
        body
    };
    mount(&setup.openai, "/v1/models", openai(json!(day(100)))).await;
    let mut claude = anthropic_model("claude-old");
    claude["lifecycle"] = json!("deprecated");
    claude["deprecated_at"] = json!("2026-01-01T00:00:00Z");
    let list = json!({"data": [claude, anthropic_model("claude-new")], "has_more": false});
    mount(&setup.anthropic, "/v1/models", list).await;
    let app = setup.start_ready().await;
    let ids = async |query: &str| -> Vec<String> {
        let answer = app
            .get(&format!("/catalog/retirements{query}"))
            .await
            .json();
        let models = answer["models"].as_array().expect("models");
        models
            .iter()
            .map(|model| model["id"].as_str().expect("an id").to_owned())
            .collect()
    };
    assert_eq!(
        ids("").await,
        ["openai:older", "openai:old", "anthropic:claude-old"]
    );
    // What has no date may end at any time.
    assert_eq!(
        ids("?within=90d").await,
        ["openai:older", "anthropic:claude-old"]
    );
    assert_eq!(
        ids(&format!("?within={}", 90 * 86_400)).await,
        ["openai:older", "anthropic:claude-old"],
        "plain seconds"
    );
    for bad in ["x", "-1", "1.5", "h"] {
        let answer = app.get(&format!("/catalog/retirements?within={bad}")).await;
        assert_eq!(answer.status, 400, "{bad}");
    }
    let answer = app.get("/catalog/retirements").await.json();
    assert_eq!(
        answer["models"][2],
        json!({"id": "anthropic:claude-old", "sources": ["anthropic"], "lifecycle": "deprecated",
               "deprecated_at": "2026-01-01T00:00:00.000Z"})
    );
    assert_eq!(
        app.get("/v1/models/openai:older").await.json()["retires_at"],
        format!("{}T00:00:00.000Z", day(10))
    );

    setup.advance(TimeDelta::hours(1));
    setup.openai.reset().await;
    mount(&setup.openai, "/v1/models", openai(json!(day(20)))).await;
    app.refresh("openai").await;
    let moved = app.get("/catalog/changes?since=2").await.json();
    assert_eq!(all_told(&moved), [(3, "changed", "openai:old")]);
    assert_eq!(moved["events"][0]["changed"], json!(["retires_at"]));
    app.stop().await;
}

#[tokio::test]
async fn what_is_older_than_it_is_kept_is_forgotten_and_the_rest_stays_exact() {
    let (setup, app) = with_history().await;
    setup.advance(TimeDelta::days(10));
    setup.openai.reset().await;
    mount_openai(&setup.openai, &["a", "c", "d"]).await;
    app.catalog.wake();
    app.until("the fifth revision", async |app| {
        app.models().await.header("catalog-revision") == Some("5")
    })
    .await;
    let now = app.models().await.body;
    let first_seen =
        app.get("/catalog/models/openai:a/history").await.json()["first_seen_at"].clone();
    app.stop().await;

    let mut config = setup.config();
    config.retention.events = Some(TimeDelta::days(5));
    config.retention.attempts = TimeDelta::days(5);
    let app = TestApp::start(config).await;
    app.until("it is forgotten", async |_| {
        setup.sql("SELECT history_from FROM catalog").await == [[json!(4)]]
    })
    .await;
    // Of b: added, removed, returned; the one in between is gone. Of a: added, changed.
    assert_eq!(
        setup
            .sql("SELECT revision, event FROM model_events WHERE model_id IN ('a', 'b') AND revision < 5 ORDER BY model_id, revision")
            .await,
        [
            [json!(1), json!("added")],
            [json!(3), json!("changed")],
            [json!(1), json!("added")],
            [json!(4), json!("returned")],
        ]
    );
    assert_eq!(
        setup.sql("SELECT COUNT(*) FROM fetches").await,
        [[json!(1)]]
    );
    assert_eq!(app.get("/v1/models?revision=4").await.ids(), LISTS[4]);
    assert_eq!(app.get("/v1/models?revision=5").await.body, now);
    let before = app.get("/v1/models?at=2020-01-01T00:00:00Z").await;
    assert_eq!((before.status, before.ids()), (200, Vec::new()));
    for path in ["/v1/models?revision=3", "/catalog/changes?since=2"] {
        let answer = app.get(path).await;
        assert_eq!(
            error_code(&answer),
            (410, "history_pruned".to_owned()),
            "{path}"
        );
    }
    assert_eq!(
        all_told(&app.get("/catalog/changes?since=4").await.json())[0].0,
        5
    );
    assert_eq!(app.get("/catalog/changes?since=0").await.status, 200);
    let history = app.get("/catalog/models/openai:a/history").await.json();
    assert_eq!(history["first_seen_at"], first_seen);
    app.stop().await;

    // Nothing more is forgotten by a second look, and revisions go on.
    let app = setup.start_ready().await;
    assert_eq!(app.models().await.body, now);
    app.stop().await;
}

#[tokio::test]
async fn the_database_can_be_had_whole_while_it_is_written() {
    let (setup, app) = with_history().await;
    let answer = app.get("/catalog.sqlite").await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-type"),
        Some("application/vnd.sqlite3")
    );
    assert_eq!(answer.header("catalog-revision"), Some("4"));
    assert_eq!(
        answer.header("content-length"),
        Some(answer.body.len().to_string().as_str())
    );
    for key in [crate::helpers::OPENAI_KEY, "127.0.0.1"] {
        assert!(
            !answer
                .body
                .windows(key.len())
                .any(|part| part == key.as_bytes()),
            "{key} is in it"
        );
    }
    let mut copy = Setup::new().await;
    copy.providers.clear();
    std::fs::write(copy.database_path(), &answer.body).expect("written");
    assert_eq!(copy.sql("PRAGMA integrity_check").await, [["ok"]]);
    copy.assert_events_replay().await;
    let query = "SELECT * FROM model_events ORDER BY revision, source, model_id";
    assert_eq!(copy.sql(query).await, setup.sql(query).await);
    // It is a catalog like any other.
    let copied = copy.start().await;
    assert_eq!(copied.get("/v1/models?revision=3").await.ids(), LISTS[3]);
    copied.stop().await;

    // While writes go on, and several want one: each gets a whole one or is told to come again.
    let copies = futures_util::future::join_all((0..8).map(|_| app.get("/catalog.sqlite")));
    let (copies, _) = tokio::join!(copies, async {
        setup.advance(TimeDelta::hours(1));
        app.refresh("openai").await
    });
    let whole = copies.iter().filter(|answer| answer.status == 200).count();
    assert!(whole >= 1);
    for answer in copies.iter().filter(|answer| answer.status != 200) {
        assert_eq!(
            (answer.status, answer.header("retry-after")),
            (503, Some("5"))
        );
    }
    app.stop().await;
}

#[tokio::test]
async fn what_another_process_has_just_made_is_not_in_the_future() {
    let (setup, first) = with_history().await;
    let second = setup.start().await;
    setup.advance(TimeDelta::hours(1));
    setup.openai.reset().await;
    mount_openai(&setup.openai, &["a", "b"]).await;
    assert_eq!(first.refresh("openai").await["outcome"], "changed");
    // At once, before it has noticed: a client that was sent to the other one.
    assert_eq!(second.get("/v1/models?revision=5").await.ids().len(), 2);
    assert_eq!(second.get("/catalog/changes?since=5").await.status, 200);
    second.stop().await;
    first.stop().await;
}

#[tokio::test]
async fn one_event_with_a_wrong_clock_takes_nothing_with_it() {
    let (setup, app) = with_history().await;
    app.stop().await;
    // The third revision was made while the clock was wrong.
    for sql in [
        "DROP TRIGGER model_events_are_append_only",
        "UPDATE model_events SET at = '1970-01-01T00:00:00.000Z' WHERE revision = 3",
    ] {
        crate::running::sqlx_exec(&setup, sql).await;
    }
    setup.advance(TimeDelta::hours(20));
    let mut config = setup.config();
    config.retention.events = Some(TimeDelta::days(5));
    config.retention.attempts = TimeDelta::hours(1);
    let app = TestApp::start(config).await;
    // In the same transaction.
    app.until("the attempts are forgotten", async |_| {
        setup.sql("SELECT COUNT(*) FROM fetches").await == [[json!(0)]]
    })
    .await;
    assert_eq!(all_told(&app.get("/catalog/changes").await.json()).len(), 6);
    app.stop().await;
    assert_eq!(
        setup.sql("SELECT history_from FROM catalog").await,
        [[json!(0)]]
    );
}

#[tokio::test]
async fn the_past_knows_the_sources_of_another_process() {
    let (mut setup, first) = with_history().await;
    mount_vllm(setup.add_endpoint("box").await, &["m"]).await;
    let second = setup.start().await;
    second
        .until("the new endpoint is listed", async |app| {
            app.models().await.ids().contains(&"m".to_owned())
        })
        .await;
    let revision = second
        .models()
        .await
        .header("catalog-revision")
        .expect("one")
        .to_owned();
    let expected = second.models().await.body;
    assert_eq!(
        first
            .get(&format!("/v1/models?revision={revision}"))
            .await
            .body,
        expected
    );
    second.stop().await;
    first.stop().await;
}

/// What was remembered of a revision that another process has pruned since is forgotten too.
#[tokio::test]
async fn a_remembered_revision_is_gone_once_it_is_pruned() {
    let (setup, app) = with_history().await;
    for _ in 0..2 {
        assert_eq!(app.get("/v1/models?revision=2").await.ids(), LISTS[2]);
    }
    setup.advance(TimeDelta::days(10));
    let mut config = setup.config();
    config.retention.events = Some(TimeDelta::days(5));
    let pruning = TestApp::start(config).await;
    app.until("it is gone", async |app| {
        app.get("/v1/models?revision=2").await.status == 410
    })
    .await;
    pruning.stop().await;
    app.stop().await;
}
