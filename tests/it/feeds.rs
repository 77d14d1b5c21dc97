//! What tells others of changes as they come: Atom, server-sent events, and a consumer that is
//! killed and restarted.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::helpers::{Setup, TestApp, mount, mount_openai, openai_body};

async fn with_openai(ids: &[&str]) -> (Setup, TestApp) {
    let mut setup = Setup::new().await;
    setup.providers = vec!["openai"];
    mount_openai(&setup.openai, ids).await;
    let app = setup.start_ready().await;
    (setup, app)
}

/// Has openai list `body`, as a new revision.
async fn change(setup: &Setup, app: &TestApp, body: Value) {
    setup.advance(TimeDelta::minutes(1));
    setup.openai.reset().await;
    mount(&setup.openai, "/v1/models", body).await;
    assert_eq!(app.refresh("openai").await["outcome"], "changed");
}

#[tokio::test]
async fn the_atom_feed_is_valid_and_readable() {
    let (setup, app) = with_openai(&["a", "<b>&\"quoted\"", "odd\u{FFFF}"]).await;
    let mut body = openai_body(&["a", "c"]);
    body["data"][0]["context_window"] = json!(1000);
    body["data"][1]["name"] = json!("\u{0}control");
    change(&setup, &app, body).await;

    let answer = app.get("/catalog/changes.atom").await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-type"),
        Some("application/atom+xml; charset=utf-8")
    );
    let feed = atom_syndication::Feed::read_from(&answer.body[..]).expect("valid XML and Atom");
    assert_eq!(feed.entries().len(), 2, "an entry per revision");
    assert!(feed.id().starts_with("urn:uuid:"), "{}", feed.id());
    let [latest, first] = feed.entries() else {
        unreachable!("two entries")
    };
    assert_eq!(latest.id(), format!("{}#2", feed.id()));
    assert_eq!(first.id(), format!("{}#1", feed.id()));
    assert_eq!(latest.updated(), feed.updated());
    assert_eq!(
        latest.title().as_str(),
        "openai: 1 added, 1 changed, 2 removed"
    );
    let content = latest.content().expect("content");
    assert_eq!(content.content_type(), Some("html"));
    let html = content.value().expect("HTML");
    for part in [
        "added <code>openai:c</code>",
        "changed <code>openai:a</code>",
        "context_window: nothing → 1000",
        "removed <code>openai:&#60;b&#62;&#38;&#34;quoted&#34;</code>",
    ] {
        assert!(html.contains(part), "{part} in {html}");
    }
    for text in [
        html,
        first
            .content()
            .and_then(|content| content.value())
            .expect("HTML"),
    ] {
        assert!(
            !text.contains(['\u{0}', '\u{FFFF}']),
            "not allowed in XML: {text:?}"
        );
    }
    // Revalidation is free, and follows the content.
    let etag = answer.header("etag").expect("an ETag").to_owned();
    let again = async || {
        app.send(
            app.http
                .get(app.url("/catalog/changes.atom"))
                .header("if-none-match", &etag),
        )
        .await
        .status
    };
    assert_eq!(again().await, 304);
    change(&setup, &app, openai_body(&["a"])).await;
    assert_eq!(again().await, 200);

    let filtered = app.get("/catalog/changes.atom?event=added").await;
    let filtered = atom_syndication::Feed::read_from(&filtered.body[..]).expect("Atom");
    assert_eq!(filtered.entries().len(), 2);
    assert_eq!(filtered.entries()[0].title().as_str(), "openai: 1 added");
    assert_eq!(app.get("/catalog/changes.atom?since=1").await.status, 400);
    app.stop().await;
}

#[tokio::test]
async fn an_empty_feed_is_valid() {
    let mut setup = Setup::new().await;
    setup.providers.clear();
    let app = setup.start().await;
    let answer = app.get("/catalog/changes.atom").await;
    let feed = atom_syndication::Feed::read_from(&answer.body[..]).expect("Atom");
    assert!(feed.entries().is_empty());
    app.stop().await;
}

