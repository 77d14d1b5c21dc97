//! The demo has enough in it to be looked at: every kind of change, sources in every state, and an
//! answer to every question of the documentation.

use std::collections::BTreeSet;

use chrono::{NaiveDate, TimeDelta};
use serde_json::Value;

use crate::{
    helpers::Setup,
    running::{Running, command, run},
};

/// When the diary of the demo begins, as it is written.
const BEGIN: &str = "2026-06-15";

/// `sql` with its dates moved by `days`.
fn moved(sql: &str, days: TimeDelta) -> String {
    let mut moved = String::new();
    let mut rest = sql;
    while let Some(char) = rest.chars().next() {
        let date = rest
            .get(..10)
            .and_then(|text| text.parse::<NaiveDate>().ok());
        let length = match date {
            Some(date) => {
                moved.push_str(&(date + days).to_string());
                10
            }
            None => {
                moved.push(char);
                char.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    moved
}

#[tokio::test]
async fn it_shows_everything_within_a_minute_and_answers_every_question() {
    let mut setup = Setup::new().await;
    setup.providers.clear();
    let mut demo = command(&setup);
    demo.args([
        "demo",
        "--listen",
        "127.0.0.1:0",
        "--database",
        "catalog.db",
    ]);
    let mut running = Running::start(demo).await;
    let began = std::time::Instant::now();
    let expected: BTreeSet<String> = ["added", "changed", "removed", "returned", "hidden", "shown"]
        .map(str::to_owned)
        .into();
    let live = running.get("/catalog/changes?since=0&limit=1").await;
    let live: Value = serde_json::from_str(&live).expect("JSON");
    assert!(live["revision"].as_i64() > Some(20), "{live}");
    loop {
        let changes = running.get("/catalog/changes?since=20&limit=10000").await;
        let changes: Value = serde_json::from_str(&changes).expect("JSON");
        let events = changes["events"].as_array().expect("events");
        let since = chrono::Utc::now() - TimeDelta::minutes(2);
        let recent = events.iter().filter(|event| {
            let at: chrono::DateTime<chrono::Utc> = event["at"]
                .as_str()
                .expect("a time")
                .parse()
                .expect("a time");
            at > since
        });
        let kinds: BTreeSet<String> = recent
            .map(|event| event["event"].as_str().expect("a kind").to_owned())
            .collect();
        if kinds == expected {
            break;
        }
        assert!(
            began.elapsed().as_secs() < 60,
            "{kinds:?}\n{}",
            running.log()
        );
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    let sources: Value =
        serde_json::from_str(&running.get("/catalog/sources").await).expect("JSON");
    let sources = sources["sources"].as_array().expect("sources");
    let find = |name: &str| {
        sources
            .iter()
            .find(|source| source["name"] == name)
            .expect("it is there")
    };
    assert_eq!(find("openai")["state"], "fresh");
    assert_eq!(find("acme")["error"]["kind"], "unauthorized");
    assert!(find("vega")["held"].is_object(), "{:?}", find("vega"));

    let begin = setup.sql("SELECT MIN(at) FROM model_events").await;
    let begin: NaiveDate = begin[0][0].as_str().expect("a time")[..10]
        .parse()
        .expect("a date");
    let days = begin - BEGIN.parse::<NaiveDate>().expect("a date");
    let mut questions = 0;
    let mut unanswered = Vec::new();
    for section in include_str!("../../docs/sql.md").split("\n### ").skip(1) {
        let question = section.lines().next().unwrap_or_default();
        for block in section.split("```sql\n").skip(1) {
            let sql = moved(block.split("```").next().unwrap_or_default(), days);
            questions += 1;
            if setup.sql(&sql).await.is_empty() {
                unanswered.push(question);
            }
        }
    }
    assert!(questions >= 20, "{questions} questions");
    assert!(unanswered.is_empty(), "{unanswered:?}");
    assert_eq!(running.stop("-TERM").0, Some(0));

    let mut keyed = command(&setup);
    let toml = "[[keys]]\nname = \"team\"\nkey = \"of-the-team-0123456789\"\n[providers.mine]\nbase_url = \"http://127.0.0.1:9/v1\"\n";
    std::fs::write(setup.directory.path().join("demo.toml"), toml).expect("written");
    keyed
        .args(["demo", "--config", "demo.toml", "--listen", "127.0.0.1:0"])
        .env("MODEL_CATALOG_ADMIN_KEY", "of-the-admin-0123456789");
    let keyed = Running::start(keyed).await;
    let refused = keyed.get("/v1/models").await;
    assert!(refused.contains("invalid_api_key"), "{refused}");
    assert!(
        keyed.log().contains("those of the settings are not asked"),
        "{}",
        keyed.log()
    );
    let url = format!("{}/catalog/refresh?source=openai", keyed.base);
    let refresh = keyed.http.post(url).send().await.expect("an answer");
    assert_eq!(refresh.status(), 401, "the admin key counts");
    drop(keyed);

    // What is there already is left alone.
    let mut again = command(&setup);
    again.args([
        "demo",
        "--listen",
        "127.0.0.1:0",
        "--database",
        "catalog.db",
    ]);
    let (code, text) = run(again);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("catalog.db exists"), "{text}");
}