/// Reads server-sent events: each one's id and data.
struct Events {
    response: reqwest::Response,
    text: String,
    last_id: Option<i64>,
}

impl Events {
    async fn open(app: &TestApp, path: &str, last_event_id: Option<i64>) -> Self {
        let mut request = app.http.get(app.url(path));
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id.to_string());
        }
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            response,
            text: String::new(),
            last_id: None,
        }
    }

    /// The next event; none at the end of the stream.
    async fn next(&mut self) -> Option<(i64, Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    event
                        .lines()
                        .find_map(|line| line.strip_prefix(name))
                        .map(|value| value.trim_start_matches([':', ' ']).to_owned())
                };
                if let Some(id) = field("id") {
                    self.last_id = Some(id.parse().expect("a revision"));
                }
                // One without data only says where the client stands.
                let told = field("data").map(|data| {
                    assert_eq!(field("event").as_deref(), Some("revision"));
                    (
                        self.last_id.expect("an id"),
                        serde_json::from_str(&data).expect("JSON"),
                    )
                });
                self.text = rest.to_owned();
                if told.is_some() {
                    return told;
                }
                continue;
            }
            let chunk = tokio::time::timeout(Duration::from_secs(20), self.response.chunk())
                .await
                .expect("an event within 20 s")
                .expect("a chunk")?;
            self.text
                .push_str(std::str::from_utf8(&chunk).expect("UTF-8"));
        }
    }
}

#[tokio::test]
async fn server_sent_events_come_as_they_happen_and_catch_up() {
    let (setup, app) = with_openai(&["a"]).await;
    let mut live = Events::open(&app, "/catalog/events", None).await;
    let mut removals = Events::open(&app, "/catalog/events?event=removed", None).await;
    change(&setup, &app, openai_body(&["a", "b"])).await;
    change(&setup, &app, openai_body(&["a"])).await;
    for (revision, event) in [(2, "added"), (3, "removed")] {
        let (id, data) = live.next().await.expect("an event");
        assert_eq!((id, &data["revision"]), (revision, &json!(revision)));
        assert_eq!(data["events"][0]["event"], event);
        assert_eq!(data["events"][0]["id"], "openai:b");
    }
    assert_eq!(removals.next().await.expect("an event").0, 3);
    // Who waits for what does not come is told how far it has come all the same.
    let mut never = Events::open(&app, "/catalog/events?event=hidden", None).await;
    change(&setup, &app, openai_body(&["a", "b"])).await;
    change(&setup, &app, openai_body(&["a"])).await;
    for _ in 0..2 {
        live.next().await.expect("an event");
    }

    // Who missed something says what came last.
    let mut late = Events::open(&app, "/catalog/events", Some(1)).await;
    assert_eq!(late.next().await.expect("an event").0, 2);
    assert_eq!(late.next().await.expect("an event").0, 3);
    let mut from_the_start = Events::open(&app, "/catalog/events?since=0", None).await;
    assert_eq!(from_the_start.next().await.expect("an event").0, 1);
    for (path, id) in [
        ("/catalog/events", "99"),
        ("/catalog/events", "x"),
        ("/catalog/events?x=1", "1"),
    ] {
        let answer = app
            .send(app.http.get(app.url(path)).header("last-event-id", id))
            .await;
        assert_eq!(answer.status, 400, "{path} {id}");
    }
    app.stop().await;
    assert!(live.next().await.is_none(), "a stop ends the stream");
    assert!(never.next().await.is_none());
    assert_eq!(never.last_id, Some(5));
}

/// Whoever takes changes by cursor sees each revision once and in order, however often it is killed:
/// between taking and keeping, and while it waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_is_killed_at_random_misses_nothing_and_sees_nothing_twice() {
    const REVISIONS: i64 = 60;
    let (setup, app) = with_openai(&["m0"]).await;
    let (setup, app) = (Arc::new(setup), Arc::new(app));
    // What the consumer keeps, as one transaction would: its cursor and what it has seen.
    let kept: Arc<Mutex<(i64, Vec<i64>)>> = Arc::default();
    let changing = {
        let (setup, app) = (setup.clone(), app.clone());
        tokio::spawn(async move {
            for number in 1..REVISIONS {
                change(&setup, &app, openai_body(&[format!("m{number}")])).await;
            }
        })
    };
    let mut kills = 0;
    loop {
        if kept.lock().expect("no panic").0 == REVISIONS {
            break;
        }
        let (app, kept) = (app.clone(), kept.clone());
        let consumer = tokio::spawn(async move {
            loop {
                let since = kept.lock().expect("no panic").0;
                let path = format!("/catalog/changes?since={since}&wait=20s&limit=3");
                let page = app.get(&path).await.json();
                let events = page["events"].as_array().expect("events");
                let mut revisions: Vec<i64> = events
                    .iter()
                    .map(|event| event["revision"].as_i64().expect("a revision"))
                    .collect();
                revisions.dedup();
                let mut kept = kept.lock().expect("no panic");
                kept.0 = page["next"].as_i64().expect("a cursor");
                kept.1.extend(revisions);
                if kept.0 == REVISIONS {
                    return;
                }
            }
        });
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..40))).await;
        consumer.abort();
        kills += usize::from(consumer.await.is_err());
    }
    changing.await.expect("no panic");
    assert!(kills > 0, "it was never killed");
    let seen = kept.lock().expect("no panic").1.clone();
    assert_eq!(
        seen,
        (1..=REVISIONS).collect::<Vec<_>>(),
        "after {kills} kills"
    );
    println!(
        "{REVISIONS} revisions seen once each and in order by a consumer killed {kills} times"
    );
}

/// A revision of more events than one piece of an answer has: whole in every feed, in short in the Atom feed.
#[tokio::test]
async fn a_large_revision_comes_in_pieces_and_whole() {
    let ids: Vec<String> = (0..620).map(|number| format!("m{number:03}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let (setup, app) = with_openai(&ids).await;
    change(&setup, &app, openai_body(&ids[..600])).await;
    let named = |events: &Value| -> Vec<String> {
        let events = events.as_array().expect("events").iter();
        let id = |event: &Value| event["id"].as_str().expect("an id").to_owned();
        events.map(id).collect()
    };
    let expected: Vec<String> = ids.iter().map(|id| format!("openai:{id}")).collect();

    let changes = app.get("/catalog/changes?limit=600").await;
    assert_eq!(changes.header("content-length"), None, "it comes in pieces");
    assert_eq!(named(&changes.json()["events"]), expected);
    assert_eq!(
        (&changes.json()["next"], &changes.json()["has_more"]),
        (&json!(1), &json!(true))
    );
    let rest = app.get("/catalog/changes?since=1").await;
    assert!(rest.header("content-length").is_some(), "it is whole");
    assert_eq!(named(&rest.json()["events"]), expected[600..]);

    let mut events = Events::open(&app, "/catalog/events?since=0", None).await;
    let (revision, first) = events.next().await.expect("an event");
    assert_eq!((revision, named(&first["events"])), (1, expected.clone()));
    let (revision, second) = events.next().await.expect("an event");
    assert_eq!(
        (revision, named(&second["events"])),
        (2, expected[600..].to_vec())
    );

    let feed = app.get("/catalog/changes.atom").await;
    let feed = atom_syndication::Feed::read_from(&feed.body[..]).expect("Atom");
    assert_eq!(feed.entries()[1].title().as_str(), "openai: 620 added");
    let html = |entry: usize| {
        let content = feed.entries()[entry].content().expect("content");
        content.value().expect("HTML").to_owned()
    };
    assert_eq!(html(1).matches("<code>").count(), 100);
    assert!(
        html(1).ends_with("<li>and 520 more</li></ul>"),
        "{}",
        html(1)
    );
    assert!(
        html(0).ends_with("<code>openai:m619</code></li></ul>"),
        "{}",
        html(0)
    );
    app.stop().await;
}
